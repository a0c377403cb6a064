"""PLY and STL files: numpy views of the bytes where all faces are triangles, numba where they are not.

PLY: Turk, "The PLY Polygon File Format", 1994. STL: 3D Systems, "StereoLithography Interface Specification", 1988.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from engine import materials
from engine.builder.source import SourceMesh
from engine.builder.textfile import facet_lines, number_lines, polygon_lines, read_bytes

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))
_LARGEST_HEADER = 1 << 20


def read_ply(path: Path, report: dict) -> SourceMesh:
    """Return the mesh of a PLY file; ValueError where the header and the bytes do not agree."""
    data = np.fromfile(path, np.uint8)
    encoding, elements, start = _header(data)
    names = [element[0] for element in elements]
    if "vertex" not in names:
        raise ValueError("the PLY header names no vertex element")
    if "face" not in names or elements[names.index("face")][1] == 0:
        raise ValueError("holds no triangles (points only)")
    for name, count, _ in elements:
        if count > len(data):
            raise ValueError(f"the PLY header announces {count} {name} elements, but the file has {len(data)} bytes")
    skipped = [name for name in names if name not in ("vertex", "face")]
    if skipped:
        report["ply_elements_skipped"] = skipped
    if encoding == "ascii":
        vertices, faces = _read_ascii(data, elements, start, report)
    else:
        vertices, faces = _read_binary(data, elements, start, "<" if encoding == "binary_little_endian" else ">")
    return SourceMesh(
        path.stem,
        _columns(vertices, ("x", "y", "z"), np.float64),
        faces,
        _normals(vertices),
        _uvs(vertices),
        _colors(vertices),
        np.zeros(len(faces), np.int32),
    )


def _header(data: np.ndarray) -> tuple[str, list, int]:
    """Return (encoding, [(name, count, [(property, type, list count type or None)])], first byte of the body)."""
    text = data[:_LARGEST_HEADER].tobytes()
    if not text.startswith(b"ply"):
        raise ValueError("is not a PLY file (no 'ply' in the first line)")
    end = text.find(b"end_header")
    if end < 0:
        raise ValueError("the PLY header has no end_header")
    newline = text.find(b"\n", end)
    if newline < 0:
        raise ValueError("the file ends after the PLY header")
    encoding, elements = "", []
    for line in text[:end].decode("latin-1").splitlines()[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) >= 2:
            encoding = words[1]
        elif words[0] == "element" and len(words) == 3 and words[2].isdecimal() and len(words[2]) < 19:
            elements.append((words[1], int(words[2]), []))
        elif words[0] == "property" and elements and len(words) == 3 and words[1] in _TYPES:
            elements[-1][2].append((words[2], _TYPES[words[1]], None))
        elif words[0] == "property" and elements and len(words) == 5 and words[1] == "list":
            if words[2] not in _TYPES or words[3] not in _TYPES:
                raise ValueError(f"unknown type in the PLY header: {line.strip()[:60]!r}")
            elements[-1][2].append((words[4], _TYPES[words[3]], _TYPES[words[2]]))
        else:
            raise ValueError(f"cannot read the PLY header line {line.strip()[:60]!r}")
    for name, _, properties in elements:
        if not properties or len({field for field, _, _ in properties}) < len(properties):
            raise ValueError(f"the PLY element {name[:40]!r} has no property, or two of one name")
    if encoding not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise ValueError(f"unknown PLY format {encoding[:40]!r}")
    return encoding, elements, newline + 1


def _read_binary(data: np.ndarray, elements: list, position: int, order: str) -> tuple[np.ndarray, np.ndarray]:
    vertices = faces = None
    for name, count, properties in elements:
        lists = [index for index, (_, _, counter) in enumerate(properties) if counter]
        if not lists:
            dtype = np.dtype([(field, order + kind) for field, kind, _ in properties])
            _check_length(data, position, count * dtype.itemsize, name)
            block = data[position : position + count * dtype.itemsize].view(dtype)
            position += count * dtype.itemsize
            if name == "vertex":
                vertices = block
        elif name == "face" and len(lists) == 1:
            faces, position = _binary_faces(data, position, count, properties, lists[0], order)
        elif vertices is None or faces is None:
            raise ValueError(f"the PLY element {name!r} has lists that this reader cannot skip")
        if vertices is not None and faces is not None:
            break
    if vertices is None or faces is None:
        raise ValueError("the PLY file has no usable vertex and face elements")
    return vertices, faces


def _binary_faces(data, position, count, properties, list_index, order) -> tuple[np.ndarray, int]:
    """Return triangles (m, 3) int32 and the byte after the element."""
    before = sum(np.dtype(kind).itemsize for _, kind, _ in properties[:list_index])
    after = sum(np.dtype(kind).itemsize for _, kind, _ in properties[list_index + 1 :])
    _, kind, counter = properties[list_index]
    if kind[0] == "f" or counter[0] == "f":
        raise ValueError("the face indices of a PLY file must be integers")
    dtype = np.dtype(
        [("before", f"V{before}"), ("count", order + counter), ("index", order + kind, 3), ("after", f"V{after}")]
    )
    size = count * dtype.itemsize
    if position + size <= len(data):
        block = data[position : position + size].view(dtype)
        if (block["count"] == 3).all():
            return _to_index(block["index"]), position + size
    _check_length(data, position, count * (before + after + np.dtype(counter).itemsize), "face")
    corners, position = _walk_lists(
        data, position, count, before, after, np.dtype(counter).itemsize, np.dtype(kind).itemsize, order == ">"
    )
    if position < 0:
        raise ValueError("the PLY file ends inside its faces (truncated)")
    return corners, position


def _to_index(index: np.ndarray) -> np.ndarray:
    """Return int32 indices; what does not fit becomes -1, which is out of range."""
    if index.dtype.itemsize == 4 and index.dtype.kind == "u":
        return np.ascontiguousarray(index.astype(np.uint32)).view(np.int32)
    return np.ascontiguousarray(index, np.int32)


def _check_length(data: np.ndarray, position: int, size: int, name: str) -> None:
    if position + size > len(data):
        raise ValueError(f"the PLY file ends inside its {name} element (truncated, or the count is wrong)")


@njit(nogil=True, cache=True)
def _walk_lists(data, position, count, before, after, counter_size, index_size, big_endian):
    """Fan triangles of `count` polygons with lists of any length; position -1 where the bytes end early."""
    triangles = 0
    for stage in range(2):
        if stage == 1:
            corners = np.empty((triangles, 3), np.int32)
        here, found = position, 0
        for _ in range(count):
            here += before
            if here + counter_size > len(data):
                return np.empty((0, 3), np.int32), -1
            length = _integer(data, here, counter_size, big_endian)
            here += counter_size
            if length > (len(data) - here) // index_size:
                return np.empty((0, 3), np.int32), -1
            if stage == 1 and length >= 3:
                for triangle in range(length - 2):
                    for corner in range(3):
                        place = 0 if corner == 0 else triangle + corner
                        corners[found + triangle, corner] = _integer(
                            data, here + place * index_size, index_size, big_endian
                        )
            found += max(length - 2, 0)
            here += length * index_size + after
        triangles = found
    return corners, here


@njit(nogil=True, cache=True)
def _integer(data, position, size, big_endian):
    value = np.int64(0)
    for byte in range(size):
        place = size - 1 - byte if big_endian else byte
        value |= np.int64(data[position + byte]) << np.int64(8 * place)
    return value


def _read_ascii(data: np.ndarray, elements: list, position: int, report: dict) -> tuple[np.ndarray, np.ndarray]:
    vertices = faces = None
    for name, count, properties in elements:
        scalar = all(counter is None for _, _, counter in properties)
        if name == "face":
            lists = [index for index, (_, _, counter) in enumerate(properties) if counter]
            if len(lists) != 1:
                raise ValueError("the PLY face element needs exactly one list property")
            faces, bad, position = polygon_lines(data, position, count, lists[0])
            if bad:
                report["polygons_skipped"] = bad
        elif name == "vertex" and not scalar:
            raise ValueError("the PLY vertex element has a list property, which this reader cannot skip")
        else:
            values, position = number_lines(data, position, count, len(properties) if scalar else 0)
            if name == "vertex":
                dtype = np.dtype([(field, "f8") for field, _, _ in properties])
                vertices = np.ascontiguousarray(values).view(dtype)[:, 0]
                integer = {field for field, kind, _ in properties if kind[0] != "f"}
                if "red" in integer:
                    dtype = [(field, "u1" if field in _COLOR_NAMES else "f8") for field, _, _ in properties]
                    vertices = vertices.astype(dtype)
        if position < 0:
            raise ValueError(f"the PLY file ends inside its {name} element (truncated, or the count is wrong)")
    if vertices is None or faces is None:
        raise ValueError("the PLY file has no usable vertex and face elements")
    return vertices, faces


_COLOR_NAMES = ("red", "green", "blue", "alpha")


def _names(vertices: np.ndarray) -> set[str]:
    return set(vertices.dtype.names or ())


def _columns(vertices: np.ndarray, names: tuple, dtype: type) -> np.ndarray:
    missing = [name for name in names if name not in _names(vertices)]
    if missing:
        raise ValueError(f"the PLY vertices have no property {missing[0]!r}")
    result = np.zeros((len(vertices), len(names)), dtype)
    for column, name in enumerate(names):
        result[:, column] = vertices[name]
    return result


def _normals(vertices: np.ndarray) -> np.ndarray | None:
    names = ("nx", "ny", "nz")
    return _columns(vertices, names, np.float32) if set(names) <= _names(vertices) else None


def _uvs(vertices: np.ndarray) -> np.ndarray | None:
    for names in _UV_NAMES:
        if set(names) <= _names(vertices):
            uvs = _columns(vertices, names, np.float32)
            uvs[:, 1] = 1.0 - uvs[:, 1]
            return uvs
    return None


def _colors(vertices: np.ndarray) -> np.ndarray | None:
    """Return linear colours: PLY's are sRGB by convention."""
    if not set(_COLOR_NAMES[:3]) <= _names(vertices):
        return None
    names = [name for name in _COLOR_NAMES if name in _names(vertices)]
    values = _columns(vertices, tuple(names), np.float64)
    kind = vertices.dtype["red"]
    if kind.kind == "u" and kind.itemsize <= 2:
        values /= np.iinfo(kind).max
    colors = np.ones((len(vertices), 4))
    colors[:, : len(names)] = np.clip(np.nan_to_num(values), 0.0, 1.0)
    colors[:, :3] = materials.srgb_to_linear(colors[:, :3])
    return np.rint(colors * 255.0).astype(np.uint8)


