"""What a write leaves out, removes, replaces and evicts, slow and obvious: the rules of ``ReferenceMemory``."""

from __future__ import annotations

import itertools
import math

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory.contradiction import COVERED, MARGIN, SUBCELLS
from mirage_env.memory.latent_memory import EXPLAINED
from mirage_env.memory.raster import SAME_PLANE
from mirage_env.memory.reference import ReferenceMemory, Token, doubt, inverse_at, plane_of
from mirage_env.memory.surfel import BEND, EDGE, HALF, TRIMMED

Cell = tuple[int, int]


def flies(depth: Array, row: int, col: int) -> bool:
    """Whether the cell lies between a nearer and a farther neighbour, off the surfaces of both."""
    for down, right in ((0, 1), (1, 0)):
        line = [inverse_at(depth, row + k * down, col + k * right) for k in (-2, -1, 0, 1, 2)]
        if any(value is None for value in line):
            continue
        before, near, here, far, after = (float(value) for value in line if value is not None)
        sides = []
        for side, beyond in ((near, before), (far, after)):
            step, next_step = here - side, side - beyond
            jumps = abs(step) > EDGE * max(here, side)
            sides.append(jumps and abs(next_step - step) > BEND * abs(step))
        if (here - near) * (far - here) > 0 and all(sides):
            return True
    return False


def contradicted(
    memory: ReferenceMemory, depth: Array, K: Array, pose: Array, evidence: set[Cell], error: Array
) -> list[Token]:
    """The tokens that a view looks straight through."""
    candidates: dict[int, Cell] = {}
    for index, token in enumerate(memory.tokens):
        where = _cell_of(token.position, K, pose, depth.shape)
        if where is None or where[0] not in evidence:
            continue
        (row, col), z = where
        (x, y), _ = geometry.project(geometry.transform(geometry.invert(pose), token.position), K)
        beside = (row + (-1 if y - row < 0.5 else 1), col + (-1 if x - col < 0.5 else 1))
        around = list(itertools.product((row, beside[0]), (col, beside[1])))
        if any(inverse_at(depth, *cell) is None for cell in around):
            continue
        nearest = max(_plane_at(depth, *cell, x, y) for cell in around)
        if 1 / z > nearest * (1 + float(np.float32(MARGIN) + error[row, col])):
            candidates[index] = (row, col)
    near = {(r + i, c + j) for r, c in candidates.values() for i in (-1, 0, 1) for j in (-1, 0, 1)}
    fine = geometry.scale_intrinsics(K, SUBCELLS)
    filled = set()
    for row, col in near:
        covered = 0
        for i, j in itertools.product(range(SUBCELLS), repeat=2):
            sights = memory.sights(pose, fine, row * SUBCELLS + i, col * SUBCELLS + j)
            covered += any(sight.token in candidates for sight in sights)
        if covered >= COVERED * SUBCELLS**2:
            filled.add((row, col))
    return [
        memory.tokens[index]
        for index, (r, c) in candidates.items()
        if any((r + i, c + j) in filled for i in (-1, 0, 1) for j in (-1, 0, 1))
    ]


def explained(
    memory: ReferenceMemory, depth: Array, K: Array, pose: Array, imagined: Array, refine: float | None, detail: float
) -> tuple[set[Cell], set[Cell], dict[Cell, float]]:
    """The cells that the memory explains, those that it explains in or beside them, and where cameras have sampled
    their surface, the least magnification."""
    here, beside, finest = set(), set(), {}
    sights = {cell: [s for s in memory.sights(pose, K, *cell) if s.faces] for cell in np.ndindex(*depth.shape)}
    for cell in (cell for cell in sights if depth[cell] > 0):
        for step in itertools.product((-1, 0, 1), repeat=2):
            for sight in sights.get((cell[0] + step[0], cell[1] + step[1]), []):
                if abs(sight.z - depth[cell]) > EXPLAINED * depth[cell]:
                    continue
                level = doubt(memory.tokens[sight.token].imagined)
                enough = (
                    refine is None or sight.magnification <= refine or _radius(memory.tokens[sight.token]) <= detail
                )
                if level <= doubt(float(imagined[cell])) and enough:
                    beside.add(cell)
                    here |= {cell} if step == (0, 0) else set()
                if level == 0 and step == (0, 0):
                    finest[cell] = min(sight.magnification, finest.get(cell, math.inf))
    return here, beside, finest


