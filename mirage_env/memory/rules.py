"""The switches of a memory: what it writes, replaces, removes and evicts, and how it is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

MAX_ERROR = 0.5
"""Depth that is expected to be off by half of itself says nothing about where a surface is."""


@dataclass(frozen=True)
class MemoryRules:
    """How a ``LatentMemory`` writes and reads where its caller does not say otherwise. Every switch acts alone.

    Attributes:
        merge: write only cells that the memory does not explain yet (with a border of one cell around broad regions).
        footprint: read tokens as the pieces of surface that they saw; False puts each into one cell.
        sight_lines: what is imagined hides nothing from a read that a camera's view saw behind it.
        contradiction: a camera's view removes the tokens that it looks straight through.
        edges: leave out flying cells, whose depth lies between the two surfaces of a depth edge and belongs to neither.
        refine: a camera's view is written again where it samples a surface this many times as finely as the memory, by
            area, and replaces the coarser tokens there, as well as imagined ones at any fineness; None: neither adds
            detail nor replaces anything.
        detail: metres; tokens whose pieces of surface reach no farther than this from their centres are fine enough,
            and are not written again from nearer by. 0: none is.
        max_tokens: hard budget; None: none. Above it, the least trusted tokens go first (imagined before copied before
            seen), among equals the oldest; never those of the write just made.
        max_depth: metres; cells farther away (sky, unbounded views) are never written. ``inf``: no bound.
        max_error: fraction of depth; cells whose expected error is larger are not written. ``inf``: no bound.

    Raises:
        ValueError: a number is out of its range.
    """

    merge: bool = True
    footprint: bool = True
    sight_lines: bool = True
    contradiction: bool = True
    edges: bool = True
    refine: float | None = 4.0
    detail: float = 0.12
    max_tokens: int | None = None
    max_depth: float = 20.0
    max_error: float = MAX_ERROR

    def __post_init__(self) -> None:
        for name in ("merge", "footprint", "sight_lines", "contradiction", "edges"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if self.refine is not None and not _at_least(self.refine, 1.0):
            raise ValueError(f"refine must be a factor of at least 1, or None, got {self.refine!r}")
        if not _at_least(self.detail, 0.0) or math.isinf(self.detail):
            raise ValueError(f"detail must be a number of metres, 0 for no bound, got {self.detail!r}")
        tokens = self.max_tokens
        if tokens is not None and (isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1):
            raise ValueError(f"max_tokens must be a whole number of at least 1, or None, got {tokens!r}")
        for name in ("max_depth", "max_error"):
            if not _at_least(getattr(self, name), 0.0) or getattr(self, name) == 0:
                raise ValueError(f"{name} must be a positive number, inf for no bound, got {getattr(self, name)!r}")

    @classmethod
    def plain(cls) -> MemoryRules:
        """The textbook memory: appends everything, removes nothing, and a token lands in one cell."""
        return cls(
            merge=False,
            footprint=False,
            sight_lines=False,
            contradiction=False,
            edges=False,
            refine=None,
            detail=0.0,
            max_depth=math.inf,
            max_error=math.inf,
        )

    def overridden(
        self,
        merge: bool | None,
        refine: float | None,
        contradiction: bool | None,
        edges: bool | None,
        max_depth: float | None,
        max_error: float | None,
    ) -> MemoryRules:
        """These rules with what one call of ``write`` says otherwise (None: nothing).

        A call that says ``merge=False`` gets all of ``plain`` that it does not name itself, but for ``max_tokens``.
        """
        base = replace(MemoryRules.plain(), max_tokens=self.max_tokens) if merge is False else self
        told = {
            "merge": merge,
            "refine": refine,
            "contradiction": contradiction,
            "edges": edges,
            "max_depth": max_depth,
            "max_error": max_error,
        }
        changes: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
        if refine is not None and math.isinf(refine):
            changes["refine"] = None
        return replace(base, **changes) if changes else base

    def to_dict(self) -> dict[str, bool | float | int | None]:
        """Plain values by name, for files and reports."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _at_least(value: object, least: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= least
