"""The heights of the floor under a polygon, by cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from mirage_env.simulators.mesh.navmesh.loops import loop

_SLACK = np.float32(0.01)


@loop
def height_patch(
    start: Any,
    column: Any,
    height: Any,
    links: Any,
    region: Any,
    corners: Any,
    own: int,
    x0: int,
    x1: int,
    z0: int,
    z1: int,
    width: int,
) -> Any:
    """Heights (z1 - z0, x1 - x0) int32 in cells, -1: none, of a region and of what can be stepped to from its edge."""
    patch = np.full((z1 - z0, x1 - x0), -1, dtype=np.int32)
    queue = np.empty(2 * patch.size + 4, dtype=np.int32)
    count, empty = 0, True
    for z in range(z0, z1):
        for x in range(x0, x1):
            for i in range(start[x + z * width], start[x + z * width + 1]):
                if region[i] != own:
                    continue
                patch[z - z0, x - x0] = height[i]
                empty = False
                for side in range(4):
                    a = links[i, side]
                    if a >= 0 and region[a] != own:
                        queue[count] = i
                        count += 1
                        break
                break
    if empty:
        seed = _middle_cell(start, column, height, links, corners, x0, x1, z0, z1, width)
        if seed >= 0:
            patch[column[seed, 1] - z0, column[seed, 0] - x0] = height[seed]
            queue[0], count = seed, 1
    head = 0
    while head < count:
        i = queue[head]
        head += 1
        for side in range(4):
            a = links[i, side]
            if a < 0:
                continue
            x, z = column[a, 0] - x0, column[a, 1] - z0
            if 0 <= x < x1 - x0 and 0 <= z < z1 - z0 and patch[z, x] < 0:
                patch[z, x] = height[a]
                queue[count] = a
                count += 1
    return patch


@loop
def _middle_cell(
    start: Any, column: Any, height: Any, links: Any, corners: Any, x0: int, x1: int, z0: int, z1: int, width: int
) -> int:
    """The cell under the middle of a polygon, reached over the floor from the cell nearest to one of its corners."""
    best, nearest = -1, 0xFFFF
    for c in range(len(corners)):
        for k in range(9):
            # The corner's own cell first, then those around it.
            dx = 0 if k in (0, 2, 6) else (1 if k in (3, 4, 5) else -1)
            dz = 0 if k in (0, 4, 8) else (1 if k in (5, 6, 7) else -1)
            x, z = corners[c, 0] + dx, corners[c, 2] + dz
            if x < x0 or x >= x1 or z < z0 or z >= z1:
                continue
            for i in range(start[x + z * width], start[x + z * width + 1]):
                off = abs(corners[c, 1] - height[i])
                if off < nearest:
                    best, nearest = i, off
    if best < 0:
        return -1
    mx, mz = 0, 0
    for c in range(len(corners)):
        mx, mz = mx + corners[c, 0], mz + corners[c, 2]
    mx, mz = mx // len(corners), mz // len(corners)
    seen = np.zeros((z1 - z0, x1 - x0), dtype=np.bool_)
    stack = np.empty(seen.size + 4, dtype=np.int32)
    stack[0], count, i = best, 1, best
    while count > 0:
        count -= 1
        i = stack[count]
        x, z = column[i, 0], column[i, 1]
        if x == mx and z == mz:
            break
        direct = (1 if mz > z else 3) if x == mx else (2 if mx > x else 0)
        for k in range(4):
            # The way straight to the middle is tried first, so it is put on the stack last.
            side = direct if k == 3 else (3 if k == direct else k)
            a = links[i, side]
            if a < 0:
                continue
            ax, az = column[a, 0] - x0, column[a, 1] - z0
            if 0 <= ax < x1 - x0 and 0 <= az < z1 - z0 and not seen[az, ax]:
                seen[az, ax] = True
                stack[count] = a
                count += 1
    return i


@loop
def height_at(point: Any, patch: Any, x0: int, z0: int, cell: Any, high: Any, radius: int) -> int:
    """The height in cells at a point, or in the nearest ring of cells that has one the one nearest in height."""
    per_cell = np.float32(1) / cell
    x = int(np.floor(point[0] * per_cell + _SLACK)) - x0
    z = int(np.floor(point[2] * per_cell + _SLACK)) - z0
    x, z = min(max(x, 0), patch.shape[1] - 1), min(max(z, 0), patch.shape[0] - 1)
    if patch[z, x] >= 0:
        return patch[z, x]
    for ring in range(1, radius + 1):
        best, nearest = -1, np.float32(3.4e38)
        for dz in range(-ring, ring + 1):
            for dx in range(-ring, ring + 1):
                if max(abs(dx), abs(dz)) != ring:
                    continue
                if 0 <= x + dx < patch.shape[1] and 0 <= z + dz < patch.shape[0] and patch[z + dz, x + dx] >= 0:
                    off = abs(np.float32(patch[z + dz, x + dx]) * high - point[1])
                    if off < nearest:
                        best, nearest = patch[z + dz, x + dx], off
        if best >= 0:
            return best
    return int(np.floor(point[1] / high + np.float32(0.5)))
