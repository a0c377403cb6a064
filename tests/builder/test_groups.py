"""Groups: size bounds, the graph of clusters, borders that do not stay."""

import numpy as np
import pytest

from engine.builder.groups import cluster_adjacency, partition_clusters, shared_positions


def lattice_of_clusters(columns: int, rows: int) -> tuple[np.ndarray, ...]:
    """Return faces, first face, last face, centers of columns x rows clusters, each a quad of two triangles."""
    corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    lower = np.stack([corner, corner + 1, corner + columns + 1], axis=1)
    upper = np.stack([corner + 1, corner + columns + 2, corner + columns + 1], axis=1)
    faces = np.stack([lower, upper], axis=1).reshape(-1, 3).astype(np.int32)
    first = 2 * np.arange(columns * rows)
    y, x = np.divmod(np.arange(columns * rows), columns)
    return faces, first, first + 2, np.stack([x, y, 0 * x], axis=1).astype(np.float64)


def graph_of(faces, first, last, centers):
    count = faces.max() + 1
    positions, starts, users = shared_positions(faces, np.arange(count, dtype=np.int32), first, last, count)
    return (positions, starts, users), cluster_adjacency(starts, users, len(first))


def test_shared_positions_and_weights():
    parts = lattice_of_clusters(3, 2)
    (positions, starts, users), (first, neighbour, weight) = graph_of(*parts)
    listed = {int(p): users[a:b].tolist() for p, a, b in zip(positions, starts[:-1], starts[1:], strict=True)}
    assert listed == {
        1: [0, 1],
        2: [1, 2],
        4: [0, 3],
        5: [0, 1, 3, 4],
        6: [1, 2, 4, 5],
        7: [2, 5],
        9: [3, 4],
        10: [4, 5],
    }
    edges = {(c, int(neighbour[j])): int(weight[j]) for c in range(6) for j in range(first[c], first[c + 1])}
    assert edges[0, 1] == edges[1, 0] == 2 and edges[0, 4] == edges[4, 0] == 1 and (0, 2) not in edges


@pytest.mark.parametrize("shape", [(40, 50), (7, 9), (33, 1), (1, 200), (300, 2)])
def test_group_sizes(shape):
    parts = lattice_of_clusters(*shape)
    _, graph = graph_of(*parts)
    group = partition_clusters(*graph, parts[3], 20)
    sizes = np.bincount(group)
    assert sizes.min() >= 8 and sizes.max() <= 32
    assert group[0] == 0 and (np.maximum.accumulate(group)[1:] <= np.maximum.accumulate(group)[:-1] + 1).all()


def test_groups_share_much_boundary():
    parts = lattice_of_clusters(60, 60)
    (_, starts, users), graph = graph_of(*parts)
    group = partition_clusters(*graph, parts[3], 20)
    low = np.minimum.reduceat(group[users], starts[:-1])
    high = np.maximum.reduceat(group[users], starts[:-1])
    assert 14 <= len(group) / (group.max() + 1) <= 26
    assert (low != high).mean() < 0.45  # squares of 20 cells have 0.4 of the positions on their borders


def test_strong_borders_end_up_inside():
    columns, rows = 40, 40
    parts = lattice_of_clusters(columns, rows)
    _, (first, neighbour, weight) = graph_of(*parts)
    x = np.arange(columns * rows) % columns
    source = np.repeat(np.arange(len(x)), np.diff(first))
    strong = (np.minimum(x[source], x[neighbour]) % 5 == 4) & (np.abs(neighbour - source) == 1)
    weight = np.where(strong, 10 * weight, weight).astype(np.int32)
    group = partition_clusters(first, neighbour, weight, parts[3], 20)
    cut = group[source] != group[neighbour]
    assert cut[strong].mean() < 0.03 < cut[~strong].mean()


@pytest.mark.parametrize("count", [1, 5, 32, 33, 39, 100, 1001])
def test_clusters_without_neighbours_are_grouped_by_place(count):
    centers = np.random.default_rng(2).random((count, 3))
    graph = np.zeros(count + 1, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32)
    group = partition_clusters(*graph, centers, 20)
    sizes = np.bincount(group)
    assert sizes.max() <= 32 and sizes.min() >= min(8, count)


def test_few_isolated_clusters_join_a_group():
    parts = lattice_of_clusters(20, 10)
    _, (first, neighbour, weight) = graph_of(*parts)
    first = np.append(first, [first[-1]] * 3).astype(np.int32)
    centers = np.concatenate([parts[3], parts[3][:3] + 0.5])
    sizes = np.bincount(partition_clusters(first, neighbour, weight, centers, 20))
    assert sizes.min() >= 8 and sizes.max() <= 32 and sizes.sum() == 203


def test_a_position_used_by_very_many_clusters():
    count = 3000
    faces = np.stack([np.zeros(count), 1 + 2 * np.arange(count), 2 + 2 * np.arange(count)], axis=1).astype(np.int32)
    _, graph = graph_of(faces, np.arange(count), np.arange(count) + 1, None)
    assert len(graph[1]) < 10 * count
    sizes = np.bincount(partition_clusters(*graph, np.zeros((count, 3)), 20))
    assert sizes.min() >= 8 and sizes.max() <= 32
