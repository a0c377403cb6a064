"""Compiled loops of pages.py: order the triangles and vertices of each cluster, and measure it.

Triangles stand in trees across edges, breadth first, as page_codec.py stores them; vertices in order of first use.
"""

import numpy as np
from numba import njit

from engine import layout

MAX_VERTICES = int(layout.CONSTANTS["MAX_CLUSTER_VERTICES"])
_TABLE = 1024  # slots of the vertex table of a cluster; more than twice MAX_VERTICES + 1
_HASH = 0x9E3779B1

# Columns of the facts about a cluster.
VERTICES, RANGES, LOW, HIGH, UV_LOW, UV_HIGH, FACTS = 0, 1, 2, 5, 8, 10, 12


@njit(nogil=True, cache=True)
def measure_clusters(
    begin: int,
    stop: int,
    faces: np.ndarray,
    face_material: np.ndarray,
    first_face: np.ndarray,
    vertex_position: np.ndarray,
    lattice: np.ndarray,
    attributes: np.ndarray,
    uv_column: int,
    uv_scale: float,
    deepest: int,
    walk: np.ndarray,
    triangles: np.ndarray,
    facts: np.ndarray,
) -> None:
    """Order the triangles of clusters begin to stop, index them, and find what the sizes of their streams depend on.

    Fills walk (f,) uint16, the face at each place (counted in its cluster) | its first corner << 8; triangles (f, 3)
    uint8, vertices numbered by first use; facts (c, FACTS) int32. uv_column: first attribute column of UVs, or -1.
    deepest: steps from the root of a tree to a leaf. A cluster of more than MAX_VERTICES vertices gets MAX_VERTICES + 1
    in its facts, and nothing else.
    """
    for cluster in range(begin, stop):
        first, end = first_face[cluster], first_face[cluster + 1]
        fact = facts[cluster]
        local = np.empty((end - first, 3), np.int32)
        vertices = np.empty(MAX_VERTICES, np.int32)
        fact[VERTICES] = _number_vertices(faces, first, end, local, vertices)
        if fact[VERTICES] <= MAX_VERTICES:
            middle = _middle_face(local, vertices, vertex_position, lattice)
            fact[RANGES] = _walk(local, face_material[first:end], middle, deepest, walk[first:end])
            _renumber(local, walk[first:end], triangles[first:end])
            _measure(fact, vertices, vertex_position, lattice, attributes, uv_column, uv_scale)


@njit(nogil=True, cache=True)
def _number_vertices(faces: np.ndarray, first: int, end: int, local: np.ndarray, vertices: np.ndarray) -> int:
    """Write the faces with vertices numbered from 0, and the vertex of each number; return how many there are."""
    keys = np.full(_TABLE, -1, np.int32)
    places = np.zeros(_TABLE, np.int32)
    count = 0
    for face in range(first, end):
        for corner in range(3):
            vertex = faces[face, corner]
            slot = ((vertex * _HASH) & 0xFFFFFFFF) >> 22
            while keys[slot] != vertex and keys[slot] != -1:
                slot = (slot + 1) & (_TABLE - 1)
            if keys[slot] == -1:
                if count == MAX_VERTICES:
                    return MAX_VERTICES + 1
                keys[slot] = vertex
                places[slot] = count
                vertices[count] = vertex
                count += 1
            local[face - first, corner] = places[slot]
    return count


@njit(nogil=True, cache=True)
def _middle_face(local: np.ndarray, vertices: np.ndarray, vertex_position: np.ndarray, lattice: np.ndarray) -> int:
    """Return the face whose corners are nearest to the middle of all."""
    sums = np.zeros((len(local), 3), np.int64)
    x = y = z = np.int64(0)
    for face in range(len(local)):
        for corner in range(3):
            position = vertex_position[vertices[local[face, corner]]]
            for k in range(3):
                sums[face, k] += lattice[position, k]
        x, y, z = x + sums[face, 0], y + sums[face, 1], z + sums[face, 2]
    count, found, least = len(local), 0, np.inf
    for face in range(count):
        dx, dy, dz = sums[face, 0] - x / count, sums[face, 1] - y / count, sums[face, 2] - z / count
        square = dx * dx + dy * dy + dz * dz
        if square < least:
            found, least = face, square
    return found


