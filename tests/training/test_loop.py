"""The training loop: a run that was broken off and resumed is the run that was not."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mirage_env.training.loop import Losses, Settings, load_average, read_log, train

SETTINGS = Settings(steps=12, batch=4, warmup=3, log_every=4, save_every=4, bf16=False, average=0.8)


def network(seed: int = 0, width: int = 6) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 1))


def fit(model: nn.Module, generator: torch.Generator) -> Losses:
    x = torch.randn(16, 3, generator=generator)
    error = model(x)[:, 0] - x.sum(1)
    return {"loss": error.square().mean(), "bias": error.mean()}


def stopping(at: int) -> Callable[[nn.Module, torch.Generator], Losses]:
    """``fit``, with a Ctrl-C in step ``at`` (counted from 0)."""
    calls = []

    def losses(model: nn.Module, generator: torch.Generator) -> Losses:
        calls.append(1)
        if len(calls) > at:
            raise KeyboardInterrupt
        return fit(model, generator)

    return losses


def tensors(folder: Path) -> dict[str, Tensor]:
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    moments = {f"{i}.{k}": v for i, s in state["optimiser"]["state"].items() for k, v in s.items()}
    return {"step": torch.tensor(state["step"]), **state["model"], **state["average"], **moments}


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("at", [0, 3, 4, 7])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(at: int, tmp_path: Path) -> None:
    whole = train(network(), fit, SETTINGS, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(network(), stopping(at), SETTINGS, tmp_path / "parts")
    assert int(tensors(tmp_path / "parts")["step"]) == at
    load_average(network(9), tmp_path / "parts")  # usable as it is
    resumed = train(network(seed=5), fit, SETTINGS, tmp_path / "parts")  # its own weights do not matter
    assert_same(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))
    assert_same(whole.state_dict(), resumed.state_dict())
    assert not resumed.training
    records = [
        [{k: v for k, v in r.items() if k != "time"} for r in read_log(tmp_path / n)] for n in ("whole", "parts")
    ]
    assert [r["step"] for r in records[1]] == [4, 8, 12]
    if at % 4 == 0:
        assert records[0] == records[1]


def test_time_used_up_saves_and_stops_and_the_same_call_goes_on(tmp_path: Path) -> None:
    train(network(), fit, SETTINGS, tmp_path / "whole")
    for _ in range(SETTINGS.steps):
        train(network(), fit, SETTINGS, tmp_path / "parts", minutes=0.0)
    assert_same(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))


def test_training_learns_and_the_average_is_kept(tmp_path: Path) -> None:
    settings = Settings(
        steps=150, batch=1, learning_rate=0.05, warmup=5, log_every=50, save_every=50, bf16=False, average=0.9
    )
    seen: list[bool] = []

    def validate(model: nn.Module) -> dict[str, float]:
        seen.append(model.training)
        return {"loss": float(fit(model, torch.Generator().manual_seed(1))["loss"].detach())}

    model = train(network(), fit, settings, tmp_path, validate=validate)
    records = read_log(tmp_path)
    assert records[-1]["loss"] < records[0]["loss"] and records[-1]["val_loss"] < 0.1
    assert [("val_loss" in r) for r in records] == [True] * 3 and not any(seen)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert_same(load_average(network(3), tmp_path).state_dict(), model.state_dict())
    trained = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    assert any(not torch.equal(trained[name], value) for name, value in model.state_dict().items())


def test_logged_values_are_means_over_the_steps_since_the_last_record(tmp_path: Path) -> None:
    losses: list[float] = []

    def recorded(model: nn.Module, generator: torch.Generator) -> Losses:
        parts = fit(model, generator)
        losses.append(float(parts["loss"].detach()))
        return parts

    with pytest.raises(KeyboardInterrupt):
        train(network(), stopping(2), SETTINGS, tmp_path)
    train(network(), recorded, SETTINGS, tmp_path)
    first = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    assert first["step"] == 4 and first["loss"] == pytest.approx(sum(losses[:2]) / 2)


def test_a_step_that_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    def explode(model: nn.Module, generator: torch.Generator) -> Losses:
        return {"loss": fit(model, generator)["loss"] * float("inf")}

    frozen = nn.Sequential(nn.Linear(3, 1))
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    train(frozen, explode, SETTINGS, tmp_path)
    assert_same(before, frozen.state_dict())


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    settings = Settings(steps=100, batch=1, learning_rate=1.0, warmup=10)
    rates = [settings.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == max(rates[9:12]) and rates[-1] < 0.001
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))


@pytest.mark.parametrize("name", ["steps", "batch", "log_every", "save_every"])
def test_settings_that_make_no_sense_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        Settings(**({"steps": 1, "batch": 1} | {name: 0}))


def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint .*run the training stage 'depth' first"):
        load_average(network(), tmp_path / "depth")
    train(network(), fit, Settings(steps=1, batch=1, bf16=False), tmp_path)
    for use in (lambda m: load_average(m, tmp_path), lambda m: train(m, fit, SETTINGS, tmp_path)):
        with pytest.raises(ValueError, match="another architecture"):
            use(network(width=7))
    path = tmp_path / "checkpoint.pt"
    whole = path.read_bytes()
    for damaged in (b"", b"not a checkpoint", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged or is no checkpoint"):
            load_average(network(), tmp_path)
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="is no checkpoint of mirage-env train"):
        load_average(network(), tmp_path)
