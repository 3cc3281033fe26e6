"""Exact RGB-D views of textured triangle meshes, traced with embree and shaded with NumPy.

Rays have camera z = 1, so that embree's ray parameter is the z-depth itself. Shading works on whole views: what it
needs of the visible faces stands in one table, and all textures lie in one array, whatever the number of materials.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.antialias import edge_pixels
from mirage_env.simulators.surface import FaceTable, visible_faces
from mirage_env.simulators.texture import TextureAtlas

_RAYS_PER_CHUNK = 16384
_MAX_CULLED_LAYERS = 64
_NOWHERE = np.zeros(0, dtype=np.int64)
_ROUND = np.float32(0.5)  # added to a colour before its fraction is cut off
_QUARTERS = np.array([(x, y) for y in (0.25, 0.75) for x in (0.25, 0.75)])  # their centres in a pixel


@dataclass(frozen=True)
class TexturedMesh:
    """Triangles with repeating textures and optional baked light.

    The front of a face is where its corners run counter-clockwise.

    Attributes:
        vertices: (V, 3) float32, metres, world frame.
        faces: (F, 3) int32, indices into ``vertices``.
        uv: (F, 3, 2) float32 per face corner. As in glTF, (0, 0) is the top left corner of the texture's image (row 0
            of the array begins at v = 0), (1, 1) the bottom right one; beyond [0, 1] the texture repeats.
        material: (F,) int32, index into ``textures``.
        textures: (H, W, 3) uint8 images.
        light: (F, 3) or (F, 3, 3) float32, grey or RGB factor of the texture colour per corner, interpolated over the
            face; 1 leaves the colour as it is. None: unlit.
    """

    vertices: Array
    faces: Array
    uv: Array
    material: Array
    textures: tuple[Array, ...]
    light: Array | None = None


@dataclass(frozen=True)
class Samples:
    """What N rays see: depth (N,), 0 for nothing, colour (3, N) plus 0.5, material (N,), -1 for none, light (C, N)."""

    depth: Array
    colour: Array
    material: Array
    light: Array | None


class Overlay(Protocol):
    """Things that a ray caster shows besides its own mesh."""

    def cover(self, seen: Samples, pose: Array, camera_rays: Array, K: Array, rgb: bool) -> None:
        """Change in place what camera rays (N, 3) from T_world_camera (4, 4) see; without ``rgb`` only the depth."""
        ...


class Raycaster:
    """Renders one mesh. Nothing changes after construction, thus threads may share it.

    Args:
        mesh: what to render. ValueError says what is wrong with it.
        cull_backfaces: faces are transparent from behind; by default they look the same from both sides.
        background: colour (red, green, blue) of rays that hit nothing, 0..255.
        atlas: the mesh's textures, if they were made ready before.
    """

    def __init__(
        self,
        mesh: TexturedMesh,
        cull_backfaces: bool = False,
        background: tuple[int, int, int] = (0, 0, 0),
        atlas: TextureAtlas | None = None,
    ) -> None:
        check_mesh(mesh)
        self.cull_backfaces = cull_backfaces
        self._background = np.asarray(background, dtype=np.float32)
        self._atlas = TextureAtlas(mesh.textures) if atlas is None else atlas
        self._scene = EmbreeScene(robust=True)
        vertices = np.ascontiguousarray(mesh.vertices, dtype=np.float32)
        faces = np.ascontiguousarray(mesh.faces, dtype=np.int32)
        TriangleMesh(self._scene, vertices, faces)
        self._surface = FaceTable(mesh, self._atlas.sizes)

    def render(
        self,
        poses: Any,
        K: Any,
        height: int,
        width: int,
        rgb: bool = True,
        samples: int = 1,
        overlay: Overlay | None = None,
    ) -> tuple[Array | None, Array]:
        """Views from each pose.

        Args:
            poses: (B, 4, 4) T_world_camera, OpenCV cameras; one (4, 4) is a batch of one.
            K: (3, 3) intrinsics in pixels of a ``width`` x ``height`` image.
            rgb: False skips shading and returns None for the images.
            samples: 4 smooths edges: pixels on silhouettes, creases and changes of material or light show the mean of
                their four quarters. All others keep their one sample, which texture filtering already averages.
            overlay: what to show besides the mesh.

        Returns:
            Images (B, H, W, 3) uint8 or None, and z-depth (B, H, W) float32 in metres, 0 where nothing is hit. Depth is
            that of the pixel's centre whatever the number of samples.
        """
        if samples not in (1, 4):
            raise ValueError(f"samples must be 1 or 4 per pixel, got {samples!r}")
        if height < 1 or width < 1:
            raise ValueError(f"an image needs at least 1x1 pixels, got height {height} and width {width}")
        T = geometry.check_pose(poses, "poses")
        if T.ndim > 3:
            raise ValueError(f"poses must be (B, 4, 4) or one (4, 4), got shape {T.shape}")
        T = T.reshape(-1, 4, 4)
        K = _check_intrinsics(K)
        depth = np.empty((len(T), height, width), dtype=np.float32)
        image = np.empty((len(T), height, width, 3), dtype=np.uint8) if rgb else None
        rays = _pixel_rays(height, width, *K[[0, 1, 0, 1], [0, 1, 2, 2]])
        for i, pose in enumerate(T):
            view = self.sample(pose, rays, K, rgb, overlay)
            depth[i] = view.depth.reshape(height, width)
            if image is None:
                continue
            for channel, plane in enumerate(view.colour):
                image[i, :, :, channel] = plane.reshape(height, width)
            if samples == 4:
                light = None if view.light is None else view.light.reshape(-1, height, width)
                edges = edge_pixels(depth[i], view.material.reshape(height, width), light)
                image[i, edges] = self._quarters(pose, edges, K, overlay)
        return image, depth

    def relit(self, light: Array) -> Raycaster:
        """The same mesh under another light, (F, 3) or (F, 3, 3) as in ``TexturedMesh``; shares all but the light."""
        other = copy.copy(self)
        other._surface = self._surface.relit(light)
        return other

    def occluded(self, origins: Any, directions: Any, max_distance: Any = np.inf) -> Array:
        """Whether anything lies within ``max_distance`` metres (a number, or (N,)) of each origin along its direction.

        Args:
            origins: (N, 3) world points; lift those on a surface off it (by about 1e-4 m), lest they see it themselves.
            directions: (N, 3) of any length but 0; (3,) or (1, 3) serves all origins.

        Returns:
            (N,) bool. Both sides of a face block, culled or not.
        """
        o = np.ascontiguousarray(origins, dtype=np.float32)
        d = np.atleast_2d(np.asarray(directions, dtype=np.float32))
        if o.ndim != 2 or o.shape[1] != 3 or d.ndim != 2 or d.shape[1] != 3 or len(d) not in (1, len(o)):
            raise ValueError(f"origins and directions must be (N, 3), got {o.shape} and {np.shape(directions)}")
        length = np.linalg.norm(d, axis=1, keepdims=True)
        if not (np.isfinite(o).all() and np.isfinite(length).all() and (length > 0).all()):
            raise ValueError("origins and directions must be finite, and directions longer than 0")
        reach = np.minimum(np.broadcast_to(np.asarray(max_distance, dtype=np.float32), (len(o),)), np.float32(1e37))
        if not (reach >= 0).all():
            raise ValueError("max_distance must be metres, 0 or more, got a negative number or NaN")
        return self._scene.run(o, np.ascontiguousarray(d / length), dists=reach.copy(), query="OCCLUDED") != -1

    def first_hits(self, origins: Any, directions: Any) -> tuple[Array, Array]:
        """The face (N,) that each ray meets first, -1 for none, and how far that is (N,) in lengths of its direction.

        Args:
            origins: (N, 3) world points.
            directions: (N, 3).
        """
        o, d = (np.ascontiguousarray(a, dtype=np.float32) for a in (origins, directions))
        if o.ndim != 2 or o.shape[1] != 3 or d.shape != o.shape:
            raise ValueError(f"origins and directions must both be (N, 3), got {o.shape} and {d.shape}")
        hits = self._scene.run(o, d, output=True)
        return hits["primID"], hits["tfar"]

    def _quarters(self, pose: Array, pixels: Array, K: Array, overlay: Overlay | None) -> Array:
        """Colours (P, 3) plus 0.5 of the P ``pixels`` (H, W) bool, each the mean of its four quarters."""
        rows, columns = np.nonzero(pixels)
        quarters = np.stack([columns, rows], axis=-1)[:, None] + _QUARTERS
        rays = _camera_rays(quarters, K)
        colour = self.sample(pose, rays, geometry.scale_intrinsics(K, 2), True, overlay).colour
        return colour.reshape(3, -1, 4).mean(axis=2).T

    def _trace(self, pose: Array, camera_rays: Array) -> dict[str, Array]:
        """embree's hits of camera rays (N, 3): primID (-1: none), u, v, Ng and tfar, made 0 where nothing is hit."""
        directions = camera_rays @ pose[:3, :3].T.astype(np.float32)
        origins = np.empty_like(directions)
        origins[:] = pose[:3, 3]
        hits = self._scene.run(origins, directions, output=True)
        rows = self._seen_through(hits, directions)
        for _ in range(_MAX_CULLED_LAYERS):
            if not len(rows):
                break
            d = directions[rows]
            start = hits["tfar"][rows] * np.float32(1 + 1e-6) + np.float32(1e-5)
            behind = self._scene.run(origins[rows] + start[:, None] * d, d, output=True)
            behind["tfar"] += start
            for name, values in behind.items():
                hits[name][rows] = values
            rows = rows[self._seen_through(behind, d)]
        hits["primID"][rows] = -1
        hits["tfar"][hits["primID"] < 0] = 0.0
        return hits

    def _seen_through(self, hits: dict[str, Array], directions: Array) -> Array:
        """Indices of the hits behind which rays go on: on back faces, if they are culled."""
        if not self.cull_backfaces:
            return _NOWHERE
        away = np.einsum("ij,ij->i", directions, hits["Ng"]) > 0
        return np.flatnonzero(away & (hits["primID"] >= 0))

    def sample(
        self, pose: Array, camera_rays: Array, K: Array, rgb: bool = True, overlay: Overlay | None = None
    ) -> Samples:
        """What single rays see.

        Args:
            pose: T_world_camera (4, 4) float64.
            camera_rays: (N, 3) float32 in its frame, with z = 1.
            K: (3, 3) whose focal lengths give the size of the rays' pixels.
            rgb: False leaves all but the depth undefined.
            overlay: what to show besides the mesh.
        """
        n = len(camera_rays)
        depth, material = np.empty(n, dtype=np.float32), np.empty(n, dtype=np.int64)
        colour = np.empty((3, n), dtype=np.float32)
        corners = self._surface.light
        light = None if corners is None else np.empty((corners.shape[1] // 3, n), dtype=np.float32)
        for start in range(0, n, _RAYS_PER_CHUNK):
            some = slice(start, start + _RAYS_PER_CHUNK)
            hits = self._trace(pose, camera_rays[some])
            depth[some] = hits["tfar"]
            if rgb:
                lit = None if light is None else light[:, some]
                self._shade(hits, pose, camera_rays[some], K, colour[:, some], material[some], lit)
        seen = Samples(depth, colour, material, light)
        if overlay is not None:
            overlay.cover(seen, pose, camera_rays, K, rgb)
        return seen

    def _shade(
        self,
        hits: dict[str, Array],
        pose: Array,
        camera_rays: Array,
        K: Array,
        colour: Array,
        material: Array,
        light: Array | None,
    ) -> None:
        """Write what hits look like into ``colour`` (3, N), ``material`` (N,) and ``light`` (C, N)."""
        face, t = hits["primID"], hits["tfar"]
        missed = np.flatnonzero(face < 0)
        if len(missed):
            face = np.maximum(face, 0)
        visible, local = visible_faces(face, len(self._surface.material))
        table = self._surface.in_view(visible, pose)
        u0, ux, uy, uz, v0, vx, vy, vz, wx, wy = table.take(local, axis=1, mode="clip")
        x, y = camera_rays.T[:2].copy()
        along_u = (ux * x + uy * y + uz) * t
        along_v = (vx * x + vy * y + vz) * t
        right, down = t / np.float32(K[0, 0]), t / np.float32(K[1, 1])
        du = (ux - along_u * wx) * right, (uy - along_u * wy) * down
        dv = (vx - along_v * wx) * right, (vy - along_v * wy) * down
        material[:] = self._surface.material.take(visible).take(local)
        colour[:] = self._atlas.sample(material, u0 + along_u, v0 + along_v, (du[0], dv[0]), (du[1], dv[1]))
        if light is not None and self._surface.light is not None:
            corners = self._surface.light[visible].T.copy().take(local, axis=1, mode="clip").reshape(3, -1, len(t))
            light[:] = corners[0] + hits["u"] * corners[1] + hits["v"] * corners[2]
            colour *= light
            np.minimum(colour, np.float32(255), out=colour)
        if len(missed):
            colour[:, missed] = self._background[:, None]
            material[missed] = -1
        colour += _ROUND


def check_mesh(mesh: TexturedMesh) -> None:
    """Raise ValueError with one sentence unless the mesh can be rendered."""
    vertices, faces, uv, material = (np.asarray(a) for a in (mesh.vertices, mesh.faces, mesh.uv, mesh.material))
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise ValueError(f"vertices must be (V, 3), got shape {vertices.shape}")
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"faces must be (F, 3), got shape {faces.shape}")
    if len(faces) == 0:
        raise ValueError("the mesh has no faces; it needs at least one triangle")
    if not np.issubdtype(faces.dtype, np.integer):
        raise ValueError(f"faces must be integer indices of vertices, got {faces.dtype}")
    if not np.isfinite(vertices).all():
        raise ValueError("vertices hold NaN or infinite numbers; they must be finite")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(f"faces must index vertices 0..{len(vertices) - 1}, got {faces.min()}..{faces.max()}")
    if uv.shape != (len(faces), 3, 2):
        raise ValueError(f"uv must be (F, 3, 2) = {(len(faces), 3, 2)}, got shape {uv.shape}")
    if not np.isfinite(uv).all():
        raise ValueError("uv holds NaN or infinite numbers; it must be finite")
    if material.shape != (len(faces),) or not np.issubdtype(material.dtype, np.integer):
        raise ValueError(f"material must be ({len(faces)},) integers, got {material.dtype} of shape {material.shape}")
    if len(mesh.textures) == 0:
        raise ValueError("the mesh has no textures; it needs at least one (H, W, 3) uint8 image")
    if material.min() < 0 or material.max() >= len(mesh.textures):
        span = f"{material.min()}..{material.max()}"
        raise ValueError(f"material must index textures 0..{len(mesh.textures) - 1}, got {span}")
    if mesh.light is not None:
        light = np.asarray(mesh.light)
        if light.shape not in ((len(faces), 3), (len(faces), 3, 3)):
            raise ValueError(f"light must be (F, 3) or (F, 3, 3) with F = {len(faces)}, got shape {light.shape}")
        if not (np.isfinite(light).all() and (light >= 0).all()):
            raise ValueError("light holds negative, NaN or infinite factors; it must be finite and at least 0")


def _check_intrinsics(K: Any) -> Array:
    K = np.asarray(K, dtype=np.float64)
    pinhole = K.shape == (3, 3) and np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0 and K[0, 1] == 0
    if not (pinhole and K[1, 0] == 0 and (K[2] == (0, 0, 1)).all()):
        raise ValueError(f"K must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with fx and fy above 0, got {K.tolist()}")
    return K


@lru_cache(maxsize=8)
def _pixel_rays(height: int, width: int, fx: float, fy: float, cx: float, cy: float) -> Array:
    """Camera rays (H*W, 3) through all pixel centres, row by row."""
    rays = _camera_rays(geometry.pixel_grid(height, width), np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]))
    rays.setflags(write=False)
    return rays


def _camera_rays(pixels: Array, K: Array) -> Array:
    """Camera rays (N, 3) float32 with z = 1 through pixel coordinates (..., 2)."""
    return np.ascontiguousarray(geometry.unproject(pixels, 1.0, K).reshape(-1, 3), dtype=np.float32)
