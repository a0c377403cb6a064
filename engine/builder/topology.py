"""Topology of one group while its edges collapse: corners around positions, edges, borders and seams.

A corner is 4 * face + side; the corners at a position are a linked list. An edge joins two positions. A *mesh* is the
tuple (faces (m, 4) vertices, face_position (m, 4), alive (m,) bool, corner_next (4m,), corner_head (p,), face_edge
(m, 4): the edge from each side's position to the next one, edge_ends (e, 2), edge_flags (e,) uint8); int32 unless told.
Column 3 is unused, so that *corners*, the same faces, face_position and face_edge as (4m,), are indexed by corner.
Link condition: Dey, Edelsbrunner, Guha and Nekhayev, Topology Preserving Edge Contraction, 1999.
"""

import numpy as np
from numba import njit

from engine.builder.kernels import bare_njit, inline_njit
from engine.builder.quadric import BORDER, HARD, MATERIAL, SEAM, SOFT

SMOOTH, CURVE, FIXED = 0, 1, 2  # a position may go anywhere, along its border or seam, nowhere
QUEUED, REJECTED, GONE = 0, 1, 2  # states of an edge
MOST_WEDGES = 32  # vertices at a position that may be merged into another one
MOST_PAIRS = MOST_WEDGES + 2


@inline_njit
def next_side(side):
    """Return the side after 0, 1, 2."""
    return side + 1 if side < 2 else 0


@inline_njit
def previous_side(side):
    """Return the side before 0, 1, 2."""
    return side - 1 if side > 0 else 2


@inline_njit
def next_corner(corner):
    """Return the corner after one of the same face."""
    return corner + 1 if corner & 3 < 2 else corner & -4


@inline_njit
def previous_corner(corner):
    """Return the corner before one of the same face."""
    return corner - 1 if corner & 3 > 0 else corner + 2


@inline_njit
def same_look(attributes, first, second):
    """Return whether two vertices agree in everything but the normal: they lie on one side of every hard seam."""
    same = True
    for column in range(3, attributes.shape[1]):
        same &= attributes[first, column] == attributes[second, column]
    return same


@njit(nogil=True, cache=True, error_model="numpy")
def make_mesh(faces, vertex_position, face_material, position_count, attributes):
    """Return the mesh of faces (m, 3). Faces with equal positions are dropped.

    attributes (v, k) float32 tell seams that are SOFT, where only the normal (columns 0:3) differs, from the others.
    """
    count = len(faces)
    alive = np.empty(count, dtype=np.bool_)
    vertices, face_position = np.empty((count, 4), dtype=np.int32), np.empty((count, 4), dtype=np.int32)
    face_edge = np.empty((count, 4), dtype=np.int32)
    corner_next, corner_head = np.empty(4 * count, dtype=np.int32), np.empty(position_count, dtype=np.int32)
    edge_ends, edge_flags = np.empty((3 * count, 2), dtype=np.int32), np.empty(3 * count, dtype=np.uint8)
    edge_look = np.empty((3 * count, 3), dtype=np.int32)  # vertices at both ends and material of its first face
    edge_of = np.empty(position_count, dtype=np.int32)
    mesh = (vertices, face_position, alive, corner_next, corner_head, face_edge, edge_ends, edge_flags)
    _link_corners(faces, vertex_position, mesh)
    edges = _find_edges(mesh, face_material, attributes, edge_look, edge_of)
    return (
        vertices, face_position, alive, corner_next, corner_head, face_edge, edge_ends[:edges], edge_flags[:edges]
    )  # fmt: skip


@bare_njit
def _link_corners(faces, vertex_position, mesh):
    """Fill the rows of all faces and the lists of their corners."""
    vertices, face_position, alive, corner_next, corner_head, face_edge, _, _ = mesh
    corner_head[:] = -1
    for face in range(len(faces) - 1, -1, -1):
        v0, v1, v2 = faces[face, 0], faces[face, 1], faces[face, 2]
        a, b, c = vertex_position[v0], vertex_position[v1], vertex_position[v2]
        vertices[face, 0], vertices[face, 1], vertices[face, 2] = v0, v1, v2
        face_position[face, 0], face_position[face, 1], face_position[face, 2] = a, b, c
        face_edge[face, 0] = -1
        alive[face] = a != b and b != c and c != a
        if alive[face]:
            corner = 4 * face
            corner_next[corner], corner_head[a] = corner_head[a], corner
            corner_next[corner + 1], corner_head[b] = corner_head[b], corner + 1
            corner_next[corner + 2], corner_head[c] = corner_head[c], corner + 2


