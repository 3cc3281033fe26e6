"""Primitive shapes as grids of vertices, and the builder that collects them into one textured mesh.

Every primitive is a batch of ``k`` grids of ``m x n`` vertices, each with its own normals, so that flat faces, round
surfaces and finely tessellated walls are lit and turned into triangles by the same few lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from mirage_env.geometry import Array, rotation_y

Vec3 = Sequence[float] | Array
WHITE = (1.0, 1.0, 1.0)
CELL = 0.4
"""Faces of boxes longer than this are cut into cells for baked light, metres."""


@dataclass
class Batch:
    """``k`` grids: points and normals (k, m, n, 3), uv (k, m, n, 2) in metres of texture or 0..1 for pictures.

    ``tint`` (3,) multiplies the texture. ``emission`` is the fixed light of surfaces that shine, None where light is
    baked. ``structure`` marks walls, floors and ceilings, which furniture may bury in part.
    """

    points: Array
    normals: Array
    uv: Array
    material: str
    tint: Array
    emission: float | None = None
    structure: bool = False
    room: int = 0


@dataclass
class Shape:
    """A collection of batches in one local frame. Furniture stands on y = 0, faces +z, its footprint centred."""

    batches: list[Batch] = field(default_factory=list)
    solids: list[tuple[Array, Array, float, int]] = field(default_factory=list)
    """Boxes (centre (3,), half size (3,), yaw, room) that are full inside: light is not sampled in them."""

    def add(
        self, points: Array, normals: Array, uv: Array, material: str, tint: Vec3 = WHITE, emission: float | None = None
    ) -> None:
        self.batches.append(Batch(points, normals, uv, material, np.asarray(tint, float), emission))

    def box(
        self,
        size: Vec3,
        centre: Vec3,
        material: str,
        tint: Vec3 = WHITE,
        bevel: float = 0.0,
        yaw: float = 0.0,
        skip: str = "",
        emission: float | None = None,
        turn_uv: bool = False,
        pitch: float = 0.0,
    ) -> None:
        """An upright box (bevel: chamfered edges, metres); ``skip`` leaves faces out by name: -x +x -y +y -z +z."""
        half = np.asarray(size, float) / 2
        centre_ = np.asarray(centre, float)
        bevel = min(bevel, 0.45 * 2 * half.min())
        P, N, UV = (a.copy() for a in (_BOX_P, _BOX_N, _BOX_UV))
        if skip:
            kept = [i for i, name in enumerate(_BOX_NAMES) if name not in skip.split()]
            P, N, UV = P[kept], N[kept], UV[kept]
        inner = half - bevel
        points = P * np.where(np.abs(N) > 0.5, half, inner)
        spans = np.stack([(np.abs(UV[..., 0, :]) * 2 * inner).sum(-1), (np.abs(UV[..., 1, :]) * 2 * inner).sum(-1)], -1)
        corner = np.stack([(P * UV[..., 0, :]).sum(-1), (P * UV[..., 1, :]).sum(-1)], -1)
        uv = (corner + 1) / 2 * spans + centre_.sum() * np.array([1.37, 2.11])
        if turn_uv:
            uv = uv[..., ::-1]
        batches = [(points, N, uv)]
        if bevel > 0:
            batches += _bevels(half, inner)
        R = rotation_y(yaw)
        if pitch:
            c, s = np.cos(pitch), np.sin(pitch)
            R = R @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        for i, (p, n, t) in enumerate(batches):
            p, n = p @ R.T + centre_, n @ R.T
            for grids in _subdivide(p, n, t) if i == 0 and 2 * inner.max() > CELL else [(p, n, t)]:
                self.add(*grids, material, tint, emission)
        if half.min() > 0.004 and not pitch:
            self.solids.append((centre_, half, yaw, 0))

    def lathe(
        self,
        profile: Sequence[tuple[float, float]],
        material: str,
        tint: Vec3 = WHITE,
        centre: Vec3 = (0, 0, 0),
        segments: int = 10,
        emission: float | None = None,
        sharp: bool = False,
        scale: Vec3 = WHITE,
    ) -> None:
        """A surface of revolution about +y through ``centre``; the profile lists (radius, height), bottom first.

        ``sharp`` gives every ring of the profile its own flat normals (pots, caps); otherwise the surface is smooth.
        """
        pr = np.asarray(profile, float)
        rings = [pr[i : i + 2] for i in range(len(pr) - 1)] if sharp else [pr]
        angle = np.linspace(0, 2 * np.pi, segments + 1)
        c, s = np.cos(angle), -np.sin(angle)
        for ring in rings:
            r, y = ring[:, 0], ring[:, 1]
            points = np.stack([r[:, None] * c, np.broadcast_to(y[:, None], (len(r), len(c))), r[:, None] * s], -1)
            d = np.gradient(ring, axis=0)
            nr, ny = d[:, 1], -d[:, 0]
            norm = np.maximum(np.hypot(nr, ny), 1e-9)
            nr, ny = nr / norm, ny / norm
            normals = np.stack([nr[:, None] * c, np.broadcast_to(ny[:, None], (len(r), len(c))), nr[:, None] * s], -1)
            length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(ring, axis=0).T))])
            uv = np.stack(
                np.broadcast_arrays(angle[None] * max(r.max(), 0.02), length[:, None] + 0.37 * np.sum(centre)), -1
            )
            points = points * np.asarray(scale) + np.asarray(centre, float)
            self.add(points[None], normals[None], uv[None], material, tint, emission)

    def pillow(
        self,
        size: Vec3,
        centre: Vec3,
        material: str,
        tint: Vec3 = WHITE,
        yaw: float = 0.0,
        pitch: float = 0.0,
        roundness: float = 0.5,
        detail: int = 8,
    ) -> None:
        """A soft block: a superellipsoid; ``roundness`` 1 is an ellipsoid, smaller is boxier."""
        lat = np.linspace(-np.pi / 2, np.pi / 2, detail // 2 + 3)[:, None]
        lon = np.linspace(-np.pi, np.pi, detail + 5)[None]

        def power(v: Array, e: float) -> Array:
            return np.sign(v) * np.abs(v) ** e

        e = roundness
        unit = np.stack(
            np.broadcast_arrays(
                power(np.cos(lat), e) * power(np.cos(lon), e),
                power(np.sin(lat), e) + 0 * lon,
                power(np.cos(lat), e) * power(np.sin(lon), e),
            ),
            -1,
        )
        half = np.asarray(size, float) / 2
        normals = (
            np.stack(
                np.broadcast_arrays(
                    power(np.cos(lat), 2 - e) * power(np.cos(lon), 2 - e),
                    power(np.sin(lat), 2 - e) + 0 * lon,
                    power(np.cos(lat), 2 - e) * power(np.sin(lon), 2 - e),
                ),
                -1,
            )
            / half
        )
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
        points = unit * half
        uv = points[..., [0, 2]] + points[..., [1, 1]] * 0.7
        c, s = np.cos(pitch), np.sin(pitch)
        R = rotation_y(yaw) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        self.add((points @ R.T + np.asarray(centre, float))[None], (normals @ R.T)[None], uv[None], material, tint)

    def sheet(
        self,
        origin: Vec3,
        u: Vec3,
        v: Vec3,
        material: str,
        cell: float = 0.0,
        tint: Vec3 = WHITE,
        fit: bool = False,
        emission: float | None = None,
        holes: Sequence[tuple[float, float, float, float]] = (),
        uv_offset: tuple[float, float] = (0.0, 0.0),
        structure: bool = False,
        uv_world: bool = False,
    ) -> None:
        """A flat parallelogram origin + a u + b v, front where cross(u, v) points, tessellated to ``cell`` metres.

        ``holes`` are rectangles (u0, v0, u1, v1) in metres along u and v. ``fit`` stretches the texture over the sheet.
        """
        o, u_, v_ = (np.asarray(a, float) for a in (origin, u, v))
        lu, lv = float(np.linalg.norm(u_)), float(np.linalg.norm(v_))
        normal = np.cross(u_, v_)
        normal /= np.linalg.norm(normal)
        cuts_u = _cuts(lu, cell, [c for h in holes for c in (h[0], h[2])])
        cuts_v = _cuts(lv, cell, [c for h in holes for c in (h[1], h[3])])
        for u0, u1, v0, v1 in _free_blocks(cuts_u, cuts_v, holes):
            a, b = cuts_u[u0 : u1 + 1], cuts_v[v0 : v1 + 1]
            A, B = np.meshgrid(a, b)
            points = o + A[..., None] * (u_ / lu) + B[..., None] * (v_ / lv)
            uv = np.stack([0.004 + 0.992 * A / lu, 0.996 - 0.992 * B / lv] if fit else [A, lv - B], -1)
            if not fit:
                uv = uv + np.asarray(uv_offset)
            if uv_world:
                uv = points[..., [0, 2]]
            self.add(points[None], np.broadcast_to(normal, points.shape)[None], uv[None], material, tint, emission)
            self.batches[-1].structure = structure

    def place(
        self, other: Shape, x: float, z: float, yaw: float = 0.0, y: float = 0.0, room: int | None = None
    ) -> None:
        """Add another shape, turned left by ``yaw`` and moved to (x, y, z)."""
        R, t = rotation_y(yaw), np.array([x, y, z])
        for b in other.batches:
            moved = Batch(b.points @ R.T + t, b.normals @ R.T, b.uv, b.material, b.tint, b.emission, b.structure)
            moved.room = b.room if room is None else room
            self.batches.append(moved)
        for centre, half, turn, r in other.solids:
            self.solids.append((R @ centre + t, half, turn + yaw, r if room is None else room))


def _subdivide(p: Array, n: Array, uv: Array) -> list[tuple[Array, Array, Array]]:
    """Grids of 2 x 2 vertices cut into cells of about ``CELL`` metres, grouped by their new size."""
    rows = np.ceil(np.linalg.norm(p[:, 1, 0] - p[:, 0, 0], axis=-1) / CELL - 0.2).astype(int).clip(1)
    columns = np.ceil(np.linalg.norm(p[:, 0, 1] - p[:, 0, 0], axis=-1) / CELL - 0.2).astype(int).clip(1)
    corners = np.concatenate([p, n, uv], -1)
    out = []
    for r, c in sorted(set(zip(rows.tolist(), columns.tolist(), strict=True))):
        q = corners[(rows == r) & (columns == c), :, :, None, None]
        a, b = (np.arange(r + 1) / r)[:, None, None], (np.arange(c + 1) / c)[:, None]
        grid = (1 - a) * ((1 - b) * q[:, 0, 0] + b * q[:, 0, 1]) + a * ((1 - b) * q[:, 1, 0] + b * q[:, 1, 1])
        out.append((grid[..., :3], grid[..., 3:6], grid[..., 6:]))
    return out


def _cuts(length: float, cell: float, fixed: Sequence[float]) -> Array:
    """Positions 0..length that contain all ``fixed`` ones, at most ``cell`` apart (0: no more cuts)."""
    ends = np.unique(np.round(np.clip([0.0, length, *fixed], 0, length), 6))
    if cell <= 0:
        return ends
    parts = [np.linspace(a, b, max(1, round((b - a) / cell)) + 1)[:-1] for a, b in pairwise(ends)]
    return np.concatenate([*parts, ends[-1:]])


def _free_blocks(
    cu: Array, cv: Array, holes: Sequence[tuple[float, float, float, float]]
) -> list[tuple[int, int, int, int]]:
    """Rectangles of cells (first and last cut along u and v) that cover everything outside the holes."""
    if not holes:
        return [(0, len(cu) - 1, 0, len(cv) - 1)]
    mu, mv = (cu[:-1] + cu[1:]) / 2, (cv[:-1] + cv[1:]) / 2
    free = np.ones((len(mu), len(mv)), bool)
    for u0, v0, u1, v1 in holes:
        free[np.ix_((mu > u0) & (mu < u1), (mv > v0) & (mv < v1))] = False
    changes = np.flatnonzero(np.any(free[1:] != free[:-1], axis=1)) + 1
    columns = [0, *changes.tolist(), len(mu)]
    blocks = []
    for a, b in pairwise(columns):
        column = np.concatenate([[False], free[a], [False]])
        edges = np.flatnonzero(column[1:] != column[:-1])
        blocks += [(a, b, int(s), int(e)) for s, e in zip(edges[::2], edges[1::2], strict=True)]
    return blocks


def _box_template() -> tuple[Array, Array, Array, list[str]]:
    """Unit box faces (6, 2, 2, 3), normals, the texture's two axes (6, 2, 2, 2, 3), and the names of the faces."""
    P, N, UV, names = [], [], [], []
    for axis, sign in ((0, -1), (0, 1), (1, -1), (1, 1), (2, -1), (2, 1)):
        normal = np.zeros(3)
        normal[axis] = sign
        right = {0: np.array([0, 0, 1.0]), 1: np.array([1.0, 0, 0]), 2: np.array([1.0, 0, 0])}[axis]
        up = np.array([0, 1.0, 0]) if axis != 1 else np.array([0, 0, 1.0])
        P.append([[normal + a * right + b * up for a in (-1, 1)] for b in (-1, 1)])
        N.append(np.broadcast_to(normal, (2, 2, 3)))
        UV.append(np.broadcast_to(np.stack([right, -up]), (2, 2, 2, 3)))
        names.append(f"{'+' if sign > 0 else '-'}{'xyz'[axis]}")
    return np.array(P), np.array(N), np.array(UV), names


