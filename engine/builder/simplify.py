"""Simplification of one group of clusters by edge collapse.

Quadrics and placement: quadric.py (Garland and Heckbert 1997, Hoppe 1999). Topology: topology.py. Queue: lazily updated
priorities, where a stale cost is a lower bound that is corrected when it reaches the top (Cohen, Manocha and Olano,
Simplifying Polygonal Models Using Successive Mappings, 1997). Groups that collapses cannot shrink go to `thin_group`.
"""

import numpy as np
from numba import njit

from engine.builder.quadric import (
    HARD,
    SEAM,
    SHAPE_COST,
    SOFT,
    add_face_quadrics,
    best_place,
    merge_quadrics,
    quadric_value,
    sum_edge_quadric,
)
from engine.builder.thin import thin_group
from engine.builder.topology import (
    CURVE,
    FIXED,
    GONE,
    MOST_PAIRS,
    QUEUED,
    REJECTED,
    all_pairs,
    classify_positions,
    close_hole,
    edge_pairs,
    last_hole_corner,
    link_is_simple,
    make_mesh,
    merge_corners,
    next_side,
    previous_side,
)

__all__ = ["simplify_group", "thin_group"]

LEAST_COSINE_SQUARED = 0.04  # of the angle that a collapse may turn a triangle by: 78 degrees


@njit(nogil=True, cache=True, error_model="numpy")
def simplify_group(
    positions, locked, vertex_position, attributes, attribute_weights, faces, face_material, target_triangles
):
    """Collapse edges of one group until at most target_triangles are left, or nothing legal is left to collapse.

    positions (p, 3) float64: integers, lattice units from the group's origin; locked (p,) bool: keeps its place and
    stays; vertex_position (v,) int32; attributes (v, k) float32, columns 0:3 the unit normal; attribute_weights (k,)
    float32: lattice units per unit of attribute, 0 where it does not steer; faces (m, 3) int32
    vertices; face_material (m,) int32.

    Returns (face_count, faces (n, 3), face_material (n,), positions (p, 3), vertex_position (v,), attributes (v, k),
    moved_position (p,) bool, moved_vertex (v,) bool, attribute_error). Survivors keep their index; one that moved, or
    whose attributes changed, is marked. attribute_error is 0: error.measure_group measures it.

    New positions are lattice points before flips and cost are judged. Open borders, attribute seams and material
    borders collapse along themselves only, except that seams of a mesh without UVs and colours may be crossed and that
    a hole of three edges closes when one of them collapses: scans have thousands, and each would pin its triangles.
    Closed manifold input stays closed and manifold; no triangle turns by more than 78 degrees; no edge between two
    locked positions is made, since another group may hold it too.
    """
    center = _integer_center(positions)
    place = positions - center
    seam = SOFT if attributes.shape[1] == 3 else SEAM
    mesh = make_mesh(faces.copy(), vertex_position, face_material, len(positions), seam)
    kind, wedge = classify_positions(mesh, locked, vertex_position)
    scaled = _scaled_attributes(attributes, attribute_weights)
    vertex_rows = len(attributes) if scaled.shape[1] > 0 else 0
    quadrics = (
        np.zeros((len(positions), 10)),
        np.zeros((vertex_rows, 11)),
        np.zeros((vertex_rows, scaled.shape[1], 4)),
    )
    add_face_quadrics(place, locked, mesh[1], scaled, faces, mesh[5], mesh[7], quadrics)
    new_attributes = attributes.copy()
    _collapse_edges(target_triangles, place, locked, kind, wedge, seam, new_attributes, mesh, quadrics)
    new_faces, alive = mesh[0], mesh[2]
    for i in range(len(place)):
        for axis in range(3):
            place[i, axis] += center[axis]
    moved_position, moved_vertex = _moved(positions, place, vertex_position, attributes, new_attributes)
    kept = new_faces[alive]
    material = face_material[alive]
    return len(kept), kept, material, place, vertex_position, new_attributes, moved_position, moved_vertex, 0.0


@njit(nogil=True, cache=True, error_model="numpy")
def _integer_center(positions):
    """Return the rounded middle (3,) of the positions' box: quadrics about it keep more digits."""
    center = np.zeros(3)
    if len(positions) > 0:
        for axis in range(3):
            low, high = positions[0, axis], positions[0, axis]
            for i in range(1, len(positions)):
                low, high = min(low, positions[i, axis]), max(high, positions[i, axis])
            center[axis] = np.floor(0.5 * (low + high))
    return center


@njit(nogil=True, cache=True, error_model="numpy")
def _scaled_attributes(attributes, attribute_weights):
    """Return the attributes that steer as lengths (v, columns with a weight) float64."""
    columns = np.nonzero(attribute_weights > 0.0)[0]
    scaled = np.empty((len(attributes), len(columns)))
    for column in range(len(columns)):
        weight = float(attribute_weights[columns[column]])
        for vertex in range(len(attributes)):
            scaled[vertex, column] = attributes[vertex, columns[column]] * weight
    return scaled


