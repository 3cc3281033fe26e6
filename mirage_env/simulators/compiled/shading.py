"""Loops over the pixels of a view that ``simulators.mesh.rendering`` shades; the plain way is ``Raycaster._shade``."""

from __future__ import annotations

import math

import numpy as np

from mirage_env.geometry import Array
from mirage_env.kernels import kernel

_LONGEST = 1e18  # squared length of a footprint in texels


@kernel
def seen_through(face: Array, depth: Array, normals: Array, directions: Array, near: float) -> Array:
    """Indices of the rays (N,) that hit the back of a face, or one nearer than ``near``."""
    rows = np.empty(len(face), np.int64)
    n = 0
    for i in range(len(face)):
        if face[i] < 0:
            continue
        facing = directions[i, 0] * normals[i, 0] + directions[i, 1] * normals[i, 1] + directions[i, 2] * normals[i, 2]
        if depth[i] < near or facing > 0:
            rows[n] = i
            n += 1
    return rows[:n]


@kernel
def shade(
    face: Array,
    depth: Array,
    across: Array,
    along: Array,
    rays: Array,
    pose: Array,
    pixel: Array,
    vectors: Array,
    corner: Array,
    texel: Array,
    material_of: Array,
    texels: Array,
    offset: Array,
    stride: Array,
    width: Array,
    height: Array,
    light_of: Array,
    background: Array,
    colour: Array,
    material: Array,
    light: Array,
) -> None:
    """Write what hits look like into ``colour`` (3, N) plus 0.5, ``material`` (N,) and ``light`` (C, N).

    Args:
        face, depth, across, along: (N,) embree's primID (-1: none), tfar, u and v.
        rays: (N, 3) camera rays with z = 1.
        pose: (4, 4) float64 T_world_camera.
        pixel: (2,) float64, width and height of a pixel at depth 1.
        vectors, corner, texel, material_of, light_of: the ``FaceTable``'s.
        texels, offset, stride, width, height: the atlas's; the last four (materials, levels).
        background: (3,) colour plus 0.5 of rays that hit nothing.
    """
    channels = light.shape[0]
    levels = width.shape[1]
    found = np.empty(3, np.float64)
    for i in range(len(face)):
        f = face[i]
        if f < 0:
            material[i] = -1
            for k in range(3):
                colour[k, i] = background[k]
            for k in range(channels):
                light[k, i] = 1.0
            continue
        m = material_of[f]
        material[i] = m
        if width[m, 0] == 1 and height[m, 0] == 1:
            value = texels[offset[m, 0]]
            for k in range(3):
                found[k] = (value >> np.uint32(8 * k)) & np.uint32(255)
        else:
            x, y, t = np.float64(rays[i, 0]), np.float64(rays[i, 1]), np.float64(depth[i])
            # per row of (gradient of u, gradient of v, normal): along the ray, along the camera's x and y, at the hit
            uz = vz = ux = uy = vx = vy = nz = nx = ny = u = v = 0.0
            for j in range(3):
                right, down = pose[j, 0], pose[j, 1]
                ray = x * right + y * down + pose[j, 2]
                there = pose[j, 3] + t * ray - corner[f, j]
                gu, gv, gn = np.float64(vectors[f, 0, j]), np.float64(vectors[f, 1, j]), np.float64(vectors[f, 2, j])
                uz += gu * ray
                vz += gv * ray
                nz += gn * ray
                ux += gu * right
                vx += gv * right
                nx += gn * right
                uy += gu * down
                vy += gv * down
                ny += gn * down
                u += gu * there
                v += gv * there
            u += texel[f, 0]
            v += texel[f, 1]
            px, py = t * pixel[0], t * pixel[1]
            dux, dvx = px * (ux - uz * nx / nz), px * (vx - vz * nx / nz)
            duy, dvy = py * (uy - uz * ny / nz), py * (vy - vz * ny / nz)
            squared = max(dux * dux + dvx * dvx, duy * duy + dvy * dvy)
            if not squared < _LONGEST:  # a grazing ray may give NaN
                squared = _LONGEST
            level = 0.5 * math.log2(squared) if squared > 1.0 else 0.0
            level = min(level, levels - 2.0)
            fine = int(level)
            share = level - fine
            u /= width[m, 0]
            v /= height[m, 0]
            for k in range(3):
                found[k] = 0.0
            for step in range(2 if share > 0 else 1):
                at = fine + step
                weight = share if step else 1.0 - share
                w, h, row = width[m, at], height[m, at], stride[m, at]
                a, b = u - 0.5 / w, v - 0.5 / h
                a = (a - math.floor(a)) * w
                b = (b - math.floor(b)) * h
                c, r = min(int(a), int(w) - 1), min(int(b), int(h) - 1)
                a, b = a - c, b - r
                place = offset[m, at] + r * row + c
                p00, p01 = texels[place], texels[place + 1]
                p10, p11 = texels[place + row], texels[place + row + 1]
                w11 = weight * a * b
                w01 = weight * a - w11
                w10 = weight * b - w11
                w00 = weight - w01 - w10 - w11
                for k in range(3):
                    s = np.uint32(8 * k)
                    found[k] += (
                        w00 * ((p00 >> s) & np.uint32(255))
                        + w01 * ((p01 >> s) & np.uint32(255))
                        + w10 * ((p10 >> s) & np.uint32(255))
                        + w11 * ((p11 >> s) & np.uint32(255))
                    )
        for k in range(channels):
            light[k, i] = (
                light_of[f, k] + across[i] * light_of[f, channels + k] + along[i] * light_of[f, 2 * channels + k]
            )
        for k in range(3):
            value = found[k]
            if channels:
                value = min(value * light[k if channels == 3 else 0, i], 255.0)
            colour[k, i] = value + 0.5
