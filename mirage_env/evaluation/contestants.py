"""Policies by what one writes for them on the command line: the name of a known one, or the folder of a learned one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirage_env.envs.navigation import NavigationEnv
from mirage_env.envs.registration import ENTRY_POINTS
from mirage_env.evaluation.trials import MakePolicy
from mirage_env.policies.base import POLICY_FILE, Policy

CHECKPOINTS = "checkpoints"
BODY = (
    "resolution",
    "hfov",
    "camera_height",
    "forward_step",
    "turn_angle_deg",
    "allow_sliding",
    "actions",
    "model",
)
"""Arguments of ``gymnasium.make`` that an agent keeps wherever it goes: its camera, its legs, and what it sees with."""
WORLD = ("imagine", "start_depth", "num_start_views", "obstacles", "imagine_threshold", "tour")
"""Those that say how its world was imagined."""
KNOWN_OBSERVATIONS = {"PointNav": ("pointgoal",)}
"""What policies without a network observe, which look at ``info`` and the environment: little; others: the pose."""


@dataclass(frozen=True, eq=False)
class Contestant:
    """A policy that can be made for an environment.

    Attributes:
        name: by which reports call it; a policy's folder under that of its run.
        make: see ``MakePolicy``.
        task: that it was trained for, such as "PointNav"; None: any.
        observations: that it takes, keys or one bare key; None: it needs none.
        body, world: arguments of ``gymnasium.make`` that it was trained with.
        fingerprint: changes with its weights; "" for policies that are code.
        steps: of training; None for others than checkpoints.
    """

    name: str
    make: MakePolicy
    task: str | None = None
    observations: Any = None
    body: Mapping[str, Any] = field(default_factory=dict)
    world: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    steps: int | None = None

    def env_arguments(self, task: str) -> dict[str, Any]:
        """``observations`` and the body, for an environment of this task."""
        observations = KNOWN_OBSERVATIONS.get(task, ("pose",)) if self.observations is None else self.observations
        return {"observations": observations, **self.body}


def contestant(spec: str) -> Contestant:
    """The one policy that ``spec`` names: a known one, a policy's folder, or a run's, whose ``best`` or ``last`` it is.

    Raises:
        FileNotFoundError, ValueError: one sentence.
    """
    folder = Path(spec)
    if not folder.is_dir():
        return _named(spec)
    for place in (folder, folder / "best", folder / "last"):
        if (place / POLICY_FILE).is_file():
            return _learned(place)
    raise FileNotFoundError(
        f"{folder} holds no {POLICY_FILE}, nor does best or last in it; give the folder of a trained policy"
    )


def contestants(specs: Sequence[str]) -> list[Contestant]:
    """The policies that ``specs`` name; of a run with checkpoints, all of these, by their steps.

    Raises:
        FileNotFoundError, ValueError: one sentence on one that does not exist, or was named twice.
    """
    found: list[Contestant] = []
    for spec in specs:
        kept = sorted(Path(spec).glob(f"{CHECKPOINTS}/*/{POLICY_FILE}"), key=lambda path: _steps(path) or 0)
        found += [_learned(path.parent) for path in kept] or [contestant(spec)]
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"each policy can be named once, got {', '.join(twice)} more than once")
    return found


def common_task(found: Sequence[Contestant], task: str | None) -> str:
    """The task that all of these policies do: ``task``, or that of the learned ones, or PointNav.

    Raises:
        ValueError: an unknown task, or a policy that was trained for another.
    """
    tasks = {one.task: one.name for one in found if one.task is not None}
    chosen = task or next(iter(tasks), "PointNav")
    known = {env_id.split("/")[1].split("-")[0].lower(): env_id.split("/")[1].split("-")[0] for env_id in ENTRY_POINTS}
    if chosen.lower() not in known:
        raise ValueError(f"unknown task {chosen!r}; valid are {', '.join(known.values())}")
    chosen = known[chosen.lower()]
    for other, name in tasks.items():
        if other != chosen:
            raise ValueError(f"{name} was trained for {other}; it cannot be evaluated in {chosen}")
    return chosen


def with_common_body(found: Sequence[Contestant]) -> list[Contestant]:
    """The same, those that have no body of their own in that of the first learned one: they walk with its steps.

    Raises:
        ValueError: two learned ones differ in their actions or steps, so that no world is the same for both.
    """
    learned = [one for one in found if one.body]
    if not learned:
        return list(found)
    first = learned[0]
    for one in learned[1:]:
        for name in ("actions", "forward_step", "turn_angle_deg"):
            ours, theirs = first.body.get(name), one.body.get(name)
            if ours is not None and theirs is not None and ours != theirs:
                raise ValueError(
                    f"{first.name} and {one.name} were trained with another {name} ({ours!r} and {theirs!r}); "
                    "compare policies of one kind of agent"
                )
    shared = {k: v for k, v in first.body.items() if k != "flatten"}
    return [
        one if one.body else Contestant(one.name, one.make, one.task, one.observations, shared, first.world)
        for one in found
    ]


def _named(spec: str) -> Contestant:
    if "/" in spec:
        raise FileNotFoundError(f"there is no folder {spec}; give that of a trained policy, or the name of a known one")
    from mirage_env.envs.factory import make_image_nav, make_point_nav
    from mirage_env.policies.named import make_policy, needs

    task, observations = needs(spec)
    # Made once in the plainest world, so that a wrong name is known before anything is walked.
    make_plain = make_point_nav if task is None else make_image_nav
    make_policy(
        spec, make_plain(simulator="rooms", scenes="toy", resolution=32, observations=observations or "pose"), 0
    )
    return Contestant(spec, lambda env, seed: make_policy(spec, env, seed), task, observations or None)


def _learned(folder: Path) -> Contestant:
    from mirage_env.policies.learned import SETTINGS, WEIGHTS, check_fits, load_policy

    policy = load_policy(folder)
    settings = policy.settings
    arguments = {"actions": settings.actions, **settings.env}

    def make(env: NavigationEnv, seed: int) -> Policy:
        check_fits(settings, env.observation_space, env.action_space)
        return policy.again(seed)

    return Contestant(
        name=_label(folder),
        make=make,
        task=settings.task,
        observations=settings.observations,
        body={name: arguments[name] for name in BODY if name in arguments} | {"flatten": False},
        world={name: arguments[name] for name in WORLD if name in arguments},
        fingerprint=hashlib.sha256((folder / SETTINGS).read_bytes() + (folder / WEIGHTS).read_bytes()).hexdigest()[:12],
        steps=_steps(folder / SETTINGS),
    )


def _label(folder: Path) -> str:
    """Such as "a/best" of runs/a/best, and "a/20000" of runs/a/checkpoints/20000."""
    parts = [part for part in folder.resolve().parts if part != CHECKPOINTS]
    return "/".join(parts[-2:])


def _steps(path: Path) -> int | None:
    digits = re.findall(r"\d+", path.parent.name)
    return int(digits[-1]) if digits and path.parent.parent.name == CHECKPOINTS else None