@njit(nogil=True, cache=True, error_model="numpy")
def _moved(positions, new_positions, vertex_position, attributes, new_attributes):
    """Return moved_position (p,) and moved_vertex (v,) bool."""
    moved_position = np.zeros(len(positions), dtype=np.bool_)
    for i in range(len(positions)):
        for axis in range(3):
            moved_position[i] |= new_positions[i, axis] != positions[i, axis]
    moved_vertex = np.zeros(len(vertex_position), dtype=np.bool_)
    for vertex in range(len(vertex_position)):
        moved_vertex[vertex] = moved_position[vertex_position[vertex]]
        for column in range(attributes.shape[1]):
            moved_vertex[vertex] |= attributes[vertex, column] != new_attributes[vertex, column]
    return moved_position, moved_vertex


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _evaluate(edge, place, kind, wedge, mesh, quadrics, pairs, edge_place):
    """Return the cost of collapsing an edge, or -1 where its kind forbids it; write where to into edge_place (e, 3)."""
    edge_ends, edge_flags = mesh[6], mesh[7]
    i, j = edge_ends[edge, 0], edge_ends[edge, 1]
    if kind[i] > kind[j]:
        i, j = j, i
    if kind[i] == FIXED or (kind[i] == CURVE and edge_flags[edge] & HARD == 0):
        return -1.0
    pair_count = 0
    if quadrics[2].shape[1] > 0:
        pairs[0, 0], pairs[0, 1], pair_count = wedge[i], wedge[j], 1
        if min(wedge[i], wedge[j]) < 0:
            pair_count = edge_pairs(mesh, i, j, pairs)
    total = sum_edge_quadric(i, j, pairs, pair_count, quadrics)
    if kind[i] == kind[j]:
        x, y, z = best_place(total, place, i, j)
    else:
        x, y, z = place[j, 0], place[j, 1], place[j, 2]
    edge_place[edge, 0], edge_place[edge, 1], edge_place[edge, 2] = x, y, z
    dx, dy, dz = place[i, 0] - place[j, 0], place[i, 1] - place[j, 1], place[i, 2] - place[j, 2]
    shape = SHAPE_COST * (total[0] + total[1] + total[2]) * (dx * dx + dy * dy + dz * dz)
    return max(quadric_value(total, x, y, z), 0.0) + shape


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _sift_down(heap, heap_cost, size, at):
    """Move the entry at `at` down until no child is smaller; equal costs are ordered by edge number."""
    edge, cost = heap[at], heap_cost[at]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and (
            heap_cost[child + 1] < heap_cost[child]
            or (heap_cost[child + 1] == heap_cost[child] and heap[child + 1] < heap[child])
        ):
            child += 1
        if heap_cost[child] > cost or (heap_cost[child] == cost and heap[child] >= edge):
            break
        heap[at], heap_cost[at] = heap[child], heap_cost[child]
        at = child
    heap[at], heap_cost[at] = edge, cost


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _push(heap, heap_cost, size, edge, cost):
    """Insert an edge; return the new size."""
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        if heap_cost[parent] < cost or (heap_cost[parent] == cost and heap[parent] < edge):
            break
        heap[at], heap_cost[at] = heap[parent], heap_cost[parent]
        at = parent
    heap[at], heap_cost[at] = edge, cost
    return size + 1


