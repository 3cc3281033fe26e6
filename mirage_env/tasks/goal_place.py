"""Where in what an agent has seen its goal's picture was taken: the picture's surfaces, laid onto the map of surfaces.

A picture's latents and the depth that is estimated from them say what stands where, seen from the place where it was
taken. For that place every second cell of the map is tried, with ``HEADINGS`` headings: each surface of the picture
then lies on some cell, and the log-odds that both are one surface (``models.recognition``) are added up; unknown cells
say nothing. This is global localisation on a grid (Burgard et al., "Estimating the absolute position of a mobile robot
using position probability grids", 1996), where the sensor is a picture's latents.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mirage_env import geometry, kernels
from mirage_env.geometry import Array
from mirage_env.models.recognition import Recognition
from mirage_env.simulators.base import Camera
from mirage_env.tasks.surface_map import CELL, REACH, SurfaceMap, in_camera, layer_of

if TYPE_CHECKING:
    from mirage_env.world import WorldModel

HEADINGS = 24
STRIDE = 2
"""Cells of the map between places that are tried."""
MARGIN = 2
"""Cells around what is known in which places are tried as well."""
DOUBT = 0.3
"""Expected relative error of estimated depth up to which surfaces of a picture are used."""
APART = 1.0
"""Metres from the best place from which on another is another."""

PLACES = kernels.Choice("places are searched", "plain")
"""Compiled where it can be, or by NumPy."""


class Picture(NamedTuple):
    """Surfaces of a picture as its camera's agent sees them: x to its right, z behind it, y over its floor.

    Attributes:
        points: (G, 3) float64 metres, one per cell of a grid like the map's.
        features: (G, K) float32, means.
        layers: (G,) int64 of the map.
    """

    points: Array
    features: Array
    layers: Array


class Place(NamedTuple):
    """Where a picture was taken, as far as is known.

    Attributes:
        position: (2,) float64, world x and z, metres.
        yaw: radians, of its camera.
        trust: probability that it was taken within ``APART`` of there.
    """

    position: Array
    yaw: float
    trust: float


class Found(NamedTuple):
    """The place for which the most speaks.

    Attributes:
        position, yaw: see ``Place``.
        speaks: (3,) per surface of the picture: evidence, how much more that is than for any place ``APART`` from it,
            and the share of surfaces that lie where something is known.
    """

    position: Array
    yaw: float
    speaks: Array


def picture_of(
    latents: Array, depth: Array, error: Array, K: Array, camera_height: float, recognition: Recognition
) -> Picture:
    """The surfaces of a picture.

    Args:
        latents: (C, h, w) of a level camera's picture.
        depth: estimated (h, w) in metres, 0 = unknown.
        error: its expected relative error (h, w).
        K: intrinsics (3, 3) of that grid.
        camera_height: metres.
        recognition: of the model that the latents are of.
    """
    points = in_camera(depth, K) * (1.0, -1.0, -1.0) + (0.0, camera_height, 0.0)
    kept = ((depth > 0) & (depth < REACH) & (error < DOUBT)).ravel()
    points, features = points[kept], recognition.features(latents)[kept]
    cells = np.column_stack([layer_of(points[:, 1]), np.floor(points[:, [2, 0]] / CELL).astype(np.int64)])
    cells, which = np.unique(cells, axis=0, return_inverse=True)
    count = np.maximum(np.bincount(which.ravel(), minlength=len(cells)), 1)[:, None]
    points, features = (
        np.stack([np.bincount(which.ravel(), values, len(cells)) for values in of.T], 1) / count
        for of in (points, features)
    )
    return Picture(points, features.astype(np.float32), cells[:, 0])


def picture_in(world: WorldModel, image: Array, camera: Camera) -> Picture:
    """The surfaces of an image (H, W, 3) uint8 that ``camera`` took. ValueError without ``world.recognition``."""
    if world.recognition is None:
        raise ValueError(f"the model {world.name!r} was not fitted by what surfaces are known again")
    latents = world.encode(image)
    K = geometry.scale_intrinsics(camera.intrinsics, latents.shape[1] / camera.resolution)
    depth, error = world.estimate_depth(latents, K, camera.height)
    return picture_of(latents, depth, error, K, camera.height, world.recognition)


def standing_at(picture: Picture, pose: Array) -> Array:
    """Rows and columns (G, 2) on the map's lattice of the surfaces of a picture taken at T_world_camera (4, 4)."""
    position, yaw = geometry.agent_pose(pose, 0.0)
    return np.floor((picture.points @ geometry.rotation_y(yaw).T + position)[:, [2, 0]] / CELL).astype(np.int64)


