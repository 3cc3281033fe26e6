"""Generated homes: the same every time, valid, lit, and walkable."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import Point, Polygon, box
from shapely.ops import unary_union

from mirage_env import geometry
from mirage_env.simulators.raycast import Raycaster, check_mesh
from mirage_env.simulators.rooms.compose import Draft, compose
from mirage_env.simulators.rooms.home import Home, generate_home
from mirage_env.simulators.rooms.plan import WALL
from mirage_env.simulators.rooms.toy import COLOURS, toy_home

LIT_SEEDS = (3, 17)
DRAFT_SEEDS = tuple(range(200, 210))
RADIUS = 0.18 + 0.02


@pytest.fixture(scope="module")
def homes() -> dict[int, Home]:
    return {seed: generate_home(seed) for seed in LIT_SEEDS}


@pytest.fixture(scope="module")
def drafts() -> dict[int, Draft]:
    streams = {seed: np.random.SeedSequence(seed).spawn(4) for seed in DRAFT_SEEDS}
    return {seed: compose(np.random.default_rng(s[0]), np.random.default_rng(s[1])) for seed, s in streams.items()}


def before_and_behind(x0: float, z0: float, x1: float, z1: float, reach: float) -> Polygon:
    """A doorway's floor and ``reach`` metres more on both sides of the wall."""
    through_x = abs(x1 - x0 - WALL) < 5e-3
    return box(x0 - reach, z0, x1 + reach, z1) if through_x else box(x0, z0 - reach, x1, z1 + reach)


def triangles(draft: Draft) -> int:
    shapes = np.array([b.points.shape[:3] for b in draft.shape.batches])
    return int(2 * (shapes[:, 0] * (shapes[:, 1] - 1) * (shapes[:, 2] - 1)).sum())


def test_the_same_seed_gives_the_same_bits(homes: dict[int, Home]) -> None:
    first, again = homes[LIT_SEEDS[0]], generate_home(LIT_SEEDS[0])
    for name in ("vertices", "faces", "uv", "material", "light"):
        assert np.array_equal(getattr(first.mesh, name), getattr(again.mesh, name)), name
    assert all(np.array_equal(a, b) for a, b in zip(first.mesh.textures, again.mesh.textures, strict=True))
    assert first.floor.equals(again.floor)
    assert [o.wkb for o in first.obstacles] == [o.wkb for o in again.obstacles]
    assert first.rooms == again.rooms


def test_a_seed_names_the_same_home_forever(homes: dict[int, Home]) -> None:
    """Trained weights and published figures refer to these homes; a change of the generator must be meant."""
    for seed, kinds, pieces, area in (
        (3, ("living", "kitchen", "bedroom"), 20, 48.067),
        (17, ("living", "kitchen", "office", "bedroom"), 35, 55.892),
    ):
        home = homes[seed]
        assert tuple(r.kind for r in home.rooms) == kinds
        assert len(home.obstacles) == pieces
        assert home.floor.area == pytest.approx(area, abs=1e-3)


def test_global_random_state_is_neither_used_nor_changed() -> None:
    streams = [np.random.SeedSequence(5).spawn(4) for _ in range(2)]
    np.random.seed(1)  # noqa: NPY002
    untouched = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    a = compose(np.random.default_rng(streams[0][0]), np.random.default_rng(streams[0][1]))
    assert np.random.random() == untouched  # noqa: NPY002
    b = compose(np.random.default_rng(streams[1][0]), np.random.default_rng(streams[1][1]))
    assert [o.wkb for o in a.obstacles] == [o.wkb for o in b.obstacles]


def test_different_seeds_differ(homes: dict[int, Home]) -> None:
    a, b = (homes[s] for s in LIT_SEEDS)
    assert a.mesh.vertices.shape != b.mesh.vertices.shape
    assert not a.floor.equals(b.floor)


@pytest.mark.parametrize("seed", [-1, 1.5, "3", None, True])
def test_a_bad_seed_is_refused(seed: object) -> None:
    with pytest.raises(ValueError, match="seed that is an integer"):
        generate_home(seed)  # type: ignore[arg-type]


def test_meshes_are_valid_lit_and_within_budget(homes: dict[int, Home]) -> None:
    for home in homes.values():
        check_mesh(home.mesh)
        assert len(home.mesh.faces) <= 60_000
        light = home.mesh.light
        assert light is not None
        assert light.shape == (len(home.mesh.faces), 3, 3)
        assert light.min() >= 0.0
        assert light.max() <= 2.0
        assert home.mesh.vertices[:, 1].min() > -0.02
        assert home.mesh.vertices[:, 1].max() < home.ceiling_height + 0.02


