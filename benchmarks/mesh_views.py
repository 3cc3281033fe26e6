"""How fast the views of a scene file are rendered, and how near they are to recordings of habitat-sim.

    python -m benchmarks.mesh_views classroom.glb --recording classroom_observations.npz

Cameras stand where the recording's did; without one, at random places 1.25 m above the lowest point. Without a scene, a
room full of spheres is measured.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from benchmarks import reporting
from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.mesh.rendering import SceneRaycaster, shading_by
from mirage_env.simulators.mesh.scene import MeshScene, load_scene

SIZE, HEIGHT = 128, 1.25
RATE = 150.0
"""RGB-D frames a second that one process must reach."""


def made_scene(folder: Path, spheres: int = 80) -> Path:
    """A room of 100,000 triangles, z-up, with materials, without which habitat-sim lights what it shows."""
    room = _painted(trimesh.creation.box((8.0, 6.0, 2.6)), (200, 190, 170, 255))
    room.invert()
    rng = np.random.default_rng(0)
    scene = trimesh.Scene(room)
    for place in rng.uniform((-3.7, -2.7, -1.2), (3.7, 2.7, 1.2), (spheres, 3)):
        scene.add_geometry(
            _painted(trimesh.creation.icosphere(3, 0.15), (*rng.integers(40, 250, 3), 255)),
            transform=trimesh.transformations.translation_matrix(place),
        )
    scene.export(folder / "spheres.glb")
    return folder / "spheres.glb"


def _painted(mesh: trimesh.Trimesh, colour: tuple[int, ...]) -> trimesh.Trimesh:
    mesh.visual = trimesh.visual.TextureVisuals(material=trimesh.visual.material.PBRMaterial(baseColorFactor=colour))
    return mesh


def random_poses(scene: MeshScene, count: int, seed: int = 0) -> Array:
    """Level cameras T_world_camera (count, 4, 4)."""
    rng = np.random.default_rng(seed)
    low, high = scene.bounds
    places = rng.uniform(low + 0.1 * (high - low), high - 0.1 * (high - low), (count, 3))
    places[:, 1] = low[1]
    return np.stack(
        [geometry.camera_pose(p, yaw, HEIGHT) for p, yaw in zip(places, rng.uniform(0, 6.28, count), strict=True)]
    )


def measure(path: Path, up: str | None = None, recording: Path | None = None, repeats: int = 20) -> dict[str, Any]:
    """Rates (the best of ``repeats``), seconds of loading, and distances from the recording."""
    begin = time.perf_counter()
    scene = load_scene(path, up)
    loaded = time.perf_counter()
    caster = SceneRaycaster(scene)
    found: dict[str, Any] = {"faces": len(scene.mesh.faces), "load": loaded - begin}
    found["build"] = time.perf_counter() - loaded
    recorded = None if recording is None else np.load(recording)
    poses = random_poses(scene, 16) if recorded is None else geometry.opencv_from_opengl(recorded["cam_to_world"])
    K = geometry.intrinsics(SIZE, SIZE, 90.0)
    found["rgbd"] = _rate(lambda: caster.render(poses, K, SIZE, SIZE), len(poses), repeats)
    found["depth"] = _rate(lambda: caster.render(poses, K, SIZE, SIZE, rgb=False), len(poses), repeats)
    with shading_by("numpy"):
        found["rgbd_numpy"] = _rate(lambda: caster.render(poses, K, SIZE, SIZE), len(poses), max(repeats // 4, 1))
    if recorded is not None:
        rgb, depth = caster.render(poses, K, SIZE, SIZE)
        assert rgb is not None
        error = np.abs(depth - recorded["depth"])
        found["depth_agrees"] = float(((error <= 0.01) | (error <= 0.002 * recorded["depth"])).mean())
        found["rgb_difference"] = float(np.abs(rgb - recorded["rgb"][..., :3].astype(np.float64)).mean())
    found["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return found


def main(argv: list[str] | None = None) -> None:
    parser = reporting.parser(__doc__)
    parser.add_argument("scene", nargs="?", type=Path, help="a scene file (a made one)")
    parser.add_argument("--up", help="which of the file's axes is up (as habitat-sim takes it)")
    parser.add_argument("--recording", type=Path, metavar="NPZ", help="views that habitat-sim recorded there")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        path = made_scene(Path(folder)) if arguments.scene is None else arguments.scene
        found = measure(path, arguments.up, arguments.recording, 2 if arguments.quick else 20)
    print(f"{path.name}: {found['faces']:,} triangles, opened in {found['load']:.2f} s + {found['build']:.2f} s")
    print(reporting.goal(f"RGB-D, {SIZE}x{SIZE}", found["rgbd"], "frames/s", at_least=RATE))
    print(f"depth alone {found['depth']:.0f} frames/s; shaded by NumPy {found['rgbd_numpy']:.0f} frames/s")
    if "depth_agrees" in found:
        agreeing, difference = 100 * found["depth_agrees"], found["rgb_difference"]
        print(reporting.goal("pixels whose depth is habitat-sim's", agreeing, "%", at_least=99.9))
        print(reporting.goal("mean difference of colours from habitat-sim's", difference, "of 255", at_most=4))
    print(f"memory at most {found['peak_gib']:.2f} GiB")
    reporting.write(arguments, "mesh_views", found)


def _rate(render: Callable[[], Any], views: int, repeats: int) -> float:
    """Views a second."""
    render()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        render()
        times.append(time.perf_counter() - begin)
    return views / min(times)


if __name__ == "__main__":
    main()
