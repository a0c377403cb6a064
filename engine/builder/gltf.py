"""The container of glTF 2.0: JSON, buffers, buffer views and accessors as numpy arrays.

Khronos, "glTF 2.0 Specification". Also KHR_draco_mesh_compression (through DracoPy, where it is installed),
EXT_meshopt_compression, and integer attributes (KHR_mesh_quantization).
"""

import base64
import importlib
import json
import struct
from pathlib import Path
from urllib.parse import unquote

import numpy as np

_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
_LARGEST_EMPTY_ACCESSOR = 1 << 22  # elements of an accessor without data, which is all zeros
KNOWN_EXTENSIONS = {
    "KHR_draco_mesh_compression",
    "KHR_mesh_quantization",
    "KHR_texture_transform",
    "KHR_texture_basisu",
    "KHR_lights_punctual",
    "EXT_mesh_gpu_instancing",
    "EXT_texture_webp",
    *_MESHOPT,
}


class Document:
    """A parsed glTF file; buffers are loaded when first used."""

    def __init__(self, path: Path) -> None:
        """Read and check the JSON part; ValueError where it is malformed or needs an unknown extension."""
        self.folder = path.parent
        self.binary: bytes | None = None
        self._buffers: dict[int, bytes] = {}
        self._views: dict[int, np.ndarray] = {}
        self._items: dict[str, list[dict]] = {}
        data = path.read_bytes()
        if data[:4] == b"glTF":
            text, self.binary = _split_binary(data)
        else:
            text = data
        try:
            self.json = json.loads(text.decode("utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"the glTF JSON cannot be parsed ({error})") from None
        if not isinstance(self.json, dict) or not isinstance(self.json.get("asset"), dict):
            raise ValueError("is not a glTF file (no asset object)")
        version = str(self.json["asset"].get("minVersion", self.json["asset"].get("version", "")))
        if version.partition(".")[0] != "2" or version not in ("2.0", "2"):
            raise ValueError(f"is glTF version {version!r}; only 2.0 is read")
        for extension in self.json.get("extensionsRequired", []):
            if extension not in KNOWN_EXTENSIONS and not str(extension).startswith("KHR_materials_"):
                raise ValueError(f"requires the glTF extension {extension}, which is not supported")

    def items(self, name: str) -> list[dict]:
        """Return a top-level array of objects, [] where it is absent."""
        if name not in self._items:
            values = self.json.get(name, [])
            if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
                raise ValueError(f"the glTF {name} is not an array of objects")
            self._items[name] = values
        return self._items[name]

    def item(self, name: str, index: object) -> dict:
        """Return element `index` of a top-level array; ValueError where the reference does not resolve."""
        values = self.items(name)
        if isinstance(index, float) and index.is_integer():
            index = int(index)
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(values):
            raise ValueError(f"the glTF refers to {name}[{index}], which does not exist")
        return values[index]

    def buffer(self, index: int) -> bytes:
        """Return the bytes of a buffer: binary chunk, data URI or file beside the glTF."""
        if index not in self._buffers:
            source = self.item("buffers", index)
            if "uri" in source:
                data = self.resource(source["uri"])
            elif index == 0 and self.binary is not None:
                data = self.binary
            else:
                raise ValueError(f"glTF buffer {index} has no data")
            length = source.get("byteLength", 0)
            if len(data) < length:
                raise ValueError(f"glTF buffer {index} has {len(data)} bytes of {length} (truncated)")
            self._buffers[index] = data
        return self._buffers[index]

    def resource(self, uri: str) -> bytes:
        """Return what a URI names: inline base64, or a file below the folder of the glTF."""
        if uri.startswith("data:"):
            header, _, body = uri.partition(",")
            return base64.b64decode(body) if header.endswith(";base64") else unquote(body).encode("latin-1")
        if "://" in uri or uri.startswith(("/", "\\")) or ".." in Path(unquote(uri)).parts:
            raise ValueError(f"the glTF refers to {uri!r}; only files beside it are read")
        file = self.folder / unquote(uri)
        if not file.is_file():
            raise ValueError(f"the glTF refers to the file {uri!r}, which is missing")
        return file.read_bytes()

    def view(self, index: int) -> np.ndarray:
        """Return the bytes of a buffer view, decompressed, (n,) uint8."""
        if index not in self._views:
            view = self.item("bufferViews", index)
            packed = next((view["extensions"][name] for name in _MESHOPT if name in view.get("extensions", {})), None)
            self._views[index] = self._slice(view) if packed is None else self._meshopt(packed)
        return self._views[index]

    def _slice(self, view: dict) -> np.ndarray:
        data = self.buffer(int(view["buffer"]))
        begin, length = int(view.get("byteOffset", 0)), int(view["byteLength"])
        if begin < 0 or length < 0 or begin + length > len(data):
            raise ValueError("a glTF buffer view reaches beyond its buffer")
        return np.frombuffer(data, np.uint8, length, begin)

    def _meshopt(self, packed: dict) -> np.ndarray:
        from engine.builder.meshopt import decode_view

        return decode_view(
            self._slice(packed), packed["count"], packed["byteStride"], packed["mode"], packed.get("filter", "NONE")
        )

    def accessor(self, index: int) -> np.ndarray:
        """Return an accessor (count, width): its integers, or float32 where they are normalised."""
        source = self.item("accessors", index)
        count, width = int(source["count"]), _width(source)
        dtype = _component_type(source)
        if "bufferView" in source:
            view = self.item("bufferViews", source["bufferView"])
            extensions = view.get("extensions", {})
            packed = next((extensions[name] for name in _MESHOPT if name in extensions), view)
            data = self.view(int(source["bufferView"]))
            stride = int(packed.get("byteStride", 0)) or width * dtype.itemsize
            values = _strided(data, int(source.get("byteOffset", 0)), count, width, dtype, stride)
        elif count > _LARGEST_EMPTY_ACCESSOR:
            raise ValueError(f"a glTF accessor without data has {count} elements")
        else:
            values = np.zeros((count, width), dtype)
        if "sparse" in source:
            values = self._sparse(values.copy(), source["sparse"])
        return normalized(values) if source.get("normalized") else values

    def _sparse(self, values: np.ndarray, sparse: dict) -> np.ndarray:
        count = int(sparse["count"])
        places, replacements = sparse["indices"], sparse["values"]
        index_type = np.dtype(_COMPONENTS[places["componentType"]])
        index = _strided(
            self.view(int(places["bufferView"])),
            int(places.get("byteOffset", 0)),
            count,
            1,
            index_type,
            index_type.itemsize,
        )
        data = self.view(int(replacements["bufferView"]))
        size = values.shape[1] * values.dtype.itemsize
        new = _strided(data, int(replacements.get("byteOffset", 0)), count, values.shape[1], values.dtype, size)
        if count and int(index.max()) >= len(values):
            raise ValueError("a sparse glTF accessor has an index out of range")
        values[index[:, 0]] = new
        return values

    def draco(self, source: dict) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return (indices (m, 3), attributes by glTF name) of a KHR_draco_mesh_compression object."""
        try:
            decoder = importlib.import_module("DracoPy")
        except ImportError:
            raise ValueError("needs the Draco decoder: pip install DracoPy") from None
        mesh = decoder.decode(self.view(int(source["bufferView"])).tobytes())
        attributes = {}
        for name, unique_id in source["attributes"].items():
            values = np.asarray(mesh.get_attribute_by_unique_id(unique_id)["data"])
            attributes[name] = values.reshape(len(values), -1)
        return np.asarray(mesh.faces).reshape(-1, 3), attributes


def _split_binary(data: bytes) -> tuple[bytes, bytes | None]:
    """Return the JSON and the binary chunk of a GLB file."""
    if len(data) < 20:
        raise ValueError("the GLB header is cut short")
    _, version, length = struct.unpack_from("<4sII", data)
    if version != 2:
        raise ValueError(f"is GLB version {version}; only 2 is read")
    if length > len(data):
        raise ValueError(f"the GLB header announces {length} bytes, the file has {len(data)} (truncated)")
    chunks, here = [], 12
    while here + 8 <= length:
        size, kind = struct.unpack_from("<I4s", data, here)
        if here + 8 + size > length:
            raise ValueError("a GLB chunk reaches beyond the file (truncated)")
        chunks.append((kind, data[here + 8 : here + 8 + size]))
        here += 8 + size
    if not chunks or chunks[0][0] != b"JSON":
        raise ValueError("the first GLB chunk is not JSON")
    return chunks[0][1], chunks[1][1] if len(chunks) > 1 and chunks[1][0] == b"BIN\0" else None


def _width(source: dict) -> int:
    if source.get("type") not in _WIDTHS:
        raise ValueError(f"a glTF accessor has the type {source.get('type')!r}, which no attribute uses")
    return _WIDTHS[source["type"]]


def _component_type(source: dict) -> np.dtype:
    if source.get("componentType") not in _COMPONENTS:
        raise ValueError(f"a glTF accessor has the unknown component type {source.get('componentType')!r}")
    return np.dtype(_COMPONENTS[source["componentType"]])


def _strided(data: np.ndarray, offset: int, count: int, width: int, dtype: np.dtype, stride: int) -> np.ndarray:
    """Return a (count, width) view of bytes; ValueError where it reaches beyond them."""
    size = width * dtype.itemsize
    if count < 0 or offset < 0 or stride < size or (count and offset + (count - 1) * stride + size > len(data)):
        raise ValueError("a glTF accessor reaches beyond its buffer view")
    if count == 0:
        return np.zeros((0, width), dtype)
    return np.ndarray((count, width), dtype, data, offset, (stride, dtype.itemsize))


def normalized(values: np.ndarray) -> np.ndarray:
    """Return integers as the float32 in -1..1 or 0..1 that they stand for."""
    if values.dtype.kind == "f":
        return values
    return np.maximum(values.astype(np.float32) / np.iinfo(values.dtype).max, -1.0).astype(np.float32)
