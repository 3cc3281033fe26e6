"""glTF scenes: nodes, primitives and materials, as habitat-sim (by way of magnum's GltfImporter) takes them."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.gltf_file import GltfFile, advice
from mirage_env.simulators.mesh.parts import MAX_FACES, UNDRESSED, Material, Part, SceneParts, TexelBudget, rgba

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_WRAPS = {33071: "clamp", 33648: "mirror", 10497: "repeat"}
_NEAREST = 9728
_KTX2, _BASIS = b"\xabKTX 20\xbb", b"sB"
_COMPRESSED = ("KHR_texture_basisu", "GOOGLE_texture_basis", "EXT_texture_astc", "MSFT_texture_dds", "KHR_texture_ktx")
_IDENTITY = np.eye(4, dtype=np.float32)
_UNIT = 1e-5
"""How far from 1 the length of a quaternion may be that is not normalised."""


def read_gltf(path: Path) -> SceneParts:
    """The default scene of a ``.gltf`` or ``.glb`` file.

    Raises:
        FileNotFoundError: it or a file that it names is missing.
        ValueError: one sentence on what is wrong with it.
    """
    file = GltfFile(path)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # vertices are checked once they are placed
            return _read(file)
    except (TypeError, AttributeError, KeyError, IndexError, OverflowError) as error:  # JSON of another shape
        raise file.refusal(f"is broken: its JSON is not shaped as glTF's ({str(error)[:80]})") from None


def _read(file: GltfFile) -> SceneParts:
    placed = _placed_meshes(file)
    _check_size(file, [mesh for mesh, _ in placed])
    materials = _Materials(file)
    parts: list[Part] = []
    read: dict[int, list[Part]] = {}
    for mesh, T in placed:
        if mesh not in read:
            primitives = file.entry("meshes", mesh)["primitives"]
            read[mesh] = [part for p in primitives if (part := _primitive(file, p, mesh, materials)) is not None]
        parts += [_place(part, T) for part in read[mesh]]
    return SceneParts(parts, materials.materials, file.digest, tuple(file.files))


def _placed_meshes(file: GltfFile) -> list[tuple[int, Array]]:
    """Index and transform (4, 4) of each mesh in the default scene, in depth-first order."""
    scenes = file.all("scenes")
    if not scenes:
        return [(i, _IDENTITY) for i in range(len(file.all("meshes")))]
    roots = file.entry("scenes", file.json.get("scene", 0)).get("nodes", [])
    seen: set[int] = set()
    placed = []
    todo = [(root, _IDENTITY) for root in _indices(file, roots, "a scene's nodes")[::-1]]
    while todo:
        index, T_parent = todo.pop()
        node = file.entry("nodes", index)
        if index in seen:
            raise file.refusal(f"is broken: nodes[{index}] has two parents or is its own ancestor")
        seen.add(index)
        T = _product(T_parent, _transform(file, node, index))
        if "mesh" in node:
            file.entry("meshes", node["mesh"])
            placed.append((node["mesh"], T))
        children = _indices(file, node.get("children", []), f"the children of nodes[{index}]")
        todo += [(child, T) for child in children[::-1]]
    return placed


def _indices(file: GltfFile, value: Any, name: str) -> list[int]:
    if not isinstance(value, list):
        raise file.refusal(f"is broken: {name} must be a list of indices, got {str(value)[:80]}")
    return value


def _product(a: Array, b: Array) -> Array:
    """Matrices (4, 4) and (4, N) float32 multiplied as magnum does it, term by term.

    What a border of the floor rounds to decides whether a place on it is still above the floor.
    """
    out = np.zeros_like(b)
    for k in range(4):
        out += a[:, k, None] * b[k]
    return out


def _transform(file: GltfFile, node: dict[str, Any], index: int) -> Array:
    """T_parent_node (4, 4) float32, rounded as magnum rounds it."""
    if "matrix" in node:
        matrix = file.numbers(node["matrix"], 16, f"the matrix of nodes[{index}]")
        return matrix.reshape(4, 4).T.astype(np.float32)
    T = _IDENTITY.copy()
    if "rotation" in node:
        quaternion = file.numbers(node["rotation"], 4, f"the rotation of nodes[{index}]").astype(np.float32)
        length = np.linalg.norm(quaternion)
        if not length > 0:
            raise file.refusal(f"is broken: the rotation of nodes[{index}] is 0")
        T[:3, :3] = _rotation(quaternion if abs(length - 1) < _UNIT else quaternion / length)
    if "scale" in node:
        T[:3, :3] *= file.numbers(node["scale"], 3, f"the scale of nodes[{index}]").astype(np.float32)
    if "translation" in node:
        T[:3, 3] = file.numbers(node["translation"], 3, f"the translation of nodes[{index}]")
    return T


def _rotation(quaternion: Array) -> Array:
    """(3, 3) float32 of a unit quaternion (4,) float32, xyzw."""
    x, y, z, w = quaternion
    one, two = np.float32(1), np.float32(2)
    return np.array(
        [
            [one - two * (y * y) - two * (z * z), two * x * y - two * z * w, two * x * z + two * y * w],
            [two * x * y + two * z * w, one - two * (x * x) - two * (z * z), two * y * z - two * x * w],
            [two * x * z - two * y * w, two * y * z + two * x * w, one - two * (x * x) - two * (y * y)],
        ],
        dtype=np.float32,
    )


def _check_size(file: GltfFile, meshes: list[int]) -> None:
    """Refuse a scene that repeats its meshes until memory ends."""
    corners: dict[int, int] = {}
    for mesh in set(meshes):
        primitives = file.entry("meshes", mesh).get("primitives")
        if not isinstance(primitives, list) or not all(isinstance(p, dict) for p in primitives):
            raise file.refusal(f"is broken: meshes[{mesh}] has no list of primitives")
        corners[mesh] = 0
        for p in primitives:
            attributes = p.get("attributes")
            if not isinstance(attributes, dict) or "POSITION" not in attributes:
                raise file.refusal(f"is broken: a primitive of meshes[{mesh}] has no POSITION")
            corner = file.entry("accessors", p.get("indices", attributes["POSITION"]))
            corners[mesh] += file.count(corner, "count")
    total = sum(corners[mesh] for mesh in meshes) // 3
    if total > MAX_FACES:
        raise file.refusal(f"holds about {total:,} triangles; up to {MAX_FACES:,} can be opened")


def _primitive(file: GltfFile, primitive: dict[str, Any], mesh: int, materials: _Materials) -> Part | None:
    """The triangles of a primitive, before its node's transform; None for lines and points."""
    mode = primitive.get("mode", _TRIANGLES)
    if mode not in (_TRIANGLES, _STRIP, _FAN):
        return None
    extensions = primitive.get("extensions")
    if isinstance(extensions, dict) and "KHR_draco_mesh_compression" in extensions:
        name = "KHR_draco_mesh_compression"
        raise file.refusal(f"has meshes compressed by {name}, which is not supported; {advice(name)}")
    attributes = primitive["attributes"]
    vertices = _real(file, attributes["POSITION"], (3,), f"the positions of meshes[{mesh}]")
    if "indices" in primitive:
        stored, _ = file.accessor(primitive["indices"])
        if stored.dtype.kind != "u" or stored.shape[1] != 1:
            raise file.refusal(f"is broken: the indices of meshes[{mesh}] must be unsigned whole numbers")
        corners = stored[:, 0].astype(np.int64)
        if len(corners) and int(corners.max()) >= len(vertices):
            raise file.refusal(f"is broken: meshes[{mesh}] uses vertex {corners.max():,} of {len(vertices):,}")
    else:
        corners = np.arange(len(vertices))
    faces = _triangles(file, corners, mode, mesh)
    uv = colours = None
    if "TEXCOORD_0" in attributes:
        uv = _real(file, attributes["TEXCOORD_0"], (2,), f"the texture coordinates of meshes[{mesh}]")
    if "COLOR_0" in attributes:
        colours = _real(file, attributes["COLOR_0"], (3, 4), f"the colours of meshes[{mesh}]")
        colours = colours.clip(0, 1)
        if colours.shape[1] == 3:
            colours = np.concatenate([colours, np.ones((len(colours), 1), np.float32)], axis=1)
    for name, values in (("texture coordinates", uv), ("colours", colours)):
        if values is not None and len(values) != len(vertices):
            raise file.refusal(f"is broken: meshes[{mesh}] has {len(vertices):,} vertices and {len(values):,} {name}")
    material, uv = materials.place(primitive.get("material"), uv)
    return Part(vertices, faces, uv, colours, material)


