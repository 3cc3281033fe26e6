"""The demonstration: walk through a room, or out of a photo, that a world model imagines from a single view."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mirage_env import geometry
from mirage_env.demo_film import film_frames
from mirage_env.evaluation import provenance
from mirage_env.evaluation.films import write_gif, write_mp4
from mirage_env.evaluation.metrics import abs_rel, psnr
from mirage_env.evaluation.pictures import WORDS
from mirage_env.evaluation.plots import plot_psnr, plot_top_down
from mirage_env.evaluation.rollout import Comparison, Rollout, compare, roll_out, through_codec, without_memory
from mirage_env.evaluation.timing import medians, timed_parts
from mirage_env.evaluation.tokens import TokenCloud, visible_tokens
from mirage_env.evaluation.walks import RoundTrip, plan_blind, plan_out_and_back, true_views
from mirage_env.files import writable_folder
from mirage_env.frame import from_uint8
from mirage_env.geometry import Array
from mirage_env.images import load_image, resize_image
from mirage_env.memory import LatentMemory
from mirage_env.simulators.base import Camera
from mirage_env.state import WorldState
from mirage_env.world import DEFAULT_CAMERA_HEIGHT, WorldModel

DEFAULT_SCENE = 1_000_003
FPS = 10
GIF_BYTES = 3_000_000
HEAD_HEIGHT = 1.9
"""Metres; what is higher would hide the room from above."""
_TRAINED_HFOV = (60.0, 100.0)
_MOST_REACH = 3.0


@dataclass(frozen=True)
class Setting:
    """Where the demonstration takes place.

    Attributes:
        image: the one view that the world model is given.
        hfov: of that image, degrees.
        camera: of the frames.
        camera_height: given to the world model for metric scale; None leaves it to the depth model.
        walk: the way.
        truth: true views (N, H, W, 3) and their depth (N, H, W) along the way; None for a photo.
        floor: the true floor (H, W) bool, world x and z of its corner, metres per cell; None where it is not known.
        reference: what the last view should be, (H, W, 3), and where that is known (H, W).
        name: for reports.
    """

    image: Array
    hfov: float
    camera: Camera
    camera_height: float | None
    walk: RoundTrip
    truth: tuple[Array, Array] | None
    floor: tuple[Array, Array, float] | None
    reference: tuple[Array, Array]
    name: dict[str, Any]


def run_demo(
    out: Path,
    scene: int | str | None = None,
    image: Path | None = None,
    hfov: float | None = None,
    steps: int = 64,
    seed: int = 0,
    model: str = "tiny",
    camera_height: float | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Walk out and back, and write films, figures and a report.

    They are ``demo.mp4``, ``demo.gif``, ``top_down.png``, ``report.json`` and, with a room, ``psnr.png``.

    Args:
        out: folder, made if need be.
        scene: seed of a room, or "toy"; None: a held-out room.
        image: a photo instead of a room.
        hfov: of the photo in degrees (65 if None), or of the room's camera (90 if None).
        steps: of the walk; even.
        seed: decides the walk and what is imagined.
        model: bundled name, folder or hub id.
        camera_height: metres of the camera above the floor. A photo's depth is scaled by it when it is given.
        progress: whether to show a progress bar.

    Returns:
        The report.

    Raises:
        ValueError: both a scene and an image, or anything else that cannot work; before any work is done.
    """
    begin = time.perf_counter()
    if scene is not None and image is not None:
        raise ValueError("give a scene or an image, not both")
    world = WorldModel.from_pretrained(model)
    with tqdm(total=2 * steps + 12, disable=not progress, desc="opening", bar_format=_BAR) as bar:
        if image is None:
            scene = DEFAULT_SCENE if scene is None else scene
            setting = room_setting(scene, 90.0 if hfov is None else hfov, steps, seed, camera_height)
        else:
            setting = photo_setting(world, image, 65.0 if hfov is None else hfov, steps, seed, camera_height)
        writable_folder(out)
        bar.update(4)
        bar.set_description("imagining")
        poses = setting.walk.poses(setting.camera.height)
        with timed_parts(world) as (measured, times):
            rollout = roll_out(
                measured,
                setting.image,
                poses,
                hfov=setting.hfov,
                frame_hfov=setting.camera.hfov,
                resolution=setting.camera.resolution,
                camera_height=setting.camera_height,
                seed=seed,
                on_step=lambda _: bar.update(),
            )
            for view in rollout.rgb[:16]:
                measured.codec.encode(from_uint8(view[None]))
            parts = medians(times)
        bar.set_description("comparing")
        blind = without_memory(world, rollout, seed)
        comparison = None if setting.truth is None else compare(world, rollout, setting.truth[0], blind)
        closed = _closed_loop(world, rollout, blind, setting)
        cloud = visible_tokens(world, rollout.state, poses)
        bar.update(4)
        bar.set_description("drawing")
        files = _write_pictures(out, setting, rollout, comparison, cloud, bar.update)
        report = _report(world, setting, rollout, comparison, closed, parts, seed)
        bar.update(bar.total - bar.n)
        bar.set_description("done")
    report["seconds"] = time.perf_counter() - begin
    report["files"] = {**files, "report.json": None}
    provenance.write_json(out / "report.json", report)
    return provenance.plain(report)


