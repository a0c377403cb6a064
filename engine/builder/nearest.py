"""The nearest triangle to a point, by branch and bound in a complete binary tree of boxes over clusters.

The node at depth d and place j of its row covers clusters [j * c >> d, (j + 1) * c >> d). From the row on where each
node holds at most one cluster, SPLIT_DEPTH more rows halve the triangles of that cluster, in the order in which they
stand (clusters.py leaves neighbours together). Children of node i are 2 i + 1 and 2 i + 2. Coordinates are lattice
units, so float32 holds corners and boxes exactly.
"""

import numpy as np
from numba import njit

from engine.builder.kernels import bare_njit
from engine.builder.threads import run_blocks

SPLIT_DEPTH = 5  # rows below a cluster: leaves of 4 triangles
STACK_NODES = 64
BLOCK_CLUSTERS = 128  # of one parallel task


def build_source_tree(
    positions: np.ndarray, vertex_position: np.ndarray, faces: np.ndarray, cluster_first_face: np.ndarray
) -> tuple:  # fmt: skip
    """Return build_tree's tree, made by several threads."""
    corners, first, boxes, depth = _empty_tree(len(faces), cluster_first_face)

    def work(low: int, high: int) -> None:
        _fill_tree(positions, vertex_position, faces, corners, first, boxes, depth, low, high)

    run_blocks(work, 1 << depth, BLOCK_CLUSTERS)
    _box_rows(boxes, depth)
    return corners, first, boxes, depth


@njit(nogil=True, cache=True, error_model="numpy")
def build_tree(positions, vertex_position, faces, cluster_first_face):
    """Build the tree over triangles.

    positions (p, 3) int32 or float64 lattice units; vertex_position (v,) int32; faces (m, 3) int32 vertices, cluster
    after cluster; cluster_first_face (c + 1,) integers.
    Returns (corners (m, 9) float32, first (c + 1,) int64, boxes (n, 6) float32: low x, y, z, high x, y, z; depth int of
    the row of clusters).
    """
    corners, first, boxes, depth = _empty_tree(len(faces), cluster_first_face)
    _fill_tree(positions, vertex_position, faces, corners, first, boxes, depth, 0, 1 << depth)
    _box_rows(boxes, depth)
    return corners, first, boxes, depth


@njit(nogil=True, cache=True, error_model="numpy")
def _fill_tree(positions, vertex_position, faces, corners, first, boxes, depth, low, high):
    """Write corners and boxes of the clusters at places low..high of row `depth`, and of the rows below them."""
    clusters = len(first) - 1
    for face in range(first[(low * clusters) >> depth], first[(high * clusters) >> depth]):
        _write_corners(positions, vertex_position, faces, face, corners)
    for place in range(low, high):
        _box_cluster(place, corners, first, boxes, depth)


@njit(nogil=True, cache=True, error_model="numpy")
def _empty_tree(face_count, cluster_first_face):
    depth = 0
    while (1 << depth) < len(cluster_first_face) - 1:
        depth += 1
    boxes = np.empty(((1 << (depth + SPLIT_DEPTH + 1)) - 1, 6), dtype=np.float32)
    return np.empty((face_count, 9), dtype=np.float32), cluster_first_face.astype(np.int64), boxes, depth


@njit(nogil=True, error_model="numpy")
def _write_corners(positions, vertex_position, faces, face, corners):
    for side in range(3):
        position = vertex_position[faces[face, side]]
        for axis in range(3):
            corners[face, 3 * side + axis] = positions[position, axis]


@bare_njit
def leaf_range(leaf, first, depth):
    """Return the range of sorted triangles of leaf `leaf` of the last row; may be empty."""
    place, clusters = leaf >> SPLIT_DEPTH, len(first) - 1
    cluster, end = (place * clusters) >> depth, ((place + 1) * clusters) >> depth
    if cluster == end:
        return 0, 0
    sub, start = leaf & ((1 << SPLIT_DEPTH) - 1), first[cluster]
    count = first[cluster + 1] - start
    return start + ((sub * count) >> SPLIT_DEPTH), start + (((sub + 1) * count) >> SPLIT_DEPTH)


@njit(nogil=True, cache=True, error_model="numpy")
def _box_cluster(place, corners, first, boxes, depth):
    """Write the boxes of the rows below the cluster at `place` of row `depth`, and its own."""
    leaves = 1 << SPLIT_DEPTH
    for leaf in range(place * leaves, (place + 1) * leaves):
        box = boxes[(1 << (depth + SPLIT_DEPTH)) - 1 + leaf]
        box[0:3], box[3:6] = np.inf, -np.inf
        start, stop = leaf_range(leaf, first, depth)
        for slot in range(start, stop):
            for side in range(3):
                for axis in range(3):
                    value = corners[slot, 3 * side + axis]
                    box[axis], box[3 + axis] = min(box[axis], value), max(box[3 + axis], value)
    for row in range(depth + SPLIT_DEPTH - 1, depth - 1, -1):
        width = 1 << (row - depth)
        for node in range((1 << row) - 1 + place * width, (1 << row) - 1 + (place + 1) * width):
            _join(boxes, node)


@njit(nogil=True, cache=True, error_model="numpy")
def _box_rows(boxes, depth):
    for node in range((1 << depth) - 2, -1, -1):
        _join(boxes, node)


