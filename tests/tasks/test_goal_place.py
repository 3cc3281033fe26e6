"""Where a picture was taken: in a made-up world of distinct surfaces it is found; loops and arrays agree."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mirage_env import geometry, kernels
from mirage_env.geometry import Array
from mirage_env.tasks.goal_place import HEADINGS, PLACES, Picture, picture_of, place_of, scores_plain, search
from mirage_env.tasks.surface_map import CELL, SurfaceMap, added, layer_of, no_surfaces
from tests.small_world import plain_recognition

KNOWS = plain_recognition(3)


def scattered(seed: int, count: int = 4000) -> tuple[Array, Array]:
    """Points (n, 3) of surfaces around the origin and what each looks like (n, 3), another thing in every place."""
    rng = np.random.default_rng(seed)
    points = rng.uniform((-4, 0, -4), (4, 2.4, 4), (count, 3))
    waves, phases = rng.normal(scale=0.8, size=(3, 8, 3)), rng.uniform(0, math.tau, (3, 8))
    return points, np.cos(points @ waves.transpose(0, 2, 1) + phases[:, None]).sum(2).T.astype(np.float32) / 2


def world_map(points: Array, features: Array) -> SurfaceMap:
    return added(no_surfaces(0.0, 3), points, features)


def seen_from(points: Array, features: Array, position: Array, yaw: float, reach: float = 2.5) -> Picture:
    """What an agent there sees of them, all round."""
    own = (points - position) @ geometry.rotation_y(yaw)
    near = np.flatnonzero(np.hypot(own[:, 0], own[:, 2]) < reach)[::5]
    return Picture(own[near], features[near], layer_of(points[near, 1]))


@pytest.mark.parametrize("seed", range(5))
def test_a_picture_is_found_where_it_was_taken(seed: int) -> None:
    points, features = scattered(seed)
    rng = np.random.default_rng(100 + seed)
    position, yaw = np.array([*rng.uniform(-1.5, 1.5, 2), 0.0])[[0, 2, 1]], float(rng.uniform(-math.pi, math.pi))
    place = place_of(seen_from(points, features, position, yaw), world_map(points, features), KNOWS)
    assert place is not None
    assert np.linalg.norm(place.position - position[[0, 2]]) < 2 * CELL
    assert abs(math.remainder(place.yaw - yaw, math.tau)) <= math.tau / HEADINGS
    assert place.trust > 0.8


def test_pictures_of_other_rooms_are_not_trusted() -> None:
    points, features = scattered(0)
    right, wrong = (
        place_of(seen_from(*scattered(seed), np.zeros(3), 0.0), world_map(points, features), KNOWS) for seed in (0, 7)
    )
    assert right is not None
    assert wrong is None or wrong.trust < 0.3 < right.trust


def test_what_speaks_for_a_place_is_counted_per_surface() -> None:
    points, features = scattered(3)
    picture = seen_from(points, features, np.zeros(3), 0.0)
    half = points[:, 0] > 0
    found, partly = (search(picture, world_map(points[keep], features[keep]), KNOWS) for keep in (half | True, half))
    assert found is not None and partly is not None
    assert 0 < found.speaks[1] <= found.speaks[0] <= 2.0  # the most that two surfaces say for each other
    assert partly.speaks[2] < found.speaks[2] <= 1


def test_nothing_speaks_where_nothing_is_known_or_shown() -> None:
    points, features = scattered(0)
    picture = seen_from(points, features, np.zeros(3), 0.0)
    nothing = Picture(np.zeros((0, 3)), np.zeros((0, 3), np.float32), np.zeros(0, np.int64))
    assert place_of(picture, no_surfaces(0.0, 3), KNOWS) is None
    assert place_of(nothing, world_map(points, features), KNOWS) is None
    against = KNOWS._replace(evidence=-np.ones(20, np.float32))
    assert place_of(picture, world_map(points, features), against) is None


@pytest.mark.parametrize("seed", range(4))
def test_compiled_loops_find_what_arrays_find(seed: int) -> None:
    if kernels.load("mirage_env.tasks.compiled.placing") is None:
        pytest.skip("numba is not installed")
    points, features = scattered(seed, 500 + 300 * seed)
    picture, known = seen_from(points, features, np.zeros(3), 0.4), world_map(points, features)
    fast = search(picture, known, KNOWS)
    with PLACES.by("plain"):
        slow = search(picture, known, KNOWS)
    assert fast is not None and slow is not None
    np.testing.assert_array_equal(fast.position, slow.position)
    assert fast.yaw == slow.yaw
    np.testing.assert_array_equal(fast.speaks, slow.speaks)


def test_scores_are_sums_over_surfaces_place_by_place() -> None:
    rng = np.random.default_rng(0)
    means, known = rng.normal(size=(2, 5, 7, 3)).astype(np.float32), rng.random((2, 5, 7)) < 0.6
    features, layers = rng.normal(size=(6, 3)).astype(np.float32), rng.integers(2, size=6)
    shifts, evidence = rng.integers(-6, 7, size=(3, 6, 2)), np.linspace(1, -1, 8, dtype=np.float32)
    sums, headings = scores_plain(means, known, features, layers, shifts, 2, evidence, 2.0)
    assert sums.shape == headings.shape == (3, 4)
    for row in range(3):
        for column in range(4):
            by_heading = []
            for shift in shifts:
                total = 0.0
                for feature, layer, (down, right) in zip(features, layers, shift, strict=True):
                    r, c = 2 * row + down, 2 * column + right
                    if 0 <= r < 5 and 0 <= c < 7 and known[layer, r, c]:
                        apart = float(np.linalg.norm(feature - means[layer, r, c]))
                        total += evidence[min(int(apart * 2.0), 7)]
                by_heading.append(total)
            assert sums[row, column] == pytest.approx(max(by_heading), abs=1e-5)
            assert by_heading[headings[row, column]] == pytest.approx(max(by_heading), abs=1e-5)


def test_surfaces_of_a_picture_lie_as_its_agent_sees_them() -> None:
    K = geometry.intrinsics(8, 8, 90.0)
    depth, error = np.full((8, 8), 2.0), np.zeros((8, 8))
    depth[0, 0], error[:, 7] = 0.0, 1.0
    latents = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    picture = picture_of(latents, depth, error, K, 1.25, KNOWS)
    np.testing.assert_allclose(picture.points[:, 2], -2.0)
    assert picture.points[:, 0].max() < 1.5 and picture.points[:, 0].min() < -1.5  # the right column is in doubt
    assert picture.points[:, 1].min() < 0 and picture.points[:, 1].max() > 2
    assert picture.features.shape == (len(picture.points), 3)
