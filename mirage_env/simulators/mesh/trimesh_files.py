"""``.obj`` and ``.ply`` scenes, read by trimesh; what trimesh passes over in silence is checked before."""

from __future__ import annotations

import hashlib
import logging
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.parts import UNDRESSED, Material, Part, SceneParts, TexelBudget, rgba

_TRIMESH_GREY = (102, 102, 102, 255)  # trimesh's colour of what has none


def read_with_trimesh(path: Path) -> SceneParts:
    """The triangles of an ``.obj`` or ``.ply`` file.

    Raises:
        FileNotFoundError: it or a file that it names is missing.
        ValueError: one sentence on what is wrong with it.
    """
    import trimesh

    files = [path]
    if path.suffix.lower() == ".obj":
        files += _files_of_obj(path)
    else:
        _check_ply(path)
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    logger = logging.getLogger("trimesh")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        scene = trimesh.load_scene(path, process=False)
    except Exception as error:  # whatever a damaged file makes of a reader
        raise ValueError(f"{path} is broken: {type(error).__name__}: {str(error)[:120]}") from None
    finally:
        logger.setLevel(level)
    parts: list[Part] = []
    materials: list[Material] = []
    budget = TexelBudget()
    for node in scene.graph.nodes_geometry:
        T, name = scene.graph[node]
        geometry = scene.geometry[name]
        if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces):
            corners = np.asarray(geometry.faces)
            if corners.min() < 0 or corners.max() >= len(geometry.vertices):
                wrong = corners.min() if corners.min() < 0 else corners.max()
                raise ValueError(f"{path} is broken: a face uses vertex {wrong} of {len(geometry.vertices):,}")
            parts.append(_part(geometry, np.asarray(T), len(materials)))
            materials.append(_material(geometry.visual, f"a texture of {path}", budget))
    return SceneParts(parts, materials, digest.hexdigest(), tuple(files))


def _part(mesh: Any, T: Array, material: int) -> Part:
    with np.errstate(over="ignore", invalid="ignore"):  # vertices are checked once they are placed
        vertices = np.asarray(mesh.vertices, dtype=np.float64) @ T[:3, :3].T + T[:3, 3]
    faces = np.asarray(mesh.faces, dtype=np.int64)
    if np.linalg.det(T[:3, :3]) < 0:
        faces = faces[:, ::-1]
    uv = colours = None
    if mesh.visual.kind == "texture" and mesh.visual.uv is not None:
        uv = np.asarray(mesh.visual.uv, dtype=np.float32) * np.array([1, -1], np.float32) + np.array([0, 1], np.float32)
    elif mesh.visual.kind == "vertex":
        colours = np.asarray(mesh.visual.vertex_colors, dtype=np.float32) / np.float32(255)
    elif mesh.visual.kind == "face":
        colours = np.repeat(np.asarray(mesh.visual.face_colors, dtype=np.float32) / np.float32(255), 3, axis=0)
        vertices, faces = vertices[faces].reshape(-1, 3), np.arange(3 * len(faces)).reshape(-1, 3)
    return Part(vertices, faces, uv, colours, material)


def _material(visual: Any, name: str, budget: TexelBudget) -> Material:
    if visual.kind != "texture":
        return UNDRESSED
    material = visual.material
    image = getattr(material, "image", None) or getattr(material, "baseColorTexture", None)
    colour = np.asarray(material.main_color, dtype=np.float64)
    if tuple(colour) == _TRIMESH_GREY and image is not None:
        colour = np.full(4, 255.0)
    r, g, b, a = (colour / 255).tolist()
    if not isinstance(image, Image.Image):
        return Material(factor=(r, g, b, a))
    budget.spend(image, name)
    try:
        return Material(rgba(image), (r, g, b, a))
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{name} cannot be decoded ({str(error)[:80]})") from None


def _files_of_obj(path: Path) -> list[Path]:
    """The material libraries and colour textures that an OBJ file names; FileNotFoundError if one is missing."""
    found = []
    for library in _named(path, ("mtllib",)):
        if not library.is_file():
            raise FileNotFoundError(f"the material library {library} of {path} does not exist")
        textures = _named(library, ("map_kd",))
        for texture in textures:
            if not texture.is_file():
                raise FileNotFoundError(f"the texture {texture} of {library} does not exist")
        found += [library, *textures]
    return found


def _named(path: Path, keywords: tuple[str, ...]) -> list[Path]:
    """Files that lines with these keywords name, the last word of each line (or all of it behind the keyword)."""
    named = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            keyword, _, rest = line.strip().partition(" ")
            if keyword.lower() not in keywords or not rest.strip():
                continue
            whole = path.parent / rest.strip().replace("\\", "/")
            try:
                last = path.parent / shlex.split(rest.replace("\\", "/"))[-1]
            except (ValueError, IndexError):
                last = whole
            named.append(whole if whole.is_file() else last)
    return named


def _check_ply(path: Path) -> None:
    """Refuse a header that declares more elements than the file has bytes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.readline(16).strip() != b"ply":
            raise ValueError(f"{path} is not a PLY file: it does not begin with ply")
        for _ in range(1000):
            words = file.readline(1000).split()
            if words[:1] == [b"end_header"]:
                return
            if words[:1] == [b"element"] and not (len(words) == 3 and words[2].isdigit() and int(words[2]) <= size):
                declared = b" ".join(words).decode("latin-1")[:80]
                raise ValueError(f"{path} is broken: it declares {declared!r} in {size:,} bytes")
    raise ValueError(f"{path} is broken: its header does not end")
