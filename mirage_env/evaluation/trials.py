"""Walking episodes with a policy, many worlds at once, and keeping what came of them in a file to go on with."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate

from mirage_env import geometry
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.envs.vector import NavigationVectorEnv
from mirage_env.evaluation.provenance import plain
from mirage_env.evaluation.trial import DIGITS, Plan, Trial
from mirage_env.files import atomic_write
from mirage_env.geometry import Array
from mirage_env.policies.base import Policy

MakePolicy = Callable[[NavigationEnv, int], Policy]
"""The policy for one episode in this environment; the number is the seed of its own random choices."""
SAVE_EVERY = 10.0
"""Seconds of work that a killed evaluation loses, at most, besides the episodes under way."""
KNOWN = ("success", "spl", "soft_spl", "distance_to_goal", "path_length", "collided", "imagined_fraction")
"""What a trial says under names of its own."""


@dataclass
class _World:
    """A world with the episode that runs in it."""

    env: NavigationEnv
    plan: Plan
    policy: Policy
    observation: Any
    info: dict[str, Any]
    shortest: float
    positions: list[Any] = field(default_factory=list)
    yaws: list[float] = field(default_factory=list)
    actions: list[Any] = field(default_factory=list)
    closest: float = np.inf
    collisions: int = 0
    reward: float = 0.0
    imagined: float = 0.0

    def see(self, observation: Any, info: dict[str, Any]) -> None:
        self.observation, self.info = observation, info
        position, yaw = geometry.agent_pose(info["pose"], self.env.simulator.camera.height)
        self.positions.append(position)
        self.yaws.append(yaw)
        self.closest = min(self.closest, float(info["distance_to_goal"]))
        self.collisions += bool(info["collided"])
        self.imagined += float(info["imagined_fraction"])

    def finished(self, stopped: bool) -> Trial:
        info, steps = self.info, len(self.actions)
        extra = {k: float(v) for k, v in info.items() if k not in KNOWN and _is_number(v)}
        return Trial(
            index=self.plan.index,
            seed=self.plan.seed,
            scene=self.plan.scene,
            success=bool(info["success"]),
            spl=float(info["spl"]),
            soft_spl=float(info["soft_spl"]),
            distance_to_goal=float(info["distance_to_goal"]),
            closest=self.closest,
            shortest=self.shortest,
            path_length=float(info["path_length"]),
            steps=steps,
            collisions=self.collisions,
            stopped=stopped,
            reward=self.reward,
            positions=np.round(np.array(self.positions, dtype=np.float64), DIGITS),
            yaws=np.round(np.array(self.yaws, dtype=np.float64), DIGITS),
            actions=[np.asarray(action).tolist() for action in self.actions],
            goal=None if self.env.goal is None else np.round(np.asarray(self.env.goal, dtype=np.float64), DIGITS),
            measures=extra | {"imagined_fraction": self.imagined / (steps + 1)},
        )


def walk(envs: Sequence[NavigationEnv], make_policy: MakePolicy, plans: Sequence[Plan]) -> Iterator[Trial]:
    """Walk the planned episodes, as many at once as there are environments; trials as they end.

    What comes of an episode does not depend on how many worlds there are, nor on which of them it runs in: the
    environment is seeded, and each episode has a policy of its own, seeded alike.

    Args:
        envs: alike, each with a simulator of its own.
        make_policy: see ``MakePolicy``; reset before the first step.
        plans: in the order in which they are begun.

    Raises:
        TypeError, ValueError: an episode cannot be begun: one sentence, which names it.
    """
    waiting = deque(plans)
    worlds = [_begin(env, make_policy, waiting.popleft()) for env in envs[: len(plans)]]
    venv = None
    while worlds:
        # Ended worlds that get no new episode leave; the others go on in one batch.
        if venv is None or venv.num_envs != len(worlds):
            venv = NavigationVectorEnv([world.env for world in worlds], AutoresetMode.DISABLED)
        acting = [world.policy.act(world.observation, world.info) for world in worlds]
        observed, rewards, terminated, truncated, infos = venv.step(np.array(acting))
        going = []
        for i, (world, observation) in enumerate(zip(worlds, iterate(venv.observation_space, observed), strict=True)):
            world.actions.append(acting[i])
            world.reward += float(rewards[i])
            world.see(observation, {k: v[i] for k, v in infos.items() if not k.startswith("_")})
            if not (terminated[i] or truncated[i]):
                going.append(world)
                continue
            yield world.finished(stopped=bool(terminated[i]))
            if waiting:
                going.append(_begin(world.env, make_policy, waiting.popleft()))
        worlds = going


def _begin(env: NavigationEnv, make_policy: MakePolicy, plan: Plan) -> _World:
    try:
        options = None if plan.scene is None else {"scene": plan.scene}
        observation, info = env.reset(seed=plan.seed, options=options)
    except (ValueError, OSError) as error:
        raise type(error)(f"episode {plan.index} (seed {plan.seed}, scene {plan.scene!r}): {error}") from error
    policy = make_policy(env, plan.seed)
    policy.reset()
    position, _ = geometry.agent_pose(info["pose"], env.simulator.camera.height)
    shortest = math.nan if env.goal is None else _shortest(env.goal, position, float(info["distance_to_goal"]))
    world = _World(env, plan, policy, observation, info, shortest)
    world.see(observation, info)
    return world


def _shortest(goal: Array, position: Array, distance: float) -> float:
    """Metres by which SPL measures: no way is shorter than the straight line, which stands in for one not known."""
    straight = float(np.linalg.norm((goal - position)[[0, 2]]))
    return max(distance, straight) if math.isfinite(distance) else straight


def run_trials(
    path: Path,
    about: dict[str, Any],
    plans: Sequence[Plan],
    make_envs: Callable[[], Sequence[NavigationEnv]],
    make_policy: MakePolicy,
    finished: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """The trials of the plans, by index: those in the file, and the others, which are walked and kept there.

    Ctrl-C keeps whole episodes; the same call goes on.

    Args:
        path: a JSON file; see ``read_trials``.
        about: what the trials are of: policy, world, seed. A file of something else is refused.
        make_envs: called if there is something to walk; they are closed in the end.
        finished: called with each new trial.

    Raises:
        ValueError: the file is of something else, or an episode cannot be begun.
    """
    kept = read_trials(path, about)
    todo = [plan for plan in plans if plan.index not in kept]
    if todo:
        envs = make_envs()
        saved = time.monotonic()
        try:
            for trial in walk(envs, make_policy, todo):
                kept[trial.index] = trial
                finished(trial)
                if time.monotonic() - saved > SAVE_EVERY:
                    write_trials(path, about, kept)
                    saved = time.monotonic()
        finally:
            write_trials(path, about, kept)
            for env in envs:
                env.close()
    return [kept[index] for index in sorted(plan.index for plan in plans)]


def read_trials(path: Path, about: dict[str, Any]) -> dict[int, Trial]:
    """The trials in a file by index; none where there is no file.

    Raises:
        ValueError: the file is damaged, or of another policy, world or seed.
    """
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
        present = found["about"]
        trials = {int(one["index"]): Trial.from_json(one) for one in found["trials"]}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ValueError(f"{path} is damaged ({error}); remove it, or write to another folder") from error
    wanted = plain(about)
    differing = sorted(k for k in {*wanted, *present} if wanted.get(k) != present.get(k))
    if differing:
        raise ValueError(f"{path} holds trials of another {', '.join(differing)}; remove it, or use another folder")
    return trials


def write_trials(path: Path, about: dict[str, Any], trials: dict[int, Trial]) -> None:
    """Write trials, one a line, with what they are of."""
    lines = ",\n".join(json.dumps(trials[index].to_json(), allow_nan=False) for index in sorted(trials))
    with atomic_write(path) as temporary:
        temporary.write_text(f'{{"about": {json.dumps(plain(about))},\n"trials": [\n{lines}\n]}}\n')


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.bool_)