_BAR = "{desc:<10} {bar} {percentage:3.0f} %  {elapsed}"


def room_setting(scene: int | str, hfov: float, steps: int, seed: int, camera_height: float | None = None) -> Setting:
    """A walk through a generated room, with its truth."""
    from mirage_env.simulators.rooms.simulator import RoomsSimulator
    from mirage_env.simulators.rooms.splits import SPLITS

    geometry.check_hfov(hfov)
    camera = Camera(hfov=hfov, height=DEFAULT_CAMERA_HEIGHT if camera_height is None else camera_height)
    simulator = RoomsSimulator(scene, camera, samples=4)
    simulator.reset()
    walk = plan_out_and_back(simulator, steps, seed)
    rgb, depth = true_views(simulator, walk.poses(camera.height), camera.height)
    plan = simulator.navigable_map()
    split = next((name for name, seeds in SPLITS.items() if scene in seeds), None)
    name = {"source": "room", "scene": scene, "split": split}
    everywhere = np.ones(rgb.shape[1:3], bool)
    floor = (plan.floor, plan.origin, plan.cell)
    return Setting(rgb[0], hfov, camera, camera.height, walk, (rgb, depth), floor, (rgb[0], everywhere), name)


def photo_setting(
    world: WorldModel, image: Path, hfov: float, steps: int, seed: int, camera_height: float | None = None
) -> Setting:
    """A walk into a photo, as far as the world model thinks that the floor ahead is free."""
    geometry.check_hfov(hfov)
    pixels = load_image(image)
    height = DEFAULT_CAMERA_HEIGHT if camera_height is None else camera_height
    camera = Camera(hfov=float(np.clip(hfov, *_TRAINED_HFOV)), height=height)
    state = world.start(pixels, hfov, seed=seed, camera_height=camera_height, frame_hfov=camera.hfov)
    walk = plan_blind(steps, min(free_way(state, height), _MOST_REACH))
    reference = _in_frame(pixels, hfov, camera, world.codec.stride)
    name = {"source": "photo", "image": Path(image).name, "image_size": list(pixels.shape[:2]), "hfov": hfov}
    return Setting(pixels, hfov, camera, camera_height, walk, None, None, reference, name)


def free_way(state: WorldState, camera_height: float, half_width: float = 0.3, margin: float = 0.6) -> float:
    """Metres ahead of the state's camera that hold nothing between ankle and head, as far as its memory knows."""
    assert isinstance(state.memory, LatentMemory)
    points = geometry.transform(geometry.invert(state.pose.astype(np.float64)), state.memory.positions.double().numpy())
    height = camera_height - points[:, 1]
    in_way = (np.abs(points[:, 0]) < half_width) & (height > 0.15) & (height < 1.5) & (points[:, 2] > 0)
    # A stray token or two must not end the walk before it begins.
    nearest = float(np.quantile(points[in_way, 2], 0.03)) if in_way.sum() > 8 else 2.0
    return max(nearest - margin, 0.25)


