"""The decoder of stored pages in numpy, written before the compiled one: what page_codec.decode_page must give.

engine/page_codec.py describes the streams. Pages that no encoder writes may be refused by only one of the two.
"""

from typing import NamedTuple

import numpy as np

from engine import asset_pages, layout
from engine.asset_pages import HEADER_WORDS, MAX_TRIANGLES, RECORD_WORDS
from engine.builder.page_encoder import runs
from engine.page_codec import (
    COPIED,
    FAR,
    HAS_COLUMNS,
    NAMES,
    OWNED,
    RECORD_PLANES,
    STREAM_COUNT,
    WIDE,
    column_numbers,
)

_MAX_VERTICES = int(layout.CONSTANTS["MAX_CLUSTER_VERTICES"])
_COUNT_BACK = np.maximum(np.arange(257, dtype=np.int32) - 1, 0)  # by code


def decode_page(content: np.ndarray, word_count: int) -> np.ndarray:
    """Return the words (w,) uint32 of the page in `content` (n,) uint8, read-only; raises ValueError."""
    try:
        words = _decode(_cut(content), word_count)
    except IndexError:
        raise ValueError("is damaged (an index leads nowhere)") from None
    words.flags.writeable = False
    return words


class _Trees(NamedTuple):
    """Triangles in the order of waves: t of them, roots first."""

    tree: np.ndarray  # (t,) uint16
    parent: np.ndarray  # (t - roots,) int64
    right: np.ndarray  # (t - roots,) int64: 1 is a right child
    ends: list[int]  # of the waves; the first holds the roots


class _Mesh(NamedTuple):
    """Connectivity of a page; vertices are numbered over the page, in the order of clusters and first use."""

    corners: np.ndarray  # (3, t) int32, in the order of waves
    sorted_corners: list[np.ndarray]  # three (t,) int32, in the order of clusters
    copied: np.ndarray  # (v,) bool
    owned: np.ndarray  # (t,) bool, in the order of waves: the third corner is new and owned
    root_owned: np.ndarray  # (roots, 3) bool: corners of roots that are new and owned
    first_vertex: np.ndarray  # (c + 1,) int64
    first_triangle: np.ndarray  # (c + 1,) int64
    range_end: np.ndarray  # (r,) int64: last triangle + 1 of each material range, within its cluster


def _cut(content: np.ndarray) -> list[np.ndarray]:
    """Return the streams."""
    start = 4 * STREAM_COUNT
    if len(content) < start:
        raise ValueError("is too short")
    ends = start + np.cumsum(content[:start].view(np.uint32), dtype=np.int64)
    if ends[-1] != len(content):
        raise ValueError("has streams of a wrong size")
    return [content[first:end] for first, end in zip([start, *ends[:-1].tolist()], ends.tolist())]


def _decode(parts: list[np.ndarray], word_count: int) -> np.ndarray:
    named = dict(zip(NAMES, parts))
    header = named["header"].copy().view(np.uint32)
    count = int(asset_pages.page_header(header)["cluster_count"]) if len(header) >= HEADER_WORDS else 0
    if count == 0 or len(named["records"]) != count * RECORD_PLANES:
        raise ValueError("has a wrong header")
    planes = named["records"].reshape(RECORD_PLANES, count)
    level, flags, ranges = planes[8:].astype(np.uint32)
    if ((flags ^ flags[0]) & HAS_COLUMNS).any():
        raise ValueError("has clusters of different kinds")
    trees = _grow(named["triangles"], int(named["trees"].sum(dtype=np.int64)))
    mesh = _connect(trees, named, ranges)
    numbers = column_numbers(int(flags[0]))
    columns = _predict(trees, mesh, named["copies"], {number: parts[len(NAMES) + number] for number in numbers})
    vertices, triangles = np.diff(mesh.first_vertex), np.diff(mesh.first_triangle)
    records = np.zeros(count, layout.CLUSTER)
    records["made_by"] = np.cumsum(_join(planes[:4]), dtype=np.uint32)
    records["group"] = np.cumsum(_join(planes[4:8]), dtype=np.uint32)
    records["counts"] = (vertices | triangles << 8).astype(np.uint32) | level << 16 | flags << 24
    records["bits"] = ranges << 25
    records["index"] = int(asset_pages.page_header(header)["first_cluster"]) + np.arange(count)
    materials = np.cumsum(_join(named["materials"].reshape(4, -1)), dtype=np.uint32)
    content = PageContent(
        header=header,
        records=records,
        ranges=mesh.range_end.astype(np.uint32) | materials << 8,
        corners=mesh.sorted_corners,
        columns=dict(zip(numbers, columns)),
        first_vertex=mesh.first_vertex,
        first_triangle=mesh.first_triangle,
    )
    return write_page(content, word_count)


