"""Light of a home, baked into factors per vertex: windows, sun and lamps with shadows, bounce, ambient occlusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mirage_env.geometry import Array, rotation_y
from mirage_env.simulators.raycast import Raycaster
from mirage_env.simulators.rooms.shapes import Batch

LIFT = 0.012
"""How far light is sampled in front of a surface, metres."""
HIDDEN = 0.13
"""Vertices that see less of their surroundings than this are covered by something; neighbours lend them light."""
EXPOSURE = 0.5
"""Radiance that the median wall or floor of every room is exposed to, before ``tone``."""
BOUNCE = 1.5
"""Light that comes back from a room's surfaces, over their mean direct light."""


@dataclass(frozen=True)
class AreaLight:
    """A shining rectangle ``origin + a u + b v``; ``normal`` points into the room. ``colour`` (3,) is its radiance."""

    origin: Array
    u: Array
    v: Array
    normal: Array
    colour: Array
    room: int


@dataclass(frozen=True)
class Lamp:
    """A shining ball of ``radius`` metres; ``colour`` (3,) is its intensity in all directions."""

    position: Array
    radius: float
    colour: Array
    room: int


@dataclass(frozen=True)
class Sun:
    """Sunlight: ``direction`` (3,) points to the sun; ``colour`` (3,) is what a surface square to it receives."""

    direction: Array
    colour: Array


@dataclass(frozen=True)
class _Samples:
    """Light samples: points (S, 3), normals (S, 3) with 0 for balls, weights (S, 3)."""

    points: Array
    normals: Array
    weights: Array


def bake(
    batches: list[Batch],
    caster: Raycaster,
    solids: list[tuple[Array, Array, float, int]],
    lights: list[AreaLight | Lamp],
    sun: Sun | None,
    neighbours: list[list[int]],
    floor_tint: Array,
    rng: np.random.Generator,
) -> Array:
    """Light factors (V, 3) of all vertices, batch after batch, before the batches' own tints.

    Args:
        batches: all surfaces; ``batch.room`` says whose lights reach them (its own and those of its neighbours).
        caster: the same surfaces, for shadows.
        solids: boxes that are full inside (centre, half size, yaw, room).
        sun: shines in through the area lights; None: it does not shine.
        neighbours: per room, the rooms that it shares a doorway with.
        floor_tint: (rooms, 3) mean colour of each floor, for the bounce.
        rng: draws the sample patterns.
    """
    grids = Grids(batches)
    points, normals, room = grids.sample_points(), grids.normals, grids.room
    live = grids.emission < 0
    for r in range(len(neighbours)):
        rows = np.flatnonzero(live & (room == r))
        rows = rows[np.argsort(points[rows, 0], kind="stable")]
        live[rows] = ~_inside(points[rows], [s[:3] for s in solids if s[3] == r])

    direct = np.zeros((len(points), 3))
    ambient = np.zeros(len(points))
    pattern = rng.uniform(0, 1)
    per_room = [np.flatnonzero(live & (room == r)) for r in range(len(neighbours))]
    for r, rows in enumerate(per_room):
        for samples in (
            _sample([x for x in lights if x.room == r], 10, rng),
            _sample([x for x in lights if x.room in neighbours[r]], 4, rng),
        ):
            if samples is not None:
                direct[rows] += _direct(points[rows], normals[rows], samples, caster)
        if sun is not None:
            panes = [x for x in lights if isinstance(x, AreaLight) and x.room in (r, *neighbours[r])]
            direct[rows] += _sunlight(points[rows], normals[rows], panes, sun, caster)
        ambient[rows] = openness(points[rows], normals[rows], caster, 12, pattern)

    walls = [rows[grids.structure[rows]] for rows in per_room]
    own = np.array([direct[rows].mean(0) for rows in walls])
    mean = own + 0.12 * np.array([own[n].sum(0) if n else np.zeros(3) for n in neighbours])
    out = np.zeros((len(points), 3))
    for r, rows in enumerate(per_room):
        down = 0.5 - 0.5 * normals[rows, 1:2]
        tint = 1 - 0.45 * down + 0.45 * down * (floor_tint[r] / max(floor_tint[r].mean(), 0.05))
        total = direct[rows] + ambient[rows, None] * (BOUNCE * mean[r] * tint + 0.03 * mean.mean())
        level = np.median(total[grids.structure[rows]].mean(-1))
        out[rows] = tone(total * EXPOSURE / max(level, 1e-6))
    out = grids.spread(out, live & (ambient >= HIDDEN))
    return np.where(grids.emission[:, None] >= 0, grids.emission[:, None], out)


