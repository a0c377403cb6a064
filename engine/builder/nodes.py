"""The BVH of one mesh: a tree over the groups of each level, joined under common roots.

The root's children begin with the root groups and go on with the levels by falling error, so that a far instance
touches few nodes. Bounds of inner nodes are rounded outwards by more than float32 evaluation can lose, so that a
group never survives culling in its own right below a node that does not.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numba import njit

from engine import layout
from engine.bvh import WIDTH, Tree, build_bvh

_LEAF = layout.CONSTANTS["NODE_LEAF"]
ROOT_ERROR = np.float32(layout.CONSTANTS["ROOT_ERROR"])

# Relative and absolute enlargement of inner spheres, relative change of inner errors: several float32 ulp.
_RADIUS_FACTOR = 1.0 + 2.0**-18
_RADIUS_OF_CENTER = 2.0**-20
_ERROR_CHANGE = 2.0**-20
_JOINT = -1  # in place of the number of a tree


@dataclass(frozen=True)
class GroupBounds:
    """What a node must know of each of n groups; object space of the mesh."""

    center: np.ndarray  # (n, 3) float32
    radius: np.ndarray  # (n,) float32
    errors: np.ndarray  # (n, 2) float32: geometric, attribute
    made_by_errors: np.ndarray  # (n, 2) float32: smallest of the groups that made members; 0 with a source cluster
    box_min: np.ndarray  # (n, 3) float32
    box_max: np.ndarray  # (n, 3) float32
    level: np.ndarray  # (n,) int


def make_nodes(groups: GroupBounds, width: int = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    """Return (nodes, order) of a mesh with at least one group.

    width: most children of a node, 2 to bvh.WIDTH. nodes: layout.NODE; node 0 is the root, children are contiguous and
    come after their parent, and a leaf's `child` is the rank of its group in `order`. order: (n,) int32, the groups as
    the leaves stand: root groups, then levels by falling error, each from left to right of its tree.
    """
    trees = [_level_tree(groups, members, width) for members in _levels(groups)]
    order = np.concatenate([tree.order for tree in trees]).astype(np.int32)
    child, child_count = _join(trees, width)
    rank = np.zeros(len(order), np.int64)
    rank[order] = np.arange(len(order))
    leaf = child_count == _LEAF
    nodes = np.zeros(len(child), layout.NODE)
    of_leaf = child[leaf]
    child[leaf] = rank[of_leaf]
    spheres, boxes, errors = np.zeros((len(child), 4)), np.zeros((len(child), 6), np.float32), np.zeros((len(child), 4))
    spheres[leaf, :3], spheres[leaf, 3] = groups.center[of_leaf], groups.radius[of_leaf]
    boxes[leaf, :3], boxes[leaf, 3:] = groups.box_min[of_leaf], groups.box_max[of_leaf]
    errors[leaf, :2], errors[leaf, 2:] = groups.errors[of_leaf], groups.made_by_errors[of_leaf]
    _fill_inner(child, child_count, spheres, boxes, errors)
    nodes["center"], nodes["radius"] = spheres[:, :3], spheres[:, 3]
    nodes["box_min"], nodes["box_max"] = boxes[:, :3], boxes[:, 3:]
    nodes["geometric_error"], nodes["attribute_error"] = errors[:, 0], errors[:, 1]
    nodes["made_by_geometric_error"], nodes["made_by_attribute_error"] = errors[:, 2], errors[:, 3]
    nodes["child"], nodes["child_count"] = child, child_count
    return nodes, order


def _levels(groups: GroupBounds) -> list[np.ndarray]:
    """Return the groups of each tree: the root groups, then the other groups level by level from the coarsest."""
    root = groups.errors[:, 0] >= ROOT_ERROR
    parts = [np.flatnonzero(root)]
    parts += [np.flatnonzero((groups.level == level) & ~root) for level in np.unique(groups.level[~root])[::-1]]
    return [part for part in parts if len(part)]


def _level_tree(groups: GroupBounds, members: np.ndarray, width: int) -> Tree:
    """Return the tree over `members` with group numbers of the mesh in its leaves and in `order`."""
    tree = build_bvh(groups.box_min[members], groups.box_max[members], width)
    leaf = tree.child_count == _LEAF
    child = tree.child.astype(np.int64)
    child[leaf] = members[child[leaf]]
    return replace(tree, child=child, child_count=tree.child_count.astype(np.int64), order=members[tree.order])


def _joints(count: int, width: int) -> list[list[int]]:
    """Return the children of each joint over `count` trees, the root first: tree numbers, or _JOINT for the next."""
    joints, waiting = [], [list(range(count))]
    for trees in waiting:  # grows
        parts = _parts(trees, width)
        joints.append([_JOINT if len(part) > 1 else part[0] for part in parts])
        waiting += [part for part in parts if len(part) > 1]
    return joints


def _parts(trees: list[int], width: int) -> list[list[int]]:
    """Return what stands below each child of a joint, `width` at most: the first trees alone, as many as can be.

    Below a node of eight children the last takes all the rest: of few levels, a coarse one is tested with few others.
    Narrow nodes would make a long chain in this way; there the rest is shared among as many children as keep it flat.
    """
    excess = len(trees) - width
    if excess <= 0:
        return [[tree] for tree in trees]
    shared = 1 if width == WIDTH else min(-(-excess // (width - 1)), width)
    alone = width - shared
    ends = [alone + (len(trees) - alone) * i // shared for i in range(shared + 1)]
    return [[tree] for tree in trees[:alone]] + [trees[first:end] for first, end in pairwise(ends)]


def _join(trees: list[Tree], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (child, child_count) of all trees under common roots."""
    if len(trees) == 1:
        return trees[0].child, trees[0].child_count
    joints = _joints(len(trees), width)
    slots = [_JOINT, *(tree for joint in joints for tree in joint)]  # node i is this tree's root, or a joint
    bodies = len(slots) + np.cumsum([0, *(len(tree.child) - 1 for tree in trees)])
    child, child_count = np.zeros(bodies[-1], np.int64), np.zeros(bodies[-1], np.int64)
    joint, joint_first = 0, 1
    for node, slot in enumerate(slots):
        if slot == _JOINT:
            child[node], child_count[node] = joint_first, len(joints[joint])
            joint_first += len(joints[joint])
            joint += 1
        else:
            tree, body = trees[slot], slice(bodies[slot], bodies[slot + 1])
            moved = np.where(tree.child_count == _LEAF, tree.child, tree.child + bodies[slot] - 1)
            child[node], child[body] = moved[0], moved[1:]
            child_count[node], child_count[body] = tree.child_count[0], tree.child_count[1:]
    return child, child_count