def test_rooms_are_neither_black_nor_burnt(homes: dict[int, Home]) -> None:
    rng = np.random.default_rng(0)
    for home in homes.values():
        caster = Raycaster(home.mesh)
        for room in home.rooms:
            x, z = room.polygon.centroid.coords[0]
            poses = np.stack([geometry.camera_pose((x, 0, z), a, 1.6) for a in rng.uniform(0, 2 * np.pi, 4)])
            images, depth = caster.render(poses, geometry.intrinsics(48, 48, 90.0), 48, 48)
            assert images is not None
            assert (depth > 0).all(), "every ray hits something"
            assert 60 < images.mean() < 225
            assert (images.max(-1) < 12).mean() < 0.25
            assert images.std() > 10


def test_every_home_stays_within_the_triangle_budget(drafts: dict[int, Draft]) -> None:
    counts = {seed: triangles(draft) for seed, draft in drafts.items()}
    assert max(counts.values()) <= 60_000, counts
    assert min(counts.values()) > 2_000, counts


def test_furniture_stands_inside_rooms_and_apart_from_doorways(drafts: dict[int, Draft]) -> None:
    for seed, draft in drafts.items():
        rooms = [box(*r) for r in draft.plan.rooms]
        doors = [before_and_behind(*d, 0.6) for d in draft.plan.doorways]
        for o in draft.obstacles:
            assert any(r.buffer(1e-6).contains(o) for r in rooms), f"seed {seed}: {o.wkt} leaves its room"
            assert not any(d.intersects(o) for d in doors), f"seed {seed}: {o.wkt} blocks a doorway"


def test_an_agent_can_walk_from_every_room_to_every_other(drafts: dict[int, Draft]) -> None:
    for seed, draft in drafts.items():
        free = draft.plan.floor.difference(unary_union(draft.obstacles))
        assert free.area >= 0.35 * draft.plan.floor.area, seed
        walk = draft.plan.floor.buffer(-RADIUS).difference(unary_union([o.buffer(RADIUS) for o in draft.obstacles]))
        parts = sorted(getattr(walk, "geoms", [walk]), key=lambda g: g.area)
        assert parts[-1].area > 0.9 * walk.area, f"seed {seed}: free floor falls apart"
        for r, kind in zip(draft.plan.rooms, draft.plan.kinds, strict=True):
            room = box(*r)
            assert parts[-1].intersection(room).area > 0.12 * room.area, f"seed {seed}: {kind} cannot be entered"


def test_low_parts_of_the_mesh_lie_on_declared_obstacles(homes: dict[int, Home]) -> None:
    """What an agent could bump into between ankle and chest is an obstacle, a wall, or hangs close to a wall."""
    for home in homes.values():
        corners = home.mesh.vertices[home.mesh.faces]
        centre = corners.mean(1)
        low = (centre[:, 1] > 0.15) & (centre[:, 1] < 1.0)
        allowed = unary_union([*home.obstacles, home.floor.envelope.buffer(1).difference(home.floor.buffer(-0.15))])
        allowed = allowed.buffer(0.06)
        stray = [c for c in centre[low][::7] if not allowed.contains(Point(c[0], c[2]))]
        assert len(stray) <= 0.002 * low.sum(), stray[:3]


def test_room_names_are_unique_and_rooms_tile_the_floor(homes: dict[int, Home]) -> None:
    for home in homes.values():
        names = [r.name for r in home.rooms]
        assert len(set(names)) == len(names)
        doors = home.floor.difference(unary_union([r.polygon for r in home.rooms]))
        assert all(r.polygon.area > 3 for r in home.rooms)
        for part in getattr(doors, "geoms", [doors]):
            if part.area > 1e-6:
                x0, z0, x1, z1 = part.bounds
                assert min(x1 - x0, z1 - z0) == pytest.approx(WALL, abs=3e-3)
                assert 0.8 <= max(x1 - x0, z1 - z0) <= 2.3


def test_the_toy_home_has_the_distances_and_colours_that_it_states() -> None:
    home = toy_home()
    caster = Raycaster(home.mesh)
    K = geometry.intrinsics(9, 9, 60.0)
    for yaw, distance, colour in (
        (0.0, 3.0, "-z"),
        (np.pi / 2, 2.0, "-x"),
        (np.pi, 3.0, "+z"),
        (-np.pi / 2, 2.0, "+x"),
    ):
        image, depth = caster.render(geometry.camera_pose((0.0, 0.0, 0.0), yaw, 1.25), K, 9, 9)
        assert image is not None
        assert depth[0, 4, 4] == pytest.approx(distance, abs=1e-5)
        assert tuple(image[0, 4, 4]) == COLOURS[colour]
    image, depth = caster.render(geometry.camera_pose((1.0, 0.0, 2.0), 0.0, 0.5), K, 9, 9)
    assert image is not None
    assert depth[0, 4, 4] == pytest.approx(2.5, abs=1e-5)
    assert tuple(image[0, 4, 4]) == COLOURS["obstacle"]
    assert home.obstacles[0].equals(box(0.5, -1.5, 1.5, -0.5))
