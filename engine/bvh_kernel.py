"""Compiled loops of bvh.py; see there. Serial, so the tree never depends on the number of threads.

Integers are int64 throughout, constants that are passed on too, and rows are copied by loops: both keep compiling
short.
"""

import numpy as np
from numba import njit

from engine import kernel_cache  # noqa: F401  names the folder of compiled kernels
from engine.bvh import BINS


@njit(nogil=True, cache=True, error_model="numpy")
def build(items, order, width, room, run, tree, boxes):
    """Fill the nodes of `bvh.Tree` and return their number.

    items (n, 6) float32: boxes, low and high; they move along with order (n,) int64, the number of each, so that every
    pass reads forwards. width: most children of a node; room (levels + 1,) int64: most items below a node of each
    level. run (2 n, 2) int64 is scratch. Out: tree (2 n, 2) int64, child and count; boxes (2 n, 6) float32.
    """
    parts = np.zeros((width, 2), np.int64)
    areas = np.zeros(width, np.float32)
    run[0, 1] = len(items)
    node, end = 0, 1
    level, level_end = 0, 1
    while node < end:
        if node == level_end:
            level, level_end = level + 1, end
        if run[node, 1] > 1:
            count = _split(items, order, run[node, 0], run[node, 1], width, room[level + 1], parts, areas)
            tree[node, 0], tree[node, 1] = end, count
            for part in range(count):
                run[end, 0], run[end, 1] = parts[part, 0], parts[part, 1]
                end += 1
        node += 1
    for node in range(end - 1, -1, -1):
        if tree[node, 1] == 0:
            tree[node, 0] = order[run[node, 0]]
            _unite(items, run[node, 0], run[node, 0] + 1, boxes[node])
        else:
            _unite(boxes, tree[node, 0], tree[node, 0] + tree[node, 1], boxes[node])
    return end


@njit(nogil=True, error_model="numpy")
def _unite(boxes, first, end, out):
    """Write the box around boxes[first:end] (k, 6)."""
    for k in range(3):
        low, high = boxes[first, k], boxes[first, k + 3]
        for i in range(first + 1, end):
            low, high = min(low, boxes[i, k]), max(high, boxes[i, k + 3])
        out[k], out[k + 3] = low, high


@njit(nogil=True, error_model="numpy")
def _area(box):
    x, y, z = box[3] - box[0], box[4] - box[1], box[5] - box[2]
    return x * y + y * z + z * x


@njit(nogil=True, error_model="numpy")
def _split(items, order, first, size, width, room, parts, areas):
    """Split the run into 2..width runs, given back left to right in `parts` (first, size); return their number.

    None has more than `room` items, if the run has at most `width` times as many: larger ones are split first, on
    multiples of `room`. Only degenerate boxes come so far.
    """
    none, one = np.int64(-1), np.int64(1)
    parts[0, 0], parts[0, 1] = first, size
    areas[0] = 1.0
    box = np.zeros(6, np.float32)
    count = one
    quantum = width if width > 2 else one
    while count < width:
        chosen, largest = none, np.int64(0)
        for part in range(count):
            largest = max(largest, parts[part, 1])
        least = room if largest > room else width
        for part in range(count):  # of the runs that need more than one node, the one of largest area
            if parts[part, 1] > least and (chosen < 0 or areas[part] > areas[chosen]):
                chosen = part
        if chosen < 0:
            break
        step = room if largest > room else quantum
        left = _partition(items, order, parts[chosen, 0], parts[chosen, 1], step)
        _insert(parts, areas, count, chosen, left)
        count += 1
        for part in range(chosen, chosen + 2):
            _unite(items, parts[part, 0], parts[part, 0] + parts[part, 1], box)
            areas[part] = _area(box)
    while True:  # small runs that fit beside the others need no node of their own
        chosen = none
        for part in range(count):
            size = parts[part, 1]
            if 1 < size <= width + 1 - count and (chosen < 0 or size < parts[chosen, 1]):
                chosen = part
        if chosen < 0:
            return count
        for _ in range(parts[chosen, 1] - 1):
            _insert(parts, areas, count, chosen, one)
            count += 1
            chosen += 1


