"""How worlds begin and take in what cameras see: any image, any camera, metric scale, observations."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mirage_env import geometry
from mirage_env.frame import from_uint8, to_uint8
from mirage_env.models.protocols import DepthEstimate
from mirage_env.scale import floor_scale
from mirage_env.state import as_kept
from mirage_env.world import WorldModel
from tests.box_room import pose, room_view
from tests.exact_world import NoiseItself, PixelCodec, TwoMetres, exact_world
from tests.memory.scenes import look
from tests.one_view import IMAGE, SIZE, begin, same_memory
from tests.small_world import small_world


class Forbidden:
    """Stands for every part of a model; any use of it is work that should not have begun."""

    channels, stride = 4, 4

    def encode(self, *_: Any) -> Any:
        raise AssertionError("work began before the input was refused")

    decode = estimate = denoise = encode


# ---------------------------------------------------------------------------------------------------------------- start


@pytest.mark.parametrize("kind", ["PIL", "file", "alpha", "float", "tensor"])
def test_a_world_begins_the_same_from_any_kind_of_image(kind: str, tmp_path: Path) -> None:
    opaque = np.concatenate([IMAGE, np.full((SIZE, SIZE, 1), 255, np.uint8)], axis=-1)
    given: Any = {"PIL": Image.fromarray(IMAGE), "alpha": opaque, "float": IMAGE / 255, "tensor": torch.tensor(IMAGE)}
    Image.fromarray(IMAGE).save(tmp_path / "view.png")
    image = given.get(kind, tmp_path / "view.png")
    world = exact_world()
    assert same_memory(world.start(image, resolution=SIZE), world.start(IMAGE, resolution=SIZE))


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"image": "nowhere.png"}, FileNotFoundError, "there is no image"),
    ({"image": 3}, TypeError, "must be a file name, a PIL image or an array"),
    ({"image": np.zeros((0, 32, 3), np.uint8)}, ValueError, "some pixels"),
    ({"image": np.zeros((32, 32, 4), np.uint8)}, ValueError, "transparent"),
    ({"image": np.zeros((32, 32), np.uint16)}, ValueError, "16-bit grey"),
    ({"image": np.full((32, 32, 3), np.nan)}, ValueError, "NaN"),
    ({"hfov": 0}, ValueError, r"hfov must lie inside \(0, 180\)"),
    ({"hfov": 180.0}, ValueError, "hfov"),
    ({"hfov": math.nan}, ValueError, "hfov"),
    ({"hfov": "90"}, ValueError, "hfov"),
    ({"frame_hfov": -5.0}, ValueError, "hfov"),
    ({"hfov": 179.9, "frame_hfov": 60.0}, ValueError, "check hfov"),
    ({"pose": np.eye(3)}, ValueError, "pose must be a 4x4 matrix"),
    ({"pose": np.stack([np.eye(4)] * 2)}, ValueError, "one 4x4 matrix"),
    ({"pose": np.diag([2.0, 1.0, 1.0, 1.0])}, ValueError, "not a rigid motion"),
    ({"pose": np.full((4, 4), np.nan)}, ValueError, "NaN"),
    ({"depth": np.ones((32, 31))}, ValueError, "image's shape"),
    ({"depth": np.full((32, 32), np.nan)}, ValueError, "NaN"),
    ({"depth": np.ones((32, 32), np.uint16)}, ValueError, "metres as floats"),
    ({"depth": np.zeros((32, 32))}, ValueError, "everywhere"),
    ({"resolution": 30}, ValueError, "resolution must be a multiple of 4"),
    ({"resolution": 8}, ValueError, "at least 16"),
    ({"resolution": 32.0}, ValueError, "resolution"),
    ({"camera_height": 0.0}, ValueError, "camera_height must lie between"),
    ({"camera_height": math.nan}, ValueError, "camera_height must lie between"),
    ({"seed": 1.5}, TypeError, "seed must be a whole number"),
    ({"seed": None}, TypeError, "seed must be a whole number"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), REFUSED)
def test_wrong_input_is_refused_before_any_work(wrong: dict[str, Any], error: type[Exception], message: str) -> None:
    part: Any = Forbidden()
    options = {"image": IMAGE, "resolution": SIZE} | wrong
    with pytest.raises(error, match=message) as caught:
        WorldModel(part, part, part).start(**options)
    assert "\n" not in str(caught.value)


def test_the_first_frame_is_the_encoded_image() -> None:
    world = small_world()
    state = world.start(IMAGE, resolution=SIZE)
    frame = world.frame(state)
    with torch.no_grad():
        latents = as_kept(world.codec.encode(from_uint8(IMAGE[None])))
        expected = to_uint8(world.codec.decode(latents))[0]
    assert torch.equal(frame.latents, latents[0]) and np.array_equal(frame.rgb, expected)
    assert float(frame.imagined.max()) == 0.0 and frame.visible.all()
    assert np.array_equal(exact_world().frame(begin(exact_world())).rgb, IMAGE)


def test_without_a_pose_the_camera_is_level_above_the_origin_and_looks_along_minus_z() -> None:
    assert np.allclose(begin(exact_world()).pose, pose())
    low = begin(exact_world(), camera_height=0.6)
    assert np.allclose(low.pose, geometry.camera_pose((0, 0, 0), 0.0, 0.6)) and low.pose.dtype == np.float32
    tilted = look(0.3, 1.0, 2.0, -3.0, pitch=0.2)
    assert np.allclose(begin(exact_world(), pose=tilted).pose, tilted)


class WrongScale(TwoMetres):
    """Sees the box room's floor as if the camera hung ``height`` metres above it."""

    def __init__(self, height: float, at: np.ndarray) -> None:
        self.height, self.at = height, at
        self.known: list[Tensor] = []

    def estimate(self, latents: Tensor, intrinsics: Tensor, known_depth: Tensor) -> DepthEstimate:
        self.known.append(known_depth)
        depth = torch.as_tensor(room_view(self.at, latents.shape[-1])[1] * np.float32(self.height / self.at[1, 3]))
        return DepthEstimate(torch.where(known_depth > 0, known_depth, depth), torch.zeros_like(known_depth))