@njit(nogil=True, cache=True, error_model="numpy")
def _collapse_edges(target, place, locked, kind, wedge, seam, attributes, mesh, quadrics):
    """Collapse the cheapest legal edge until `target` faces are left; works in place on all but locked."""
    _, face_position, alive, corner_next, corner_head, face_edge, edge_ends, _ = mesh
    edge_count = len(edge_ends)
    heap, heap_cost = np.empty(edge_count, dtype=np.int32), np.empty(edge_count)
    edge_place, state = np.empty((edge_count, 3)), np.zeros(edge_count, dtype=np.uint8)
    evaluated = np.zeros(edge_count, dtype=np.int32)  # when, in collapses
    changed = np.zeros(len(place), dtype=np.int32)
    mark = np.zeros(len(place), dtype=np.int32)
    pairs = np.empty((MOST_PAIRS, 2), dtype=np.int32)
    size, face_count, clock, stamp = 0, np.sum(alive), 0, 0
    if face_count <= target:
        return
    for edge in range(edge_count):
        cost = _evaluate(edge, place, kind, wedge, mesh, quadrics, pairs, edge_place)
        if cost >= 0.0:
            heap[size], heap_cost[size], size = edge, cost, size + 1
        else:  # an edge between two curves may become part of a border later
            state[edge] = REJECTED if min(kind[edge_ends[edge, 0]], kind[edge_ends[edge, 1]]) < FIXED else GONE
    for at in range(size // 2 - 1, -1, -1):
        _sift_down(heap, heap_cost, size, at)
    while size > 0 and face_count > target:
        edge, cost = heap[0], heap_cost[0]
        i, j = edge_ends[edge, 0], edge_ends[edge, 1]
        if state[edge] == QUEUED and evaluated[edge] < max(changed[i], changed[j]):
            evaluated[edge] = clock
            new_cost = _evaluate(edge, place, kind, wedge, mesh, quadrics, pairs, edge_place)
            if new_cost > cost:
                heap_cost[0] = new_cost
                _sift_down(heap, heap_cost, size, 0)
                continue
            if new_cost < 0.0:
                state[edge] = REJECTED
        size -= 1
        heap[0], heap_cost[0] = heap[size], heap_cost[size]
        _sift_down(heap, heap_cost, size, 0)
        if state[edge] != QUEUED:
            continue
        if kind[i] > kind[j]:
            i, j = j, i
        stamp += 2  # i goes, j stays
        x, y, z = edge_place[edge, 0], edge_place[edge, 1], edge_place[edge, 2]
        hole = last_hole_corner(mesh, i, j, edge, locked, wedge, seam)
        legal = link_is_simple(mesh, i, j, hole, locked, mark, stamp)
        for turn in range(2 if kind[i] == kind[j] else 1):
            a, b = (i, j) if turn == 0 else (j, i)
            legal = legal and _keeps_orientation(
                face_position, alive, corner_next, corner_head[a], a, b, x, y, z, place
            )
        if not legal:
            state[edge] = REJECTED
            continue
        pair_count = edge_pairs(mesh, i, j, pairs)
        if kind[i] == kind[j]:
            _blend_attributes(i, j, edge_place[edge], place, pairs, pair_count, attributes)
            for axis in range(3):
                place[j, axis] = edge_place[edge, axis]
        if wedge[i] < 0:
            pair_count = all_pairs(mesh, i, j, pairs, pair_count, attributes)
        merge_quadrics(i, j, pairs, pair_count, quadrics)
        clock += 1
        changed[j] = clock
        state[edge] = GONE
        face_count -= merge_corners(mesh, i, j, pairs, pair_count, state)
        if hole >= 0:
            close_hole(mesh, j, hole, kind, seam, state)
        corner = corner_head[j]
        while corner >= 0:  # what was refused here may be legal now
            for turn in range(2):
                again = face_edge[corner >> 2, (corner & 3) if turn == 0 else previous_side(corner & 3)]
                if state[again] == REJECTED:
                    state[again] = QUEUED
                    size = _push(heap, heap_cost, size, again, cost)
            corner = corner_next[corner]


@njit(nogil=True, cache=True, error_model="numpy")
def _keeps_orientation(face_position, alive, corner_next, corner, i, j, x, y, z, place):
    """Return whether no triangle of i without j turns too far or loses its area when i moves to (x, y, z).

    corner: the first corner at i.
    """
    ox, oy, oz = place[i, 0], place[i, 1], place[i, 2]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        a, b = face_position[face, next_side(side)], face_position[face, previous_side(side)]
        if alive[face] and a != j and b != j:
            ax, ay, az = place[a, 0], place[a, 1], place[a, 2]
            ex, ey, ez = place[b, 0] - ax, place[b, 1] - ay, place[b, 2] - az
            fx, fy, fz = ox - ax, oy - ay, oz - az
            gx, gy, gz = x - ax, y - ay, z - az
            nx, ny, nz = ey * fz - ez * fy, ez * fx - ex * fz, ex * fy - ey * fx
            mx, my, mz = ey * gz - ez * gy, ez * gx - ex * gz, ex * gy - ey * gx
            old, new = nx * nx + ny * ny + nz * nz, mx * mx + my * my + mz * mz
            cosine = nx * mx + ny * my + nz * mz
            if old > 0.0 and (cosine <= 0.0 or cosine * cosine < LEAST_COSINE_SQUARED * old * new):
                return False
        corner = corner_next[corner]
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _blend_attributes(i, j, goal, place, pairs, pair_count, attributes):
    """Give the kept vertices of the edge the values at the foot of goal (3,) on the edge, with a unit normal."""
    ex, ey, ez = place[i, 0] - place[j, 0], place[i, 1] - place[j, 1], place[i, 2] - place[j, 2]
    along = ex * (goal[0] - place[j, 0]) + ey * (goal[1] - place[j, 1]) + ez * (goal[2] - place[j, 2])
    t = min(max(along / (ex * ex + ey * ey + ez * ez), 0.0), 1.0)
    for n in range(pair_count):
        gone, kept = pairs[n, 0], pairs[n, 1]
        for column in range(attributes.shape[1]):
            value = float(attributes[kept, column])
            attributes[kept, column] = value + t * (float(attributes[gone, column]) - value)
        nx, ny, nz = float(attributes[kept, 0]), float(attributes[kept, 1]), float(attributes[kept, 2])
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        if length > 1e-6:
            attributes[kept, 0], attributes[kept, 1], attributes[kept, 2] = nx / length, ny / length, nz / length
        else:  # opposite normals: the middle has none
            for column in range(3):
                attributes[kept, column] = attributes[gone, column]
