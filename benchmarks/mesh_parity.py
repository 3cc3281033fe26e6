"""How the mesh simulator's navigation compares with habitat-sim's recordings: space, paths, motion, and times."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import reporting
from mirage_env.geometry import Array
from mirage_env.simulators.heading import ahead, turned
from mirage_env.simulators.mesh.navigation import MeshNavigation
from mirage_env.simulators.mesh.navigation_cache import open_navigation
from mirage_env.simulators.mesh.scene import load_scene

SCENES = {
    "apartment": "golden/habitat/scenes/apartment.glb",
    "simple_room": "golden/habitat/scenes/simple_room.glb",
    "living-room": "scenes/living-room.glb",
    "classroom": "scenes/classroom.glb",
}
"""Recorded scenes, and where they are in the shared folder."""


def shared_folder() -> Path:
    """Where recordings and scenes are: $MIRAGE_SHARED, or ../shared beside the project."""
    beside = Path(__file__).resolve().parents[1] / ".." / "shared"
    return Path(os.environ.get("MIRAGE_SHARED", beside)).resolve()


def scene_mesh(path: Path) -> tuple[Array, Array]:
    """Vertices (V, 3) float32 and faces (F, 3) of a scene file in our world."""
    mesh = load_scene(path).mesh
    return mesh.vertices, mesh.faces


def navigable_map_iou(navigation: MeshNavigation, recorded: Any) -> float:
    """Intersection over union of the maps of where an agent can stand."""
    ours, theirs = navigation.top_down(float(recorded["topdown_height"])), recorded["topdown_floor"]
    return float((ours & theirs).sum() / (ours | theirs).sum())


def distance_errors(navigation: MeshNavigation, recorded: Any) -> tuple[Array, int]:
    """Relative errors (N,) of the geodesic distances of pairs that are joined, and in how many that differs."""
    pairs = zip(recorded["pair_start"], recorded["pair_end"], strict=True)
    ours, theirs = np.array([navigation.geodesic_distance(a, b) for a, b in pairs]), recorded["pair_geodesic"]
    both = np.isfinite(ours) & np.isfinite(theirs)
    errors = np.abs(ours[both] - theirs[both]) / np.maximum(theirs[both], 1e-3)
    return errors, int((np.isfinite(ours) != np.isfinite(theirs)).sum())


def replay(navigation: MeshNavigation, rollouts: Any, name: str) -> dict[str, float]:
    """A recorded sequence walked again: errors of places (metres) and rotations, and the share of equal collisions."""
    places, rotations = rollouts[f"{name}_positions"], rollouts[f"{name}_rotations_wxyz"].astype(np.float32)
    place, rotation = places[0], rotations[0]
    off, turned_off, equal = [], [], []
    for i, action in enumerate(rollouts[f"{name}_actions"].tolist()):
        collided = False
        if action == 0:
            place, collided = navigation.move(place, ahead(rotation, 0.25), not name.endswith("_noslide"))
        else:
            rotation = turned(rotation, 10 if action == 1 else -10)
        off.append(np.linalg.norm(place - places[i + 1]))
        turned_off.append(np.abs(rotation - rotations[i + 1]).max())
        equal.append(collided == rollouts[f"{name}_collided"][i])
    return {
        "after_40": float(off[min(40, len(off)) - 1]),
        "furthest": float(max(off)),
        "rotation": float(max(turned_off)),
        "collided_equal": float(np.mean(equal)),
    }


def measure(name: str, folder: Path, cache: Path) -> dict[str, Any]:
    """All figures of one scene."""
    vertices, faces = scene_mesh(folder / SCENES[name])
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        navigation = open_navigation(vertices, faces, folder=cache)
        seconds.append(time.perf_counter() - start)
    golden = folder / "golden" / "habitat"
    with np.load(golden / f"{name}_nav.npz") as recorded:
        errors, unlike = distance_errors(navigation, recorded)
        iou = navigable_map_iou(navigation, recorded)
        area = float(recorded["navigable_area"])
    with np.load(golden / f"{name}_rollouts.npz") as rollouts:
        names = [key.removesuffix("_actions") for key in rollouts if key.endswith("_actions")]
        walks = {one: replay(navigation, rollouts, one) for one in names}
    return {
        "triangles": len(faces),
        "build_s": seconds[0],
        "cached_s": seconds[1],
        "area": navigation.floor_area,
        "area_recorded": area,
        "map_iou": iou,
        "geodesic_median": float(np.median(errors)),
        "geodesic_p95": float(np.percentile(errors, 95)),
        "geodesic_unlike": unlike,
        "walks": walks,
    }


def _print(name: str, found: dict[str, Any]) -> None:
    walks = list(found["walks"].values())
    sliding = [walk for key, walk in found["walks"].items() if not key.endswith("_noslide")]
    near = 100 * float(np.mean([walk["after_40"] <= 0.02 for walk in sliding]))
    print(f"{name}: {found['triangles']} triangles, {found['area']:.3f} m² (Habitat {found['area_recorded']:.3f})")
    for line in (
        ("navigable map, IoU with Habitat's", found["map_iou"], "", None, 0.95),
        ("geodesic distances, median error", 100 * found["geodesic_median"], "%", 1, None),
        ("geodesic distances, 95th percentile of errors", 100 * found["geodesic_p95"], "%", 4, None),
        ("pairs of which only one says there is a way", found["geodesic_unlike"], "pairs", 0, None),
        ("sliding, within 2 cm after 40 actions", near, "%", None, 90),
        ("sliding, furthest from the recording", 100 * max(w["furthest"] for w in sliding), "cm", 10, None),
        ("not sliding, too, furthest from the recording", 100 * max(w["furthest"] for w in walks), "cm", 10, None),
        ("rotations, largest difference", max(w["rotation"] for w in walks), "", 0, None),
        ("collided as recorded", 100 * float(np.mean([w["collided_equal"] for w in walks])), "%", None, 97),
        ("building the space the first time", found["build_s"], "s", 10, None),
        ("reading it from the cache", found["cached_s"], "s", 0.2, None),
    ):
        text, value, unit, most, least = line
        print("  " + reporting.goal(text, float(value), unit, at_most=most, at_least=least))


def main(argv: list[str] | None = None) -> None:
    arguments = reporting.parser(__doc__).parse_args(argv)
    folder = shared_folder()
    names = ["apartment"] if arguments.quick else list(SCENES)
    if missing := [name for name in names if not (folder / SCENES[name]).exists()]:
        print(f"the recordings of {', '.join(missing)} are not in {folder}; set MIRAGE_SHARED to where they are")
        reporting.write(arguments, "mesh_parity", {"scenes": {}})
        return
    with TemporaryDirectory() as cache:
        found = {name: measure(name, folder, Path(cache)) for name in names}
    for name in names:
        _print(name, found[name])
    reporting.write(arguments, "mesh_parity", {"scenes": found})


if __name__ == "__main__":
    main()