@pytest.mark.parametrize("seen_height", [0.5, 1.25, 2.0])
def test_camera_height_puts_the_floor_where_it_belongs(seen_height: float) -> None:
    # The room looks the same to a camera 0.5 m above a floor that is as much smaller; only the height tells.
    model = WrongScale(seen_height, pose())
    world = WorldModel(PixelCodec(), model, NoiseItself())
    state = world.start(IMAGE, resolution=SIZE, camera_height=0.5)
    lowest = float(state.memory.positions[:, 1].min())
    assert abs(lowest) < 0.02  # the camera hangs at y = 0.5
    assert state.scale == pytest.approx(0.5 / seen_height, rel=0.02)
    # Steps speak to the networks in their own scale.
    world.step(state, pose(turned_deg=40.0))
    view = state.memory.read(pose(turned_deg=40.0), world._grid(state.intrinsics), (8, 8))
    assert torch.allclose(model.known[-1], view.depth / state.scale)
    assert (model.known[-1] > 0).any()


def test_without_a_floor_in_view_the_height_itself_scales() -> None:
    up = look(0.0, 0.0, 0.5, 0.0, pitch=math.pi / 2 - 0.01)
    world = exact_world()
    tall = world.start(IMAGE, pose=up, resolution=SIZE, camera_height=0.5)
    plain = world.start(IMAGE, pose=up, resolution=SIZE)
    rise = [float(state.memory.positions[:, 1].mean()) - 0.5 for state in (tall, plain)]
    assert rise[0] == pytest.approx(rise[1] * 0.5 / 1.25, rel=1e-3)


def test_the_floor_is_found_below_tables_and_missed_on_a_wall() -> None:
    K = torch.as_tensor(geometry.scale_intrinsics(geometry.intrinsics(128, 128, 90.0), 1 / 4))
    camera = torch.as_tensor(pose())
    room = torch.as_tensor(room_view(pose(), 32)[1])
    assert floor_scale(room, K, camera, 1.25) == pytest.approx(1.0, rel=0.01)
    assert floor_scale(room * 3.0, K, camera, 1.25) == pytest.approx(1 / 3, rel=0.01)
    rows = torch.arange(32)[:, None] + 0.5 - 16
    table = torch.where(rows > 0, 0.5 / (rows / 16), 9.0).expand(32, 32)
    both = torch.where(torch.arange(32) < 12, torch.minimum(table, room), room)
    assert floor_scale(both, K, camera, 1.25) == pytest.approx(1.0, rel=0.01)
    assert floor_scale(torch.full((32, 32), 3.0), K, camera, 1.25) is None


