"""Points of the source that every cluster carries, so that its error can be measured: chosen, joined and handed on.

They are area-stratified, and each stands for a share of the source's area, so that a percentile over them is one over
that area whichever of them were handed on. Large clusters have more of them than small ones. A level has
fewer than the one below it, but never so few that the clusters of the top would not have enough.
"""

import math

import numpy as np
from numba import njit

from engine.builder.threads import run_blocks

MOST_SAMPLES = 256  # of a cluster
SURFACE_POINTS = 16  # of each product cluster, compared with the source, but
FEWEST_SURFACE_POINTS = 128  # of a group
FEWEST_SAMPLES = 1024  # of a mesh, but for the smallest; levels above the source have twice as many
LARGEST = 4  # times the samples of a cluster of mean area
BLOCK_CLUSTERS = 256  # of one parallel task


def samples_above(carried: int, clusters: int) -> int:
    """Return how many samples a cluster may carry where about `clusters` are made of those that may carry `carried`."""
    return max(carried, min(2 * carried, -(-2 * FEWEST_SAMPLES // max(clusters, 1))))


def make_samples(tree: tuple, attributes: np.ndarray, faces: np.ndarray, samples: int) -> tuple[np.ndarray, ...]:
    """Choose points on each source cluster, one in each equal share of its area.

    tree: of nearest.build_source_tree, over the same faces (m, 3) int32; attributes (v, k) float32; samples: of a
    cluster of mean area; others have more or fewer with their area, half as many to s = LARGEST * samples.
    Returns (sample_position (c, s, 3) float64 lattice units, sample_attributes (c, s, k) float32 with unit normals in
    columns 0:3, sample_weight (c, s) float32: the area that each stands for, doubled, sample_count (c,) int32).
    A mesh of few clusters has more than `samples` of each: FEWEST_SAMPLES together.
    """
    clusters = len(tree[1]) - 1
    samples = max(samples, min(FEWEST_SAMPLES // clusters, MOST_SAMPLES // 2))
    out = (
        np.zeros((clusters, LARGEST * samples, 3)),
        np.zeros((clusters, LARGEST * samples, attributes.shape[1]), np.float32),
        np.zeros((clusters, LARGEST * samples), np.float32),
        np.zeros(clusters, np.int32),
    )
    area = np.zeros(clusters)

    def measure(low: int, high: int) -> None:
        _cluster_areas(tree[0], tree[1], low, high, area)

    def work(low: int, high: int) -> None:
        _sample_clusters(tree, attributes, faces, low, high, out)

    run_blocks(measure, clusters, BLOCK_CLUSTERS)
    wanted = np.rint(area * (samples / max(area.mean(), 1e-30))).astype(np.int64)
    out[3][:] = np.clip(wanted, (samples + 1) // 2, LARGEST * samples)
    run_blocks(work, clusters, BLOCK_CLUSTERS)
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def _sample_clusters(tree, attributes, faces, low, high, out):
    corners, first = tree[0], tree[1]
    position, values, weight, count = out
    for cluster in range(low, high):
        start, stop = first[cluster], first[cluster + 1]
        count[cluster] = count[cluster] if stop > start else 0
        slots, weights, share = spread(corners, start, stop, count[cluster])
        for n in range(count[cluster]):
            point_on(corners, slots[n], weights[n], position[cluster, n])
            _attributes_on(attributes, faces[slots[n]], weights[n], values[cluster, n])
            weight[cluster, n] = share


@njit(nogil=True, error_model="numpy")
def spread(corners, start, stop, count):
    """Return slots (count,) in start..stop, barycentric weights (count, 3), and the area that each stands for.

    One point lies in each equal share of the area, doubled here, of the triangles start..stop.
    """
    slots, weights = np.empty(count, dtype=np.int64), np.empty((count, 3))
    area = np.empty(max(stop - start, 0))
    total = 0.0
    for slot in range(start, stop):
        total += _twice_area(corners, slot) + 1e-9
        area[slot - start] = total
    slot = start
    for n in range(count):
        at = (n + _random(start, 3 * n)) * (total / count)
        while slot < stop - 1 and area[slot - start] < at:
            slot += 1
        root, split = math.sqrt(_random(start, 3 * n + 1)), _random(start, 3 * n + 2)
        slots[n] = slot
        weights[n, 0], weights[n, 1], weights[n, 2] = 1.0 - root, root * (1.0 - split), root * split
    return slots, weights, total / max(count, 1)


@njit(nogil=True, error_model="numpy")
def _twice_area(corners, slot):
    c = corners[slot]
    ex, ey, ez = float(c[3]) - c[0], float(c[4]) - c[1], float(c[5]) - c[2]
    fx, fy, fz = float(c[6]) - c[0], float(c[7]) - c[1], float(c[8]) - c[2]
    nx, ny, nz = ey * fz - ez * fy, ez * fx - ex * fz, ex * fy - ey * fx
    return math.sqrt(nx * nx + ny * ny + nz * nz)


@njit(nogil=True, cache=True, error_model="numpy")
def _cluster_areas(corners, first, low, high, area):
    for cluster in range(low, high):
        for slot in range(first[cluster], first[cluster + 1]):
            area[cluster] += _twice_area(corners, slot)


@njit(nogil=True, error_model="numpy")
def _random(seed, n):
    """Return a number in 0..1 that depends on the arguments alone (a mixer after Steele, Lea and Flood, 2014)."""
    z = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(n + 1) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return float((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(nogil=True, error_model="numpy")
def point_on(corners, slot, weights, out):
    """Write the point (3,) of a triangle corners[slot] (9,) that has these barycentric weights (3,)."""
    for axis in range(3):
        out[axis] = (
            weights[0] * corners[slot, axis]
            + weights[1] * corners[slot, 3 + axis]
            + weights[2] * corners[slot, 6 + axis]
        )


@njit(nogil=True, error_model="numpy")
def _attributes_on(attributes, face, weights, out):
    """Interpolate the attributes of a face (3,); the normal becomes a unit vector."""
    for column in range(attributes.shape[1]):
        out[column] = (
            weights[0] * attributes[face[0], column]
            + weights[1] * attributes[face[1], column]
            + weights[2] * attributes[face[2], column]
        )
    length = math.sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2])
    if length > 0.0:
        for column in range(3):
            out[column] /= length


def widened(samples: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return an array of samples (n, s, ...) with the room that `like` has for each cluster."""
    if samples.shape[1:] == like.shape[1:]:
        return samples
    result = np.zeros((len(samples), *like.shape[1:]), samples.dtype)
    result[:, : samples.shape[1]] = samples
    return result


@njit(nogil=True, error_model="numpy")
def joined_samples(samples, first, last):
    """Return position, attributes and weight of the samples of the members first..last, one after the other."""
    position, attributes, weight, count = samples
    total = 0
    for i in range(first, last):
        total += count[i]
    joined_position = np.empty((total, 3), np.float64)
    joined_attributes = np.empty((len(joined_position), attributes.shape[2]), np.float32)
    joined_weight = np.empty(len(joined_position), np.float32)
    row = 0
    for i in range(first, last):
        for j in range(count[i]):
            for axis in range(3):
                joined_position[row, axis] = position[i, j, axis]
            for column in range(attributes.shape[2]):
                joined_attributes[row, column] = attributes[i, j, column]
            joined_weight[row] = weight[i, j]
            row += 1
    return joined_position, joined_attributes, joined_weight


@njit(nogil=True, error_model="numpy")
def hand_on(first, nearest, samples, out):
    """Write the samples of each product cluster: all where there is room, else one for each equal share of weight."""
    sample_position, sample_attributes, sample_weight = samples
    out_position, out_attributes, out_weight, out_count = out
    clusters, room = len(first) - 1, out_position.shape[1]
    owner = np.empty(len(nearest), dtype=np.int64)
    count, total = np.zeros(clusters, dtype=np.int64), np.zeros(clusters)
    for n in range(len(nearest)):
        cluster = 0
        while first[cluster + 1] <= nearest[n]:
            cluster += 1
        owner[n] = cluster
        count[cluster] += 1
        total[cluster] += sample_weight[n]
    passed = np.zeros(clusters)
    for n in range(len(nearest)):
        cluster = owner[n]
        row, weight = out_count[cluster], sample_weight[n]
        if count[cluster] > room:
            share = total[cluster] / room
            before = math.floor(passed[cluster] / share + 0.5)
            passed[cluster] += weight
            weight = (math.floor(passed[cluster] / share + 0.5) - before) * share
        if weight > 0.0 and row < room:
            for axis in range(3):
                out_position[cluster, row, axis] = sample_position[n, axis]
            for column in range(sample_attributes.shape[1]):
                out_attributes[cluster, row, column] = sample_attributes[n, column]
            out_weight[cluster, row] = weight
            out_count[cluster] += 1