def tone(x: Array) -> Array:
    """Radiance to a factor for display colours: lifts shadows, rolls highlights off below 1.1."""
    return 1.1 * (1 - np.exp(-1.55 * x)) ** 0.62


class Grids:
    """All vertices of all grids in flat arrays, so that small grids need no loop of their own.

    Attributes:
        points, normals: (V, 3). room: (V,). structure: (V,) bool. emission: (V,), -1 where light is baked.
        first, rows, columns: (G,) first vertex and size of each grid.
    """

    def __init__(self, batches: list[Batch]) -> None:
        shapes = np.array([b.points.shape[:3] for b in batches])
        sizes = shapes.prod(1)
        self.points = np.concatenate([b.points.reshape(-1, 3) for b in batches])
        self.normals = np.concatenate([b.normals.reshape(-1, 3) for b in batches])
        self.room = np.repeat([b.room for b in batches], sizes)
        self.structure = np.repeat([b.structure for b in batches], sizes)
        self.emission = np.repeat([-1.0 if b.emission is None else b.emission for b in batches], sizes)
        self.rows, self.columns = np.repeat(shapes[:, 1:], shapes[:, 0], axis=0).T
        self.count = self.rows * self.columns
        self.first = np.concatenate([[0], np.cumsum(self.count)[:-1]])

    def sample_points(self) -> Array:
        """Where light is sampled (V, 3): each vertex a little along the surface towards its middle, lifted off."""
        middle = np.add.reduceat(self.points, self.first) / self.count[:, None]
        step = np.repeat(middle, self.count, axis=0) - self.points
        step -= (step * self.normals).sum(-1, keepdims=True) * self.normals
        length = np.linalg.norm(step, axis=-1, keepdims=True)
        step *= np.minimum(0.15, 0.03 / np.maximum(length, 1e-6))
        return self.points + step + LIFT * self.normals

    def spread(self, light: Array, known: Array) -> Array:
        """Light (V, 3) with unknown vertices filled from the known ones of their grid, if it has any."""
        counts = np.add.reduceat(known.astype(np.int64), self.first)
        partly = (counts > 0) & (counts < self.count)
        small = partly & (self.count <= 4)
        mean = np.add.reduceat(light * known[:, None], self.first) / np.maximum(counts, 1)[:, None]
        light = np.where(
            (np.repeat(small, self.count) & ~known)[:, None], 0.85 * np.repeat(mean, self.count, axis=0), light
        )
        for g in np.flatnonzero(partly & ~small):
            part = slice(self.first[g], self.first[g] + self.count[g])
            shape = self.rows[g], self.columns[g]
            light[part] = _fill(light[part].reshape(*shape, 3), known[part].reshape(shape)).reshape(-1, 3)
        return light


def _inside(points: Array, solids: list[tuple[Array, Array, float]]) -> Array:
    """Whether each point (n, 3), sorted by x, lies inside any of the boxes."""
    inside = np.zeros(len(points), bool)
    for centre, half, yaw in solids:
        reach = np.abs(np.cos(yaw)) * half[0] + np.abs(np.sin(yaw)) * half[2]
        low, high = np.searchsorted(points[:, 0], [centre[0] - reach, centre[0] + reach])
        local = (points[low:high] - centre) @ rotation_y(yaw)
        inside[low:high] |= (np.abs(local) < half - 1e-4).all(-1)
    return inside


