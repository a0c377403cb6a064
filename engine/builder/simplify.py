"""Simplification of one group of clusters by edge collapse.

Quadrics and placement: quadric.py (Garland and Heckbert 1997, Hoppe 1999). Topology: topology.py. Queue: buckets of
nearly equal costs (R. B. Dial, Algorithm 360, 1969) with lazily updated priorities, where a stale cost is a lower bound
that is corrected when it reaches the top (Cohen, Manocha and Olano, Simplifying Polygonal Models Using Successive
Mappings, 1997). Groups that strict collapses cannot shrink go to thin.py.

What the kernels share comes in tuples. *points*, one entry for each position: place (p, 3) float64 about the group's
center, locked bool, kind and wedge (see topology.py), changed int32: by which collapse, refused bool: an edge was
rejected here, mark int32. *looks*, for each vertex: attributes (v, k) float32, changed bool. *queue*:
bucket_head int32, the first edge of each bucket; for each edge bucket_next int32, evaluated int32: after how many
collapses, state uint8, edge_place (e, 3) float32; and one cost as float64 and as int64. *scratch*: rings, pairs
and the attribute weights.
"""

import numpy as np
from numba import njit

from engine.builder.kernels import bare_njit, inline_njit
from engine.builder.loose import loosen, merge_any_corners, merge_is_allowed
from engine.builder.quadric import (
    BORDER,
    HARD,
    SEAM,
    SHAPE_COST,
    SOFT,
    add_face_quadrics,
    best_place,
    hold_places,
    merge_quadrics,
    quadric_value,
    sum_edge_quadric,
)
from engine.builder.topology import (
    CURVE,
    FIXED,
    GONE,
    MOST_PAIRS,
    QUEUED,
    REJECTED,
    classify_positions,
    close_hole,
    collect_ring,
    edge_pairs,
    last_hole_corner,
    link_is_simple,
    make_mesh,
    merge_corners,
    previous_corner,
)
from engine.builder.wedges import all_pairs, blend_attributes

STRICT, LOOSE, HOLDING = np.int64(0), np.int64(1), np.int64(2)  # manners of simplify_group; np: of one type
LEAST_BUCKET = (1023 - 24) << 4  # sixteen buckets for each power of two, of costs from 2^-24
BUCKETS = 114 << 4
HOLE_COST = 0.5  # of the cost of an edge that closes a hole: its border pins the triangles around it
LEAST_COSINE_SQUARED = 0.04  # of the angle that a collapse may turn a triangle by: 78 degrees


