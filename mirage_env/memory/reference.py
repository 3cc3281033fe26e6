"""The memory once more, slow and obvious: plain loops in float64, one token and one ray at a time.

Tests hold the fast reads against it. It shares no formula with them beyond the definition of a token: where they invert
homographies, it intersects rays with planes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory.raster import MAX_SPAN, SAME_PLANE, SAME_SURFACE
from mirage_env.memory.rules import MemoryRules
from mirage_env.memory.surfel import BEND, EDGE, HALF, JUMP, MAX_TILT, TRIMMED


@dataclass(eq=False)
class View:
    """A camera that wrote: pose (4, 4), intrinsics (3, 3), and its tokens by (row, column)."""

    pose: Array
    K: Array
    tokens: dict[tuple[int, int], Token] = field(default_factory=dict)


@dataclass(eq=False)
class Token:
    """One token: inverse z-depth and its slopes per cell, world position, latents (C,)."""

    view: View
    row: int
    col: int
    inverse: float
    gu: float
    gv: float
    trimmed: set[tuple[int, int]]
    position: Array
    latents: Array
    imagined: float = 0.0


@dataclass
class Sight:
    """Where a ray meets a token's surfel: z-depth, offset in the source cell, target area per source area, facing."""

    token: int
    z: float
    du: float
    dv: float
    magnification: float
    faces: bool


