"""What a world model is compared with: the same networks and the same loop around another memory, or around less.

Every baseline is a ``WorldModel`` and a way to imagine, so whatever steps a world can step a baseline: a rollout, an
environment, a planner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mirage_env.evaluation.reference_memory import ReferenceMemory
from mirage_env.evaluation.rgb_memory import RGBMemory
from mirage_env.evaluation.rollout import Rollout, roll_out
from mirage_env.evaluation.trivial_memories import LastView, NoMemory
from mirage_env.memory import SpatialMemory
from mirage_env.world import Imagine, WorldModel


@dataclass(frozen=True)
class Variant:
    """One method of a comparison.

    Attributes:
        name: by which reports call it.
        text: what it is, in a few words.
        world: to ``start``, ``observe`` and ``step``.
        imagine: what to step it with.
    """

    name: str
    text: str
    world: WorldModel
    imagine: Imagine = "new"

    def roll_out(self, image: Any, poses: Any, **options: Any) -> Rollout:
        """As ``rollout.roll_out``, without its ``world`` and ``imagine``."""
        return roll_out(self.world, image, poses, imagine=self.imagine, **options)


def variants(world: WorldModel) -> dict[str, Variant]:
    """The world and its baselines by name, in the order of reports.

    "mirage"
        The world itself.
    "rgb_memory"
        Coloured points at pixel resolution, drawn and encoded again for every view: see ``RGBMemory``. It keeps the
        camera's own pixels, which never went through the codec.
    "rgb_memory_decoded"
        The same, coloured by what the codec kept of the camera's image, as the points of imagined views are anyway.
    "reference_read"
        Every token of every frame, read as the published code of Mirage does: see ``ReferenceMemory``.
    "readout"
        What the memory of the start view (and of later observations) shows, decoded without the denoiser. Nothing is
        imagined or written; cells that the memory does not show are black, and not ``visible``.
    "memory_off"
        Every view is imagined from nothing, with the noise of its step. Before the first step the start view is still
        shown.
    "repeat_last"
        The frame of the step before once more, which is the last view that a camera gave to the world: without later
        observations the start view, through the codec, at every step. Its depth is that of the start view.
    """
    codec = world.codec
    memories: dict[str, tuple[str, Callable[[], SpatialMemory]]] = {
        "rgb_memory": ("coloured points, drawn and encoded again", lambda: RGBMemory(codec)),
        "rgb_memory_decoded": ("coloured points, decoded", lambda: RGBMemory(codec, camera_images=False)),
        "reference_read": ("all tokens, nearest cell, integer centres", lambda: ReferenceMemory(codec.channels)),
        "memory_off": ("imagined from nothing", lambda: NoMemory(codec.channels)),
        "repeat_last": ("the last camera view, repeated", lambda: LastView(codec.channels)),
    }
    found = {name: Variant(name, text, world.with_memory(make, name)) for name, (text, make) in memories.items()}
    found["mirage"] = Variant("mirage", "the world model", world)
    found["readout"] = Variant("readout", "the memory of what cameras saw, without the denoiser", world, "never")
    order = ("mirage", "rgb_memory", "rgb_memory_decoded", "reference_read", "readout", "memory_off", "repeat_last")
    return {name: found[name] for name in order}
