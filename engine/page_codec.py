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
from engine.asset_pages import HEADER_WORDS, MAX_TRIANGLES
from engine.page_words import WIDE, PageContent, write_page

NAMES = ("header", "records", "materials", "trees", "triangles", "far", "roots", "copies")
COLUMN_LIMIT = 11  # x y z, normal (2), UV (2), colour (4)
STREAM_COUNT = len(NAMES) + COLUMN_LIMIT
RECORD_PLANES = 11
OWNED, COPIED = 0, 1  # codes of new vertices; others are 1 + how far to count back
FAR = 63  # code of a third corner whose distance stands in `far`
_MAX_VERTICES = int(layout.CONSTANTS["MAX_CLUSTER_VERTICES"])
_COUNT_BACK = np.maximum(np.arange(257, dtype=np.int32) - 1, 0)  # by code
DEEPEST = 20  # triangles from the root of a tree to a leaf: a wave is a step of the decoder
HAS_COLUMNS = sum(int(layout.CONSTANTS[f"CLUSTER_HAS_{name}"]) for name in ("NORMALS", "UVS", "COLORS"))


def column_numbers(flags: int) -> list[int]:
    """Return which of the COLUMN_LIMIT columns clusters of these CLUSTER_* flags have."""
    constants, numbers = layout.CONSTANTS, [0, 1, 2]
    numbers += [3, 4] if flags & constants["CLUSTER_HAS_NORMALS"] else []
    numbers += [5, 6] if flags & constants["CLUSTER_HAS_UVS"] else []
    return numbers + ([7, 8, 9, 10] if flags & constants["CLUSTER_HAS_COLORS"] else [])


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
