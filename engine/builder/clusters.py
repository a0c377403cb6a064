"""Split triangles into clusters: compact, spatially ordered and nearly always full.

A kd-tree over triangle centroids, whose left side always takes a whole number of full clusters, so that one cluster
in a range is left partly filled, not one in two. Splitting goes on inside a cluster, which keeps neighbouring
triangles close in the final order. Median splits: J. L. Bentley, Multidimensional binary search trees, 1975;
selection: C. A. R. Hoare, Algorithm 65: find, 1961, with the partition of N. Lomuto (J. Bentley, 1984).
"""

import numpy as np
from numba import njit
from numba.extending import register_jitable

from engine.builder.threads import run_blocks

_BLOCK = 16384  # triangles of one task
_PARALLEL_ROWS = 7  # rows of the tree that are split range by range in parallel; below, whole subtrees are
_LOCAL_TRIANGLES = 8  # splitting inside a cluster stops here
_SAMPLES = 25  # coordinates that a pivot is chosen from
_PACKED_TOGETHER = 32  # clusters, where vertices limit them
_FULL_CLUSTER_VERTICES = 1.3  # of what the mesh has for as many triangles: what is shared between clusters counts twice
_TABLE = 1024  # slots of the table that counts the vertices of one cluster: more than 2 * 3 * 128


