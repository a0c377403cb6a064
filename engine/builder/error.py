"""Measured two-sided error of simplified groups against the source.

Every cluster carries a bounded number of area-stratified points of the source, handed on from level to level. A group's
error is the percentile of two sets of distances: its carried points to its products, and area-stratified points of its
products to the source. The attribute error is the same percentile of attribute differences at the carried points.

Nearest triangles: nearest.py. All lengths are lattice units in one frame per mesh.
"""

import math

import numpy as np
from numba import njit, prange

from engine.builder.nearest import (
    SPLIT_DEPTH,
    STACK_NODES,
    box_squared,
    build_tree,
    build_tree_parallel,
    closest_weights,
    leaf_range,
    nearest_triangle,
    triangle_squared,
)

__all__ = ["build_source_tree", "make_samples", "measure_group"]

build_source_tree = build_tree_parallel  # over the source triangles, once for each mesh


@njit(nogil=True, cache=True, parallel=True, error_model="numpy")
def make_samples(tree, attributes, faces, samples):
    """Choose `samples` points on each source cluster, one in each equal share of its area.

    tree: of build_source_tree, over the same faces (m, 3) int32; attributes (v, k) float32.
    Returns (sample_position (c, samples, 3) float64 lattice units, sample_attributes (c, samples, k) float32 with unit
    normals in columns 0:3, sample_count (c,) int32).
    """
    corners, first, _, _ = tree
    clusters, columns = len(first) - 1, attributes.shape[1]
    position = np.zeros((clusters, samples, 3))
    values = np.zeros((clusters, samples, columns), dtype=np.float32)
    count = np.zeros(clusters, dtype=np.int32)
    for cluster in prange(clusters):
        start, stop = first[cluster], first[cluster + 1]
        count[cluster] = samples if stop > start else 0
        slots, weights = _spread(corners, start, stop, count[cluster])
        for n in range(count[cluster]):
            _point_on(corners, slots[n], weights[n], position[cluster, n])
            _attributes_on(attributes, faces[slots[n]], weights[n], values[cluster, n])
    return position, values, count


@njit(nogil=True, cache=True, error_model="numpy")
def _spread(corners, start, stop, count):
    """Return slots (count,) in start..stop and barycentric weights (count, 3): one in each equal share of area."""
    slots, weights = np.empty(count, dtype=np.int64), np.empty((count, 3))
    area = np.empty(max(stop - start, 0))
    total = 0.0
    for slot in range(start, stop):
        c = corners[slot]
        ex, ey, ez = float(c[3]) - c[0], float(c[4]) - c[1], float(c[5]) - c[2]
        fx, fy, fz = float(c[6]) - c[0], float(c[7]) - c[1], float(c[8]) - c[2]
        nx, ny, nz = ey * fz - ez * fy, ez * fx - ex * fz, ex * fy - ey * fx
        total += math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
        area[slot - start] = total
    slot = start
    for n in range(count):
        at = (n + _random(start, 3 * n)) * (total / count)
        while slot < stop - 1 and area[slot - start] < at:
            slot += 1
        root, split = math.sqrt(_random(start, 3 * n + 1)), _random(start, 3 * n + 2)
        slots[n] = slot
        weights[n, 0], weights[n, 1], weights[n, 2] = 1.0 - root, root * (1.0 - split), root * split
    return slots, weights


@njit(nogil=True, cache=True, error_model="numpy")
def _random(seed, n):
    """Return a number in 0..1 that depends on the arguments alone (a mixer after Steele, Lea and Flood, 2014)."""
    z = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(n + 1) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return float((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(nogil=True, cache=True, error_model="numpy")
def _point_on(corners, slot, weights, out):
    for axis in range(3):
        out[axis] = (
            weights[0] * corners[slot, axis]
            + weights[1] * corners[slot, 3 + axis]
            + weights[2] * corners[slot, 6 + axis]
        )


@njit(nogil=True, cache=True, error_model="numpy")
def _attributes_on(attributes, face, weights, out):
    """Interpolate the attributes of a face (3,); the normal becomes a unit vector."""
    for column in range(attributes.shape[1]):
        out[column] = (
            weights[0] * attributes[face[0], column]
            + weights[1] * attributes[face[1], column]
            + weights[2] * attributes[face[2], column]
        )
    length = math.sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2])
    if length > 0.0:
        for column in range(3):
            out[column] /= length


