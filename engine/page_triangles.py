"""Compiled loops of page_codec.py: how the triangles of a page hang together, and what predicts its vertices.

Triangles are numbered as they are stored, in waves; `order` lists them tree by tree, cluster after cluster.
"""

import numpy as np
from numba import njit

from engine import (
    kernel_cache,  # noqa: F401  names the folder of compiled kernels
    layout,
    page_codec,
)

MAX_TRIANGLES = int(layout.CONSTANTS["MAX_CLUSTER_TRIANGLES"])
MAX_VERTICES = int(layout.CONSTANTS["MAX_CLUSTER_VERTICES"])
_NONE = 0xFFFFFFFF  # in place of a row or a twin: there is none yet


@njit(nogil=True, error_model="numpy")
def read_number(content, first, planes, step):
    """Return the number whose low byte is content[first], each further one `step` bytes behind."""
    number = np.int64(0)
    for plane in range(planes):
        number |= np.int64(content[first + plane * step]) << (8 * plane)
    return number


@njit(nogil=True, error_model="numpy")
def grow(content, starts, entered, tree, first, order):
    """Fill arrays of t triangles, uint32, from the flags of children; return the problem.

    entered (t + 2,): parent << 1 | is a right child, of all but roots. tree (t + 2,): of each triangle. order (t,): the
    triangles, tree by tree, each from the root down. first (roots + 1,) int64, zero before: where each tree begins in
    `order`.
    """
    symbols = content[starts[page_codec.TRIANGLES] : starts[page_codec.TRIANGLES + 1]]
    count, roots = len(symbols), len(first) - 1
    for root in range(roots):
        tree[root] = root
        first[root + 1] = 1
    claimed, distances = roots, np.int64(0)
    for face in range(count):
        if face >= claimed or claimed > count:
            return page_codec.LOOSE_TRIANGLES
        symbol, parent_tree = np.int64(symbols[face]), tree[face]
        distances += symbol >> 2 == page_codec.FAR
        # Both children are written, and claimed where they are there: a branch would be guessed wrong too often.
        has_left, has_right = symbol & 1, symbol >> 1 & 1
        entered[claimed], tree[claimed] = 2 * face, parent_tree
        claimed += has_left
        entered[claimed], tree[claimed] = 2 * face + 1, parent_tree
        claimed += has_right
        first[np.int64(parent_tree) + 1] += has_left + has_right
    if claimed != count:
        return page_codec.LOOSE_TRIANGLES
    if distances != starts[page_codec.DISTANCES + 1] - starts[page_codec.DISTANCES]:
        return page_codec.STREAM_SIZES
    following = np.empty(roots, np.int64)
    for root in range(roots):
        following[root] = first[root]
        first[root + 1] += first[root]
    for face in range(count):
        order[following[tree[face]]] = face
        following[tree[face]] += 1
    return page_codec.FINE


@njit(nogil=True, error_model="numpy")
def connect(content, starts, records, ranges, entered, first, order, corners, local, row, twin, chain_end):
    """Return (problem, number of vertices).

    Fills corners (t, 3) uint32: vertices of the page, by triangle. local (3 t,) uint8: vertices of the cluster, in
    `order`. twin (v,) uint32: the vertex itself where it is owned, else _NONE. row (v,) uint32: in the columns, of
    owned vertices of roots. chain_end (roots,) int64: row of the last owned vertex of the roots so far, or -1.
    Adds to the records the numbers of vertices and triangles, to the ranges where they end.
    """
    symbols = content[starts[page_codec.TRIANGLES] : starts[page_codec.TRIANGLES + 1]]
    pairs = content[starts[page_codec.ROOTS] : starts[page_codec.ROOTS + 1]]
    distance, roots = starts[page_codec.DISTANCES], len(chain_end)
    used = chain = place = which_range = which_tree = np.int64(0)
    for cluster in range(len(records)):
        base, begin = used, place
        for _ in range(np.int64(records[cluster].bits) >> 25):
            which_tree += np.int64(content[starts[page_codec.TREES] + which_range])
            while place < first[which_tree]:
                face = np.int64(order[place])
                if face >= roots:
                    _enter(corners, face, np.int64(entered[face]))
                for k in range(0 if face < roots else 2, 3):
                    if k < 2:
                        code = read_number(pairs, 2 * face + k, 2, 2 * roots)
                    else:
                        code = np.int64(symbols[face]) >> 2
                    vertex = used
                    if code <= page_codec.COPIED:
                        twin[vertex], row[vertex] = vertex if code == page_codec.OWNED else _NONE, _NONE
                        if code == page_codec.OWNED and face < roots:
                            row[vertex] = chain
                            chain += 1
                        used += 1
                    elif k == 2 and code == page_codec.FAR:
                        vertex -= np.int64(content[distance])  # grow() has counted them
                        distance += 1
                    else:
                        vertex -= code - 1
                    if vertex < base or vertex >= used:
                        return page_codec.WRONG_VERTEX, used
                    corners[face, k] = vertex
                if face < roots:
                    chain_end[face] = chain - 1
                for k in range(3):
                    local[3 * place + k] = corners[face, k] - base
                place += 1
            ranges[which_range] |= place - begin
            which_range += 1
        if used - base > MAX_VERTICES or place - begin > MAX_TRIANGLES:
            return page_codec.CLUSTER_SIZE, used
        records[cluster].counts |= (used - base) | (place - begin) << 8
    return page_codec.FINE, used


