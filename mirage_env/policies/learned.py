"""Learned policies as files and as ``Policy`` objects: weights in safetensors beside a JSON of what they are for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mirage_env.files import atomic_write
from mirage_env.policies.base import POLICY_FILE
from mirage_env.policies.network import IMAGES, PolicyNetwork

FORMAT = 2
SETTINGS = POLICY_FILE
WEIGHTS = "policy.safetensors"

CATEGORICAL, GAUSSIAN, SQUASHED, GREEDY = KINDS = ("categorical", "gaussian", "squashed", "greedy")
"""What the network's numbers are: logits of discrete actions; means of continuous ones, clipped or through tanh; values
of discrete ones, of which the best is taken."""


@dataclass(frozen=True)
class PolicySettings:
    """All that a learned policy is beside its weights.

    Attributes:
        task: its name, such as "PointNav".
        observations: keys that it looks at.
        shapes: of single observations by key, as environments give them with ``flatten=False``.
        actions: "discrete", "velocity" or "camera".
        outputs: how many numbers decide an action.
        kind: what they are, one of ``KINDS``.
        width, memory, hidden, activation: see ``PolicyNetwork``.
        stochastic: whether it draws its actions, as it was trained, or takes the most likely one.
        spread: standard deviations of a "gaussian" policy's actions.
        env: arguments of ``gymnasium.make`` under which it was trained, for those who run it.
        trained: how it came about, for people: algorithm, simulator, steps, seed, versions.
    """

    task: str
    observations: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    actions: str
    outputs: int
    kind: str = CATEGORICAL
    width: int = 256
    memory: int = 0
    hidden: tuple[int, ...] = (128,)
    activation: str = "tanh"
    stochastic: bool = True
    spread: tuple[float, ...] = ()
    env: Mapping[str, Any] = field(default_factory=dict)
    trained: Mapping[str, Any] = field(default_factory=dict)

    def network(self) -> PolicyNetwork:
        """A network of this shape, with weights yet to be loaded."""
        shapes = {key: (s[2], s[0], s[1]) if key in IMAGES else s for key, s in self.shapes.items()}
        return PolicyNetwork(shapes, self.width, self.memory, self.hidden, self.outputs, self.activation)


class LearnedPolicy:
    """Acts by a trained network. Fulfils ``Policy``; several of them may share one network.

    Args:
        network: its weights, in evaluation mode.
        settings: what it was trained for.
        seed: of the actions that it draws.
    """

    def __init__(self, network: PolicyNetwork, settings: PolicySettings, seed: int = 0) -> None:
        self.network = network.eval()
        self.settings = settings
        self._rng = np.random.default_rng(seed)
        self._remembered: tuple[torch.Tensor, torch.Tensor] | None = None

    def reset(self) -> None:
        """Forget the episode before."""
        self._remembered = None

    @torch.inference_mode()
    def act(self, obs: Any, info: dict[str, Any] | None = None) -> Any:
        """The action: a whole number, or numbers (k,) float32 in [-1, 1]."""
        batch = {key: _as_input(key, obs[key]) for key in self.settings.observations}
        numbers, self._remembered = self.network(batch, self._remembered)
        values = numbers[0].double().numpy()
        kind, draws = self.settings.kind, self.settings.stochastic
        if kind in (CATEGORICAL, GREEDY):
            if kind == GREEDY or not draws:
                return int(values.argmax())
            # By Gumbel's maxima: a draw from the softmax without computing it.
            return int((values + self._rng.gumbel(size=values.shape)).argmax())
        if kind == GAUSSIAN and draws:
            values = values + self._rng.normal(size=values.shape) * np.array(self.settings.spread)
        return (np.tanh(values) if kind == SQUASHED else np.clip(values, -1, 1)).astype(np.float32)

    def again(self, seed: int) -> LearnedPolicy:
        """Another one with the same network, for another world or episode."""
        return LearnedPolicy(self.network, self.settings, seed)


def save_policy(folder: str | Path, network: PolicyNetwork, settings: PolicySettings) -> None:
    """Write ``policy.json`` and ``policy.safetensors``, each whole or not at all; the JSON comes last."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_write(target / WEIGHTS) as temporary:
        save_file(weights, temporary, metadata={"format": str(FORMAT)})
    with atomic_write(target / SETTINGS) as temporary:
        temporary.write_text(json.dumps({"format": FORMAT, **asdict(settings)}, indent=1) + "\n")