@njit(nogil=True, cache=True, error_model="numpy")
def _fill_inner(
    child: np.ndarray, child_count: np.ndarray, spheres: np.ndarray, boxes: np.ndarray, errors: np.ndarray
) -> None:
    """Fill the rows of inner nodes from those of their children, which come after them.

    child, child_count: (n,) int64. spheres (n, 4) float64: centre, radius. boxes (n, 6) float32: low, high.
    errors (n, 4) float64: largest geometric and attribute, smallest made-by geometric and attribute.
    """
    for node in range(len(child) - 1, -1, -1):
        if child_count[node] == 0:
            continue
        first, end = child[node], child[node] + child_count[node]
        for k in range(6):
            boxes[node, k] = boxes[first, k]
        for k in range(4):
            errors[node, k] = errors[first, k]
        for i in range(first + 1, end):
            for k in range(3):
                boxes[node, k] = min(boxes[node, k], boxes[i, k])
                boxes[node, k + 3] = max(boxes[node, k + 3], boxes[i, k + 3])
            for k in range(2):
                errors[node, k] = max(errors[node, k], errors[i, k])
                errors[node, k + 2] = min(errors[node, k + 2], errors[i, k + 2])
        for k in range(2):
            if errors[node, k] < ROOT_ERROR:
                errors[node, k] *= 1.0 + _ERROR_CHANGE
            errors[node, k + 2] *= 1.0 - _ERROR_CHANGE
        _enclose(spheres, first, end, spheres[node])


@njit(nogil=True, error_model="numpy")
def _enclose(spheres: np.ndarray, first: int, end: int, out: np.ndarray) -> None:
    """Write a sphere around spheres[first:end], grown from the largest one (after Ritter 1990), rounded outwards."""
    largest = first
    for i in range(first + 1, end):
        if spheres[i, 3] > spheres[largest, 3]:
            largest = i
    x, y, z, radius = spheres[largest, 0], spheres[largest, 1], spheres[largest, 2], spheres[largest, 3]
    for i in range(first, end):
        dx, dy, dz = spheres[i, 0] - x, spheres[i, 1] - y, spheres[i, 2] - z
        distance = np.sqrt(dx * dx + dy * dy + dz * dz)
        if distance + spheres[i, 3] > radius:
            grown = 0.5 * (distance + spheres[i, 3] + radius)
            step = (grown - radius) / distance
            x, y, z, radius = x + dx * step, y + dy * step, z + dz * step, grown
    out[0], out[1], out[2] = np.float32(x), np.float32(y), np.float32(z)
    reach, far = 0.0, max(abs(out[0]), abs(out[1]), abs(out[2]))
    for i in range(first, end):
        dx, dy, dz = spheres[i, 0] - out[0], spheres[i, 1] - out[1], spheres[i, 2] - out[2]
        reach = max(reach, np.sqrt(dx * dx + dy * dy + dz * dz) + spheres[i, 3])
    out[3] = np.float32(reach * _RADIUS_FACTOR + far * _RADIUS_OF_CENTER)