def _in_frame(pixels: Array, hfov: float, camera: Camera, stride: int) -> tuple[Array, Array]:
    """The photo as the frames' camera would have taken it (S, S, 3), and where it reaches (S, S)."""
    size, K = camera.resolution, geometry.intrinsics(pixels.shape[1], pixels.shape[0], hfov)
    small, _ = resize_image(pixels, K, float(camera.intrinsics[0, 0]), stride)
    picture, known = np.zeros((size, size, 3), np.uint8), np.zeros((size, size), bool)
    into, take = [], []
    for side in small.shape[:2]:
        shared = min(side, size)
        into.append(slice((size - shared) // 2, (size + shared) // 2))
        take.append(slice((side - shared) // 2, (side + shared) // 2))
    picture[into[0], into[1]] = small[take[0], take[1]]
    known[into[0], into[1]] = True
    return picture, known


def _closed_loop(world: WorldModel, rollout: Rollout, blind: Array, setting: Setting) -> dict[str, float]:
    """PSNR of the last view against what was given at the start, where that is known: PSNR_C."""
    picture, known = setting.reference
    views = {
        "imagination": rollout.rgb[-1],
        "memory_off": blind[-1],
        "ceiling": through_codec(world, picture[None])[0],
    }
    closed = {name: float(psnr(view, picture, mask=known)) for name, view in views.items()}
    closed["below_ceiling"] = closed["ceiling"] - closed["imagination"]
    closed["above_memory_off"] = closed["imagination"] - closed["memory_off"]
    return closed


def _write_pictures(
    out: Path,
    setting: Setting,
    rollout: Rollout,
    comparison: Comparison | None,
    cloud: TokenCloud,
    update: Callable[[], Any],
) -> dict[str, int]:
    """Write the films and figures; their names and how many frames each holds."""
    low = cloud.where(cloud.positions[:, 1] < HEAD_HEIGHT)
    written_at = np.searchsorted(rollout.tokens, low.token, side="right")
    large, small = [], []
    for wide, narrow in film_frames(setting.walk, setting.truth, rollout, low, setting.floor, setting.camera.hfov):
        large.append(wide)
        small.append(narrow)
        update()
    files = {"demo.mp4": write_mp4(out / "demo.mp4", large + [large[-1]] * FPS, FPS)}
    files["demo.gif"] = write_gif(out / "demo.gif", small, FPS, GIF_BYTES, keep=WORDS)[0]
    what = f"room {setting.name['scene']}" if setting.truth is not None else f"photo {setting.name['image']}"
    holds = f"What the memory holds of {what}: {rollout.tokens[-1]:,} tokens, {rollout.nbytes[-1] / 1e6:.1f} MB"
    plot_top_down(out / "top_down.png", low, setting.walk, written_at, setting.floor, holds)
    files["top_down.png"] = 1
    if comparison is not None:
        subtitle = (
            f"{what}, {len(setting.walk)} steps out and back from one view; "
            f"back at the start, {comparison.closed_loop['imagination']:.1f} dB to the first view"
        )
        plot_psnr(out / "psnr.png", comparison, setting.walk, subtitle)
        files["psnr.png"] = 1
    return files


def _report(
    world: WorldModel,
    setting: Setting,
    rollout: Rollout,
    comparison: Comparison | None,
    closed: dict[str, float],
    parts: dict[str, float | None],
    seed: int,
) -> dict[str, Any]:
    walk, camera = setting.walk, setting.camera
    return {
        "command": "demo",
        **setting.name,
        "model": world.name,
        "steps": len(walk),
        "walk": {
            "start": {"position": list(walk.start.position), "yaw": walk.start.yaw},
            "legs": [{"name": leg.name, "first": leg.first, "last": leg.last} for leg in walk.legs],
            "length": walk.length,
            "forward_step": walk.forward_step,
            "turn_angle_deg": float(np.degrees(walk.turn_angle)),
        },
        "camera": {"resolution": camera.resolution, "hfov": camera.hfov, "height": camera.height},
        "psnr": None
        if comparison is None
        else {
            "imagination": comparison.imagination,
            "codec_ceiling": comparison.ceiling,
            "memory_off": comparison.memory_off,
            "readout_where_visible": comparison.readout,
        },
        "closed_loop_psnr": closed,
        "depth_abs_rel": None if setting.truth is None else abs_rel(rollout.depth, setting.truth[1]),
        "imagined_fraction": rollout.imagined,
        "visible_fraction": rollout.visible.mean((1, 2)),
        "tokens": rollout.tokens,
        "bytes": rollout.nbytes,
        "milliseconds": {**parts, "step": statistics.median(rollout.milliseconds[1:].tolist())},
        "counts": {"views": len(rollout.rgb), "tokens": int(rollout.tokens[-1]), "bytes": int(rollout.nbytes[-1])},
        "seeds": {"walk": seed, "imagination": seed},
        "versions": provenance.versions(),
        "device": provenance.device(),
    }
