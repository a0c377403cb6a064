"""The tree over boxes: shape, bounds, and how good it is, for every number of children that a node can have."""

import hashlib

import numpy as np
import pytest

from engine import bvh
from engine.bvh import LARGEST_DEPTH, WIDTH, Tree, build_bvh

WIDTHS = range(2, WIDTH + 1)


def boxes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    low = random.random((count, 3)).astype(np.float32)
    return low, low + random.random((count, 3)).astype(np.float32) * np.float32(count ** (-1 / 3))


def check(tree: Tree, low: np.ndarray, high: np.ndarray, width: int) -> None:
    """Assert everything that a traversal relies on."""
    inner = np.flatnonzero(tree.child_count > 0)
    leaf = np.flatnonzero(tree.child_count == 0)
    assert sorted(tree.child[leaf]) == list(range(len(low)))
    assert sorted(tree.order) == list(range(len(low)))
    assert (tree.child_count <= width).all()
    assert (tree.child_count != 1).all()
    assert depth(tree) <= LARGEST_DEPTH
    assert (tree.child[inner] > inner).all()
    children = [np.arange(tree.child[i], tree.child[i] + tree.child_count[i]) for i in inner]
    assert np.array_equal(np.sort(np.concatenate([[0], *children])), np.arange(len(tree.child)))
    assert np.array_equal(tree.box_min[leaf], low[tree.child[leaf]])
    assert np.array_equal(tree.box_max[leaf], high[tree.child[leaf]])
    for node, below in zip(inner, children):
        assert np.array_equal(tree.box_min[node], tree.box_min[below].min(axis=0))
        assert np.array_equal(tree.box_max[node], tree.box_max[below].max(axis=0))


def depth(tree: Tree) -> int:
    """Return how many levels of nodes lie below the root."""
    level = np.zeros(len(tree.child), int)
    for node in np.flatnonzero(tree.child_count > 0):
        level[tree.child[node] : tree.child[node] + tree.child_count[node]] = level[node] + 1
    return int(level.max())


def cost(tree: Tree) -> float:
    """Surface area of the inner nodes, relative to the root's."""
    size = (tree.box_max - tree.box_min).astype(np.float64)
    area = size[:, 0] * size[:, 1] + size[:, 1] * size[:, 2] + size[:, 2] * size[:, 0]
    return float(area[tree.child_count > 0].sum() / area[0])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 100, 1000])
def test_every_box_is_one_leaf_inside_its_ancestors(count, width):
    low, high = boxes(count)
    check(build_bvh(low, high, width), low, high, width)


@pytest.mark.parametrize(("count", "digest"), [(9, "9340c81a2b5ed38c"), (1000, "b3f3adb4e925186d")])
def test_the_tree_of_eight_children_is_that_of_earlier_versions(count, digest):
    """Files that are built again stay as they are: the digest was taken when eight was the only number."""
    tree = build_bvh(*boxes(count, count))
    digested = hashlib.blake2b(digest_size=8)
    for values in (tree.child, tree.child_count, tree.box_min, tree.box_max, tree.order):
        digested.update(values.tobytes())
    assert digested.hexdigest() == digest


@pytest.mark.parametrize("width", WIDTHS)
def test_equal_flat_and_lined_up_boxes(width):
    same = np.ones((100, 3), np.float32)
    line = np.zeros((100, 3), np.float32)
    line[:, 1] = np.arange(100) ** 4
    large = np.full((20, 3), 3e38, np.float32)
    for low, high in ((same, same), (line, line + np.float32(0.5)), (-large, large)):
        check(build_bvh(low, high, width), low, high, width)


@pytest.mark.parametrize("width", WIDTHS)
def test_boxes_of_every_size_do_not_make_a_tree_too_deep(width):
    """The surface-area heuristic alone takes a few from the end each time: a binary tree would be 40 levels deep."""
    line = np.zeros((250, 3), np.float32)
    line[:, 0] = 1.5 ** np.arange(250) * 1e-30
    tree = build_bvh(line, line * np.float32(1.01), width)
    check(tree, line, line * np.float32(1.01), width)
    assert depth(tree) == LARGEST_DEPTH or width > 2


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("spare", [0, 3, 30])
def test_a_tree_with_hardly_enough_levels_has_no_more(monkeypatch, width, spare):
    levels = 6 if width == 2 else 3
    monkeypatch.setattr(bvh, "LARGEST_DEPTH", levels)
    low, high = boxes(max(width**levels - spare, 2), seed=5)
    low[:, 0], high[:, 0] = low[:, 0] ** 9, low[:, 0] ** 9 + np.float32(0.01)  # crowded at one end
    tree = build_bvh(low, high, width)
    check(tree, low, high, width)
    assert depth(tree) <= levels
    with pytest.raises(ValueError, match=f"too many for {levels} levels"):
        build_bvh(*boxes(width**levels + 1), width)


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


@pytest.mark.parametrize("width", WIDTHS)
def test_nodes_are_well_filled_and_tight(width):
    low, high = boxes(4000)
    tree = build_bvh(low, high, width)
    assert (tree.child_count > 0).sum() <= (1.0 if width == 2 else 1.3) * (len(low) - 1) / (width - 1)
    assert depth(tree) <= np.ceil(np.log(len(low)) / np.log(width)) + 3
    shuffled = np.random.default_rng(1).permutation(len(low))
    line = np.repeat(np.arange(4000, dtype=np.float32)[:, None], 3, axis=1)
    flat = build_bvh(line, np.zeros((4000, 3), np.float32), width)
    by_chance = bounded(flat, low[shuffled], high[shuffled])
    assert cost(tree) < 0.2 * cost(by_chance)


def test_fewer_children_cull_finer():
    """Each number has a tree of its own, split by area: more levels, and less area of all boxes that are tested."""
    low, high = boxes(4000)
    trees = {width: build_bvh(low, high, width) for width in (2, 4, 8)}
    assert depth(trees[2]) > depth(trees[4]) > depth(trees[8])
    tested = {}
    for width, tree in trees.items():
        size = (tree.box_max - tree.box_min).astype(np.float64)
        area = size[:, 0] * size[:, 1] + size[:, 1] * size[:, 2] + size[:, 2] * size[:, 0]
        tested[width] = float(area @ tree.child_count)
    assert tested[2] < tested[4] < tested[8]


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
    for width in (0, 1, 9):
        with pytest.raises(ValueError, match=f"up to {width} children; 2 to 8"):
            build_bvh(good, good, width)
