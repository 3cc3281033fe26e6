"""Solid spans and linked floors: against slow references, and compiled against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_cdt

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.navmesh import floors as floors_module
from mirage_env.simulators.mesh.navmesh import voxels, watershed
from mirage_env.simulators.mesh.navmesh.floors import eroded, linked_floors
from mirage_env.simulators.mesh.navmesh.loops import plain
from mirage_env.simulators.mesh.navmesh.settings import NavigationSettings
from mirage_env.simulators.mesh.navmesh.voxels import Grid, Spans, grid_of, level_faces, solid_spans, standable
from tests.simulators.mesh.small_meshes import box, bumpy, joined, room

SETTINGS = NavigationSettings()


def clipped(corners: Array, axis: int, at: float, keep_below: bool) -> Array:
    """A convex polygon (N, 3) on one side of a plane, by Sutherland and Hodgman."""
    off = (corners[:, axis] - at) * (1 if keep_below else -1)
    kept = []
    for i in range(len(corners)):
        a, b = corners[i - 1], corners[i]
        if (off[i - 1] <= 0) != (off[i] <= 0):
            kept.append(a + (b - a) * (off[i - 1] / (off[i - 1] - off[i])))
        if off[i] <= 0:
            kept.append(b)
    return np.array(kept).reshape(-1, 3)


def filled_by_hand(vertices: Array, faces: Array, grid: Grid) -> set[tuple[int, int, int]]:
    """The voxels (x, y, z) that triangles touch, one triangle and column at a time."""
    filled = set()
    cell, high = float(grid.cell), float(grid.cell_height)
    for face in faces:
        triangle = vertices[face].astype(np.float64) - grid.low
        first = np.floor(triangle.min(0) / cell).astype(int)
        last = np.floor(triangle.max(0) / cell).astype(int)
        for x in range(max(first[0], 0), min(last[0], grid.width - 1) + 1):
            for z in range(max(first[2], 0), min(last[2], grid.depth - 1) + 1):
                part = triangle
                for axis, n in ((0, x), (2, z)):
                    part = clipped(part, axis, n * cell, False)
                    part = clipped(part, axis, (n + 1) * cell, True) if len(part) else part
                if len(part) < 3:
                    continue
                low = int(np.floor(part[:, 1].min() / high))
                top = max(int(np.ceil(part[:, 1].max() / high)), low + 1)
                filled |= {(x, y, z) for y in range(low, top)}
    return filled


def voxels_of(spans: Spans, grid: Grid) -> set[tuple[int, int, int]]:
    return {
        (column % grid.width, y, column // grid.width)
        for column in range(len(spans.start) - 1)
        for i in range(spans.start[column], spans.start[column + 1])
        for y in range(spans.bottom[i], spans.top[i])
    }


def some_triangles(seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 1.2, (12, 1, 3))
    vertices = (centres + rng.normal(0, 0.2, (12, 3, 3))).reshape(-1, 3).astype(np.float32)
    return vertices, np.arange(36).reshape(-1, 3)


@pytest.mark.parametrize("seed", range(3))
def test_spans_are_the_voxels_that_triangles_touch(seed: int) -> None:
    vertices, faces = some_triangles(seed)
    grid = grid_of(vertices, SETTINGS)
    found, wanted = voxels_of(solid_spans(vertices, faces, grid, SETTINGS), grid), filled_by_hand(vertices, faces, grid)
    # Rounding may decide otherwise where a triangle just touches a voxel.
    assert len(found ^ wanted) <= 0.005 * len(wanted)


def test_spans_of_a_column_lie_apart_and_upwards() -> None:
    vertices, faces = bumpy(things=10)
    spans = solid_spans(vertices, faces, grid_of(vertices, SETTINGS), SETTINGS)
    for a, b in zip(spans.start[:-1], spans.start[1:], strict=True):
        assert (spans.bottom[a:b] < spans.top[a:b]).all()
        assert (spans.bottom[a + 1 : b] > spans.top[a : b - 1]).all()


def test_only_level_faces_that_face_up_can_be_walked_on() -> None:
    tilted = [np.radians(angle) for angle in (0, 44, 46, 90, 180)]
    vertices = np.array([[(0, 0, 0), (0, 0, 1), (np.cos(a), np.sin(a), 0)] for a in tilted], np.float32).reshape(-1, 3)
    assert level_faces(vertices, np.arange(15).reshape(-1, 3), 45).tolist() == [True, True, False, False, False]


def test_compiled_and_plain_loops_agree_bit_for_bit() -> None:
    vertices, faces = bumpy(size=2.0, things=3)
    grid = grid_of(vertices, SETTINGS)
    walkable = level_faces(vertices, faces, 45)
    arguments = (vertices, faces.astype(np.int32), walkable, *grid, 1)
    pool, first = voxels._rasterise(*arguments)
    plain_pool, plain_first = plain(voxels._rasterise)(*arguments)
    spans, again = voxels._in_order(pool, first), plain(voxels._in_order)(plain_pool, plain_first)
    assert all(np.array_equal(a, b) for a, b in zip(spans, again, strict=True))
    spans = Spans(*spans)
    limits = grid.width, grid.depth, 8, 1
    assert np.array_equal(voxels._ledges(*spans, *limits), plain(voxels._ledges)(*spans, *limits))
    floors = linked_floors(standable(spans, grid, SETTINGS), grid, SETTINGS)
    distance = np.where((floors.links >= 0).all(1), 255, 0).astype(np.int32)
    plain_distance = distance.copy()
    floors_module._spread(floors.start, floors.links, distance)
    plain(floors_module._spread)(floors.start, floors.links, plain_distance)
    assert np.array_equal(distance, plain_distance)
    free = distance >= 4
    smooth = floors_module._smooth(floors.links, distance)
    assert np.array_equal(smooth, plain(floors_module._smooth)(floors.links, distance))
    regions = [np.zeros(len(distance), dtype=np.int32) for _ in range(2)]
    counts = [
        flood(floors.links, free, smooth, 30, region)
        for flood, region in zip((watershed._flood, plain(watershed._flood)), regions, strict=True)
    ]
    assert counts[0] == counts[1] > 0
    assert np.array_equal(*regions)


def test_floors_are_eroded_by_the_chamfer_distance_to_their_edge() -> None:
    vertices, faces = room(4.0, 3.0, box((0.5, 0, 0.2), (1.1, 1.0, 0.9)))
    grid = grid_of(vertices, SETTINGS)
    floors = eroded(
        linked_floors(standable(solid_spans(vertices, faces, grid, SETTINGS), grid, SETTINGS), grid, SETTINGS), SETTINGS
    )
    lowest = floors.height == floors.height.min()
    image = np.zeros((grid.depth, grid.width), dtype=bool)
    inner = image.copy()
    x, z = floors.column[lowest].T
    image[z, x] = True
    inner[z, x] = floors.free[lowest]
    # A cell at the edge has distance 0 in Recast; scipy's chessboard and taxicab bounds bracket its chamfer distance.
    edge = image & ~(np.roll(image, 1, 0) & np.roll(image, -1, 0) & np.roll(image, 1, 1) & np.roll(image, -1, 1))
    far = distance_transform_cdt(~edge, "chessboard"), distance_transform_cdt(~edge, "taxicab")
    assert not (inner & image & (far[1] < SETTINGS.radius_cells)).any()
    assert inner[image & (far[0] >= SETTINGS.radius_cells)].all()
    assert 0 < inner.sum() < image.sum()


def test_whole_cells_are_counted_as_habitat_does() -> None:
    assert (SETTINGS.height_cells, SETTINGS.climb_cells, SETTINGS.radius_cells) == (8, 1, 4)
    assert SETTINGS.edge_length_cells == 240
    assert NavigationSettings(agent_radius=0.2).radius_cells == 4
    assert NavigationSettings(agent_radius=0.0).radius_cells == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cell_size", 0.0),
        ("cell_size", float("nan")),
        ("agent_height", -1),
        ("max_slope_deg", 90),
        ("agent_radius", "x"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be a number from .* to .*, got"):
        NavigationSettings(**{name: value})  # type: ignore[arg-type]


def test_joined_boxes_merge_into_one_span() -> None:
    vertices, faces = joined(box((0, 0, 0), (0.5, 0.45, 0.5)), box((0, 0.45, 0), (0.5, 0.9, 0.5)))
    spans = solid_spans(vertices, faces, grid_of(vertices, SETTINGS), SETTINGS)
    # Boxes are hollow: their top and bottom, and columns at their sides that are solid all the way.
    assert spans.top.max() == 5
    assert (np.diff(spans.start) >= 1).all()