@bare_njit
def _find_edges(mesh, face_material, attributes, edge_look, edge_of):
    """Fill face_edge, edge_ends and edge_flags; an edge with more than two faces has all HARD flags set.

    Return how many edges there are.
    """
    faces, face_position, _, corner_next, corner_head, face_edge, edge_ends, edge_flags = mesh
    edge_of[:] = -1
    count = 0
    for here in range(len(corner_head)):
        first = count
        corner = corner_head[here]
        while corner >= 0:
            face, side = corner >> 2, corner & 3
            for turn in range(2):
                other_side = next_side(side) if turn == 0 else previous_side(side)
                there = face_position[face, other_side]
                if there < here:
                    continue
                edge = edge_of[there]
                if edge < first:
                    edge, edge_of[there] = count, count
                    edge_ends[count, 0], edge_ends[count, 1] = here, there
                    edge_look[count, 0], edge_look[count, 1] = faces[face, side], faces[face, other_side]
                    edge_look[count, 2] = face_material[face]
                    edge_flags[count] = BORDER
                    count += 1
                else:
                    flags = HARD
                    if edge_flags[edge] == BORDER:
                        flags = 0
                        v, w = edge_look[edge, 0], edge_look[edge, 1]
                        if v != faces[face, side] or w != faces[face, other_side]:
                            soft = same_look(attributes, v, faces[face, side])
                            soft &= same_look(attributes, w, faces[face, other_side])
                            flags |= SOFT if soft else SEAM
                        if edge_look[edge, 2] != face_material[face]:
                            flags |= MATERIAL
                    edge_flags[edge] = flags
                face_edge[face, side if turn == 0 else other_side] = edge
            corner = corner_next[corner]
    return count


@njit(nogil=True, cache=True, error_model="numpy")
def classify_positions(mesh, locked, vertex_position, attributes):
    """Return kind (p,) uint8 of each position and wedge (p,) int32, its only vertex or -1."""
    faces, _, alive, _, _, _, edge_ends, edge_flags = mesh
    kind = np.zeros(len(locked), dtype=np.uint8)
    wedge = np.full(len(locked), -1, dtype=np.int32)
    wedges = np.zeros(len(locked), dtype=np.int32)
    looks = np.zeros(len(locked), dtype=np.int32)  # 3: at least three that differ in more than the normal
    other = np.full(len(locked), -1, dtype=np.int32)  # a vertex that differs so from `wedge`
    used = np.zeros(len(vertex_position), dtype=np.bool_)
    for face in range(len(faces)):
        for side in range(3):
            vertex = faces[face, side]
            if alive[face] and not used[vertex]:
                used[vertex] = True
                position = vertex_position[vertex]
                wedges[position] += 1
                if wedge[position] < 0:
                    wedge[position] = vertex
                elif not same_look(attributes, vertex, wedge[position]):
                    if other[position] < 0:
                        other[position] = vertex
                    elif not same_look(attributes, vertex, other[position]):
                        looks[position] = 3
    features = np.zeros(len(locked), dtype=np.int32)
    either = np.zeros(len(locked), dtype=np.uint8)
    every = np.full(len(locked), HARD, dtype=np.uint8)
    soft = np.zeros(len(locked), dtype=np.bool_)
    for edge in range(len(edge_ends)):
        for end in range(2):
            position = edge_ends[edge, end]
            soft[position] |= edge_flags[edge] & SOFT != 0
            if edge_flags[edge] & HARD != 0:
                features[position] += 1
                either[position] |= edge_flags[edge] & HARD
                every[position] &= edge_flags[edge]
    for position in range(len(locked)):
        several = 2 if either[position] & SEAM else 1
        free = wedges[position] == several
        if soft[position]:
            free = max(looks[position], 1 if other[position] < 0 else 2) == several
        if features[position] > 0:
            free &= features[position] == 2 and either[position] == every[position] and either[position] != HARD
        if wedges[position] > 1:
            wedge[position] = -1
        if locked[position] or not free or wedges[position] > MOST_WEDGES:
            kind[position] = FIXED
        elif features[position] > 0:
            kind[position] = CURVE
    return kind, wedge


