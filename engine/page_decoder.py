"""Compiled loops of page_codec.py, which describes the streams: from the streams of a page to its words.

Nothing in the bytes is believed: what they use as an index is compared with the end of its array before. A kernel
returns a number of page_codec.PROBLEMS instead of raising, since numba does not release the arrays of a kernel that
raises. Integers are int64: uint64 and int64 together would make floats.
"""

import numpy as np
from numba import njit

from engine import (
    kernel_cache,  # noqa: F401  names the folder of compiled kernels
    page_codec,
    page_triangles,
    page_words,
)
from engine.page_triangles import read_number
from engine.page_words import HEADER_WORDS, RECORD_WORDS

_MOST_RANGES = 127  # that Cluster.bits counts


@njit(nogil=True, cache=True, error_model="numpy")
def decode(content, words, header, records, room):
    """Fill the words (w,) uint32, zero before, of the page in `content` (n,) uint8; return the problem, 0 for none.

    header (1,) layout.PAGE_HEADER, records (r,) layout.CLUSTER: views of the words, asset_pages.page_room.
    room (k,) uint32 is scratch; where it is too small, minus the numbers it must hold are returned.
    """
    starts = np.zeros(page_codec.STREAM_COUNT + 1, np.int64)
    problem = _cut(content, starts)
    if problem == 0:
        problem = _read_header(content, starts, words, header, records)
    if problem != 0:
        return problem
    clusters, faces = np.int64(header[0].cluster_count), _size(starts, page_codec.TRIANGLES)
    records = records[:clusters]
    ranges, slots = np.zeros(_size(starts, page_codec.TREES), np.int64), np.empty(page_codec.COLUMN_LIMIT, np.int64)
    columns = _number_columns(np.int64(records[0].counts) >> 24, slots)
    problem, roots = _read_ranges(content, starts, records, ranges)
    if problem != 0:
        return problem
    if roots > faces or 3 * faces > 4 * len(words):
        return page_codec.LOOSE_TRIANGLES
    most = faces + 2 * roots  # vertices: three of a root, one of another triangle
    needed = 7 * faces + 6 * most + columns * (most + 1) + 6
    if needed > len(room):
        return -needed
    # Filled by what follows, described there.
    first, chain_end = np.zeros(roots + 1, np.int64), np.empty(roots, np.int64)
    entered, tree, order, room = (
        room[: faces + 2],
        room[faces + 2 : 2 * faces + 4],
        room[2 * faces + 4 :][:faces],
        room[3 * faces + 4 :],
    )
    corners, local, room = (
        room[: 3 * faces].reshape(faces, 3),
        room[3 * faces : 4 * faces].view(np.uint8),
        room[4 * faces :],
    )
    row, twin, owned, room = room[:most], room[most : 2 * most], room[2 * most : 3 * most], room[3 * most :]
    sources, values = room[: 3 * most].reshape(most, 3), room[3 * most :].view(np.int32)
    vertices = count = np.int64(0)
    problem = page_triangles.grow(content, starts, entered, tree, first, order)
    if problem == 0:
        problem, vertices = page_triangles.connect(
            content, starts, records, ranges, entered, first, order, corners, local, row, twin, chain_end
        )
    if problem == 0:
        problem, count = page_triangles.find_twins(content, starts, twin[:vertices], owned)
    if problem != 0:
        return problem
    sources, values = sources[:count], values[: columns * (count + 1)].reshape(columns, count + 1)
    page_triangles.find_sources(content, starts, entered, tree, corners, chain_end, row, sources)
    problem = _read_columns(content, starts, slots, sources, values)
    if problem != 0:
        return problem
    for vertex in range(vertices):
        row[vertex] = row[twin[vertex]]
    data = clusters * RECORD_WORDS + _size(starts, page_codec.HEADER) // 4
    return page_words.write(words, data, records, ranges, local, row[:vertices], slots, values)


@njit(nogil=True, error_model="numpy")
def _size(starts, stream):
    return starts[stream + 1] - starts[stream]


@njit(nogil=True, error_model="numpy")
def _cut(content, starts):
    """Fill starts (STREAM_COUNT + 1,) int64: the byte at which each stream begins, and where the last ends."""
    place = np.int64(4 * page_codec.STREAM_COUNT)
    if len(content) < place:
        return page_codec.TOO_SHORT
    starts[0] = place
    for stream in range(page_codec.STREAM_COUNT):
        place += read_number(content, 4 * stream, 4, 1)
        starts[stream + 1] = place
    return page_codec.FINE if place == len(content) else page_codec.STREAM_SIZES


