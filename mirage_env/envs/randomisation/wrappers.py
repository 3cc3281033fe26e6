"""Randomisation of environments that are there already."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from mirage_env.envs.navigation import NavigationEnv
from mirage_env.envs.randomisation.settings import make_randomisation
from mirage_env.envs.vector import NavigationVectorEnv


class Randomise(gymnasium.Wrapper, RecordConstructorArgs):  # type: ignore[misc]
    """An environment with ``randomise=settings``, as if it had been made so. Begins with a reset.

    Args:
        env: of this package, not randomised yet.
        settings: see ``make_randomisation``; ``seed`` among them.

    Raises:
        TypeError, ValueError: one sentence on an environment or a setting that does not do.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], **settings: Any) -> None:
        RecordConstructorArgs.__init__(self, **settings)
        super().__init__(env)
        if not isinstance(env.unwrapped, NavigationEnv):
            raise TypeError(f"only environments of mirage_env can be randomised, got {env.unwrapped!r}")
        env.unwrapped.randomise(make_randomisation(settings))


class RandomiseVector(gymnasium.vector.VectorWrapper):
    """Many environments with ``randomise=settings``; what each gives is what it gives alone. See ``Randomise``."""

    def __init__(self, env: gymnasium.vector.VectorEnv[Any, Any, Any], **settings: Any) -> None:
        super().__init__(env)
        if not isinstance(env.unwrapped, NavigationVectorEnv):
            raise TypeError(f"only vectors of environments of mirage_env can be randomised, got {env.unwrapped!r}")
        randomisation = make_randomisation(settings)
        for one in env.unwrapped.envs:
            one.randomise(randomisation)
