"""Decode the buffer views of EXT_meshopt_compression (version 0 vertices, version 0 and 1 indices).

Khronos, "EXT_meshopt_compression", appendix A (bitstream) and B (filters).
"""

import numpy as np
from numba import njit

_LARGEST_EXPANSION = 64  # one header byte stands for at most 64 bytes


def decode_view(data: np.ndarray, count: int, stride: int, mode: str, filter_name: str = "NONE") -> np.ndarray:
    """Return the decompressed bytes (count * stride,) uint8 of a view; ValueError where the stream is wrong."""
    if len(data) == 0 or count < 0 or not 0 < stride <= 256 or count * stride > len(data) * _LARGEST_EXPANSION:
        raise ValueError("a meshopt-compressed glTF view has an impossible size")
    if mode == "ATTRIBUTES":
        if data[0] != 0xA0 or stride % 4:
            raise ValueError("a meshopt-compressed glTF view is not a version 0 vertex stream")
        result = np.zeros((count, stride), np.uint8)
        good = _decode_vertices(data, result)
        return _filtered(result, filter_name).reshape(-1).view(np.uint8) if good else _fail()
    if mode not in ("TRIANGLES", "INDICES") or stride not in (2, 4):
        raise ValueError(f"a meshopt-compressed glTF view has the unknown mode {mode[:20]!r} or a wrong size")
    if count > (3 if mode == "TRIANGLES" else 1) * len(data):  # a byte for each triangle or index, at least
        return _fail()
    indices = np.zeros(count, np.uint32)
    if mode == "TRIANGLES":
        good = count % 3 == 0 and data[0] in (0xE0, 0xE1) and _decode_triangles(data, indices)
    else:
        good = data[0] in (0xD0, 0xD1) and _decode_sequence(data, indices)
    return indices.astype(np.uint16 if stride == 2 else np.uint32).view(np.uint8) if good else _fail()


def _fail() -> np.ndarray:
    raise ValueError("a meshopt-compressed glTF view is damaged")