def _radius(token: Token) -> np.float32:
    """How far a token's piece of surface reaches from its centre."""

    def point(du: float, dv: float) -> Array:
        pixel = np.array([token.col + 0.5 + du, token.row + 0.5 + dv])
        z = 1 / (token.inverse + du * token.gu + dv * token.gv)
        return geometry.transform(token.view.pose, geometry.unproject(pixel, z, token.view.K))

    corners = [point(du, dv) for du in (-HALF, HALF) for dv in (-HALF, HALF)]
    return np.float32(1.001 * max(np.linalg.norm(corner - point(0, 0)) for corner in corners))


def next_to(cells: set[Cell], others: set[Cell]) -> set[Cell]:
    """The cells that are among the others, or next to one."""
    return {(r, c) for r, c in cells if any(abs(r - i) <= 1 and abs(c - j) <= 1 for i, j in others)}


def broad(cells: set[Cell]) -> set[Cell]:
    """The cells that belong to a block of 2 by 2."""
    blocks = ({(r, c), (r, c + 1), (r + 1, c), (r + 1, c + 1)} for r, c in cells)
    return set().union(*(block for block in blocks if block <= cells))


def superseded(
    memory: ReferenceMemory, depth: Array, K: Array, pose: Array, finest: dict[Cell, float], refine: float
) -> list[Token]:
    """The tokens that better samplings replace."""
    going = {id(token) for token in memory.tokens if _is_covered(token, depth, K, pose, finest, refine)}
    return [token for token in memory.tokens if id(token) in going and not _is_needed(token, going)]


def evicted(tokens: list[Token], budget: int, newest: int) -> list[Token]:
    """The tokens above the budget."""
    old = tokens[: len(tokens) - newest]
    return sorted(old, key=lambda token: -doubt(token.imagined))[: max(len(tokens) - budget, 0)]


def _is_covered(token: Token, depth: Array, K: Array, pose: Array, finest: dict[Cell, float], refine: float) -> bool:
    reach = {side: TRIMMED if side in token.trimmed else 0.5 for side in ((0, -1), (0, 1), (-1, 0), (1, 0))}
    left, right, up, down = -reach[0, -1], reach[0, 1], -reach[-1, 0], reach[1, 0]
    corners = [(left, up), (right, up), (right, down), (left, down)]
    pixels, cells = [], []
    for du, dv in [(0.0, 0.0), *corners]:
        z = 1 / (token.inverse + du * token.gu + dv * token.gv)
        source = np.array([token.col + 0.5 + du, token.row + 0.5 + dv])
        point = geometry.transform(token.view.pose, geometry.unproject(source, z, token.view.K))
        where = _cell_of(point, K, pose, depth.shape)
        if where is None or where[0] not in finest:
            return False
        (row, col), z = where
        pixel, _ = geometry.project(geometry.transform(geometry.invert(pose), point), K)
        if abs(z * _plane_at(depth, row, col, *pixel) - 1) > EXPLAINED:
            return False
        pixels.append(pixel)
        cells.append((row, col))
    polygon = pixels[1:]
    area = 0.5 * sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(polygon, [*polygon[1:], polygon[0]], strict=True))
    area /= (right - left) * (down - up)
    fine = all(area >= refine * finest[cell] for cell in cells)
    return area > 0 and (fine or token.imagined > 0)


def _plane_at(depth: Array, row: int, col: int, x: float, y: float) -> float:
    """Inverse depth at (x, y) of the plane that the cell sees."""
    inverse, gu, gv = plane_of(depth, row, col)
    return inverse + gu * (x - col - 0.5) + gv * (y - row - 0.5)


def _is_needed(token: Token, going: set[int]) -> bool:
    for i, j in itertools.product((-1, 0, 1), repeat=2):
        other = token.view.tokens.get((token.row + i, token.col + j))
        if other is None or id(other) in going:
            continue
        expected = other.inverse - j * other.gu - i * other.gv
        if abs(token.inverse - expected) <= SAME_PLANE * token.inverse:
            return True
    return False


def _cell_of(point: Array, K: Array, pose: Array, size: tuple[int, ...]) -> tuple[Cell, float] | None:
    x, y, z = geometry.transform(geometry.invert(np.asarray(pose, dtype=np.float64)), point)
    if z <= 1e-6:
        return None
    row, col = math.floor(K[1, 1] * y / z + K[1, 2]), math.floor(K[0, 0] * x / z + K[0, 2])
    return ((row, col), float(z)) if 0 <= row < size[0] and 0 <= col < size[1] else None