@njit(nogil=True, cache=True, error_model="numpy")
def simplify_group(
    positions, locked, vertex_position, attributes, attribute_weights, faces, face_material, target_triangles, manner
):
    """Collapse edges of one group until at most target_triangles are left, or nothing legal is left to collapse.

    positions (p, 3) float64: integers, lattice units from the group's origin; locked (p,) bool: keeps its place and
    stays; vertex_position (v,) int32; attributes (v, k) float32, columns 0:3 the unit normal; attribute_weights (k,)
    float32: lattice units per unit of attribute, 0 where it does not steer; faces (m, 3) int32
    vertices; face_material (m,) int32; manner: STRICT, LOOSE (see loose.py) or HOLDING: strict, but with quadrics that
    hold on to places (see quadric.hold_places).

    Returns (face_count, faces (n, 3), face_material (n,), positions (p, 3), vertex_position (v,), attributes (v, k),
    moved_position (p,) bool, moved_vertex (v,) bool, pinned). Survivors keep their index; one that moved, or whose
    attributes or vertex_position changed, is marked. pinned: the share of positions that could not move, though not
    locked, where seams, borders and edges of many triangles meet.

    New positions are lattice points before flips and cost are judged. Open borders, seams of UVs and colours and
    material borders collapse along themselves only, except that a hole of three edges closes when one of them
    collapses: scans have thousands, and each would pin its triangles. Seams of normals alone may be crossed anywhere.
    Closed manifold input stays closed and manifold and no triangle turns by more than 78 degrees, unless the manner is
    loose; no edge between two locked positions is made, since another group may hold it too.
    """
    seam = SOFT if attributes.shape[1] == 3 else SEAM
    mesh = make_mesh(faces, vertex_position, face_material, len(positions), attributes)
    corners = (mesh[0].reshape(-1), mesh[1].reshape(-1), mesh[5].reshape(-1))
    kind, wedge = classify_positions(mesh, locked, vertex_position, attributes)
    pinned = np.sum((kind == FIXED) & ~locked) / max(len(locked), 1)
    place, center = np.empty((len(positions), 3)), np.empty(3)
    _center_places(positions, place, center)
    quadrics = _quadrics(place, locked, attributes, attribute_weights, faces, mesh)
    if manner == HOLDING:
        hold_places(place, mesh[1], quadrics[0])
    if manner == LOOSE:  # the quadrics still hold on to the seams
        loosen(mesh, locked, kind)
    count, edges = len(place), len(mesh[6])
    changed, refused = np.zeros(count, dtype=np.int32), np.zeros(count, dtype=np.bool_)
    points = (place, locked, kind, wedge, changed, refused, np.zeros(count, dtype=np.int32))
    looks = (attributes.copy(), np.zeros(len(vertex_position), dtype=np.bool_))
    cost, edge_place = np.empty(1), np.empty((edges, 3), dtype=np.float32)
    queue = (
        np.empty(BUCKETS, dtype=np.int32), np.empty(edges, dtype=np.int32), np.empty(edges, dtype=np.int32),
        np.zeros(edges, dtype=np.uint8), edge_place, cost, cost.view(np.int64),
    )  # fmt: skip
    ring = np.empty((3, len(faces), 4), dtype=np.int32)
    scratch = ((ring[0], ring[1], ring[2]), np.empty((MOST_PAIRS, 2), dtype=np.int32), attribute_weights)
    left = _collapse_edges(target_triangles, manner, seam, points, looks, mesh, corners, quadrics, queue, scratch)
    kept, material = np.empty((left, 3), dtype=np.int32), np.empty(left, dtype=np.int32)
    place_of, moved = vertex_position.copy(), np.empty(count, dtype=np.bool_)
    _take_alive(mesh, face_material, kept, material, place_of, looks[1])
    _move_back(positions, center, place_of, place, moved, looks[1])
    return left, kept, material, place, place_of, looks[0], moved, looks[1], pinned


@njit(nogil=True, cache=True, error_model="numpy")
def _quadrics(place, locked, attributes, attribute_weights, faces, mesh):
    """Return the position quadrics (p, 10) and vertex quadrics (see add_face_quadrics), none where nothing steers."""
    steering = 0
    for weight in attribute_weights:
        steering += 1 if weight > 0.0 else 0
    scaled = np.empty((len(attributes) if steering > 0 else 0, steering))
    _scale_attributes(attributes, attribute_weights, scaled)
    row = np.empty(12 + 4 * steering)
    quadrics = (np.zeros((len(place), 10)), np.zeros((len(scaled), len(row))))
    add_face_quadrics(place, locked, mesh[1], scaled, faces, mesh[5], mesh[7], quadrics, row)
    return quadrics


@bare_njit
def _center_places(positions, place, center):
    """Write the rounded middle (3,) of the positions' box, and the places about it: quadrics there keep more digits."""
    for axis in range(3):
        low, high = np.inf, -np.inf
        for i in range(len(positions)):
            low, high = min(low, positions[i, axis]), max(high, positions[i, axis])
        center[axis] = np.floor(0.5 * (low + high))
        for i in range(len(positions)):
            place[i, axis] = positions[i, axis] - center[axis]


@bare_njit
def _scale_attributes(attributes, attribute_weights, scaled):
    """Write the attributes that steer as lengths (v, columns with a weight) float64."""
    column = 0
    for source in range(len(attribute_weights) if len(scaled) > 0 else 0):
        weight = float(attribute_weights[source])
        if weight > 0.0:
            for vertex in range(len(attributes)):
                scaled[vertex, column] = attributes[vertex, source] * weight
            column += 1