def _sample(lights: list[AreaLight | Lamp], count: int, rng: np.random.Generator) -> _Samples | None:
    points, normals, weights = [], [], []
    for light in lights:
        if isinstance(light, AreaLight):
            across = max(2, round(np.sqrt(count * np.linalg.norm(light.u) / np.linalg.norm(light.v))))
            up = max(2, round(count / across))
            a, b = np.meshgrid((np.arange(across) + 0.5) / across, (np.arange(up) + 0.5) / up)
            a = a + rng.uniform(-0.3, 0.3, a.shape) / across
            b = b + rng.uniform(-0.3, 0.3, b.shape) / up
            p = light.origin + a.reshape(-1, 1) * light.u + b.reshape(-1, 1) * light.v
            area = np.linalg.norm(np.cross(light.u, light.v))
            points.append(p)
            normals.append(np.broadcast_to(light.normal, p.shape))
            weights.append(np.broadcast_to(light.colour * area / len(p) / np.pi, p.shape))
        else:
            n = max(3, count // 2)
            k = np.arange(n) + 0.5
            phi, y = k * 2.399963, 1 - 2 * k / n
            ball = np.stack([np.sqrt(1 - y * y) * np.cos(phi), y, np.sqrt(1 - y * y) * np.sin(phi)], -1)
            points.append(light.position + light.radius * ball)
            normals.append(np.zeros((n, 3)))
            weights.append(np.broadcast_to(light.colour / n, (n, 3)))
    if not points:
        return None
    return _Samples(np.concatenate(points), np.concatenate(normals), np.concatenate(weights))


def _direct(points: Array, normals: Array, samples: _Samples, caster: Raycaster) -> Array:
    """Irradiance (n, 3) from light samples, shadows traced where they matter."""
    p, n = points.astype(np.float32), normals.astype(np.float32)
    total = np.zeros((len(p), 3), np.float32)
    strength = samples.weights.mean(-1)
    for point, normal, weight, s in zip(samples.points, samples.normals, samples.weights, strength, strict=True):
        step = point.astype(np.float32) - p
        d2 = np.einsum("ij,ij->i", step, step) + 0.02
        d = np.sqrt(d2)
        form = np.maximum(np.einsum("ij,ij->i", step, n), 0) / d
        if normal.any():
            form *= np.maximum(-(step @ normal.astype(np.float32)), 0) / d
        form /= d2
        rows = np.flatnonzero(form * s > 2e-4)
        if not len(rows):
            continue
        blocked = caster.occluded(p[rows], step[rows], d[rows] - 0.03)
        rows = rows[~blocked]
        total[rows] += form[rows, None] * weight.astype(np.float32)
    return total


def _sunlight(points: Array, normals: Array, panes: list[AreaLight], sun: Sun, caster: Raycaster) -> Array:
    """Irradiance (n, 3) from the sun through windows, with edges as soft as the grids can carry."""
    facing = normals @ sun.direction
    total = np.zeros(len(points))
    for pane in panes:
        slope = float(pane.normal @ sun.direction)
        if slope > -0.1:
            continue
        reach = (pane.origin - points) @ pane.normal / slope
        at = points + reach[:, None] * sun.direction - pane.origin
        width, height = np.linalg.norm(pane.u), np.linalg.norm(pane.v)
        a, b = at @ pane.u / width, at @ pane.v / height
        inside = np.minimum(np.minimum(a, width - a), np.minimum(b, height - b))
        cover = np.clip(inside / 0.14 + 0.5, 0, 1) * np.maximum(facing, 0) * (reach > 0.05)
        rows = np.flatnonzero(cover > 1e-3)
        if len(rows):
            rows = rows[~caster.occluded(points[rows], sun.direction, reach[rows] - 0.03)]
            total[rows] = np.maximum(total[rows], cover[rows])
    return total[:, None] * sun.colour


def openness(points: Array, normals: Array, caster: Raycaster, count: int, pattern: float) -> Array:
    """Share (n,) of the hemisphere that is open: cosine-weighted rays, near and far reaches in turn."""
    k = np.arange(count) + 0.5
    r, phi = np.sqrt(k / count), 2 * np.pi * (pattern + k * 0.618034)
    local = np.stack([r * np.cos(phi), r * np.sin(phi), np.sqrt(1 - r * r)], -1)
    reach = np.where(np.arange(count) % 3 == 0, 1.6, np.where(np.arange(count) % 3 == 1, 0.7, 0.3))
    helper = np.where(np.abs(normals[:, :1]) < 0.7, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
    t1 = np.cross(normals, helper)
    t1 /= np.maximum(np.linalg.norm(t1, axis=-1, keepdims=True), 1e-9)
    t2 = np.cross(normals, t1)
    unblocked = np.zeros(len(points))
    for direction, distance in zip(local, reach, strict=True):
        d = direction[0] * t1 + direction[1] * t2 + direction[2] * normals
        unblocked += ~caster.occluded(points, d, float(distance))
    return unblocked / count


def _fill(grid: Array, known: Array) -> Array:
    """Spread known values (m, n, 3) over unknown cells from their neighbours, each ring a little darker."""
    m, n = known.shape
    v = np.zeros((m + 2, n + 2, 4))
    v[1:-1, 1:-1, :3] = grid * known[..., None]
    v[1:-1, 1:-1, 3] = known
    inner = v[1:-1, 1:-1]
    while not inner[..., 3].all():
        across = v[:-2] + v[1:-1] + v[2:]
        around = across[:, :-2] + across[:, 1:-1] + across[:, 2:]
        new = (inner[..., 3] == 0) & (around[..., 3] > 0)
        inner[new] = np.concatenate([0.9 * around[new][:, :3] / around[new][:, 3:], np.ones((new.sum(), 1))], -1)
    return inner[..., :3]
