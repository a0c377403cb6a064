"""The silhouette of a mesh, and how a mesh of a few triangles gets back the one it is to have.

Collapses shrink what is convex, and surfaces that keep their area instead grow fat where they lost folds. Neither
shows while errors are below a pixel, but a crowd far away is dimmer or brighter than the same crowd nearby, as with
the aggregates of Cook, Halstead, Planck and Ryu, Stochastic Simplification of Aggregate Detail, 2007.

The silhouette is the mean over some directions of the area that is covered, counted in the cells of a small grid.
A *reference* is eight numbers, float64: the centre of what was measured, half the edges of its box, its radius, and
its silhouette in cells. Nothing grows far out of that box, which is culled by at any distance.
"""

import math

import numpy as np
from numba import njit

from engine.builder.kernels import find_root
from engine.builder.thin import join, mark_moved, vertex_normals

REFERENCE = 8  # numbers
_RADIUS, _CELLS, _BOX = 6, 7, slice(3, 6)
_MOST_OUT = 0.08  # of the radius, that a position may be out of the box
_SIZE = 64  # cells along each side of the grid; a row of it is one uint64
_MOST_AWAY = 0.15  # of the radius, that a position moves
_STEPS = 6  # of bisection
_CLOSE = 0.02  # of the silhouette: nearer than this the grid cannot tell
_NEAR_ENOUGH = 0.06  # of the silhouette, after moves along normals
_MOST_SCALE = 0.4  # of the distance from a part's centre
_HELPFUL = 0.7  # of the difference: what leaves more is no help
_ALL = np.uint64(2**64 - 1)
_HALF = math.sqrt(0.5)
# Three axes and six diagonals between them; the two axes of the image of each.
_AXES = np.array(
    [
        [[0, 1, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0]], [[1, 0, 0], [0, 1, 0]],
        [[_HALF, -_HALF, 0], [0, 0, 1]], [[_HALF, _HALF, 0], [0, 0, 1]], [[0, _HALF, -_HALF], [1, 0, 0]],
        [[0, _HALF, _HALF], [1, 0, 0]], [[_HALF, 0, -_HALF], [0, 1, 0]], [[_HALF, 0, _HALF], [0, 1, 0]],
    ]
)  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def silhouette_reference(lattice, vertex_position, faces):
    """Return the reference (8,) of faces (m, 3) int32 vertices; lattice (p, 3) int32, vertex_position (v,) int32."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    place = np.empty((3 * len(faces), 3))
    numbers = np.arange(3 * len(faces)).reshape(len(faces), 3)
    for corner in range(3 * len(faces)):
        position = vertex_position[faces[corner // 3, corner % 3]]
        for axis in range(3):
            place[corner, axis] = lattice[position, axis]
            low[axis], high[axis] = min(low[axis], place[corner, axis]), max(high[axis], place[corner, axis])
    reference = np.empty(REFERENCE)
    reference[:3], reference[_BOX] = 0.5 * (low + high), 0.5 * (high - low)
    reference[_RADIUS] = max(0.5 * math.sqrt(np.sum((high - low) ** 2)), 1.0)
    reference[_CELLS] = covered_cells(place, numbers.reshape(-1), numbers, reference)
    return reference


@njit(nogil=True, cache=True, error_model="numpy")
def covered_cells(place, place_of, faces, reference):
    """Return how many cells faces (m, 3) cover, the mean over all directions; place (p, 3) float64, place_of (v,)."""
    cells = 0
    rows = np.empty(_SIZE, np.uint64)
    flat = np.empty((3, 2))
    scale = 0.5 * _SIZE / reference[_RADIUS]
    for direction in range(len(_AXES)):
        rows[:] = np.uint64(0)
        for face in range(len(faces)):
            for side in range(3):
                position = place_of[faces[face, side]]
                for k in range(2):
                    along = 0.0
                    for axis in range(3):
                        along += (place[position, axis] - reference[axis]) * _AXES[direction, k, axis]
                    flat[side, k] = along * scale + 0.5 * _SIZE
            _cover(flat, rows)
        for row in range(_SIZE):
            left = rows[row]
            while left != np.uint64(0):
                left &= left - np.uint64(1)
                cells += 1
    return cells / len(_AXES)


@njit(nogil=True, error_model="numpy")
def _cover(flat, rows):
    """Set the cells whose centres lie in a triangle (3, 2)."""
    low = min(flat[0, 1], flat[1, 1], flat[2, 1])
    high = max(flat[0, 1], flat[1, 1], flat[2, 1])
    for row in range(max(math.ceil(low - 0.5), 0), min(math.ceil(high - 0.5), _SIZE)):
        y, left, right = row + 0.5, np.inf, -np.inf
        for side in range(3):
            x0, y0, x1, y1 = flat[side, 0], flat[side, 1], flat[(side + 1) % 3, 0], flat[(side + 1) % 3, 1]
            if (y0 <= y) != (y1 <= y):
                x = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
                left, right = min(left, x), max(right, x)
        first, end = max(math.ceil(left - 0.5), 0), min(math.ceil(right - 0.5), _SIZE)
        if end > first:
            rows[row] |= (_ALL >> np.uint64(_SIZE - (end - first))) << np.uint64(first)


@njit(nogil=True, cache=True, error_model="numpy")
def match_silhouette(positions, origin, reference, result):
    """Move the places in a result of simplify_group until it has the silhouette of `reference`, or nearly.

    They move along their normals, or where that does not suffice (flat parts) away from the centres of their parts.
    positions (p, 3) float64 from origin (3,): what the result was made from. Nothing that moves may be locked.
    Returns the share by which the silhouette is still off.
    """
    count, faces, _, place, place_of, _, moved_position, moved_vertex, _ = result
    if count == 0 or reference[_CELLS] <= 0.0:
        return 0.0
    local = reference.copy()
    local[:3] -= origin
    place[:] = _moved(place, place, 0.0, local)
    off = covered_cells(place, place_of, faces, local) / reference[_CELLS] - 1.0
    for turn in range(2):
        if abs(off) < (_CLOSE if turn == 0 else _NEAR_ENOUGH):
            break
        if turn == 0:
            field, most = vertex_normals(place, place_of, faces), _MOST_AWAY * reference[_RADIUS]
        else:
            field, most = _from_centers(place, place_of, faces), _MOST_SCALE
        away, left = _search(place, field, most, off, place_of, faces, local)
        if abs(left) < _HELPFUL * abs(off):
            place[:], off = _moved(place, field, away, local), left
    mark_moved(positions, place, place_of, moved_position, moved_vertex)
    return abs(off)


@njit(nogil=True, error_model="numpy")
def _search(place, field, most, off, place_of, faces, reference):
    """Return how far to go along the field (p, 3), at most `most`, and by which share the silhouette is off then."""
    near, far, best, least = 0.0, -math.copysign(most, off), 0.0, off
    for _ in range(_STEPS):
        away = 0.5 * (near + far)
        left = (
            covered_cells(_moved(place, field, away, reference), place_of, faces, reference) / reference[_CELLS] - 1.0
        )
        if abs(left) < abs(least):
            least, best = left, away
        if left * off > 0.0:
            near = away
        else:
            far = away
    return best, least


@njit(nogil=True, error_model="numpy")
def _from_centers(place, place_of, faces):
    """Return the way (p, 3) from the centre of each connected part to its positions; 0 where no face is."""
    part, used = np.arange(len(place)), np.zeros(len(place), np.bool_)
    for face in range(len(faces)):
        join(part, place_of, faces[face])
        for side in range(3):
            used[place_of[faces[face, side]]] = True
    center, corners = np.zeros(place.shape), np.zeros(len(place))
    for i in range(len(place)):
        root = find_root(part, i)
        corners[root] += used[i]
        for axis in range(3):
            center[root, axis] += place[i, axis] * used[i]
    away = np.zeros(place.shape)
    for i in range(len(place)):
        root = find_root(part, i)
        for axis in range(3):
            away[i, axis] = (place[i, axis] - center[root, axis] / max(corners[root], 1.0)) * used[i]
    return away


@njit(nogil=True, error_model="numpy")
def _moved(place, field, away, reference):
    """Return the lattice points next to place + away * field, in the box or a little out of it."""
    result = np.floor(place + away * field + 0.5)
    for axis in range(3):
        reach = reference[3 + axis] + _MOST_OUT * reference[_RADIUS]
        low, high = math.floor(reference[axis] - reach), math.ceil(reference[axis] + reach)
        for i in range(len(result)):
            result[i, axis] = min(max(result[i, axis], low), high)
    return result
