"""Rules of loose collapses, for groups that strict ones cannot shrink: seams, borders and edges of many triangles are
collapsed like any other, as their quadrics tell; topology may change and triangles may turn. A strict collapse that
runs out of legal edges is worse: it takes whatever is legal. Names and the mesh: topology.py.

Merging two positions, the locked ones kept, is a simplicial map: closed surfaces stay closed, across groups, too.
"""

from engine.builder.kernels import bare_njit
from engine.builder.topology import BORDER, FIXED, GONE, HARD, SEAM, SMOOTH, SOFT, next_side, previous_side


@bare_njit
def loosen(mesh, locked, kind):
    """Make hard seams soft and material borders no borders; every position that is not locked becomes SMOOTH."""
    edge_flags = mesh[7]
    for i in range(len(kind)):
        kind[i] = FIXED if locked[i] else SMOOTH
    for edge in range(len(edge_flags)):
        flags = edge_flags[edge]
        if flags & HARD != HARD:  # it has two faces at most
            edge_flags[edge] = (flags & (BORDER | SOFT)) | (SOFT if flags & SEAM != 0 else 0)


@bare_njit
def merge_is_allowed(mesh, i, j, locked, mark, stamp):
    """Return whether i may merge into j: a face is left, and no new edge joins two locked positions."""
    _, face_position, alive, corner_next, corner_head, _, _, _ = mesh
    rest = 0
    corner = corner_head[j]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        if alive[face]:
            a, b = face_position[face, next_side(side)], face_position[face, previous_side(side)]
            mark[a], mark[b] = stamp, stamp
            rest += a != i and b != i
        corner = corner_next[corner]
    corner = corner_head[i]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        if alive[face]:
            a, b = face_position[face, next_side(side)], face_position[face, previous_side(side)]
            rest += a != j and b != j
            if locked[j] and (
                (locked[a] and a != j and mark[a] != stamp) or (locked[b] and b != j and mark[b] != stamp)
            ):
                return False
        corner = corner_next[corner]
    return rest > 0


@bare_njit
def merge_any_corners(mesh, i, j, pairs, pair_count, state):
    """Do what merge_corners does where any number of faces may meet at an edge; of equal faces one stays."""
    faces, face_position, alive, corner_next, corner_head, face_edge, edge_ends, edge_flags = mesh
    removed, head = 0, -1
    corner = corner_head[i]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        a, b = face_position[face, next_side(side)], face_position[face, previous_side(side)]
        if alive[face] and (a == j or b == j or _has_face(mesh, j, a, b)):
            alive[face] = False
            removed += 1
        elif alive[face]:
            face_position[face, side] = j
            for n in range(pair_count):
                if faces[face, side] == pairs[n, 0]:
                    faces[face, side] = pairs[n, 1]
                    break
            for turn in range(2):
                spoke = side if turn == 0 else previous_side(side)
                edge = face_edge[face, spoke]
                if edge_ends[edge, 0] != i and edge_ends[edge, 1] != i:
                    continue  # renamed with another face
                same = _edge_between(mesh, j, a if turn == 0 else b, state)
                if same >= 0:
                    face_edge[face, spoke] = same
                    edge_flags[same] |= edge_flags[edge]
                    state[edge] = GONE
                elif edge_ends[edge, 0] == i:
                    edge_ends[edge, 0] = j
                else:
                    edge_ends[edge, 1] = j
        corner = corner_next[corner]
    _drop_bare_edges(mesh, i, j, state)
    for position in (i, j):
        corner = corner_head[position]
        while corner >= 0:
            following = corner_next[corner]
            if alive[corner >> 2]:
                corner_next[corner], head = head, corner
            corner = following
    corner_head[i], corner_head[j] = -1, head
    return removed


@bare_njit
def _has_face(mesh, j, a, b):
    """Return whether there is a face of the positions j, a, b in this order."""
    _, face_position, alive, corner_next, corner_head, _, _, _ = mesh
    corner = corner_head[j]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        if alive[face] and face_position[face, next_side(side)] == a and face_position[face, previous_side(side)] == b:
            return True
        corner = corner_next[corner]
    return False


@bare_njit
def _edge_between(mesh, j, k, state):
    """Return the edge from j to k that a face in the list of j has or had until now, or -1."""
    _, _, _, corner_next, corner_head, face_edge, edge_ends, _ = mesh
    corner = corner_head[j]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        for turn in range(2):
            edge = face_edge[face, side if turn == 0 else previous_side(side)]
            low, high = min(edge_ends[edge, 0], edge_ends[edge, 1]), max(edge_ends[edge, 0], edge_ends[edge, 1])
            if low == min(j, k) and high == max(j, k) and state[edge] != GONE:
                return edge
        corner = corner_next[corner]
    return -1


@bare_njit
def _drop_bare_edges(mesh, i, j, state):
    """Mark as GONE the edges at i and j of faces that are gone, where no other face has them."""
    _, face_position, alive, corner_next, corner_head, face_edge, _, _ = mesh
    corner = corner_head[i]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        a, b = face_position[face, next_side(side)], face_position[face, previous_side(side)]
        for turn in range(3 if not alive[face] else 0):
            if turn == 2 and a != j and b != j:
                break
            edge = face_edge[face, side if turn == 0 else (previous_side(side) if turn == 1 else next_side(side))]
            if not _is_spoke(mesh, i, edge) and not _is_spoke(mesh, j, edge):
                state[edge] = GONE
        corner = corner_next[corner]


@bare_njit
def _is_spoke(mesh, i, edge):
    """Return whether a face in the list of i has `edge` at that corner."""
    _, _, alive, corner_next, corner_head, face_edge, _, _ = mesh
    corner = corner_head[i]
    while corner >= 0:
        face, side = corner >> 2, corner & 3
        if alive[face] and (face_edge[face, side] == edge or face_edge[face, previous_side(side)] == edge):
            return True
        corner = corner_next[corner]
    return False
