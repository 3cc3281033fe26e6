"""The map of seen surfaces: what lies where, means of several views, storeys, and that it is a value."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera
from mirage_env.tasks.surface_map import (
    CELL,
    LAYERS,
    REACH,
    SurfaceMap,
    added,
    layer_of,
    no_surfaces,
    sampled,
    with_view,
)
from tests.small_world import plain_recognition

CAMERA = Camera(32)
KNOWS = plain_recognition(4)


def view(seed: int = 0, depth: float | Array = 2.0) -> SimpleNamespace:
    latents = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(seed))
    return SimpleNamespace(latents=latents, depth=np.broadcast_to(np.float32(depth), (32, 32)).copy())


def slow(points: Array, features: Array, height: float) -> dict[tuple[int, int, int], Array]:
    """Means by layer and cell, point by point."""
    found: dict[tuple[int, int, int], list[Array]] = {}
    for (x, y, z), feature in zip(points, features, strict=True):
        layer = sum(y - height >= border for border in LAYERS)
        found.setdefault((layer, math.floor(z / CELL), math.floor(x / CELL)), []).append(feature)
    return {cell: np.mean(of, axis=0) for cell, of in found.items()}


def test_cells_hold_the_means_of_what_lies_in_them() -> None:
    rng = np.random.default_rng(0)
    parts = [(rng.uniform(-3, 3, (300, 3)) + [0, 1, 0], rng.normal(size=(300, 4)).astype(np.float32)) for _ in range(3)]
    known = no_surfaces(0.0, 4)
    for points, features in parts:
        known = added(known, points, features)
    expected = slow(*(np.concatenate(both) for both in zip(*parts, strict=True)), 0.0)
    assert known.known.sum() == len(expected)
    for (layer, row, column), mean in expected.items():
        at = (layer, row - known.corner[0], column - known.corner[1])
        np.testing.assert_allclose(known.means[at], mean, atol=1e-5)


def test_a_view_is_laid_where_its_camera_looked() -> None:
    pose = geometry.camera_pose((1.0, 0.0, 2.0), math.pi / 2, CAMERA.height)  # towards -x
    known = with_view(None, view(depth=2.0), pose, CAMERA, KNOWS)
    layers, rows, columns = np.nonzero(known.known)
    assert set(columns + known.corner[1]) == {math.floor(-1.0 / CELL)}  # a wall at x = 1 - 2
    z = (rows + known.corner[0] + 0.5) * CELL
    assert z.min() < 0.5 and z.max() > 3.5 and set(layers) == {0, 1, 2, 3}


def test_what_is_unknown_or_too_far_is_left_out() -> None:
    pose = geometry.camera_pose((0.0, 0.0, 0.0), 0.0, CAMERA.height)
    for depth in (0.0, REACH + 0.1):
        assert not with_view(None, view(depth=depth), pose, CAMERA, KNOWS).known.any()
    depth = np.full((32, 32), 2.0, np.float32)
    np.testing.assert_array_equal(sampled(depth * np.arange(32), 8)[0], 2.0 * np.arange(2, 32, 4))


def test_it_is_a_value_and_another_storey_begins_anew() -> None:
    poses = [geometry.camera_pose((0.0, y, 0.0), 0.3, CAMERA.height) for y in (0.0, 0.1, 3.0)]
    first = with_view(None, view(), poses[0], CAMERA, KNOWS)
    before = first.sums.copy()
    second = with_view(first, view(1, 3.0), poses[1], CAMERA, KNOWS)
    np.testing.assert_array_equal(first.sums, before)
    assert not second.sums.flags.writeable and second.known.sum() > first.known.sum()
    upstairs, alone = (with_view(known, view(2), poses[2], CAMERA, KNOWS) for known in (second, None))
    for one, other in zip(upstairs, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_lie_between_their_borders() -> None:
    np.testing.assert_array_equal(layer_of(np.array([-0.2, 0.1, 0.5, 1.2, 2.4])), [0, 0, 1, 2, 3])


def test_damaged_maps_are_refused() -> None:
    arrays = no_surfaces(0.0, 4)._asdict()
    assert isinstance(SurfaceMap.of_arrays(arrays), SurfaceMap)
    for name, wrong in (("sums", np.zeros((2, 3, 3, 5), np.float32)), ("corner", np.zeros(3, np.int64))):
        with pytest.raises(ValueError, match="the surfaces that the agent knows are damaged"):
            SurfaceMap.of_arrays(arrays | {name: wrong})
    with pytest.raises(KeyError):
        SurfaceMap.of_arrays({"sums": arrays["sums"]})