def read_stl(path: Path, report: dict) -> SourceMesh:
    """Return the mesh of a binary or text STL file; three vertices a triangle, normals of the file ignored."""
    data = read_bytes(path)
    record = np.dtype([("normal", "<f4", 3), ("corner", "<f4", (3, 3)), ("attribute", "<u2")])
    count = int.from_bytes(data[80:84].tobytes(), "little")
    exact = len(data) >= 84 and 84 + count * record.itemsize == len(data)
    start = data[:4096].tobytes().lower().lstrip()
    if not exact and start.startswith(b"solid") and (b"facet" in start or b"endsolid" in start):
        return _text_stl(path.stem, data, report)
    if len(data) < 84 + record.itemsize:
        raise ValueError("holds no triangles (too short for an STL file)")
    room = (len(data) - 84) // record.itemsize
    if count > room:
        raise ValueError(f"the STL header announces {count} triangles, the file has room for {room}")
    if count < room:
        report["stl_bytes_ignored"] = len(data) - 84 - count * record.itemsize
    block: Any = data[84 : 84 + count * record.itemsize].view(record)
    positions = block["corner"].reshape(-1, 3).astype(np.float64)
    faces = np.arange(len(positions), dtype=np.int32).reshape(-1, 3)
    return SourceMesh(path.stem, positions, faces, None, None, None, np.zeros(len(faces), np.int32))


def _text_stl(name: str, data: np.ndarray, report: dict) -> SourceMesh:
    positions, faces, bad = facet_lines(data)
    if bad:
        report["facets_skipped"] = bad
    if b"endsolid" not in data[-4096:].tobytes().lower():
        report["file_ends_early"] = 1
    return SourceMesh(name, positions, faces, None, None, None, np.zeros(len(faces), np.int32))
