"""The benchmarks measure what they say, on small settings."""

from __future__ import annotations

import dataclasses
import json
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import (
    agents_throughput,
    env_throughput,
    forks_and_snapshots,
    gpu_worlds,
    habitat_drop_in,
    long_walk,
    memory_history,
    memory_read,
    mesh_views,
    plots,
    reporting,
    step_time,
    world_quality,
)
from mirage_env.data.shards import Trajectory
from mirage_env.memory import LatentMemory
from mirage_env.simulators.base import Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from tests.exact_world import exact_world
from tests.simulators.mesh.files import flat_room
from tests.small_world import small_world


def walk_ahead(simulator: RoomsSimulator, frames: int, step: float) -> Trajectory:
    """Straight ahead from the default start."""
    first = simulator.reset().pose
    poses = np.repeat(first[None], frames, axis=0)
    poses[:, :3, 3] += step * np.arange(frames)[:, None] * first[:3, 2]
    rgb, depth = simulator.render_views(poses)
    K = simulator.camera.intrinsics.astype(np.float32)
    return Trajectory(rgb, depth, poses, K, np.ones(frames, np.int8), np.zeros(frames, bool))


def test_world_quality_of_an_exact_codec() -> None:
    simulator = RoomsSimulator(5, Camera(resolution=64))
    found = world_quality.measure_views(exact_world(), walk_ahead(simulator, frames=20, step=0.06))
    assert np.isinf(found["codec_ceiling"])
    # True depth brings pixels to where they belong; taking everything to be two metres away does not.
    assert found["readout"] > 18
    assert found["readout"] > found["readout_estimated"] + 1
    assert 0.5 < found["readout_covered"] < 1
    assert 0.1 < found["depth_abs_rel"] < 2
    simulator.reset("toy")
    loop = world_quality.measure_closed_loop(exact_world(), simulator, steps=8, seed=0)
    assert loop["closed_loop_above_memory_off"] == pytest.approx(loop["closed_loop"] - loop["closed_loop_memory_off"])
    assert loop["closed_loop_memory_off"] < 12


def test_summary_says_what_was_reached() -> None:
    rows = [{m.key: value for m in world_quality.MEASURES} for value in (30.0, 32.0, 34.0)]
    rows[0]["readout"] = float("nan")
    summary = world_quality.summarise(rows, seed=0)
    ceiling = summary["codec_ceiling"]
    assert (ceiling["mean"], ceiling["std"], ceiling["min"], ceiling["max"]) == (32.0, 2.0, 30.0, 34.0)
    assert 30 <= ceiling["low"] <= 32 <= ceiling["high"] <= 34
    assert ceiling["reached"] is True
    assert summary["depth_abs_rel"]["reached"] is False
    assert summary["readout"]["rooms"] == 2
    table = world_quality.describe(summary)
    assert "codec ceiling, PSNR" in table
    assert ">= 30: reached" in table
    assert "<= 0.15: MISSED" in table


def test_world_quality_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_world().save_pretrained(tmp_path / "model")
    report = tmp_path / "report.json"
    world_quality.main(["--scenes", "1", "--steps", "4", "--model", str(tmp_path / "model"), "--json", str(report)])
    found = json.loads(report.read_text())
    assert len(found["rooms"]) == 1
    assert found["rooms"][0]["scene"] == 1_000_000
    assert {"summary", "versions", "device", "arguments"} <= found.keys()
    assert "1 rooms of 'val'" in capsys.readouterr().out


def test_mesh_views(tmp_path: Path) -> None:
    found = mesh_views.measure(mesh_views.made_scene(tmp_path, spheres=3), repeats=1)
    assert found["faces"] == 12 + 3 * 1280
    assert found["rgbd"] > 0 and found["depth"] > 0 and found["peak_gib"] > 0


def test_step_time() -> None:
    found = step_time.measure(small_world(), steps=2, scenes="toy")
    for name in ("rgb_new", "memory_never"):
        assert found[name]["count"] == 2
        assert found[name]["encodings"] == pytest.approx(found[name]["median"] / found["encode"]["median"])
        assert found[name]["median"] > 0


