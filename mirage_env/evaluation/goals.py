"""The figures that a world should reach, and whether it does."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mirage_env.evaluation.episode import MEMORY_OFF, REFERENCE, RGB
from mirage_env.evaluation.settings import Settings
from mirage_env.evaluation.summary import Entry, Summary


@dataclass(frozen=True)
class Goal:
    """One figure.

    Attributes:
        text: what is measured.
        part, key: where its number is in a ``Summary``.
        at_least, at_most: the bound; exactly one is given.
        unit: written after the numbers.
        digits: after the point.
    """

    text: str
    part: str
    key: str
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "dB"
    digits: int = 1

    @property
    def bound(self) -> str:
        """The goal in words, such as "≥ 33 dB"."""
        sign, value = ("≥", self.at_least) if self.at_least is not None else ("≤", self.at_most)
        return f"{sign} {value:g} {self.unit}".rstrip()

    def reached(self, entry: Entry) -> bool | None:
        """Whether the number is within the bound; None where there is no number."""
        if not math.isfinite(entry.mean):
            return None
        if self.at_least is not None:
            return entry.mean >= self.at_least
        assert self.at_most is not None
        return entry.mean <= self.at_most


def goals(settings: Settings) -> list[Goal]:
    """All goals that an evaluation with these settings can speak of."""
    loop = 128
    found = [
        Goal("codec ceiling, PSNR", "novel", "codec ceiling", at_least=33),
        Goal(
            f"seen cells after {settings.seen_step} steps, below their ceiling",
            "loops",
            "seen/below ceiling",
            at_most=3.5,
        ),
    ]
    if loop in settings.loops:
        found += [
            Goal(f"closed loop of {loop} steps, below the ceiling", "loops", f"below ceiling/{loop}", at_most=3.5),
            Goal("… above memory off", "loops", f"above {MEMORY_OFF}/{loop}", at_least=7),
            Goal("… above the RGB point memory", "loops", f"above {RGB}/{loop}", at_least=1),
            Goal("… above the reference-style read", "loops", f"above {REFERENCE}/{loop}", at_least=2),
        ]
    first, last = settings.loops[0], settings.loops[-1]
    if (first, last) == (32, 512):
        found.append(Goal(f"drift, loop of {last} steps against {first}", "loops", "drift", at_most=1))
    early, late = settings.growth_steps
    turn, place = "rotation_deg/mirage/median", "translation_m/mirage/median"
    still = f"standing still for {settings.still_steps} steps, last view against first"
    return found + [
        Goal("depth of the frames, AbsRel", "depth", "abs_rel/frame/whole", at_most=0.08, unit="", digits=3),
        Goal("camera following per step, turn, median", "following", turn, at_most=0.5, unit="°", digits=2),
        Goal("camera following per step, place, median", "following", place, at_most=0.015, unit="m", digits=4),
        Goal("blocked steps in seen space, F1", "collisions", "seen/f1", at_least=0.9, unit="", digits=3),
        Goal(f"memory after {late} steps in one room against {early}", "growth", "bytes/ratio", None, 1.15, "×", 2),
        Goal(still, "still", "psnr", at_least=35),
        Goal("imagine new, views of a loop, below imagine always", "imagine", "below always", at_most=0.2, digits=2),
        Goal("error rises over the bins of `imagined` (1: yes)", "calibration", "monotone", 1.0, unit="", digits=0),
        Goal("ghosts with movers, fewer with contradiction on", "ghosts", "fewer", at_least=0.9, unit="", digits=2),
    ]


def score(summary: Summary, settings: Settings) -> list[tuple[Goal, Entry, bool | None]]:
    """Every goal with its number and whether it was reached."""
    entries = [(goal, summary.get(goal.part, goal.key)) for goal in goals(settings)]
    return [(goal, entry, goal.reached(entry)) for goal, entry in entries]
