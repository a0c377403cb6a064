"""Wedges: the vertices at one position of a mesh, which differ in normal, UVs or colours (H. Hoppe, Efficient
Implementation of Progressive Meshes, 1998), and what a collapse does with them."""

import numpy as np
from numba import njit

from engine.builder.kernels import bare_njit, inline_njit
from engine.builder.topology import MOST_PAIRS, same_look

MOST_TURNED = 0.125  # of the faces of a group, which get normals of their own


@bare_njit
def all_pairs(mesh, i, j, pairs, pair_count, attributes, attribute_weights, reach_squared):
    """Add to `pairs`, which holds the edge_pairs, every other vertex of i with the vertex of j that replaces it.

    That is the one on its side of the seam whose normal is nearest. Where its side does not reach j, which only loose
    collapses meet: the vertex of j that differs least, by at most the root of reach_squared as a length, or itself,
    which moves to j with the UVs it has. Return how many pairs there are; -1: more than fit.
    """
    faces, _, alive, corner_next, corner_head, _, _, _ = mesh
    if pair_count == 2 and pairs[0, 0] == pairs[1, 0] and not same_look(attributes, pairs[0, 1], pairs[1, 1]):
        pairs[0, 1], pair_count = pairs[0, 0], 1  # a seam of j ends at i: its vertex belongs to both sides
    count = pair_count
    corner = corner_head[i]
    while corner >= 0:
        here = faces[corner >> 2, corner & 3]
        known, beside = not alive[corner >> 2], -1
        for n in range(count):
            known |= pairs[n, 0] == here
            if n < pair_count and same_look(attributes, here, pairs[n, 0]):
                beside = pairs[n, 1]
        if not known:
            if count == MOST_PAIRS:
                return -1
            best, goal = np.inf, here if beside < 0 else beside
            other = corner_head[j]
            while other >= 0:
                there = faces[other >> 2, other & 3]
                if alive[other >> 2] and (beside < 0 or same_look(attributes, there, beside)):
                    turn, shift = _differences(attributes, attribute_weights, here, there)
                    if beside >= 0:
                        shift = turn
                    elif shift > reach_squared:
                        shift = np.inf
                    if shift < best:
                        best, goal = shift, there
                other = corner_next[other]
            pairs[count, 0], pairs[count, 1] = here, goal
            count += 1
        corner = corner_next[corner]
    return count


@inline_njit
def _differences(attributes, attribute_weights, first, second):
    """Return the squared differences of two vertices: of the normals, and of all else as a length."""
    turn, shift = 0.0, 0.0
    for column in range(attributes.shape[1]):
        difference = float(attributes[first, column]) - float(attributes[second, column])
        if column < 3:
            turn += difference * difference
        else:
            shift += (difference * float(attribute_weights[column])) ** 2
    return turn, shift


@bare_njit
def blend_attributes(i, j, x, y, z, place, pairs, pair_count, several, mesh, looks):
    """Give the kept vertices of the edge the values at the foot of (x, y, z) on the edge, with a unit normal.

    pairs: the edge_pairs. several: j has more vertices than one; those that differ from a kept one in the normal alone
    keep their normal.
    """
    attributes, changed = looks
    ex, ey, ez = place[i, 0] - place[j, 0], place[i, 1] - place[j, 1], place[i, 2] - place[j, 2]
    along = ex * (x - place[j, 0]) + ey * (y - place[j, 1]) + ez * (z - place[j, 2])
    t = min(max(along / (ex * ex + ey * ey + ez * ez), 0.0), 1.0)
    for n in range(pair_count):
        gone, kept = pairs[n, 0], pairs[n, 1]
        changed[kept] = True
        columns = attributes.shape[1]
        if several and columns > 3:
            if n == 1 and same_look(attributes, kept, pairs[0, 1]):
                columns = 3  # the first pair's side of the seam: done
            else:
                _blend_side(j, t, gone, kept, mesh, looks)
        for column in range(columns):
            value = float(attributes[kept, column])
            attributes[kept, column] = value + t * (float(attributes[gone, column]) - value)
        nx, ny, nz = float(attributes[kept, 0]), float(attributes[kept, 1]), float(attributes[kept, 2])
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        if length > 1e-6:
            attributes[kept, 0], attributes[kept, 1], attributes[kept, 2] = nx / length, ny / length, nz / length
        else:  # opposite normals: the middle has none
            for column in range(3):
                attributes[kept, column] = attributes[gone, column]


@bare_njit
def _blend_side(j, t, gone, kept, mesh, looks):
    """Blend all but the normal of the vertices of j that look like `kept`, itself left out."""
    attributes, changed = looks
    faces, _, alive, corner_next, corner_head, _, _, _ = mesh
    corner = corner_head[j]
    while corner >= 0:
        vertex = faces[corner >> 2, corner & 3]
        if alive[corner >> 2] and vertex != kept and same_look(attributes, vertex, kept):
            changed[vertex] = True
            for column in range(3, attributes.shape[1]):
                value = float(attributes[vertex, column])
                attributes[vertex, column] = value + t * (float(attributes[gone, column]) - value)
        corner = corner_next[corner]


@njit(nogil=True, cache=True, error_model="numpy")
def turn_normals(faces, positions, vertex_position, attributes, moved_vertex):
    """Give each face (n, 3) that turns its back on the normals of its vertices vertices of its own, with its normal.

    They are taken from the vertices that no face uses any more. Where many faces do, as in the faces of tetrahedra,
    nothing is done. All arrays but positions change in place.
    """
    used = np.zeros(len(vertex_position), dtype=np.bool_)
    turned, normal = 0, np.empty(3)
    for face in range(len(faces)):
        turned += _is_turned(faces[face], positions, vertex_position, attributes, normal)
        for side in range(3):
            used[faces[face, side]] = True
    if turned > MOST_TURNED * len(faces):
        return
    free = 0
    for face in range(len(faces)):
        if turned == 0 or not _is_turned(faces[face], positions, vertex_position, attributes, normal):
            continue
        turned -= 1
        for side in range(3):
            while free < len(used) and used[free]:
                free += 1
            if free == len(used):
                return
            vertex = faces[face, side]
            vertex_position[free] = vertex_position[vertex]
            attributes[free] = attributes[vertex]
            for axis in range(3):
                attributes[free, axis] = normal[axis]
            used[free], moved_vertex[free] = True, True
            faces[face, side] = free


@inline_njit
def _is_turned(face, positions, vertex_position, attributes, normal):
    """Return whether the face (3,) turns its back on its vertices' normals; write its unit normal (3,) if so."""
    a, b, c = face[0], face[1], face[2]
    p, q, r = vertex_position[a], vertex_position[b], vertex_position[c]
    ex, ey, ez = positions[q, 0] - positions[p, 0], positions[q, 1] - positions[p, 1], positions[q, 2] - positions[p, 2]
    fx, fy, fz = positions[r, 0] - positions[p, 0], positions[r, 1] - positions[p, 1], positions[r, 2] - positions[p, 2]
    nx, ny, nz = ey * fz - ez * fy, ez * fx - ex * fz, ex * fy - ey * fx
    facing = nx * (float(attributes[a, 0]) + attributes[b, 0] + attributes[c, 0])
    facing += ny * (float(attributes[a, 1]) + attributes[b, 1] + attributes[c, 1])
    facing += nz * (float(attributes[a, 2]) + attributes[b, 2] + attributes[c, 2])
    if facing >= 0.0:
        return False
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    normal[0], normal[1], normal[2] = nx / length, ny / length, nz / length
    return True
