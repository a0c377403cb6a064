"""Bounding spheres in float32 that are always rounded outwards.

Merging: the centre walks towards the farthest sphere in shrinking steps (M. Badoiu, K. Clarkson, Smaller core-sets
for balls, 2003).
"""

import numpy as np
from numba import njit

from engine.builder.threads import run_blocks

_BLOCK = 256  # clusters of one task
_STEPS = 24
_ENLARGED = 1.0 + 1e-5  # so that nesting survives float32 arithmetic when the spheres are evaluated


def cluster_spheres(
    lattice: np.ndarray, vertex_position: np.ndarray, faces: np.ndarray, ranges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return centers (c, 3) float32 and radii (c,) float32, in lattice units, of faces[ranges[i, 0]:ranges[i, 1]]."""
    centers, radii = np.empty((len(ranges), 3), np.float32), np.empty(len(ranges), np.float32)
    run_blocks(_cluster_spheres, len(ranges), _BLOCK, lattice, vertex_position, faces, ranges, centers, radii)
    return centers, radii


@njit(nogil=True, cache=True, error_model="numpy")
def _cluster_spheres(first, end, lattice, vertex_position, faces, ranges, centers, radii):
    low, high = np.empty(3, np.int32), np.empty(3, np.int32)
    for i in range(first, end):
        for axis in range(3):
            low[axis], high[axis] = 2**30, -(2**30)
        for face in range(ranges[i, 0], ranges[i, 1]):
            for k in range(3):
                position = vertex_position[faces[face, k]]
                for axis in range(3):
                    value = lattice[position, axis]
                    low[axis] = value if value < low[axis] else low[axis]
                    high[axis] = value if value > high[axis] else high[axis]
        for axis in range(3):
            centers[i, axis] = 0.5 * (np.float64(low[axis]) + np.float64(high[axis]))
        largest = 0.0
        for face in range(ranges[i, 0], ranges[i, 1]):
            for k in range(3):
                position = vertex_position[faces[face, k]]
                square = 0.0
                for axis in range(3):
                    square += (lattice[position, axis] - np.float64(centers[i, axis])) ** 2
                largest = max(largest, square)
        radii[i] = _rounded_up(np.sqrt(largest) * _ENLARGED)


@njit(nogil=True, cache=True, error_model="numpy")
def merge_spheres(centers, radii, first):
    """Return centers (g, 3) and radii (g,), float32: sphere g contains the spheres first[g]:first[g + 1], and a bit."""
    merged_centers = np.empty((len(first) - 1, 3), np.float32)
    merged_radii = np.empty(len(first) - 1, np.float32)
    for group in range(len(first) - 1):
        low, high = first[group], first[group + 1]
        center = np.zeros(3)
        for i in range(low, high):
            for axis in range(3):
                center[axis] += centers[i, axis] / (high - low)
        for step in range(_STEPS):
            far, reach = _farthest(centers, radii, low, high, center)
            distance = reach - radii[far]
            if distance <= 0.0:
                break
            share = reach / distance / (step + 2)
            for axis in range(3):
                center[axis] += (centers[far, axis] - center[axis]) * min(share, 1.0)
        for axis in range(3):
            merged_centers[group, axis] = center[axis]
            center[axis] = merged_centers[group, axis]
        _, reach = _farthest(centers, radii, low, high, center)
        merged_radii[group] = _rounded_up(reach * _ENLARGED)
    return merged_centers, merged_radii


@njit(nogil=True, error_model="numpy")
def _farthest(centers, radii, low, high, point):
    """Return the sphere that reaches farthest from `point`, and how far."""
    best, best_reach = low, -1.0
    for i in range(low, high):
        square = 0.0
        for axis in range(3):
            square += (centers[i, axis] - point[axis]) ** 2
        reach = np.sqrt(square) + radii[i]
        if reach > best_reach:
            best, best_reach = i, reach
    return best, best_reach


@njit(nogil=True, error_model="numpy")
def _rounded_up(value):
    result = np.float32(value)
    return result if result >= value else np.nextafter(result, np.float32(np.inf))
