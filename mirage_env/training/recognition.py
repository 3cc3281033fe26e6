"""Fit by what latents surfaces are known again, from recorded walks: see ``mirage_env.models.recognition``.

    python -m mirage_env.training.recognition --model tiny --data DIR --out DIR

Nothing is trained by gradients. Pairs of views of a walk show one surface twice, wherever their depth says so; the
directions in which latents of such pairs agree, and those of other pairs do not, are generalised eigenvectors. Pictures
of later views, whose depth is estimated as that of a goal's picture is, are laid where they were taken: that gives the
evidence by distance. Then places are searched for such pictures; how often the best one is right gives the trust.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from scipy import linalg, optimize
from torch import Tensor
from tqdm import tqdm

from mirage_env import geometry
from mirage_env.data.shards import list_shards, read_shard
from mirage_env.frame import from_uint8
from mirage_env.geometry import Array
from mirage_env.models.protocols import Codec
from mirage_env.models.recognition import Recognition
from mirage_env.simulators.base import Camera
from mirage_env.tasks.goal_place import APART, Picture, picture_of, search, standing_at
from mirage_env.tasks.surface_map import SurfaceMap, in_camera, sampled, with_view
from mirage_env.world import WorldModel

DIRECTIONS = 4
"""Of the bundled model's 16 channels; more of them told surfaces of new homes apart less well."""
BINS = 48
PAIRS = 40
"""Pairs of views per walk."""
PICTURES = 6
"""Pictures per walk that are looked for."""


class Walk(NamedTuple):
    """One recorded walk.

    Attributes:
        latents: (T, C, h, w) float32.
        depth: (T, H, W) float32, metres.
        poses: T_world_camera (T, 4, 4).
        camera: that took its views.
    """

    latents: Tensor
    depth: Array
    poses: Array
    camera: Camera

    @property
    def K(self) -> Array:
        """Intrinsics (3, 3) of the grid of latents."""
        return geometry.scale_intrinsics(self.camera.intrinsics, self.latents.shape[-1] / self.camera.resolution)


def fit(walks: list[Walk], world: WorldModel, seed: int = 0, progress: bool = False) -> Recognition:
    """What tells surfaces apart in these walks, which the codec of ``world`` encoded.

    Raises:
        ValueError: they show too few surfaces twice.
    """
    rng = np.random.default_rng(seed)
    directions = _directions(walks, rng)
    plain = Recognition(directions, np.zeros(1, np.float32), np.ones((), np.float32), np.zeros(4, np.float32))
    pictures = [_pictures(walk, world, plain, rng) for walk in tqdm(walks, "pictures", disable=not progress)]
    known = plain._replace(**_evidence(walks, pictures, plain, rng))
    return known._replace(trust=_trust(walks, pictures, known, tqdm(range(len(walks)), "places", disable=not progress)))


def _directions(walks: list[Walk], rng: np.random.Generator) -> Array:
    """(C, DIRECTIONS) float32, in which latents of one surface differ by a variance of 1 and others by the most."""
    same, other = [], []
    for walk in walks:
        latents = walk.latents.flatten(2).transpose(1, 2).numpy()
        for one, two in rng.integers(len(latents), size=(PAIRS, 2)):
            here, there = seen_twice(walk, int(one), int(two))
            same.append(latents[one, here] - latents[two, there])
        views, cells = (
            rng.integers(len(latents), size=(2, 40 * PAIRS)),
            rng.integers(latents.shape[1], size=(2, 40 * PAIRS)),
        )
        other.append(np.subtract(*latents[views, cells]))
    within, between = (
        differences.T @ differences / max(1, len(differences)) for differences in map(np.concatenate, (same, other))
    )
    if sum(map(len, same)) < 20 * len(within):
        raise ValueError("the walks show too few surfaces twice; take longer or more of them")
    _, vectors = linalg.eigh(between, within)
    return np.ascontiguousarray(vectors[:, ::-1][:, :DIRECTIONS], dtype=np.float32)


def seen_twice(walk: Walk, one: int, two: int) -> tuple[Array, Array]:
    """Cells (n,) of one view, and those (n,) of another that show the same surface."""
    if one == two:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    cells, K = walk.latents.shape[-1], walk.K
    here, there = (sampled(walk.depth[view], cells) for view in (one, two))
    T = geometry.invert(walk.poses[two].astype(np.float64)) @ walk.poses[one]
    points = geometry.transform(T, in_camera(here, K))
    ahead = np.flatnonzero((here.ravel() > 0) & (points[:, 2] > 0.1))
    pixels, depth = geometry.project(points[ahead], K)
    inside = ((pixels >= 0) & (pixels < cells)).all(1)
    column, row = pixels[inside].astype(np.int64).T
    ahead, depth = ahead[inside], depth[inside]
    agree = np.abs(there[row, column] - depth) < 0.05 * depth
    return ahead[agree], (row * cells + column)[agree]