def cluster_mesh(
    lattice: np.ndarray,
    vertex_position: np.ndarray,
    faces: np.ndarray,
    face_material: np.ndarray,
    max_triangles: int,
    max_vertices: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (order (m,) int32, first (c + 1,) int64): cluster i is the triangles order[first[i]:first[i + 1]].

    lattice (p, 3) int32 positions, vertex_position (v,) int32, faces (m, 3) int32 vertices, face_material (m,) int32.
    A cluster has at most `max_triangles` (<= 128) triangles and `max_vertices` (>= 3) vertices; inside it triangles are
    sorted by material. The result does not depend on the number of threads.
    """
    if len(faces) == 0:
        return np.zeros(0, np.int32), np.zeros(1, np.int64)
    points, order = np.empty((len(faces), 3), np.float32), np.empty(len(faces), np.int32)
    run_blocks(_centroids, len(faces), _BLOCK, lattice, vertex_position, faces, points, order)
    pack = _is_limited_by_vertices(len(faces), len(vertex_position), max_triangles, max_vertices)
    smallest = _PACKED_TOGETHER * max_triangles if pack else max_triangles
    edges = np.array([0, len(faces)])  # of the ranges of a row
    for _ in range(_PARALLEL_ROWS):
        middles = np.empty(len(edges) - 1, np.int64)
        run_blocks(_split_row, len(middles), 1, points, order, edges, smallest, middles)
        edges = np.union1d(edges, middles)
    starts = np.zeros(len(faces), np.uint8)
    arrays = (points, order, faces, face_material, edges)
    run_blocks(_split_subtrees, len(edges) - 1, 1, *arrays, max_triangles, max_vertices, pack, starts)
    return order, np.append(np.flatnonzero(starts), len(faces))


@njit(nogil=True, cache=True, error_model="numpy")
def cluster_group(positions, vertex_position, faces, face_material, max_triangles, max_vertices):
    """Return (order (m,) int32, first (c + 1,) int32) as `cluster_mesh` does, for the triangles of one group.

    positions (p, 3) float64; the rest as in `cluster_mesh`, with indices local to the group. Serial.
    """
    count = len(faces)
    points = np.empty((count, 3), np.float32)
    order = np.empty(count, np.int32)
    for i in range(count):
        a, b, c = vertex_position[faces[i, 0]], vertex_position[faces[i, 1]], vertex_position[faces[i, 2]]
        order[i] = i
        for k in range(3):
            points[i, k] = positions[a, k] + positions[b, k] + positions[c, k]
    used = np.zeros(len(vertex_position), np.bool_)
    vertices = 0
    for i in range(count):
        for k in range(3):
            vertices += 0 if used[faces[i, k]] else 1
            used[faces[i, k]] = True
    starts = np.zeros(count, np.uint8)
    if count > 0:
        pack = _is_limited_by_vertices(count, vertices, max_triangles, max_vertices)
        _split_range(points, order, faces, face_material, 0, count, max_triangles, max_vertices, pack, starts)
    clusters = 0
    for i in range(count):
        clusters += starts[i]
    first = np.empty(clusters + 1, np.int32)
    k = 0
    for i in range(count):
        if starts[i]:
            first[k] = i
            k += 1
    first[k] = count
    return order, first


@register_jitable
def _is_limited_by_vertices(triangles, vertices, max_triangles, max_vertices):
    """Return whether so few vertices are shared (3 a triangle in a soup) that many clusters would have too many."""
    return _FULL_CLUSTER_VERTICES * vertices * max_triangles > max_vertices * triangles


@njit(nogil=True, cache=True, error_model="numpy")
def _centroids(first, end, lattice, vertex_position, faces, points, order):
    """Write for triangles first..end the sum of their corners (m, 3) float32, and their numbers."""
    for i in range(first, end):
        a, b, c = vertex_position[faces[i, 0]], vertex_position[faces[i, 1]], vertex_position[faces[i, 2]]
        order[i] = i
        for k in range(3):
            points[i, k] = np.float32(lattice[a, k] + lattice[b, k] + lattice[c, k])


@njit(nogil=True, cache=True, error_model="numpy")
def _split_row(first, end, points, order, edges, leaf, middles):
    """Split the ranges edges[i]:edges[i + 1], i in first..end, that hold more than one cluster; write where."""
    for i in range(first, end):
        low, high = edges[i], edges[i + 1]
        middles[i] = _middle(low, high, leaf) if high - low > leaf else high
        if middles[i] < high:
            _select(points, order, low, high, middles[i], _widest_axis(points, low, high))


@njit(nogil=True, cache=True, error_model="numpy")
def _split_subtrees(first, end, points, order, faces, face_material, edges, leaf, max_vertices, pack, starts):
    for i in range(first, end):
        _split_range(points, order, faces, face_material, edges[i], edges[i + 1], leaf, max_vertices, pack, starts)


@njit(nogil=True, error_model="numpy")
def _split_range(points, order, faces, face_material, first, last, leaf, max_vertices, pack, starts):
    """Split triangles first..last into clusters of at most `leaf`; set starts[i] where one begins.

    pack: fill clusters in the order of the tree, not range by range; the rare cluster with too many vertices is halved
    otherwise.
    """
    table = np.empty(_TABLE, np.int32)
    if pack:
        _order_range(points, order, first, last)
        _pack_range(order, faces, face_material, first, last, leaf, max_vertices, table, starts)
        return
    stack = np.empty((128, 2), np.int64)
    stack[0, 0], stack[0, 1] = first, last
    depth = 1
    while depth > 0:
        depth -= 1
        first, last = stack[depth, 0], stack[depth, 1]
        middle = first
        if last - first > leaf:
            middle = _middle(first, last, leaf)
        elif 3 * (last - first) > max_vertices and _count_vertices(faces, order, first, last, table) > max_vertices:
            middle = (first + last) // 2
        if middle > first:
            _select(points, order, first, last, middle, _widest_axis(points, first, last))
            stack[depth, 0], stack[depth, 1] = middle, last
            stack[depth + 1, 0], stack[depth + 1, 1] = first, middle
            depth += 2
        else:
            starts[first] = 1
            _order_cluster(points, order, face_material, first, last)


@njit(nogil=True, error_model="numpy")
def _middle(first, last, leaf):
    """Return where to split so that the left side holds full clusters only."""
    pieces = (last - first + leaf - 1) // leaf
    return first + (pieces // 2) * leaf


@njit(nogil=True, error_model="numpy")
def _order_cluster(points, order, face_material, first, last):
    """Order the triangles of one cluster by place, then (stable) by material."""
    _order_range(points, order, first, last)
    _sort_materials(order, face_material, first, last)


@njit(nogil=True, error_model="numpy")
def _order_range(points, order, first, last):
    """Order triangles by place: the leaves of a kd-tree."""
    stack = np.empty((64, 2), np.int64)
    stack[0, 0], stack[0, 1] = first, last
    depth = 1
    while depth > 0:
        depth -= 1
        a, b = stack[depth, 0], stack[depth, 1]
        if b - a > _LOCAL_TRIANGLES:
            middle = (a + b) // 2
            _select(points, order, a, b, middle, _widest_axis(points, a, b))
            stack[depth, 0], stack[depth, 1] = middle, b
            stack[depth + 1, 0], stack[depth + 1, 1] = a, middle
            depth += 2


@njit(nogil=True, error_model="numpy")
def _sort_materials(order, face_material, first, last):
    for i in range(first + 1, last):
        face = order[i]
        j = i
        while j > first and face_material[order[j - 1]] > face_material[face]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = face


@njit(nogil=True, error_model="numpy")
def _pack_range(order, faces, face_material, first, last, max_triangles, max_vertices, table, starts):
    """Fill one cluster after the other with the triangles as they are ordered."""
    begin, vertices = first, np.int64(0)
    _clear(table)
    for i in range(first, last):
        added = _add_vertices(faces, order[i], table)
        if i > begin and (i - begin == max_triangles or vertices + added > max_vertices):
            starts[begin] = 1
            _sort_materials(order, face_material, begin, i)
            _clear(table)
            begin, vertices = i, np.int64(0)
            added = _add_vertices(faces, order[i], table)
        vertices += added
    starts[begin] = 1
    _sort_materials(order, face_material, begin, last)


@njit(nogil=True, error_model="numpy")
def _count_vertices(faces, order, first, last, table):
    """Return how many different vertices the triangles use (open addressing)."""
    _clear(table)
    count = 0
    for i in range(first, last):
        count += _add_vertices(faces, order[i], table)
    return count


@njit(nogil=True, error_model="numpy")
def _clear(table):
    for slot in range(_TABLE):
        table[slot] = -1


@njit(nogil=True, error_model="numpy")
def _add_vertices(faces, face, table):
    """Put the vertices of a face into the table; return how many are new."""
    count = 0
    for k in range(3):
        vertex = faces[face, k]
        slot = (vertex * np.uint32(2654435769) >> np.uint32(22)) & (_TABLE - 1)
        while table[slot] != vertex and table[slot] >= 0:
            slot = (slot + 1) & (_TABLE - 1)
        if table[slot] < 0:
            table[slot] = vertex
            count += 1
    return count


@njit(nogil=True, error_model="numpy")
def _widest_axis(points, first, last):
    low_x = high_x = points[first, 0]
    low_y = high_y = points[first, 1]
    low_z = high_z = points[first, 2]
    for i in range(first + 1, last):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        low_x, high_x = min(low_x, x), max(high_x, x)
        low_y, high_y = min(low_y, y), max(high_y, y)
        low_z, high_z = min(low_z, z), max(high_z, z)
    x, y, z = high_x - low_x, high_y - low_y, high_z - low_z
    if x >= y and x >= z:
        return 0
    return 1 if y >= z else 2


@njit(nogil=True, error_model="numpy")
def _select(points, order, first, last, middle, axis):
    """Reorder first..last so that coordinates before `middle` are no larger than those after it."""
    low, high = first, last - 1
    while low < high:
        if high - low > 16 * _SAMPLES:
            pivot = _sampled_pivot(points, low, high, middle, axis)
        else:
            a, b, c = points[low, axis], points[(low + high) // 2, axis], points[high, axis]
            pivot = max(min(a, b), min(max(a, b), c))
        i = _partition(points, order, low, high, axis, pivot, False)
        if middle < i:
            high = i - 1
        elif i > low:
            low = i
        else:  # the pivot is the least of all
            low = _partition(points, order, low, high, axis, pivot, True)
            if middle < low:
                return


@njit(nogil=True, error_model="numpy")
def _partition(points, order, low, high, axis, pivot, equal):
    """Move what is below the pivot, or equal where that counts, to the front of low..high; return where it ends.

    Without branches that depend on the coordinates: they would be mispredicted half of the time.
    """
    end = low
    for i in range(low, high + 1):
        x, y, z, number, value = points[i, 0], points[i, 1], points[i, 2], order[i], points[i, axis]
        points[i, 0], points[i, 1], points[i, 2] = points[end, 0], points[end, 1], points[end, 2]
        order[i] = order[end]
        points[end, 0], points[end, 1], points[end, 2], order[end] = x, y, z, number
        end += 1 if value < pivot or (equal and value == pivot) else 0
    return end


@njit(nogil=True, error_model="numpy")
def _sampled_pivot(points, low, high, middle, axis):
    """Return a coordinate near the one that belongs at `middle` (after R. Floyd and R. Rivest, 1975)."""
    sample = np.empty(_SAMPLES, np.float32)
    for i in range(_SAMPLES):
        value = points[low + (high - low) * i // (_SAMPLES - 1), axis]
        j = i
        while j > 0 and sample[j - 1] > value:
            sample[j] = sample[j - 1]
            j -= 1
        sample[j] = value
    return sample[_SAMPLES * (middle - low) // (high - low + 1)]
