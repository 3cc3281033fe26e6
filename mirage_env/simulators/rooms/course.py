"""What the movers of a scene did so far, as a value."""

from __future__ import annotations

from typing import NamedTuple

from mirage_env.simulators.rooms.movers import MoverState

KEPT_MOMENTS = 4096
"""So many moments of the past can still be seen."""


class Course(NamedTuple):
    """The movers from the last reset until now.

    Attributes:
        time: steps since the reset.
        past: their states at the last moments, the present one last.
        seed: that of the movers.
    """

    time: int
    past: tuple[tuple[MoverState, ...], ...]
    seed: int

    @property
    def present(self) -> tuple[MoverState, ...]:
        """Their states now."""
        return self.past[-1]

    def then(self, states: tuple[MoverState, ...]) -> Course:
        """One time step later."""
        return Course(self.time + 1, (*self.past[-(KEPT_MOMENTS - 1) :], states), self.seed)

    def at(self, time: int) -> tuple[MoverState, ...]:
        """Their states at a time of the past or now.

        Raises:
            ValueError: the time is to come, or too long ago.
        """
        oldest = self.time - len(self.past) + 1
        if not oldest <= time <= self.time:
            raise ValueError(f"where movers are is known for the time steps {oldest} to {self.time}, not for {time}")
        return self.past[time - self.time - 1]
