"""What cameras saw of a scene before a world begins in it: views all round from several places, remembered by scene."""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera

if TYPE_CHECKING:
    from mirage_env.state import WorldState
    from mirage_env.world import WorldModel

MOST_PLACES = 32
KEPT_TOURS = 128
"""Scenes whose tours stay in memory, some 2 MB for eight places."""
CANDIDATES = 64
"""Random places, of which those far from each other are chosen."""
ANCHORS = 4
"""Candidates that are asked how many of the others they reach: the tour stays where one can walk to."""


class ViewSource(Protocol):
    """A true simulator that shows its scene from anywhere, and knows where one can stand."""

    camera: Camera

    def render_views(self, poses: Any) -> tuple[Array, Array]:
        """Images (B, H, W, 3) uint8 and z-depth (B, H, W) from T_world_camera (B, 4, 4)."""
        ...

    def sample_navigable_point(self, rng: np.random.Generator) -> Array: ...

    def geodesic_distance(self, a: Array, b: Array) -> float: ...


class Tour:
    """Begins worlds with what a camera saw that was carried through their scene.

    The tour of a scene in which nothing moves is the same for every world, so it is remembered once: worlds are forks
    of that memory. One object serves any number of simulators, if those of one scene agree on how it is rendered.

    Args:
        places: at which the camera looked all round, from 1 to 32, spread over the floor.
        kept: of how many scenes tours are kept; those used last.
    """

    def __init__(self, places: int, kept: int = KEPT_TOURS) -> None:
        whole = isinstance(places, int) and not isinstance(places, bool)
        if not whole or not 1 <= places <= MOST_PLACES:
            raise ValueError(f"a tour is through a whole number of places from 1 to {MOST_PLACES}, got {places!r}")
        self.places, self.kept = places, int(kept)
        self._worlds: OrderedDict[Any, WorldState] = OrderedDict()

    def remembered(self, world: WorldModel, source: ViewSource, camera: Camera, true_depth: bool) -> WorldState:
        """A world that knows the tour of the source's present scene and nothing else; its seed is 0.

        Args:
            camera: whose views will be imagined.
            true_depth: whether the world is told the depth of the views.
        """
        scene, lighting = getattr(source, "scene", None), getattr(source, "lighting", None)
        key = (scene, source.camera, lighting, camera, true_depth, world)
        known = self._worlds.pop(key, None)
        if known is None:
            known = self._begun(world, source, camera, true_depth)
        # Movers stand elsewhere in every episode: what is remembered must not depend on which came first.
        if scene is not None and not getattr(source, "movers", 0):
            self._worlds[key] = known
            while len(self._worlds) > self.kept:
                self._worlds.popitem(last=False)
        return known

    def _begun(self, world: WorldModel, source: ViewSource, camera: Camera, true_depth: bool) -> WorldState:
        eye = source.camera
        turns = math.ceil(360 / eye.hfov)
        places = spread_places(source, self.places)
        poses = np.concatenate([all_round(place, 0.0, turns, eye.height) for place in places])
        image, depth = (views[0] for views in source.render_views(poses[:1]))
        state = world.start(
            image,
            eye.hfov,
            depth if true_depth else None,
            poses[0],
            camera_height=eye.height,
            frame_hfov=camera.hfov,
            resolution=camera.resolution,
        )
        return told(world, state, source, poses[1:], true_depth)


def all_round(place: Array, yaw: float, count: int, height: float) -> Array:
    """T_world_camera (count, 4, 4) above a place (3,) on the floor, at equal angles from ``yaw`` radians on."""
    turns = math.tau * np.arange(count) / count
    return np.stack([geometry.camera_pose(place, yaw + turn, height) for turn in turns])


def told(world: WorldModel, state: WorldState, source: ViewSource, poses: Array, true_depth: bool) -> WorldState:
    """The state after the source's views from T_world_camera (B, 4, 4); its last view is still what it was."""
    seen = state
    if len(poses):
        for pose, image, depth in zip(poses, *source.render_views(poses), strict=True):
            seen = world.observe(seen, image, pose, depth if true_depth else None, source.camera.hfov)
    return dataclasses.replace(seen, pose=state.pose, latents=state.latents)


def spread_places(source: ViewSource, count: int) -> Array:
    """Places (count, 3) on the floor between which one can walk, each as far as can be from those before; no chance.

    Of random places, those in reach of the one (of a few) that reaches most of them.
    """
    rng = np.random.default_rng(0)
    candidates = np.stack([source.sample_navigable_point(rng) for _ in range(CANDIDATES)])
    best = np.zeros(len(candidates), dtype=bool)
    for anchor in candidates[:ANCHORS]:
        reached = np.array([math.isfinite(source.geodesic_distance(place, anchor)) for place in candidates])
        if reached.sum() > best.sum():
            best = reached
        if reached.all():
            break
    places = candidates[best] if best.any() else candidates
    chosen = [0]
    apart = np.full(len(places), np.inf)
    while len(chosen) < count:
        apart = np.minimum(apart, np.linalg.norm(places - places[chosen[-1]], axis=1))
        chosen.append(int(apart.argmax()))
    return places[chosen]