@bare_njit
def edge_pairs(mesh, i, j, pairs):
    """Write the different pairs (vertex of i, vertex of j) of the triangles at the edge; return how many (<= 2)."""
    faces, face_position, alive, corner_next, corner_head, _, _, _ = mesh
    count = 0
    corner = corner_head[i]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        if alive[face]:
            other = -1
            if face_position[face, next_side(side)] == j:
                other = faces[face, next_side(side)]
            elif face_position[face, previous_side(side)] == j:
                other = faces[face, previous_side(side)]
            here = faces[face, side]
            if other >= 0 and (count == 0 or (count == 1 and (pairs[0, 0] != here or pairs[0, 1] != other))):
                pairs[count, 0], pairs[count, 1] = here, other
                count += 1
        corner = corner_next[corner]
    return count


@bare_njit
def last_hole_corner(mesh, i, j, edge, locked, wedge, seam):
    """Return the third position of a hole of three edges of which `edge`, from i to j, is one, or -1.

    Merging i into j closes such a hole: the other two edges become one, of two triangles. Not at a hard seam, and not
    where the edge that stays joins two locked positions: another group may continue there.
    """
    _, _, alive, corner_next, corner_head, face_edge, edge_ends, edge_flags = mesh
    if edge_flags[edge] != BORDER or (seam != SOFT and min(wedge[i], wedge[j]) < 0):
        return -1
    found = -1
    corner = corner_head[i]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        for turn in range(2):
            spoke = face_edge[face, side if turn == 0 else previous_side(side)]
            if alive[face] and spoke != edge and edge_flags[spoke] == BORDER:
                found = edge_ends[spoke, 0] + edge_ends[spoke, 1] - i  # its other end
        corner = corner_next[corner]
    if found < 0 or found == j or (locked[j] and locked[found]) or (seam != SOFT and wedge[found] < 0):
        return -1
    corner = corner_head[j]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        for turn in range(2):
            spoke = face_edge[face, side if turn == 0 else previous_side(side)]
            if alive[face] and edge_flags[spoke] == BORDER and edge_ends[spoke, 0] + edge_ends[spoke, 1] - j == found:
                return found
        corner = corner_next[corner]
    return -1


@bare_njit
def close_hole(mesh, j, k, kind, seam, state):
    """Make one edge of the two border edges between j and k, after a merge; free their ends of the border.

    seam: SOFT where the vertices on both sides may differ, by their normals alone.
    """
    _, _, alive, corner_next, corner_head, face_edge, edge_ends, edge_flags = mesh
    kept = -1
    corner = corner_head[j]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        for turn in range(2):
            spoke_side = side if turn == 0 else previous_side(side)
            spoke = face_edge[face, spoke_side]
            if alive[face] and edge_ends[spoke, 0] + edge_ends[spoke, 1] - j == k and edge_flags[spoke] == BORDER:
                if kept < 0:
                    kept = spoke
                elif spoke != kept:
                    face_edge[face, spoke_side] = kept
                    state[spoke] = GONE
        corner = corner_next[corner]
    edge_flags[kept] = seam & SOFT
    for end in range(2):
        position = j if end == 0 else k
        flags = 0
        corner = corner_head[position]
        while corner >= 0:
            face, side = corner >> 2, corner & 3
            if alive[face]:
                flags |= edge_flags[face_edge[face, side]] | edge_flags[face_edge[face, previous_side(side)]]
            corner = corner_next[corner]
        if flags & HARD == 0 and kind[position] == CURVE:
            kind[position] = SMOOTH


