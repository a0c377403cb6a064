"""Compiled loops of pages.py: pack groups into pages, write streams.

Octahedral normals: Cigolle et al., "A survey of efficient representations for independent unit vectors", 2014; of the
four roundings the one nearest to the normal is kept.
"""

import numpy as np
from numba import njit

from engine import layout
from engine.builder.page_order import LOW, UV_LOW, VERTICES

HEADER_WORDS = int(layout.CONSTANTS["PAGE_HEADER_WORDS"])
RECORD_WORDS = int(layout.CONSTANTS["CLUSTER_WORDS"])
NO_GROUP = -1


@njit(nogil=True, cache=True)
def pack_groups(
    words: np.ndarray,
    root: np.ndarray,
    first_product: np.ndarray,
    product_group: np.ndarray,
    limit: int,
    root_limit: int,
) -> np.ndarray:
    """Return the page (g,) int32 of each group: one after the other, a new page where the next group does not fit.

    words (g,) int64: of a group's members. root (g,) bool: root groups, all at the front. Products of group i are
    members of the groups product_group[first_product[i]:first_product[i + 1]], each before i. Pages that begin with
    a root group hold `root_limit` words, others `limit`.
    """
    page_of_group = np.full(len(words), -1, np.int32)
    counted = np.full(len(words) + 1, -1, np.int32)  # by page: the last page whose list it was counted in
    page, used, page_limit = -1, 0, 0
    for group in range(len(words)):
        while True:
            wanted = words[group]
            for i in range(first_product[group], first_product[group + 1]):
                other = page_of_group[product_group[i]]
                if other != page and counted[other] != page:
                    counted[other] = page
                    wanted += 1
            if page >= 0 and (used + wanted <= page_limit or used == HEADER_WORDS):
                break
            page += 1
            used = HEADER_WORDS
            page_limit = root_limit if root[group] else limit
        page_of_group[group] = page
        used += wanted
    return page_of_group


@njit(nogil=True, cache=True)
def _append(words, word, bits, waiting, value, width):
    """Append the low bits of a value to a bit stream; return its new (word, bits, number of waiting bits)."""
    bits |= value << waiting
    waiting += width
    if waiting >= 32:
        words[word] = bits & 0xFFFFFFFF
        return word + 1, bits >> 32, waiting - 32
    return word, bits, waiting


@njit(nogil=True, cache=True)
def octahedral(x: float, y: float, z: float) -> int:
    """Return two signed bytes, x below y, whose decoded direction is nearest to (x, y, z)."""
    length = abs(x) + abs(y) + abs(z)
    if not length > 0.0:
        return 0
    u, v = x / length, y / length
    if z < 0.0:
        u, v = (1.0 - abs(v)) * (1.0 if u >= 0.0 else -1.0), (1.0 - abs(u)) * (1.0 if v >= 0.0 else -1.0)
    best, best_dot, best_square = 0, -1.0, 1.0
    for choice in range(4):
        a = min(np.floor(u * 127.0) + (choice & 1), 127.0)
        b = min(np.floor(v * 127.0) + (choice >> 1), 127.0)
        dx, dy, dz = a, b, 127.0 - abs(a) - abs(b)
        if dz < 0.0:
            dx += dz if dx >= 0.0 else -dz
            dy += dz if dy >= 0.0 else -dz
        dot, square = dx * x + dy * y + dz * z, dx * dx + dy * dy + dz * dz
        if dot > 0.0 and dot * dot * best_square > best_dot * abs(best_dot) * square:
            best_dot, best_square = dot, square
            best = (int(a) & 255) | (int(b) & 255) << 8
    return best


@njit(nogil=True, cache=True)
def _vertices(faces: np.ndarray, first: int, walk: np.ndarray, triangles: np.ndarray, count: int) -> np.ndarray:
    """Return the vertices of a cluster in order of first use."""
    vertices = np.empty(count, np.int32)
    found = 0
    for place in range(len(walk)):
        face, corner = first + (walk[place] & 255), walk[place] >> 8
        for k in range(3):
            if triangles[place, k] == found and found < count:
                vertices[found] = faces[face, (corner + k) % 3]
                found += 1
    return vertices