def load_settings(folder: str | Path) -> PolicySettings:
    """The settings of a policy's folder.

    Raises:
        FileNotFoundError: there is no policy.
        ValueError: its file is damaged, or of a newer version.
    """
    path = Path(folder) / SETTINGS
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no policy in {Path(folder)}: it would be a folder with {SETTINGS} and {WEIGHTS}"
        )
    try:
        found = json.loads(path.read_text())
        version = found.pop("format")
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: it is no JSON object with a format ({error})") from None
    if version != FORMAT:
        raise ValueError(f"{path} is of format {version!r}, but this version of mirage-env reads format {FORMAT}")
    known = {one.name for one in fields(PolicySettings)}
    if not {"task", "observations", "shapes", "actions", "outputs"} <= set(found) <= known:
        raise ValueError(f"{path} is damaged: its names are not those of a policy's settings")
    try:
        for name in ("observations", "hidden", "spread"):
            found[name] = tuple(found.get(name, getattr(PolicySettings, name, ())))
        found["shapes"] = {key: tuple(int(n) for n in shape) for key, shape in found["shapes"].items()}
        settings = PolicySettings(**found)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if settings.kind not in KINDS or set(settings.observations) != set(settings.shapes):
        raise ValueError(
            f"{path} is damaged: its kind is none of {', '.join(KINDS)}, or its shapes are of other observations"
        )
    return settings


def load_policy(folder: str | Path, seed: int = 0) -> LearnedPolicy:
    """The policy of a folder; nothing in it is executed.

    Raises:
        FileNotFoundError: there is no policy, or no weights.
        ValueError: a file is damaged, of a newer version, or the weights are of another network.
    """
    settings = load_settings(folder)
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"the weights {path} are missing")
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    network = settings.network()
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        raise ValueError(f"the weights {path} are of another network than {SETTINGS} beside them describes") from None
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise ValueError(f"the weights {path} hold numbers that are not finite")
    return LearnedPolicy(network, settings, seed)


def check_fits(settings: PolicySettings, observations: spaces.Space[Any], actions: spaces.Space[Any]) -> None:
    """Raise ValueError unless a policy of these settings can act in an environment of these spaces."""
    found = observations.spaces if isinstance(observations, spaces.Dict) else {}
    for key in settings.observations:
        shape = found[key].shape if key in found else None
        if shape != settings.shapes[key]:
            there = (
                f"has it of shape {shape}" if key in found else f"has {', '.join(found) or 'no Dict of observations'}"
            )
            raise ValueError(
                f"the policy looks at {key} of shape {settings.shapes[key]}, but the environment {there}; make it "
                f"with observations={settings.observations}, flatten=False and the policy's resolution"
            )
    discrete = isinstance(actions, spaces.Discrete)
    count = int(actions.n) if isinstance(actions, spaces.Discrete) else math.prod(actions.shape or (0,))
    if discrete != (settings.kind in (CATEGORICAL, GREEDY)) or count != settings.outputs:
        raise ValueError(
            f"the policy gives {settings.actions} actions by {settings.outputs} numbers, but the environment takes "
            f'{actions}; make it with actions="{settings.actions}"'
        )


def _as_input(key: str, seen: Any) -> torch.Tensor:
    """One observation as a batch of one: images with channels first, in [0, 1]."""
    array = np.asarray(seen)
    if key in IMAGES:
        return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None].float() / 255.0
    return torch.from_numpy(np.ascontiguousarray(array))[None]