def test_memory_read_of_a_world_and_of_a_history() -> None:
    world = memory_read.home_case(tokens=150, size=8, channels=2)
    history = memory_read.history_case(frames=3, following=2, size=(6, 10), channels=2)
    assert len(history.views) == 3 and history.views[0].depth.shape == (6, 10) and len(history.poses) == 2
    for case in (world, history):
        found = memory_read.measure(case, repeats=2)
        times = {way: spread["median"] for way, spread in found["milliseconds"].items()}
        assert {"compiled", "torch", "nearest", "reference"} <= times.keys()
        assert found["faster_than_reference"] == pytest.approx(times["reference"] / times["compiled"])
        assert 0 < found["tokens"] <= found["appended_tokens"] <= len(case.views) * case.views[0].depth.size
        assert found["differing_cells"] == 0
        assert found["reference_nearest"] > 0.95
        assert "0 of" in memory_read.describe(case.name, found)
    assert "ways_torch" in memory_read.measure(world, repeats=1)["milliseconds"]


def test_memory_read_finds_cells_that_differ() -> None:
    case = memory_read.home_case(tokens=60, size=8, channels=2)
    memory = LatentMemory(2)
    memory.write(*case.views[0])
    view = memory.read(case.views[0].pose, case.views[0].K, (8, 8))
    assert not memory_read.differing_cells(view, view).any()
    latents = view.latents.clone()
    latents[0, 1, 2, 3] = -latents[0, 1, 2, 3]
    changed = dataclasses.replace(view, latents=latents)
    assert memory_read.differing_cells(view, changed).nonzero().tolist() == [[0, 2, 3]]


def test_memory_read_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    report = tmp_path / "report.json"
    memory_read.main(["--tokens", "900", "--repeats", "1", "--frames", "0", "--threads", "1", "--json", str(report)])
    torch.set_num_threads(before)
    assert json.loads(report.read_text())["cases"]["world of 900 tokens"]["differing_cells"] == 0
    assert "x as fast as torch" in capsys.readouterr().out


def test_memory_history() -> None:
    world = small_world()
    history = memory_history.walk_of(world, 4, scene="toy", resolution=32)
    found = memory_history.measure(world, history, every=2)
    assert [row["step"] for row in found["steps"]["rgb"]] == [2, 4]
    memories, ratios = found["memories"], found["ratios"]["appended / latent"]
    for key in ("time", "bytes"):
        assert ratios[key] == pytest.approx(memories["appended"][key] / memories["latent"][key])
    # Every pixel of every view with a depth is a point; half of the bytes of latents are saved by float16.
    assert memories["appended"]["least_bytes"] == 15 * 5 * 32 * 32 < memories["appended"]["bytes"]
    assert memories["latent"]["bytes"] < memories["latent32"]["bytes"] < memories["rgb"]["bytes"]
    assert "goal >= 55 x" in memory_history.describe(found)


def test_the_reference_appends_every_cell_and_shows_it_again() -> None:
    case = memory_read.history_case(frames=2, following=1, size=(6, 10), channels=2)
    reference = memory_read.Reference(2)
    for view in case.views:
        reference.write(*view)
    assert len(reference.positions) == len(reference.features) == sum((view.depth > 0).sum() for view in case.views)
    alone = memory_read.Reference(2)
    alone.write(*case.views[0])
    latents, depth = alone.read(case.views[0].pose[None], case.views[0].K, (6, 10))
    assert np.allclose(depth[0], case.views[0].depth, rtol=1e-4)
    assert np.allclose(latents[0], case.views[0].latents)