@njit(nogil=True, error_model="numpy")
def _insert(parts, areas, count, chosen, left):
    """Divide the chosen run after `left` items; the runs after it move up."""
    for part in range(count, chosen + 1, -1):
        parts[part, 0], parts[part, 1] = parts[part - 1, 0], parts[part - 1, 1]
        areas[part] = areas[part - 1]
    parts[chosen + 1, 0] = parts[chosen, 0] + left
    parts[chosen + 1, 1] = parts[chosen, 1] - left
    parts[chosen, 1] = left


@njit(nogil=True, error_model="numpy")
def _partition(items, order, first, size, step):
    """Put the run in two halves by the cheapest of the binned planes; return the size of the left one.

    That size is the multiple of `step` next to where the plane falls.
    """
    best_cost, best_axis, best_left = np.inf, np.int64(0), size // 2
    bins = np.zeros((BINS, 7), np.float32)
    for axis in range(np.int64(3)):
        low = high = _center(items, first, axis)
        for i in range(first + 1, first + size):
            center = _center(items, i, axis)
            low, high = min(low, center), max(high, center)
        scale = np.float32(BINS) / (high - low) if high > low else np.float32(np.inf)
        if np.isfinite(scale):
            _fill_bins(items, first, size, axis, low, scale, bins)
            cost, left = _cheapest_plane(bins)
            if cost < best_cost:
                best_cost, best_axis, best_left = cost, axis, left
    left = min(max((best_left + step // 2) // step * step, step), (size - 1) // step * step)
    _select(items, order, first, first + size - 1, first + left, best_axis)
    return left


@njit(nogil=True, error_model="numpy")
def _center(items, i, axis):
    return items[i, axis] * np.float32(0.5) + items[i, axis + 3] * np.float32(0.5)


@njit(nogil=True, error_model="numpy")
def _fill_bins(items, first, size, axis, low, scale, bins):
    """Write the box and the number of items (column 6, exact to 2^24, enough for a cost) of each bin."""
    for b in range(BINS):
        for k in range(3):
            bins[b, k], bins[b, k + 3] = np.inf, -np.inf
        bins[b, 6] = 0
    for i in range(first, first + size):
        b = min(int((_center(items, i, axis) - low) * scale), BINS - 1)
        bins[b, 6] += 1
        for k in range(3):
            bins[b, k] = min(bins[b, k], items[i, k])
            bins[b, k + 3] = max(bins[b, k + 3], items[i, k + 3])


@njit(nogil=True, error_model="numpy")
def _cheapest_plane(bins):
    """Return (cost, items on the left) of the best of the planes between the bins."""
    costs = np.zeros(BINS, np.float64)  # right of each plane, then of both sides
    box = np.zeros(6, np.float32)
    for side in range(2):
        count = 0.0
        for step in range(BINS - 1):
            b = step if side else BINS - 1 - step
            for k in range(3):
                box[k] = bins[b, k] if step == 0 else min(box[k], bins[b, k])
                box[k + 3] = bins[b, k + 3] if step == 0 else max(box[k + 3], bins[b, k + 3])
            count += bins[b, 6]
            costs[b if side else b - 1] += count * _area(box) if count > 0 else np.inf
    best, left = 0, 0
    for b in range(1, BINS - 1):
        if costs[b] < costs[best]:
            best = b
    for b in range(best + 1):
        left += int(bins[b, 6])
    return costs[best], left


@njit(nogil=True, error_model="numpy")
def _select(items, order, low, high, target, axis):
    """Reorder items[low..high] so that those before `target` have the smallest centres (Hoare's selection).

    The number of an item decides ties, so the order is total and the result unique as a set.
    """
    while low < high:
        middle = (low + high) // 2
        center, number = _center(items, middle, axis), order[middle]
        i, j = low, high
        while i <= j:
            while _center(items, i, axis) < center or (_center(items, i, axis) == center and order[i] < number):
                i += 1
            while _center(items, j, axis) > center or (_center(items, j, axis) == center and order[j] > number):
                j -= 1
            if i <= j:
                for k in range(6):
                    value = items[i, k]
                    items[i, k] = items[j, k]
                    items[j, k] = value
                number_i = order[i]
                order[i] = order[j]
                order[j] = number_i
                i += 1
                j -= 1
        if target <= j:
            high = j
        elif target >= i:
            low = i
        else:
            return
