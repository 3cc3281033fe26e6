"""By what surfaces are known again: features, and the file beside a model's networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mirage_env.models.recognition import FILE, Recognition, load_recognition, save_recognition
from mirage_env.world import WorldModel
from tests.exact_world import exact_world
from tests.small_world import CHANNELS, plain_recognition, small_world


def test_features_are_latents_along_the_directions() -> None:
    latents = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    directions = np.array([[1, 0], [0, 2], [0, 0]], np.float32)
    features = plain_recognition(3)._replace(directions=directions).features(latents)
    assert features.shape == (8, 2)
    np.testing.assert_array_equal(features[5], [latents[0, 1, 1], 2 * latents[1, 1, 1]])


def test_it_goes_with_its_model(tmp_path: Path) -> None:
    small_world().save_pretrained(tmp_path)
    found = WorldModel.from_pretrained(tmp_path).recognition
    assert found is not None
    for one, other in zip(found, plain_recognition(CHANNELS), strict=True):
        np.testing.assert_array_equal(one, other)
    world = small_world()
    world.recognition = None
    world.save_pretrained(tmp_path)
    assert WorldModel.from_pretrained(tmp_path).recognition is None and not (tmp_path / FILE).exists()
    assert exact_world().recognition is None


def test_the_bundled_model_knows_surfaces_again() -> None:
    found = WorldModel.from_pretrained("tiny").recognition
    assert found is not None
    assert found.evidence[0] > 1 and found.evidence[-1] < -1  # near in features: one surface; far: another


def test_damaged_or_foreign_files_are_refused(tmp_path: Path) -> None:
    good = plain_recognition(4)
    save_recognition(good, tmp_path)
    with pytest.raises(ValueError, match="does not fit latents of 16 channels"):
        load_recognition(tmp_path, 16)
    bad: list[tuple[Recognition, str]] = [
        (good._replace(evidence=good.evidence * np.nan), "something else than finite float32 numbers"),
        (good._replace(evidence=good.evidence.astype(np.float64)), "something else than finite float32 numbers"),
        (good._replace(trust=good.trust[:3]), "does not fit latents"),
        (good._replace(farthest=np.array(0.0, np.float32)), "does not fit latents"),
        (good._replace(evidence=good.evidence[:0]), "does not fit latents"),
    ]
    for one, message in bad:
        save_recognition(one, tmp_path)
        with pytest.raises(ValueError, match=message):
            load_recognition(tmp_path, 4)
    save_file({"evidence": good.evidence}, tmp_path / FILE)
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_recognition(tmp_path, 4)
    (tmp_path / FILE).write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_recognition(tmp_path, 4)
