"""What the tokens of a memory look like, as a coloured point cloud, for pictures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from mirage_env import geometry
from mirage_env.evaluation.rollout import decode_latents
from mirage_env.geometry import Array
from mirage_env.state import WorldState
from mirage_env.world import WorldModel

VOXEL = 0.05
"""Metres per side of the voxels to which the cloud is thinned."""


class TokenCloud(NamedTuple):
    """Points on the surfaces that the tokens of a memory show, at most one per voxel.

    Attributes:
        token: (M,) number, in order of writing, of the oldest token that shows the point.
        positions: (M, 3) float32 metres.
        colours: (M, 3) uint8, decoded.
        widths: (M,) metres across that a point stands for.
        imagined: (M,) from 0, seen by a camera, to 1, imagined.
    """

    token: Array
    positions: Array
    colours: Array
    widths: Array
    imagined: Array

    def where(self, mask: Array) -> TokenCloud:
        return TokenCloud(*(column[mask] for column in self))


@torch.no_grad()
def visible_tokens(world: WorldModel, state: WorldState, poses: Array) -> TokenCloud:
    """What the tokens of a world show to its camera from any of the poses (N, 4, 4).

    A token is larger than a point: every cell of a view that shows one is a sample of its surface.
    """
    stride = world.codec.stride
    K = geometry.scale_intrinsics(state.intrinsics, 1 / stride)
    height, width = (side // stride for side in state.resolution)
    view = state.memory.read(poses, K, size=(height, width))
    rgb = torch.as_tensor(decode_latents(world, view.latents)).float()
    cells = rgb.reshape(len(poses), height, stride, width, stride, 3).mean((2, 4))
    pixels = torch.as_tensor(geometry.pixel_grid(height, width)).expand(len(poses), -1, -1, -1)
    local = geometry.unproject(pixels, view.depth, torch.as_tensor(K))
    rotation, place = torch.as_tensor(poses)[:, None, None, :3, :3], torch.as_tensor(poses)[:, None, None, :3, 3]
    points = (rotation @ local.double()[..., None])[..., 0] + place
    samples = torch.cat([points, cells, (view.depth / K[0, 0])[..., None], view.imagined[..., None]], dim=-1)
    shown = view.token >= 0
    values, token = samples[shown], view.token[shown]
    voxel = (values[:, :3] / VOXEL).floor().long()
    _, inverse = voxel.unique(dim=0, return_inverse=True)
    count = torch.bincount(inverse)
    means = torch.zeros(len(count), values.shape[1], dtype=values.dtype).index_add_(0, inverse, values) / count[:, None]
    oldest = torch.full((len(count),), torch.iinfo(torch.int64).max).scatter_reduce_(0, inverse, token, "amin")
    return TokenCloud(
        token=oldest.numpy(),
        positions=means[:, :3].float().numpy(),
        colours=means[:, 3:6].round().to(torch.uint8).numpy(),
        widths=np.asarray(means[:, 6]),
        imagined=np.asarray(means[:, 7]),
    )
