"""How well a policy walks: many episodes in truth or imagination, and the report on them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mirage_env.evaluation import provenance
from mirage_env.evaluation.contact_sheet import save_png
from mirage_env.evaluation.contestants import Contestant, common_task, contestant
from mirage_env.evaluation.films import write_mp4
from mirage_env.evaluation.pictures import side_by_side
from mirage_env.evaluation.places import IMAGINED, Place, true_simulator
from mirage_env.evaluation.policy_text import describe_policy
from mirage_env.evaluation.trial import Plan, Trial, count_failures, failure, plan_episodes
from mirage_env.evaluation.trial_pictures import TrialMap, film_frames, map_panel, map_sheet
from mirage_env.evaluation.trial_summary import summarise_trials
from mirage_env.evaluation.trials import run_trials
from mirage_env.evaluation.world_settings import DEFAULT, world_setting
from mirage_env.files import atomic_write, writable_folder

FILM_EACH = 3
"""Successes and failures in the film, at most."""
FILM_FPS = 10


def evaluate_policy(
    policy: str | Path | Contestant,
    out: str | Path,
    simulator: str = "rooms",
    scenes: Any = "test",
    episodes: int = 500,
    *,
    task: str | None = None,
    start_from: str = "rooms",
    setting: str = DEFAULT,
    model: Any = None,
    seed: int = 0,
    episodes_per_scene: int = 10,
    num_envs: int = 8,
    max_episode_steps: int = 500,
    pictures: int = 20,
    film: bool = True,
    progress: bool = True,
) -> dict[str, Any]:
    """Walk episodes with a policy and write report.json, report.md, maps and a film into ``out``.

    Episode i begins alike in every simulator; see ``trial.plan_episodes``. What was walked is kept: an interrupted
    evaluation goes on where it stopped, and a finished one can be enlarged.

    Args:
        policy: see ``contestants.contestant``.
        out: folder, made if need be.
        simulator: a true one, or "mirage" for worlds imagined from views of ``start_from``.
        scenes: of the true simulator.
        task: None: the policy's own, else PointNav.
        setting: how worlds are imagined, see ``world_settings.world_setting``; the policy's training decides what the
            setting leaves open.
        model: that imagines; None: the one that the policy was trained with, else "tiny".
        seed: of the first episode.
        num_envs: worlds at once; changes no result.
        pictures: how many trials get a map, evenly spread.
        film: whether to make a film of successes and failures.

    Returns:
        What report.json says.

    Raises:
        ValueError, FileNotFoundError: one sentence on the first thing that is wrong.
    """
    folder = Path(out)
    walker = policy if isinstance(policy, Contestant) else contestant(str(policy))
    chosen = common_task([walker], task)
    for name, value, least in (("num_envs", num_envs, 1), ("pictures", pictures, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    true = start_from if simulator == IMAGINED else simulator
    imagining = None
    if simulator == IMAGINED:
        imagining = world_setting(setting, load_model(model, [walker]), walker.world)
    elif setting != DEFAULT:
        raise ValueError(f"the setting {setting!r} is of imagined worlds; leave it out, or use the simulator mirage")
    place = Place(true, scenes, imagining, max_episode_steps)
    truth = true_simulator(true, scenes)
    plans = plan_episodes(episodes, getattr(truth, "scenes", None), seed, episodes_per_scene)
    writable_folder(folder)
    begin = time.perf_counter()
    trials, walked = walk_plans(
        folder / "trials.json", walker, chosen, place, plans, seed, episodes_per_scene, num_envs, progress
    )
    seconds = time.perf_counter() - begin
    data: dict[str, Any] = {
        "evaluation": "policy",
        "policy": walker.name,
        "fingerprint": walker.fingerprint,
        "task": chosen,
        "place": place.describe() | {"imagined": imagining is not None},
        "seed": seed,
        "episodes": len(trials),
        "episodes_per_scene": episodes_per_scene,
        "scenes": len({trial.scene for trial in trials}),
        "summary": {name: entry._asdict() for name, entry in summarise_trials(trials, seed).items()},
        "failures": count_failures(trials),
        "steps_of_this_run": walked,
        "seconds_of_this_run": seconds,
        "pictures": _draw(folder, trials, walker, chosen, place, truth, pictures, film),
        "versions": provenance.versions(),
        "device": provenance.device(),
        "trials": [_told(trial) for trial in trials],
    }
    data = provenance.plain(data)
    provenance.write_json(folder / "report.json", data)
    with atomic_write(folder / "report.md") as temporary:
        temporary.write_text(describe_policy(data))
    return data


def walk_plans(
    path: Path,
    walker: Contestant,
    task: str,
    place: Place,
    plans: Sequence[Plan],
    seed: int,
    episodes_per_scene: int,
    num_envs: int,
    progress: bool,
) -> tuple[list[Trial], int]:
    """The trials of a policy in a place, kept in ``path``, and how many steps were walked now."""
    about = {
        "policy": walker.name,
        "fingerprint": walker.fingerprint,
        "task": task,
        "body": dict(walker.body),
        "seed": seed,
        "episodes_per_scene": episodes_per_scene,
        **place.describe(),
    }
    begin, new = time.perf_counter(), list[Trial]()
    with tqdm(total=len(plans), unit="episode", disable=not progress, desc=f"{walker.name}, {place.name}") as bar:

        def finished(trial: Trial) -> None:
            new.append(trial)
            bar.update()
            steps = sum(one.steps for one in new) / (time.perf_counter() - begin)
            bar.set_postfix_str(f"{steps:.0f} steps/s, success {np.mean([one.success for one in new]):.2f}")

        trials = run_trials(
            path, about, plans, lambda: place.make_envs(walker, task, min(num_envs, len(plans))), walker.make, finished
        )
        bar.update(len(trials) - len(new))
    return trials, sum(trial.steps for trial in new)


def load_model(model: Any, walkers: Sequence[Contestant]) -> Any:
    """The world model to imagine with: ``model``, or that which the policies were trained with, or "tiny".

    Raises:
        ValueError: the policies were trained with different ones.
    """
    from mirage_env.world import WorldModel

    if isinstance(model, WorldModel):
        return model
    named = {str(walker.body["model"]): walker.name for walker in walkers if "model" in walker.body}
    if model is None and len(named) > 1:
        raise ValueError(
            f"the policies were trained with different models ({', '.join(named)}); say which one imagines with model"
        )
    return WorldModel.from_pretrained(model or next(iter(named), "tiny"))


def _draw(
    folder: Path,
    trials: Sequence[Trial],
    walker: Contestant,
    task: str,
    place: Place,
    truth: Any,
    count: int,
    film: bool,
) -> dict[str, str]:
    drawn: dict[str, str] = {}
    shown = [trials[i] for i in np.unique(np.linspace(0, len(trials) - 1, min(count, len(trials))).round().astype(int))]
    if shown and count:
        shown.sort(key=lambda trial: (str(trial.scene), trial.index))
        panels = [map_panel(trial, TrialMap(trial, truth).at()) for trial in shown]
        for trial, panel in zip(shown, panels, strict=True):
            save_png(folder / "maps" / f"{trial.index:05d}.png", side_by_side([panel], 0.62))
        save_png(folder / "maps.png", map_sheet(panels))
        drawn["maps"] = "maps.png"
    if film:
        chosen = film_trials(trials)
        (env,) = place.make_envs(walker, task, 1)
        write_mp4(folder / "walks.mp4", film_frames(chosen, env, truth), FILM_FPS)
        env.close()
        drawn["film"] = "walks.mp4"
    return drawn


def film_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Successes and failures in turn, at most ``FILM_EACH`` of each; of failures, different types first."""
    won = [trial for trial in trials if trial.success or trial.goal is None][:FILM_EACH]
    lost: list[Trial] = []
    left = [trial for trial in trials if not trial.success and trial.goal is not None]
    while left and len(lost) < FILM_EACH:
        alike = [sum(failure(one) == failure(trial) for one in lost) for trial in left]
        lost.append(left.pop(int(np.argmin(alike))))
    return [trial for pair in zip_longest(won, lost) for trial in pair if trial is not None]


def _told(trial: Trial) -> dict[str, Any]:
    """What the report says of one trial: not every place."""
    left_out = ("positions", "yaws", "actions")
    return {k: v for k, v in trial.to_json().items() if k not in left_out} | {"failure": failure(trial)}
