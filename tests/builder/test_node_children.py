"""Assets whose nodes have fewer children than eight: a tree of their own over the same groups, and every law holds."""

import numpy as np
import pytest

from engine import verify
from engine.asset import Asset, open_asset
from engine.builder import build
from engine.settings import BuildSettings

CHILDREN = [2, 4, 8]


@pytest.fixture(scope="module", params=CHILDREN)
def children(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def asset(sample_asset, children: int) -> Asset:
    return open_asset(sample_asset("terrain", 20000, cluster_triangles=32, node_children=children))


def test_every_cut_covers_the_surface_once(asset):
    assert verify.verify_asset(asset) == []


def test_nodes_are_full(asset, children):
    count = asset.nodes["child_count"].astype(int)
    inner = count[count > 0]
    assert inner.max() == children
    assert inner.min() > 1
    least = (len(asset.groups) - 1) / (children - 1)
    assert least <= len(inner) < (1.001 if children == 2 else 1.35) * least + 1.0


def test_the_groups_are_those_of_other_trees(asset, sample_asset):
    """The tree puts groups in another order, and changes nothing in them."""
    other = open_asset(sample_asset("terrain", 20000, cluster_triangles=32))
    fields = ("center", "radius", "box_min", "box_max", "geometric_error", "attribute_error")
    columns = [np.column_stack([one.groups[name] for name in fields]) for one in (asset, other)]
    one, two = (np.unique(rows, axis=0, return_counts=True) for rows in columns)
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])
    assert asset.mesh_triangles.tolist() == other.mesh_triangles.tolist()


def test_the_file_says_how_it_was_built(asset, children):
    assert asset.metadata["settings"]["node_children"] == children


def test_eight_is_what_builds_without_the_setting(sample_asset):
    default, eight = (sample_asset("sphere", 5000, **chosen) for chosen in ({}, {"node_children": 8}))
    assert default.read_bytes() == eight.read_bytes()


@pytest.mark.parametrize("children", CHILDREN)
def test_more_than_a_hundred_levels_make_no_tree_too_deep(sample_mesh, tmp_path, children):
    settings = BuildSettings(
        node_children=children, group_clusters=8, cluster_triangles=16, reduction=0.75, least_shrink=0.0
    )
    report = build([sample_mesh("sphere", 2000)], tmp_path / "deep.mlith", settings)
    assert len(report["levels"]) > 100
    assert verify.verify_asset(open_asset(tmp_path / "deep.mlith")) == []