def _join(planes: np.ndarray) -> np.ndarray:
    """Return the numbers (n,) uint32 of up to 4 planes (k, n) uint8, lowest first."""
    out = planes[0].astype(np.uint32)
    for k in range(1, len(planes)):
        out |= planes[k].astype(np.uint32) << np.uint32(8 * k)
    return out


def _grow(symbols: np.ndarray, roots: int) -> _Trees:
    """Return the trees that the flags of children in the symbols (t,) say."""
    count = len(symbols)
    gates = np.empty((count, 2), np.uint8)
    gates[:, 0], gates[:, 1] = symbols & 1, symbols >> 1 & 1
    end_of_children = roots + np.cumsum(gates[:, 0] + gates[:, 1], dtype=np.int64)
    child = np.flatnonzero(gates.view(np.bool_))
    parent, right = child >> 1, child & 1
    if roots == 0 or len(child) != count - roots or (parent >= np.arange(roots, count)).any():
        raise ValueError("has triangles that no tree holds")
    tree = np.arange(count, dtype=np.uint16)
    ends = [roots]
    while ends[-1] < count:
        start, end = ends[-1], int(end_of_children[ends[-1] - 1])
        tree[start:end] = tree[parent[start - roots : end - roots]]
        ends.append(end)
    return _Trees(tree, parent, right, ends)


def _connect(trees: _Trees, named: dict[str, np.ndarray], ranges: np.ndarray) -> _Mesh:
    """Return the corners of all triangles and what follows from them."""
    roots, count = trees.ends[0], len(trees.tree)
    order = np.argsort(trees.tree, kind="stable")
    size = np.bincount(trees.tree, minlength=roots)
    tree_end = np.cumsum(size)
    code = named["triangles"] >> 2
    owned = code == OWNED
    pair = _join(named["roots"].reshape(2, -1)).reshape(roots, 2)
    root_owned = np.column_stack([pair == OWNED, owned[:roots]])
    code = code[order]
    back = _COUNT_BACK[code]
    back[code == FAR] = named["far"]
    new = code <= COPIED
    used = np.zeros(count, np.int32)
    used[tree_end - size] = (pair <= COPIED).sum(axis=1)
    used = np.cumsum(used + new, dtype=np.int32)
    number = used - new - back
    before = np.append(0, used[tree_end[:-1] - 1])
    corners = np.empty((3, count), np.int32)
    corners[2, order] = number
    corners[0, :roots] = before - _COUNT_BACK[pair[:, 0]]
    corners[1, :roots] = before + (pair[:, 0] <= COPIED) - _COUNT_BACK[pair[:, 1]]
    _enter(corners.reshape(-1), trees)
    copied = np.zeros(used[-1], np.bool_)
    copied[number[code == COPIED]] = True
    copied[corners[:2, :roots].T[pair == COPIED]] = True
    last_tree, last_range = np.cumsum(named["trees"], dtype=np.int64), np.cumsum(ranges, dtype=np.int64)
    if last_range[-1] != len(last_tree) or (ranges == 0).any() or (named["trees"] == 0).any():
        raise ValueError("has wrong material ranges")
    range_end = tree_end[last_tree - 1]
    first_triangle = np.append(0, range_end[last_range - 1])
    range_end = range_end - np.repeat(first_triangle[:-1], ranges)
    first_vertex = np.append(0, used[first_triangle[1:] - 1])
    vertices = np.diff(first_vertex)
    if vertices.min() < 1 or vertices.max() > _MAX_VERTICES or np.diff(first_triangle).max() > MAX_TRIANGLES:
        raise ValueError("has an empty or too large cluster")
    sorted_corners = [corners[0][order], corners[1][order], number]
    return _Mesh(corners, sorted_corners, copied, owned, root_owned, first_vertex, first_triangle, range_end)


def _enter(corners: np.ndarray, trees: _Trees) -> None:
    """Fill the first two corners of the triangles that have a parent; corners: (3 * t,), of each all triangles."""
    roots, count = trees.ends[0], len(trees.tree)
    turn = trees.right * count
    from_first, from_second = trees.parent + (2 * count - 2 * turn), trees.parent + (count + turn)
    for start, end in zip(trees.ends, trees.ends[1:]):
        corners[start:end] = corners[from_first[start - roots : end - roots]]
        corners[count + start : count + end] = corners[from_second[start - roots : end - roots]]