def _pictures(
    walk: Walk, world: WorldModel, recognition: Recognition, rng: np.random.Generator
) -> list[tuple[int, Picture]]:
    """Some views of a walk's second half, and which they are."""
    chosen = np.sort(rng.choice(np.arange(len(walk.poses) // 2, len(walk.poses)), PICTURES, replace=False))
    height, pictures = walk.camera.height, []
    for view in map(int, chosen):
        latents = walk.latents[view].numpy()
        depth, error = world.estimate_depth(latents, walk.K, height)
        pictures.append((view, picture_of(latents, depth, error, walk.K, height, recognition)))
    return pictures


def _map(
    walk: Walk, views: Iterable[int], recognition: Recognition, known: SurfaceMap | None = None
) -> SurfaceMap | None:
    for view in views:
        shown = SimpleNamespace(latents=walk.latents[view], depth=walk.depth[view])
        known = with_view(known, shown, walk.poses[view], walk.camera, recognition)
    return known


def _evidence(
    walks: list[Walk], pictures: list[list[tuple[int, Picture]]], recognition: Recognition, rng: np.random.Generator
) -> dict[str, Array]:
    """Log-odds that features are of one surface by their distance, and where they end: pictures laid where they were
    taken on what was seen until ten views before, against cells of the same layers elsewhere."""
    same, other = [], []
    for walk, taken in zip(walks, pictures, strict=True):
        known, told = None, 0
        for view, picture in taken:
            known, told = _map(walk, range(told, view - 10), recognition, known), max(told, view - 10)
            if known is None:
                continue
            means, there = known.means, known.known
            at = standing_at(picture, walk.poses[view]) - known.corner
            inside = np.asarray(((at >= 0) & (at < there.shape[1:])).all(1))
            inside[inside] = there[picture.layers[inside], at[inside, 0], at[inside, 1]]
            here = means[picture.layers[inside], at[inside, 0], at[inside, 1]]
            same.append(np.linalg.norm(picture.features[inside] - here, axis=1))
            for layer in np.unique(picture.layers):
                cells, own = means[layer][there[layer]], picture.features[picture.layers == layer]
                if len(cells):
                    drawn = cells[rng.integers(len(cells), size=(20, len(own)))]
                    other.append(np.linalg.norm(own - drawn, axis=2).ravel())
    alike, unlike = np.concatenate(same), np.concatenate(other)
    farthest = float(np.quantile(unlike, 0.9))
    shares = [
        np.histogram(np.minimum(found, farthest), BINS, (0.0, farthest))[0] / len(found) for found in (alike, unlike)
    ]
    # A thousandth on both sides: what was never seen is no proof.
    evidence = np.log((shares[0] + 1e-3) / (shares[1] + 1e-3))
    return {"evidence": evidence.astype(np.float32), "farthest": np.array(farthest, np.float32)}


def _trust(
    walks: list[Walk], pictures: list[list[tuple[int, Picture]]], recognition: Recognition, order: Iterable[int]
) -> Array:
    """Log-odds that the best place is right, by logistic regression on what speaks for it, along each walk."""
    speaks, right = [], []
    for index in order:
        walk, known, told = walks[index], None, 0
        for until in range(8, len(walk.poses), 8):
            known, told = _map(walk, range(told, until), recognition, known), until
            for view, picture in pictures[index]:
                found = search(picture, known, recognition) if known is not None and view >= until + 10 else None
                if found is not None:
                    speaks.append(found.speaks)
                    right.append(np.linalg.norm(found.position - walk.poses[view][[0, 2], 3]) < APART)
    X, y = np.column_stack([np.ones(len(speaks)), speaks]), np.array(right, dtype=np.float64)

    def loss(weights: Array) -> float:
        odds = X @ weights
        return float(np.mean(np.logaddexp(0.0, odds) - y * odds) + 1e-4 * weights @ weights)

    return optimize.minimize(loss, np.zeros(4)).x.astype(np.float32)


def read_walks(folders: Path | Sequence[Path], codec: Codec) -> list[Walk]:
    """The walks of folders of shards, encoded."""
    walks = []
    for folder in [folders] if isinstance(folders, Path) else folders:
        for path in list_shards(folder):
            shard = read_shard(path)
            with torch.no_grad():
                latents = torch.cat(
                    [codec.encode(from_uint8(part)) for part in np.array_split(shard.rgb, max(1, len(shard) // 32))]
                )
            camera = Camera(shard.rgb.shape[1], float(shard.meta["hfov"]), float(shard.meta["camera_height"]))
            walks.append(Walk(latents, shard.depth, shard.poses, camera))
    return walks


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status: 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m mirage_env.training.recognition", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--model", default="tiny", help="whose latents: a bundled name, a folder or a hub id (tiny)")
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="DIR", help="folders of walks, see mirage-env collect"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the model with what was fitted"
    )
    given = parser.parse_args(arguments)
    try:
        world = WorldModel.from_pretrained(given.model)
        world.recognition = fit(read_walks(given.data, world.codec), world, progress=True)
        world.save_pretrained(given.out)
    except (ValueError, TypeError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"wrote {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
