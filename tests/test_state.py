"""A state on disk is the state: it goes on bit for bit, and anything else under its name is refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mirage_env.memory import LatentMemory
from mirage_env.state import FORMAT, VERSION, as_kept
from mirage_env.world import WorldState
from tests.box_room import pose, room_view
from tests.one_view import IMAGE, SIZE, TURN
from tests.small_world import small_world

WORLD = small_world()


@pytest.fixture(scope="module")
def state() -> WorldState:
    image, depth = room_view(pose())
    begun = WORLD.start(image, depth=depth, resolution=32, seed=4, camera_height=0.8)
    return WORLD.step(begun, pose(turned_deg=30.0))[0]


def test_a_loaded_state_goes_on_bit_for_bit(state: WorldState, tmp_path: Path) -> None:
    state.save(tmp_path / "state.safetensors")
    loaded = WorldState.load(tmp_path / "state.safetensors")
    assert (loaded.seed, loaded.steps, loaded.resolution, loaded.scale) == (4, 1, (32, 32), state.scale)
    assert np.array_equal(loaded.pose, state.pose) and loaded.pose.dtype == np.float32
    assert np.array_equal(loaded.intrinsics, state.intrinsics) and torch.equal(loaded.latents, state.latents)
    for target in (pose(turned_deg=80.0), pose(x=0.3, turned_deg=120.0)):
        state, frame = WORLD.step(state, target)
        loaded, again = WORLD.step(loaded, target)
        assert torch.equal(frame.latents, again.latents) and torch.equal(frame.grid_depth, again.grid_depth)
        assert torch.equal(frame.imagined, again.imagined) and np.array_equal(frame.rgb, again.rgb)
    assert len(loaded.memory) == len(state.memory)


def test_a_state_of_another_camera_is_saved_too(tmp_path: Path) -> None:
    image, _ = room_view(pose(), 24, 60.0, 40)
    begun = WORLD.start(image, 60.0, frame_hfov=90.0, resolution=32)
    begun.save(tmp_path / "begun.safetensors")
    assert WorldState.load(tmp_path / "begun.safetensors").latents.numel() == 0


def test_one_world_of_a_batch_is_saved_alone(state: WorldState, tmp_path: Path) -> None:
    states, _ = WORLD.step_batch([state, state], np.stack([pose(turned_deg=60.0), pose()]))
    states[1].save(tmp_path / "one.safetensors")
    assert torch.equal(WorldState.load(tmp_path / "one.safetensors").latents, states[1].latents)


def test_other_files_are_refused(state: WorldState, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    state.save(path)
    with safe_open(path, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    with pytest.raises(FileNotFoundError, match="there is no file"):
        WorldState.load(tmp_path / "missing.safetensors")
    whole = path.read_bytes()
    for size in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:size])
        with pytest.raises(ValueError, match="truncated"):
            WorldState.load(tmp_path / "cut")
    state.memory.save(tmp_path / "memory")
    with pytest.raises(ValueError, match=r"does not hold a mirage_env\.WorldState"):
        WorldState.load(tmp_path / "memory")
    with pytest.raises(ValueError, match=r"does not hold a mirage_env\.LatentMemory"):
        LatentMemory.load(path)
    save_file(tensors, tmp_path / "newer", metadata | {"version": str(VERSION + 1)})
    with pytest.raises(ValueError, match=r"version 2 of mirage_env\.WorldState.*update"):
        WorldState.load(tmp_path / "newer")


@pytest.mark.parametrize("damage", ["no pose", "no state", "state", "pose", "memory"])
def test_damage_inside_a_file_is_one_sentence(state: WorldState, damage: str, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    state.save(path)
    with safe_open(path, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    assert metadata["format"] == FORMAT
    if damage == "no pose":
        del tensors["pose"]
    elif damage == "no state":
        del metadata["state"]
    elif damage == "state":
        metadata["state"] = metadata["state"][:-4]
    elif damage == "pose":
        tensors["pose"] = tensors["pose"] * float("nan")
    else:
        del tensors["memory.key"]
    save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match="is damaged"):
        WorldState.load(path)


def test_saving_is_whole_or_not_at_all(state: WorldState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "state.safetensors"
    state.save(path)
    before = path.read_bytes()

    def half(tensors: object, filename: Path, metadata: object = None) -> None:
        filename.write_bytes(b"half of a file")
        raise OSError("the disk is full")

    monkeypatch.setattr("mirage_env.state.save_file", half)
    with pytest.raises(OSError, match="disk is full"):
        state.save(path)
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == [path.name]
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="cannot write to"):
        state.save(tmp_path / "file" / "state.safetensors")


def test_a_state_of_another_codec_is_refused(state: WorldState, tmp_path: Path) -> None:
    other = small_world(seed=1)
    state.save(tmp_path / "state.safetensors")
    for strange in (state, WorldState.load(tmp_path / "state.safetensors")):
        with pytest.raises(ValueError, match="made by another codec than that of model 'small'"):
            other.step(strange, pose())
        with pytest.raises(ValueError, match="another codec"):
            other.observe(strange, room_view(pose())[0], pose())
    assert len(WORLD.step(state, pose())[0].memory) >= len(state.memory)


def test_a_state_from_before_codecs_were_noted_is_taken(state: WorldState, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    state.save(path)
    with safe_open(path, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    numbers = json.loads(metadata["state"])
    assert numbers.pop("codec") == state.codec != ""
    save_file(tensors, path, metadata | {"state": json.dumps(numbers)})
    assert torch.equal(WORLD.step(WorldState.load(path), pose())[1].latents, WORLD.step(state, pose())[1].latents)


SAVE_FOREVER = """
import itertools, sys
import torch
from mirage_env.state import WorldState
states = [WorldState.load(sys.argv[k]) for k in (1, 2)]
print("ready", flush=True)
for k in itertools.count():
    states[k % 2].save(sys.argv[3])
    print(k, flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_whole_file(state: WorldState, tmp_path: Path) -> None:
    """The process dies in the middle of saving, again and again; what is there is always one state or the other."""
    steps = [state, WORLD.step(state, pose(turned_deg=90.0))[0]]
    paths = [tmp_path / f"{k}.safetensors" for k in range(2)]
    for one, path in zip(steps, paths, strict=True):
        one.save(path)
    target = tmp_path / "out" / "state.safetensors"
    rng = np.random.default_rng(0)
    for _ in range(3):
        command = [sys.executable, "-c", SAVE_FOREVER, *map(str, paths), str(target)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            # Some whole saves first, so that the kill falls anywhere in the loop and not into its start.
            for line in process.stdout:
                if line.strip() == "3":
                    break
            time.sleep(float(rng.uniform(0.0, 0.01)))
            process.kill()
        assert process.returncode == -signal.SIGKILL
        whole = WorldState.load(target)
        assert torch.equal(whole.latents, steps[whole.steps - 1].latents)
        assert len(whole.memory) == len(steps[whole.steps - 1].memory)


def test_latents_are_kept_as_what_float16_holds() -> None:
    given = torch.tensor([0.1, -3.0, 1e6, -1e6, 1e-9])
    kept = as_kept(given)
    assert kept.dtype == torch.float32 and torch.equal(kept, kept.half().float()) and torch.equal(as_kept(kept), kept)
    assert torch.allclose(kept[:2], given[:2], rtol=1e-3) and kept[2:4].abs().eq(65504).all()


def test_a_world_of_its_own_memory_shows_what_it_kept_to_the_bit() -> None:
    world = small_world()
    state = world.start(IMAGE, resolution=SIZE)
    assert isinstance(state.memory, LatentMemory) and state.memory.dtype == torch.float16
    frame = world.frame(state)
    at = frame.visible
    assert at.any() and torch.equal(frame.memory[:, at], frame.latents[:, at])
    after, frame = world.step(state, TURN[0])
    again = world.frame(after)
    new = ~frame.visible & again.visible
    assert new.any() and torch.equal(again.memory[:, new], frame.latents[:, new])
