"""Small glTF files, written by hand where a test must know every byte."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_COMPONENTS = {"float32": 5126, "uint32": 5125, "uint16": 5123, "uint8": 5121, "int8": 5120, "int16": 5122}
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}

# A square in the file's x, y plane, front towards +z, texture upright for who looks along -z.
SQUARE = np.array([[-1, 1, 0], [-1, -1, 0], [1, -1, 0], [1, 1, 0]], np.float32)
SQUARE_UV = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], np.float32)
SQUARE_FACES = np.array([[0, 1, 2], [0, 2, 3]], np.uint16)


class Builder:
    """A glTF tree and its binary chunk. ``tree`` may be changed at will before ``glb``."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": []}]}
        self.chunk = b""

    def add(self, kind: str, entry: dict[str, Any]) -> int:
        entries = self.tree.setdefault(kind, [])
        entries.append(entry)
        return len(entries) - 1

    def view(self, data: bytes) -> int:
        self.chunk += b"\0" * (-len(self.chunk) % 4)
        start, self.chunk = len(self.chunk), self.chunk + data
        return self.add("bufferViews", {"buffer": 0, "byteOffset": start, "byteLength": len(data)})

    def accessor(self, values: Any, **extra: Any) -> int:
        values = np.ascontiguousarray(values)
        width = 1 if values.ndim == 1 else values.shape[1]
        entry = {"bufferView": self.view(values.tobytes()), "count": len(values), "type": _TYPES[width]}
        return self.add("accessors", {**entry, "componentType": _COMPONENTS[values.dtype.name], **extra})

    def mesh(
        self, vertices: Any = SQUARE, faces: Any = SQUARE_FACES, uv: Any = None, colours: Any = None, **primitive: Any
    ) -> int:
        attributes = {"POSITION": self.accessor(vertices)}
        if uv is not None:
            attributes["TEXCOORD_0"] = self.accessor(uv)
        if colours is not None:
            attributes["COLOR_0"] = self.accessor(colours, normalized=np.asarray(colours).dtype.kind == "u")
        if faces is not None:
            primitive["indices"] = self.accessor(np.asarray(faces).ravel())
        return self.add("meshes", {"primitives": [{"attributes": attributes, **primitive}]})

    def node(self, root: bool = True, **node: Any) -> int:
        index = self.add("nodes", node)
        if root:
            self.tree["scenes"][0]["nodes"].append(index)
        return index

    def image(self, pixels: Any) -> int:
        """A texture of a PNG in the binary chunk."""
        source = self.add("images", {"bufferView": self.view(png(pixels)), "mimeType": "image/png"})
        return self.add("textures", {"source": source})

    def material(self, factor: Any = (1, 1, 1, 1), texture: int | None = None, **material: Any) -> int:
        look: dict[str, Any] = {"baseColorFactor": list(factor)}
        if texture is not None:
            look["baseColorTexture"] = {"index": texture}
        return self.add("materials", {"pbrMetallicRoughness": look, **material})

    def glb(self, path: Path) -> Path:
        if self.chunk and "buffers" not in self.tree:
            self.tree["buffers"] = [{"byteLength": len(self.chunk)}]
        path.write_bytes(glb_bytes(json.dumps(self.tree).encode(), self.chunk))
        return path


def glb_bytes(text: bytes, chunk: bytes) -> bytes:
    text += b" " * (-len(text) % 4)
    chunk += b"\0" * (-len(chunk) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(chunk), b"BIN\0") + chunk
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def png(pixels: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def square(**material: Any) -> Builder:
    """One square of one material."""
    builder = Builder()
    builder.node(mesh=builder.mesh(material=builder.material(**material)))
    return builder
