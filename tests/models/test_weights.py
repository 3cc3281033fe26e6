"""Model folders: what is written comes back, small; what is missing, damaged or foreign is refused in one sentence."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mirage_env.models import weights
from mirage_env.models.tiny import TinyCodec, TinyDenoiser, TinyDepth
from mirage_env.models.weights import WEIGHTS
from mirage_env.world import WorldModel
from tests.box_room import pose, room_view
from tests.exact_world import exact_world
from tests.small_world import small_world


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    world = small_world()
    assert isinstance(world.codec, TinyCodec)
    world.codec.mean += 0.123456789
    world.denoiser_steps = 2
    world.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def modules(world: WorldModel) -> list[torch.nn.Module]:
    parts: list[Any] = [world.codec, world.depth_model, world.denoiser]
    return parts


def test_what_was_saved_comes_back(folder: Path) -> None:
    world = WorldModel.from_pretrained(folder)
    assert (world.denoiser_steps, world.name) == (2, str(folder))
    for module, original in zip(modules(world), modules(small_world()), strict=True):
        assert type(module) is type(original) and not module.training
        assert not any(p.requires_grad for p in module.parameters())
        found = dict(module.named_parameters())
        for name, value in original.named_parameters():
            assert found[name].dtype == torch.float32
            assert torch.equal(found[name], value.half().float())  # float16 on disk, nothing else changed
    assert isinstance(world.codec, TinyCodec)
    assert torch.equal(world.codec.mean, torch.full((4,), 0.123456789))  # statistics keep their precision
    image, depth = room_view(pose())
    state = world.start(image, depth=depth, resolution=32)
    state, frame = world.step(state, pose(turned_deg=40.0))
    again = WorldModel.from_pretrained(str(folder))
    _, same = again.step(again.start(image, depth=depth, resolution=32), pose(turned_deg=40.0))
    assert torch.equal(frame.latents, same.latents)


def test_saving_twice_changes_nothing(folder: Path, tmp_path: Path) -> None:
    WorldModel.from_pretrained(folder).save_pretrained(tmp_path / "again")
    for file in folder.rglob("*"):
        if file.is_file():
            assert (tmp_path / "again" / file.relative_to(folder)).read_bytes() == file.read_bytes()


def test_the_folder_is_small_and_readable_by_diffusers(folder: Path) -> None:
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    parts = [f"{part}/{name}" for part in weights.PARTS for name in ("config.json", WEIGHTS)]
    assert files == sorted([*parts, "mirage.json", "recognition.safetensors"])
    tensors = load_file(folder / "denoiser" / WEIGHTS)
    exact = {"sketch.deviation"}
    assert {value.dtype for name, value in tensors.items() if name not in exact} == {torch.float16}
    codec = TinyCodec.from_pretrained(folder / "codec")
    assert torch.equal(codec.decoder[0].weight.float(), small_world().codec.decoder[0].weight.half().float())  # type: ignore[attr-defined]


def test_saving_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    world = small_world()
    torch.nn.Module.to(modules(world)[0], memory_format=torch.channels_last)  # as training leaves it
    world.save_pretrained(tmp_path)
    for module, original in zip(modules(world), modules(small_world()), strict=True):
        for value, same in zip(module.state_dict().values(), original.state_dict().values(), strict=True):
            assert value.dtype == torch.float32 and torch.equal(value, same)


def test_an_unknown_name_lists_the_bundled_ones(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(weights, "BUNDLED", folder.parent)
    assert weights.bundled() == ["model"] and weights.find("model") == folder
    with pytest.raises(FileNotFoundError, match="unknown model 'huge': bundled models are model; or give a folder"):
        WorldModel.from_pretrained("huge")
    with pytest.raises(FileNotFoundError, match="could not be had from the hub"):
        WorldModel.from_pretrained("nobody/nothing")
    monkeypatch.setattr(weights, "BUNDLED", folder / "codec")
    with pytest.raises(FileNotFoundError, match="bundled models are none"):
        WorldModel.from_pretrained("huge")


def refused(folder: Path, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        WorldModel.from_pretrained(folder)
    assert str(folder) in str(caught.value) or "is of unknown class" in str(caught.value)


@pytest.mark.parametrize("file", ["mirage.json", "codec/config.json", f"depth_model/{WEIGHTS}", f"denoiser/{WEIGHTS}"])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    refused(folder, FileNotFoundError, Path(file).name)


def test_truncated_weights(folder: Path) -> None:
    path = folder / "denoiser" / WEIGHTS
    whole = path.read_bytes()
    for size in (0, 5, 1000, len(whole) - 1):
        path.write_bytes(whole[:size])
        refused(folder, ValueError, "truncated or damaged weights file")


def test_weights_of_another_architecture(folder: Path) -> None:
    path = folder / "denoiser" / WEIGHTS
    tensors = load_file(path)
    save_file({**tensors, "extra": torch.zeros(1)}, path)
    refused(folder, ValueError, "another architecture than its config: extra$")
    tensors["unet.stem.1.bias"] = torch.zeros(3)
    save_file(tensors, path)
    refused(folder, ValueError, "another architecture than its config: unet.stem.1.bias$")
    path.write_bytes((folder / "depth_model" / WEIGHTS).read_bytes())
    refused(folder, ValueError, r"another architecture than its config: .* and \d+ more$")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": weights.VERSION + 1}, "has format version 2, this mirage_env reads 1"),
        ({"format": "other"}, "does not describe a"),
        ({"codec": "os.system"}, "codec is of unknown class 'os.system'; known are TinyCodec"),
        ({"denoiser": None}, "denoiser is of unknown class"),
        ({"denoiser_steps": 0}, "denoiser_steps 0"),
        ({"denoiser_steps": "many"}, "denoiser_steps 'many'"),
        ({"depth_model": "TinyDenoiser"}, "another architecture|does not describe"),
    ],
)
def test_foreign_descriptions(folder: Path, change: dict[str, Any], message: str) -> None:
    path = folder / "mirage.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    refused(folder, ValueError, message)


def test_broken_json(folder: Path) -> None:
    (folder / "mirage.json").write_text("{")
    refused(folder, ValueError, "is not valid JSON")
    (folder / "mirage.json").write_text("[]")
    refused(folder, ValueError, "does not describe a")


@pytest.mark.parametrize("text", ["{", "[1]", '{"channels": "four"}', '{"widths": [7, 7, 7]}'])
def test_broken_configs(folder: Path, text: str) -> None:
    (folder / "denoiser" / "config.json").write_text(text)
    refused(folder, ValueError, "does not describe a TinyDenoiser")


def test_parts_with_other_latents_do_not_fit(folder: Path) -> None:
    world = small_world()
    world.depth_model = TinyDepth(8, (8, 16, 16))
    world.save_pretrained(folder)
    refused(folder, ValueError, "do not fit each other: their latent channels are")


class Bomb:
    def __reduce__(self) -> Any:
        return (Path("executed").touch, ())


def test_nothing_in_a_folder_is_executed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name in ("diffusion_pytorch_model.bin", "pytorch_model.bin"):
        (folder / "codec" / name).write_bytes(pickle.dumps(Bomb()))
    WorldModel.from_pretrained(folder)
    (folder / "codec" / WEIGHTS).write_bytes(pickle.dumps(Bomb()))
    refused(folder, ValueError, "damaged weights file")
    (folder / "codec" / WEIGHTS).unlink()
    refused(folder, FileNotFoundError, "is missing")
    assert not (folder / "executed").exists()


def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="codec is a PixelCodec; only TinyCodec, TinyDepth, TinyDenoiser can be saved"):
        exact_world().save_pretrained(tmp_path / "model")
    world = small_world()
    assert isinstance(world.denoiser, TinyDenoiser)
    for value in (1e6, float("nan")):
        with torch.no_grad():
            world.denoiser.unet.middle[0].conv1.bias[0] = value  # type: ignore[union-attr,index]
        with pytest.raises(
            ValueError, match=r"unet.middle.0.conv1.bias of the denoiser holds NaN, infinite or too large"
        ):
            world.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="cannot write to"):
        small_world().save_pretrained(tmp_path / "file" / "model")


def test_an_interrupted_save_leaves_no_folder_that_loads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = weights.save_file, []

    def interrupted(*given: Any) -> None:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*given)

    monkeypatch.setattr(weights, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small_world(seed=1).save_pretrained(folder)
    refused(folder, FileNotFoundError, "has no mirage.json")
