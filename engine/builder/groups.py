"""Partition neighbouring clusters into groups that share as much boundary as possible.

Clusters are the nodes of a graph, weighted by the number of positions that two clusters share. A border that stayed
locked on one level is denser than the rest on the next one, so it pulls the clusters beside it together. Greedy
agglomeration (T. Kurita, An efficient agglomerative clustering algorithm using a heap, 1991), the smallest group
first, then single clusters move while the cut shrinks (C. Fiduccia, R. Mattheyses, A linear-time heuristic for
improving network partitions, 1982, without the moves uphill).
"""

import heapq

import numpy as np
from numba import njit

from engine import layout
from engine.builder.threads import run_blocks

LEAST_CLUSTERS = 8  # of a group, where the mesh has that many
MOST_CLUSTERS = int(layout.CONSTANTS["MAX_GROUP_CLUSTERS"])
_MOST_USERS = 24  # of one position that are all linked with each other; beyond, neighbours in the list only
_REFINEMENTS = 8
_BLOCK = 64  # clusters of one task
_TABLE = 1024  # slots of the table of a cluster's positions: more than 2 * 3 * 128


def shared_positions(
    faces: np.ndarray, vertex_position: np.ndarray, first_face: np.ndarray, last_face: np.ndarray, position_count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the positions that two or more clusters use.

    Cluster i is faces[first_face[i]:last_face[i]] of faces (n, 3) int32 vertices; vertex_position (v,) int32.
    Returns (positions (s,) int32, first (s + 1,) int32, users (first[s],) int32): the clusters, ascending, that use
    positions[i] are users[first[i]:first[i + 1]].
    """
    count = np.zeros(len(first_face), np.int32)
    used = np.empty((len(first_face), 3 * int((last_face - first_face).max(initial=0))), np.int32)
    run_blocks(_used_positions, len(count), _BLOCK, faces, vertex_position, first_face, last_face, used, count)
    return _shared_positions(used, count, position_count)


@njit(nogil=True, cache=True, error_model="numpy")
def _used_positions(first, end, faces, vertex_position, first_face, last_face, used, count):
    """Write the positions that each of the clusters first..end uses, each once, and their number."""
    table = np.empty(_TABLE, np.int32)
    for cluster in range(first, end):
        for slot in range(_TABLE):
            table[slot] = -1
        found = 0
        for face in range(first_face[cluster], last_face[cluster]):
            for k in range(3):
                position = vertex_position[faces[face, k]]
                slot = (position * np.uint32(2654435769) >> np.uint32(22)) & (_TABLE - 1)
                while table[slot] != position and table[slot] >= 0:
                    slot = (slot + 1) & (_TABLE - 1)
                if table[slot] < 0:
                    table[slot] = position
                    used[cluster, found] = position
                    found += 1
        count[cluster] = found


@njit(nogil=True, cache=True, error_model="numpy")
def _shared_positions(used, used_count, position_count):
    """Link the clusters at each position, and list those of more than one."""
    head = np.full(position_count, -1, np.int32)  # -1: unused; -2 - c: used by c alone; else the last link
    capacity = 1024 + 64 * len(used)
    link_user = np.empty(capacity, np.int32)
    link_next = np.empty(capacity, np.int32)
    shared = np.empty(capacity, np.int32)
    link_count, shared_count = 0, 0
    for cluster in range(len(used)):
        for i in range(used_count[cluster]):
            position = used[cluster, i]
            link = head[position]
            if link == -1:
                head[position] = -2 - cluster
                continue
            if link_count + 2 > capacity:
                capacity *= 2
                link_user, link_next = _grown(link_user, capacity), _grown(link_next, capacity)
                shared = _grown(shared, capacity)
            if link < -1:
                shared[shared_count] = position
                shared_count += 1
                link_user[link_count], link_next[link_count] = -2 - link, -1
                link = link_count
                link_count += 1
            link_user[link_count], link_next[link_count] = cluster, link
            head[position] = link_count
            link_count += 1
    first = np.zeros(shared_count + 1, np.int32)
    users = np.empty(link_count, np.int32)
    for i in range(shared_count):
        link, count = head[shared[i]], 0
        while link >= 0:
            count += 1
            link = link_next[link]
        first[i + 1] = first[i] + count
        link = head[shared[i]]
        while link >= 0:
            count -= 1
            users[first[i] + count] = link_user[link]
            link = link_next[link]
    return shared[:shared_count], first, users


@njit(nogil=True, cache=True, error_model="numpy")
def cluster_adjacency(first_user, users, cluster_count):
    """Return the weighted graph of clusters as (first (c + 1,), neighbour (n,), weight (n,)), all int32.

    `first_user` and `users` come from `shared_positions`; the weight of an edge is the number of shared positions.
    """
    degree = np.zeros(cluster_count + 1, np.int64)
    for i in range(len(first_user) - 1):
        count = first_user[i + 1] - first_user[i]
        for j in range(first_user[i], first_user[i + 1]):
            degree[users[j]] += count - 1 if count <= _MOST_USERS else 2
    start = np.zeros(cluster_count + 1, np.int64)
    filled = np.zeros(cluster_count, np.int64)
    for i in range(cluster_count):
        filled[i] = start[i]
        start[i + 1] = start[i] + degree[i]
    ends = np.empty(start[cluster_count], np.int32)
    for i in range(len(first_user) - 1):
        low, high = first_user[i], first_user[i + 1]
        for j in range(low, high):
            window = high if high - low <= _MOST_USERS else min(j + 2, high)
            for k in range(j + 1, window):
                a, b = users[j], users[k]
                ends[filled[a]], ends[filled[b]] = b, a
                filled[a] += 1
                filled[b] += 1
    first = np.zeros(cluster_count + 1, np.int32)
    neighbour = np.empty(len(ends), np.int32)
    weight = np.empty(len(ends), np.int32)
    seen = np.full(cluster_count, -1, np.int32)
    count = 0
    for a in range(cluster_count):
        for j in range(start[a], filled[a]):
            b = ends[j]
            if seen[b] < first[a]:
                seen[b] = count
                neighbour[count], weight[count] = b, 0
                count += 1
            weight[seen[b]] += 1
        first[a + 1] = count
    return first, neighbour[:count], weight[:count]


def partition_clusters(
    first: np.ndarray, neighbour: np.ndarray, weight: np.ndarray, centers: np.ndarray, target: int
) -> np.ndarray:
    """Return group_of_cluster (c,) int32: groups of 8 to 32 clusters, numbered by their first cluster.

    The graph comes from `cluster_adjacency`; centers (c, 3) float64 place the clusters that have no neighbour;
    `target` is the wanted number of clusters in a group. Up to 32 clusters are one group; a group of fewer than 8
    is left only where there are no more clusters.
    """
    count = len(first) - 1
    if count <= MOST_CLUSTERS:
        return np.zeros(count, np.int32)
    most = min(max(target + 3 * target // 8, LEAST_CLUSTERS), MOST_CLUSTERS)
    group, size = _agglomerate(first, neighbour, weight, most)
    _refine(first, neighbour, weight, group, size)
    _join_small(group, size, centers, target)
    _, begin, number = np.unique(group, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(begin)).astype(np.int32)[number]


@njit(nogil=True, cache=True, error_model="numpy")
def _agglomerate(first, neighbour, weight, most):
    """Merge the smallest group with the neighbour it shares most with, until nothing fits; return group, size."""
    count = len(first) - 1
    group, last_member = np.empty(count, np.int32), np.empty(count, np.int32)
    for c in range(count):
        group[c] = last_member[c] = c
    size = np.full(count, 1, np.int32)
    next_member = np.full(count, -1, np.int32)
    shared = np.zeros(count, np.int64)
    touched = np.empty(count, np.int32)
    heap = [(np.int64(1), np.int64(c)) for c in range(count)]
    while len(heap) > 0:
        members, a = heapq.heappop(heap)
        if size[a] != members or group[a] != a:
            continue
        found = _shared_weights(a, first, neighbour, weight, group, next_member, shared, touched)
        limit = most if members >= LEAST_CLUSTERS else MOST_CLUSTERS
        best, best_score = -1, 0.0
        for i in range(found):
            b = touched[i]
            over = size[a] + size[b] > most
            if size[a] + size[b] <= limit:
                score = shared[b] / np.sqrt(size[b]) * (0.001 if over else 1.0)
                if score > best_score or (score == best_score and b < best):
                    best, best_score = b, score
            shared[b] = 0
        if best >= 0:
            member = best
            while member >= 0:
                group[member] = a
                member = next_member[member]
            next_member[last_member[a]] = best
            last_member[a] = last_member[best]
            size[a] += size[best]
            size[best] = 0
            heapq.heappush(heap, (np.int64(size[a]), np.int64(a)))
    return group, size


@njit(nogil=True, error_model="numpy")
def _shared_weights(a, first, neighbour, weight, group, next_member, shared, touched):
    """Add up in shared[b] the weight between group `a` and every group b beside it; list these in `touched`."""
    found = 0
    member = a
    while member >= 0:
        for j in range(first[member], first[member + 1]):
            b = group[neighbour[j]]
            if b != a:
                if shared[b] == 0:
                    touched[found] = b
                    found += 1
                shared[b] += weight[j]
        member = next_member[member]
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def _refine(first, neighbour, weight, group, size):
    """Move clusters to the neighbouring group that they share most with, while sizes stay in bounds."""
    count = len(group)
    shared = np.zeros(count, np.int64)
    for _ in range(_REFINEMENTS):
        moves = 0
        for c in range(count):
            own, best = group[c], group[c]
            for j in range(first[c], first[c + 1]):
                shared[group[neighbour[j]]] += weight[j]
            for j in range(first[c], first[c + 1]):
                b = group[neighbour[j]]
                if shared[b] > shared[best] and size[b] < MOST_CLUSTERS:
                    best = b
            if best != own and (size[own] > LEAST_CLUSTERS or size[own] == 1):
                group[c] = best
                size[own] -= 1
                size[best] += 1
                moves += 1
            for j in range(first[c], first[c + 1]):
                shared[group[neighbour[j]]] = 0
            shared[own] = 0
        if moves == 0:
            break


def _join_small(group: np.ndarray, size: np.ndarray, centers: np.ndarray, target: int) -> None:
    """Put groups of fewer than 8 clusters together along a space-filling curve."""
    small = np.flatnonzero(size[group] < LEAST_CLUSTERS)
    if len(small) == 0:
        return
    roots, number = np.unique(group[small], return_inverse=True)
    places = np.stack([np.bincount(number, centers[small, axis]) for axis in range(3)], axis=1) / size[roots, None]
    order = np.argsort(_morton_codes(places), kind="stable")
    into = np.zeros(len(roots), np.int32)
    previous, current, held = -1, roots[order[0]], 0
    for i in order:
        if held + size[roots[i]] > MOST_CLUSTERS or held >= target:
            previous, current, held = current, roots[i], 0
        into[i] = current
        held += size[roots[i]]
    group[small] = into[number]
    if held >= LEAST_CLUSTERS:
        return
    if previous < 0:
        previous = _nearest_group(current, group, centers)
    members = np.flatnonzero((group == previous) | (group == current))
    both = len(members) <= MOST_CLUSTERS
    group[members] = np.where(both | (np.arange(len(members)) < len(members) // 2), previous, current)


def _nearest_group(own: int, group: np.ndarray, centers: np.ndarray) -> int:
    """Return the group with the cluster nearest to the clusters of group `own`."""
    others = np.flatnonzero(group != own)
    distances = [((centers[others] - center) ** 2).sum(axis=1) for center in centers[group == own]]
    return int(group[others[np.argmin(np.min(distances, axis=0))]])


def _morton_codes(points: np.ndarray) -> np.ndarray:
    """Return (n,) int64: the place of each of (n, 3) points along a Z-order curve (G. Morton, 1966)."""
    low = points.min(axis=0)
    cells = ((points - low) * (1023.0 / max(float(np.ptp(points, axis=0).max()), 1e-30))).astype(np.int64)
    codes = np.zeros(len(points), np.int64)
    for bit in range(10):
        for axis in range(3):
            codes |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return codes


@njit(nogil=True, error_model="numpy")
def _grown(array, capacity):
    result = np.empty(capacity, np.int32)
    for i in range(len(array)):
        result[i] = array[i]
    return result
