"""Decode stored pages: from what zstandard gives back to the words that the GPU reads.

A stored page says nothing twice. Its streams, each of bytes, large numbers split into planes from the low byte up:

    sizes       of the streams below, uint32 each
    header      page header and list of dependencies, as in the page
    records     per cluster: made_by and group (differences, 4 planes each), level, flags, material ranges
    materials   per range: difference from the one before, 4 planes
    trees       per range: trees
    triangles   has left child | has right child << 1 | code of the third corner << 2
    far         distances of the corners whose code is FAR
    roots       codes of the first and second corner of each root, 2 planes
    copies      per copied vertex: difference from the one before, 2 planes: which owned vertex of the page
    columns     of the owned vertices: x, y, z, then normal, UV, colour as far as there: what prediction missed

Triangles. Those of a material range stand in trees, across edges, breadth first. A triangle (a, b, c) was entered by
its edge ab; its children are entered by cb (left) and ac (right). All trees of a page are stored together, roots
first, then wave by wave: the flags alone tell who is whose child (level-order unary degree sequence; Jacobson,
"Space-efficient static trees and graphs", 1989). Vertices are numbered by first use in their cluster; a corner is a
code: OWNED and COPIED are new vertices, others count back from the newest (as in Gumhold and Strasser, "Real time
compression of triangle mesh connectivity", 1998, without a state to replay, so that numpy can decode it).

Vertices. A copied vertex is the same in all columns as one of another cluster of the page. An owned one differs from
the parallelogram over the edge it was reached by (Touma and Gotsman, "Triangle mesh compression", 1998), or from its
first owned corner; those of roots from one another. Boxes, widths and places of clusters follow from the vertices.
"""

from typing import NamedTuple

import numpy as np

from engine import asset_pages, layout
from engine.asset_pages import HEADER_WORDS, MAX_TRIANGLES, RECORD_WORDS

NAMES = ("header", "records", "materials", "trees", "triangles", "far", "roots", "copies")
COLUMN_LIMIT = 11  # x y z, normal (2), UV (2), colour (4)
STREAM_COUNT = len(NAMES) + COLUMN_LIMIT
RECORD_PLANES = 11
OWNED, COPIED = 0, 1  # codes of new vertices; others are 1 + how far to count back
FAR = 63  # code of a third corner whose distance stands in `far`
_MAX_VERTICES = int(layout.CONSTANTS["MAX_CLUSTER_VERTICES"])
_COUNT_BACK = np.maximum(np.arange(257, dtype=np.int32) - 1, 0)  # by code
WIDE = (True, True, True, False, False, True, True, False, False, False, False)  # columns of more than 8 bits


def column_numbers(flags: int) -> list[int]:
    """Return which of the COLUMN_LIMIT columns clusters of these CLUSTER_* flags have."""
    constants, numbers = layout.CONSTANTS, [0, 1, 2]
    numbers += [3, 4] if flags & constants["CLUSTER_HAS_NORMALS"] else []
    numbers += [5, 6] if flags & constants["CLUSTER_HAS_UVS"] else []
    return numbers + ([7, 8, 9, 10] if flags & constants["CLUSTER_HAS_COLORS"] else [])


def decode_page(content: np.ndarray, word_count: int) -> np.ndarray:
    """Return the words (w,) uint32 of the page that `content` (n,) uint8 holds; raise ValueError where it holds none."""
    try:
        parts = _cut(content)
        words = _decode(parts, word_count)
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

    corners: np.ndarray  # (t, 3) int32, in the order of waves
    order: np.ndarray  # (t,) int64: from the order of clusters to that of waves
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
    columns = column_numbers(int(flags[0]))
    if any(column_numbers(int(other)) != columns for other in np.unique(flags)):
        raise ValueError("has clusters of different kinds")
    trees = _grow(named["triangles"] & 3, int(named["trees"].sum(dtype=np.int64)))
    mesh = _connect(trees, named, ranges)
    values, row = _predict(trees, mesh, named["copies"], parts[len(NAMES) :], columns)
    vertices, triangles = np.diff(mesh.first_vertex), np.diff(mesh.first_triangle)
    records = np.zeros(count, layout.CLUSTER)
    records["made_by"] = np.cumsum(_join(planes[:4]), dtype=np.uint32)
    records["group"] = np.cumsum(_join(planes[4:8]), dtype=np.uint32)
    records["counts"] = (vertices | triangles << 8).astype(np.uint32) | level << 16 | flags << 24
    records["bits"] = ranges << 25
    records["index"] = int(asset_pages.page_header(header)["first_cluster"]) + np.arange(count)
    materials = np.cumsum(_join(named["materials"].reshape(4, -1)), dtype=np.uint32)
    of_vertex = {number: values[:, k][row] for k, number in enumerate(columns)}
    return _write(header, records, mesh, mesh.range_end.astype(np.uint32) | materials << 8, of_vertex, word_count)