@njit(nogil=True, cache=True, error_model="numpy")
def measure_group(
    tree, origin, sample_position, sample_attributes, positions, vertex_position, attributes, faces, cluster_first_face,
    attribute_weights, percentile, surface_points, out_position, out_attributes, out_count,
):  # fmt: skip
    """Measure one simplified group against the source, and hand its samples on to its products.

    tree: of build_source_tree; origin (3,) float64: of the group's positions, in the mesh's lattice units;
    sample_position (n, 3) float64 mesh lattice units and sample_attributes (n, k) float32: all samples of the group's
    members; positions (p, 3) float64 from origin, vertex_position (v,) int32, attributes (v, k) float32, faces (m, 3)
    int32 and cluster_first_face (c + 1,) integers: the products; attribute_weights (k,) float32: lattice units per
    unit, but for the normal (columns 0:3) edges of the product's triangle per unit; percentile: of 100;
    surface_points: how many points of the products to compare with the source.
    Written: out_position (c, s, 3) float64, out_attributes (c, s, k) float32, out_count (c,) int32: the samples whose
    nearest product triangle lies in the cluster, at most s, the worst one among them.

    Returns (geometric, attribute) error in lattice units. A group without products has the extent of its samples.
    """
    out_count[:] = 0
    local = sample_position - origin
    if len(faces) == 0 or len(local) == 0:
        return _extent(local), 0.0
    products = build_tree(positions, vertex_position, faces, cluster_first_face)
    corners, first, boxes, depth = products
    stack_node, stack_bound = np.empty(STACK_NODES, dtype=np.int64), np.empty(STACK_NODES)
    distance, nearest = np.empty(len(local)), np.empty(len(local), dtype=np.int64)
    slot = 0
    for n in range(len(local)):
        x, y, z = local[n, 0], local[n, 1], local[n, 2]
        bound = triangle_squared(corners, slot, x, y, z)
        squared, slot = nearest_triangle(corners, first, boxes, depth, x, y, z, bound, slot, stack_node, stack_bound)
        distance[n], nearest[n] = math.sqrt(squared), slot
    attribute = _attribute_error(
        products, local, distance, nearest, sample_attributes, attributes, faces, attribute_weights, percentile,
        stack_node, stack_bound,
    )  # fmt: skip
    _hand_on(first, distance, nearest, sample_position, sample_attributes, out_position, out_attributes, out_count)
    geometric = max(
        _percentile(distance, percentile),
        _percentile(_to_source(tree, origin, corners, surface_points, stack_node, stack_bound), percentile),
    )
    return geometric, attribute


@njit(nogil=True, cache=True, error_model="numpy")
def _extent(points):
    """Return the diagonal of the points' box."""
    squared = 0.0
    if len(points) > 0:
        for axis in range(3):
            low, high = points[0, axis], points[0, axis]
            for n in range(len(points)):
                low, high = min(low, points[n, axis]), max(high, points[n, axis])
            squared += (high - low) ** 2
    return math.sqrt(squared)


@njit(nogil=True, cache=True, error_model="numpy")
def _percentile(values, percentile):
    """Return the smallest value that is not below `percentile` of 100 of the values."""
    ordered = np.sort(values)
    rank = math.ceil(percentile / 100.0 * len(ordered))
    return ordered[min(max(rank - 1, 0), len(ordered) - 1)]


@njit(nogil=True, cache=True, error_model="numpy")
def _to_source(tree, origin, corners, count, stack_node, stack_bound):
    """Return the distances (count,) from points spread over the sorted product triangles to the source."""
    source, first, boxes, depth = tree
    slots, weights = _spread(corners, 0, len(corners), count)
    distance, point, nearest = np.empty(count), np.empty(3), 0
    for n in range(count):
        _point_on(corners, slots[n], weights[n], point)
        x, y, z = point[0] + origin[0], point[1] + origin[1], point[2] + origin[2]
        bound = triangle_squared(source, nearest, x, y, z)
        squared, nearest = nearest_triangle(
            source, first, boxes, depth, x, y, z, bound, nearest, stack_node, stack_bound
        )
        distance[n] = math.sqrt(squared)
    return distance


