"""What worlds are judged by besides pictures: motion followed, ways blocked, stillness, the memory's size."""

from __future__ import annotations

from typing import Any

import numpy as np

from mirage_env.evaluation.collisions import compare_collisions, simulator_of, starts_in_view
from mirage_env.evaluation.episode import COLLIDE_AFTER, MIRAGE, STILL_AFTER, Episode
from mirage_env.evaluation.following import Following, camera_following
from mirage_env.evaluation.free_space import floor_agreement, seen_space
from mirage_env.evaluation.ghosts import ghost_study
from mirage_env.evaluation.stillness import stand_still
from mirage_env.evaluation.view_measures import EXACT, Numbers
from mirage_env.evaluation.walks import true_views
from mirage_env.simulators.rooms.simulator import RoomsSimulator


def following(episode: Episode) -> dict[str, Any]:
    """The camera motion recovered from pairs of generated views against the commanded one.

    ``truth`` is the same of true views: what the recovery itself is off.
    """
    numbers: Numbers = {}
    lists: dict[str, Any] = {}
    for name, walked in episode.walks.items():
        first = episode.followed(name)
        if not first:
            continue
        steps = [step for pair in first for step in (pair, pair + 1)]
        poses, pairs = walked.poses[steps], np.arange(0, len(steps), 2)
        K = episode.simulator.camera.intrinsics
        depth = np.stack([walked.mirage.frames[step].depth for step in steps])
        found = camera_following(walked.pictures(MIRAGE, steps), depth, poses, K, pairs)
        _collect(numbers, lists, MIRAGE, found)
        if name == "novel":
            rgb, depth = true_views(episode.simulator, poses, episode.settings.camera_height)
            _collect(numbers, lists, "truth", camera_following(rgb, depth, poses, K, pairs))
    return {"numbers": numbers, "lists": lists}


def _collect(numbers: Numbers, lists: dict[str, Any], who: str, found: Following) -> None:
    told = found.told
    for name, values in (("rotation_deg", found.rotation_deg), ("translation_m", found.translation)):
        lists.setdefault(f"{name}/{who}", []).extend(values[told].tolist())
    numbers[f"pairs/{who}"] = numbers.get(f"pairs/{who}", 0.0) + len(told)
    numbers[f"told/{who}"] = numbers.get(f"told/{who}", 0.0) + float(told.sum())


def collisions(episode: Episode) -> dict[str, Any]:
    """Single steps tried in truth and imagination, from places on the floor that the start view shows; free space."""
    walked, settings = episode.walks["novel"], episode.settings
    state = walked.mirage.states[min(COLLIDE_AFTER, settings.walk_steps)]
    floor = float(episode.start.position[1])
    truth = episode.simulator
    truth.reset(None, episode.start)
    first = walked.truth.at([0])
    camera = truth.camera
    seen = seen_space(first.depth, first.poses, camera.intrinsics, floor)
    imagined = simulator_of(episode.world, state, camera, floor, truth.agent_radius)
    tried = compare_collisions(truth, imagined, starts_in_view(truth, seen, episode.rng(4)), seen)
    numbers: Numbers = {}
    for name, part in (("seen", tried.seen), ("unseen", ~tried.seen)):
        true, said = tried.truth[part], tried.imagination[part]
        counts = {"steps": part.sum(), "blocked": true.sum(), "said": said.sum(), "hits": (true & said).sum()}
        numbers |= {f"{name}/{key}": float(value) for key, value in counts.items()}
    agreement = floor_agreement(truth, imagined, seen)
    numbers |= {
        "free/iou": agreement.iou,
        "free/free recall": agreement.free_recall,
        "free/blocked recall": agreement.blocked_recall,
        "free/area": agreement.area,
    }
    return {"numbers": numbers}


def growth(episode: Episode) -> dict[str, Any]:
    """Tokens and bytes of the memory after the two numbers of steps in one room, and their ratio.

    ``observed`` is the same of a memory to which a camera shows every view; ``surface`` is how much there was to see.
    """
    track, seen, steps = episode.room_walk, episode.room_sizes, episode.settings.growth_steps
    sizes = {"tokens": track.tokens, "bytes": track.nbytes}
    sizes |= {f"observed {key}": {step: seen[step][key] for step in steps} for key in ("tokens", "bytes")}
    sizes["surface"] = {step: seen[step]["surface"] for step in steps}
    numbers: Numbers = {}
    for key, size in sizes.items():
        numbers |= {f"{key}/{step}": float(size[step]) for step in steps}
        numbers[f"{key}/ratio"] = size[steps[1]] / size[steps[0]]
    return {"numbers": numbers}


def still(episode: Episode) -> dict[str, Any]:
    """A camera that stands still on the walk: its last view against the one it came by, and the change per step."""
    walked, settings = episode.walks["novel"], episode.settings
    state = walked.mirage.states[min(STILL_AFTER, settings.walk_steps)]
    found = stand_still(episode.world, state, steps=settings.still_steps).summary()
    numbers = {
        "psnr": min(found["last_to_first"], EXACT),
        "worst step": min(found["least_to_previous"], EXACT),
        "tokens written": found["written"],
    }
    return {"numbers": numbers}


def ghosts(episode: Episode) -> dict[str, Any]:
    """What is left of things that moved in a memory that watched them: see ``ghost_study``.

    Nothing in simulators that cannot let things move.
    """
    scenes, settings = episode.simulator, episode.settings
    if not isinstance(scenes, RoomsSimulator):
        return {"numbers": {}}
    moving = RoomsSimulator(
        episode.scene,
        scenes.camera,
        scenes.agent_radius,
        scenes.allow_sliding,
        scenes.samples,
        movers=settings.movers,
        mover_seed=settings.seed,
    )
    moving.reset(episode.scene)
    return {"numbers": ghost_study(moving, episode.world, settings.ghost_steps, settings.seed).to_dict()}
