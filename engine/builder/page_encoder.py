"""Encode pages for the disk; page_codec.py describes the streams and decodes them.

Lossless, and independent of the order of triangles: what does not continue a tree begins one. page_order.py orders
the triangles of a cluster so that there are few trees.
"""

import numpy as np
import zstandard
from numba import njit

from engine import asset_pages, page_codec
from engine.asset_pages import HEADER_WORDS, RECORD_WORDS
from engine.page_codec import WIDE

OWNED, COPIED, FAR = page_codec.OWNED, page_codec.COPIED, page_codec.FAR
_LEAST_BLOCK = 128  # bytes; smaller streams share a block of zstandard and its table
_SEARCHING_LEVEL = 16  # of zstandard; from here on its search weighs what a match costs
_HASH = 0x9E3779B1


def compress_page(words: np.ndarray, level: int) -> bytes:
    """Return the stored bytes of a page (w,) uint32 at this level of zstandard.

    Raises ValueError for what is not a page as pages.py makes them.
    """
    streams = encode_page(words)
    sizes = np.array([sum(map(len, planes)) for planes in streams], np.uint32).view(np.uint8)
    parts = [sizes, *(plane for planes in streams for plane in planes)]
    compressor = zstandard.ZstdCompressor(compression_params=_parameters(level)).compressobj(size=sum(map(len, parts)))
    stored, waiting = [], 0
    for part in parts:
        stored.append(compressor.compress(np.ascontiguousarray(part).data))
        waiting += len(part)
        if waiting >= _LEAST_BLOCK:
            stored.append(compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
            waiting = 0
    stored.append(compressor.flush())
    return b"".join(stored)


def _parameters(level: int) -> zstandard.ZstdCompressionParameters:
    """Return the parameters of zstandard for a level.

    Below _SEARCHING_LEVEL all are the same: only long repetitions are looked for, as short ones are mostly chance and
    cost more than the bytes they replace. Pages get smaller by one or two percent than with levels 3 to 9, and sooner.
    """
    if level >= _SEARCHING_LEVEL:
        return zstandard.ZstdCompressionParameters.from_level(level)
    long_only = {"strategy": zstandard.STRATEGY_FAST, "min_match": 7, "hash_log": 6}
    return zstandard.ZstdCompressionParameters.from_level(1, **long_only)


def encode_page(words: np.ndarray) -> list[list[np.ndarray]]:
    """Return the streams of a page (w,) uint32 in the order of page_codec, each as planes of uint8."""
    header, clusters, starts = _places(words)
    vertices, triangles, flags, widths, ranges = asset_pages.unpack_records(clusters)
    columns = page_codec.column_numbers(int(flags[0]))
    first_vertex, first_triangle = np.append(0, np.cumsum(vertices)), np.append(0, np.cumsum(triangles))
    range_words = words[runs(starts[:, 0], ranges)]
    range_end = (range_words & 255).astype(np.int64) + np.repeat(first_triangle[:-1], ranges)
    _check_ranges(range_end, np.cumsum(ranges), first_triangle)
    corners = np.zeros((first_triangle[-1], 3), np.int32)
    values = np.zeros((first_vertex[-1], len(columns)), np.int32)
    column = np.array([columns.index(number) if number in columns else -1 for number in (0, 3, 5, 7)])
    padded, widths = np.append(words, np.uint32(0)), widths.astype(np.uint64)
    _read(
        padded,
        padded.view(np.uint8),
        clusters["origin"],
        starts,
        first_vertex,
        first_triangle,
        widths,
        column,
        corners,
        values,
    )
    child, opposite, tree, depth, trees = _find_trees(corners, range_end, page_codec.DEEPEST)
    owner = _find_copies(values)
    codes = _count_back(corners, depth, first_triangle, first_vertex, owner, OWNED, COPIED)
    wave = np.argsort(depth, kind="stable")
    missed = _differences(corners, opposite, tree, depth, wave, codes == OWNED, values)
    code, roots = codes[:, 2], codes[depth == 0, :2].ravel()
    copied = owner != np.arange(len(owner))
    rank = np.cumsum(~copied) - 1
    symbols = child | np.minimum(code, FAR).astype(np.uint8) << 2
    record = (
        *_planes(np.diff(clusters["made_by"], prepend=np.uint32(0)), 4),
        *_planes(np.diff(clusters["group"], prepend=np.uint32(0)), 4),
        *((clusters["counts"] >> 16 & 255).astype(np.uint8), flags.astype(np.uint8), ranges.astype(np.uint8)),
    )
    return [
        [header.view(np.uint8)],
        list(record),
        _planes(np.diff(range_words >> 8, prepend=np.uint32(0)), 4),
        [trees],
        [symbols[wave]],
        [(code[code >= FAR] - 1).astype(np.uint8)],
        _planes(roots, 2),
        _planes(np.diff(rank[owner[copied]], prepend=0), 2),
        *_column_planes(missed, columns),
    ]


def _places(words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (header and dependencies, records (c,), first word of each stream (c, 6)); check what decoding implies."""
    clusters = asset_pages.page_clusters(words)
    sizes = asset_pages.stream_words(clusters)
    records_end = HEADER_WORDS + len(clusters) * RECORD_WORDS
    data = clusters["data"].astype(np.int64) + HEADER_WORDS + np.arange(len(clusters)) * RECORD_WORDS
    ends = data + sizes.sum(axis=1)
    page = asset_pages.page_header(words)
    start = records_end + int(page["dependency_count"])
    if (
        len(clusters) == 0
        or page["dependency_word"] != records_end
        or (np.append(start, ends) != np.append(data, len(words))).any()
    ):
        raise ValueError("the clusters of a page must fill it one after the other")
    if ((clusters["counts"] ^ clusters["counts"][0]) >> 24 & page_codec.HAS_COLUMNS).any():
        raise ValueError("the clusters of a page must have the same columns")
    header = np.concatenate([words[:HEADER_WORDS], words[records_end:start]])
    return header, clusters, data[:, None] + np.cumsum(sizes, axis=1) - sizes


def _check_ranges(range_end: np.ndarray, last_range: np.ndarray, first_triangle: np.ndarray) -> None:
    """The material ranges (r,) must grow, and end with the triangles of their clusters."""
    if (np.diff(range_end, prepend=0) <= 0).any() or (range_end[last_range - 1] != first_triangle[1:]).any():
        raise ValueError("the material ranges of a cluster must divide its triangles")


def runs(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return starts[i] ... starts[i] + counts[i] - 1 of all i, one after the other."""
    return np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))