def _triangles(file: GltfFile, corners: Array, mode: int, mesh: int) -> Array:
    if mode == _TRIANGLES:
        if len(corners) % 3:
            raise file.refusal(f"is broken: meshes[{mesh}] has triangles of {len(corners):,} corners")
        return corners.reshape(-1, 3)
    k = np.arange(max(len(corners) - 2, 0))
    if mode == _FAN:
        return np.stack([corners[k + 1], corners[k + 2], corners[np.zeros_like(k)]], axis=1)
    odd = k % 2
    return np.stack([corners[k], corners[k + 1 + odd], corners[k + 2 - odd]], axis=1)


def _real(file: GltfFile, index: Any, widths: tuple[int, ...], name: str) -> Array:
    """An accessor (N, width) as float32; normalised integers become fractions."""
    values, normalised = file.accessor(index)
    if values.shape[1] not in widths:
        raise file.refusal(f"is broken: {name} have {values.shape[1]} components, not {' or '.join(map(str, widths))}")
    real = values.astype(np.float32)
    if values.dtype.kind in "iu" and (normalised or name.startswith("the colours")):
        real = np.maximum(real / np.float32(np.iinfo(values.dtype).max), np.float32(-1))
    if not np.isfinite(real).all():
        raise file.refusal(f"is broken: {name} hold NaN or infinite numbers")
    return real


