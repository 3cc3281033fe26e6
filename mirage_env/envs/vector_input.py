"""What a vector of environments is given, checked before any world changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from mirage_env.envs.navigation import NavigationEnv
from mirage_env.geometry import Array


def check_num_envs(count: Any) -> int:
    """The number of worlds; TypeError or ValueError unless it is a whole number of at least 1."""
    if isinstance(count, bool) or not isinstance(count, int | np.integer):
        raise TypeError(f"num_envs must be a whole number of worlds, got {count!r}")
    if count < 1:
        raise ValueError(f"num_envs must be at least 1, got {count}")
    return int(count)


def check_autoreset_mode(mode: Any) -> AutoresetMode:
    """The mode; ValueError unless it is an ``AutoresetMode`` or the value or name of one."""
    for known in AutoresetMode:
        if mode is known or (isinstance(mode, str) and mode in (known.value, known.name)):
            return known
    valid = ", ".join(known.value for known in AutoresetMode)
    raise ValueError(f"unknown autoreset_mode {mode!r}; valid are {valid}")


def check_envs(envs: Sequence[NavigationEnv]) -> None:
    """Raise ValueError unless these are environments of one kind, each with a simulator of its own."""
    if not len(envs):
        raise ValueError("a vector of environments needs at least one")
    first = envs[0]
    for i, env in enumerate(envs):
        if env.observation_space != first.observation_space or env.action_space != first.action_space:
            raise ValueError(f"all environments need equal spaces, but those of world {i} differ from those of world 0")
        if env.render_mode != first.render_mode:
            raise ValueError(
                f"all environments need one render_mode, got {first.render_mode!r} and {env.render_mode!r}"
            )
    if len({id(env.simulator) for env in envs}) < len(envs):
        raise ValueError("every world needs a simulator of its own: give one object per world, or the name of one")


def check_actions(actions: Any, space: spaces.Space[Any], count: int) -> Array:
    """One action per world, as an array (count, ...); what each means is checked by ``Actions.command``.

    Raises:
        ValueError: for another number of actions, another shape, or numbers of another kind.
    """
    discrete = isinstance(space, spaces.Discrete)
    shape = (count, *(space.shape or ()))
    try:
        array = np.asarray(actions)
    except (TypeError, ValueError):
        array = np.empty(0, dtype=object)
    kinds = "iu" if discrete else "iuf"
    if array.shape != shape or array.dtype.kind not in kinds:
        wanted = f"{count} whole numbers" if discrete else f"numbers of shape {shape}"
        raise ValueError(
            f"actions must be {wanted}, one action per world, got {array.dtype} values of shape {array.shape}"
        )
    return array


def split_mask(options: Any, count: int) -> tuple[Any, Array | None]:
    """Options of a reset without ``reset_mask``, and that mask; None where there is none.

    Raises:
        TypeError, ValueError: unless the mask is a (count,) bool array with a True in it.
    """
    if not isinstance(options, Mapping):
        return options, None
    others = {name: value for name, value in options.items() if name != "reset_mask"}
    mask = options.get("reset_mask")
    return others, None if mask is None else _check_mask(mask, count)


def _check_mask(mask: Any, count: int) -> Array:
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        found = f"{mask.dtype} array" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(f"reset_mask must be a numpy array of bool, one per world, got {found}")
    if mask.shape != (count,):
        raise ValueError(f"reset_mask must have shape ({count},), one bool per world, got {mask.shape}")
    if not mask.any():
        raise ValueError("reset_mask must name at least one world, but all of it is False")
    return mask


def check_seeds(seed: Any, count: int) -> list[int | None]:
    """The seed of each world: ``seed + i`` for a number, the i-th of a sequence, or None.

    Raises:
        TypeError: for anything but whole numbers and None.
        ValueError: for negative numbers, or a sequence of another length.
    """
    if seed is None or _is_whole(seed):
        seeds = [None if seed is None else int(seed) + i for i in range(count)]
    elif isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str):
        if len(seed) != count:
            raise ValueError(f"a sequence of seeds needs one per world, got {len(seed)} for {count} worlds")
        wrong = [one for one in seed if not (one is None or _is_whole(one))]
        if wrong:
            raise TypeError(f"seeds must be whole numbers or None, got {wrong[0]!r}")
        seeds = [None if one is None else int(one) for one in seed]
    else:
        raise TypeError(f"seed must be a whole number, a sequence of one per world, or None, got {seed!r}")
    negative = [one for one in seeds if one is not None and one < 0]
    if negative:
        raise ValueError(f"seeds must be 0 or above, got {negative[0]}")
    return seeds


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
