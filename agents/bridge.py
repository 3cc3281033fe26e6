"""From Gymnasium's ``VectorEnv`` to stable-baselines3's ``VecEnv``: the same worlds, steps and arrays, other names."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

Array = np.ndarray[Any, Any]


class BridgedVecEnv(VecEnv):
    """The worlds of a ``VectorEnv`` as stable-baselines3 wants them.

    A world whose episode ends begins the next one in the same step: ``infos[i]`` is that of the end, with
    ``terminal_observation``, ``TimeLimit.truncated`` (the time was up and nothing else ended the episode, so its value
    is bootstrapped) and ``is_success`` where the task tells success; what the new episode told is in ``reset_infos``.

    Args:
        worlds: with ``autoreset_mode="SameStep"`` and a list ``envs`` of its single environments.

    Raises:
        TypeError: it is no ``VectorEnv``, or keeps its environments to itself.
        ValueError: another autoreset mode.
    """

    def __init__(self, worlds: VectorEnv[Any, Any, Any]) -> None:
        if not isinstance(worlds, VectorEnv):
            raise TypeError(f"the bridge needs a gymnasium.vector.VectorEnv, got {type(worlds).__name__}")
        if not isinstance(getattr(worlds, "envs", None), Sequence):
            raise TypeError("the bridge needs the single environments of the vector in its attribute envs")
        mode = worlds.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ValueError(
                f'stable-baselines3 resets at once: make the worlds with autoreset_mode="SameStep", not {mode}'
            )
        self.worlds = worlds
        self._actions: Any = None
        super().__init__(worlds.num_envs, worlds.single_observation_space, worlds.single_action_space)

    @property
    def envs(self) -> list[gym.Env[Any, Any]]:
        """The single environments."""
        return list(self.worlds.envs)  # pyright: ignore[reportAttributeAccessIssue]

    def reset(self) -> VecEnvObs:
        """Begin an episode in every world, with the seeds and options that were set, which count once."""
        options = next(iter(self._options))
        if any(other != options for other in self._options):
            raise ValueError("the worlds of a vector share the options of a reset; set the same for all")
        seeds: Any = None if all(seed is None for seed in self._seeds) else self._seeds
        observations, infos = self.worlds.reset(seed=seeds, options=options or None)
        self.reset_infos = _of_each(infos, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: Array) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, terminated, truncated, batched = self.worlds.step(self._actions)
        dones = terminated | truncated
        final_obs, final_info = batched.pop("final_obs", None), batched.pop("final_info", None)
        infos = _of_each(batched, self.num_envs)
        for i in np.flatnonzero(dones).tolist():
            self.reset_infos[i] = infos[i]
            infos[i] = _one_of(final_info, i) if isinstance(final_info, dict) else dict(final_info[i])
            infos[i]["terminal_observation"] = _observation(final_obs, i)
            if "success" in infos[i]:
                infos[i]["is_success"] = bool(infos[i]["success"])
        for i, info in enumerate(infos):
            info["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        return observations, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        self.worlds.close()

    def get_images(self) -> Sequence[Array | None]:
        """The views (H, W, 3) uint8 of all worlds, decoded together."""
        images: Any = self.worlds.render()
        return [None] * self.num_envs if images is None else list(images)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [env.get_wrapper_attr(attr_name) for env in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        for env in self._chosen(indices):
            env.set_wrapper_attr(attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        return [env.get_wrapper_attr(method_name)(*method_args, **method_kwargs) for env in self._chosen(indices)]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:  # pyright: ignore
        from stable_baselines3.common.env_util import is_wrapped

        return [is_wrapped(env, wrapper_class) for env in self._chosen(indices)]

    def _chosen(self, indices: VecEnvIndices) -> list[gym.Env[Any, Any]]:
        envs = self.envs
        return [envs[i] for i in self._get_indices(indices)]


def _of_each(batched: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """One dictionary per world from Gymnasium's, which has an array per key and a mask of whose values count."""
    infos: list[dict[str, Any]] = [{} for _ in range(count)]
    for key, values in batched.items():
        has = batched.get(f"_{key}")
        if key.startswith("_") or has is None:
            continue
        for i in np.flatnonzero(has).tolist():
            infos[i][key] = values[i]
    return infos


def _one_of(batched: dict[str, Any], world: int) -> dict[str, Any]:
    return {
        key: values[world] for key, values in batched.items() if not key.startswith("_") and batched[f"_{key}"][world]
    }


def _observation(batched: Any, world: int) -> Any:
    """The observation of one world from an array of them, or from a dictionary of arrays."""
    if isinstance(batched, dict):
        return {key: copy.copy(values[world]) for key, values in batched.items()}
    return batched[world]
