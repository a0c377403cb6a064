"""Compiled loops of page_codec.py: put the words of a page together, as the GPU reads them (Cluster in layout.wgsl).

Boxes, widths and places of the clusters are found here: they follow from the vertices.
"""

import numpy as np
from numba import njit

from engine import (
    kernel_cache,  # noqa: F401  names the folder of compiled kernels
    layout,
    page_codec,
)

HEADER_WORDS = int(layout.CONSTANTS["PAGE_HEADER_WORDS"])
RECORD_WORDS = int(layout.CONSTANTS["CLUSTER_WORDS"])
_MAX_VERTICES = int(layout.CONSTANTS["MAX_CLUSTER_VERTICES"])
_HAS_NORMALS, _HAS_UVS, _HAS_COLORS = (
    int(layout.CONSTANTS[f"CLUSTER_HAS_{name}"]) for name in ("NORMALS", "UVS", "COLORS")
)
_MOST_BITS = 31  # of an offset, that Cluster.bits counts
_FIELDS = (0, 1, 2, 5, 6)  # columns that are stored as offsets from their least: x, y, z, u, v


@njit(nogil=True, error_model="numpy")
def sizes_of_streams(counts, bits):
    """Return the words of each stream of a record, as asset_pages.stream_words; counts, bits: int64."""
    vertices, triangles, flags = counts & 255, counts >> 8 & 255, counts >> 24
    position_bits = (bits & 31) + (bits >> 5 & 31) + (bits >> 10 & 31)
    uv_bits = (bits >> 15 & 31) + (bits >> 20 & 31)
    return (
        bits >> 25,
        (3 * triangles + 3) // 4,
        (vertices * position_bits + 31) // 32,
        (vertices + 1) // 2 if flags & _HAS_NORMALS else np.int64(0),
        2 + (vertices * uv_bits + 31) // 32 if flags & _HAS_UVS else np.int64(0),
        vertices if flags & _HAS_COLORS else np.int64(0),
    )


@njit(nogil=True, error_model="numpy")
def write(words, data, records, ranges, local, row, slots, values):
    """Complete the records (c,) and write the streams of the clusters from words[data] on; return the problem.

    ranges (r,) int64: words of the material ranges. local (3 t,) uint8: corners. row (v,) int32: place of each vertex
    in values (k, n) int32. slots (COLUMN_LIMIT,) int64: which row of these a column is, or -1.
    """
    octets, offsets = words.view(np.uint8), np.empty((len(_FIELDS), _MAX_VERTICES), np.int64)
    low, width = np.zeros(len(_FIELDS), np.int64), np.zeros(len(_FIELDS), np.int64)
    next_range = next_corner = next_vertex = np.int64(0)
    for cluster in range(len(records)):
        record = records[cluster]
        counts, bits = np.int64(record.counts), np.int64(record.bits)
        rows = row[next_vertex : next_vertex + (counts & 255)]
        if not _find_box(rows, slots, values, record, offsets, low, width):
            return page_codec.CLUSTER_SIZE
        for field in range(len(_FIELDS)):
            bits |= width[field] << (5 * field)
        range_words, triangle_words, position_words, normal_words, uv_words, color_words = sizes_of_streams(
            counts, bits
        )
        ends = data + range_words + triangle_words + position_words + normal_words + uv_words + color_words
        if ends > len(words):
            return page_codec.WRONG_SIZE
        record.bits, record.data = bits, data - HEADER_WORDS - cluster * RECORD_WORDS
        _copy(words[data:], ranges[next_range : next_range + range_words])
        data += range_words
        corners = 3 * (counts >> 8 & 255)
        _copy(octets[4 * data :], local[next_corner : next_corner + corners])
        data += triangle_words
        _write_bits(words, data, offsets, width, 0, 3, len(rows))
        data += position_words
        _write_bytes(octets, 4 * data, rows, values, slots, 3, 2)
        data += normal_words
        if uv_words:
            words[data], words[data + 1] = low[3], low[4]
            _write_bits(words, data + 2, offsets, width, 3, 5, len(rows))
        data += uv_words
        _write_bytes(octets, 4 * data, rows, values, slots, 7, 4)
        data += color_words
        next_range, next_corner, next_vertex = next_range + range_words, next_corner + corners, next_vertex + len(rows)
    return page_codec.FINE if data == len(words) else page_codec.WRONG_SIZE


@njit(nogil=True, error_model="numpy")
def _copy(out, values):
    for k in range(len(values)):
        out[k] = values[k]


@njit(nogil=True, error_model="numpy")
def _find_box(rows, slots, values, record, offsets, low, width):
    """Fill offsets (5, v) from the least number of each of the _FIELDS, that number, and the bits of the largest.

    The box goes to the record. Return False where an offset has more bits than a record can say.
    """
    for field in range(len(_FIELDS)):
        if slots[_FIELDS[field]] < 0:
            continue
        column = values[slots[_FIELDS[field]]]
        least = most = np.int64(column[rows[0]])
        out = offsets[field]
        for k in range(len(rows)):
            value = np.int64(column[rows[k]])
            out[k] = value
            least, most = min(least, value), max(most, value)
        for k in range(len(rows)):
            out[k] -= least
        bits = np.int64(0)
        while most - least >> bits:
            bits += 1
        if bits > _MOST_BITS:
            return False
        low[field], width[field] = least, bits
        if field < 3:
            record.origin[field], record.extent[field] = least, most - least
    return True


@njit(nogil=True, error_model="numpy")
def _write_bits(words, place, offsets, width, first_field, end_field, vertices):
    """Write the offsets of some fields, vertex by vertex, as one stream of bits from words[place] on."""
    waiting = filled = np.int64(0)  # bits that do not fill a word yet, and how many
    for vertex in range(vertices):
        for field in range(first_field, end_field):
            waiting |= offsets[field, vertex] << filled
            filled += width[field]
            if filled >= 32:
                words[place] = waiting & 0xFFFFFFFF
                place, waiting, filled = place + 1, waiting >> 32, filled - 32
    if filled:
        words[place] = waiting


@njit(nogil=True, error_model="numpy")
def _write_bytes(octets, place, rows, values, slots, first_column, columns):
    """Write the low bytes of some columns, vertex by vertex, where clusters have them."""
    if slots[first_column] < 0:
        return
    for k in range(columns):
        column, out = values[slots[first_column + k]], octets[place + k :]
        for vertex in range(len(rows)):
            out[columns * vertex] = column[rows[vertex]] & 255
