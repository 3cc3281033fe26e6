"""The truth test: does a policy that is better in imagination do better in truth, and in which imagination?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mirage_env.evaluation import provenance
from mirage_env.evaluation.contestants import Contestant, common_task, contestants, with_common_body
from mirage_env.evaluation.evaluate_policy import load_model, walk_plans
from mirage_env.evaluation.places import Place, file_name, keep_scenes, true_simulator
from mirage_env.evaluation.ranking_plots import draw_ranking
from mirage_env.evaluation.ranking_statistics import LEAST_POLICIES, behind_best, compare
from mirage_env.evaluation.ranking_text import describe_ranking
from mirage_env.evaluation.trial import Trial, count_failures, plan_episodes
from mirage_env.evaluation.trial_summary import summarise_trials, values
from mirage_env.evaluation.world_settings import DEFAULT, world_settings
from mirage_env.files import atomic_write, writable_folder
from mirage_env.geometry import Array

MEASURES = ("success", "spl", "soft_spl")
NOT_RANKED = ("imagined_fraction",)


def rank_policies(
    policies: Sequence[str | Contestant],
    out: str | Path,
    simulator: str = "rooms",
    scenes: Any = "test",
    episodes: int = 100,
    settings: Sequence[str] = (DEFAULT,),
    *,
    task: str | None = None,
    model: Any = None,
    seed: int = 0,
    episodes_per_scene: int = 10,
    num_envs: int = 8,
    max_episode_steps: int = 500,
    progress: bool = True,
) -> dict[str, Any]:
    """Walk the same episodes with each policy in truth and in every imagination, and say how well these agree.

    Writes report.json, report.md and plots into ``out``. What was walked is kept, in a file per policy and world: an
    interrupted ranking goes on where it stopped, and policies, settings and episodes can be added.

    Args:
        policies: at least three; see ``contestants.contestants``.
        simulator: the truth.
        scenes: as it takes them.
        settings: of the imagined worlds, see ``world_settings.world_setting``.
        model: that imagines; None: the one that learned policies were trained with, else "tiny".
        The others are those of ``evaluate_policy``.

    Returns:
        What report.json says.

    Raises:
        ValueError, FileNotFoundError: one sentence on the first thing that is wrong, before anything is walked.
    """
    found = [c for policy in policies for c in ([policy] if isinstance(policy, Contestant) else contestants([policy]))]
    names = [walker.name for walker in found]
    if len(found) < LEAST_POLICIES:
        raise ValueError(f"a ranking needs at least {LEAST_POLICIES} policies, got {len(found)}: {', '.join(names)}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"each policy can be named once, got {', '.join(twice)} more than once")
    walkers, chosen = with_common_body(found), common_task(found, task)
    truth = true_simulator(simulator, scenes)
    plans = plan_episodes(episodes, getattr(truth, "scenes", None), seed, episodes_per_scene)
    imagined = world_settings(settings, load_model(model, walkers))
    places = [Place(simulator, scenes, setting, max_episode_steps) for setting in (None, *imagined)]
    folder = writable_folder(out)
    keep_scenes(simulator, len({plan.scene for plan in plans}) + num_envs)
    begin, walked = time.perf_counter(), 0
    trials: dict[str, dict[str, list[Trial]]] = {}
    for place in places:
        trials[place.name] = {}
        for walker in walkers:
            path = folder / "trials" / file_name(place.name) / f"{file_name(walker.name)}.json"
            common = (seed, episodes_per_scene, num_envs, progress)
            trials[place.name][walker.name], steps = walk_plans(path, walker, chosen, place, plans, *common)
            walked += steps
    data = {
        "evaluation": "ranking",
        "task": chosen,
        "simulator": simulator,
        "scenes": repr(scenes),
        "model": places[1].describe()["model"],
        "seed": seed,
        "episodes": len(plans),
        "episodes_per_scene": episodes_per_scene,
        "scenes_used": len({plan.scene for plan in plans}),
        "max_episode_steps": max_episode_steps,
        "policies": [{"name": w.name, "fingerprint": w.fingerprint, "steps": w.steps} for w in walkers],
        **compare_places(trials, seed),
        "steps_of_this_run": walked,
        "seconds_of_this_run": time.perf_counter() - begin,
        "versions": provenance.versions(),
        "device": provenance.device(),
    }
    data["pictures"] = draw_ranking(folder, data)
    # What was measured as NaN is said to be undefined, with the reason beside it.
    data = provenance.plain(data)
    provenance.write_json(folder / "report.json", data)
    with atomic_write(folder / "report.md") as temporary:
        temporary.write_text(describe_ranking(data))
    return data


def compare_places(trials: Mapping[str, Mapping[str, Sequence[Trial]]], seed: int) -> dict[str, Any]:
    """Means of every policy in every world, and by setting what ``ranking_statistics.compare`` says.

    Args:
        trials: by world, "truth" among them, and policy; the same episodes in the same order for all.
        seed: of the bootstrap.
    """
    true = trials["truth"]
    names = _measures(trials)
    means = {
        place: {
            policy: {
                "summary": {k: v._asdict() for k, v in summarise_trials(walked, seed).items()},
                "failures": count_failures(walked),
            }
            for policy, walked in by_policy.items()
        }
        for place, by_policy in trials.items()
    }
    tables = {place: {name: _table(by_policy, name) for name in names} for place, by_policy in trials.items()}
    compared = {place: compare(tables[place], tables["truth"], seed) for place in trials if place != "truth"}
    for name in names:
        behind = behind_best({place: tables[place][name] for place in compared}, tables["truth"][name], seed)
        for place, estimate in behind.items():
            compared[place]["measures"][name]["behind"] = estimate._asdict()
    for found in compared.values():
        if "agreement_by_policy" in found:
            found["agreement_by_policy"] = dict(zip(true, found["agreement_by_policy"], strict=True))
    return {"measures": list(names), "worlds": means, "settings": compared}


def _measures(trials: Mapping[str, Mapping[str, Sequence[Trial]]]) -> tuple[str, ...]:
    """What policies are ranked by: the measures of navigation, or those of a task without goals."""
    every = [trial for by_policy in trials.values() for walked in by_policy.values() for trial in walked]
    if any(trial.goal is not None for trial in every):
        return MEASURES
    names = sorted(name for name in every[0].measures if name not in NOT_RANKED)
    known = [name for name in names if all(np.isfinite(trial.measures.get(name, np.nan)) for trial in every)]
    if not known:
        raise ValueError("there is nothing to rank by: the episodes have no goal, and their task measures nothing")
    return tuple(known)


def _table(by_policy: Mapping[str, Sequence[Trial]], name: str) -> Array:
    """(P, E) of a measure."""
    return np.stack([values(walked, name) for walked in by_policy.values()])
