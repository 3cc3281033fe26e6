"""The container of glTF 2.0: JSON, buffers and accessors, checked before anything is allocated.

trimesh also reads glTF, and reads geometry alike (a test compares). It drops what habitat-sim's picture depends on,
though: samplers, texture transforms, normalised integers, sparse accessors; it says nothing of a missing texture; and
it believes every length that a file declares.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from mirage_env.geometry import Array

_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_TYPES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_MAX_EMPTY = 50_000_000  # elements of an accessor without a buffer, which a file gets for free
_UNDERSTOOD = ("KHR_mesh_quantization", "KHR_texture_transform", "EXT_texture_webp", "KHR_lights_punctual", "KHR_xmp")
_ADVICE = {
    "KHR_draco_mesh_compression": "decompress it, for example with: gltf-transform copy in.glb out.glb",
    "EXT_meshopt_compression": "decompress it, for example with: gltf-transform copy in.glb out.glb",
    "KHR_texture_basisu": "take the scene with PNG textures, or run: gltf-transform ktxdecompress in.glb out.glb",
}


class GltfFile:
    """A ``.gltf`` or ``.glb`` file whose JSON is read; what it refers to is checked when it is asked for.

    Args:
        path: the file. ValueError or FileNotFoundError says in one sentence what is wrong with it.

    Attributes:
        files: what was read so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: list[Path] = []
        self._digest = hashlib.sha256()
        data = self._read(path, "")
        text, self._chunk = _split_glb(path, data) if path.suffix.lower() == ".glb" else (data, None)
        self.json = _parse(path, text)
        for name in self.json.get("extensionsRequired", []):
            if name not in _UNDERSTOOD and not str(name).startswith("KHR_materials_"):
                raise self.refusal(f"needs the extension {name}, which is not supported; {advice(name)}")
        self._buffers: dict[int, bytes | memoryview] = {}
        self._checked: dict[str, list[dict[str, Any]]] = {}

    @property
    def digest(self) -> str:
        """Of all bytes that were read so far."""
        return self._digest.hexdigest()

    def refusal(self, problem: str) -> ValueError:
        """The error that the file ``problem``."""
        return ValueError(f"{self.path} {problem}")

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The JSON objects of one kind: "nodes", "meshes" and so on."""
        if kind not in self._checked:
            entries = self.json.get(kind, [])
            if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
                raise self.refusal(f"is broken: {kind} must be a list of objects")
            self._checked[kind] = entries
        return self._checked[kind]

    def entry(self, kind: str, index: Any) -> dict[str, Any]:
        """One JSON object by its index."""
        entries = self.all(kind)
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(entries):
            raise self.refusal(f"is broken: it refers to {kind}[{index}], but has {len(entries)} {kind}")
        return entries[index]

    def count(self, entry: dict[str, Any], name: str, default: int | None = None) -> int:
        """A whole number of a JSON object, 0 or above."""
        value = entry.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.refusal(f"is broken: {name} must be a whole number, 0 or above, got {value!r}")
        return value

    def numbers(self, value: Any, length: int, name: str) -> Array:
        """(length,) float64 finite numbers out of JSON."""
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            array = np.empty(0)
        if array.shape != (length,) or not np.isfinite(array).all():
            raise self.refusal(f"is broken: {name} must be {length} finite numbers, got {str(value)[:80]}")
        return array

    def view(self, index: Any) -> memoryview:
        """The bytes of a buffer view."""
        entry = self.entry("bufferViews", index)
        if "EXT_meshopt_compression" in entry.get("extensions", ()):
            name = "EXT_meshopt_compression"
            raise self.refusal(f"has data compressed by {name}, which is not supported; {advice(name)}")
        offset, length = self.count(entry, "byteOffset", 0), self.count(entry, "byteLength")
        buffer = self._buffer(entry.get("buffer"))
        if offset + length > len(buffer):
            end = f"{offset:,} + {length:,} bytes of a buffer of {len(buffer):,}"
            raise self.refusal(f"is broken: bufferViews[{index}] takes {end}")
        return memoryview(buffer)[offset : offset + length]

    def accessor(self, index: Any) -> tuple[Array, bool]:
        """An accessor's values (N, components) as stored, and whether its integers stand for 0..1 or -1..1."""
        entry = self.entry("accessors", index)
        count = self.count(entry, "count")
        kind, component = entry.get("type"), entry.get("componentType")
        if kind not in _TYPES or component not in _COMPONENTS:
            raise self.refusal(f"is broken: accessors[{index}] has type {kind!r} of component {component!r}")
        width, dtype = _TYPES[kind], np.dtype(_COMPONENTS[component])
        if "bufferView" in entry:
            values = self._strided(entry, f"accessors[{index}]", count, width, dtype)
        elif "sparse" not in entry or count > _MAX_EMPTY:
            raise self.refusal(f"is broken: accessors[{index}] declares {count:,} elements without any data")
        else:
            values = np.zeros((count, width), dtype)
        if "sparse" in entry:
            values = self._sparse(entry["sparse"], index, values)
        return values, entry.get("normalized") is True

    def external(self, uri: Any, what: str) -> bytes:
        """The bytes behind a URI: a data URI, or a file beside this one."""
        if not isinstance(uri, str):
            raise self.refusal(f"is broken: the uri of {what} must be text, got {uri!r}")
        if uri.startswith("data:"):
            try:
                return base64.b64decode(uri.partition(",")[2], validate=False)
            except (binascii.Error, ValueError):
                raise self.refusal(f"is broken: {what} holds damaged base64") from None
        if "://" in uri:
            raise self.refusal(f"keeps {what} at {uri[:80]}; only files beside it can be read, so download it")
        return self._read(self.path.parent / unquote(uri), f"{what} of {self.path}, ")

    def _strided(self, entry: dict[str, Any], name: str, count: int, width: int, dtype: np.dtype[Any]) -> Array:
        view = self.entry("bufferViews", entry["bufferView"])
        data, offset = self.view(entry["bufferView"]), self.count(entry, "byteOffset", 0)
        size = width * dtype.itemsize
        stride = self.count(view, "byteStride", size) or size
        if stride < size:
            raise self.refusal(f"is broken: {name} has elements of {size} bytes every {stride} bytes")
        needed = offset + (count - 1) * stride + size if count else offset
        if needed > len(data):
            raise self.refusal(
                f"is broken: {name} declares {count:,} elements, {needed:,} bytes, but has {len(data):,}"
            )
        return np.ndarray((count, width), dtype, data, offset, (stride, dtype.itemsize))

    def _sparse(self, sparse: Any, index: Any, values: Array) -> Array:
        if not isinstance(sparse, dict) or not all(isinstance(sparse.get(k), dict) for k in ("indices", "values")):
            raise self.refusal(f"is broken: accessors[{index}] has a damaged sparse part")
        count, name = self.count(sparse, "count"), f"the sparse part of accessors[{index}]"
        component = sparse["indices"].get("componentType")
        if component not in (5121, 5123, 5125):
            raise self.refusal(f"is broken: {name} has indices of component {component!r}")
        places = self._strided(sparse["indices"], name, count, 1, np.dtype(_COMPONENTS[component]))[:, 0]
        news = self._strided(sparse["values"], name, count, values.shape[1], values.dtype)
        if count and int(places.max()) >= len(values):
            raise self.refusal(f"is broken: {name} changes element {places.max():,} of {len(values):,}")
        changed = values.copy()
        changed[places] = news
        return changed

    def _buffer(self, index: Any) -> bytes | memoryview:
        entry = self.entry("buffers", index)
        if index not in self._buffers:
            if "uri" in entry:
                data: bytes | memoryview = self.external(entry["uri"], f"buffer {index}")
            elif self._chunk is not None and index == 0:
                data = self._chunk
            else:
                raise self.refusal(f"is broken: buffers[{index}] names no file and there is no binary chunk for it")
            length = self.count(entry, "byteLength")
            if length > len(data):
                raise self.refusal(f"is broken: buffers[{index}] declares {length:,} bytes but has {len(data):,}")
            self._buffers[index] = data
        return self._buffers[index]

    def _read(self, path: Path, what: str) -> bytes:
        if not path.exists():
            raise FileNotFoundError(f"{what}{path} does not exist")
        if not path.is_file():
            raise ValueError(f"{what}{path} is not a file")
        data = path.read_bytes()
        self.files.append(path)
        self._digest.update(struct.pack("<Q", len(data)))
        self._digest.update(data)
        return data