class ReferenceMemory:
    """The semantics of ``LatentMemory``, for grids small enough for loops. Reads give float64 arrays."""

    def __init__(self, channels: int, rules: MemoryRules | None = None) -> None:
        self.channels = channels
        self.rules = MemoryRules() if rules is None else rules
        self.tokens: list[Token] = []

    def write(
        self,
        latents: Array,
        depth: Array,
        K: Array,
        pose: Array,
        keep: Array | None = None,
        merge: bool | None = None,
        imagined: float | Array = 0.0,
        error: float | Array = 0.0,
    ) -> int:
        """Add one view; the number of tokens added."""
        from mirage_env.memory import reference_rules as slow

        rules = self.rules.overridden(merge, None, None, None, None, None)
        depth = np.asarray(depth, dtype=np.float64)
        made_up, off = (np.broadcast_to(np.asarray(grid, np.float32), depth.shape) for grid in (imagined, error))
        cells = [(r, c) for r in range(depth.shape[0]) for c in range(depth.shape[1]) if depth[r, c] > 0]
        sound = {cell for cell in cells if (keep is None or keep[cell]) and off[cell] <= rules.max_error}
        if rules.edges:
            sound -= {cell for cell in cells if slow.flies(depth, *cell)}
        wanted = {cell for cell in sound if depth[cell] <= rules.max_depth}
        seen = {cell for cell in sound if made_up[cell] == 0}
        if rules.contradiction:
            self._drop(slow.contradicted(self, depth, K, pose, seen, off))
        here, beside, finest = slow.explained(self, depth, K, pose, made_up, rules.refine, rules.detail)
        if rules.merge and self.tokens:
            new = slow.next_to(wanted - here, wanted - beside)
            wanted = new | slow.next_to(wanted, slow.broad(new))
        if rules.refine is not None and seen:
            finest |= {cell: min(1.0, finest.get(cell, math.inf)) for cell in wanted & seen}
            self._drop(slow.superseded(self, depth, K, pose, finest, rules.refine))
        view = View(np.asarray(pose, dtype=np.float64), np.asarray(K, dtype=np.float64))
        for r, c in sorted(wanted):
            token = token_of(view, latents[:, r, c], depth, r, c)
            token.imagined = float(made_up[r, c])
            view.tokens[r, c] = token
            self.tokens.append(token)
        if rules.max_tokens is not None:
            self._drop(slow.evicted(self.tokens, rules.max_tokens, len(wanted)))
        return len(wanted)

    def _drop(self, going: list[Token]) -> None:
        for token in going:
            self.tokens.remove(token)
            del token.view.tokens[token.row, token.col]

    def read(self, pose: Array, K: Array, size: tuple[int, int], footprint: bool) -> tuple[Array, Array, Array]:
        """Latents (C, h, w), depth (h, w) and visible (h, w) from one camera."""
        latents = np.zeros((self.channels, *size))
        depth, visible = np.zeros(size), np.zeros(size, dtype=bool)
        shown = self._surfels(pose, K, size) if footprint else self._splats(pose, K, size)
        for (r, c), (z, values) in shown.items():
            latents[:, r, c], depth[r, c], visible[r, c] = values, z, True
        return latents, depth, visible

    def _splats(self, pose: Array, K: Array, size: tuple[int, int]) -> dict[tuple[int, int], tuple[float, Array]]:
        shown: dict[tuple[int, int], tuple[float, Array]] = {}
        T_camera_world = geometry.invert(np.asarray(pose, dtype=np.float64))
        for token in self.tokens:
            x, y, z = (
                sum(T_camera_world[k, j] * token.position[j] for j in range(3)) + T_camera_world[k, 3] for k in range(3)
            )
            if z <= 1e-6:
                continue
            cell = (math.floor(K[1, 1] * y / z + K[1, 2]), math.floor(K[0, 0] * x / z + K[0, 2]))
            near = float(np.float32(z))
            if 0 <= cell[0] < size[0] and 0 <= cell[1] < size[1] and (cell not in shown or near <= shown[cell][0]):
                shown[cell] = (near, token.latents)
        return shown

    def backs(self, pose: Array, K: Array, size: tuple[int, int]) -> Array:
        """Depth (h, w) of the backs of seen surfaces in cells that show nothing because of them; 0 elsewhere."""
        depth, shown = np.zeros(size), self._surfels(pose, K, size)
        for r, c in np.ndindex(size):
            if (r, c) not in shown:
                sights = self._in_nobodys_way(self.sights(pose, K, r, c), pose, K, r, c)
                depth[r, c] = min((s.z for s in sights if self._doubt(s) == 0), default=0.0)
        return depth

    def _surfels(self, pose: Array, K: Array, size: tuple[int, int]) -> dict[tuple[int, int], tuple[float, Array]]:
        shown = {}
        for r in range(size[0]):
            for c in range(size[1]):
                sights = self._in_nobodys_way(self.sights(pose, K, r, c), pose, K, r, c)
                nearest = min((s.z for s in sights if s.faces or self._doubt(s) == 0), default=0.0)
                seen = [s for s in sights if s.faces and s.z <= nearest * (1 + SAME_SURFACE)]
                if seen:
                    best = min(seen, key=lambda s: (self._doubt(s), self._resampling(s, pose, K), -s.token))
                    shown[r, c] = (best.z, _interpolated(self.tokens[best.token], best.du, best.dv))
        return shown

    def _in_nobodys_way(self, sights: list[Sight], pose: Array, K: Array, row: int, col: int) -> list[Sight]:
        """Without what was imagined where the view of the nearest seen surfel looked through."""
        seen = [s for s in sights if s.faces and self._doubt(s) == 0]
        if not seen or not self.rules.sight_lines:
            return sights
        witness = min(seen, key=lambda s: (np.float32(s.z), -s.token))
        view, left = self.tokens[witness.token].view, []
        for sight in sights:
            point = geometry.transform(pose, geometry.unproject(np.array([col + 0.5, row + 0.5]), sight.z, K))
            before = sight.z * (1 + SAME_SURFACE) < witness.z and in_front(view, point, SAME_SURFACE)
            if self._doubt(sight) == 0 or not before:
                left.append(sight)
        return left

    def _resampling(self, sight: Sight, pose: Array, K: Array) -> np.float32:
        """1 + |J - I|^2 with J the derivative of the target cell by the source cell, by differences."""
        token, step = self.tokens[sight.token], 1e-4
        T = geometry.invert(pose) @ token.view.pose

        def target(right: float, down: float) -> Array:
            du, dv = sight.du + right, sight.dv + down
            source = np.array([token.col + 0.5 + du, token.row + 0.5 + dv])
            z = 1.0 / (token.inverse + du * token.gu + dv * token.gv)
            return geometry.project(geometry.transform(T, geometry.unproject(source, z, token.view.K)), K)[0]

        J = np.stack([target(step, 0) - target(-step, 0), target(0, step) - target(0, -step)], axis=1) / (2 * step)
        return np.float32(1.0 + np.square(J - np.eye(2)).sum())

    def _doubt(self, sight: Sight) -> int:
        return doubt(self.tokens[sight.token].imagined)

    def sights(self, pose: Array, K: Array, row: int, col: int) -> list[Sight]:
        """All surfels that the ray through a cell's centre meets."""
        ray = np.array([(col + 0.5 - K[0, 2]) / K[0, 0], (row + 0.5 - K[1, 2]) / K[1, 1], 1.0])
        sights = []
        relative: dict[int, Array] = {}
        for index, token in enumerate(self.tokens):
            if id(token.view) not in relative:
                relative[id(token.view)] = geometry.invert(token.view.pose) @ pose
            T = relative[id(token.view)]
            origin, direction = T[:3, 3], T[:3, :3] @ ray
            normal = _plane_normal(token)
            slant = float(normal @ direction)
            if slant == 0:
                continue
            z = (1.0 - float(normal @ origin)) / slant
            point = origin + z * direction
            if z <= 1e-6 or point[2] <= 0 or not _spans(token, pose, K, row, col):
                continue
            fx, fy = token.view.K[0, 0], token.view.K[1, 1]
            du = fx * point[0] / point[2] + token.view.K[0, 2] - token.col - 0.5
            dv = fy * point[1] / point[2] + token.view.K[1, 2] - token.row - 0.5
            if abs(du) <= HALF and abs(dv) <= HALF and not _trimmed_away(token, du, dv):
                source_area = fx * fy * abs(normal @ point) / point[2] ** 3
                target_area = K[0, 0] * K[1, 1] * abs(normal @ (point - origin)) / z**3
                faces = float(normal @ origin) < 1.0
                sights.append(Sight(index, z, du, dv, target_area / source_area, faces))
        return sights


