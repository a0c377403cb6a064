"""The container of glTF 2.0: JSON, buffers, buffer views and accessors as numpy arrays.

Khronos, "glTF 2.0 Specification". Also KHR_draco_mesh_compression (through DracoPy, where it is installed),
EXT_meshopt_compression, and integer attributes (KHR_mesh_quantization).
"""

import base64
import importlib
import os
import struct
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote, unquote_to_bytes

import numpy as np

from engine.builder.gltfcheck import parse_document

_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
_USES = {"vertices": 16, "triangles": 16, "instances": 16, "decoded bytes": 64}  # at most, for each byte read
_FREE_USES = 1 << 20  # whatever the size of the file
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
        self.bytes_read = 0
        self._used: dict[str, int] = {}
        self._buffers: dict[int, bytes] = {}
        self._views: dict[int, np.ndarray] = {}
        data = self._read(path)
        if data[:4] == b"glTF":
            data, self.binary = _split_binary(data)
        elif path.suffix.lower() == ".glb" and not data.lstrip().startswith(b"{"):
            raise ValueError("is not a GLB file (no 'glTF' in its first bytes)")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"the glTF JSON is not UTF-8 text ({error.reason} at byte {error.start})") from None
        self.json = parse_document(text)
        asset = self.json["asset"]
        version, least = str(asset.get("version", "")), str(asset.get("minVersion", "2.0"))
        if version.partition(".")[0] != "2" or least not in ("2.0", "2"):
            needed = least if "minVersion" in asset else version
            raise ValueError(f"is glTF version {needed[:20]!r}; only 2.0 is read")
        for extension in self.json.get("extensionsRequired", []):
            if extension not in KNOWN_EXTENSIONS and not extension.startswith("KHR_materials_"):
                raise ValueError(f"requires the glTF extension {extension[:60]!r}, which is not supported")

    def _read(self, path: Path) -> bytes:
        data = path.read_bytes()
        self.bytes_read += len(data)
        return data

    def use(self, what: str, count: int) -> None:
        """Count uses of the data, which may be shared; ValueError where they are out of proportion to the file.

        A small file could otherwise demand any amount of memory and time.
        """
        used = self._used[what] = self._used.get(what, 0) + count
        if used > _FREE_USES + _USES[what] * self.bytes_read:
            raise ValueError(f"the glTF asks for {used} {what} out of {self.bytes_read} bytes; export it again")

    def items(self, name: str) -> list[dict]:
        """Return a top-level array of objects, [] where it is absent."""
        return self.json.get(name, [])

    def item(self, name: str, index: int) -> dict:
        """Return element `index` of a top-level array; ValueError where the reference does not resolve."""
        values = self.items(name)
        if not 0 <= index < len(values):
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
            length = source["byteLength"]
            if len(data) < length:
                raise ValueError(f"glTF buffer {index} has {len(data)} bytes of {length} (truncated)")
            self._buffers[index] = data
        return self._buffers[index]

    def resource(self, uri: str) -> bytes:
        """Return what a URI names: inline base64, or a file below the folder of the glTF."""
        if uri.startswith("data:"):
            return _inline(uri)
        name = unquote(uri)
        paths = PurePosixPath(name), PureWindowsPath(name)
        if "://" in uri or any(path.root or path.drive or ".." in path.parts for path in paths):
            raise ValueError(f"the glTF refers to {uri[:100]!r}; only files beside it are read")
        file = self.folder / name
        if not os.path.isfile(file):  # unlike Path.is_file, False for every impossible name
            raise ValueError(f"the glTF refers to the file {uri[:100]!r}, which is missing")
        return self._read(file)

    def view(self, index: int) -> np.ndarray:
        """Return the bytes of a buffer view, decompressed, (n,) uint8."""
        if index not in self._views:
            view = self.item("bufferViews", index)
            packed = next((view["extensions"][name] for name in _MESHOPT if name in view.get("extensions", {})), None)
            self._views[index] = self._slice(view) if packed is None else self._meshopt(packed)
        return self._views[index]

    def _slice(self, view: dict) -> np.ndarray:
        data = self.buffer(view["buffer"])
        begin, length = view.get("byteOffset", 0), view["byteLength"]
        if begin + length > len(data):
            raise ValueError("a glTF buffer view reaches beyond its buffer")
        return np.frombuffer(data, np.uint8, length, begin)

    def _meshopt(self, packed: dict) -> np.ndarray:
        from engine.builder.meshopt import decode_view

        count, stride = packed["count"], packed["byteStride"]
        data = self._slice(packed)
        self.use("decoded bytes", count * stride)
        return decode_view(data, count, stride, packed["mode"], packed.get("filter", "NONE"))

    def accessor(self, index: int) -> np.ndarray:
        """Return an accessor (count, width): its integers, or float32 where they are normalised."""
        source = self.item("accessors", index)
        count, width = source["count"], _width(source)
        dtype = _component_type(source)
        if "bufferView" in source:
            view = self.item("bufferViews", source["bufferView"])
            extensions = view.get("extensions", {})
            packed = next((extensions[name] for name in _MESHOPT if name in extensions), view)
            data = self.view(source["bufferView"])
            stride = packed.get("byteStride", 0) or width * dtype.itemsize
            values = _strided(data, source.get("byteOffset", 0), count, width, dtype, stride)
        else:
            self.use("decoded bytes", count * width * dtype.itemsize)
            values = np.zeros((count, width), dtype)
        if "sparse" in source:
            self.use("decoded bytes", values.nbytes)
            values = self._sparse(values.copy(), source["sparse"])
        return normalized(values) if source.get("normalized") else values

    def _sparse(self, values: np.ndarray, sparse: dict) -> np.ndarray:
        count, places, replacements = sparse["count"], sparse["indices"], sparse["values"]
        index_type = _component_type(places)
        if index_type.kind != "u":
            raise ValueError("the indices of a sparse glTF accessor must be unsigned integers")
        data, begin = self.view(places["bufferView"]), places.get("byteOffset", 0)
        index = _strided(data, begin, count, 1, index_type, index_type.itemsize)
        data, begin = self.view(replacements["bufferView"]), replacements.get("byteOffset", 0)
        size = values.shape[1] * values.dtype.itemsize
        new = _strided(data, begin, count, values.shape[1], values.dtype, size)
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
        data = self.view(source["bufferView"]).tobytes()
        self.use("decoded bytes", 64 * len(data))
        try:
            mesh = decoder.decode(data)
        except Exception as error:  # FileTypeException and others of a compiled module
            raise ValueError(f"a Draco-compressed glTF primitive is damaged ({error})") from None
        if not hasattr(mesh, "faces"):
            raise ValueError("a Draco-compressed glTF primitive holds points, not triangles")
        attributes = {}
        for name, unique_id in source["attributes"].items():
            found = mesh.get_attribute_by_unique_id(unique_id) if unique_id < 1 << 31 else None
            if found is None:
                raise ValueError(f"a Draco-compressed glTF primitive has no attribute {unique_id} ({name[:40]})")
            values = np.asarray(found["data"])
            attributes[name] = values.reshape(len(values), -1 if values.size else 0)
        return np.asarray(mesh.faces).reshape(-1, 3), attributes


