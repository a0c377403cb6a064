"""The 8-ary tree over boxes: shape, bounds, and how good it is."""

import numpy as np
import pytest

from engine.bvh import WIDTH, Tree, build_bvh


def boxes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    low = random.random((count, 3)).astype(np.float32)
    return low, low + random.random((count, 3)).astype(np.float32) * np.float32(count ** (-1 / 3))


def check(tree: Tree, low: np.ndarray, high: np.ndarray) -> None:
    """Assert everything that a traversal relies on."""
    inner = np.flatnonzero(tree.child_count > 0)
    leaf = np.flatnonzero(tree.child_count == 0)
    assert sorted(tree.child[leaf]) == list(range(len(low)))
    assert sorted(tree.order) == list(range(len(low)))
    assert (tree.child_count <= WIDTH).all()
    assert (tree.child[inner] > inner).all()
    children = [np.arange(tree.child[i], tree.child[i] + tree.child_count[i]) for i in inner]
    assert np.array_equal(np.sort(np.concatenate([[0], *children])), np.arange(len(tree.child)))
    assert np.array_equal(tree.box_min[leaf], low[tree.child[leaf]])
    assert np.array_equal(tree.box_max[leaf], high[tree.child[leaf]])
    for node, below in zip(inner, children):
        assert np.array_equal(tree.box_min[node], tree.box_min[below].min(axis=0))
        assert np.array_equal(tree.box_max[node], tree.box_max[below].max(axis=0))


def cost(tree: Tree) -> float:
    """Surface area of the inner nodes, relative to the root's."""
    size = (tree.box_max - tree.box_min).astype(np.float64)
    area = size[:, 0] * size[:, 1] + size[:, 1] * size[:, 2] + size[:, 2] * size[:, 0]
    return float(area[tree.child_count > 0].sum() / area[0])


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 100, 1000])
def test_every_box_is_one_leaf_inside_its_ancestors(count):
    low, high = boxes(count)
    check(build_bvh(low, high), low, high)


def test_equal_flat_and_lined_up_boxes():
    same = np.ones((100, 3), np.float32)
    line = np.zeros((100, 3), np.float32)
    line[:, 1] = np.arange(100) ** 4
    large = np.full((20, 3), 3e38, np.float32)
    for low, high in ((same, same), (line, line + np.float32(0.5)), (-large, large)):
        check(build_bvh(low, high), low, high)


def test_leaves_from_left_to_right_are_the_order():
    low, high = boxes(300)
    tree = build_bvh(low, high)
    stack, seen = [0], []
    while stack:
        node = stack.pop()
        if tree.child_count[node] == 0:
            seen.append(tree.child[node])
        else:
            stack += range(tree.child[node] + tree.child_count[node] - 1, tree.child[node] - 1, -1)
    assert np.array_equal(seen, tree.order)


def test_nodes_are_well_filled_and_tight():
    low, high = boxes(4000)
    tree = build_bvh(low, high)
    assert (tree.child_count > 0).sum() < 1.3 * (len(low) - 1) / (WIDTH - 1)
    shuffled = np.random.default_rng(1).permutation(len(low))
    flat = build_bvh(np.repeat(np.arange(4000, dtype=np.float32)[:, None], 3, axis=1), np.zeros((4000, 3), np.float32))
    by_chance = bounded(flat, low[shuffled], high[shuffled])
    assert cost(tree) < 0.2 * cost(by_chance)


def bounded(tree: Tree, low: np.ndarray, high: np.ndarray) -> Tree:
    """Return the same tree over other boxes."""
    box_min, box_max = np.zeros((len(tree.child), 3), np.float32), np.zeros((len(tree.child), 3), np.float32)
    for node in range(len(tree.child) - 1, -1, -1):
        child, count = tree.child[node], tree.child_count[node]
        if count == 0:
            box_min[node], box_max[node] = low[child], high[child]
        else:
            box_min[node] = box_min[child : child + count].min(axis=0)
            box_max[node] = box_max[child : child + count].max(axis=0)
    return Tree(tree.child, tree.child_count, box_min, box_max, tree.order)


def test_refuses_what_is_not_boxes():
    good = np.zeros((3, 3), np.float32)
    for low, high in ((good[:0], good[:0]), (good, good[:2]), (good[:, :2], good[:, :2]), (good, good * np.nan)):
        with pytest.raises(ValueError, match="box"):
            build_bvh(low, high)