@inline_njit
def collect_ring(mesh, position_at, i, j, ring, shared):
    """Write the faces at i into rows (corner at i, the two other positions): of `shared` those at j, of `ring` others.

    ring, shared (m, 4) int32; return how many rows of each are filled.
    """
    alive, corner_next = mesh[2], mesh[3]
    count, shared_count = 0, 0
    corner = mesh[4][i]
    while corner >= 0:
        if alive[corner >> 2]:
            a, b = position_at[next_corner(corner)], position_at[previous_corner(corner)]
            at_j = a == j or b == j
            row = shared[shared_count] if at_j else ring[count]
            row[0], row[1], row[2] = corner, a, b
            shared_count, count = shared_count + at_j, count + (not at_j)
        corner = corner_next[corner]
    return count, shared_count


@inline_njit
def link_is_simple(edge_at, edge_flags, j, rings, counts, hole, locked, mark, stamp):
    """Return whether merging i into j keeps the topology: no duplicate face, no edge of three faces, no part lost.

    rings: of i and of j without the other one, and the shared faces as seen from i, with their counts (see
    `collect_ring`); hole: the `last_hole_corner` of the edge; it may be a common neighbour without a common face.
    """
    ring_i, ring_j, shared = rings
    count_i, count_j, shared_count = counts
    for n in range(count_i):
        mark[ring_i[n, 1]] = stamp
        mark[ring_i[n, 2]] = stamp
    common = 0
    for n in range(shared_count):
        corner, third = shared[n, 0], shared[n, 1]
        beside = corner
        if third == j:
            third, beside = shared[n, 2], previous_corner(corner)
        if edge_flags[edge_at[beside]] & HARD != 0 and edge_flags[edge_at[next_corner(corner)]] & HARD != 0:
            return False  # a strip of one triangle between two borders would vanish
        common += mark[third] != stamp + 1
        mark[third] = stamp + 1
    closed_j = False
    for n in range(count_j):
        a, b = ring_j[n, 1], ring_j[n, 2]
        closed_j |= mark[a] >= stamp and mark[b] >= stamp
        for third in (a, b):
            if mark[third] == stamp:
                mark[third], common = stamp + 1, common + 1
    if common != shared_count + (1 if hole >= 0 else 0) or count_i + count_j == 0:
        return False
    if not closed_j and not locked[j]:
        return True
    for n in range(count_i):
        a, b = ring_i[n, 1], ring_i[n, 2]
        if closed_j and mark[a] == stamp + 1 and mark[b] == stamp + 1:
            return False  # two faces with the same three positions
        if locked[j] and ((locked[a] and mark[a] == stamp) or (locked[b] and mark[b] == stamp)):
            return False  # an edge between two locked positions, which another group may hold too
    return True


@inline_njit
def merge_corners(mesh, corners, i, j, rings, counts, pairs, pair_count, state):
    """Remove the faces at edge i j and hand the others of i over to j; return how many faces are removed.

    Edges are renamed, and those that fall together are merged: state (e,) of the one that goes is GONE.
    """
    _, _, alive, corner_next, corner_head, _, edge_ends, edge_flags = mesh
    vertex_at, position_at, edge_at = corners
    ring_i, ring_j, shared = rings
    gone_0, gone_1, kept_0, kept_1 = -1, -1, -1, -1
    for n in range(counts[2]):
        corner = shared[n, 0]
        alive[corner >> 2] = False
        gone = edge_at[previous_corner(corner) if shared[n, 1] == j else corner]
        kept = edge_at[next_corner(corner)]
        edge_flags[kept] |= edge_flags[gone]
        state[gone] = GONE
        gone_1, kept_1, gone_0, kept_0 = gone_0, kept_0, gone, kept
    head = -1
    for n in range(counts[0]):
        corner = ring_i[n, 0]
        position_at[corner] = j
        for pair in range(pair_count):
            if vertex_at[corner] == pairs[pair, 0]:
                vertex_at[corner] = pairs[pair, 1]
                break
        for turn in range(2):
            spoke = corner if turn == 0 else previous_corner(corner)
            edge = edge_at[spoke]
            if edge == gone_0:
                edge_at[spoke] = kept_0
            elif edge == gone_1:
                edge_at[spoke] = kept_1
            else:
                edge_ends[edge, 0 if edge_ends[edge, 0] == i or edge_ends[edge, 0] == j else 1] = j
        corner_next[corner], head = head, corner
    for n in range(counts[1]):
        corner_next[ring_j[n, 0]], head = head, ring_j[n, 0]
    corner_head[i], corner_head[j] = -1, head
    return counts[2]