def _spans(token: Token, pose: Array, K: Array, row: int, col: int) -> bool:
    """Whether a cell is near enough to where a token's centre is seen to be drawn into; see ``raster.MAX_SPAN``."""
    x, y, z = geometry.transform(geometry.invert(np.asarray(pose, dtype=np.float64)), np.array(token.position))
    if z <= 0:
        return True
    u, v, reach = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2], MAX_SPAN / 2
    return all(math.floor(at - reach) <= cell <= math.ceil(at + reach) for at, cell in ((u, col), (v, row)))


def in_front(view: View, point: Array, margin: float) -> bool:
    """Whether a camera's view saw something behind a world point (3,), by more than a fraction of inverse depth."""
    x, y, z = geometry.transform(geometry.invert(view.pose), point)
    if z <= 1e-6:
        return False
    u, v = view.K[0, 0] * x / z + view.K[0, 2], view.K[1, 1] * y / z + view.K[1, 2]
    token = view.tokens.get((math.floor(v), math.floor(u)))
    if token is None or token.imagined > 0:
        return False
    surface = token.inverse + (u - token.col - 0.5) * token.gu + (v - token.row - 0.5) * token.gv
    return 1 / z > surface * (1 + margin)


def doubt(imagined: float) -> int:
    """0 seen, 1 at most half imagined, 2 imagined."""
    return math.ceil(2 * imagined)


def _plane_normal(token: Token) -> Array:
    """n (3,) of the surfel's plane n . X = 1 in its source camera."""
    K = token.view.K
    offset = token.inverse - token.gu * (token.col + 0.5 - K[0, 2]) - token.gv * (token.row + 0.5 - K[1, 2])
    return np.array([token.gu * K[0, 0], token.gv * K[1, 1], offset])


def plane_of(depth: Array, row: int, col: int) -> tuple[float, float, float]:
    """Inverse depth of a cell, and its slopes per cell to the right and down."""
    inverse = 1.0 / depth[row, col]
    gu = _slope(depth, row, col, 0, 1)
    gv = _slope(depth, row, col, 1, 0)
    tilt = 0.5 * (abs(gu) + abs(gv))
    if tilt > MAX_TILT * inverse:
        gu, gv = gu * MAX_TILT * inverse / tilt, gv * MAX_TILT * inverse / tilt
    return inverse, gu, gv


def token_of(view: View, latents: Array, depth: Array, row: int, col: int) -> Token:
    """The token of one cell."""
    inverse, gu, gv = plane_of(depth, row, col)
    pixel = np.array([col + 0.5, row + 0.5])
    position = geometry.transform(view.pose, geometry.unproject(pixel, depth[row, col], view.K))
    trimmed = set()
    for down, right in ((0, -1), (0, 1), (-1, 0), (1, 0)):
        beyond = inverse_at(depth, row + down, col + right)
        expected = min(inverse, inverse + right * gu + down * gv)
        if beyond is not None and beyond < (1 - EDGE) * expected:
            trimmed.add((down, right))
    inverse, gu, gv = (float(np.float32(value)) for value in (inverse, gu, gv))
    return Token(view, row, col, inverse, gu, gv, trimmed, position.astype(np.float32).astype(np.float64), latents)


def inverse_at(depth: Array, row: int, col: int) -> float | None:
    """Inverse depth of a cell, None where nothing was measured or the grid ends."""
    inside = 0 <= row < depth.shape[0] and 0 <= col < depth.shape[1]
    return 1.0 / depth[row, col] if inside and depth[row, col] > 0 else None


def _slope(depth: Array, row: int, col: int, down: int, right: int) -> float:
    inverse, candidates = 1.0 / depth[row, col], []
    for sign in (-1, 1):
        near = inverse_at(depth, row + sign * down, col + sign * right)
        far = inverse_at(depth, row + 2 * sign * down, col + 2 * sign * right)
        if near is not None:
            step = sign * (near - inverse)
            bend = abs(step) if far is None else abs(step - sign * (far - near))
            candidates.append((bend, abs(step), step))
    if not candidates:
        return 0.0
    bend, size, step = min(candidates, key=lambda c: c[:2])
    return 0.0 if size > JUMP * inverse and bend > BEND * size else step


def _trimmed_away(token: Token, du: float, dv: float) -> bool:
    return any(right * du + down * dv > TRIMMED for down, right in token.trimmed)


def _interpolated(token: Token, du: float, dv: float) -> Array:
    su, sv = (-1 if du < 0 else 1), (-1 if dv < 0 else 1)
    total, values = 0.0, np.zeros_like(token.latents, dtype=np.float64)
    for i in (0, 1):
        for j in (0, 1):
            other = token.view.tokens.get((token.row + i * sv, token.col + j * su))
            expected = token.inverse + j * su * token.gu + i * sv * token.gv
            if other is None or abs(other.inverse - expected) > SAME_PLANE * other.inverse:
                continue
            weight = (abs(dv) if i else 1 - abs(dv)) * (abs(du) if j else 1 - abs(du))
            values += weight * other.latents
            total += weight
    return values / total
