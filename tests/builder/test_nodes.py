"""Laws of the nodes: leaves are their groups bit for bit, inner nodes contain what is below, roots come first."""

import numpy as np
import pytest

from engine import layout
from engine.builder.nodes import ROOT_ERROR
from engine.builder.pages import EncodedMesh, encode_mesh
from engine.settings import BuildSettings
from tests.builder.sample_hierarchy import STEP, sample_hierarchy

FLAGS = np.zeros(3, np.uint32)
COMMON = ("center", "radius", "box_min", "box_max", "geometric_error", "attribute_error")


@pytest.fixture(scope="module", params=[2, 4, 5])
def mesh(request: pytest.FixtureRequest) -> EncodedMesh:
    return encode_mesh(sample_hierarchy(request.param), STEP, np.zeros(3), FLAGS, BuildSettings())


def test_a_leaf_is_its_group_bit_for_bit(mesh):
    leaves = mesh.nodes[mesh.nodes["child_count"] == 0]
    assert sorted(leaves["child"]) == list(range(len(mesh.groups)))
    groups = mesh.groups[leaves["child"]]
    for name in COMMON:
        assert leaves[name].tobytes() == groups[name].tobytes(), name


def test_made_by_errors_of_leaves(mesh):
    hierarchy_errors = mesh.groups["geometric_error"], mesh.groups["attribute_error"]
    clusters = clusters_of(mesh)
    for leaf in mesh.nodes[mesh.nodes["child_count"] == 0]:
        makers = clusters["made_by"][clusters["group"] == leaf["child"]]
        for name, errors in zip(("made_by_geometric_error", "made_by_attribute_error"), hierarchy_errors):
            assert leaf[name] == (0 if (makers == layout.NONE).any() else errors[makers].min())


def test_inner_nodes_contain_what_is_below(mesh):
    nodes = mesh.nodes
    for number in np.flatnonzero(nodes["child_count"] > 0):
        node = nodes[number]
        assert number < node["child"] <= len(nodes) - node["child_count"]
        below = nodes[node["child"] : node["child"] + node["child_count"]]
        assert (node["box_min"] == below["box_min"].min(axis=0)).all()
        assert (node["box_max"] == below["box_max"].max(axis=0)).all()
        apart = np.linalg.norm(below["center"].astype(np.float64) - node["center"], axis=1)
        assert (apart + below["radius"] < node["radius"]).all()
        for name in ("geometric_error", "attribute_error"):
            assert below[name].max() <= node[name] <= below[name].max() * np.float32(1 + 1e-5)
            made_by = below[f"made_by_{name}"].min()
            assert made_by * np.float32(1 - 1e-5) <= node[f"made_by_{name}"] <= made_by


def test_every_node_has_one_parent(mesh):
    nodes = mesh.nodes
    inner = nodes[nodes["child_count"] > 0]
    runs = [np.arange(child, child + count) for child, count in zip(inner["child"], inner["child_count"])]
    assert np.array_equal(np.sort(np.concatenate([[0], *runs])), np.arange(len(nodes)))


def test_the_root_begins_with_the_root_group_and_goes_on_by_falling_error(mesh):
    root = mesh.nodes[0]
    if len(mesh.groups) == 1:
        assert root["child_count"] == 0
        return
    below = mesh.nodes[root["child"] : root["child"] + root["child_count"]]
    assert below["child_count"][0] == 0
    assert below["geometric_error"][0] == ROOT_ERROR
    assert (np.diff(below["geometric_error"]) < 0).all()


def test_more_levels_than_children_are_joined():
    from engine.builder.nodes import GroupBounds, make_nodes

    count = 40
    point = np.random.default_rng(0).random((count, 3)).astype(np.float32)
    errors = np.repeat(np.linspace(1, 2, count, dtype=np.float32)[:, None], 2, axis=1)
    errors[-1] = ROOT_ERROR
    groups = GroupBounds(point, point[:, 0], errors, errors * 0.5, point, point + 1, np.arange(count))
    nodes, order = make_nodes(groups)
    assert order.tolist() == list(range(count - 1, -1, -1))
    assert (nodes["child_count"] <= 8).all()
    depth, node = 0, nodes[0]
    while node["child_count"]:
        node = nodes[node["child"] + node["child_count"] - 1]
        depth += 1
    assert depth == 6  # seven levels a node, the rest below its last child


def test_several_root_groups_stand_first():
    mesh = encode_mesh(sample_hierarchy(5, roots=40), STEP, np.zeros(3), FLAGS, BuildSettings())
    root = mesh.groups["geometric_error"] == ROOT_ERROR
    assert root.sum() > 1
    assert root[: root.sum()].all()


def clusters_of(mesh: EncodedMesh) -> np.ndarray:
    from engine.asset_pages import page_clusters

    pages = [mesh.words[start:end] for start, end in zip(mesh.page_word[:-1], mesh.page_word[1:])]
    return np.concatenate([page_clusters(page) for page in pages])
