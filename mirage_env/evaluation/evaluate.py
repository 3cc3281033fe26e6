"""Worlds against the truth: paired rollouts in many scenes, resumable, and the report on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mirage_env.evaluation import results
from mirage_env.evaluation.contact_sheet import episode_sheet, save_png
from mirage_env.evaluation.episode import Episode
from mirage_env.evaluation.parts import MEASURES
from mirage_env.evaluation.report import Report, write_report
from mirage_env.evaluation.settings import (
    PARTS,
    QUICK,
    QUICK_EPISODES,
    QUICK_PARTS,
    Settings,
    StartDepth,
    check_parts,
    fingerprint,
)
from mirage_env.simulators.base import Simulator
from mirage_env.workers import one_thread, work
from mirage_env.world import WorldModel

SHEETS = 20
"""How many episodes, the first, get a contact sheet."""


@dataclass(frozen=True)
class Job:
    """What a process needs to measure episodes; everything in it can be sent to another process."""

    folder: Path
    settings: Settings
    parts: tuple[str, ...]
    scenes: Sequence[Any] | None
    model: Any
    make_simulator: Callable[[], Simulator]


def evaluate_world(
    out: str | Path,
    model: str | Path | WorldModel = "tiny",
    simulator: str | Callable[[], Simulator] = "rooms",
    scenes: Any = None,
    episodes: int | None = None,
    *,
    seed: int = 0,
    depth: StartDepth = "true",
    workers: int = 2,
    quick: bool = False,
    only: Sequence[str] | None = None,
    max_loop: int | None = None,
    progress: bool = True,
    **options: Any,
) -> Report:
    """Imagine walks through true scenes from one view each, compare with the truth, and write a report into ``out``.

    Episode n takes place in scene n (the first again after the last). What it holds depends on the settings and n only;
    not on the number of workers or on interruptions. What was measured is kept, part by part: an interrupted evaluation
    goes on where it stopped, and a finished one can be enlarged by episodes and parts.

    Args:
        out: folder, made if need be: report.json, report.md, its pictures, and a file per episode and part.
        model: bundled name, folder or hub id; a ``WorldModel`` is measured in this process alone.
        simulator: the name of a true one, or a function without arguments that makes one (importable in other
            processes: a module-level function, class or a ``functools.partial`` of one).
        scenes: of a named simulator, as it takes them (None: "val"); for that of a function, a sequence of what its
            ``reset`` opens (None: what it opens by itself).
        episodes: how many; None: 64, or 8 with ``quick``.
        seed: 0 or above.
        depth: of the start view: "true", as an RGB-D camera gives it, or "predicted" from the image.
        workers: processes; 0 or 1 works in this one.
        quick: shorter walks, fewer episodes, and not the slowest parts.
        only: parts to measure, see ``mirage_env.evaluation.settings.PARTS``; None: all.
        max_loop: leaves out loops of more steps; None: none.
        progress: whether to show a progress bar.
        options: other fields of ``Settings``.

    Returns:
        What the report says.

    Raises:
        ValueError: for bad arguments, or when ``out`` holds an evaluation with other settings.
        OSError: when ``out`` cannot be made or written.
    """
    folder = Path(out)
    episodes = (QUICK_EPISODES if quick else 64) if episodes is None else episodes
    for name, value, least in (("episodes", episodes, 1), ("workers", workers, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if isinstance(model, WorldModel) and workers > 1:
        raise ValueError("a WorldModel object is measured with workers=1; save_pretrained it to use more")
    if isinstance(simulator, str) and scenes is None:
        scenes = "val"
    parts = check_parts((QUICK_PARTS if quick else PARTS) if only is None else only)
    world = model if isinstance(model, WorldModel) else WorldModel.from_pretrained(model)
    chosen = {**(QUICK if quick else {}), **options}
    settings = Settings(
        model=world.name,
        fingerprint=fingerprint(world),
        simulator=simulator if isinstance(simulator, str) else _name_of(simulator),
        scenes=repr(scenes),
        seed=seed,
        depth=depth,
        **_shorter(chosen, max_loop),
    )
    make, sequence = _scenes_of(simulator, scenes, settings)
    results.prepare_folder(folder, settings)
    job = Job(folder, settings, parts, sequence, model, make)
    begin = time.perf_counter()
    todo = [n for n in range(episodes) if results.missing_parts(folder, n, parts, settings)]
    bar = tqdm(total=episodes, initial=episodes - len(todo), unit="episode", disable=not progress)
    with bar, closing(work(partial(_prepare, job), todo, workers)) as finished:
        for _ in finished:
            bar.update()
    return write_report(folder, settings, episodes, time.perf_counter() - begin)


def measure_episode(job: Job, simulator: Simulator, world: WorldModel, number: int) -> dict[str, Any]:
    """Measure what is missing of one episode and keep it; the parts that were measured."""
    missing = results.missing_parts(job.folder, number, job.parts, job.settings)
    scene = None if job.scenes is None else job.scenes[number % len(job.scenes)]
    episode = Episode(job.settings, simulator, world, number, scene)
    found = {}
    for part in missing:
        begin = time.process_time()
        simulator.reset(scene, episode.start)
        result = MEASURES[part](episode)
        found[part] = result | {"scene": scene, "seconds": time.process_time() - begin}
        results.write_part(job.folder, number, part, found[part])
    sheet = results.sheet_path(job.folder, number)
    if number < SHEETS and "novel" in job.parts and not sheet.exists():
        save_png(sheet, episode_sheet(episode))
    return found


def _prepare(job: Job) -> Callable[[int], Any]:
    world = job.model if isinstance(job.model, WorldModel) else WorldModel.from_pretrained(job.model)
    simulator = job.make_simulator()

    def measure(number: int) -> int:
        with one_thread():  # the same bits however many processes there are
            measure_episode(job, simulator, world, number)
        return number

    return measure


def _scenes_of(
    simulator: str | Callable[[], Simulator], scenes: Any, settings: Settings
) -> tuple[Callable[[], Simulator], Sequence[Any] | None]:
    """What makes the simulator, and the scenes to open one after another; None: whatever it opens."""
    if isinstance(simulator, str):
        from mirage_env.envs.worlds import make_simulator

        if simulator == "mirage":
            raise ValueError("simulator must be a true one, such as rooms: imagined worlds are measured against it")
        make = partial(
            make_simulator,
            simulator,
            scenes=scenes,
            model="tiny",
            imagine="new",
            resolution=settings.resolution,
            hfov=settings.hfov,
            camera_height=settings.camera_height,
            allow_sliding=True,
            start_depth="true",
            latents=False,
            memory=False,
        )
        probe = make()
        known = getattr(probe, "scenes", None)
        return make, known
    if not callable(simulator):
        raise TypeError(f"simulator must be a name or a function that makes one, got {type(simulator).__name__}")
    if scenes is not None and (isinstance(scenes, str) or len(scenes) == 0):
        raise ValueError(f"the scenes of a simulator of your own must be a sequence of scenes, got {scenes!r}")
    return simulator, scenes


def _name_of(make: Callable[[], Simulator]) -> str:
    function = make.func if isinstance(make, partial) else make
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__name__)}"


def _shorter(options: dict[str, Any], max_loop: int | None) -> dict[str, Any]:
    if max_loop is None:
        return options
    loops = tuple(steps for steps in options.get("loops", Settings.loops) if steps <= max_loop)
    if not loops:
        raise ValueError(f"max_loop leaves no loop, got {max_loop}; the shortest has {Settings.loops[0]} steps")
    return options | {"loops": loops}