def _place(part: Part, T: Array) -> Part:
    """A primitive in the file's frame. A mirroring transform keeps the front in front, as habitat-sim does."""
    ends = np.concatenate([part.vertices.T, np.ones((1, len(part.vertices)))]).astype(np.float32)
    vertices = np.ascontiguousarray(_product(T, ends)[:3].T, dtype=np.float64)
    faces = part.faces[:, ::-1] if np.linalg.det(T[:3, :3]) < 0 else part.faces
    return part._replace(vertices=vertices, faces=faces)


class _Materials:
    """The materials that primitives use, read at their first use."""

    def __init__(self, file: GltfFile) -> None:
        self.materials: list[Material] = []
        self._file = file
        self._read: dict[int, tuple[int, Array | None]] = {}
        self._images: dict[int, Array] = {}
        self._budget = TexelBudget()

    def place(self, index: Any, uv: Array | None) -> tuple[int, Array | None]:
        """The number of a material (None: that of surfaces without one), and texture coordinates as it moves them."""
        if index is not None:
            self._file.entry("materials", index)
        key = -1 if index is None else index
        if key not in self._read:
            if index is None:
                material, T = UNDRESSED, None
            else:
                material, T = self._material(index)
            self._read[key] = len(self.materials), T
            self.materials.append(material)
        number, T = self._read[key]
        if uv is not None and T is not None:
            uv = uv @ T[:2, :2].T + T[:2, 2]
        return number, uv

    def _material(self, index: int) -> tuple[Material, Array | None]:
        """A material, and what moves its texture coordinates (3, 3), if anything does."""
        file, entry = self._file, self._file.entry("materials", index)
        look, colour, texture = _object(entry.get("pbrMetallicRoughness")), "baseColorFactor", "baseColorTexture"
        glossy = _object(_object(entry.get("extensions")).get("KHR_materials_pbrSpecularGlossiness"))
        if glossy and not look:
            look, colour, texture = glossy, "diffuseFactor", "diffuseTexture"
        factor = file.numbers(look.get(colour, [1, 1, 1, 1]), 4, f"{colour} of materials[{index}]")
        r, g, b, a = factor.clip(0, 1).tolist()
        cutoff = None
        if entry.get("alphaMode") == "MASK":
            cutoff = float(file.numbers([entry.get("alphaCutoff", 0.5)], 1, f"alphaCutoff of materials[{index}]")[0])
        plain = Material(factor=(r, g, b, a), cutoff=cutoff)
        if texture not in look:
            return plain, None
        reference = _object(look[texture])
        image, sampler = self._texture(reference.get("index"))
        wrap = tuple(_WRAPS.get(sampler.get(name, 10497), "repeat") for name in ("wrapS", "wrapT"))
        moved = _object(_object(reference.get("extensions")).get("KHR_texture_transform"))
        T = _texture_transform(file, moved, index) if moved else None
        return plain._replace(image=image, wrap=wrap, blocky=sampler.get("magFilter") == _NEAREST), T

    def _texture(self, index: Any) -> tuple[Array, dict[str, Any]]:
        """A texture's image and its sampler."""
        file, texture = self._file, self._file.entry("textures", index)
        extensions = _object(texture.get("extensions"))
        source = _object(extensions.get("EXT_texture_webp")).get("source", texture.get("source"))
        if source is None:
            name = next((n for n in _COMPRESSED if n in extensions), None)
            if name is not None:
                raise file.refusal(f"has textures of the extension {name}, which cannot be decoded; {_fix(name)}")
            raise file.refusal(f"is broken: textures[{index}] names no image")
        sampler = file.entry("samplers", texture["sampler"]) if "sampler" in texture else {}
        if source not in self._images:
            self._images[source] = self._image(source)
        return self._images[source], sampler

    def _image(self, index: Any) -> Array:
        file, entry = self._file, self._file.entry("images", index)
        name = f"image {index}"
        data = file.external(entry["uri"], name) if "uri" in entry else file.view(entry.get("bufferView"))
        head = bytes(data[:8])
        if entry.get("mimeType") == "image/ktx2" or head == _KTX2 or head[:2] == _BASIS:
            kind = "KHR_texture_basisu"
            raise file.refusal(f"has textures of the extension {kind}, which cannot be decoded; {_fix(kind)}")
        try:
            image = Image.open(io.BytesIO(data))
        except Exception as error:  # whatever a damaged file makes of a decoder
            raise self._damaged(name, error) from None
        self._budget.spend(image, f"{name} of {file.path}")
        try:
            return rgba(image)
        except Exception as error:
            raise self._damaged(name, error) from None

    def _damaged(self, name: str, error: Exception) -> ValueError:
        return self._file.refusal(f"has a damaged texture: {name} cannot be decoded ({str(error)[:80]})")


def _fix(extension: str) -> str:
    return advice("KHR_texture_basisu" if "basis" in extension or "ktx" in extension else extension)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texture_transform(file: GltfFile, moved: dict[str, Any], index: int) -> Array:
    """(3, 3): offset * rotation * scale, as KHR_texture_transform has it."""
    name = f"KHR_texture_transform of materials[{index}]"
    offset, scale = (file.numbers(moved.get(k, d), 2, name) for k, d in (("offset", [0, 0]), ("scale", [1, 1])))
    (angle,) = file.numbers([moved.get("rotation", 0.0)], 1, name)
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c * scale[0], s * scale[1], offset[0]], [-s * scale[0], c * scale[1], offset[1]], [0, 0, 1]])
