"""A memory of coloured 3-D points: what a world model would use that remembers pixels and not latents.

It stands in the same world loop with the same codec, depth and denoiser. Views are stored as points, one per pixel; a
read draws the points from the target camera and encodes the picture again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirage_env import depth as depths
from mirage_env import geometry
from mirage_env.evaluation.point_contradiction import contradicted_points
from mirage_env.evaluation.point_splat import Picture, Points, close_gaps, continue_colours, render
from mirage_env.frame import to_uint8
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, MemoryView
from mirage_env.memory import cameras as cams
from mirage_env.memory.contradiction import MARGIN
from mirage_env.memory.latent_memory import EXPLAINED
from mirage_env.memory.rules import MemoryRules
from mirage_env.memory.surfel import inverse_depth_slopes, lift_matrix, lift_points
from mirage_env.memory.writable import flying_cells
from mirage_env.models.protocols import Codec

ALMOST_ALL = 0.75
"""A cell is visible when the points cover at least this share of its pixels."""

FARTHEST = 1e6
"""Metres. Depth beyond it has no place in float32 positions."""


class RGBMemory:
    """Coloured points in the world frame, drawn and encoded again when they are read.

    Takes the camera's picture, and its depth per pixel, where the world has them; without, the latents are decoded and
    the depth of the cells is continued to their pixels. It keeps to the same rules as
    ``LatentMemory`` (``merge``, ``contradiction``, ``edges``, ``refine``, ``max_depth`` and ``max_error`` of
    ``MemoryRules``), pixel by pixel where that one goes by cells. What a finer view adds counts more where they
    overlap, instead of replacing.

    Args:
        codec: turns pictures into latents and back.
        rules: what ``write`` does where its arguments do not say; None: the default.
        camera_images: whether to keep the camera's own pixels; False: decoded ones, as of views that were imagined.
        almost_all: share of a cell's pixels that must be covered for the cell to be visible.
    """

    def __init__(
        self,
        codec: Codec,
        rules: MemoryRules | None = None,
        camera_images: bool = True,
        almost_all: float = ALMOST_ALL,
    ) -> None:
        if not 0 < almost_all <= 1:
            raise ValueError(f"almost_all is a share of a cell's pixels, above 0 and at most 1, got {almost_all!r}")
        self.codec = codec
        self.channels = codec.channels
        self.wants_images = camera_images
        self.rules = MemoryRules() if rules is None else rules
        self.almost_all = almost_all
        self._chunks: tuple[Points, ...] = ()
        self._sights = LatentMemory(channels=1, rules=MemoryRules.plain())
        self._last: tuple[bytes, Picture] | None = None

    def __len__(self) -> int:
        return sum(len(chunk.imagined) for chunk in self._chunks)

    def __repr__(self) -> str:
        return f"RGBMemory(points={len(self)}, nbytes={self.nbytes})"

    @property
    def nbytes(self) -> int:
        """Bytes of the points, and of the depths by which ``looked_through`` decides."""
        return sum(column.nbytes for chunk in self._chunks for column in chunk) + self._sights.nbytes

    @property
    def points(self) -> Points:
        """All points, in order of writing."""
        if not self._chunks:
            none = torch.zeros(0, dtype=torch.uint8)
            return Points(torch.zeros(0, 3), torch.zeros(0, 6, dtype=torch.float16), none.view(0, 1).expand(0, 3), none)
        return join(self._chunks)

    def fork(self) -> RGBMemory:
        """A memory with the same points, which both share; neither sees what is written to the other."""
        other = RGBMemory(self.codec, self.rules, self.wants_images, self.almost_all)
        other._chunks, other._sights, other._last = self._chunks, self._sights.fork(), self._last
        return other

    @torch.no_grad()
    def write(
        self,
        latents: Any,
        depth: Any,
        intrinsics: Any,
        pose: Any,
        keep: Any = None,
        merge: bool | None = None,
        *,
        imagined: Any = 0.0,
        explained: Any = None,
        refine: float | None = None,
        error: Any = None,
        image: Any = None,
        image_depth: Any = None,
    ) -> int:
        """Add the points of one view, as ``LatentMemory.write`` adds tokens; the number of points added.

        With ``merge``, cells that are ``explained`` add nothing. Where the caller does not say which those are, a pixel
        is explained where the memory shows its surface, not much coarser and in no more doubt. What is imagined never
        lands on pixels that the memory covers already.

        Args:
            image: (H, W, 3) uint8, the picture that the latents encode; None: the latents are decoded.
            image_depth: (H, W) metres at its pixels, 0 = unknown; None: the depth of the cells, continued. Neither is
                looked at without ``camera_images``.

        Raises:
            ValueError: shapes disagree; NaN, infinite or negative numbers; the pose is not rigid. Nothing is written
                then.
        """
        rules = self.rules.overridden(merge, refine, None, None, None, None)
        values, z = self._checked(latents, depth)
        K, T = cams.check_intrinsics(intrinsics), geometry.check_pose(cams.to_numpy(pose, "pose"))
        if K.shape != (3, 3) or T.shape != (4, 4):
            raise ValueError(f"write takes one view: intrinsics (3, 3) and pose (4, 4), got {K.shape} and {T.shape}")
        image, image_depth = (image, image_depth) if self.wants_images else (None, None)
        pixel_z = self._pixel_depth(z, image_depth)
        colour = self._colour(values, image)
        made_up, off = _cells_of(imagined, "imagined", z), _cells_of(0.0 if error is None else error, "error", z)
        if bool((made_up > 1).any()):
            raise ValueError(f"imagined must lie between 0 and 1, got {float(made_up.max())}")
        sound = (z > 0) & (off <= rules.max_error)
        if keep is not None:
            sound = sound & _cells_of(keep, "keep", z).bool()
        if rules.edges and image_depth is None:
            sound = sound & ~flying_cells(z)
        seen = sound & (made_up == 0)
        if bool(seen.any()):
            if rules.contradiction and len(self):
                self._remove(contradicted_points(self.points, K, T, z, seen, MARGIN + off, self.codec.stride))
            self._sights.write(torch.zeros(1, *z.shape), z, K, T, seen, merge=False, contradiction=rules.contradiction)
        wanted = self._per_pixel(sound) & (pixel_z > 0) & (pixel_z <= rules.max_depth)
        if rules.merge and len(self):
            doubt = self._per_pixel(made_up)
            shown = self._picture(geometry.invert(T), self._pixel_intrinsics(K), (pixel_z.shape[0], pixel_z.shape[1]))
            if explained is not None:
                known = self._per_pixel(_cells_of(explained, "explained", z).bool())
            else:
                known = shown.covered & ((shown.depth - pixel_z).abs() <= EXPLAINED * pixel_z)
                known &= shown.area <= (math.inf if rules.refine is None else rules.refine)
                known &= (2 * shown.imagined).ceil() <= (2 * doubt).ceil()
            wanted &= ~known & ~((doubt > 0) & shown.covered)
        return self._append(colour, pixel_z, K, T, wanted, made_up)

    def _append(self, colour: Tensor, depth: Tensor, K: Array, T: Array, wanted: Tensor, made_up: Tensor) -> int:
        row, col = wanted.nonzero(as_tuple=True)
        if not len(row):
            return 0
        inverse, slopes = inverse_depth_slopes(depth.double())
        lift = torch.as_tensor(lift_matrix(self._pixel_intrinsics(K), T))
        u, v, inverse, slopes = col + 0.5, row + 0.5, inverse[row, col], slopes[:, row, col]
        ray = lift[:, :1] * u + lift[:, 1:2] * v + lift[:, 2:3]
        # The world point is ray / inverse + camera centre; both the ray and the inverse depth are affine in (u, v).
        across, down = ((lift[:, k : k + 1] - ray * (slopes[k] / inverse)) / inverse for k in (0, 1))
        new = Points(
            position=lift_points(lift, u, v, inverse).T.float(),
            tangents=torch.cat([across, down]).T.to(torch.float16),
            colour=colour[row, col],
            imagined=(255 * self._per_pixel(made_up)[row, col]).ceil().to(torch.uint8),
        )
        kept, size = len(self._chunks), len(row)
        # Sizes fall by half from chunk to chunk, so each point is copied a logarithmic number of times.
        while kept and len(self._chunks[kept - 1].imagined) <= 2 * size:
            kept -= 1
            size += len(self._chunks[kept].imagined)
        self._chunks, self._last = (*self._chunks[:kept], join([*self._chunks[kept:], new])), None
        return len(row)

    def _remove(self, gone: Tensor) -> None:
        if bool(gone.any()):
            self._chunks, self._last = (Points(*(column[~gone] for column in self.points)),), None

    @torch.no_grad()
    def read(self, poses: Any, intrinsics: Any, size: Any) -> MemoryView:
        """What cameras (T, 4, 4) or (4, 4) see, on a latent grid (h, w); see ``LatentMemory.read``.

        ``token`` is the number of the point at the middle of the cell.
        """
        targets = cams.targets(poses, intrinsics, size)
        full = (targets.height * self.codec.stride, targets.width * self.codec.stride)
        pictures = [
            self._picture(targets.T_camera_world[t], self._pixel_intrinsics(targets.intrinsics[t]), full)
            for t in range(len(targets))
        ]
        colour, depth, covered, imagined, _, point = (torch.stack(columns) for columns in zip(*pictures, strict=True))
        # Uncovered pixels, also those of visible cells, continue what is around them: the encoder must meet no edge.
        latents = self.codec.encode(continue_colours(colour, covered).permute(0, 3, 1, 2) / 127.5 - 1)
        grid_depth = depths.to_grid(depth, self.codec.stride)
        share = self._cells(covered.float()).mean(-1)
        visible = (share >= self.almost_all) & (grid_depth > 0)
        made_up = self._cells(imagined * covered).mean(-1) / share.clamp_min(1e-6)
        middle = self._cells(point)[..., self.codec.stride * (self.codec.stride // 2) + self.codec.stride // 2]
        token = torch.where(middle >= 0, middle, self._cells(point).amax(-1))
        return MemoryView(
            latents=torch.where(visible[:, None], latents.float(), 0.0),
            depth=torch.where(visible, grid_depth, 0.0),
            visible=visible,
            imagined=torch.where(visible, made_up.clamp(0, 1), 0.0),
            token=torch.where(visible, token, -1),
        )

    def looked_through(self, points: Any, margin: float = 0.05) -> Tensor:
        """As ``LatentMemory.looked_through``, by the depth of the camera views that were written."""
        return self._sights.looked_through(points, margin)

    def _picture(self, T_camera_world: Array, K: Array, size: tuple[int, int]) -> Picture:
        """The closed picture of one camera; the last one is kept, for a step reads and writes from one pose."""
        key = T_camera_world.tobytes() + K.tobytes() + np.array(size).tobytes()
        if self._last is None or self._last[0] != key:
            self._last = key, close_gaps(render(self.points, T_camera_world, K, size))
        return self._last[1]

    def _pixel_intrinsics(self, K: Array) -> Array:
        return geometry.scale_intrinsics(K, self.codec.stride)

    def _per_pixel(self, cells: Tensor) -> Tensor:
        return cells.repeat_interleave(self.codec.stride, 0).repeat_interleave(self.codec.stride, 1)

    def _cells(self, pixels: Tensor) -> Tensor:
        """Pixels (T, H, W) by cell: (T, h, w, stride * stride)."""
        count, stride = pixels.shape[0], self.codec.stride
        h, w = pixels.shape[1] // stride, pixels.shape[2] // stride
        return pixels.view(count, h, stride, w, stride).permute(0, 1, 3, 2, 4).reshape(count, h, w, -1)

    def _checked(self, latents: Any, depth: Any) -> tuple[Tensor, Tensor]:
        values = torch.as_tensor(cams.to_numpy(latents, "latents"), dtype=torch.float32)
        z = torch.as_tensor(cams.to_numpy(depth, "depth"), dtype=torch.float32)
        if values.ndim != 3 or values.shape[0] != self.channels or z.shape != values.shape[1:]:
            raise ValueError(
                f"write takes latents ({self.channels}, h, w) with depth (h, w), got {tuple(values.shape)} and "
                f"{tuple(z.shape)}"
            )
        if not bool(torch.isfinite(values).all() and (z >= 0).all() and (z < FARTHEST).all()):
            raise ValueError(
                f"latents must be finite and depth from 0 (unknown) to {FARTHEST:g} metres, got {float(z.max()):g}"
            )
        return values, z

    def _colour(self, latents: Tensor, image: Any) -> Tensor:
        if image is None:
            return torch.as_tensor(to_uint8(self.codec.decode(latents[None]))[0])
        picture = torch.as_tensor(np.asarray(image))
        wanted = (latents.shape[1] * self.codec.stride, latents.shape[2] * self.codec.stride, 3)
        if picture.dtype != torch.uint8 or tuple(picture.shape) != wanted:
            raise ValueError(f"image must be uint8 of shape {wanted}, got {picture.dtype} {tuple(picture.shape)}")
        return picture

    def _pixel_depth(self, depth: Tensor, image_depth: Any) -> Tensor:
        continued = depths.to_pixels(depth[None], self.codec.stride)[0]
        if image_depth is None:
            return continued
        measured = torch.as_tensor(cams.to_numpy(image_depth, "image_depth"), dtype=torch.float32)
        if measured.shape != continued.shape or not bool(((measured >= 0) & (measured < FARTHEST)).all()):
            raise ValueError(
                f"image_depth must be finite metres of shape {tuple(continued.shape)}, 0 = unknown, got shape "
                f"{tuple(measured.shape)}"
            )
        return torch.where(measured > 0, measured, continued)


def join(chunks: Sequence[Points]) -> Points:
    """Points of several chunks, one after another."""
    return chunks[0] if len(chunks) == 1 else Points(*(torch.cat(columns) for columns in zip(*chunks, strict=True)))


def _cells_of(value: Any, name: str, depth: Tensor) -> Tensor:
    """A number or a grid (h, w) as a grid, float32."""
    grid = torch.as_tensor(cams.to_numpy(value, name), dtype=torch.float32)
    if grid.shape not in ((), depth.shape) or not bool((grid >= 0).all()):
        raise ValueError(f"{name} must be a number or a grid {tuple(depth.shape)} of numbers, 0 or above")
    return grid.expand(depth.shape)