@njit(nogil=True, cache=True, error_model="numpy")
def _attribute_error(
    products, local, distance, nearest, sample_attributes, attributes, faces, attribute_weights, percentile,
    stack_node, stack_bound,
):  # fmt: skip
    """Return the percentile of the samples' attribute differences as a length.

    Next to a seam the nearest triangle may belong to the other side. So a sample that differs much looks for the least
    of difference plus added distance: the look is there, that far away.
    """
    active = 0.0
    for column in range(len(attribute_weights)):
        active += attribute_weights[column]
    if active <= 0.0:
        return 0.0
    corners, first, boxes, depth = products
    difference, weights = np.empty(len(local)), np.empty(3)
    mean = 0.0
    for n in range(len(local)):
        slot = nearest[n]
        weights[0], weights[1], weights[2] = closest_weights(corners[slot], local[n, 0], local[n, 1], local[n, 2])
        edge = _longest_edge(corners[slot])
        difference[n] = _difference(attributes, faces[slot], weights, sample_attributes[n], attribute_weights, edge)
        mean += difference[n] / len(local)
    for n in range(len(local)):
        if difference[n] <= 2.0 * mean or difference[n] <= 2.0 * distance[n]:
            continue
        x, y, z = local[n, 0], local[n, 1], local[n, 2]
        stack_node[0], held = 0, 1
        while held > 0:
            held -= 1
            node = stack_node[held]
            if box_squared(boxes, node, x, y, z) >= (distance[n] + difference[n]) ** 2:
                continue
            if node < (1 << (depth + SPLIT_DEPTH)) - 1:
                stack_node[held], stack_node[held + 1] = 2 * node + 2, 2 * node + 1
                held += 2
                continue
            start, stop = leaf_range(node + 1 - (1 << (depth + SPLIT_DEPTH)), first, depth)
            for slot in range(start, stop):
                away = math.sqrt(triangle_squared(corners, slot, x, y, z)) - distance[n]
                if away < difference[n]:
                    weights[0], weights[1], weights[2] = closest_weights(corners[slot], x, y, z)
                    edge = _longest_edge(corners[slot])
                    look = _difference(attributes, faces[slot], weights, sample_attributes[n], attribute_weights, edge)
                    difference[n] = min(difference[n], look + max(away, 0.0))
    return _percentile(difference, percentile)


@njit(nogil=True, cache=True, error_model="numpy")
def _longest_edge(c):
    """Return the length of the longest edge of a triangle's nine coordinates."""
    longest = 0.0
    for first, second in ((0, 3), (3, 6), (6, 0)):
        squared = 0.0
        for axis in range(3):
            squared += (float(c[first + axis]) - float(c[second + axis])) ** 2
        longest = max(longest, squared)
    return math.sqrt(longest)


@njit(nogil=True, cache=True, error_model="numpy")
def _difference(attributes, face, weights, values, attribute_weights, edge):
    """Return how far, as a length, the look of a face at a point is from `values` (k,).

    What a triangle shows wrongly is no larger than the triangle. So a turned normal counts in lengths of its longest
    edge, and shifted UVs or colours count for that edge at most.
    """
    normal, other = 0.0, 0.0
    u, v, w = weights[0], weights[1], weights[2]
    a, b, c = attributes[face[0]], attributes[face[1]], attributes[face[2]]
    nx, ny, nz = u * a[0] + v * b[0] + w * c[0], u * a[1] + v * b[1] + w * c[1], u * a[2] + v * b[2] + w * c[2]
    scale = 1.0 / max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-6)  # interpolated normals are shorter than one
    for column in range(len(values)):
        here = u * a[column] + v * b[column] + w * c[column]
        if column < 3:
            normal += (attribute_weights[column] * (here * scale - values[column])) ** 2
        else:
            other += (attribute_weights[column] * (here - values[column])) ** 2
    return math.sqrt(normal * edge * edge + min(other, edge * edge))


@njit(nogil=True, cache=True, error_model="numpy")
def _hand_on(first, distance, nearest, sample_position, sample_attributes, out_position, out_attributes, out_count):
    """Write the samples of each product cluster: evenly chosen in order, and the farthest one."""
    clusters, room = len(first) - 1, out_position.shape[1]
    owner = np.empty(len(nearest), dtype=np.int64)
    count, worst = np.zeros(clusters, dtype=np.int64), np.full(clusters, -1)
    for n in range(len(nearest)):
        cluster = np.searchsorted(first, nearest[n], side="right") - 1
        owner[n] = cluster
        count[cluster] += 1
        if worst[cluster] < 0 or distance[n] > distance[worst[cluster]]:
            worst[cluster] = n
    seen = np.zeros(clusters, dtype=np.int64)
    for n in range(len(nearest)):
        cluster = owner[n]
        share, last = (seen[cluster] * room) // count[cluster], ((seen[cluster] + 1) * room) // count[cluster]
        seen[cluster] += 1
        if count[cluster] <= room:
            out = out_count[cluster]
            out_count[cluster] += 1
        elif last > share:
            out = share
            out_count[cluster] = max(out_count[cluster], out + 1)
        else:
            continue
        out_position[cluster, out] = sample_position[n]
        out_attributes[cluster, out] = sample_attributes[n]
    seen[:] = 0
    for n in range(len(nearest)):  # the worst takes the place of its share
        cluster = owner[n]
        if count[cluster] > room and n == worst[cluster]:
            out = (seen[cluster] * room) // count[cluster]
            out_position[cluster, out] = sample_position[n]
            out_attributes[cluster, out] = sample_attributes[n]
        seen[cluster] += 1
