"""Measured two-sided error of simplified groups against the source.

A group's error is the percentile of two sets of distances: points of the source that its clusters carry (samples.py)
to its products, and area-stratified points of its products to the source. Parts that vanish count however small their
area is. The attribute error is the same percentile of attribute differences at the carried points.

Nearest triangles: nearest.py. All lengths are lattice units in one frame per mesh.
"""

import math

import numpy as np
from numba import njit

from engine.builder.kernels import bare_njit, find_root
from engine.builder.nearest import (
    SPLIT_DEPTH,
    STACK_NODES,
    box_squared,
    build_tree,
    closest_weights,
    leaf_range,
    nearest_triangles,
    triangle_squared,
)
from engine.builder.samples import hand_on, point_on, spread

__all__ = ["measure_group", "vanished_parts"]

RUN_FACES = 128  # below one node of the row of clusters, where there are no clusters yet


@njit(nogil=True, cache=True, error_model="numpy")
def measure_group(
    tree, origin, samples, vanished, positions, vertex_position, attributes, faces, cluster_first_face,
    attribute_weights, percentile, surface_points, out,
):  # fmt: skip
    """Measure one simplified group against the source, and hand its samples on to its products.

    tree: of nearest.build_source_tree; origin (3,) float64: of the group's positions, in the mesh's lattice units;
    samples: position (n, 3) float64 mesh lattice units, attributes (n, k) float32, weight (n,) float32 of all samples
    of the group's members; vanished: of vanished_parts; positions (p, 3) float64 from origin, vertex_position (v,)
    int32, attributes (v, k) float32, faces (m, 3) int32 and cluster_first_face (c + 1,) integers: the products;
    attribute_weights (k,) float32: lattice units per unit, but for the normal (columns 0:3) edges of the product's
    triangle per unit; percentile: of 100; surface_points: how many points of the products to compare with the source.
    out: samples whose nearest product triangle lies in the cluster, as samples.make_samples returns them: written.

    Returns (geometric, attribute) error in lattice units. A group without products has the extent of its samples.
    """
    sample_position, sample_attributes, sample_weight = samples
    out[3][:] = 0
    local = sample_position - origin
    if len(faces) == 0 or len(local) == 0:
        return _extent(local), 0.0
    products = build_tree(positions, vertex_position, faces, cluster_first_face)
    distance, nearest = np.empty(len(local)), np.empty(len(local), dtype=np.int64)
    nearest_triangles(products, local, 0.0, distance, nearest)
    distance = np.sqrt(distance)
    attribute = _attribute_error(
        products, local, distance, nearest, sample_attributes, sample_weight, attributes, faces, attribute_weights,
        percentile,
    )  # fmt: skip
    hand_on(products[1], nearest, samples, out)
    geometric = max(_percentile(distance, sample_weight, percentile), _vanished_error(products, vanished))
    return _to_source(tree, origin, products[0], surface_points, percentile, geometric), attribute


@njit(nogil=True, cache=True, error_model="numpy")
def vanished_parts(positions, vertex_position, faces, kept_vertex_position, kept_faces):
    """Return the points of connected parts from which no position is left, and the sizes of their parts.

    positions (p, 3) float64, vertex_position (v,) int32, faces (m, 3) int32: before a simplification;
    kept_vertex_position (v,) int32, kept_faces (n, 3) int32: after it, naming the same positions.
    Returns (points (k, 3) float64, size (k,) float64: the diagonal of the part's box).
    """
    part = np.arange(len(positions))
    for face in range(len(faces)):
        first = find_root(part, vertex_position[faces[face, 0]])
        for side in range(1, 3):
            other = find_root(part, vertex_position[faces[face, side]])
            first, other = min(first, other), max(first, other)
            part[other] = first
    is_kept, is_used = np.zeros(len(positions), dtype=np.bool_), np.zeros(len(positions), dtype=np.bool_)
    for face in range(len(kept_faces)):
        for side in range(3):
            is_kept[find_root(part, kept_vertex_position[kept_faces[face, side]])] = True
    count = 0
    for face in range(len(faces)):
        for side in range(3):
            position = vertex_position[faces[face, side]]
            if not is_kept[find_root(part, position)] and not is_used[position]:
                is_used[position] = True
                count += 1
    points, size = np.empty((count, 3)), np.empty(count)
    if count == 0:
        return points, size
    low, high = np.full((len(positions), 3), np.inf), np.full((len(positions), 3), -np.inf)
    for position in range(len(positions)):
        if is_used[position]:
            root = find_root(part, position)
            for axis in range(3):
                low[root, axis] = min(low[root, axis], positions[position, axis])
                high[root, axis] = max(high[root, axis], positions[position, axis])
    row = 0
    for position in range(len(positions)):
        if is_used[position]:
            root, squared = find_root(part, position), 0.0
            for axis in range(3):
                points[row, axis] = positions[position, axis]
                squared += (high[root, axis] - low[root, axis]) ** 2
            size[row] = math.sqrt(squared)
            row += 1
    return points, size


@njit(nogil=True, error_model="numpy")
def _vanished_error(products, vanished):
    """Return how far the farthest point of a vanished part is from what is left, or its part's size if that is less.

    What vanishes alone is missed by its own size, however far away everything else is.
    """
    points, size = vanished
    distance, nearest = np.empty(len(points)), np.empty(len(points), dtype=np.int64)
    nearest_triangles(products, points, 0.0, distance, nearest)
    farthest = 0.0
    for n in range(len(points)):
        farthest = max(farthest, min(math.sqrt(distance[n]), size[n]))
    return farthest


@njit(nogil=True, error_model="numpy")
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


@njit(nogil=True, error_model="numpy")
def _percentile(values, weights, percentile):
    """Return the smallest value that is not below `percentile` of 100 of the weight."""
    order = np.argsort(values)
    total, below = 0.0, 0.0
    for n in range(len(weights)):
        total += weights[n]
    for n in range(len(order)):
        below += weights[order[n]]
        if below >= total * (percentile / 100.0 - 1e-9):
            return values[order[n]]
    return values[order[-1]]


@njit(nogil=True, error_model="numpy")
def _to_source(tree, origin, corners, count, percentile, least):
    """Return the percentile of the distances to the source of `count` points spread over product triangles, or `least`.

    corners (m, 9): of the product triangles, from origin; the larger one is returned.
    """
    if count == 0:
        return least
    slots, weights, _ = spread(corners, 0, len(corners), count)
    points, distance, nearest = np.empty((count, 3)), np.empty(count), np.empty(count, dtype=np.int64)
    for n in range(count):
        point_on(corners, slots[n], weights[n], points[n])
        points[n] += origin
    nearest_triangles(tree, points, least * least, distance, nearest)
    return max(math.sqrt(_percentile(distance, np.ones(count, dtype=np.float32), percentile)), least)


@njit(nogil=True, error_model="numpy")
def _attribute_error(
    products, local, distance, nearest, sample_attributes, sample_weight, attributes, faces, attribute_weights,
    percentile,
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
    stack_node = np.empty(STACK_NODES, dtype=np.int64)
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
    return _percentile(difference, sample_weight, percentile)


@bare_njit
def _longest_edge(c):
    """Return the length of the longest edge of a triangle's nine coordinates."""
    longest = 0.0
    for first, second in ((0, 3), (3, 6), (6, 0)):
        squared = 0.0
        for axis in range(3):
            squared += (float(c[first + axis]) - float(c[second + axis])) ** 2
        longest = max(longest, squared)
    return math.sqrt(longest)


@bare_njit
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