@njit(nogil=True, error_model="numpy")
def _enter(corners, face, entered):
    """Fill the first two corners of a triangle from its parent's (a, b, c): c b on the left, a c on the right."""
    parent = entered >> 1
    if entered & 1:
        corners[face, 0], corners[face, 1] = corners[parent, 0], corners[parent, 2]
    else:
        corners[face, 0], corners[face, 1] = corners[parent, 2], corners[parent, 1]


@njit(nogil=True, error_model="numpy")
def find_twins(content, starts, twin, owned):
    """Return (problem, number of owned vertices); fill the rest of twin (v,) uint32: the owned one of each copied one.

    owned (v,) uint32: the owned vertices in their order.
    """
    first, size = starts[page_codec.COPIES], starts[page_codec.COPIES + 1] - starts[page_codec.COPIES]
    count = copied = source = np.int64(0)
    for vertex in range(len(twin)):
        if twin[vertex] == vertex:
            owned[count] = vertex
            count += 1
            continue
        if 2 * copied + 2 > size:
            return page_codec.WRONG_COPY, count
        source = (source + read_number(content, first + copied, 2, size // 2)) & 0xFFFF
        if source >= count:
            return page_codec.WRONG_COPY, count
        twin[vertex] = owned[source]
        copied += 1
    return page_codec.FINE if 2 * copied == size else page_codec.WRONG_COPY, count


@njit(nogil=True, error_model="numpy")
def find_sources(content, starts, entered, tree, corners, chain_end, row, sources):
    """Fill sources (n, 3) uint32: rows of what each owned vertex is predicted from, first plus second minus third.

    Row n is zero. Adds to `row` the rows of the vertices that are reached over an edge.
    """
    symbols = content[starts[page_codec.TRIANGLES] : starts[page_codec.TRIANGLES + 1]]
    none, roots = len(sources), len(chain_end)
    rows = chain_end[roots - 1] + 1
    for k in range(rows):
        sources[k, 0], sources[k, 1], sources[k, 2] = k - 1 if k else none, none, none
    wave, known = np.int64(0), rows  # the first triangle of this wave; rows below are of earlier ones
    for face in range(roots, len(symbols)):
        parent = np.int64(entered[face]) >> 1
        if parent >= wave:
            wave, known = face, rows
        if np.int64(symbols[face]) >> 2 != page_codec.OWNED:
            continue
        left, right = np.int64(row[corners[face, 0]]), np.int64(row[corners[face, 1]])
        opposite = np.int64(row[corners[parent, np.int64(entered[face]) & 1]])
        start, second, third = chain_end[tree[face]], none, none
        if left < known and right < known and opposite < known:
            start, second, third = left, right, opposite
        elif left < known:
            start = left
        elif right < known:
            start = right
        elif opposite < known:
            start = opposite
        elif start < 0:
            start = none
        sources[rows, 0], sources[rows, 1], sources[rows, 2] = start, second, third
        row[corners[face, 2]] = rows
        rows += 1
