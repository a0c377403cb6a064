"""Normals for meshes without: angle-weighted over the faces around a position, split at creases.

Angle weights: Thuermer and Wuethrich, "Computing vertex normals from polygonal facets", 1998. The corners at a
position form clusters, joined across shared edges that bend by less than the crease angle.
"""

import numpy as np
from numba import njit

from engine.builder.kernels import find_root
from engine.builder.source import sort_pairs
from engine.builder.threads import run_blocks

_BLOCK = 16384  # faces or positions of one task
_SMALL_FAN = 48  # corners up to which shared edges are found by comparing all pairs


def face_geometry(lattice: np.ndarray, faces: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unit normals (m, 3) float32, zero where a face has no area, and corner angles (m, 3) float32, radians.

    lattice (p, 3) int32; faces (m, 3) int32 positions; faces without `keep` (m,) bool get zeros.
    """
    normals, angles = np.zeros((len(faces), 3), np.float32), np.zeros((len(faces), 3), np.float32)
    run_blocks(_face_geometry, len(faces), _BLOCK, lattice, faces, keep, normals, angles)
    return normals, angles


@njit(nogil=True, cache=True, error_model="numpy")
def _face_geometry(first, end, lattice, faces, keep, normals, angles):
    for face in range(first, end):
        if keep[face]:
            _geometry_of(lattice, faces, face, normals, angles)


@njit(nogil=True, error_model="numpy")
def _geometry_of(lattice, faces, face, normals, angles):
    a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
    ax, ay, az = np.float64(lattice[a, 0]), np.float64(lattice[a, 1]), np.float64(lattice[a, 2])
    ux, uy, uz = lattice[b, 0] - ax, lattice[b, 1] - ay, lattice[b, 2] - az
    vx, vy, vz = lattice[c, 0] - ax, lattice[c, 1] - ay, lattice[c, 2] - az
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    if length == 0.0:
        return
    normals[face, 0] = nx / length
    normals[face, 1] = ny / length
    normals[face, 2] = nz / length
    wx, wy, wz = vx - ux, vy - uy, vz - uz
    at_a = _angle(length, ux * vx + uy * vy + uz * vz)
    at_b = _angle(length, -(ux * wx + uy * wy + uz * wz))
    angles[face, 0], angles[face, 1], angles[face, 2] = at_a, at_b, max(np.pi - at_a - at_b, 1e-6)


@njit(nogil=True, error_model="numpy")
def _angle(sine, cosine):
    """Return the angle between 0 and pi, to 1e-7, from multiples of its sine > 0 and cosine.

    A weight needs no more, and arctan2 takes longer. M. Abramowitz, I. Stegun, Handbook of Mathematical Functions,
    1964, 4.4.49.
    """
    low, high = min(sine, abs(cosine)), max(sine, abs(cosine))
    t = low / high
    u = t * t
    p = -0.0752896400 + u * (0.0429096138 + u * (-0.0161657367 + u * 0.0028662257))
    p = -0.3333314528 + u * (0.1999355085 + u * (-0.1420889944 + u * (0.1065626393 + u * p)))
    angle = t * (1.0 + u * p)
    if sine > abs(cosine):
        angle = 0.5 * np.pi - angle
    return np.pi - angle if cosine < 0.0 else angle


@njit(nogil=True, cache=True, error_model="numpy")
def _cluster_corners(first, end, faces, starts, corners, normals, keep, cosine, half_cosine, cluster, counts):
    """Number the clusters of the incident corners of positions first..end, from 0 at each, and count them."""
    for position in range(first, end):
        low, high = starts[position], starts[position + 1]
        live, smooth = _is_smooth(corners, low, high, normals, keep, half_cosine)
        counts[position] = 1 if live else 0
        if live and not smooth:
            counts[position] = _split_fan(faces, corners[low:high], cluster[low:high], normals, keep, cosine)


@njit(nogil=True, error_model="numpy")
def _is_smooth(corners, low, high, normals, keep, half_cosine):
    """Return whether a fan has a face that is kept, and whether no pair of its faces bends by the crease angle.

    Where every face is within half the crease angle of the mean, every pair is within the crease angle.
    """
    x = y = z = 0.0
    live = False
    for i in range(low, high):
        face = corners[i] // 3
        if keep[face]:
            live = True
            x += normals[face, 0]
            y += normals[face, 1]
            z += normals[face, 2]
    limit = half_cosine * np.sqrt(x * x + y * y + z * z)
    if not limit > 0.0:
        return live, False
    for i in range(low, high):
        face = corners[i] // 3
        nx, ny, nz = normals[face, 0], normals[face, 1], normals[face, 2]
        if keep[face] and x * nx + y * ny + z * nz < limit and (nx != 0.0 or ny != 0.0 or nz != 0.0):
            return live, False
    return live, True


@njit(nogil=True, error_model="numpy")
def _split_fan(faces, fan, cluster, normals, keep, cosine):
    """Number the clusters of one fan in `cluster` (zeros on entry); return how many."""
    parent = np.arange(len(fan))
    if len(fan) <= _SMALL_FAN:
        for one in range(len(fan)):
            for other in range(one + 1, len(fan)):
                if _share_edge(faces, fan[one], fan[other]):
                    _join_if_smooth(fan, normals, keep, cosine, parent, one, other)
    else:
        _join_sorted(faces, fan, normals, keep, cosine, parent)
    found = 0
    number = np.full(len(fan), -1, np.int32)
    for index in range(len(fan)):
        if keep[fan[index] // 3]:
            root = find_root(parent, index)
            if number[root] < 0:
                number[root] = found
                found += 1
            cluster[index] = number[root]
    return found


@njit(nogil=True, error_model="numpy")
def _neighbors(faces, corner):
    face, place = corner // 3, corner % 3
    return faces[face, (place + 1) % 3], faces[face, (place + 2) % 3]


@njit(nogil=True, error_model="numpy")
def _share_edge(faces, one, other):
    a, b = _neighbors(faces, one)
    c, d = _neighbors(faces, other)
    return a in (c, d) or b in (c, d)


@njit(nogil=True, error_model="numpy")
def _join_sorted(faces, fan, normals, keep, cosine, parent):
    """As all pairs, for large fans: corners sorted by the far end of their edges, runs compared in order."""
    ends = np.empty(2 * len(fan), np.int64)
    members = np.empty(2 * len(fan), np.int32)
    for index in range(len(fan)):
        ends[2 * index], ends[2 * index + 1] = _neighbors(faces, fan[index])
        members[2 * index] = members[2 * index + 1] = index
    sort_pairs(ends, members, len(ends))
    for place in range(1, len(ends)):
        if ends[place] == ends[place - 1]:
            _join_if_smooth(fan, normals, keep, cosine, parent, members[place - 1], members[place])


@njit(nogil=True, error_model="numpy")
def _join_if_smooth(fan, normals, keep, cosine, parent, one, other):
    """Join two corners whose faces bend by less than the crease; a face without area follows its neighbour, once."""
    first, second = fan[one] // 3, fan[other] // 3
    if not (keep[first] and keep[second]):
        return
    flat_first = normals[first, 0] == 0.0 and normals[first, 1] == 0.0 and normals[first, 2] == 0.0
    flat_second = normals[second, 0] == 0.0 and normals[second, 1] == 0.0 and normals[second, 2] == 0.0
    if flat_first or flat_second:
        loose = one if flat_first else other
        if find_root(parent, loose) == loose and not (flat_first and flat_second):
            parent[loose] = find_root(parent, other if flat_first else one)
        return
    dot = (
        normals[first, 0] * normals[second, 0]
        + normals[first, 1] * normals[second, 1]
        + normals[first, 2] * normals[second, 2]
    )
    if dot >= cosine:
        one, other = find_root(parent, one), find_root(parent, other)
        parent[max(one, other)] = min(one, other)


@njit(nogil=True, cache=True, error_model="numpy")
def _average(
    first, end, starts, corners, cluster, base, face_normals, angles, keep, corner_vertex, normals, vertex_position
):
    """Number the corners of positions first..end and average the normals of each cluster."""
    for position in range(first, end):
        for slot in range(starts[position], starts[position + 1]):
            face, place = corners[slot] // 3, corners[slot] % 3
            if keep[face]:
                vertex = base[position] + cluster[slot]
                corner_vertex[face, place] = vertex
                for axis in range(3):
                    normals[vertex, axis] += angles[face, place] * face_normals[face, axis]
        for vertex in range(base[position], base[position + 1]):
            vertex_position[vertex] = position
            _normalize(normals, vertex)


@njit(nogil=True, error_model="numpy")
def _normalize(normals, row):
    """Scale a row to length 1; a row that is zero or not finite becomes +Y."""
    x, y, z = np.float64(normals[row, 0]), np.float64(normals[row, 1]), np.float64(normals[row, 2])
    length = np.sqrt(x * x + y * y + z * z)
    if length > 1e-20 and length < np.inf:
        normals[row, 0], normals[row, 1], normals[row, 2] = x / length, y / length, z / length
    else:
        normals[row, 0], normals[row, 1], normals[row, 2] = 0.0, 1.0, 0.0


def corner_normals(
    faces: np.ndarray,
    starts: np.ndarray,
    corners: np.ndarray,
    face_normals: np.ndarray,
    angles: np.ndarray,
    keep: np.ndarray,
    crease_degrees: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the normal number of each corner (m, 3) int32, the normals (v, 3) float32 and their positions (v,) int32.

    `faces` (m, 3) int32 are positions; `starts`, `corners` their incident corners; normals are numbered position
    by position. Corners of faces without `keep` are 0.
    """
    crease = np.radians(min(max(crease_degrees, 0.0), 180.0))
    positions = len(starts) - 1
    cluster, counts = np.zeros(len(corners), np.int32), np.zeros(positions, np.int64)
    run_blocks(
        _cluster_corners, positions, _BLOCK, faces, starts, corners, face_normals, keep, np.cos(crease),
        np.cos(crease * 0.5), cluster, counts,
    )  # fmt: skip
    base = np.zeros(positions + 1, np.int64)
    np.cumsum(counts, out=base[1:])
    corner_vertex = np.zeros((len(faces), 3), np.int32)
    normals = np.zeros((int(base[-1]), 3), np.float32)
    vertex_position = np.zeros(int(base[-1]), np.int32)
    run_blocks(
        _average, positions, _BLOCK, starts, corners, cluster, base, face_normals, angles, keep, corner_vertex,
        normals, vertex_position,
    )  # fmt: skip
    return corner_vertex, normals, vertex_position


def replace_broken_normals(
    normals: np.ndarray, lattice: np.ndarray, faces: np.ndarray, face_positions: np.ndarray, keep: np.ndarray
) -> np.ndarray:
    """Return unit normals (n, 3) float32; zero or non-finite ones become the average of their vertex's faces."""
    with np.errstate(all="ignore"):
        length = np.sqrt((normals.astype(np.float64) ** 2).sum(axis=1))
        good = np.isfinite(length) & (length > 1e-6)
        if good.all() and np.abs(length - 1.0).max(initial=0.0) < 1e-6:
            return normals
        result = np.where(good[:, None], normals / length[:, None], 0.0).astype(np.float32)
    if not good.all():
        face_normals, angles = face_geometry(lattice, face_positions, keep)
        _fill_broken(result, good, faces, keep, face_normals, angles)
    return result


@njit(nogil=True, cache=True, error_model="numpy")
def _fill_broken(normals, good, faces, keep, face_normals, angles):
    for face in range(len(faces)):
        if keep[face]:
            for corner in range(3):
                vertex = faces[face, corner]
                if not good[vertex]:
                    for axis in range(3):
                        normals[vertex, axis] += angles[face, corner] * face_normals[face, axis]
    for vertex in range(len(normals)):
        if not good[vertex]:
            _normalize(normals, vertex)
