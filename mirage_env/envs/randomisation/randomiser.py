"""A randomisation at work in one environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mirage_env.envs.randomisation.draws import drawn_camera, drawn_lighting, executed, sensed
from mirage_env.envs.randomisation.equipment import Equipment, can_be_lit, equip, equipment_of
from mirage_env.envs.randomisation.settings import NOTHING, Randomisation
from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera, Motion, Simulator
from mirage_env.tasks.progress import Progress


class Randomiser:
    """Gives a simulator the camera and light of each episode, and motions and sensed poses their noise.

    With ``NOTHING`` to randomise it hands everything on and never touches the simulator.

    Args:
        simulator: of the environment; its camera at this moment is what is not randomised.
        settings: what is randomised.

    Raises:
        ValueError: the light is to be randomised, and the simulator has none that could be.
    """

    def __init__(self, simulator: Simulator, settings: Randomisation = NOTHING) -> None:
        if settings.lighting is not None and not can_be_lit(simulator):
            name = type(simulator).__name__
            raise ValueError(f"lighting needs a simulator with an attribute lighting; {name}, or its source, has none")
        self.settings = settings
        self._simulator = simulator
        self._plain = equipment_of(simulator)
        self._alters = settings.camera_height is not None or settings.hfov is not None or settings.lighting is not None

    @property
    def plain_camera(self) -> Camera:
        """The simulator's camera as far as nothing is drawn."""
        return self._plain.camera if self._alters else self._simulator.camera

    def camera(self, episode: int) -> Camera:
        """The simulator's camera in the episode of this seed."""
        return self._equipment(episode).camera if self._alters else self._simulator.camera

    def equip(self, episode: int) -> None:
        """Give the simulator the camera and light of the episode of this seed."""
        if self._alters:
            equip(self._simulator, self._equipment(episode))

    @contextmanager
    def equipped(self, episode: int) -> Iterator[None]:
        """Like ``equip``, and undone where the body fails."""
        before = equipment_of(self._simulator)
        self.equip(episode)
        try:
            yield
        except BaseException:
            if self._alters:
                equip(self._simulator, before)
            raise

    def executed(self, motion: Motion | None, now: Progress) -> Motion | None:
        """The motion that is made when this one is asked for."""
        return None if motion is None else executed(self.settings, motion, now.seed, now.steps)

    def sensed(self, pose: Array, now: Progress, ago: int = 0) -> Array:
        """T_world_camera (4, 4), where the camera was so many steps ago, as the agent's sensors told it then."""
        return sensed(self.settings, pose, now.seed, now.steps - ago)

    def _equipment(self, episode: int) -> Equipment:
        return self._plain.altered(drawn_camera(self.settings, episode), drawn_lighting(self.settings, episode))