@njit(nogil=True, error_model="numpy")
def _join(boxes, node):
    for axis in range(3):
        boxes[node, axis] = min(boxes[2 * node + 1, axis], boxes[2 * node + 2, axis])
        boxes[node, 3 + axis] = max(boxes[2 * node + 1, 3 + axis], boxes[2 * node + 2, 3 + axis])


@bare_njit
def nearest_triangle(corners, first, boxes, depth, x, y, z, best, nearest, enough, stack_node, stack_bound):
    """Walk the tree, near child first; return the squared distance (at most best) and the slot of the triangle.

    The walk ends with any triangle whose squared distance is not above `enough`.
    """
    first_leaf = (1 << (depth + SPLIT_DEPTH)) - 1
    stack_node[0], stack_bound[0], held = 0, box_squared(boxes, 0, x, y, z), 1
    while held > 0 and best > enough:
        held -= 1
        node = stack_node[held]
        if stack_bound[held] >= best:
            continue
        if node >= first_leaf:
            start, stop = leaf_range(node - first_leaf, first, depth)
            for slot in range(start, stop):
                squared = triangle_squared(corners, slot, x, y, z)
                if squared < best:
                    best, nearest = squared, slot
            continue
        near, far = 2 * node + 1, 2 * node + 2
        near_bound, far_bound = box_squared(boxes, near, x, y, z), box_squared(boxes, far, x, y, z)
        if far_bound < near_bound:
            near, far, near_bound, far_bound = far, near, far_bound, near_bound
        if far_bound < best:
            stack_node[held], stack_bound[held] = far, far_bound
            held += 1
        if near_bound < best:
            stack_node[held], stack_bound[held] = near, near_bound
            held += 1
    return best, nearest


@bare_njit
def box_squared(boxes, node, x, y, z):
    box = boxes[node]
    dx = max(box[0] - x, x - box[3], 0.0)
    dy = max(box[1] - y, y - box[4], 0.0)
    dz = max(box[2] - z, z - box[5], 0.0)
    return dx * dx + dy * dy + dz * dz


@bare_njit
def triangle_squared(corners, slot, x, y, z):
    """Return the squared distance from a point to a triangle."""
    u, v, w = closest_weights(corners[slot], x, y, z)
    c = corners[slot]
    dx = u * c[0] + v * c[3] + w * c[6] - x
    dy = u * c[1] + v * c[4] + w * c[7] - y
    dz = u * c[2] + v * c[5] + w * c[8] - z
    return dx * dx + dy * dy + dz * dz


@bare_njit
def closest_weights(c, x, y, z):
    """Return the barycentric weights of the point of a triangle c (9,) that is nearest to (x, y, z).

    By the region of the point: Ericson, Real-Time Collision Detection, 2005, 5.1.5.
    """
    ax, ay, az = float(c[0]), float(c[1]), float(c[2])
    bx, by, bz = c[3] - ax, c[4] - ay, c[5] - az
    cx, cy, cz = c[6] - ax, c[7] - ay, c[8] - az
    px, py, pz = x - ax, y - ay, z - az
    b_a, c_a = bx * px + by * py + bz * pz, cx * px + cy * py + cz * pz  # edge b or c dot (point - corner a)
    if b_a <= 0.0 and c_a <= 0.0:
        return 1.0, 0.0, 0.0
    bc = bx * cx + by * cy + bz * cz
    b_b, c_b = b_a - (bx * bx + by * by + bz * bz), c_a - bc
    if b_b >= 0.0 and c_b <= b_b:
        return 0.0, 1.0, 0.0
    weight_c = b_a * c_b - b_b * c_a
    if weight_c <= 0.0 and b_a >= 0.0 and b_b < 0.0:
        t = b_a / (b_a - b_b)
        return 1.0 - t, t, 0.0
    b_c, c_c = b_a - bc, c_a - (cx * cx + cy * cy + cz * cz)
    if c_c >= 0.0 and b_c <= c_c:
        return 0.0, 0.0, 1.0
    weight_b = b_c * c_a - b_a * c_c
    if weight_b <= 0.0 and c_a >= 0.0 and c_c < 0.0:
        t = c_a / (c_a - c_c)
        return 1.0 - t, 0.0, t
    weight_a = b_b * c_c - b_c * c_b
    if weight_a <= 0.0 and c_b >= b_b and b_c >= c_c:
        t = (c_b - b_b) / ((c_b - b_b) + (b_c - c_c))
        return 0.0, 1.0 - t, t
    total = weight_a + weight_b + weight_c
    if not total > 0.0:
        return 1.0, 0.0, 0.0
    return weight_a / total, weight_b / total, weight_c / total


@njit(nogil=True, cache=True, error_model="numpy")
def nearest_triangles(tree, points, enough, squared, nearest):
    """Write the squared distance and the slot of the nearest triangle of build_tree's `tree` for points (n, 3) float64.

    squared (n,) float64, nearest (n,) int64. Fast where neighbours in `points` are neighbours in space. Where a squared
    distance is not above `enough`, any such triangle will do.
    """
    corners, first, boxes, depth = tree
    stack_node, stack_bound = np.empty(STACK_NODES, dtype=np.int64), np.empty(STACK_NODES)
    slot = 0
    for n in range(len(points)):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        # the triangle nearest to the previous point is a close first bound for this one
        bound = triangle_squared(corners, slot, x, y, z)
        squared[n], slot = nearest_triangle(
            corners, first, boxes, depth, x, y, z, bound, slot, enough, stack_node, stack_bound
        )
        nearest[n] = slot
