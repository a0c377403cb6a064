"""Law 1: every cut of a built hierarchy covers the surface exactly once; and the check goes red when it does not."""

import dataclasses
import itertools

import numpy as np
import pytest

from engine import layout, verify, verify_surface
from engine.asset import open_asset
from engine.asset_pages import page_dependencies
from engine.builder import build

KINDS = ["sphere", "terrain", "parts", "foliage"]


@pytest.fixture(scope="module")
def asset(sample_asset):
    return open_asset(sample_asset("sphere", 20000))


@pytest.fixture(scope="module")
def data(asset):
    return verify.asset_tables(asset)


@pytest.fixture(scope="module")
def surface(asset, data):
    return verify_surface.read_surface(asset, data)


@pytest.mark.parametrize("kind", KINDS)
def test_built_hierarchies_are_right(sample_asset, kind):
    assert verify.verify_asset(open_asset(sample_asset(kind, 20000))) == []


def test_the_sphere_is_closed_deep_and_ends_in_one_group(data, surface):
    source = (data.cluster_made_by < 0)[surface.cluster]
    assert set(np.bincount(surface.edge[source].ravel()).tolist()) == {0, 2}
    assert (data.groups["place"] >> 24).max() >= 4
    roots = data.groups["geometric_error"] == np.float32(layout.CONSTANTS["ROOT_ERROR"])
    assert roots.sum() == 1


def test_cuts_are_of_many_kinds(asset, data):
    dependencies = [page_dependencies(asset.page_words(page)) for page in range(asset.page_count)]
    cuts = verify.sample_decisions(data, dependencies, 8, 0)
    sizes = {int(verify_surface.drawn_clusters(data, cut).sum()) for cut in cuts}
    assert len(sizes) > 8


def test_meshes_of_one_group_each_are_checked(tmp_path):
    corners = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    inputs = [tmp_path / "a.obj", tmp_path / "b.obj"]
    for file in inputs:
        file.write_text(corners)
    build(inputs, tmp_path / "two.mlith")
    assert verify.verify_asset(open_asset(tmp_path / "two.mlith")) == []


def with_groups(data, **change):
    groups = data.groups.copy()
    for name, value in change.items():
        groups[name] = value(groups[name]) if callable(value) else value
    return dataclasses.replace(data, groups=groups)


def inner_group(data) -> int:
    """Return a group with a finer and a coarser neighbour."""
    finer, coarser = verify.edges(data)
    return int(np.intersect1d(finer, coarser)[0])


def at(index, factor):
    def change(values):
        values = values.copy()
        values[index] *= np.float32(factor)
        return values

    return change


def test_errors_that_do_not_grow_are_seen(data):
    group = inner_group(data)
    for factor in (0.0, -1.0, 1e-4, np.nan):
        assert verify.check_errors(with_groups(data, geometric_error=at(group, factor)))
    assert verify.check_errors(with_groups(data, attribute_error=at(group, 1e-4)))
    assert verify.check_errors(with_groups(data, geometric_error=at(slice(None), 0.5)))  # the root is no longer one
    assert not verify.check_errors(data)


def test_spheres_that_are_not_nested_are_seen(data):
    group = inner_group(data)
    for factor in (0.9, 0.999):
        assert verify.check_spheres(with_groups(data, radius=at(group, factor)))
    moved = data.groups["center"].copy()
    moved[group] += data.groups["radius"][group]
    assert verify.check_spheres(with_groups(data, center=moved))
    assert not verify.check_spheres(data)


def test_some_eye_sees_each_broken_group(data):
    group = inner_group(data)
    assert not verify.check_decisions(data, 8, 0)
    assert verify.check_decisions(with_groups(data, geometric_error=at(group, 1e-3), attribute_error=0.0), 8, 0)
    assert verify.check_decisions(with_groups(data, radius=lambda r: np.where(r > np.median(r), 0.3 * r, r)), 8, 0)


def test_clusters_in_the_wrong_group_are_seen(data):
    clusters = data.clusters.copy()
    clusters["group"][0] += 1
    assert verify.check_members(dataclasses.replace(data, clusters=clusters))
    made_by = data.cluster_made_by.copy()
    made = int(np.flatnonzero(made_by >= 0)[0])
    made_by[made] = data.cluster_group[made]
    assert verify.check_members(dataclasses.replace(data, cluster_made_by=made_by))
    made_by[made] = -1
    assert verify.check_members(dataclasses.replace(data, cluster_made_by=made_by))
    assert not verify.check_members(data)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("radius", lambda v: v * np.float32(0.9)),
        ("geometric_error", lambda v: v * np.float32(0.9)),
        ("attribute_error", lambda v: v - np.float32(1)),
        ("box_max", lambda v: v - np.float32(0.1)),
        ("box_min", lambda v: v + np.float32(0.1)),
        ("center", lambda v: -v - np.float32(0.1)),
        ("made_by_geometric_error", lambda v: v + np.float32(0.1)),
        ("made_by_attribute_error", lambda v: v + np.float32(0.1)),
    ],
)
@pytest.mark.parametrize("leaf", [False, True])
def test_nodes_that_do_not_bound_their_groups_are_seen(data, name, change, leaf):
    nodes = data.nodes.copy()
    some = (nodes["child_count"] == 0) == leaf
    nodes[name][some] = change(nodes[name][some])
    assert verify.check_nodes(dataclasses.replace(data, nodes=nodes))
    assert not verify.check_nodes(data)