@bare_njit
def _take_alive(mesh, face_material, kept, material, place_of, moved_vertex):
    """Write the vertices (n, 3) and materials (n,) of the faces that are left, and where vertices went with them."""
    vertices, alive, count = mesh[0], mesh[2], 0
    for face in range(len(alive)):
        if alive[face]:
            kept[count, 0], kept[count, 1], kept[count, 2] = vertices[face, 0], vertices[face, 1], vertices[face, 2]
            material[count] = face_material[face]
            for side in range(3):
                vertex, position = vertices[face, side], mesh[1][face, side]
                moved_vertex[vertex] |= place_of[vertex] != position
                place_of[vertex] = position
            count += 1


@bare_njit
def _move_back(positions, center, vertex_position, place, moved_position, moved_vertex):
    """Shift the places back by the center; mark what has moved."""
    for i in range(len(place)):
        x, y, z = place[i, 0] + center[0], place[i, 1] + center[1], place[i, 2] + center[2]
        moved_position[i] = x != positions[i, 0] or y != positions[i, 1] or z != positions[i, 2]
        place[i, 0], place[i, 1], place[i, 2] = x, y, z
    for vertex in range(len(vertex_position)):
        moved_vertex[vertex] |= moved_position[vertex_position[vertex]]


@bare_njit
def _collapse_edges(target, manner, seam, points, looks, mesh, corners, quadrics, queue, scratch):
    """Collapse the cheapest legal edge until `target` faces are left; return how many are left."""
    _, _, kind, _, changed, refused, _ = points
    bucket_head, bucket_next, evaluated, state, _, _, _ = queue
    alive, edge_ends = mesh[2], mesh[6]
    faces, clock, attempt, at = 0, 0, 0, 0
    for face in range(len(alive)):
        faces += alive[face]
    _start_queue(bucket_head, bucket_next, evaluated)
    while faces > target:
        while at < BUCKETS and bucket_head[at] < 0:
            at += 1
        if at == BUCKETS:
            break
        edge = bucket_head[at]
        bucket_head[at] = bucket_next[edge]
        if state[edge] != QUEUED:
            continue
        i, j = edge_ends[edge, 0], edge_ends[edge, 1]
        if kind[i] > kind[j]:
            i, j = j, i
        bucket, removed = at, 0  # i goes, j stays
        if evaluated[edge] < max(changed[i], changed[j]):
            evaluated[edge] = clock
            bucket = _evaluate(edge, i, j, seam, points, mesh, quadrics, queue, scratch[1])
        if bucket > at:
            bucket_next[edge], bucket_head[bucket] = bucket_head[bucket], edge
            continue
        if bucket > 0:
            attempt += 1
            removed = _collapse(
                edge, i, j, attempt, manner, seam, points, looks, mesh, corners, quadrics, queue, scratch
            )
        if removed == 0:
            state[edge] = REJECTED if kind[i] != FIXED else GONE
            refused[i] = refused[j] = True
            continue
        faces -= removed
        clock += 1
        changed[j] = clock
        if refused[i] or refused[j]:
            refused[j] = False
            _queue_again(j, at, mesh, corners[2], queue)
    return faces


@inline_njit
def _start_queue(bucket_head, bucket_next, evaluated):
    """Put every edge into bucket 0, where those wait that were never evaluated."""
    for bucket in range(BUCKETS):
        bucket_head[bucket] = -1
    for edge in range(len(bucket_next)):
        bucket_next[edge], evaluated[edge] = edge + 1, -1
    if len(bucket_next) > 0:
        bucket_head[0], bucket_next[len(bucket_next) - 1] = 0, -1


@inline_njit
def _queue_again(j, at, mesh, edge_at, queue):
    """Put the rejected edges of j into bucket `at`: what was refused may be legal now."""
    bucket_head, bucket_next, _, state, _, _, _ = queue
    corner = mesh[4][j]
    while corner >= 0:
        for turn in range(2):
            edge = edge_at[corner if turn == 0 else previous_corner(corner)]
            if state[edge] == REJECTED:
                state[edge] = QUEUED
                bucket_next[edge], bucket_head[at] = bucket_head[at], edge
        corner = mesh[3][corner]


