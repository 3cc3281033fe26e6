"""What movers look like: their postures, and views of a home with them against one ray caster for everything."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Camera, FloorMotion
from mirage_env.simulators.raycast import Raycaster, TexturedMesh
from mirage_env.simulators.rooms.bodies import Body, bend
from mirage_env.simulators.rooms.carts import cart
from mirage_env.simulators.rooms.people import person
from mirage_env.simulators.rooms.simulator import RoomsSimulator

SIZE = 48
START = AgentStart((-1.5, 0.0, 2.4), 0.0)


@pytest.fixture(scope="module")
def simulator() -> RoomsSimulator:
    made = RoomsSimulator("toy", Camera(SIZE), movers=2)
    made.reset("toy", START)
    for _ in range(12):
        made.step(FloorMotion())
    return made


@pytest.fixture(scope="module")
def looks(simulator: RoomsSimulator) -> tuple[Array, list[int]]:
    """Poses that look at each mover at some times, and those times."""
    poses, times = [], []
    rng = np.random.default_rng(3)
    for time in (0, 5, 12):
        for mover in simulator.movers_at(time):
            eye = np.array([*rng.uniform(-1.6, -0.6, 1), 0.0, *rng.uniform(1.0, 2.6, 1)])
            way = mover.position - eye
            poses.append(geometry.camera_pose(eye, math.atan2(-way[0], -way[2]), 0.9))
            times.append(time)
    return np.stack(poses), times


def merged(meshes: list[TexturedMesh]) -> TexturedMesh:
    """All meshes as one."""
    parts: dict[str, list[Array]] = {"vertices": [], "faces": [], "uv": [], "material": [], "light": []}
    textures: list[Array] = []
    base = 0
    for mesh in meshes:
        parts["vertices"].append(mesh.vertices)
        parts["faces"].append(mesh.faces + base)
        parts["uv"].append(mesh.uv)
        parts["material"].append(mesh.material + len(textures))
        light = np.ones((len(mesh.faces), 3, 3), np.float32) if mesh.light is None else mesh.light
        parts["light"].append(light)
        textures += mesh.textures
        base += len(mesh.vertices)
    return TexturedMesh(**{k: np.concatenate(v) for k, v in parts.items()}, textures=tuple(textures))  # type: ignore[arg-type]


def test_views_with_movers_are_those_of_one_mesh_of_everything(
    simulator: RoomsSimulator, looks: tuple[Array, list[int]]
) -> None:
    poses, times = looks
    rgb, depth = simulator.render_views(poses, times)
    mask = simulator.mover_mask(poses, times)
    assert 0.005 < mask.mean() < 0.5
    for i, time in enumerate(times):
        everything = Raycaster(merged([simulator.home.mesh, *(m.mesh for m in simulator.movers_at(time))]))
        true_rgb, true_depth = everything.render(poses[i], simulator.camera.intrinsics, SIZE, SIZE)
        assert true_rgb is not None
        agree = np.abs(depth[i] - true_depth[0]) < 1e-3
        assert agree.mean() > 0.998  # rays along a silhouette may go either way
        same = np.abs(rgb[i].astype(int) - true_rgb[0]).max(-1) <= 3
        assert same[agree & mask[i]].mean() > 0.98
        static = Raycaster(simulator.home.mesh).render(poses[i], simulator.camera.intrinsics, SIZE, SIZE)[1][0]
        np.testing.assert_array_equal(mask[i] & agree, (np.abs(static - true_depth[0]) > 1e-3) & mask[i] & agree)
        assert (mask[i] == (np.abs(static - true_depth[0]) > 1e-3)).mean() > 0.998


def test_static_views_are_those_of_a_home_without_movers(
    simulator: RoomsSimulator, looks: tuple[Array, list[int]]
) -> None:
    empty = RoomsSimulator("toy", Camera(SIZE))
    empty.reset("toy", START)
    for one, other in zip(
        simulator.render_views(looks[0], static_only=True), empty.render_views(looks[0]), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_views_of_earlier_times_are_what_was_seen_then() -> None:
    simulator = RoomsSimulator("toy", Camera(SIZE), movers=2, samples=4)
    views = [simulator.reset("toy", START), *(simulator.step(FloorMotion(0.05, -0.1))[0] for _ in range(6))]
    poses = np.stack([view.pose for view in views])
    rgb, depth = simulator.render_views(poses, list(range(7)))
    np.testing.assert_array_equal(rgb, [view.rgb for view in views])
    np.testing.assert_array_equal(depth, [view.depth for view in views])
    assert (rgb[0] != simulator.render_views(poses[0])[0][0]).any(), "the movers stood still"


def test_only_affected_pixels_differ_from_static_views_and_shadows_darken(
    simulator: RoomsSimulator, looks: tuple[Array, list[int]]
) -> None:
    poses, times = looks
    rgb, depth = simulator.render_views(poses, times)
    still, still_depth = simulator.render_views(poses, static_only=True)
    mask, affected = simulator.mover_mask(poses, times), simulator.mover_mask(poses, times, affected=True)
    np.testing.assert_array_equal(affected, (rgb != still).any(-1) | (depth != still_depth))
    assert (affected | ~mask).all()
    shadow = affected & ~mask
    assert shadow.sum() > 20
    assert (rgb[shadow] <= still[shadow]).all()
    assert rgb[shadow].sum() < 0.97 * still[shadow].sum()


def test_depth_alone_is_the_depth_of_the_picture(simulator: RoomsSimulator) -> None:
    one, _ = simulator.step(FloorMotion(turn=0.2))
    other = simulator.restore(simulator.snapshot())
    depth_first = one.depth
    _ = other.rgb
    np.testing.assert_array_equal(depth_first, other.depth)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make", [person, cart])
def test_bodies_stand_on_the_floor_in_every_posture(make: type, seed: int) -> None:
    body: Body = make(np.random.default_rng(seed))  # type: ignore[assignment]
    tall = (1.5, 1.9) if body.kind == "person" else (0.25, 0.6)
    for travelled in np.linspace(0, 2 * body.stride, 9):
        for vigour in (0.0, 0.5, 1.0):
            posture = body.posture(float(travelled), vigour)
            low, high = posture.vertices.min(0), posture.vertices.max(0)
            assert low[1] == 0 and tall[0] < high[1] < tall[1]
            assert (low >= body.low - 1e-6).all() and (high <= body.high + 1e-6).all()
            np.testing.assert_allclose(np.linalg.norm(posture.normals, axis=1), 1, atol=1e-4)
            assert np.hypot(*posture.vertices[:, [0, 2]].T).max() < 0.6


def test_a_person_strides_and_stands() -> None:
    body = person(np.random.default_rng(0))
    left = {share: bend(body, share, 1.0)[0] for share in (0.25, 0.75)}
    feet = body.part == 2, body.part == 4
    ahead = {share: [float(v[foot, 2].mean()) for foot in feet] for share, v in left.items()}
    assert ahead[0.25][0] < -0.1 < 0.05 < ahead[0.25][1]  # -Z is ahead
    np.testing.assert_allclose(ahead[0.25], ahead[0.75][::-1], atol=0.02)
    standing = bend(body, 0.25, 0.0)[0]
    assert abs(float(standing[feet[0], 2].mean()) - float(standing[feet[1], 2].mean())) < 1e-3


def test_a_body_is_lit_by_what_is_around_it(simulator: RoomsSimulator) -> None:
    light = simulator.movers_at()[0].mesh.light
    assert light is not None and light.dtype == np.float32
    assert 0.1 < light.mean() < 1.1
    dark = dataclasses.replace(simulator.home.mesh, textures=tuple(t // 4 for t in simulator.home.mesh.textures))
    from mirage_env.simulators.rooms.figures import Figure
    from mirage_env.simulators.rooms.prepared import PreparedHome

    moment = simulator._moment()
    assert moment is not None
    figure = moment.figures[0]
    home = PreparedHome(dataclasses.replace(simulator.home, mesh=dark), simulator.navigation)
    dimmed = Figure(home, figure.body, figure.state).light
    lit = figure.body.glow[figure.body.mesh.faces] < 0
    assert dimmed[lit].mean() < 0.5 * figure.light[lit].mean()