def test_groups_without_a_leaf_are_seen(data):
    nodes = data.nodes.copy()
    leaves = np.flatnonzero(nodes["child_count"] == 0)
    nodes["child"][leaves[0]] = nodes["child"][leaves[1]]
    assert verify.check_nodes(dataclasses.replace(data, nodes=nodes))


def test_boxes_that_are_too_small_are_seen(data):
    assert verify.check_boxes(with_groups(data, box_max=lambda v: v - np.float32(0.01)))
    meshes = data.meshes.copy()
    meshes["box_min"] += np.float32(0.1)
    assert verify.check_boxes(dataclasses.replace(data, meshes=meshes))


def test_a_page_that_forgets_a_dependency_is_seen(asset, data):
    dependencies = [page_dependencies(asset.page_words(page)).astype(np.int64) for page in range(asset.page_count)]
    assert not verify.check_pages(data, dependencies)
    needy = next(page for page, needs in enumerate(dependencies) if len(needs))
    dependencies[needy] = dependencies[needy][1:]
    assert verify.check_pages(data, dependencies)


def flip(data, decisions, group):
    """Return the cuts with the decision of one group turned round."""
    return [np.where(np.arange(len(cut)) == group, ~cut, cut) for cut in decisions]


def test_cuts_with_a_wrong_decision_have_holes_or_overlaps(data, surface):
    error = data.groups["geometric_error"]
    cuts = [error > threshold for threshold in np.unique(error)[:-1]]
    assert verify_surface.check_cuts(data, surface, cuts) == []
    wrong = sum(bool(verify_surface.check_cuts(data, surface, flip(data, cuts, group))) for group in range(len(error)))
    assert wrong == len(error)


def test_lost_clusters_are_seen(asset, data, surface):
    twins = verify.first_twins(data)
    cuts = [data.groups["geometric_error"] > error for error in np.unique(data.groups["geometric_error"])[:-1]]
    for cluster in np.flatnonzero(data.cluster_made_by >= 0)[::7]:
        keep = surface.cluster != cluster
        mutant = dataclasses.replace(
            surface, edge=surface.edge[keep], cluster=surface.cluster[keep], area=surface.area[keep]
        )
        assert verify_surface.check_groups(data, mutant, twins) + verify_surface.check_cuts(data, mutant, cuts)
    assert not verify.check_triangles(data, asset.mesh_triangles)
    fewer = asset.mesh_triangles.copy()
    fewer["source"] += 1
    assert verify.check_triangles(data, fewer)


@pytest.mark.parametrize("seed", range(5))
def test_one_triangle_lost_in_a_simplified_group_is_a_hole(data, surface, seed):
    """Triangle by triangle: what the check of the outlines must find on a closed mesh."""
    rng = np.random.default_rng(seed)
    made = np.flatnonzero((data.cluster_made_by >= 0)[surface.cluster])
    keep = np.arange(len(surface.cluster)) != rng.choice(made)
    mutant = dataclasses.replace(
        surface, edge=surface.edge[keep], cluster=surface.cluster[keep], area=surface.area[keep]
    )
    twins = verify.first_twins(data)
    assert verify_surface.check_groups(data, surface, twins) == []
    assert verify_surface.check_groups(data, mutant, twins)


def test_a_moved_outline_vertex_is_a_crack(data, surface):
    """An edge between two groups gets another end in what was made from one of them."""
    group = data.cluster_group[surface.cluster]
    made = data.cluster_made_by[surface.cluster]
    first = int(made.max())  # of the finest level: the outline is long
    inside = surface.edge[group == first]
    edge, uses = np.unique(inside, return_counts=True)
    outline = edge[uses == 1]
    edges = surface.edge.copy()
    target = (made == first)[:, None] & np.isin(edges, np.intersect1d(outline, edges[made == first])[:1])
    assert target.any()
    edges[target] = len(surface.edge_mesh)
    mutant = dataclasses.replace(
        surface,
        edge=edges,
        edge_mesh=np.append(surface.edge_mesh, 0),
        edge_length=np.append(surface.edge_length, 1.0),
    )
    assert verify_surface.check_groups(data, mutant, verify.first_twins(data))


def test_problems_come_as_single_lines(asset, data, monkeypatch):
    broken = with_groups(data, geometric_error=at(inner_group(data), 1e-4))
    monkeypatch.setattr(verify, "asset_tables", lambda _: broken)
    problems = verify.verify_asset(asset)
    assert problems
    assert all(isinstance(line, str) and "\n" not in line for line in problems)


def test_faces_of_tetrahedra_may_come_apart_inside_a_group(tmp_path):
    """Where many sheets meet, new single edges are the image of edges of three and more triangles, not cracks."""
    count = 13
    corner = np.stack(np.meshgrid(*[np.arange(count + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    cell = np.stack(np.meshgrid(*[np.arange(count)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    number = lambda offset: (cell + offset) @ np.array([(count + 1) ** 2, count + 1, 1])  # noqa: E731
    faces = []
    for first, second in itertools.permutations(np.eye(3, dtype=int), 2):  # Kuhn's six tetrahedra of a cube
        ends = [number(o) for o in (np.zeros(3, int), first, first + second, np.ones(3, int))]
        faces += [np.stack(face, axis=1) for face in itertools.combinations(ends, 3)]
    faces = np.unique(np.sort(np.concatenate(faces), axis=1), axis=0)
    lines = [f"v {x} {y} {z}" for x, y, z in corner] + [f"f {a} {b} {c}" for a, b, c in faces + 1]
    (tmp_path / "tets.obj").write_text("\n".join(lines))
    build([tmp_path / "tets.obj"], tmp_path / "tets.mlith")
    assert verify.verify_asset(open_asset(tmp_path / "tets.mlith")) == []
