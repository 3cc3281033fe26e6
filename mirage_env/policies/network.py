"""The network of a learned policy: all that has the shape of a view on one grid, the rest beside it.

Inputs are batches of what environments observe with ``flatten=False``, images with their channels first and in [0, 1]:

    rgb, imagegoal       (B, 3, H, W)      a strided stem brings them to the grid
    latent, memory, ...  (B, C, h, w)      as they are; the grid is theirs for the bundled model at 128 pixels
    visible              (B, h, w)         a channel
    depth                (B, H, W)         nearest, mean and farthest of each cell
    local_map            (B, 3, S, S)      a small trunk of its own, and where the goal lies on it
    pointgoal            (B, 2)            distances in four scales, cosine and sine
    goal_place           (B, 3)            the same in three scales, and how far it may be trusted
    pose                 (B, 4, 4)         place in the floor plane, cosine and sine of the heading
    odometry             (B, 3)            in units of a step ahead and of a turn, and whether it is nothing
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mirage_env.envs.local_map import MAP_CELL
from mirage_env.tasks.measures import SUCCESS_DISTANCE

GRID = 16
"""Cells per side of the grid on which views are looked at."""

MAX_SIGHT = 10.0
"""Metres. What is farther looks equally far."""

IMAGES = ("rgb", "imagegoal")
LATENTS = ("latent", "memory", "goal_latent")
MAPS = (*IMAGES, *LATENTS, "visible", "depth")
LOCAL_MAP = "local_map"
VECTORS = {"pointgoal": 6, "goal_place": 9, "pose": 4, "odometry": 4}
"""Observations that are no maps, and how many features each becomes."""
ON_MAP = {"pointgoal", "goal_place"}
"""Those that tell of a place, which is shown on the local map."""


class Encoder(nn.Module):
    """Observations (a mapping by key, batched) to features (B, width).

    Args:
        shapes: of single observations by key, images as (3, H, W).
        width: of the features.

    Raises:
        ValueError: for a key that no policy can look at.
    """

    def __init__(self, shapes: Mapping[str, Sequence[int]], width: int = 256) -> None:
        super().__init__()
        known = (*MAPS, LOCAL_MAP, *VECTORS)
        unknown = [key for key in shapes if key not in known]
        if unknown or not shapes:
            wrong = ", ".join(unknown) if unknown else "nothing"
            raise ValueError(f"a policy cannot look at {wrong}; it can at {', '.join(known)}")
        self.width = width
        self.maps = tuple(key for key in MAPS if key in shapes)
        self.vectors = tuple(key for key in VECTORS if key in shapes)
        self.stems = nn.ModuleDict({key: _stem() for key in self.maps if key in IMAGES})
        seen = 0
        if self.maps:
            channels = sum(_channels(key, shapes[key]) for key in self.maps)
            self.trunk = _trunk(channels, ((32, 1), (32, 2), (64, 2)))
            seen = 64 * (GRID // 4) ** 2
        self.floor = None
        if LOCAL_MAP in shapes:
            layers, side, _ = shapes[LOCAL_MAP]
            self.floor = _trunk(int(layers) + len(ON_MAP & shapes.keys()), ((16, 2), (32, 2), (32, 2)))
            seen += 32 * math.ceil(int(side) / 8) ** 2
        self.joint = nn.Sequential(nn.Linear(seen + sum(VECTORS[key] for key in self.vectors), width), nn.ReLU())

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        parts = [_vector(key, observations[key].float()) for key in self.vectors]
        if self.maps:
            maps = [self._map(key, observations[key].float()) for key in self.maps]
            parts.insert(0, self.trunk(torch.cat(maps, 1)))
        if self.floor is not None:
            floor = observations[LOCAL_MAP].float()
            goals = [observations[key].float() for key in self.vectors if key in ON_MAP]
            floor = torch.cat([floor, *(_goal_on_map(goal, floor.shape[-1]) for goal in goals)], 1)
            parts.insert(0, self.floor(floor))
        return self.joint(torch.cat(parts, 1))

    def _map(self, key: str, seen: Tensor) -> Tensor:
        """An observation as channels (B, C, GRID, GRID)."""
        if key == "depth":
            return _depth_channels(seen)
        if key in IMAGES:
            return _on_grid(self.stems[key](seen))
        return _on_grid(seen[:, None] if key == "visible" else seen / 3.0)


class Head(nn.Module):
    """Features (B, n) to numbers (B, actions): one hidden layer or several, tanh or ReLU between them."""

    def __init__(self, sizes: Sequence[int], activation: str = "tanh") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


ACTIVATIONS: dict[str, Any] = {"tanh": nn.Tanh, "relu": nn.ReLU}


class PolicyNetwork(nn.Module):
    """From observations to what decides an action: scores of discrete ones, or means of continuous ones.

    Args:
        shapes: see ``Encoder``.
        width: see ``Encoder``.
        memory: hidden units of an LSTM between encoder and head; 0: none.
        hidden: widths of the head's hidden layers.
        outputs: how many numbers it gives.
        activation: "tanh" or "relu", in the head.
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        width: int,
        memory: int,
        hidden: Sequence[int],
        outputs: int,
        activation: str = "tanh",
    ) -> None:
        super().__init__()
        self.encoder = Encoder(shapes, width)
        self.lstm = nn.LSTM(width, memory) if memory else None
        self.head = Head([memory or width, *hidden, outputs], activation)

    def forward(
        self, observations: Mapping[str, Tensor], remembered: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Numbers (B, outputs), and what to remember for the next step: hidden and cell (1, B, memory), or None."""
        features = self.encoder(observations)
        if self.lstm is not None:
            one_step, remembered = self.lstm(features[None], remembered)
            features = one_step[0]
        return self.head(features), remembered


def _stem() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 4, stride=2, padding=1),
        nn.ReLU(),
    )


def _trunk(channels: int, layers: Sequence[tuple[int, int]]) -> nn.Sequential:
    """Convolutions over 3×3 cells of these widths and strides, flattened."""
    modules: list[nn.Module] = []
    for width, stride in layers:
        modules += [nn.Conv2d(channels, width, 3, stride=stride, padding=1), nn.ReLU()]
        channels = width
    return nn.Sequential(*modules, nn.Flatten())


def _goal_on_map(goal: Tensor, side: int) -> Tensor:
    """A spot (B, 1, S, S) where the goal (B, 2), or one that is trusted so far (B, 3), lies on the local map.

    It lies at the border of the map if the goal is beyond, and is as bright as the goal is trusted.
    """
    reach = 0.5 * side * MAP_CELL
    distance, angle = goal[:, 0].clamp(max=reach - MAP_CELL), goal[:, 1]
    across = (torch.arange(side, device=goal.device) + 0.5) * MAP_CELL - reach
    down = (across + (distance * angle.cos())[:, None]).square()
    right = (across + (distance * angle.sin())[:, None]).square()
    spot = torch.exp(-(down[:, :, None] + right[:, None, :]) / (2 * (2 * MAP_CELL) ** 2))[:, None]
    return spot * goal[:, 2, None, None, None] if goal.shape[1] == 3 else spot


def _channels(key: str, shape: Sequence[int]) -> int:
    if key in LATENTS:
        return int(shape[0])
    return {"visible": 1, "depth": 6}.get(key, 16)


def _on_grid(maps: Tensor) -> Tensor:
    """Maps (B, C, h, w) on the grid: pooled where they are finer, interpolated where they are coarser."""
    if maps.shape[-1] == GRID:
        return maps
    if maps.shape[-1] > GRID:
        return functional.adaptive_avg_pool2d(maps, GRID)
    return functional.interpolate(maps, (GRID, GRID), mode="bilinear", align_corners=False)


def _depth_channels(depth: Tensor) -> Tensor:
    """Nearest, mean and farthest depth (B, H, W) of each cell, (B, 6, GRID, GRID): linear, and steep where it is near.

    Depth that was not measured counts as far.
    """
    metres = torch.where(depth > 0, depth, MAX_SIGHT).clamp_(max=MAX_SIGHT)
    if depth.shape[1] % GRID or depth.shape[2] % GRID:
        metres = functional.interpolate(metres[:, None], (4 * GRID, 4 * GRID), mode="nearest-exact")[:, 0]
    rows = metres.unflatten(1, (GRID, -1))
    # Rows first, then columns: several times as quick as pooling in both at once.
    pooled = torch.stack(
        [reduce(reduce(rows, 2).unflatten(2, (GRID, -1)), 3) for reduce in (torch.amin, torch.mean, torch.amax)], 1
    )
    return torch.cat([pooled / MAX_SIGHT, torch.exp(-pooled)], 1)


def _vector(key: str, seen: Tensor) -> Tensor:
    if key == "pointgoal":
        distance, angle = seen[:, 0], seen[:, 1]
        far = distance.clamp(max=MAX_SIGHT) / MAX_SIGHT
        near = distance.clamp(max=2 * SUCCESS_DISTANCE) / SUCCESS_DISTANCE
        # The last is steep where a few centimetres decide whether to stop.
        scales = (far, torch.log1p(distance), torch.exp(-2.0 * distance), 2.0 * near - 2.0)
        return torch.stack([*scales, angle.cos(), angle.sin()], 1)
    if key == "goal_place":
        distance, angle, trust = seen.unbind(1)
        way = torch.stack([angle.cos(), angle.sin(), torch.exp(-distance)], 1)
        scales = torch.stack([distance.clamp(max=MAX_SIGHT) / MAX_SIGHT, torch.log1p(distance), trust], 1)
        return torch.cat([scales, way, trust[:, None] * way], 1)
    if key == "odometry":
        still = torch.exp(-20.0 * seen.abs().sum(1, keepdim=True))
        return torch.cat([4.0 * seen[:, :2], 6.0 * seen[:, 2:], still], 1)
    x, z = seen[:, 0, 3], seen[:, 2, 3]
    return torch.stack([x / MAX_SIGHT, z / MAX_SIGHT, seen[:, 0, 0], seen[:, 0, 2]], 1)
