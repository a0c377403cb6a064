"""Clusters: limits, fill, order, independence of threads."""

import numpy as np
import pytest

from engine.builder.clusters import cluster_group, cluster_mesh
from engine.builder.threads import limited_threads


def grid(columns: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return lattice positions (p, 3) int32 and faces (m, 3) int32 of a bumpy height field."""
    x, y = np.meshgrid(np.arange(columns + 1), np.arange(rows + 1))
    height = np.rint(40 * np.sin(x / 7) * np.cos(y / 9))
    lattice = np.stack([64 * x, 64 * y, height], axis=-1).reshape(-1, 3).astype(np.int32)
    corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    lower = np.stack([corner, corner + 1, corner + columns + 1], axis=1)
    upper = np.stack([corner + 1, corner + columns + 2, corner + columns + 1], axis=1)
    return lattice, np.concatenate([lower, upper]).astype(np.int32)


def soup(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `count` separate triangles."""
    lattice = np.random.default_rng(1).integers(0, 5000, (3 * count, 3)).astype(np.int32)
    return lattice, np.arange(3 * count, dtype=np.int32).reshape(-1, 3)


def split(lattice, faces, material=None, vertices=255):
    material = np.zeros(len(faces), np.int32) if material is None else material
    return cluster_mesh(lattice, np.arange(len(lattice), dtype=np.int32), faces, material, 128, vertices)


def vertex_counts(faces, order, first):
    return [len(np.unique(faces[order[a:b]])) for a, b in zip(first[:-1], first[1:], strict=True)]


def test_each_triangle_is_in_one_full_cluster():
    lattice, faces = grid(100, 90)
    order, first = split(lattice, faces)
    assert order.dtype == np.int32
    assert np.array_equal(np.sort(order), np.arange(len(faces)))
    sizes = np.diff(first)
    assert first[0] == 0 and first[-1] == len(faces) and sizes.min() > 0 and sizes.max() <= 128
    assert len(sizes) == -(-len(faces) // 128)  # all but one are full
    assert max(vertex_counts(faces, order, first)) <= 255


def test_clusters_are_compact():
    lattice, faces = grid(100, 90)
    order, first = split(lattice, faces)
    assert np.mean(vertex_counts(faces, order, first)) < 95  # a square patch of 64 cells has 81


def test_vertex_limit_of_a_soup():
    lattice, faces = soup(1000)
    order, first = split(lattice, faces)
    assert max(vertex_counts(faces, order, first)) <= 255
    assert np.diff(first).mean() > 75  # 85 triangles have 255 vertices


def test_vertex_limit_where_only_a_part_is_a_soup():
    lattice, faces = grid(60, 60)
    more, pieces = soup(300)
    order, first = split(np.concatenate([lattice, more]), np.concatenate([faces, pieces + np.int32(len(lattice))]))
    counts = vertex_counts(np.concatenate([faces, pieces + len(lattice)]), order, first)
    assert max(counts) <= 255


@pytest.mark.parametrize("limit", [3, 17])
def test_small_vertex_limits(limit):
    lattice, faces = grid(12, 12)
    order, first = split(lattice, faces, vertices=limit)
    assert max(vertex_counts(faces, order, first)) <= limit
    assert np.array_equal(np.sort(order), np.arange(len(faces)))


def test_materials_are_runs_within_a_cluster():
    lattice, faces = grid(60, 60)
    material = (np.arange(len(faces)) % 3).astype(np.int32)
    order, first = split(lattice, faces, material)
    for a, b in zip(first[:-1], first[1:], strict=True):
        assert (np.diff(material[order[a:b]]) >= 0).all()


def test_threads_do_not_matter():
    lattice, faces = grid(100, 90)
    expected = split(lattice, faces)
    with limited_threads(1):
        result = split(lattice, faces)
    assert np.array_equal(result[0], expected[0]) and np.array_equal(result[1], expected[1])


def test_group_is_split_like_a_mesh():
    lattice, faces = grid(32, 40)
    vertex_position = np.arange(len(lattice), dtype=np.int32)
    material = np.zeros(len(faces), np.int32)
    order, first = cluster_group(lattice.astype(np.float64), vertex_position, faces, material, 128, 255)
    assert np.array_equal(np.sort(order), np.arange(2560))
    assert np.array_equal(np.diff(first), np.full(20, 128))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_tiny_meshes(count):
    lattice, faces = soup(3)
    order, first = split(lattice, faces[:count])
    assert len(order) == count and np.array_equal(first, [0, count][: 1 + min(count, 1)])


def test_equal_centroids_end():
    lattice, faces = soup(1)
    order, first = split(lattice, np.repeat(faces, 1000, axis=0))
    assert len(order) == 1000 and np.diff(first).max() <= 128
