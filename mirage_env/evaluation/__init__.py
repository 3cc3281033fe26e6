"""How good an imagined world is: measures, baselines, and the evaluation against the truth."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirage_env.evaluation.evaluate import evaluate_world
    from mirage_env.evaluation.report import Report

__all__ = ["evaluate_world", "Report"]

_MODULE_OF = {"evaluate_world": "mirage_env.evaluation.evaluate", "Report": "mirage_env.evaluation.report"}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'mirage_env.evaluation' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value
