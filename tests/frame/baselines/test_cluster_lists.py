"""Whole-mesh levels: each covers the mesh exactly once, and claims what its clusters claim."""

import numpy as np
import pytest

from engine import reference
from engine.frame.baselines.cluster_lists import PIECE_CLUSTERS, all_lists, level_lists, scene_clusters, source_clusters
from engine.scene import Scene, load_scene
from engine.scene_triangles import cluster_triangles


def listed(lists, number: int) -> np.ndarray:
    """Return the clusters of a list, without what fills it up."""
    first, pieces = int(lists.lists["first"][number]), int(lists.lists["pieces"][number])
    clusters = lists.clusters[first : first + PIECE_CLUSTERS * pieces]
    assert (clusters >= 0).any() and (np.diff(np.flatnonzero(clusters >= 0)) == 1).all()
    return clusters[clusters >= 0]


@pytest.fixture
def two_meshes(sample_asset) -> Scene:
    from engine.asset import open_asset

    return Scene([open_asset(sample_asset(kind)) for kind in ("sphere", "terrain")])


def test_clusters_know_what_the_reference_knows(two_meshes):
    found, expected = scene_clusters(two_meshes), reference.tables_of(two_meshes)
    np.testing.assert_array_equal(found.mesh, expected.cluster_mesh)
    np.testing.assert_array_equal(found.group, expected.cluster_group)
    np.testing.assert_array_equal(found.made_by, expected.cluster_made_by)


def test_every_cluster_is_in_one_of_all_lists(two_meshes):
    clusters = scene_clusters(two_meshes)
    lists = all_lists(two_meshes, clusters)
    assert lists.mesh_lists.tolist() == [[0, 1], [1, 1]]
    for mesh in (0, 1):
        np.testing.assert_array_equal(listed(lists, mesh), np.flatnonzero(clusters.mesh == mesh))


def test_levels_go_from_the_root_to_the_source(two_meshes):
    clusters = scene_clusters(two_meshes)
    lists, sources = level_lists(two_meshes, clusters), source_clusters(two_meshes, clusters)
    for mesh, (first, count) in enumerate(lists.mesh_lists.tolist()):
        levels = [listed(lists, first + i) for i in range(count)]
        assert count > 4
        triangles = [int(clusters.triangles[level].sum()) for level in levels]
        assert triangles == sorted(set(triangles)), "each level is finer than the one before"
        np.testing.assert_array_equal(levels[-1], sources[mesh])
        assert len(levels[0]) < 3
        for error, prefix in (("geometric_error", "geometric"), ("attribute_error", "attribute")):
            claims = lists.lists[error][first : first + count]
            assert claims[-1] == 0.0, prefix
            for level, claim in zip(levels, claims):
                makers = clusters.made_by[level]
                assert claim == two_meshes.groups[error][makers[makers >= 0]].max(initial=0.0)
        claims = lists.lists["geometric_error"][first : first + count]
        assert (claims[:-1] > claims[1:]).all()


def test_every_level_of_a_closed_mesh_is_closed(sample_asset):
    scene = load_scene(sample_asset("sphere"))
    lists = level_lists(scene, scene_clusters(scene))
    for number in range(len(lists.lists)):
        triangles = cluster_triangles(scene, listed(lists, number))
        _, point = np.unique(triangles.positions, axis=0, return_inverse=True)
        corners = point.ravel()[triangles.corners]
        edges = np.concatenate([corners[:, [i, (i + 1) % 3]] for i in range(3)])
        forward = edges[:, 0] * (corners.max() + 1) + edges[:, 1]
        backward = edges[:, 1] * (corners.max() + 1) + edges[:, 0]
        assert len(np.unique(forward)) == len(forward), "an edge is there twice"
        np.testing.assert_array_equal(np.sort(forward), np.sort(backward))


def test_triangles_are_those_of_the_pages(two_meshes):
    generator = np.random.default_rng(3)
    total = len(two_meshes.clusters())
    chosen = generator.permutation(total)[:40]
    found = cluster_triangles(two_meshes, chosen)
    bases = two_meshes.mesh_cluster_base
    for i, cluster in enumerate(chosen.tolist()):
        asset = int(np.searchsorted(bases, cluster, side="right")) - 1
        expected = two_meshes.assets[asset].cluster_geometry(cluster - int(bases[asset]))
        part = slice(*found.first_triangle[i : i + 2])
        np.testing.assert_array_equal(found.positions[found.corners[part]], expected.positions[expected.triangles])
    assert len(cluster_triangles(two_meshes, chosen[:0]).corners) == 0