def test_env_throughput(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_world().save_pretrained(tmp_path / "model")
    report = tmp_path / "report.json"
    options = ["--worlds", "1", "2", "--steps", "2", "--scenes", "toy", "--model", str(tmp_path / "model")]
    env_throughput.main([*options, "--json", str(report)])
    found = json.loads(report.read_text())
    assert [(row["case"], row["worlds"]) for row in found["rows"][:3]] == [
        ("rgb_new", 1),
        ("rgb_new", 2),
        ("latent_new", 1),
    ]
    for row in found["rows"]:
        spent = row["milliseconds"]
        assert row["against_sync"] == pytest.approx(spent["sync"] / spent["batched"], abs=1e-4)
        assert row["steps_per_second"]["batched"] == pytest.approx(1000 * row["worlds"] / spent["batched"], rel=1e-3)
        each = row["step_milliseconds"]["batched"]
        assert len(each) == 2 and row["mean_milliseconds"]["batched"] == pytest.approx(np.mean(each), rel=1e-3)
    parts = found["milliseconds"]["parts"]
    assert parts["rgb_new"]["pixels"] > 0 and parts["memory_never"]["memory read"] > 0
    assert "denoiser" not in parts["memory_never"]
    printed = capsys.readouterr().out
    assert "x singles" in printed and "by means" in printed


def test_agents_throughput(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    report, case = tmp_path / "report.json", "true, depth"
    monkeypatch.setattr(agents_throughput, "CASES", {case: agents_throughput.CASES[case]})
    agents_throughput.main(["--quick", "--json", str(report)])
    row = json.loads(report.read_text())["rows"][case]
    assert row["steps"] == 16
    assert row["share"] == pytest.approx(row["learning_steps_per_second"] / row["bare_steps_per_second"], rel=1e-4)
    assert f"{case}: PPO" in capsys.readouterr().out


def test_a_stopwatch_counts_the_own_time_of_parts() -> None:
    watch = env_throughput.Stopwatch()
    inner = watch.timed("inner", lambda: time.sleep(0.02))
    watch.timed("outer", lambda: (time.sleep(0.01), inner()))()
    assert watch.seconds["inner"] >= 0.02
    assert 0.01 <= watch.seconds["outer"] < watch.seconds["inner"]


def test_gpu_worlds_on_the_processor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_world().save_pretrained(tmp_path / "model")
    report, table = tmp_path / "report.json", tmp_path / "table.md"
    options = ["--device", "cpu", "--worlds", "1", "3", "--steps", "2", "--model", str(tmp_path / "model")]
    gpu_worlds.main([*options, "--json", str(report), "--table", str(table)])
    found = json.loads(report.read_text())
    rows = found["rows"]
    assert [(row["imagine"], row["worlds"]) for row in rows] == [("new", 1), ("new", 3), ("never", 1), ("never", 3)]
    for row in rows:
        assert len(row["step_milliseconds"]) == row["steps"] == 2 and row["tokens"] > 0
        assert row["steps_per_second"] == pytest.approx(1000 * row["worlds"] / row["milliseconds"], rel=1e-3)
    # A world that only looks at what it imagined before holds what it held then.
    assert rows[0]["tokens"] == rows[2]["tokens"]
    assert table.read_text().strip() in capsys.readouterr().out
    assert "| `never` | 3 |" in table.read_text()


@pytest.mark.parametrize(
    ("device", "sentence"),
    [("cuda", "no CUDA device"), ("tpu", "no kind of device called 'tpu'"), ("meta", "measured on cpu or cuda")],
)
def test_gpu_worlds_refuse_in_one_sentence(
    device: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as stopped:
        gpu_worlds.main(["--device", device])
    assert stopped.value.code == 2 and sentence in capsys.readouterr().err


def test_long_walk() -> None:
    found = long_walk.measure(small_world(), "toy", early=3, late=9)
    assert found["walked"]["steps"][0]["tokens"] == found["replayed"]["steps"][0]["tokens"]  # both begin alike
    for walk in found.values():
        assert len(walk["steps"]) == 9
        assert walk["late"]["tokens"] == walk["steps"][-1]["tokens"] >= walk["early"]["tokens"]
        assert walk["ratios"]["bytes"] == pytest.approx(walk["late"]["bytes"] / walk["early"]["bytes"])


def test_forks_and_snapshots() -> None:
    found = forks_and_snapshots.measure(small_world(), "toy", steps=4, forks=3)
    assert found["held bytes"] >= found["bytes"]
    assert found["held"] == pytest.approx(found["held bytes"] / (found["written"] + found["bytes"]))
    assert found["file bytes"] > found["bytes"] / 2 and found["fork bytes"] < 2048


def test_what_was_measured_is_drawn(tmp_path: Path) -> None:
    times = dict.fromkeys(("batched", "sync", "rooms"), 100.0)
    rows = [
        {"case": case, "worlds": count, "steps_per_second": times, "target": 120.0}
        for case in ("rgb_new", "memory_never")
        for count in (1, 4)
    ]
    parts = {"rgb_new": {"denoiser": 3.0, "something new": 1.0}, "memory_never": {"memory read": 2.0}}
    step = {"milliseconds": 3.0, "tokens": 5, "bytes": 500, "new": 0.0}
    walk = [step, {**step, "tokens": 9, "bytes": 900}, {**step, "tokens": 9, "bytes": 900}]
    walked = {"steps": walk, "early": {"step": 1, **walk[0]}, "late": {"step": 3, **walk[2]}}
    memory = [{"step": k, "read": 1.0, "write": 2.0, "bytes": 1000 * k} for k in (1, 2)]
    reports = {
        "env_throughput": {"rows": rows, "milliseconds": {"worlds": 4, "parts": parts}},
        "long_walk": {"walked": walked, "replayed": walked},
        "memory_history": {"steps": dict.fromkeys(plots.MEMORIES, memory)},
        "forks_and_snapshots": {"forks": 10, "bytes": 1000, "written": 500, "held bytes": 1600},
    }
    assert plots.draw(tmp_path) == []
    for name, report in reports.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
    drawn = plots.draw(tmp_path)
    assert {path.stem for path in drawn} == {name for names in plots.PLOTS.values() for name in names}
    for path in drawn:
        pixels = np.asarray(Image.open(path))
        assert pixels.shape[1] == 1152 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    assert plots._parts_of(parts) == ["memory read", "denoiser", "something new"]
    assert plots.running_median(np.array([1.0, 9, 2, 3]), 3).tolist() == [5, 2, 3, 2.5]


def test_a_goal_says_whether_it_was_reached() -> None:
    assert reporting.goal("a", 2.0, "x", at_most=2.0).endswith("goal <= 2 x: reached")
    assert reporting.goal("a", 2.1, "x", at_most=2.0).endswith("MISSED")
    assert reporting.goal("a", 2.0, "x", at_least=2.5).endswith("goal >= 2.5 x: MISSED")


def test_views_of_two_simulators_are_compared_pixel_by_pixel() -> None:
    here = {"rgb": np.full((4, 4, 3), 100, np.uint8), "depth": np.full((4, 4), 2.0, np.float32)}
    there = {"rgb": here["rgb"] + np.uint8(3), "depth": here["depth"].copy()}
    there["depth"][0] += 0.02
    found = habitat_drop_in.compare([(here, there)])
    assert found == {"views": 1, "depth_agrees": 0.75, "colours_apart": 3.0}


def test_without_habitat_sim_the_drop_in_is_not_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(habitat_drop_in, "find_spec", lambda name: None)
    assert habitat_drop_in.main(["--quick", "--json", str(tmp_path / "a.json")]) == {"measured": False}
    assert "not measured: simulator 'habitat' needs habitat-sim" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["measured"] is False


@pytest.mark.habitat
@pytest.mark.skipif(find_spec("habitat_sim") is None, reason="needs habitat-sim")
def test_mesh_stands_in_for_habitat_sim(tmp_path: Path) -> None:
    found = habitat_drop_in.measure([flat_room(tmp_path / "room.glb")], 4)
    assert found["same_walks"] == 4 and found["mesh"]["success"] == found["habitat"]["success"] == 1
    assert found["mesh"]["spl"] == pytest.approx(found["habitat"]["spl"], abs=1e-6)
    assert found["depth_agrees"] > 0.999 and found["colours_apart"] < 1
