"""One step of imagination: what memories show of views, completed by the networks, and remembered.

view ─► look ahead ─► close cracks ─► denoise ─► depth ─► where nothing seen forbids it ─► write
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mirage_env.cracks import GUESSED, close_cracks, gap_cells
from mirage_env.geometry import Array
from mirage_env.look_ahead import ahead_poses
from mirage_env.memory import MemoryView, read_many
from mirage_env.memory.protocol import SpatialMemory, replaced_views
from mirage_env.models.protocols import Denoiser, DepthModel
from mirage_env.seen_space import doubtful_ways, placed
from mirage_env.state import WorldState, as_kept
from mirage_env.team import following

Imagine = Literal["always", "new", "never"]
LEAST = 0.01
"""What no camera saw is imagined at least so much, however sure the denoiser is."""
COPIED = 0.05
"""How imagined a remembered cell counts, at least, that a step wrote once more."""


class Networks(NamedTuple):
    """What imagines: see ``mirage_env.models.protocols``; the denoiser passes ``denoiser_steps`` times per view."""

    depth_model: DepthModel
    denoiser: Denoiser
    denoiser_steps: int


class Completed(NamedTuple):
    """Whole views of B worlds: grids (B, C, h, w), (B, h, w) and (B, h, w), and the memories that hold them."""

    latents: Tensor
    depth: Tensor
    imagined: Tensor
    memories: list[SpatialMemory]


def looked_ahead(
    networks: Networks,
    states: Sequence[WorldState],
    poses: Array,
    grid_K: Array,
    view: MemoryView,
    angle: float,
    threshold: float,
) -> tuple[list[WorldState], MemoryView]:
    """The states after those whose view is partly unknown imagined what lies there, and their views again.

    Args:
        angle: radians by which they turn towards it, see ``look_ahead``.
        The others as in ``completed``.
    """
    which, turned = ahead_poses(view.visible, grid_K, poses, angle, threshold)
    states = list(states)
    if not len(which):
        return states, view
    some, K, size = [states[i] for i in which], grid_K[which], tuple(view.visible.shape[1:])
    there = read_many([state.memory for state in some], turned, K, size=size)
    memories = completed(networks, some, turned, K, there, "new", 0.0, ahead=True).memories
    for i, memory in zip(which, memories, strict=True):
        states[i] = dataclasses.replace(states[i], memory=memory)
    again, at = read_many(memories, poses[which], K, size=size), torch.as_tensor(which, device=view.visible.device)
    return states, replaced_views(view, at, again)


def completed(
    networks: Networks,
    states: Sequence[WorldState],
    poses: Array,
    grid_K: Array,
    view: MemoryView,
    imagine: Imagine,
    threshold: float,
    ahead: bool = False,
) -> Completed:
    """What the memories show of views, completed, and forks of them that hold it.

    Args:
        states: B worlds.
        poses: T_world_camera (B, 4, 4).
        grid_K: intrinsics (B, 3, 3) of the latent grids.
        view: what the memories of ``states`` show there.
        imagine, threshold: see ``WorldModel.step_batch``.
        ahead: this is not the view of the step but one that it looks ahead to; it has noise of its own.
    """
    latents, depth, imagined = view.latents.clone(), view.depth.clone(), view.imagined.clone()
    cracks = slits = torch.zeros_like(view.visible)
    if imagine != "never":
        cracks, slits = gap_cells(view.visible)
    known = [state.memory for state in states]
    gaps = cracks | slits
    unseen = ~view.visible & ~gaps
    keep = torch.ones_like(unseen)
    share = unseen.float().mean((1, 2))
    if bool(gaps.any()):
        close_cracks(gaps, view.visible, latents, depth, imagined, torch.where(slits, GUESSED, LEAST))
    if imagine != "never":
        chosen = (share > threshold) if imagine == "new" else torch.ones_like(share, dtype=torch.bool)
        if chosen.any():
            grids = (latents, depth, imagined)
            at = chosen.nonzero()[:, 0]
            _imagine(networks, at, states, grid_K, view, unseen, grids, imagine == "always", ahead)
            depth, keep = placed(known, depth, view.back, unseen & chosen[:, None, None], grid_K, poses)
    seen = view.visible & (view.imagined == 0)
    imagined = torch.where(seen, doubtful_ways(known, depth, seen, grid_K, poses), imagined)
    fresh = unseen & (depth > 0)
    # Around new cells a write repeats a border of old ones: as they were remembered, not as the denoiser drew them,
    # and trusted less than the originals, which a read prefers.
    written = torch.where(view.visible[:, None], view.latents, latents)
    trust = torch.where(view.visible, imagined.clamp_min(COPIED), imagined)
    memories = []
    for i, memory in enumerate(known):
        if bool(fresh[i].any()):
            memory = memory.fork()
            memory.write(written[i], depth[i], grid_K[i], poses[i], keep[i], explained=~unseen[i], imagined=trust[i])
        memories.append(memory)
    return Completed(latents, depth, imagined, memories)


def _imagine(
    networks: Networks,
    chosen: Tensor,
    states: Sequence[WorldState],
    grid_K: Array,
    view: MemoryView,
    unseen: Tensor,
    grids: tuple[Tensor, Tensor, Tensor],
    everything: bool,
    ahead: bool,
) -> None:
    """Fill latents, depth and ``imagined`` of chosen worlds in place, in their ``unseen`` cells.

    If ``everything``, latents are the denoiser's everywhere.
    """
    latents, depth, imagined = grids
    device = latents.device
    K = torch.as_tensor(grid_K, dtype=torch.float32, device=device)[chosen]
    noise = torch.stack([_noise(states[int(i)], latents.shape[1:], ahead) for i in chosen]).to(device)
    scale = torch.tensor([states[int(i)].scale for i in chosen], dtype=torch.float32, device=device)[:, None, None]
    readout, seen_depth, visible = view.latents[chosen], view.depth[chosen] / scale, view.visible[chosen]
    with following():
        clean, error = networks.denoiser.denoise(
            readout, seen_depth, visible, imagined[chosen], K, noise, networks.denoiser_steps
        )
    clean, open_ = as_kept(clean), unseen[chosen]
    latents[chosen] = clean if everything else torch.where(open_[:, None], clean, latents[chosen])
    with following():
        estimate = networks.depth_model.estimate(latents[chosen], K, seen_depth).depth * scale
    depth[chosen] = torch.where(open_, estimate, depth[chosen])
    imagined[chosen] = torch.where(open_, error.clamp(LEAST, 1.0), imagined[chosen])


def _noise(state: WorldState, shape: torch.Size, ahead: bool) -> Tensor:
    """Noise of the state's next step, or of looking ahead in it: the same whether it runs alone or in a batch."""
    generator = torch.Generator().manual_seed((state.seed * 1_000_003 + state.steps + ahead * 2**62) % 2**63)
    return torch.randn(shape, generator=generator)