def place_of(picture: Picture, seen: SurfaceMap, recognition: Recognition) -> Place | None:
    """Where the picture was most likely taken; None while nothing speaks for any place."""
    found = search(picture, seen, recognition)
    if found is None:
        return None
    odds = float(recognition.trust[0] + recognition.trust[1:] @ found.speaks)
    return Place(found.position, found.yaw, 1.0 / (1.0 + math.exp(-odds)))


def search(picture: Picture, seen: SurfaceMap, recognition: Recognition) -> Found | None:
    """The place for which the most speaks; None while nothing speaks for any."""
    if not len(picture.points) or not seen.known.any():
        return None
    means, known, corner = _around(seen)
    shifts = _shifts(picture.points)
    scores = _compiled() or scores_plain
    scale = len(recognition.evidence) / float(recognition.farthest)
    sums, headings = scores(means, known, picture.features, picture.layers, shifts, STRIDE, recognition.evidence, scale)
    row, column = (int(index) for index in np.unravel_index(sums.argmax(), sums.shape))
    best, heading = float(sums[row, column]), int(headings[row, column])
    if best <= 0:
        return None
    rows, columns = np.ogrid[: sums.shape[0], : sums.shape[1]]
    elsewhere = (rows - row) ** 2 + (columns - column) ** 2 > (APART / (STRIDE * CELL)) ** 2
    second = float(sums[elsewhere].max(initial=0.0))
    place = STRIDE * np.array([row, column])
    at = shifts[heading] + place
    inside = ((at >= 0) & (at < known.shape[1:])).all(1)
    covered = np.count_nonzero(known[picture.layers[inside], at[inside, 0], at[inside, 1]])
    speaks = np.array([best, best - second, covered]) / len(picture.points)
    yaw = math.remainder(heading * math.tau / HEADINGS, math.tau)
    return Found(((corner + place + 0.5) * CELL)[::-1], yaw, speaks)


def scores_plain(
    means: Array,
    known: Array,
    features: Array,
    layers: Array,
    shifts: Array,
    stride: int,
    evidence: Array,
    scale: float,
) -> tuple[Array, Array]:
    """How much speaks for the places at every ``stride``-th cell of a map (L, H, W), for the best of all headings.

    Args:
        means, known: of the map, (L, H, W, K) float32 and (L, H, W) bool.
        features, layers: of G surfaces of a picture, (G, K) float32 and (G,).
        shifts: (A, G, 2), rows and columns from a place to the cell that each surface lies on, by heading.
        stride: cells between places.
        evidence: by distance (N,) float32.
        scale: entries of ``evidence`` per unit of distance.

    Returns:
        Sums of evidence (n, m) float32, and which headings they are of (n, m).
    """
    squares = np.zeros((len(features), *known.shape[1:]), np.float32)
    for k in range(features.shape[1]):
        squares += (features[:, k, None, None] - means[layers][..., k]) ** 2
    index = np.minimum((np.sqrt(squares).astype(np.float64) * scale).astype(np.int64), len(evidence) - 1)
    told = np.where(known[layers], evidence[index], np.float32(0.0))
    reach = int(np.abs(shifts).max(initial=0))
    told = np.pad(told, ((0, 0), (reach, reach), (reach, reach)))
    height, width = known.shape[1:]
    totals = np.zeros((len(shifts), -(-height // stride), -(-width // stride)), np.float32)
    for total, moved in zip(totals, shifts + reach, strict=True):
        for surface, (down, right) in zip(told, moved, strict=True):
            total += surface[down : down + height : stride, right : right + width : stride]
    return totals.max(0), totals.argmax(0)


def _shifts(points: Array) -> Array:
    """Rows and columns (A, G, 2) from the place of a picture to the cells of its surfaces, for each heading."""
    yaws = np.arange(HEADINGS) * (math.tau / HEADINGS)
    turned = np.einsum("aij,gj->agi", np.stack([geometry.rotation_y(yaw) for yaw in yaws]), points)
    # Places are in the middle of cells.
    return np.floor(turned[..., [2, 0]] / CELL + 0.5).astype(np.int64)


def _around(seen: SurfaceMap) -> tuple[Array, Array, Array]:
    """Means, what is known, and the corner of the part of the map in which something is known, with a margin."""
    known = seen.known
    anywhere = np.argwhere(known.any(0))
    low, high = anywhere.min(0), anywhere.max(0)
    part = (slice(None), *(slice(first, last + 1) for first, last in zip(low, high, strict=True)))
    around = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))
    means = seen._replace(sums=seen.sums[part]).means
    return np.pad(means, (*around, (0, 0))), np.pad(known[part], around), seen.corner + low - MARGIN


def _compiled() -> Callable[..., tuple[Array, Array]] | None:
    module = kernels.load("mirage_env.tasks.compiled.placing") if PLACES.fastest else None
    return None if module is None else module.scores