@njit(nogil=True, error_model="numpy")
def _read_header(content, starts, words, header, records):
    """Copy header and dependencies to the words; fill of the records what is stored of them."""
    begin, stored = starts[page_codec.HEADER], _size(starts, page_codec.HEADER)
    if stored < 4 * HEADER_WORDS or stored % 4 != 0:
        return page_codec.WRONG_HEADER
    for word in range(HEADER_WORDS):
        words[word] = read_number(content, begin + 4 * word, 4, 1)
    count, first = np.int64(header[0].cluster_count), starts[page_codec.RECORDS]
    if count == 0 or count > len(records) or _size(starts, page_codec.RECORDS) != count * page_codec.RECORD_PLANES:
        return page_codec.WRONG_HEADER
    records_end, stored_words = HEADER_WORDS + count * RECORD_WORDS, stored // 4
    if records_end + stored_words - HEADER_WORDS > len(words):
        return page_codec.WRONG_SIZE
    for word in range(HEADER_WORDS, stored_words):
        words[records_end + word - HEADER_WORDS] = read_number(content, begin + 4 * word, 4, 1)
    made_by = group = np.int64(0)
    kind = np.int64(content[first + 9 * count]) & page_codec.HAS_COLUMNS
    for cluster in range(count):
        place = first + cluster
        made_by += read_number(content, place, 4, count)
        group += read_number(content, place + 4 * count, 4, count)
        level = np.int64(content[place + 8 * count])
        flags = np.int64(content[place + 9 * count])
        ranges = np.int64(content[place + 10 * count])
        if flags & page_codec.HAS_COLUMNS != kind:
            return page_codec.MIXED_KINDS
        if ranges == 0 or ranges > _MOST_RANGES:
            return page_codec.WRONG_RANGES
        records[cluster].made_by, records[cluster].group = made_by, group
        records[cluster].counts, records[cluster].bits = level << 16 | flags << 24, ranges << 25
        records[cluster].index = np.int64(header[0].first_cluster) + cluster
    return page_codec.FINE


@njit(nogil=True, error_model="numpy")
def _read_ranges(content, starts, records, ranges):
    """Fill ranges (r,) int64 with material << 8 of each; return (problem, number of trees)."""
    total = trees = material = np.int64(0)
    for cluster in range(len(records)):
        total += np.int64(records[cluster].bits) >> 25
    if total != len(ranges) or _size(starts, page_codec.MATERIALS) != 4 * total:
        return page_codec.WRONG_RANGES, trees
    for k in range(total):
        material += read_number(content, starts[page_codec.MATERIALS] + k, 4, total)
        ranges[k] = (material & 0xFFFFFF) << 8
        in_range = np.int64(content[starts[page_codec.TREES] + k])
        if in_range == 0:
            return page_codec.WRONG_RANGES, trees
        trees += in_range
    return page_codec.FINE if _size(starts, page_codec.ROOTS) == 4 * trees else page_codec.STREAM_SIZES, trees


@njit(nogil=True, error_model="numpy")
def _number_columns(flags, slots):
    """Return how many columns clusters of these flags have; fill slots (COLUMN_LIMIT,) int64: which one, or -1."""
    count = np.int64(0)
    for number in range(page_codec.COLUMN_LIMIT):
        needed = page_codec.COLUMN_FLAGS[number]
        slots[number] = -1
        if flags & needed == needed:
            slots[number] = count
            count += 1
    return count


@njit(nogil=True, error_model="numpy")
def _read_columns(content, starts, slots, sources, values):
    """Fill values (k, n + 1) int32 of the n owned vertices; the last of each column is zero. Return the problem."""
    count = len(sources)
    for number in range(page_codec.COLUMN_LIMIT):
        size, is_wide = _size(starts, page_codec.COLUMNS + number), page_codec.WIDE[number]
        if slots[number] < 0:
            if size != 0:
                return page_codec.STREAM_SIZES
            continue
        planes = size // count
        if planes * count != size or planes < 1 or planes > (4 if is_wide else 1):
            return page_codec.STREAM_SIZES
        first, column = starts[page_codec.COLUMNS + number], values[slots[number]]
        _join_planes(content[first : first + size], is_wide, column)
        for k in range(count):
            column[k] += column[sources[k, 0]] + column[sources[k, 1]] - column[sources[k, 2]]
    return page_codec.FINE


@njit(nogil=True, error_model="numpy")
def _join_planes(stream, is_folded, column):
    """Fill column (n + 1,) int32 with the n numbers of a stream of planes, then 0; folded: the sign is bit 0."""
    count = len(column) - 1
    column[count] = 0
    for k in range(count):
        column[k] = stream[k]
    for plane in range(1, len(stream) // count):
        part = stream[plane * count : (plane + 1) * count]
        for k in range(count):
            column[k] |= np.int64(part[k]) << (8 * plane)
    if is_folded:
        for k in range(count):
            folded = np.int64(column[k]) & 0xFFFFFFFF
            column[k] = (folded >> 1) ^ -(folded & 1)
