"""Topology of one group while its edges collapse: corners around positions, edges, borders and seams.

A corner is 4 * face + side; the corners at a position are a linked list. An edge joins two positions. A *mesh* is the
tuple (faces (m, 3) vertices, face_position (m, 3), alive (m,) bool, corner_next (4m,), corner_head (p,), face_edge
(m, 3): the edge from each side's position to the next one, edge_ends (e, 2), edge_flags (e,) uint8); int32 unless told.
Link condition: Dey, Edelsbrunner, Guha and Nekhayev, Topology Preserving Edge Contraction, 1999.
"""

import numpy as np
from numba import njit

from engine.builder.quadric import BORDER, HARD, MATERIAL, SEAM, SOFT

SMOOTH, CURVE, FIXED = 0, 1, 2  # a position may go anywhere, along its border or seam, nowhere
QUEUED, REJECTED, GONE = 0, 1, 2  # states of an edge
MOST_PAIRS = 8  # vertices at one position that a collapse can rename


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def next_side(side):
    """Return the side after 0, 1, 2."""
    return side + 1 if side < 2 else 0


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def previous_side(side):
    """Return the side before 0, 1, 2."""
    return side - 1 if side > 0 else 2


@njit(nogil=True, cache=True, error_model="numpy")
def make_mesh(faces, vertex_position, face_material, position_count, seam):
    """Return the mesh of faces (m, 3); it takes over `faces`. Faces with equal positions are dropped.

    seam: the flag of an edge whose two triangles use different vertices: SEAM, or SOFT where only normals differ.
    """
    count = len(faces)
    alive = np.ones(count, dtype=np.bool_)
    face_position = np.empty((count, 3), dtype=np.int32)
    corner_next = np.full(4 * count, -1, dtype=np.int32)
    corner_head = np.full(position_count, -1, dtype=np.int32)
    for face in range(count - 1, -1, -1):
        for side in range(3):
            face_position[face, side] = vertex_position[faces[face, side]]
        a, b, c = face_position[face, 0], face_position[face, 1], face_position[face, 2]
        if a == b or b == c or c == a:
            alive[face] = False
            continue
        for side in range(3):
            position = face_position[face, side]
            corner_next[4 * face + side], corner_head[position] = corner_head[position], 4 * face + side
    face_edge, edge_ends, edge_flags = _find_edges(faces, face_position, face_material, corner_next, corner_head, seam)
    return faces, face_position, alive, corner_next, corner_head, face_edge, edge_ends, edge_flags


@njit(nogil=True, cache=True, error_model="numpy")
def _find_edges(faces, face_position, face_material, corner_next, corner_head, seam):
    """Return face_edge, edge_ends and edge_flags; an edge with more than two faces has all HARD flags set."""
    face_edge = np.full((len(faces), 3), -1, dtype=np.int32)
    edge_ends = np.empty((3 * len(faces), 2), dtype=np.int32)
    edge_flags = np.empty(3 * len(faces), dtype=np.uint8)
    edge_look = np.empty((3 * len(faces), 3), dtype=np.int32)  # vertices at both ends and material of its first face
    edge_of = np.full(len(corner_head), -1, dtype=np.int32)
    seen_from = np.full(len(corner_head), -1, dtype=np.int32)
    count = 0
    for here in range(len(corner_head)):
        corner = corner_head[here]
        while corner >= 0:
            face, side = corner >> 2, corner & 3
            for turn in range(2):
                other_side = next_side(side) if turn == 0 else previous_side(side)
                there = face_position[face, other_side]
                if there < here:
                    continue
                if seen_from[there] != here:
                    seen_from[there], edge_of[there] = here, count
                    edge_ends[count, 0], edge_ends[count, 1] = here, there
                    edge_look[count, 0], edge_look[count, 1] = faces[face, side], faces[face, other_side]
                    edge_look[count, 2] = face_material[face]
                    edge_flags[count] = BORDER
                    count += 1
                else:
                    edge = edge_of[there]
                    flags = HARD
                    if edge_flags[edge] == BORDER:
                        flags = 0
                        if edge_look[edge, 0] != faces[face, side] or edge_look[edge, 1] != faces[face, other_side]:
                            flags |= seam
                        if edge_look[edge, 2] != face_material[face]:
                            flags |= MATERIAL
                    edge_flags[edge] = flags
                face_edge[face, side if turn == 0 else other_side] = edge_of[there]
            corner = corner_next[corner]
    return face_edge, edge_ends[:count].copy(), edge_flags[:count].copy()