@inline_njit
def _evaluate(edge, i, j, seam, points, mesh, quadrics, queue, pairs):
    """Return the bucket for the cost of collapsing an edge, i into j, or 0 where its kind forbids it.

    Where to goes to edge_place. The bucket is made of the upper bits of the cost.
    """
    place, locked, kind, wedge, _, _, _ = points
    _, _, _, _, edge_place, cost, bits = queue
    edge_flags = mesh[7]
    if kind[i] == FIXED or (kind[i] == CURVE and edge_flags[edge] & HARD == 0):
        return 0
    pair_count = 0
    if len(quadrics[1]) > 0:
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
    cost[0] = max(quadric_value(total, x, y, z), 0.0) + shape
    if edge_flags[edge] == BORDER and last_hole_corner(mesh, i, j, edge, locked, wedge, seam) >= 0:
        cost[0] *= HOLE_COST
    return min(max((bits[0] >> 48) - LEAST_BUCKET, 1), BUCKETS - 1)


@inline_njit
def _collapse(edge, i, j, attempt, manner, seam, points, looks, mesh, corners, quadrics, queue, scratch):
    """Merge i into j where that is legal; return how many faces are removed."""
    place, locked, kind, wedge, _, _, mark = points
    edge_flags, state, edge_place = mesh[7], queue[3], queue[4]
    rings, pairs, weights = scratch
    x, y, z = float(edge_place[edge, 0]), float(edge_place[edge, 1]), float(edge_place[edge, 2])
    hole, counts = -1, (0, 0, 0)
    if manner != LOOSE:
        if edge_flags[edge] == BORDER:
            hole = last_hole_corner(mesh, i, j, edge, locked, wedge, seam)
        count_j, _ = collect_ring(mesh, corners[1], j, i, rings[1], rings[2])
        count_i, shared_count = collect_ring(mesh, corners[1], i, j, rings[0], rings[2])
        counts = (count_i, count_j, shared_count)
        if not link_is_simple(corners[2], edge_flags, j, rings, counts, hole, locked, mark, 2 * attempt):
            return 0
        for turn in range(2 if kind[i] == kind[j] else 1):
            if not _keeps_orientation(i if turn == 0 else j, rings[turn], counts[turn], x, y, z, place):
                return 0
    elif not merge_is_allowed(mesh, i, j, locked, mark, 2 * attempt):
        return 0
    pairs[0, 0], pairs[0, 1], beside = wedge[i], wedge[j], 1
    if min(wedge[i], wedge[j]) < 0:
        beside = edge_pairs(mesh, i, j, pairs)
    pair_count = beside
    if wedge[i] < 0 or manner == LOOSE:
        squared = (place[i, 0] - place[j, 0]) ** 2 + (place[i, 1] - place[j, 1]) ** 2
        squared += (place[i, 2] - place[j, 2]) ** 2
        pair_count = all_pairs(mesh, i, j, pairs, beside, looks[0], weights, squared)
        if pair_count < 0:
            return 0
    if kind[i] == kind[j]:
        blend_attributes(i, j, x, y, z, place, pairs, beside, wedge[j] < 0, mesh, looks)
        place[j, 0], place[j, 1], place[j, 2] = x, y, z
    merge_quadrics(i, j, pairs, pair_count, quadrics)
    state[edge] = GONE
    if manner == LOOSE:
        wedge[j] = -1
        return merge_any_corners(mesh, i, j, pairs, pair_count, state)
    removed = merge_corners(mesh, corners, i, j, rings, counts, pairs, pair_count, state)
    if hole >= 0:
        close_hole(mesh, j, hole, kind, seam, state)
    return removed


@inline_njit
def _keeps_orientation(i, ring, count, x, y, z, place):
    """Return whether no triangle of the ring of i turns too far or loses its area when i moves to (x, y, z)."""
    ox, oy, oz = place[i, 0], place[i, 1], place[i, 2]
    for n in range(count):
        a, b = ring[n, 1], ring[n, 2]
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
    return True
