"""Mirage Env: train robots in worlds imagined from one image, kept as a latent 3-D memory.

Importing this package registers the ``Mirage/...`` environments with Gymnasium and loads nothing heavy: the public
names below are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mirage_env.envs.registration import register

if TYPE_CHECKING:
    from mirage_env.memory import LatentMemory
    from mirage_env.world import Frame, WorldModel, WorldState

__version__ = "0.1.0"
__all__ = ["LatentMemory", "WorldModel", "WorldState", "Frame", "__version__"]

_MODULE_OF = {
    "LatentMemory": "mirage_env.memory",
    "WorldModel": "mirage_env.world",
    "WorldState": "mirage_env.world",
    "Frame": "mirage_env.world",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'mirage_env' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register()
