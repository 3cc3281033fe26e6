"""Collect trajectories of RGB-D and poses from any simulator, for training."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mirage_env.data.behaviour import Walk, wander
from mirage_env.data.shards import Trajectory, is_valid, shard_path, write_shard
from mirage_env.files import atomic_write, described_alike, writable_folder
from mirage_env.simulators.base import AgentStart, Camera, Simulator
from mirage_env.workers import in_processes

CONFIG = "collection.json"


@dataclass(frozen=True)
class CollectConfig:
    """What decides the frames of a collection, besides the simulator. Kept beside the shards, and compared on resuming.

    Attributes:
        seed: 0 or above; with the episode's number it decides everything that is random.
        steps: frames per episode (the first view and what steps - 1 actions lead to).
        resolution: pixels per side.
        hfov: degrees, of most episodes.
        hfov_range: the others draw from this range.
        hfov_share: share of episodes with exactly ``hfov``.
        height_range: camera heights in metres, one per episode.
        episodes_per_scene: consecutive episodes that share a scene, for opening a scene costs more than a walk in it.
    """

    seed: int = 0
    steps: int = 64
    resolution: int = 128
    hfov: float = 90.0
    hfov_range: tuple[float, float] = (60.0, 100.0)
    hfov_share: float = 0.6
    height_range: tuple[float, float] = (1.0, 1.5)
    episodes_per_scene: int = 4

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("steps", 1), ("resolution", 1), ("episodes_per_scene", 1)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
        if not (0 < self.hfov_range[0] <= self.hfov_range[1] < 180 and 0 < self.hfov < 180):
            raise ValueError(f"hfov must lie inside (0, 180) degrees, got {self.hfov} and {self.hfov_range}")
        if not 0 < self.height_range[0] <= self.height_range[1]:
            raise ValueError(f"height_range must be two rising heights above 0 m, got {self.height_range}")


def collect(
    simulator_factory: Callable[[], Simulator],
    out: str | Path,
    episodes: int,
    steps: int = 64,
    seed: int = 0,
    workers: int = 2,
    scenes: Sequence[Any] | None = None,
    progress: bool = True,
    **options: Any,
) -> list[Path]:
    """Walk through scenes and write one shard per episode into ``out``.

    What an episode holds depends on the simulator, the scenes, the options, the seed and its number only; not on the
    number of workers or on interruptions. Episodes that are there already are kept, so an interrupted collection goes
    on where it stopped, and a finished one can be enlarged.

    Args:
        simulator_factory: makes a simulator; called once per worker, and must be importable there (a module-level
            function or class, or a ``functools.partial`` of one).
        out: folder, made if need be.
        episodes: how many in all.
        steps: frames per episode.
        seed: 0 or above.
        workers: processes; 0 or 1 collects in this one.
        scenes: what to draw scenes from; None: the simulator's own ``scenes``, else whatever it opens by default.
        progress: whether to show a progress bar.
        options: other fields of ``CollectConfig``.

    Returns:
        The shards of all episodes.

    Raises:
        ValueError: for bad arguments, or when ``out`` holds a collection made with others.
        OSError: when ``out`` cannot be made or written.
        KeyboardInterrupt: after the episodes under way were finished or dropped; no partial shard is left.
    """
    for name, value, least in (("episodes", episodes, 1), ("workers", workers, 0)):
        if not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    if scenes is not None and len(scenes) == 0:
        raise ValueError("scenes must name at least one scene, got none")
    config = CollectConfig(seed=seed, steps=steps, **options)
    folder = Path(out)
    _prepare_folder(folder, config, scenes)
    paths = [shard_path(folder, episode) for episode in range(episodes)]
    missing = [episode for episode in range(episodes) if not is_valid(paths[episode])]
    groups: dict[int, list[int]] = {}
    for episode in missing:
        groups.setdefault(episode // config.episodes_per_scene, []).append(episode)
    done, began = 0, time.perf_counter()
    counts = _run(simulator_factory, folder, config, scenes, list(groups.values()), workers)
    bar = tqdm(total=episodes, initial=episodes - len(missing), unit="episode", disable=not progress)
    with bar, contextlib.closing(counts):
        for count in counts:
            done += count
            bar.set_postfix_str(f"{done * steps / (time.perf_counter() - began):.0f} frames/s", refresh=False)
            bar.update(count)
    return paths


def collect_episode(
    simulator: Simulator, episode: int, config: CollectConfig, scenes: Sequence[Any] | None = None
) -> Trajectory:
    """The trajectory of one episode; sets the simulator's camera."""
    scene_rng = np.random.default_rng([config.seed, 0, episode // config.episodes_per_scene])
    rng = np.random.default_rng([config.seed, 1, episode])
    scenes = getattr(simulator, "scenes", None) if scenes is None else scenes
    scene = None if scenes is None else scenes[int(scene_rng.integers(len(scenes)))]
    plain = rng.random() < config.hfov_share
    hfov = config.hfov if plain else round(float(rng.uniform(*config.hfov_range)), 2)
    height = round(float(rng.uniform(*config.height_range)), 3)
    simulator.camera = Camera(config.resolution, hfov, height)
    simulator.reset(scene)
    walk = Walk(simulator, config.steps)
    walk.begin(scene, _random_start(simulator, rng))
    wander(walk, rng)
    rgb, depth = _pixels(simulator, walk)
    meta = {
        "scene": scene.item() if isinstance(scene, np.generic) else scene,
        "episode": episode,
        "seed": config.seed,
        "hfov": hfov,
        "camera_height": height,
        "forward_step": walk.forward_step,
        "turn_angle_deg": math.degrees(walk.turn_angle),
        "simulator": type(simulator).__name__,
    }
    return Trajectory(
        rgb,
        depth,
        np.stack([view.pose for view in walk.views]).astype(np.float32),
        simulator.camera.intrinsics.astype(np.float32),
        np.array([*walk.actions, -1], dtype=np.int8),
        np.array(walk.collided),
        meta,
    )


def _pixels(simulator: Simulator, walk: Walk) -> tuple[Any, Any]:
    render_views = getattr(simulator, "render_views", None)
    if render_views is not None:
        return render_views(np.stack([view.pose for view in walk.views]))
    return np.stack([view.rgb for view in walk.views]), np.stack([view.depth for view in walk.views])


def _random_start(simulator: Simulator, rng: np.random.Generator) -> AgentStart:
    """A place from which another can be reached, at least two metres off if such places turn up, and any yaw."""
    place = simulator.sample_navigable_point(rng)
    for _ in range(8):
        other = simulator.sample_navigable_point(rng)
        distance = simulator.geodesic_distance(other, place)
        if math.isfinite(distance) and distance > 2.0:
            break
        place = other
    return AgentStart((float(place[0]), float(place[1]), float(place[2])), float(rng.uniform(-math.pi, math.pi)))


def _prepare_folder(folder: Path, config: CollectConfig, scenes: Sequence[Any] | None) -> None:
    """Make the folder, drop what an interruption left, and refuse to mix two collections in it."""
    writable_folder(folder)
    for leftover in folder.glob(".episode-*.tmp.*"):
        leftover.unlink(missing_ok=True)
    described = json.loads(json.dumps({**asdict(config), "scenes": None if scenes is None else repr(scenes)}))
    path = folder / CONFIG
    if described_alike(path, described, "collect", "a collection"):
        return
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(described, indent=1))


def _run(
    factory: Callable[[], Simulator],
    folder: Path,
    config: CollectConfig,
    scenes: Sequence[Any] | None,
    groups: list[list[int]],
    workers: int,
) -> Generator[int, None, None]:
    """Collect the groups of episodes; yields how many episodes were added."""
    if workers <= 1:
        simulator = factory() if groups else None
        for group in groups:
            for episode in group:
                assert simulator is not None
                write_shard(shard_path(folder, episode), collect_episode(simulator, episode, config, scenes))
                yield 1
        if simulator is not None:
            simulator.close()
        return
    starting = (factory, config, scenes)
    yield from in_processes(partial(_collect_group, folder), groups, workers, 2 * workers, _start_worker, starting)


_worker: dict[str, Any] = {}


def _start_worker(factory: Callable[[], Simulator], config: CollectConfig, scenes: Sequence[Any] | None) -> None:
    _worker.update(simulator=factory(), config=config, scenes=scenes)


def _collect_group(folder: Path, group: list[int]) -> int:
    for episode in group:
        trajectory = collect_episode(_worker["simulator"], episode, _worker["config"], _worker["scenes"])
        write_shard(shard_path(folder, episode), trajectory)
    return len(group)