def _join(planes: np.ndarray) -> np.ndarray:
    """Return the numbers (n,) uint32 of up to 4 planes (k, n) uint8, lowest first."""
    out = np.zeros((planes.shape[1], 4), np.uint8)
    out[:, : len(planes)] = planes.T
    return out.view(np.uint32)[:, 0]


def _grow(flags: np.ndarray, roots: int) -> _Trees:
    """Return the trees that the flags (t,) of children say."""
    count = len(flags)
    gates = np.empty((count, 2), np.uint8)
    gates[:, 0], gates[:, 1] = flags & 1, flags >> 1
    child = np.flatnonzero(gates)
    parent, right = child >> 1, child & 1
    if roots == 0 or len(child) != count - roots or (parent >= np.arange(roots, count)).any():
        raise ValueError("has triangles that no tree holds")
    end_of_children = roots + np.cumsum(gates.sum(axis=1), dtype=np.int64)
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
    new = (code <= COPIED).astype(np.int32)
    all_new = new.copy()
    all_new[tree_end - size] += (pair <= COPIED).sum(axis=1, dtype=np.int32)
    used = np.cumsum(all_new)
    number = used - new - back
    before = (used - all_new)[tree_end - size]
    corners = np.empty((count, 3), np.int32)
    corners[order, 2] = number
    corners[:roots, 0] = before - _COUNT_BACK[pair[:, 0]]
    corners[:roots, 1] = before + (pair[:, 0] <= COPIED) - _COUNT_BACK[pair[:, 1]]
    flat, up = corners.reshape(-1), 3 * trees.parent
    source = np.stack([up + 2 - 2 * trees.right, up + 1 + trees.right], axis=1)
    for start, end in zip(trees.ends, trees.ends[1:]):
        corners[start:end, :2] = flat[source[start - roots : end - roots]]
    copied = np.zeros(used[-1], np.bool_)
    copied[number[code == COPIED]] = True
    copied[corners[:roots, :2][pair == COPIED]] = True
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
    return _Mesh(corners, order, copied, owned, root_owned, first_vertex, first_triangle, range_end)