def advice(extension: str) -> str:
    """What to do about a scene that needs an extension."""
    return _ADVICE.get(extension, "export the scene without it")


def _split_glb(path: Path, data: bytes) -> tuple[bytes | memoryview, memoryview | None]:
    """The JSON and the binary chunk of a GLB file."""
    if len(data) < 20 or struct.unpack_from("<I", data)[0] != _MAGIC:
        raise ValueError(f"{path} is not a GLB file: it does not begin with glTF")
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise ValueError(f"{path} is glTF {version}; only glTF 2 can be read")
    if length > len(data):
        raise ValueError(f"{path} is cut off: it declares {length:,} bytes and has {len(data):,}")
    text, chunk, start = None, None, 12
    while start + 8 <= length:
        size, kind = struct.unpack_from("<II", data, start)
        start += 8
        if start + size > length:
            raise ValueError(f"{path} is broken: a chunk declares {size:,} bytes and {length - start:,} are left")
        if text is None:
            if kind != _JSON:
                raise ValueError(f"{path} is broken: its first chunk is not JSON")
            text = memoryview(data)[start : start + size]
        elif kind == _BIN and chunk is None:
            chunk = memoryview(data)[start : start + size]
        start += size
    if text is None:
        raise ValueError(f"{path} is broken: it has no JSON")
    return text, chunk


def _parse(path: Path, text: bytes | memoryview) -> dict[str, Any]:
    try:
        tree = json.loads(bytes(text).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is broken: its JSON cannot be read ({str(error)[:80]})") from None
    if not isinstance(tree, dict) or not isinstance(tree.get("asset"), dict):
        raise ValueError(f"{path} is not glTF: its JSON has no asset")
    version = str(tree["asset"].get("version", ""))
    if not version.startswith("2"):
        raise ValueError(f"{path} is glTF {version or 'of no version'}; only glTF 2 can be read")
    if not isinstance(tree.get("extensionsRequired", []), list):
        raise ValueError(f"{path} is broken: extensionsRequired must be a list")
    return tree