@pytest.mark.parametrize(("height", "width", "hfov"), [(36, 48, 60.0), (64, 40, 50.0), (24, 60, 110.0), (30, 34, 88.0)])
def test_a_photo_of_another_camera_lies_where_its_own_rays_put_it(height: int, width: int, hfov: float) -> None:
    wall = np.full((height, width), 2.0, np.float32)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    world = exact_world()
    state = world.start(image, hfov, wall, np.eye(4), frame_hfov=90.0, resolution=SIZE)
    x, y, z = state.memory.positions.T.numpy()
    assert np.allclose(z, 2.0)
    # Cell centres divide the photo's own field of view evenly, whatever size it was given in between.
    half_width = 2.0 * math.tan(math.radians(hfov) / 2)
    half_height = half_width * height / width
    columns, rows = len(np.unique(x.round(4))), len(np.unique(y.round(4)))
    assert np.allclose(np.unique(x.round(4)), ((np.arange(columns) + 0.5) / columns * 2 - 1) * half_width, atol=1e-3)
    assert np.allclose(np.unique(y.round(4)), ((np.arange(rows) + 0.5) / rows * 2 - 1) * half_height, atol=1e-3)
    assert columns == pytest.approx(width / 4 * (16 / (width / 2 / math.tan(math.radians(hfov) / 2))), abs=0.51)
    with pytest.raises(ValueError, match="camera unlike that of the frames"):
        world.frame(state)
    state, frame = world.step(state, np.eye(4), "never")
    cells = (np.arange(8) + 0.5) / 4 - 1  # tangents of the frame's cell centres
    seen = (np.abs(cells) < half_height / 2)[:, None] & (np.abs(cells) < half_width / 2)
    assert np.array_equal(frame.visible.numpy(), seen)
    assert np.allclose(frame.depth[np.kron(seen, np.ones((4, 4))) > 0], 2.0)


# -------------------------------------------------------------------------------------------------------------- observe


def test_an_observation_adds_what_is_new_and_leaves_everything_else() -> None:
    world = exact_world()
    old = begin(world, seed=3)
    tokens, columns = len(old.memory), [c.clone() for c in old.memory._columns()]
    image, depth = room_view(pose(turned_deg=60.0), SIZE)
    new = world.observe(old, image, pose(turned_deg=60.0), depth)
    assert tokens < len(new.memory) < 2 * tokens
    assert (new.seed, new.steps, new.resolution, new.scale) == (old.seed, old.steps, old.resolution, old.scale)
    assert np.array_equal(world.frame(new).rgb, image) and float(world.frame(new).imagined.max()) == 0.0
    assert len(old.memory) == tokens
    assert all(torch.equal(a, b) for a, b in zip(columns, old.memory._columns(), strict=True))
    assert len(world.observe(new, image, pose(turned_deg=60.0), depth).memory) == len(new.memory)


def test_an_observation_takes_the_place_of_what_was_imagined_there() -> None:
    world = exact_world()
    away = pose(turned_deg=90.0)
    state, frame = world.step(begin(world), away)
    assert frame.imagined_fraction > 0.9
    image, _ = room_view(away, SIZE)
    state = world.observe(state, image, away, np.full((SIZE, SIZE), 2.0, np.float32))
    state, frame = world.step(state, away)
    assert frame.imagined_fraction == 0.0
    assert np.abs(frame.rgb.astype(int) - image).mean() < 1.0


def test_an_observation_without_depth_is_completed_from_the_memory() -> None:
    world = exact_world()
    state = begin(world)
    image, _ = room_view(pose(z=-0.25), SIZE)
    assert len(world.observe(state, IMAGE, pose()).memory) == 64  # all of it was known
    seen = world.observe(state, image, pose(z=-0.25))
    view = state.memory.read(pose(z=-0.25), world._grid(state.intrinsics), (8, 8))
    after = seen.memory.read(pose(z=-0.25), world._grid(state.intrinsics), (8, 8))
    assert 0.5 < view.visible.float().mean() < 1 and after.visible.all()
    assert torch.allclose(after.depth[view.visible], view.depth[view.visible], rtol=0.03)
    assert torch.allclose(after.depth[~view.visible], torch.tensor(2.0), rtol=0.03)  # as the model guesses
    with pytest.raises(ValueError, match="hfov"):
        world.observe(state, image, pose(), hfov=190.0)
    with pytest.raises(ValueError, match="rigid"):
        world.observe(state, image, 2 * np.eye(4))


@pytest.mark.filterwarnings("error")
def test_a_picture_that_is_read_only_is_taken_as_it_is() -> None:
    picture = IMAGE[None].copy()
    picture.flags.writeable = False
    np.testing.assert_array_equal(to_uint8(from_uint8(picture)), picture)
