"""The tree over all instances that culling starts from: an 8-ary hierarchy of world boxes in the format of layout.NODE.

Instances are sorted along a Morton curve and joined eight by eight, level by level (Lauterbach et al., "Fast BVH
Construction on GPUs", 2009, with a fixed split). That takes about a second for some millions, and when instances
move only the boxes change: the order stays good enough until instances are added or removed.
"""

import numpy as np

from engine import layout

WIDTH = int(layout.CONSTANTS["BVH_WIDTH"])
_CHILDREN_ARE_INSTANCES = layout.CONSTANTS["INSTANCE_CHILDREN"]
_MORTON_BITS = 21  # of each axis
_SPREAD = (  # shift and mask that move the bits of a number three places apart, step by step
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


def morton_order(box_min: np.ndarray, box_max: np.ndarray) -> np.ndarray:
    """Return the order (n,) int64 in which boxes (n, 3) float64 follow one another along a Morton curve."""
    if len(box_min) == 0:
        return np.zeros(0, np.int64)
    center = box_min + box_max
    low = center.min(axis=0)
    extent = max(float((center.max(axis=0) - low).max()), 1e-300)
    cells = ((center - low) * ((2**_MORTON_BITS - 1) / extent)).astype(np.uint64)
    key = np.zeros(len(cells), np.uint64)
    for axis in range(3):
        bits = cells[:, axis]
        for shift, mask in _SPREAD:
            bits = (bits | (bits << np.uint64(shift))) & np.uint64(mask)
        key |= bits << np.uint64(axis)
    return np.argsort(key, kind="stable")


def tree_depth(count: int) -> int:
    """Return the number of levels of nodes above `count` instances, at least 1."""
    depth, nodes = 1, -(-count // WIDTH)
    while nodes > 1:
        depth, nodes = depth + 1, -(-nodes // WIDTH)
    return depth


def first_level(count: int, limit: int) -> tuple[int, int]:
    """Return first node and number of nodes of the deepest level of at most `limit` nodes over `count` instances.

    A walk may begin there: the levels above would be over before they had given work to a GPU.
    """
    sizes = [max(-(-count // WIDTH), 1)]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // WIDTH))
    sizes.reverse()
    level = max(i for i, size in enumerate(sizes) if size <= max(limit, 1))
    return sum(sizes[:level]), sizes[level]


def tree_nodes(box_min: np.ndarray, box_max: np.ndarray) -> np.ndarray:
    """Return layout.NODE records, root first, over instances with world boxes (n, 3) float32 in the tree's order.

    Node i of a level holds the nodes 8 i to 8 i + 7 of the level below; the last level's children are instances.
    Without instances: one root without children.
    """
    low, high = box_min, box_max
    levels = []
    count = len(low)
    while True:
        parents = max(-(-count // WIDTH), 1)
        nodes = np.zeros(parents, layout.NODE)
        nodes["child"] = WIDTH * np.arange(parents)
        nodes["child_count"] = np.minimum(WIDTH, count - WIDTH * np.arange(parents))
        if count:
            starts = WIDTH * np.arange(parents)
            low, high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
            nodes["box_min"], nodes["box_max"] = low, high
        if not levels:
            nodes["child_count"] |= _CHILDREN_ARE_INSTANCES
        levels.append(nodes)
        count = parents
        if parents == 1:
            break
    levels.reverse()
    end = 0
    for nodes in levels[:-1]:
        end += len(nodes)
        nodes["child"] += np.uint32(end)
    return np.concatenate(levels)


def outward_boxes(box_min: np.ndarray, box_max: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes (n, 3) float64 as float32, rounded outwards."""
    return tuple(
        np.nextafter(values.astype(np.float32), np.float32(direction))
        for values, direction in ((box_min, -np.inf), (box_max, np.inf))
    )