def _predict(trees: _Trees, mesh: _Mesh, copies: np.ndarray, streams: dict[int, np.ndarray]) -> np.ndarray:
    """Return the columns (k, v) int32 of all vertices; streams: of each column, by number."""
    roots = trees.ends[0]
    chain = mesh.corners[:, :roots].T[mesh.root_owned]
    reached = np.flatnonzero(mesh.owned[roots:])
    count, begin = len(chain) + len(reached), len(chain)
    values = np.zeros((len(streams), count + 1), np.int32)  # the last one stays zero
    for column, (number, stream) in zip(values, streams.items()):
        column[:count] = _differences(stream, count, WIDE[number])
        column[:begin] = np.cumsum(column[:begin])
    place = np.full(len(mesh.copied), count)  # of a vertex in the columns
    place[chain] = np.arange(begin)
    place[mesh.corners[2, roots:][reached]] = np.arange(begin, count)
    ends = begin + np.searchsorted(reached, np.array(trees.ends) - roots)
    known = np.repeat(ends[:-1], np.diff(ends))  # what is before: the earlier waves
    start, right, opposite = _sources(trees, mesh, reached, place, known, count)
    for first, end in zip(ends.tolist(), ends[1:].tolist()):
        wave = slice(first - begin, end - begin)
        column = values[:, first:end]
        column += values.take(start[wave], axis=1)
        column += values.take(right[wave], axis=1)
        column -= values.take(opposite[wave], axis=1)
    source = np.cumsum(_join(copies.reshape(2, -1)), dtype=np.uint16)
    place[mesh.copied] = place[~mesh.copied][source]
    return values.take(place, axis=1)