@njit(nogil=True, cache=True)
def _decode_vertices(data, result):
    """Fill result (n, stride) uint8; False where the bytes end early."""
    count, stride = result.shape
    if len(data) < 1 + max(stride, 32):
        return False
    previous = data[len(data) - stride :].copy()
    end = len(data) - max(stride, 32)
    block = min((8192 // stride) & ~15, 256)
    here = 1
    for begin in range(0, count, block):
        size = min(block, count - begin)
        groups = (size + 15) // 16
        for byte in range(stride):
            header = here
            here += (groups + 3) // 4
            value = previous[byte]
            for group in range(groups):
                if here > end:
                    return False
                bits = (data[header + group // 4] >> ((group % 4) * 2)) & 3
                packed = here
                here += 0 if bits == 0 else (16 if bits == 3 else 4 * bits)
                if here > end:
                    return False
                for element in range(16):
                    delta = np.uint8(0)
                    if bits == 3:
                        delta = data[packed + element]
                    elif bits > 0:
                        width = 2 * bits
                        place = element * width
                        shift = 8 - width - place % 8
                        limit = (1 << width) - 1
                        delta = np.uint8((data[packed + place // 8] >> shift) & limit)
                        if delta == limit:
                            if here >= end:
                                return False
                            delta = data[here]
                            here += 1
                    row = group * 16 + element
                    if row < size:
                        value = np.uint8((value + ((delta >> 1) ^ (-(delta & 1) & 255))) & 255)
                        result[begin + row, byte] = value
            previous[byte] = value
    return here == end


@njit(nogil=True, cache=True)
def _variable_integer(data, here, end):
    """Return (value, next byte); 7 bits a byte, lowest first."""
    value, shift = 0, 0
    while here < end and shift < 35:
        byte = np.int64(data[here])
        here += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return value, here


@njit(nogil=True, cache=True)
def _step(value):
    return (value >> 1) ^ -(value & 1)


@njit(nogil=True, cache=True)
def _decode_triangles(data, indices):
    """Fill indices (3 m,) uint32; False where the bytes end early."""
    triangles = len(indices) // 3
    here, end = 1 + triangles, len(data) - 16
    if here > end:
        return False
    free_codes = 13 if data[0] == 0xE1 else 15
    edges = np.zeros((16, 2), np.int64)
    vertices = np.zeros(16, np.int64)
    edge_at, vertex_at, fresh, last = 0, 0, 0, 0
    for triangle in range(triangles):
        code = np.int64(data[1 + triangle])
        if here > end:
            return False
        if code < 0xF0:
            edge = (edge_at - 1 - (code >> 4)) & 15
            a, b = edges[edge, 0], edges[edge, 1]
            third = code & 15
            if third < free_codes and third > 0:
                c = vertices[(vertex_at - 1 - third) & 15]
            else:
                if third == 0:
                    c = fresh
                    fresh += 1
                elif third != 15:
                    last += third - (third ^ 3)
                    c = last
                else:
                    value, here = _variable_integer(data, here, end)
                    last += _step(value)
                    c = last
                vertices[vertex_at] = c
                vertex_at = (vertex_at + 1) & 15
        else:
            if code < 0xFE:
                auxiliary, first = np.int64(data[end + (code & 15)]), 0
            else:
                if here >= end:
                    return False
                auxiliary, first = np.int64(data[here]), 0 if code == 0xFE else 15
                here += 1
                if auxiliary == 0:
                    fresh = 0
            corner = (first, auxiliary >> 4, auxiliary & 15)
            # New indices are numbered before explicit ones are read; all refer to the fifo before the triangle.
            a = b = c = np.int64(0)
            for place in range(3):
                if corner[place] == 0:
                    value = np.int64(fresh)
                    fresh += 1
                else:
                    value = vertices[(vertex_at - corner[place]) & 15]
                a, b, c = (value if place == 0 else a), (value if place == 1 else b), (value if place == 2 else c)
            for place in range(3):
                if corner[place] == 15:
                    value, here = _variable_integer(data, here, end)
                    last += _step(value)
                    a, b, c = (last if place == 0 else a), (last if place == 1 else b), (last if place == 2 else c)
            for place in range(3):
                if place == 0 or corner[place] == 0 or corner[place] == 15:
                    vertices[vertex_at] = a if place == 0 else (b if place == 1 else c)
                    vertex_at = (vertex_at + 1) & 15
            edges[edge_at, 0], edges[edge_at, 1] = b, a
            edge_at = (edge_at + 1) & 15
        edges[edge_at, 0], edges[edge_at, 1] = c, b
        edge_at = (edge_at + 1) & 15
        edges[edge_at, 0], edges[edge_at, 1] = a, c
        edge_at = (edge_at + 1) & 15
        indices[3 * triangle], indices[3 * triangle + 1], indices[3 * triangle + 2] = a, b, c
    return here == end


@njit(nogil=True, cache=True)
def _decode_sequence(data, indices):
    """Fill indices (n,) uint32 of a sequence with two running bases; False where the bytes end early."""
    here, end = 1, len(data) - 4
    last = np.zeros(2, np.int64)
    for index in range(len(indices)):
        if here >= end:
            return False
        value, here = _variable_integer(data, here, end)
        base = value & 1
        last[base] += _step(value >> 1)
        indices[index] = last[base]
    return here == end


def _filtered(values: np.ndarray, name: str) -> np.ndarray:
    """Undo a filter on rows of bytes (n, stride) uint8; the result has the same bytes per row."""
    if name == "NONE":
        return values
    stride = values.shape[1]
    if name == "OCTAHEDRAL" and stride in (4, 8):
        packed = values.view(np.int8 if stride == 4 else np.int16)
        scale = np.iinfo(packed.dtype).max
        x, y, one = packed[:, :3].astype(np.float32).T
        one = np.where(one == 0.0, 1.0, one)
        x, y = x / one, y / one
        z = 1.0 - np.abs(x) - np.abs(y)
        fold = np.maximum(-z, 0.0)
        x, y = x - np.where(x >= 0.0, fold, -fold), y - np.where(y >= 0.0, fold, -fold)
        unit = np.stack([x, y, z], axis=1)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        result = packed.copy()
        result[:, :3] = np.rint(unit * scale)
        return result
    if name == "QUATERNION" and stride == 8:
        packed = values.view(np.int16)
        x, y, z = (packed[:, :3] / ((packed[:, 3:] | 3) * np.sqrt(2.0))).T
        w = np.sqrt(np.maximum(1.0 - x * x - y * y - z * z, 0.0))
        largest = packed[:, 3] & 3
        result = np.zeros_like(packed)
        rows = np.arange(len(packed))
        for place, value in enumerate((w, x, y, z)):
            result[rows, (largest + place) & 3] = np.rint(value * 32767.0)
        return result
    if name == "EXPONENTIAL":
        packed = values.view(np.int32)
        return np.ldexp(((packed << 8) >> 8).astype(np.float64), packed >> 24).astype(np.float32)
    raise ValueError(f"a meshopt-compressed glTF view has the unknown filter {name[:20]!r}")