def _planes(values: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the low `count` bytes of the values (n,), from the lowest up, (n,) uint8 each."""
    return [(values >> (8 * k)).astype(np.uint8) for k in range(count)]


def _column_planes(missed: np.ndarray, columns: list[int]) -> list[list[np.ndarray]]:
    """Return the planes of all columns; in wide ones, numbers near 0 of either sign become small ones."""
    out: list[list[np.ndarray]] = [[] for _ in range(page_codec.COLUMN_LIMIT)]
    for k, number in enumerate(columns):
        column = missed[:, k]
        if WIDE[number]:
            folded = (column << 1 ^ column >> 31).view(np.uint32)
            out[number] = _planes(folded, max((int(folded.max()).bit_length() + 7) // 8, 1))
        else:
            out[number] = _planes(column, 1)
    return out


@njit(nogil=True, cache=True, inline="always")
def _bits(words: np.ndarray, place: int, count: int) -> int:
    """Return `count` bits (0 to 31) from bit `place` on; both uint64."""
    word = place >> np.uint64(5)
    pair = np.uint64(words[word]) | np.uint64(words[word + np.uint64(1)]) << np.uint64(32)
    return np.int64(pair >> (place & np.uint64(31)) & ((np.uint64(1) << count) - np.uint64(1)))


@njit(nogil=True, cache=True)
def _read(words, octets, origin, starts, first_vertex, first_triangle, widths, column, corners, values):
    """Fill corners (t, 3), vertices numbered over the page, and values (v, k), from the words of a page and one more.

    octets: the bytes of the words. column (4,) int64: the first column of positions, normals, UVs and colours, or -1.
    """
    normal, uv, color = column[1:]
    for cluster in range(len(origin)):
        base, end = first_vertex[cluster], first_vertex[cluster + 1]
        first = 4 * starts[cluster, 1]
        for face in range(first_triangle[cluster], first_triangle[cluster + 1]):
            for k in range(3):
                corners[face, k] = base + octets[first + k]
            first += 3
        place = np.uint64(32 * starts[cluster, 2])
        for vertex in range(base, end):
            for k in range(3):
                values[vertex, k] = origin[cluster, k] + _bits(words, place, widths[cluster, k])
                place += widths[cluster, k]
        if normal >= 0:
            first = 4 * starts[cluster, 3]
            for vertex in range(base, end):
                values[vertex, normal], values[vertex, normal + 1] = octets[first], octets[first + 1]
                first += 2
        if uv >= 0:
            place = np.uint64(32 * (starts[cluster, 4] + 2))
            for vertex in range(base, end):
                for k in range(2):
                    low = np.int32(words[starts[cluster, 4] + k])
                    values[vertex, uv + k] = low + _bits(words, place, widths[cluster, 3 + k])
                    place += widths[cluster, 3 + k]
        if color >= 0:
            first = 4 * starts[cluster, 5]
            for vertex in range(base, end):
                for k in range(4):
                    values[vertex, color + k] = octets[first + k]
                first += 4


@njit(nogil=True, cache=True)
def _find_trees(corners, range_end, deepest):
    """Return how triangles continue one another: (child, opposite, tree (t,) int32; depth (t,), trees (r,) uint8).

    opposite: the corner of the parent that the triangle does not share.
    """
    count = len(corners)
    child, opposite = np.zeros(count, np.uint8), np.zeros(count, np.int32)
    tree, depth = np.zeros(count, np.int32), np.zeros(count, np.uint8)
    trees = np.zeros(len(range_end), np.uint8)
    following, roots = 0, 0
    for i in range(len(range_end)):
        while following < range_end[i]:
            face = following
            tree[face] = roots
            roots += 1
            trees[i] += 1
            following += 1
            while face < following and depth[face] < deepest:
                a, b, c = corners[face]
                for side in range(2):
                    left, right = (a, c) if side else (c, b)
                    if following < range_end[i] and corners[following, 0] == left and corners[following, 1] == right:
                        child[face] |= np.uint8(1 << side)
                        opposite[following], tree[following] = (b if side else a), tree[face]
                        depth[following] = depth[face] + 1
                        following += 1
                face += 1
    return child, opposite, tree, depth, trees


@njit(nogil=True, cache=True)
def _find_copies(values):
    """Return the first vertex (v,) int64 of the page that has the same values."""
    count, columns = values.shape
    bits = 4
    while 1 << bits < 2 * count:
        bits += 1
    table, owner = np.full(1 << bits, -1, np.int64), np.empty(count, np.int64)
    for vertex in range(count):
        key = np.int64(0)
        for k in range(columns):
            key = (key ^ (values[vertex, k] & 0xFFFFFFFF)) * _HASH & 0xFFFFFFFF
            key ^= key >> 15
        slot = key & ((1 << bits) - 1)
        while table[slot] >= 0:
            same = True
            for k in range(columns):
                same &= values[table[slot], k] == values[vertex, k]
            if same:
                break
            slot = (slot + 1) & ((1 << bits) - 1)
        if table[slot] < 0:
            table[slot] = vertex
        owner[vertex] = table[slot]
    return owner


@njit(nogil=True, cache=True)
def _count_back(corners, depth, first_triangle, first_vertex, owner, owned, copied):
    """Return the codes of corners, (t, 3) int32; those on the edge that a triangle was entered by have none (-1)."""
    codes = np.full(corners.shape, -1, np.int32)
    for cluster in range(len(first_vertex) - 1):
        used = first_vertex[cluster]
        for face in range(first_triangle[cluster], first_triangle[cluster + 1]):
            for k in range(2 if depth[face] else 0, 3):
                vertex = corners[face, k]
                if vertex > used:
                    raise ValueError("the vertices of a cluster must be numbered by first use")
                codes[face, k] = used - vertex + 1
                if vertex == used:
                    codes[face, k] = owned if owner[vertex] == vertex else copied
                    used += 1
        if used != first_vertex[cluster + 1]:
            raise ValueError("a cluster has vertices that no triangle uses")
    return codes


@njit(nogil=True, cache=True)
def _differences(corners, opposite, tree, depth, wave, is_owned, values):
    """Return what prediction misses of the owned vertices, (n, k) int32, in the order that page_codec decodes them."""
    missed = np.empty(values.shape, np.int32)
    row = np.full(len(values), len(values), np.int64)
    count, previous = 0, -1
    last_of_chain = np.full(tree[-1] + 1, -1, np.int64)
    for face in range(len(corners)):
        for k in range(3 if depth[face] == 0 else 0):
            if is_owned[face, k]:
                vertex = corners[face, k]
                for column in range(values.shape[1]):
                    missed[count, column] = values[vertex, column] - (values[previous, column] if previous >= 0 else 0)
                row[vertex] = count
                count, previous = count + 1, vertex
        if depth[face] == 0:
            last_of_chain[tree[face]] = previous
    deepest, begin = 0, 0
    for face in wave:
        if depth[face] > deepest:
            deepest, begin = depth[face], count
        if depth[face] == 0 or not is_owned[face, 2]:
            continue
        left, right, vertex = corners[face]
        over, start, known = opposite[face], last_of_chain[tree[face]], 0
        for near in (over, right, left):
            if row[near] < begin:
                start = near
                known += 1
        for column in range(values.shape[1]):
            guess = values[start, column]
            if known == 3:
                guess += values[right, column] - values[over, column]
            missed[count, column] = values[vertex, column] - guess
        row[vertex] = count
        count += 1
    return missed[:count]