@njit(nogil=True, cache=True, error_model="numpy")
def classify_positions(mesh, locked, vertex_position):
    """Return kind (p,) uint8 of each position and wedge (p,) int32, its only vertex or -1."""
    faces, _, alive, _, _, _, edge_ends, edge_flags = mesh
    kind = np.zeros(len(locked), dtype=np.uint8)
    wedge = np.full(len(locked), -1, dtype=np.int32)
    wedges = np.zeros(len(locked), dtype=np.int32)
    used = np.zeros(len(vertex_position), dtype=np.bool_)
    for face in range(len(faces)):
        for side in range(3):
            vertex = faces[face, side]
            if alive[face] and not used[vertex]:
                used[vertex] = True
                wedges[vertex_position[vertex]] += 1
                wedge[vertex_position[vertex]] = vertex
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
        if features[position] == 0:
            free = wedges[position] == 1 or soft[position]
        else:
            several = 2 if either[position] & SEAM else 1
            uniform = either[position] == every[position] and either[position] != HARD
            free = features[position] == 2 and uniform and (wedges[position] == several or soft[position])
        if wedges[position] > 1:
            wedge[position] = -1
        if locked[position] or not free or wedges[position] > MOST_PAIRS:
            kind[position] = FIXED
        elif features[position] > 0:
            kind[position] = CURVE
    return kind, wedge


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy")
def all_pairs(mesh, i, j, pairs, pair_count, attributes):
    """Add to pairs every other vertex of i with the vertex of j whose normal is nearest; return how many there are."""
    faces, _, alive, corner_next, corner_head, _, _, _ = mesh
    count = pair_count
    corner = corner_head[i]
    while corner >= 0:
        here = faces[corner >> 2, corner & 3]
        known = not alive[corner >> 2]
        for n in range(count):
            known |= pairs[n, 0] == here
        if not known:
            best, goal = -np.inf, pairs[0, 1]
            other = corner_head[j]
            while other >= 0:
                there = faces[other >> 2, other & 3]
                cosine = 0.0
                for column in range(3):
                    cosine += float(attributes[here, column]) * float(attributes[there, column])
                if alive[other >> 2] and cosine > best:
                    best, goal = cosine, there
                other = corner_next[other]
            pairs[count, 0], pairs[count, 1] = here, goal
            count += 1
        corner = corner_next[corner]
    return count


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def link_is_simple(mesh, i, j, hole, locked, mark, stamp):
    """Return whether merging i into j keeps the topology: no duplicate face, no edge of three faces, no part lost.

    hole: the `last_hole_corner` of the edge; that one may be a common neighbour without a common face.
    """
    _, face_position, alive, corner_next, corner_head, face_edge, _, edge_flags = mesh
    shared, rest = 0, 0
    corner = corner_head[i]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        if alive[face]:
            a, b = face_position[face, next_side(side)], face_position[face, previous_side(side)]
            mark[a], mark[b] = stamp, stamp
            if a == j or b == j:
                shared += 1
                flags_i = edge_flags[face_edge[face, previous_side(side) if a == j else side]]
                if flags_i & HARD != 0 and edge_flags[face_edge[face, next_side(side)]] & HARD != 0:
                    return False  # a strip of one triangle between two borders would vanish
            else:
                rest += 1
        corner = corner_next[corner]
    common, closed_j = 0, False
    corner = corner_head[j]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        if alive[face]:
            a, b = face_position[face, next_side(side)], face_position[face, previous_side(side)]
            if a != i and b != i:
                rest += 1
                closed_j |= mark[a] >= stamp and mark[b] >= stamp
            if a != i and mark[a] == stamp:
                mark[a], common = stamp + 1, common + 1
            if b != i and mark[b] == stamp:
                mark[b], common = stamp + 1, common + 1
        corner = corner_next[corner]
    if common != shared + (1 if hole >= 0 else 0) or rest == 0:
        return False
    if not closed_j and not locked[j]:
        return True
    corner = corner_head[i]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        if alive[face]:
            a, b = face_position[face, next_side(side)], face_position[face, previous_side(side)]
            if closed_j and a != j and b != j and mark[a] == stamp + 1 and mark[b] == stamp + 1:
                return False  # two faces with the same three positions
            if locked[j] and (
                (a != j and locked[a] and mark[a] == stamp) or (b != j and locked[b] and mark[b] == stamp)
            ):
                return False  # an edge between two locked positions, which another group may hold too
        corner = corner_next[corner]
    return True


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def merge_corners(mesh, i, j, pairs, pair_count, state):
    """Remove the faces at edge i j and hand the others of i over to j; return how many faces are removed.

    Edges are renamed, and those that fall together are merged: state (e,) of the one that goes is GONE.
    """
    faces, face_position, alive, corner_next, corner_head, face_edge, edge_ends, edge_flags = mesh
    removed = 0
    gone_0, gone_1, kept_0, kept_1 = -1, -1, -1, -1
    corner = corner_head[i]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        next_is_j = face_position[face, next_side(side)] == j
        if alive[face] and (next_is_j or face_position[face, previous_side(side)] == j):
            alive[face] = False
            removed += 1
            gone = face_edge[face, previous_side(side) if next_is_j else side]
            kept = face_edge[face, next_side(side)]
            edge_flags[kept] |= edge_flags[gone]
            state[gone] = GONE
            gone_1, kept_1, gone_0, kept_0 = gone_0, kept_0, gone, kept
        corner = corner_next[corner]
    head = -1
    corner = corner_head[i]
    while corner >= 0:
        face, side, following = corner >> 2, corner & 3, corner_next[corner]
        if alive[face]:
            face_position[face, side] = j
            for n in range(pair_count):
                if faces[face, side] == pairs[n, 0]:
                    faces[face, side] = pairs[n, 1]
                    break
            for turn in range(2):
                spoke = side if turn == 0 else previous_side(side)
                edge = face_edge[face, spoke]
                if edge == gone_0:
                    face_edge[face, spoke] = kept_0
                elif edge == gone_1:
                    face_edge[face, spoke] = kept_1
                elif edge_ends[edge, 0] == i:
                    edge_ends[edge, 0] = j
                elif edge_ends[edge, 1] == i:
                    edge_ends[edge, 1] = j
            corner_next[corner], head = head, corner
        corner = following
    corner = corner_head[j]
    while corner >= 0:
        following = corner_next[corner]
        if alive[corner >> 2]:
            corner_next[corner], head = head, corner
        corner = following
    corner_head[i], corner_head[j] = -1, head
    return removed