def _inline(uri: str) -> bytes:
    header, _, body = uri.partition(",")
    if not header.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body)
    except ValueError as error:
        raise ValueError(f"the glTF holds a data URI that is not base64 ({error})") from None


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
    if source["type"] not in _WIDTHS:
        raise ValueError(f"a glTF accessor has the type {source['type'][:20]!r}, which no attribute uses")
    return _WIDTHS[source["type"]]


def _component_type(source: dict) -> np.dtype:
    if source["componentType"] not in _COMPONENTS:
        raise ValueError(f"a glTF accessor has the unknown component type {source['componentType']}")
    return np.dtype(_COMPONENTS[source["componentType"]])


def _strided(data: np.ndarray, offset: int, count: int, width: int, dtype: np.dtype, stride: int) -> np.ndarray:
    """Return a (count, width) view of bytes; ValueError where it reaches beyond them."""
    size = width * dtype.itemsize
    if stride < size or (count and offset + (count - 1) * stride + size > len(data)):
        raise ValueError("a glTF accessor reaches beyond its buffer view")
    if count == 0:
        return np.zeros((0, width), dtype)
    return np.ndarray((count, width), dtype, data, offset, (stride, dtype.itemsize))


def normalized(values: np.ndarray) -> np.ndarray:
    """Return integers as the float32 in -1..1 or 0..1 that they stand for."""
    if values.dtype.kind == "f":
        return values
    return np.maximum(values.astype(np.float32) / np.iinfo(values.dtype).max, -1.0).astype(np.float32)
