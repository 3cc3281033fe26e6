"""Every recording of habitat-sim's space, paths and motion, made again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import mesh_parity
from mirage_env.simulators.mesh.navigation import MeshNavigation
from mirage_env.simulators.mesh.navmesh.build import build_navmesh
from tests.shared_files import shared

GOLDEN = "golden/habitat"


@pytest.fixture(scope="module", params=list(mesh_parity.SCENES))
def scene(request: pytest.FixtureRequest) -> tuple[str, Path, MeshNavigation]:
    path = shared(mesh_parity.SCENES[request.param])
    return request.param, shared(GOLDEN), MeshNavigation(build_navmesh(*mesh_parity.scene_mesh(path)))


def test_space(scene: tuple[str, Path, MeshNavigation]) -> None:
    name, golden, ways = scene
    with np.load(golden / f"{name}_nav.npz") as recorded:
        assert mesh_parity.navigable_map_iou(ways, recorded) >= 0.99
        assert [island.area for island in ways.islands] == pytest.approx(recorded["islands_area"], rel=1e-5)
        assert [island.radius for island in ways.islands] == pytest.approx(recorded["islands_radius"], rel=1e-5)
        order = np.argsort(np.repeat(ways.mesh.island, np.diff(ways.mesh.triangle_start)), kind="stable")
        # float32 transforms of scenes differ in their last bits
        assert np.abs(ways.mesh.triangles[order] - recorded["navmesh_triangles"]).max() < 1e-5


def test_snaps_and_single_steps(scene: tuple[str, Path, MeshNavigation]) -> None:
    name, golden, ways = scene
    with np.load(golden / f"{name}_nav.npz") as recorded:
        for query, place, navigable, island in zip(
            *(recorded[f"snap_{key}"] for key in ("query", "result", "is_navigable", "island")), strict=True
        ):
            assert ways.is_navigable(query) == navigable
            if np.isfinite(place).all():
                assert ways.snap(query) == pytest.approx(place, abs=1e-5)
                assert ways.island(query) == island
            else:
                with pytest.raises(ValueError, match="no navigable place"):
                    ways.snap(query)
        for key in ("sliding", "no_sliding"):
            for a, b, end in zip(
                recorded["trystep_start"], recorded["trystep_end"], recorded[f"trystep_{key}"], strict=True
            ):
                assert ways.move(a, b - a, key == "sliding")[0] == pytest.approx(end, abs=1e-5)


def test_distances(scene: tuple[str, Path, MeshNavigation]) -> None:
    name, golden, ways = scene
    with np.load(golden / f"{name}_nav.npz") as recorded:
        errors, unlike = mesh_parity.distance_errors(ways, recorded)
        assert unlike == 0
        assert errors.max() < 1e-4
        begins = np.cumsum(recorded["pair_path_len"])
        for i, end in enumerate(begins):
            path = recorded["pair_path_points"][end - recorded["pair_path_len"][i] : end]
            found = ways.shortest_path(recorded["pair_start"][i], recorded["pair_end"][i])
            assert found == pytest.approx(path, abs=1e-5)


def test_rollouts(scene: tuple[str, Path, MeshNavigation]) -> None:
    name, golden, ways = scene
    with np.load(golden / f"{name}_rollouts.npz") as rollouts:
        for key in [key.removesuffix("_actions") for key in rollouts if key.endswith("_actions")]:
            walk = mesh_parity.replay(ways, rollouts, key)
            assert walk["furthest"] < 1e-4, key
            assert walk["rotation"] == 0, key
            assert walk["collided_equal"] == 1, key