_BOX_P, _BOX_N, _BOX_UV, _BOX_NAMES = _box_template()


def _bevels(half: Array, inner: Array) -> list[tuple[Array, Array, Array]]:
    """The twelve chamfers and eight corners of a box, as two batches with normals of the faces that they join."""
    edges, edge_n, corners, corner_n = [], [], [], []
    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for sa in (-1, 1):
            for sb in (-1, 1):
                grid, normal = np.zeros((2, 2, 3)), np.zeros((2, 2, 3))
                for i, end in enumerate((-1, 1)):
                    for j, outer in enumerate((a, b)):
                        other = b if outer == a else a
                        s = {a: sa, b: sb}
                        grid[i, j, axis] = end * inner[axis]
                        grid[i, j, outer] = s[outer] * half[outer]
                        grid[i, j, other] = s[other] * inner[other]
                        normal[i, j, outer] = s[outer]
                edges.append(grid)
                edge_n.append(normal)
    for signs in np.ndindex(2, 2, 2):
        s = np.array(signs) * 2.0 - 1
        p = [np.where(np.arange(3) == k, half, inner) * s for k in range(3)]
        n = [np.where(np.arange(3) == k, 1.0, 0.0) * s for k in range(3)]
        corners.append([[p[0], p[1]], [p[2], p[2]]])
        corner_n.append([[n[0], n[1]], [n[2], n[2]]])
    out = []
    for grids, normals in ((edges, edge_n), (corners, corner_n)):
        g = np.array(grids)
        out.append((g, np.array(normals), g[..., [0, 2]] + g[..., [1, 1]]))
    return out
