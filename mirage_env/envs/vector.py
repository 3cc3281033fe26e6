"""Many environments as one: a step reads, imagines and writes all their worlds in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array

from mirage_env.envs.actions import Command
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.envs.options import check_options
from mirage_env.envs.vector_input import check_actions, check_autoreset_mode, check_envs, check_seeds, split_mask
from mirage_env.envs.worlds import is_imagined
from mirage_env.geometry import Array
from mirage_env.simulators.batch import step_many

Outcome = tuple[Any, float, bool, bool, dict[str, Any]]


class NavigationVectorEnv(VectorEnv[Any, Any, Array]):
    """N environments that step together; what each gives is what it gives alone.

    Spaces, observations, rewards and infos are those of ``NavigationEnv``, batched as ``SyncVectorEnv`` batches them:
    arrays with a leading N, and in ``infos`` beside each key a mask ``_key`` of the worlds that have it. Arrays are new
    at every step.

    Args:
        envs: N different environments with equal spaces, each with a simulator of its own.
        autoreset_mode: what happens to a world whose episode ended, as Gymnasium defines it: ``NEXT_STEP`` resets it
            in the next step, whose action it ignores; ``SAME_STEP`` at once, and ``infos`` has its last observation and
            info as ``final_obs`` and ``final_info``; ``DISABLED`` leaves that to
            ``reset(options={"reset_mask": ...})``.

    Attributes:
        envs: the environments, one per world: ``envs[3].state`` is the state of the fourth. Step them only together.

    Raises:
        TypeError, ValueError: no environments, unequal ones, shared simulators, or an unknown mode.
    """

    def __init__(
        self, envs: Sequence[NavigationEnv], autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP
    ) -> None:
        mode = check_autoreset_mode(autoreset_mode)
        check_envs(envs)
        self.envs = list(envs)
        self.num_envs = len(self.envs)
        self.autoreset_mode = mode
        self.metadata = {**NavigationEnv.metadata, "autoreset_mode": mode}
        self.render_mode = envs[0].render_mode
        self.single_action_space = envs[0].action_space
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.single_observation_space = envs[0].observation_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._decodes = "rgb" in envs[0].observations.keys
        self._observed: list[Any] = [None] * self.num_envs
        self._ended = np.zeros(self.num_envs, dtype=np.bool_)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every world, or in those of a mask.

        Args:
            seed: of world i: ``seed + i`` for a number, ``seed[i]`` for a sequence; None: its generator goes on.
            options: those of ``NavigationEnv.reset``, the same for all worlds, and
                reset_mask: (N,) bool array, the worlds to begin anew (at least one). The others stay as they are, and
                    their observations are repeated; ``infos`` is of those that were reset.

        Raises:
            TypeError, ValueError, FileNotFoundError: one sentence on the first thing that is wrong. Nothing has changed
                then, unless a world found no episode such as the options ask for: worlds of the mask then have none.
            gymnasium.error.ResetNeeded: for a mask that leaves out worlds in which no episode has begun yet.
            gymnasium.error.ClosedEnvironmentError: after ``close``.
        """
        self._check_open("reset")
        seeds = check_seeds(seed, self.num_envs)
        shared, mask = split_mask(options, self.num_envs)
        check_options(shared, self.envs[0].task, is_imagined(self.envs[0].simulator), self.envs[0].playlist)
        chosen = range(self.num_envs) if mask is None else np.flatnonzero(mask).tolist()
        unknown = [i for i in range(self.num_envs) if self._observed[i] is None and i not in chosen]
        if unknown:
            raise ResetNeeded(f"no episode has begun in {_worlds(unknown)}; call reset() without a reset_mask first")
        for i in chosen:
            self.envs[i].abandon()
            self._ended[i] = False
        begun: dict[int, tuple[Any, dict[str, Any]]] = {}
        try:
            for i in chosen:
                begun[i] = self.envs[i].reset(seed=seeds[i], options=shared)
        except Exception:
            for i in begun:
                self.envs[i].abandon()
            raise
        infos: dict[str, Any] = {}
        for i, (observed, info) in begun.items():
            self._observed[i] = observed
            infos = self._add_info(infos, info, i)
        return self._batched(), infos

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Act in every world.

        Args:
            actions: one per world, as ``action_space`` has them: (N,) whole numbers, or (N, k) numbers. That of a world
                which ``NEXT_STEP`` resets is not looked at.

        Returns:
            Observations, rewards (N,) float64, terminations and truncations (N,) bool, infos.

        Raises:
            ValueError: for actions outside the space; no world has changed then.
            gymnasium.error.ResetNeeded: before the first ``reset``; with ``DISABLED``, while an episode has ended.
            gymnasium.error.ClosedEnvironmentError: after ``close``.
        """
        self._check_open("step")
        acting = check_actions(actions, self.single_action_space, self.num_envs)
        resetting = self._ended.copy() if self.autoreset_mode is AutoresetMode.NEXT_STEP else np.zeros_like(self._ended)
        idle = [i for i, env in enumerate(self.envs) if not (env.running or resetting[i])]
        if idle:
            raise ResetNeeded(
                f'no episode is running in {_worlds(idle)}; call reset(), or reset(options={{"reset_mask": mask}}) '
                "for these alone, before step()"
            )
        commands = {i: self._command(i, acting[i]) for i in np.flatnonzero(~resetting).tolist()}
        outcomes: dict[int, Outcome] = {}
        for i in np.flatnonzero(resetting).tolist():
            observed, info = self.envs[i].reset()
            outcomes[i] = (observed, 0.0, False, False, info)
        outcomes.update(self._stepped(commands))
        return self._results([outcomes[i] for i in range(self.num_envs)])

    def render(self) -> tuple[Array | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The views of all worlds, each (H, W, 3) uint8 with ``render_mode="rgb_array"``, else None.

        Raises:
            gymnasium.error.ResetNeeded: before the first ``reset``.
            gymnasium.error.ClosedEnvironmentError: after ``close``.
        """
        self._check_open("render")
        if self.render_mode is not None:
            _decode([env.view for env in self.envs])
        return tuple(env.render() for env in self.envs)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments; what the worlds hold is let go of with this object."""
        for env in self.envs:
            env.close()

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The random generators of the worlds."""
        return tuple(env.np_random for env in self.envs)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The seeds of the worlds' random generators; -1 where it is unknown."""
        return tuple(env.np_random_seed for env in self.envs)

    def _command(self, world: int, action: Any) -> Command:
        try:
            return self.envs[world].command(action)
        except ValueError as error:
            raise ValueError(f"world {world}: {error}") from None

    def _stepped(self, commands: dict[int, Command]) -> dict[int, Outcome]:
        """What the worlds with these commands give; all that move do so in one batch."""
        made = {i: self.envs[i].motion(command) for i, command in commands.items()}
        motions = {i: motion for i, motion in made.items() if motion is not None}
        seen = dict(
            zip(motions, step_many([self.envs[i].simulator for i in motions], [*motions.values()]), strict=True)
        )
        if self._decodes:
            _decode([view for view, _ in seen.values()])
        return {i: self.envs[i].arrive(command, seen.get(i)) for i, command in commands.items()}

    def _results(self, outcomes: list[Outcome]) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        infos: dict[str, Any] = {}
        observed, rewards, terminated, truncated, given = (list(column) for column in zip(*outcomes, strict=True))
        terminations, truncations = np.array(terminated, dtype=np.bool_), np.array(truncated, dtype=np.bool_)
        self._ended = terminations | truncations
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            for i in np.flatnonzero(self._ended).tolist():
                infos = self._add_info(infos, {"final_obs": observed[i], "final_info": given[i]}, i)
                observed[i], given[i] = self.envs[i].reset()
        # All infos have the same keys: what ``_add_info`` does world by world is done key by key.
        everywhere = np.ones(self.num_envs, dtype=np.bool_)
        for key in given[0]:
            kind = object if isinstance(given[0][key], str) else None
            infos[key], infos[f"_{key}"] = np.array([info[key] for info in given], dtype=kind), everywhere.copy()
        self._observed = observed
        return self._batched(), np.array(rewards, dtype=np.float64), terminations, truncations, infos

    def _batched(self) -> Any:
        space = self.single_observation_space
        return concatenate(space, self._observed, cast(Any, create_empty_array(space, self.num_envs, np.empty)))

    def _check_open(self, name: str) -> None:
        if self.closed:
            raise ClosedEnvironmentError(f"{name}() was called on a closed environment; make a new one")


def _decode(views: Sequence[Any]) -> None:
    """Decode the pixels of imagined views in one pass; true ones are rendered when they are looked at."""
    frames = [view for view in views if hasattr(view, "decode")]
    if frames:
        from mirage_env.frame import decode_together

        decode_together(frames)


def _worlds(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
    return f"world {shown}" if len(numbers) == 1 else f"worlds {shown}"