def _sources(
    trees: _Trees, mesh: _Mesh, reached: np.ndarray, place: np.ndarray, known: np.ndarray, none: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the places of what predicts each vertex: first plus second minus third; the last two may be `none`.

    reached: triangles whose third corner it is, counted behind the roots; known: the places below this are decoded.
    """
    roots = trees.ends[0]
    left, right = place[mesh.corners[0, roots:][reached]], place[mesh.corners[1, roots:][reached]]
    parent = trees.parent[reached]
    opposite = place[mesh.corners.reshape(-1)[parent + trees.right[reached] * len(trees.tree)]]
    last_of_chain = np.cumsum(mesh.root_owned.sum(axis=1)) - 1
    has_left, has_right, has_opposite = left < known, right < known, opposite < known
    start = np.where(has_opposite, opposite, last_of_chain[trees.tree[parent]])
    start = np.where(has_left, left, np.where(has_right, right, start))
    partial = ~(has_left & has_right & has_opposite)
    right[partial] = opposite[partial] = none
    return start, right, opposite


def _differences(stream: np.ndarray, count: int, wide: bool) -> np.ndarray:
    """Return what prediction missed in one column, (count,); modulo 256 in narrow columns."""
    if not wide:
        return stream.reshape(count)
    folded = _join(stream.reshape(-1, count))
    return (folded >> np.uint32(1)).view(np.int32) ^ -(folded & np.uint32(1)).view(np.int32)


class PageContent(NamedTuple):
    """A page of c clusters, t triangles and v vertices, in the order of the clusters.

    Columns of vertices are numbered: x, y, z; 3, 4: normal; 5, 6: UV; 7 to 10: colour. WIDE ones have more than 8 bits.
    """

    header: np.ndarray  # uint32: page header and list of dependencies
    records: np.ndarray  # (c,) layout.CLUSTER: made_by, group, counts, index, and bits.ranges
    ranges: np.ndarray  # (r,) uint32: material ranges
    corners: list[np.ndarray]  # three (t,) int32: vertices, numbered over the page
    columns: dict[int, np.ndarray]  # (v,) int32 each; of narrow ones the low byte counts
    first_vertex: np.ndarray  # (c + 1,) int64
    first_triangle: np.ndarray  # (c + 1,) int64


class _Field(NamedTuple):
    """A wide column: values (v,) and, by cluster, their least, their extent (c,) int32, the bits of that (c,) int64."""

    values: np.ndarray
    low: np.ndarray
    extent: np.ndarray
    width: np.ndarray


def write_page(page: PageContent, word_count: int) -> np.ndarray:
    """Return the words (w,) uint32; completes page.records. Raises ValueError where they are not as many as told."""
    header, records, columns = page.header, page.records, page.columns
    first, vertices = page.first_vertex[:-1], np.diff(page.first_vertex)
    fields = {number: _field(columns[number], first) for number in columns if WIDE[number]}
    records["origin"] = np.stack([fields[k].low for k in range(3)], axis=1)
    records["extent"] = np.stack([fields[k].extent for k in range(3)], axis=1)
    for place, field in enumerate(fields.values()):
        records["bits"] |= field.width.astype(np.uint32) << np.uint32(5 * place)
    sizes = asset_pages.stream_words(records)
    records_end = HEADER_WORDS + len(records) * RECORD_WORDS
    total = sizes.sum(axis=1)
    data = records_end + len(header) - HEADER_WORDS + np.cumsum(total) - total
    if data[-1] + total[-1] != word_count:
        raise ValueError("has a wrong size")
    records["data"] = data - HEADER_WORDS - np.arange(len(records)) * RECORD_WORDS
    words = np.zeros(word_count + 3, np.uint32)  # _or_bits may touch those behind
    words[:HEADER_WORDS] = header[:HEADER_WORDS]
    words[HEADER_WORDS:records_end] = records.view(np.uint32)
    words[records_end : data[0]] = header[HEADER_WORDS:]
    starts = (data[:, None] + np.cumsum(sizes, axis=1) - sizes).T
    words[runs(starts[0], sizes[:, 0])] = page.ranges
    _write_triangles(words, starts[1], page)
    _write_bits(words, starts[2], first, vertices, [fields[k] for k in range(3)])
    if 3 in columns:
        pairs = np.stack([columns[3], columns[4]], axis=1).astype(np.uint8).view(np.uint16)[:, 0]
        words.view(np.uint16)[runs(2 * starts[3], vertices)] = pairs
    if 5 in columns:
        words[starts[4]], words[starts[4] + 1] = fields[5].low.view(np.uint32), fields[6].low.view(np.uint32)
        _write_bits(words, starts[4] + 2, first, vertices, [fields[5], fields[6]])
    if 7 in columns:
        colors = np.stack([columns[k] for k in range(7, 11)], axis=1).astype(np.uint8).view(np.uint32)[:, 0]
        words[runs(starts[5], vertices)] = colors
    return words[:word_count]


def _field(values: np.ndarray, first: np.ndarray) -> _Field:
    low = np.minimum.reduceat(values, first)
    extent = np.maximum.reduceat(values, first) - low
    return _Field(values, low, extent, np.frexp(extent.astype(np.float64))[1].astype(np.int64))


def _write_triangles(words: np.ndarray, starts: np.ndarray, page: PageContent) -> None:
    counts = np.diff(page.first_triangle)
    base = np.repeat(page.first_vertex[:-1].astype(np.int32), counts)
    place = 3 * np.arange(len(base)) + np.repeat(4 * starts - 3 * page.first_triangle[:-1], counts)
    octets = words.view(np.uint8)
    for corner in page.corners:
        local = corner - base
        if local.min() < 0 or local.max() > _MAX_VERTICES:
            raise ValueError("has a triangle with a vertex of another cluster")
        octets[place] = local.astype(np.uint8)
        place += 1


def _write_bits(
    words: np.ndarray, starts: np.ndarray, first: np.ndarray, vertices: np.ndarray, fields: list[_Field]
) -> None:
    """Write one bit stream for each cluster, a value of each field for each vertex."""
    size = sum(field.width for field in fields)
    place = np.arange(int(vertices.sum())) * np.repeat(size, vertices) + np.repeat(32 * starts - first * size, vertices)
    if size.max() > 63:
        for field in fields:
            _or_bits(words, place, field.values.astype(np.int64) - np.repeat(field.low, vertices), 32)
            place += np.repeat(field.width, vertices)
        return
    low, joined, shift = fields[0].low.astype(np.int64), fields[0].values.astype(np.int64), fields[0].width
    for field in fields[1:]:
        low += field.low.astype(np.int64) << shift
        joined += field.values.astype(np.int64) << np.repeat(shift, vertices)
        shift = shift + field.width
    _or_bits(words, place, joined - np.repeat(low, vertices), int(size.max()))


def _or_bits(words: np.ndarray, place: np.ndarray, values: np.ndarray, bits: int) -> None:
    """Add the values (v,) int64 of at most so many bits to the words, still zero there, from these bits on."""
    word, shift = place >> 5, (place & 31).view(np.uint64)
    half = np.uint64(32)
    low = (values & 0xFFFFFFFF).view(np.uint64) << shift
    high = (values.view(np.uint64) >> half) << shift
    np.add.at(words, word, low.astype(np.uint32))
    np.add.at(words, word + 1, ((low >> half) | high).astype(np.uint32))
    if bits > 33:
        np.add.at(words, word + 2, (high >> half).astype(np.uint32))