def _predict(
    trees: _Trees, mesh: _Mesh, copies: np.ndarray, parts: list[np.ndarray], columns: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns (owned + 1, k) int32 of the owned vertices, and the row (v,) of each vertex in them."""
    roots, flat = trees.ends[0], mesh.corners.reshape(-1)
    chain = mesh.corners[:roots][mesh.root_owned]  # in order of the trees, which need not be that of numbers
    reached = np.flatnonzero(mesh.owned[roots:])
    count = len(chain) + len(reached)
    values = np.zeros((count + 1, len(columns)), np.int32)  # the last row stays zero
    for k, number in enumerate(columns):
        values[:count, k] = _differences(parts[number], count, WIDE[number])
    row = np.full(len(mesh.copied), count)
    row[chain] = np.arange(len(chain))
    row[mesh.corners[roots:, 2][reached]] = np.arange(len(chain), count)
    np.cumsum(values[: len(chain)], axis=0, out=values[: len(chain)])
    last_of_chain = np.cumsum(mesh.root_owned.sum(axis=1)) - 1
    ends = len(chain) + np.searchsorted(reached, np.array(trees.ends) - roots)
    begin = np.repeat(ends[:-1], np.diff(ends))  # of the wave of each; what comes later is not known there
    left, right = row[mesh.corners[roots:, :2][reached]].T
    opposite = row[flat[3 * trees.parent[reached] + trees.right[reached]]]
    full = (left < begin) & (right < begin) & (opposite < begin)
    start = np.where(opposite < begin, opposite, last_of_chain[trees.tree[roots:][reached]])
    start = np.where(left < begin, left, np.where(right < begin, right, start))
    terms = np.stack([start, np.where(full, right, count), np.where(full, opposite, count)], axis=1)
    ends = ends.tolist()
    for start, end in zip(ends, ends[1:]):
        term = values[terms[start - len(chain) : end - len(chain)]]
        values[start:end] += term[:, 0] + term[:, 1] - term[:, 2]
    source = np.cumsum(_join(copies.reshape(2, -1)), dtype=np.uint16)
    row[mesh.copied] = row[~mesh.copied][source]
    return values, row


def _differences(stream: np.ndarray, count: int, wide: bool) -> np.ndarray:
    """Return what prediction missed in one column, (count,) int32; modulo 256 in narrow columns."""
    if not wide:
        return stream.astype(np.int32).reshape(count)
    folded = _join(stream.reshape(-1, count))
    return (folded >> 1).view(np.int32) ^ -(folded & 1).view(np.int32)


def _write(
    header: np.ndarray, records: np.ndarray, mesh: _Mesh, ranges: np.ndarray, columns: dict[int, np.ndarray],
    word_count: int,
) -> np.ndarray:  # fmt: skip
    """Return the words of the page; completes the records."""
    first, vertices = mesh.first_vertex[:-1], np.diff(mesh.first_vertex)
    wide = [number for number in columns if WIDE[number]]
    low = {number: np.minimum.reduceat(columns[number], first) for number in wide}
    high = {number: np.maximum.reduceat(columns[number], first) for number in wide}
    width = {number: np.frexp((high[number] - low[number]).astype(np.float64))[1].astype(np.int64) for number in wide}
    records["origin"] = np.stack([low[k] for k in range(3)], axis=1)
    records["extent"] = np.stack([high[k] - low[k] for k in range(3)], axis=1)
    for place, number in enumerate(wide):
        records["bits"] |= width[number].astype(np.uint32) << (5 * place)
    sizes = asset_pages.stream_words(records)
    begin = len(header) + len(records) * RECORD_WORDS
    total = sizes.sum(axis=1)
    data = begin + np.cumsum(total) - total
    if data[-1] + total[-1] != word_count:
        raise ValueError("has a wrong size")
    records["data"] = data - HEADER_WORDS - np.arange(len(records)) * RECORD_WORDS
    words = np.zeros(word_count + 3, np.uint32)
    words[:HEADER_WORDS] = header[:HEADER_WORDS]
    words[HEADER_WORDS : begin - len(header) + HEADER_WORDS] = records.view(np.uint32)
    words[begin - len(header) + HEADER_WORDS : begin] = header[HEADER_WORDS:]
    starts = (data[:, None] + np.cumsum(sizes, axis=1) - sizes).T
    owner = np.repeat(np.arange(len(records)), vertices)
    local = np.arange(len(owner)) - first[owner]
    words[runs(starts[0], sizes[:, 0])] = ranges
    _write_triangles(words, starts[1], mesh)
    _write_bits(words, starts[2], owner, local, [(columns[k] - low[k][owner], width[k]) for k in range(3)])
    if 3 in columns:
        pair = columns[3] & 255 | (columns[4] & 255) << 8
        words.view(np.uint16)[2 * starts[3][owner] + local] = pair
    if 5 in columns:
        words[starts[4]], words[starts[4] + 1] = low[5].view(np.uint32), low[6].view(np.uint32)
        _write_bits(words, starts[4] + 2, owner, local, [(columns[k] - low[k][owner], width[k]) for k in (5, 6)])
    if 7 in columns:
        colors = np.stack([columns[k] for k in range(7, 11)], axis=1).astype(np.uint8)
        words[starts[5][owner] + local] = colors.view(np.uint32)[:, 0]
    return words[:word_count]


def runs(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return starts[i] ... starts[i] + counts[i] - 1 of all i, one after the other."""
    return np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))


def _write_triangles(words: np.ndarray, starts: np.ndarray, mesh: _Mesh) -> None:
    counts = np.diff(mesh.first_triangle)
    owner = np.repeat(np.arange(len(counts)), counts)
    local = mesh.corners[mesh.order] - mesh.first_vertex[owner].astype(np.int32)[:, None]
    if ((local < 0) | (local > _MAX_VERTICES)).any():
        raise ValueError("has a triangle with a vertex of another cluster")
    place = (4 * starts - 3 * mesh.first_triangle[:-1])[owner] + 3 * np.arange(len(owner))
    octets = words.view(np.uint8)
    for k in range(3):
        octets[place + k] = local[:, k]


def _write_bits(
    words: np.ndarray, starts: np.ndarray, owner: np.ndarray, local: np.ndarray,
    fields: list[tuple[np.ndarray, np.ndarray]],
) -> None:  # fmt: skip
    """Write one bit stream for each cluster; fields: values (v,) and bits (c,) of each field of a vertex."""
    size = sum(width for _, width in fields)
    place = (32 * starts)[owner] + local * size[owner]
    if size.max() <= 64:
        joined, shift = np.zeros(len(owner), np.uint64), np.zeros(len(starts), np.int64)
        for value, width in fields:
            joined |= value.astype(np.uint64) << shift[owner].astype(np.uint64)
            shift = shift + width
        fields = [(joined, size)]
    for value, width in fields:
        _or_bits(words, place, value.astype(np.uint64))
        place = place + width[owner]


def _or_bits(words: np.ndarray, place: np.ndarray, values: np.ndarray) -> None:
    """Add the values (v,) uint64 to the words, where they are still zero, from these bits on."""
    word, shift = place >> 5, (place & 31).astype(np.uint64)
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    low, high = (values & mask) << shift, (values >> half) << shift
    first, last = int(word[0]), int(word[-1])
    for k, part in enumerate((low & mask, (low >> half) + (high & mask), high >> half)):
        total = np.bincount(word - first, part, last - first + 1)  # exact: no two values share a bit
        words[first + k : last + k + 1] += total.astype(np.uint32)
