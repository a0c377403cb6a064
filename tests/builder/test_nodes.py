"""Laws of the nodes: leaves are their groups bit for bit, inner nodes contain what is below, roots come first."""

import hashlib

import numpy as np
import pytest

from engine import layout
from engine.builder.nodes import ROOT_ERROR, GroupBounds, make_nodes
from engine.builder.pages import EncodedMesh, encode_mesh
from engine.settings import BuildSettings
from tests.builder.sample_hierarchy import STEP, sample_hierarchy

FLAGS = np.zeros(3, np.uint32)
COMMON = ("center", "radius", "box_min", "box_max", "geometric_error", "attribute_error")


@pytest.fixture(scope="module", params=[(2, 8), (4, 8), (5, 8), (4, 2), (5, 2), (5, 4)])
def mesh(request: pytest.FixtureRequest) -> EncodedMesh:
    subdivisions, children = request.param
    settings = BuildSettings(node_children=children)
    return encode_mesh(sample_hierarchy(subdivisions), STEP, np.zeros(3), FLAGS, settings)


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


def test_every_node_has_one_parent_and_few_children(mesh, request):
    assert mesh.nodes["child_count"].max() <= request.node.callspec.params["mesh"][1]
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
    assert below["geometric_error"][0] == ROOT_ERROR
    assert (np.diff(below["geometric_error"]) < 0).all()
    first = below[0]
    while first["child_count"]:
        first = mesh.nodes[first["child"]]
    assert first["geometric_error"] == ROOT_ERROR


def one_group_a_level(count: int) -> GroupBounds:
    point = np.random.default_rng(0).random((count, 3)).astype(np.float32)
    errors = np.repeat(np.linspace(1, 2, count, dtype=np.float32)[:, None], 2, axis=1)
    errors[-1] = ROOT_ERROR
    return GroupBounds(point, point[:, 0], errors, errors * 0.5, point, point + 1, np.arange(count))


def leaf_depths(nodes: np.ndarray) -> np.ndarray:
    """Return how many nodes stand above each leaf, leaves from left to right."""
    found, waiting = [], [(0, 0)]
    while waiting:
        number, depth = waiting.pop()
        node = nodes[number]
        found += [] if node["child_count"] else [(node["child"], depth)]
        waiting += [(node["child"] + i, depth + 1) for i in reversed(range(node["child_count"]))]
    assert [child for child, _ in found] == list(range(len(found))), "the order of the leaves"
    return np.array([depth for _, depth in found])


def test_more_levels_than_children_are_joined():
    nodes, order = make_nodes(one_group_a_level(40))
    assert order.tolist() == list(range(39, -1, -1))
    assert (nodes["child_count"] <= 8).all()
    assert leaf_depths(nodes).tolist() == [1] * 7 + [2] * 7 + [3] * 7 + [4] * 7 + [5] * 7 + [6] * 5


@pytest.mark.parametrize(
    ("width", "inner", "depth"),
    [
        (2, 39, 6),
        (3, 22, 4),
        (4, 13, 3),
        (7, 7, 2),
    ],
)
def test_nodes_of_fewer_children_join_the_levels_in_a_flat_tree(width, inner, depth):
    nodes, order = make_nodes(one_group_a_level(40), width)
    assert order.tolist() == list(range(39, -1, -1))
    assert nodes["child_count"].max() == width
    assert (nodes["child_count"] > 0).sum() == inner
    depths = leaf_depths(nodes)
    assert depths.max() == depth
    assert depths[0] == depths.min()


def test_nodes_of_eight_children_are_those_of_earlier_versions():
    """Files that are built again stay as they are: the digest was taken when eight was the only number."""
    count, levels, random = 3000, 13, np.random.default_rng(1)
    point = random.random((count, 3)).astype(np.float32)
    level = np.append(np.sort(random.integers(0, levels, count))[:-1], levels)
    errors = np.repeat((1 + level + random.random(count))[:, None], 2, axis=1).astype(np.float32)
    errors[-1] = ROOT_ERROR
    box_max = point + np.float32(0.1)
    groups = GroupBounds(point, point[:, 0], errors, errors * np.float32(0.5), point, box_max, level)
    for nodes, order in (make_nodes(groups), make_nodes(groups, 8)):
        assert hashlib.blake2b(nodes.tobytes() + order.tobytes(), digest_size=8).hexdigest() == "4b85e062d485c1f5"


def test_several_root_groups_stand_first():
    mesh = encode_mesh(sample_hierarchy(5, roots=40), STEP, np.zeros(3), FLAGS, BuildSettings())
    root = mesh.groups["geometric_error"] == ROOT_ERROR
    assert root.sum() > 1
    assert root[: root.sum()].all()


def clusters_of(mesh: EncodedMesh) -> np.ndarray:
    from engine.asset_pages import page_clusters

    pages = [mesh.words[start:end] for start, end in zip(mesh.page_word[:-1], mesh.page_word[1:])]
    return np.concatenate([page_clusters(page) for page in pages])