@njit(nogil=True, cache=True)
def _walk(local: np.ndarray, material: np.ndarray, middle: int, deepest: int, walk: np.ndarray) -> int:
    """Order the faces in trees across edges, breadth first, material by material; return the number of materials.

    A face begins with the edge it was entered by, and leads to its left neighbour before its right one: the order that
    page_codec.py stores in a few bits. A root begins at a border where it has one, for its first edge leads nowhere.
    """
    count = len(local)
    keys = np.full(_TABLE, -1, np.int32)
    edges = np.zeros(_TABLE, np.int32)
    for face in range(count):
        for corner in range(3):
            key = local[face, corner] << 8 | local[face, (corner + 1) % 3]
            slot = ((key * _HASH) & 0xFFFFFFFF) >> 22
            while keys[slot] != -1:
                slot = (slot + 1) & (_TABLE - 1)
            keys[slot] = key
            edges[slot] = face << 2 | corner
    done, depth = np.zeros(count, np.bool_), np.zeros(count, np.int32)
    out, ranges, range_first = 0, 0, 0
    while range_first < count:
        range_end = range_first + 1
        while range_end < count and material[range_end] == material[range_first]:
            range_end += 1
        for i in range(range_first - 1, range_end):
            seed = middle if i < range_first else i
            if not range_first <= seed < range_end or done[seed]:
                continue
            first = 0
            for corner in range(3):
                a, b = local[seed, corner], local[seed, (corner + 1) % 3]
                if _neighbour(keys, edges, b << 8 | a, done, range_first, range_end) < 0:
                    first = corner
                    break
            taken = out
            depth[out] = 0
            done[seed], walk[out] = True, seed | first << 8
            out += 1
            while taken < out and depth[taken] < deepest:
                face, corner = walk[taken] & 255, walk[taken] >> 8
                a, b, c = local[face, corner], local[face, (corner + 1) % 3], local[face, (corner + 2) % 3]
                for key in (c << 8 | b, a << 8 | c):
                    found = _neighbour(keys, edges, key, done, range_first, range_end)
                    if found >= 0:
                        done[found >> 2] = True
                        walk[out] = found >> 2 | (found & 3) << 8
                        depth[out] = depth[taken] + 1
                        out += 1
                taken += 1
        ranges += 1
        range_first = range_end
    return ranges


@njit(nogil=True, cache=True)
def _neighbour(keys, edges, key, done, first, end):
    """Return the first face from `first` to `end` with this edge that is not done, << 2 | its corner there; or -1."""
    slot = ((key * _HASH) & 0xFFFFFFFF) >> 22
    found = -1
    while keys[slot] != -1:
        face = edges[slot] >> 2
        if keys[slot] == key and not done[face] and first <= face < end and (found < 0 or face < found >> 2):
            found = edges[slot]
        slot = (slot + 1) & (_TABLE - 1)
    return found


@njit(nogil=True, cache=True)
def _renumber(local: np.ndarray, walk: np.ndarray, triangles: np.ndarray) -> None:
    """Write the faces in the order of the walk with vertices numbered by first use."""
    numbers = np.full(MAX_VERTICES, -1, np.int32)
    count = 0
    for place in range(len(walk)):
        face, corner = walk[place] & 255, walk[place] >> 8
        for k in range(3):
            vertex = local[face, (corner + k) % 3]
            if numbers[vertex] < 0:
                numbers[vertex] = count
                count += 1
            triangles[place, k] = numbers[vertex]


@njit(nogil=True, cache=True)
def _measure(
    fact: np.ndarray,
    vertices: np.ndarray,
    vertex_position: np.ndarray,
    lattice: np.ndarray,
    attributes: np.ndarray,
    uv_column: int,
    uv_scale: float,
) -> None:
    """Write the boxes of the quantised positions and UVs."""
    fact[LOW:HIGH] = 2**30
    fact[HIGH:UV_LOW] = -(2**30)
    fact[UV_LOW:UV_HIGH] = 2**30
    fact[UV_HIGH:] = -(2**30)
    for vertex in vertices[: fact[VERTICES]]:
        position = vertex_position[vertex]
        for k in range(3):
            fact[LOW + k] = min(fact[LOW + k], lattice[position, k])
            fact[HIGH + k] = max(fact[HIGH + k], lattice[position, k])
        if uv_column >= 0:
            for k in range(2):
                value = np.int32(np.rint(attributes[vertex, uv_column + k] * uv_scale))
                fact[UV_LOW + k] = min(fact[UV_LOW + k], value)
                fact[UV_HIGH + k] = max(fact[UV_HIGH + k], value)
