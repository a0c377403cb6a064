"""Bounding volume hierarchy of up to eight children a node over boxes, by a binned surface-area heuristic.

Wald, "On fast construction of SAH-based bounding volume hierarchies", 2007 (bins); Wald et al., "Getting rid of
packets", 2008 (wide nodes from the binary splits of largest area). Splits fall on multiples of as many items as a
node has children, so that the nodes above the leaves are full; a binary tree has full nodes wherever it is split.
numba is imported with the first tree.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from engine import layout

WIDTH = int(layout.CONSTANTS["BVH_WIDTH"])
BINS = 16
LARGEST_DEPTH = 24  # levels of nodes below a root: every binary tree that a scene has nodes for can be so flat
_LARGEST_ROOM = 1 << 40  # items; of no concern


@dataclass(frozen=True)
class Tree:
    """Nodes in breadth-first order, the root first: the children of a node are contiguous and come after it."""

    child: np.ndarray  # (n,) int32: first child node; the item of a leaf
    child_count: np.ndarray  # (n,) int32: 2..width; 0 marks a leaf
    box_min: np.ndarray  # (n, 3) float32: exact union of the boxes below
    box_max: np.ndarray  # (n, 3) float32
    order: np.ndarray  # (items,) int32: the items as the leaves stand from left to right


def build_bvh(box_min: np.ndarray, box_max: np.ndarray, width: int = WIDTH) -> Tree:
    """Return the tree over n >= 1 boxes; each leaf is one box, and one box alone is a root that is a leaf.

    box_min, box_max: (n, 3) float32, finite, in any unit. width: most children of a node, 2 to WIDTH. The tree is at
    most LARGEST_DEPTH levels deep. Raises ValueError where something does not fit.
    """
    if not 2 <= width <= WIDTH:
        raise ValueError(f"a node cannot have up to {width} children; 2 to {WIDTH}")
    box_min = np.ascontiguousarray(box_min, dtype=np.float32)
    box_max = np.ascontiguousarray(box_max, dtype=np.float32)
    if box_min.ndim != 2 or box_min.shape[1] != 3 or box_min.shape != box_max.shape or len(box_min) == 0:
        raise ValueError(f"boxes have shapes {box_min.shape} and {box_max.shape}; expected (n, 3) twice, n >= 1")
    if not (np.isfinite(box_min).all() and np.isfinite(box_max).all()):
        raise ValueError("a box of the bounding volume hierarchy is not finite; check positions and transforms")
    count = len(box_min)
    room = np.array([min(width**level, _LARGEST_ROOM) for level in range(LARGEST_DEPTH, -1, -1)], np.int64)
    if count > room[0]:
        raise ValueError(f"{count} boxes are too many for {LARGEST_DEPTH} levels of nodes of {width} children")
    order, tree = np.arange(count), np.zeros((2 * count, 2), np.int64)
    boxes, run = np.zeros((2 * count, 6), np.float32), np.zeros((2 * count, 2), np.int64)
    end = _kernel()(np.concatenate([box_min, box_max], axis=1), order, width, room, run, tree, boxes)
    child, child_count = tree[:end].T.astype(np.int32)
    return Tree(child, child_count, boxes[:end, :3].copy(), boxes[:end, 3:].copy(), order.astype(np.int32))


@cache
def _kernel() -> Any:
    """Compile the tree builder; a function, so that importing this module stays cheap."""
    from engine import bvh_kernel

    return bvh_kernel.build
