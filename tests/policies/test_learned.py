"""Learned policies: they act as their numbers say, and come back from files as they were."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from safetensors.torch import save_file

from mirage_env.policies import Policy
from mirage_env.policies.learned import (
    LearnedPolicy,
    PolicySettings,
    check_fits,
    load_policy,
    load_settings,
    save_policy,
)

SETTINGS = PolicySettings(
    task="PointNav",
    observations=("rgb", "depth", "pointgoal"),
    shapes={"rgb": (32, 32, 3), "depth": (32, 32), "pointgoal": (2,)},
    actions="discrete",
    outputs=4,
    width=16,
    hidden=(8,),
    env={"resolution": 32},
)
SPACES = spaces.Dict(
    {
        "rgb": spaces.Box(0, 255, (32, 32, 3), np.uint8),
        "depth": spaces.Box(0, 100, (32, 32), np.float32),
        "pointgoal": spaces.Box(-100, 100, (2,), np.float32),
    }
)


def made(seed: int = 0, **others: Any) -> LearnedPolicy:
    settings = dataclasses.replace(SETTINGS, **others)
    torch.manual_seed(1)
    return LearnedPolicy(settings.network(), settings, seed)


def seen(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "rgb": rng.integers(0, 256, (32, 32, 3), dtype=np.uint8),
        "depth": rng.uniform(0.5, 5, (32, 32)).astype(np.float32),
        "pointgoal": np.array([3.0, 0.4], dtype=np.float32),
    }


@pytest.mark.parametrize("memory", [0, 8])
def test_a_policy_comes_back_from_its_folder(memory: int, tmp_path: Path) -> None:
    policy = made(memory=memory, trained={"steps": 3})
    save_policy(tmp_path / "policy", policy.network, policy.settings)
    back = load_policy(tmp_path / "policy")
    assert isinstance(back, Policy)
    assert back.settings == policy.settings
    policy.reset()
    assert [policy.act(seen(i), {}) for i in range(6)] == [back.act(seen(i), {}) for i in range(6)]
    assert {path.name for path in (tmp_path / "policy").iterdir()} == {"policy.json", "policy.safetensors"}


def test_draws_follow_the_softmax_and_the_seed() -> None:
    policy = made(observations=("pointgoal",), shapes={"pointgoal": (2,)})
    with torch.no_grad():
        policy.network.head.layers[-1].bias.copy_(torch.tensor([0.0, 1.0, 2.0, -4.0]))
        policy.network.head.layers[-1].weight.zero_()
    drawn = np.bincount([policy.act(seen(), {}) for _ in range(2000)], minlength=4) / 2000
    expected = np.exp([0.0, 1.0, 2.0, -4.0]) / np.exp([0.0, 1.0, 2.0, -4.0]).sum()
    np.testing.assert_allclose(drawn, expected, atol=0.03)
    runs = [[one.act(seen(), {}) for _ in range(20)] for one in (policy.again(5), policy.again(5), policy.again(6))]
    assert runs[0] == runs[1] != runs[2]
    certain = made(observations=("pointgoal",), shapes={"pointgoal": (2,)}, stochastic=False)
    certain.network.load_state_dict(policy.network.state_dict())
    assert {certain.act(seen(), {}) for _ in range(5)} == {2}


@pytest.mark.parametrize(("kind", "stochastic"), [("gaussian", True), ("gaussian", False), ("squashed", False)])
def test_continuous_actions_stay_in_their_space(kind: str, stochastic: bool) -> None:
    policy = made(kind=kind, stochastic=stochastic, outputs=2, actions="velocity", spread=(3.0, 0.0))
    acted = np.array([policy.act(seen(i), {}) for i in range(30)])
    assert acted.dtype == np.float32 and np.abs(acted).max() <= 1
    assert bool(np.ptp(np.array([policy.act(seen(), {})[0] for _ in range(10)])) > 0) is stochastic


def test_forgetting_makes_the_next_episode_the_first() -> None:
    policy = made(memory=8, stochastic=False)
    first = policy.network(_inputs(policy))[0]
    policy.reset()
    policy.act(seen(), {})
    assert policy._remembered is not None
    policy.reset()
    assert policy._remembered is None
    torch.testing.assert_close(policy.network(_inputs(policy))[0], first)


def _inputs(policy: LearnedPolicy) -> dict[str, torch.Tensor]:
    from mirage_env.policies.learned import _as_input

    return {key: _as_input(key, seen()[key]) for key in policy.settings.observations}


def test_spaces_of_others_are_refused() -> None:
    check_fits(SETTINGS, SPACES, spaces.Discrete(4))
    with pytest.raises(
        ValueError, match=r"looks at rgb of shape \(32, 32, 3\), but the environment has depth, pointgoal"
    ):
        check_fits(SETTINGS, spaces.Dict({key: SPACES[key] for key in ("depth", "pointgoal")}), spaces.Discrete(4))
    with pytest.raises(ValueError, match=r"has it of shape \(1024,\)"):
        flat = spaces.Dict({**SPACES.spaces, "depth": spaces.Box(0, 100, (1024,), np.float32)})
        check_fits(SETTINGS, flat, spaces.Discrete(4))
    with pytest.raises(ValueError, match='make it with actions="discrete"'):
        check_fits(SETTINGS, SPACES, spaces.Box(-1, 1, (2,), np.float32))


def test_damaged_and_foreign_files_get_one_sentence(tmp_path: Path) -> None:
    policy = made()
    with pytest.raises(FileNotFoundError, match="there is no policy in"):
        load_policy(tmp_path)
    save_policy(tmp_path, policy.network, policy.settings)
    described = json.loads((tmp_path / "policy.json").read_text())
    for change, message in (
        ({"format": 99}, "format 99"),
        ({"kind": "magic"}, "its kind"),
        ({"shapes": {"rgb": [32, 32, 3]}}, "its shapes are of other"),
        ({"surprise": 1}, "names are not those"),
        ({"width": 32}, "another network"),
    ):
        (tmp_path / "policy.json").write_text(json.dumps(described | change))
        with pytest.raises(ValueError, match=message):
            load_policy(tmp_path)
    (tmp_path / "policy.json").write_text("[1")
    with pytest.raises(ValueError, match="damaged"):
        load_settings(tmp_path)
    (tmp_path / "policy.json").write_text(json.dumps(described))
    (tmp_path / "policy.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="damaged"):
        load_policy(tmp_path)
    weights = {name: torch.full_like(tensor, float("nan")) for name, tensor in policy.network.state_dict().items()}
    save_file(weights, tmp_path / "policy.safetensors")
    with pytest.raises(ValueError, match="not finite"):
        load_policy(tmp_path)
    (tmp_path / "policy.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="missing"):
        load_policy(tmp_path)
