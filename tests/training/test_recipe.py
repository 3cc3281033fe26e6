"""The whole recipe on a toy room: from shards to a model that loads."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mirage_env.data.collect import collect
from mirage_env.data.shards import list_shards, read_shard, shard_path, write_shard
from mirage_env.models import weights
from mirage_env.models.tiny import TinyCodec
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.training import recipe as recipes
from mirage_env.training.codec import codec_losses, psnr, reconstruction_error, validate_codec
from mirage_env.training.denoiser import _keep
from mirage_env.training.frames import Trajectories
from mirage_env.training.loop import Settings
from mirage_env.training.readouts import Readouts, make_readouts, saved_source
from mirage_env.training.recipe import TUNED, Recipe, train_stages
from mirage_env.world import WorldModel
from tests.box_room import pose

SETTINGS = Settings(steps=3, batch=2, warmup=1, log_every=1, save_every=2, bf16=False)
TINY = Recipe(
    channels=4,
    codec_widths=(8, 16),
    codec_blocks=(1, 1),
    depth_widths=(8, 16, 16),
    denoiser_widths=(8, 16, 16),
    readouts_per_episode=4,
    sketch_width=16,
    sketch_blocks=1,
    teacher_steps=2,
    codec=SETTINGS,
    depth=SETTINGS,
    sketch=SETTINGS,
    distil=SETTINGS,
    denoiser=SETTINGS,
    decoder=SETTINGS,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    toy = partial(RoomsSimulator, "toy")
    collect(toy, folder / "train", 2, 12, 0, 1, progress=False, resolution=32, episodes_per_scene=1)
    collect(toy, folder / "val", 1, 12, 1, 1, progress=False, resolution=32, episodes_per_scene=1)
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    train_stages(data / "train", data / "val", out, TINY)
    return out


def bits(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# ----------------------------------------------------------------------------------------------------------- end to end


def test_all_stages_end_in_a_model_that_imagines(trained: Path, data: Path) -> None:
    for stage in ("codec", "sketch", "distil", "denoiser", "depth", "decoder"):
        assert {"checkpoint.pt", "log.jsonl", "curves.png"} <= {p.name for p in (trained / stage).iterdir()}
    world = WorldModel.from_pretrained(trained / "model")
    view = read_shard(list_shards(data / "val")[0])
    state = world.start(view.rgb[0], view.meta["hfov"], pose=view.poses[0], resolution=32)
    state, frame = world.step(state, pose(turned_deg=60.0))
    assert frame.rgb.shape == (32, 32, 3) and frame.imagined_fraction > 0 and np.isfinite(frame.depth).all()
    assert json.loads((trained / "recipe.json").read_text())["codec"]["steps"] == 3


def test_the_same_recipe_gives_the_same_model_also_stage_by_stage(trained: Path, data: Path, tmp_path: Path) -> None:
    for stage in recipes.STAGES:
        train_stages(data / "train", data / "val", tmp_path, TINY, (stage,))
    assert bits(tmp_path / "model") == bits(trained / "model")
    apart, together = (load_file(folder / "readouts.safetensors") for folder in (tmp_path, trained))
    assert all(torch.equal(apart[name], value) for name, value in together.items())


def test_on_two_machines_a_run_goes_on_from_small_files(trained: Path, data: Path, tmp_path: Path) -> None:
    from mirage_env.cli import main

    recipe, shards = trained / "recipe.json", tmp_path / "shards"
    for machine, stage in enumerate(("codec", "decoder")):
        arguments = ["--data", str(data / "train"), "--validation", str(data / "val"), "--config", str(recipe)]
        out = tmp_path / f"machine{machine}"
        assert main(["train", *arguments, "--out", str(out), "--stages", stage, "--shards", str(shards)]) == 0
    assert {p.name for p in out.iterdir()} == {"codec", "decoder", "recipe.json"}
    assert (out / "codec" / "log.jsonl").exists() and len(list(shards.iterdir())) == 1


def test_a_finished_run_is_not_run_again(trained: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bits(trained)
    monkeypatch.setattr(recipes, "make_readouts", lambda *_: pytest.fail("readouts were made again"))
    train_stages(data / "train", data / "val", trained, TINY)
    assert bits(trained) == before


def test_other_data_or_another_codec_make_new_readouts(trained: Path, data: Path, tmp_path: Path) -> None:
    one = saved_source(trained / "readouts.safetensors")
    assert one and one != saved_source(trained / "readouts-val.safetensors")
    assert saved_source(tmp_path / "missing") is None
    (tmp_path / "foreign").write_bytes(b"no tensors")
    assert saved_source(tmp_path / "foreign") is None


def test_time_that_is_up_stops_between_stages(data: Path, tmp_path: Path) -> None:
    train_stages(data / "train", data / "val", tmp_path, TINY, minutes=0.0)
    assert (tmp_path / "codec" / "checkpoint.pt").exists() and not (tmp_path / "readouts.safetensors").exists()


def test_stages_that_miss_an_earlier_one_say_which(data: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the training stage 'codec' first"):
        train_stages(data / "train", data / "val", tmp_path, TINY, ("readouts",))
    train_stages(data / "train", data / "val", tmp_path, TINY, ("codec",))
    with pytest.raises(FileNotFoundError, match="run the training stage 'readouts' first"):
        train_stages(data / "train", data / "val", tmp_path, TINY, ("denoiser",))
    with pytest.raises(ValueError, match="unknown stage 'depht'; stages are codec, readouts, denoiser,"):
        train_stages(data / "train", data / "val", tmp_path / "other", TINY, ("codec", "depht"))
    assert not (tmp_path / "other").exists()
    with pytest.raises(FileNotFoundError, match="collect"):
        train_stages(tmp_path / "nothing", data / "val", tmp_path, TINY, ("codec",))


# --------------------------------------------------------------------------------------------------------------- recipe


def test_a_trained_model_is_tuned_to_other_walks(trained: Path, data: Path, tmp_path: Path) -> None:
    start = weights.load(trained / "model")
    tuning = Recipe.fine_tuning(start)
    assert (tuning.codec_widths, tuning.sketch_width, tuning.channels) == ((8, 16), 16, 4)
    stages = dict.fromkeys(("codec", "depth", "denoiser", "decoder"), SETTINGS)
    recipe = dataclasses.replace(tuning, readouts_per_episode=4, **stages)
    both = [data / "train", data / "val"]
    train_stages(both, data / "val", tmp_path, recipe, TUNED, start=start)
    tuned = weights.load(tmp_path / "model")
    assert tuned.denoiser_steps == start.denoiser_steps
    for part in ("codec", "depth_model", "denoiser"):
        before, after = (getattr(parts, part).state_dict() for parts in (start, tuned))
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert moved and not any(name.startswith("sketch.") for name in moved)


def test_a_folder_is_gone_on_with_as_it_was_begun(
    trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mirage_env.cli import main

    where = ["--data", str(data / "train"), "--validation", str(data / "val"), "--out", str(tmp_path / "run")]
    start = ["--start", str(trained / "model")]
    assert main(["train", *where, *start, "--stages", "sketches"]) == 2
    assert "unknown stage 'sketches'" in capsys.readouterr().err
    assert main(["train", *where, "--stages", "codec"]) == 2
    assert f"was begun with --start {trained / 'model'}; go on so" in capsys.readouterr().err
    assert main(["train", *where[:-1], str(trained), *start]) == 2
    assert "was begun without --start" in capsys.readouterr().err


def test_only_the_stages_that_ran_change_a_tuned_model(trained: Path, data: Path, tmp_path: Path) -> None:
    start = weights.load(trained / "model")
    recipe = dataclasses.replace(Recipe.fine_tuning(start), decoder=SETTINGS)
    train_stages(data / "train", data / "val", tmp_path, recipe, ("decoder",), start=start)
    tuned = weights.load(tmp_path / "model")
    for part in ("codec", "depth_model", "denoiser"):
        before, after = (getattr(parts, part).state_dict() for parts in (start, tuned))
        moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        assert moved == ({"decoder"} if part == "codec" else set())


def test_a_recipe_file_overrides_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"channels": 6, "codec_widths": [8, 16], "codec": {"steps": 5, "learning_rate": 1}}))
    recipe = Recipe().overridden_by(path)
    assert (recipe.channels, recipe.codec_widths, recipe.codec.steps) == (6, (8, 16), 5)
    assert recipe.codec.batch == Recipe().codec.batch and recipe.depth == Recipe().depth
    TINY.save(path)
    assert Recipe().overridden_by(path) == TINY


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stepz": 1}, "unknown training setting 'stepz'; known are channels"),
        ({"codec": {"rate": 1}}, "unknown training setting 'rate'; known are steps"),
        ({"codec": {"steps": 0}}, "steps must be at least 1"),
        ({"codec": {"steps": 2.5}}, "steps must be a int, got 2.5"),
        ({"codec": {"bf16": "no"}}, "bf16 must be a bool, got 'no'"),
        ({"codec": {"learning_rate": True}}, "learning_rate must be a float, got True"),
        ({"codec": 3}, "must be a JSON object"),
        ({"codec_widths": [8, "16"]}, "codec_widths must be a list of whole numbers"),
        ({"codec_widths": []}, "codec_widths must be a list of whole numbers"),
        ([1], "must be a JSON object"),
    ],
)
def test_recipes_that_are_refused(given: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(given))
    with pytest.raises(ValueError, match=message):
        Recipe().overridden_by(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="is not valid JSON"):
        Recipe().overridden_by(path)


# ----------------------------------------------------------------------------------------------------- frames, readouts


def test_trajectories_are_scaled_to_the_canonical_camera_height(data: Path) -> None:
    frames = Trajectories(data / "train", 1.25)
    assert (frames.episodes, frames.length) == (2, 12)
    for episode, path in enumerate(list_shards(data / "train")):
        shard = read_shard(path)
        scale = 1.25 / shard.meta["camera_height"]
        assert scale != 1.0
        view = frames.view(torch.tensor([episode]), torch.tensor([3]))
        assert np.allclose(view.depth[0], shard.depth[3] * scale, rtol=1e-3)
        assert float(view.pose[0, 1, 3]) == pytest.approx(1.25, abs=1e-4)  # the floor is at y = 0
        assert np.allclose(view.pose[0, :3, 3], shard.poses[3, :3, 3] * scale, atol=1e-5)
        assert np.array_equal(((view.rgb[0].permute(1, 2, 0) + 1) * 127.5).round().numpy(), shard.rgb[3])
    assert Trajectories(data / "train", 1.25, limit=1).episodes == 1


def test_pairs_stay_within_their_episode_and_gap(data: Path) -> None:
    frames = Trajectories(data / "train", 1.25)
    frames.rgb[:] = torch.arange(12)[None, :, None, None, None]
    frames.rgb[1] += 100
    for gap in (1, 4, 50):
        a, b = (
            (view.rgb[:, 0, 0, 0] + 1).mul(127.5).round().long()
            for view in frames.pairs(400, gap, torch.Generator().manual_seed(0))
        )
        assert torch.equal(a >= 100, b >= 100)
        assert set((a - b).abs().tolist()) == set(range(1, min(gap, 11) + 1))
        assert (a > b).any() and (a < b).any()


def test_trajectories_of_several_folders_are_taken_together(data: Path) -> None:
    both = Trajectories([data / "train", data / "val"], 1.25, limit=1)
    assert both.episodes == 2
    np.testing.assert_array_equal(both.rgb[1], Trajectories(data / "val", 1.25).rgb[0])


def test_trajectories_of_different_length_are_refused(data: Path, tmp_path: Path) -> None:
    shard = read_shard(list_shards(data / "train")[0])
    write_shard(shard_path(tmp_path, 0), shard)
    write_shard(shard_path(tmp_path, 1), read_shard(list_shards(data / "train")[1], 0, 6))
    with pytest.raises(ValueError, match="must have one length and image size"):
        Trajectories(tmp_path, 1.25)


def test_readouts_are_reproducible_and_come_back_from_disk(data: Path, tmp_path: Path) -> None:
    frames = Trajectories(data / "train", 1.25)
    torch.manual_seed(0)
    codec = TinyCodec(4, (8, 16), (1, 1)).eval()
    one, two, other = (make_readouts(frames, codec, 4, seed) for seed in (0, 0, 1))
    one.save(tmp_path / "a", "here")
    loaded = Readouts.load(tmp_path / "a")
    assert saved_source(tmp_path / "a") == "here"
    for name in (f.name for f in fields(Readouts)):
        assert torch.equal(getattr(one, name), getattr(two, name))
        assert torch.equal(getattr(one, name), getattr(loaded, name))
    assert len(one) > 4 and not torch.equal(one.latents, other.latents[: len(one)])
    sample = one.at(torch.tensor([0, 2]))
    assert sample.latents.dtype == torch.float32 and sample.visible.dtype == torch.bool and len(sample) == 2
    assert (sample.readout[~sample.visible[:, None].expand_as(sample.readout)] == 0).all()
    assert torch.equal(sample.readout_depth > 0, sample.visible) and sample.visible.any()
    # Where the memory shows a surface, it is the true one, but for the errors that half of the memories are given.
    both = sample.visible & (sample.depth > 0)
    assert ((sample.readout_depth / sample.depth - 1).abs()[both] < 0.2).float().mean() > 0.9
    assert len(one.spread(3)) == 3 and len(one.spread(10_000)) == len(one)
    with pytest.raises(FileNotFoundError, match="run the training stage 'readouts' first"):
        Readouts.load(tmp_path / "readouts-val.safetensors")
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:300])
    with pytest.raises(ValueError, match="truncated"):
        Readouts.load(tmp_path / "a")


def test_trajectories_too_short_for_readouts_are_refused(data: Path, tmp_path: Path) -> None:
    write_shard(shard_path(tmp_path, 0), read_shard(list_shards(data / "train")[0], 0, 9))
    with pytest.raises(ValueError, match="at least 10 frames, got 9"):
        make_readouts(Trajectories(tmp_path, 1.25), TinyCodec(4, (8, 16), (1, 1)), 4, 0)


# --------------------------------------------------------------------------------------------------------------- losses


def test_codec_losses_are_decided_by_the_generator(data: Path) -> None:
    frames = Trajectories(data / "train", 1.25)
    torch.manual_seed(0)
    codec = TinyCodec(4, (8, 16), (1, 1))
    losses = codec_losses(frames, 2, 4)
    one, two, other = (losses(codec, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one["loss"], two["loss"]) and not torch.equal(one["loss"], other["loss"])
    assert 0 < float(one["covered"]) < 1
    one["loss"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in codec.parameters())
    measured = validate_codec(codec.eval(), frames, gap=2, views=4)
    assert set(measured) == {"psnr", "psnr_covered", "psnr_readout", "covered"} and 0 < measured["covered"] <= 1


def test_errors_count_the_pixels_that_have_weight() -> None:
    truth = torch.zeros(2, 3, 4, 4)
    images = truth.clone()
    images[:, :, :2] = 0.5
    weight = torch.zeros(2, 1, 4, 4)
    weight[:, :, :2] = 1.0
    square, absolute = reconstruction_error(images, truth, weight)
    assert float(square) == pytest.approx(0.25) and float(absolute) == pytest.approx(0.5)
    square, absolute = reconstruction_error(images, truth)
    assert float(square) == pytest.approx(0.125) and float(absolute) == pytest.approx(0.25)
    assert float(psnr(torch.tensor(4.0))) == 0.0 and float(psnr(torch.tensor(0.04))) == pytest.approx(20.0)


def test_the_denoiser_forgets_all_or_one_side_or_nothing() -> None:
    keep = _keep(torch.Size((2000, 8, 8)), 0.1, torch.Generator().manual_seed(0))
    share = keep.float().mean((1, 2))
    assert float((share == 0).float().mean()) == pytest.approx(0.1, abs=0.03)
    assert float((share == 1).float().mean()) == pytest.approx(0.65, abs=0.06)
    assert ((share > 0) & (share < 1)).float().mean() > 0.15