@njit(nogil=True, cache=True)
def write_streams(
    begin: int,
    stop: int,
    faces: np.ndarray,
    face_material: np.ndarray,
    first_face: np.ndarray,
    vertex_position: np.ndarray,
    lattice: np.ndarray,
    attributes: np.ndarray,
    columns: np.ndarray,
    uv_scale: float,
    material_base: int,
    walk: np.ndarray,
    triangles: np.ndarray,
    facts: np.ndarray,
    widths: np.ndarray,
    data_word: np.ndarray,
    words: np.ndarray,
) -> None:
    """Write the streams of clusters begin to stop, of cluster i from words[data_word[i]] on, but not their records.

    columns (2,) int64: first attribute column of UVs and of colours, or -1. widths (c, 5) int32: x y z u v.
    """
    for cluster in range(begin, stop):
        fact, width = facts[cluster], widths[cluster]
        first, end = first_face[cluster], first_face[cluster + 1]
        vertices = _vertices(faces, first, walk[first:end], triangles[first:end], fact[VERTICES])
        word = data_word[cluster]
        for face in range(first, end):
            if face + 1 == end or face_material[face] != face_material[face + 1]:
                words[word] = (face + 1 - first) | (face_material[face] + material_base) << 8
                word += 1
        word = _write_bytes(words, word, triangles[first:end].reshape(-1))
        word = _write_positions(words, word, vertices, vertex_position, lattice, fact, width)
        word = _write_normals(words, word, vertices, attributes)
        if columns[0] >= 0:
            word = _write_uvs(words, word, vertices, attributes, columns[0], uv_scale, fact, width)
        if columns[1] >= 0:
            _write_colors(words, word, vertices, attributes, columns[1])


@njit(nogil=True, cache=True)
def _write_bytes(words: np.ndarray, word: int, values: np.ndarray) -> int:
    for i in range(len(values)):
        words[word + (i >> 2)] |= np.uint32(values[i]) << np.uint32((i & 3) << 3)
    return word + ((len(values) + 3) >> 2)


@njit(nogil=True, cache=True)
def _write_positions(words, word, vertices, vertex_position, lattice, fact, width):
    bits, waiting = 0, 0
    for vertex in vertices:
        position = vertex_position[vertex]
        for k in range(3):
            offset = np.int64(lattice[position, k] - fact[LOW + k])
            word, bits, waiting = _append(words, word, bits, waiting, offset, width[k])
    if waiting > 0:
        words[word] = bits
        word += 1
    return word


@njit(nogil=True, cache=True)
def _write_normals(words, word, vertices, attributes):
    for i in range(len(vertices)):
        normal = attributes[vertices[i], :3]
        packed = octahedral(np.float64(normal[0]), np.float64(normal[1]), np.float64(normal[2]))
        words[word + (i >> 1)] |= np.uint32(packed) << np.uint32((i & 1) << 4)
    return word + ((len(vertices) + 1) >> 1)


@njit(nogil=True, cache=True)
def _write_uvs(words, word, vertices, attributes, column, uv_scale, fact, width):
    words[word] = np.int64(fact[UV_LOW]) & 0xFFFFFFFF
    words[word + 1] = np.int64(fact[UV_LOW + 1]) & 0xFFFFFFFF
    word += 2
    bits, waiting = 0, 0
    for vertex in vertices:
        for k in range(2):
            value = np.int64(np.rint(attributes[vertex, column + k] * uv_scale)) - fact[UV_LOW + k]
            word, bits, waiting = _append(words, word, bits, waiting, value, width[3 + k])
    if waiting > 0:
        words[word] = bits
        word += 1
    return word


@njit(nogil=True, cache=True)
def _write_colors(words, word, vertices, attributes, column):
    for i in range(len(vertices)):
        packed = np.int64(0)
        for k in range(4):
            value = min(max(attributes[vertices[i], column + k], 0.0), 1.0)
            packed |= np.int64(value * 255.0 + 0.5) << (8 * k)
        words[word + i] = packed


@njit(nogil=True, cache=True)
def largest_distance(lattice: np.ndarray, step: float, center: np.ndarray) -> float:
    """Return the largest distance of a lattice point (p, 3) from `center` (3,), in units of `step`'s unit."""
    largest = 0.0
    for i in range(len(lattice)):
        x, y, z = lattice[i, 0] * step - center[0], lattice[i, 1] * step - center[1], lattice[i, 2] * step - center[2]
        largest = max(largest, x * x + y * y + z * z)
    return np.sqrt(largest)
