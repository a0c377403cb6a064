"""error.py and nearest.py: nearest triangles against brute force, measured errors against known distances."""

import numpy as np
import pytest
from numba import njit

from engine.builder import nearest
from engine.builder.error import measure_group, vanished_parts
from engine.builder.nearest import STACK_NODES, build_source_tree, build_tree
from engine.builder.samples import joined_samples, make_samples, samples_above
from engine.builder.threads import limited_threads


@njit
def closest_weights(c, x, y, z):
    """Inner kernels are called from kernels only."""
    return nearest.closest_weights(c, x, y, z)


@njit
def triangle_squared(corners, slot, x, y, z):
    return nearest.triangle_squared(corners, slot, x, y, z)


@njit
def nearest_triangle(corners, first, boxes, depth, x, y, z, best, slot, enough, stack_node, stack_bound):
    return nearest.nearest_triangle(corners, first, boxes, depth, x, y, z, best, slot, enough, stack_node, stack_bound)


def bumpy(size, height, step=64):
    """Return positions (n, 3) float64, faces (m, 3) int32 and the first faces of clusters of 64."""
    x, y = np.meshgrid(np.arange(size + 1), np.arange(size + 1), indexing="ij")
    z = height * np.sin(0.9 * x) * np.cos(0.8 * y)
    positions = np.rint(np.stack([x * step, y * step, z], axis=-1).reshape(-1, 3))
    corner = (np.arange(size)[:, None] * (size + 1) + np.arange(size)).ravel()
    faces = np.stack(
        [corner, corner + size + 1, corner + 1, corner + 1, corner + size + 1, corner + size + 2], axis=1
    ).reshape(-1, 3)
    return positions, faces.astype(np.int32), np.append(np.arange(0, len(faces), 64), len(faces))


def up_normals(count, columns=3):
    values = np.zeros((count, columns), dtype=np.float32)
    values[:, 2] = 1.0
    return values


NOTHING = np.zeros((0, 3)), np.zeros(0)


def measure(
    source, products, weights=(0.0, 0.0, 0.0), attributes=None, source_attributes=None, origin=(0.0, 0.0, 0.0),
    vanished=NOTHING,
):  # fmt: skip
    """Measure products (positions from origin, faces, first) against a source; return errors and handed-on samples."""
    positions, faces, first = source
    identity = np.arange(len(positions), dtype=np.int32)
    columns = len(weights)
    source_attributes = up_normals(len(positions), columns) if source_attributes is None else source_attributes
    tree = build_source_tree(positions.astype(np.int32), identity, faces, first)
    samples = make_samples(tree, source_attributes, faces, 32)
    samples = joined_samples(samples, 0, len(first) - 1)
    new_positions, new_faces, new_first = products
    attributes = up_normals(len(new_positions), columns) if attributes is None else attributes
    clusters = len(new_first) - 1
    out = (
        np.zeros((clusters, 32, 3)),
        np.zeros((clusters, 32, columns), np.float32),
        np.zeros((clusters, 32), np.float32),
        np.zeros(clusters, np.int32),
    )
    errors = measure_group(
        tree, np.array(origin), samples, vanished, new_positions, np.arange(len(new_positions), dtype=np.int32),
        attributes, new_faces, new_first, np.array(weights, dtype=np.float32), 99.5, 256, out,
    )  # fmt: skip
    return errors, samples[0], out


def test_closest_point_against_a_fine_grid_of_points():
    generator = np.random.default_rng(1)
    u, v = np.meshgrid(np.linspace(0, 1, 101), np.linspace(0, 1, 101))
    keep = u + v <= 1.0 + 1e-9
    grid = np.stack([1 - u[keep] - v[keep], u[keep], v[keep]], axis=1)
    for _ in range(200):
        corners = generator.integers(-50, 50, (3, 3)).astype(np.float32)
        point = generator.uniform(-100, 100, 3)
        weights = np.array(closest_weights(corners.ravel(), *point))
        assert weights.min() >= -1e-9
        assert weights.sum() == pytest.approx(1.0)
        found = np.linalg.norm(weights @ corners - point)
        assert found <= np.linalg.norm(grid @ corners - point, axis=1).min() + 1e-6


def test_degenerate_triangles_have_a_distance():
    line = np.array([0, 0, 0, 4, 0, 0, 8, 0, 0], dtype=np.float32)
    spot = np.array([1, 2, 3] * 3, dtype=np.float32)
    assert triangle_squared(line[None], 0, 6.0, 3.0, 0.0) == pytest.approx(9.0)
    assert triangle_squared(line[None], 0, 11.0, 4.0, 0.0) == pytest.approx(25.0)
    assert triangle_squared(spot[None], 0, 1.0, 2.0, 5.0) == pytest.approx(4.0)


@pytest.mark.parametrize("clusters", [1, 3, 13])
def test_tree_finds_the_nearest_triangle(clusters):
    generator = np.random.default_rng(clusters)
    faces = np.arange(900, dtype=np.int32).reshape(-1, 3)
    center = np.sort(generator.integers(-2000, 2000, (300, 1, 3)), axis=0)
    positions = (center + generator.integers(-90, 90, (300, 3, 3))).reshape(-1, 3).astype(float)
    first = np.sort(np.concatenate([[0, 300], generator.integers(0, 300, clusters - 1)]))
    corners, first, boxes, depth = build_tree(positions, np.arange(900, dtype=np.int32), faces, first)
    stacks = np.empty(STACK_NODES, dtype=np.int64), np.empty(STACK_NODES)
    for point in generator.uniform(-2500, 2500, (200, 3)):
        squared, slot = nearest_triangle(corners, first, boxes, depth, *point, np.inf, -1, 0.0, *stacks)
        every = np.array([triangle_squared(corners, n, *point) for n in range(300)])
        assert squared == every.min()
        assert every[slot] == squared
        enough = 4.0 * squared + 100.0
        some, slot = nearest_triangle(corners, first, boxes, depth, *point, np.inf, -1, enough, *stacks)
        assert squared <= some <= enough
        assert every[slot] == some


def test_samples_lie_on_their_cluster_and_spread_by_area():
    positions, faces, first = bumpy(16, 40.0)
    tree = build_source_tree(positions.astype(np.int32), np.arange(len(positions), dtype=np.int32), faces, first)
    points, values, weight, count = make_samples(tree, up_normals(len(positions)), faces, 32)
    assert (abs(count - 128) <= 20).all()
    for cluster in range(8):
        low, high = first[cluster], first[cluster + 1]
        assert np.allclose(np.linalg.norm(values[cluster, : count[cluster]], axis=-1), 1.0)
        for point in points[cluster, : count[cluster]]:
            assert min(triangle_squared(tree[0], n, *point) for n in range(low, high)) < 1e-12
    everything = joined_samples((points, values, weight, count), 0, 8)[0]
    assert len(np.unique(everything, axis=0)) == count.sum()
    a, b, c = positions[faces].transpose(1, 0, 2)
    twice = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    assert np.allclose(weight.sum(axis=1), np.add.reduceat(twice, first[:-1]), rtol=1e-4)
    with limited_threads(1):
        again = make_samples(tree, up_normals(len(positions)), faces, 32)
    assert np.array_equal(points, again[0])


def test_the_same_surface_has_no_error_and_hands_on_its_samples():
    source = bumpy(16, 40.0)
    (geometric, attribute), samples, out = measure(source, source, weights=(10.0, 10.0, 10.0))
    assert geometric < 1e-6
    assert attribute < 1e-3
    assert out[3].sum() <= len(samples)
    assert out[3].min() >= 24
    for cluster in range(len(out[3])):
        for point in out[0][cluster, : out[3][cluster]]:
            assert (samples == point).all(axis=1).any()


def test_a_shifted_surface_has_the_shift_as_error_whatever_the_origin():
    positions, faces, first = bumpy(16, 0.0)
    for origin in ([0.0, 0.0, 0.0], [512.0, -256.0, 64.0]):
        moved = positions + np.array([0.0, 0.0, 9.0]) - np.array(origin)
        (geometric, _), _, _ = measure((positions, faces, first), (moved, faces, first), origin=origin)
        assert geometric == pytest.approx(9.0)


def test_flattening_is_seen_in_both_directions():
    positions, faces, first = bumpy(16, 50.0)
    flat = positions.copy()
    flat[:, 2] = 0.0
    (geometric, _), _, _ = measure((positions, faces, first), (flat, faces, first))
    assert 25.0 < geometric <= 50.0
    half = len(faces) // 2
    (missing, _), _, _ = measure((positions, faces, first), (positions, faces[:half], np.array([0, half])))
    assert missing > 300.0, "lost surface is only seen from the source"
    extra = np.concatenate([positions, [[0, 0, 900], [100, 0, 900], [0, 300, 900]]]).astype(float)
    more = np.concatenate([faces, [[289, 290, 291]]]).astype(np.int32)
    (added, _), _, _ = measure((positions, faces, first), (extra, more, np.append(first[:-1], len(more))))
    assert added > 700.0, "added surface is only seen from the product"


def test_a_lost_part_and_an_empty_product_are_errors():
    positions, faces, first = bumpy(8, 10.0)
    far = positions + np.array([0.0, 0.0, 5000.0])
    both = np.concatenate([positions, far]), np.concatenate([faces, faces + len(positions)]), np.arange(0, 257, 64)
    (geometric, _), _, out = measure(both, (positions, faces, first))
    assert geometric > 4500.0
    kept = out[0][out[3].nonzero()[0]].reshape(-1, 3)
    assert (kept[:, 2] > 4000.0).any(), "its samples live on"
    nothing = np.zeros((0, 3), dtype=np.int32)
    (geometric, _), _, _ = measure((positions, faces, first), (positions, nothing, np.array([0])))
    assert geometric > 500.0


def test_large_clusters_have_more_samples():
    positions, faces, first = bumpy(16, 0.0)
    positions[:, 0] = np.where(positions[:, 0] > 512, 512 + 9 * (positions[:, 0] - 512), positions[:, 0])
    tree = build_source_tree(positions.astype(np.int32), np.arange(len(positions), dtype=np.int32), faces, first)
    _, _, weight, count = make_samples(tree, up_normals(len(positions)), faces, 10)
    assert count.tolist() == [64] * 4 + [230] * 4, "1024 together, none with less than half of the mean"
    assert (weight[:, 230:] == 0.0).all()


def test_few_clusters_carry_many_samples():
    carried = [samples_above(32, clusters) for clusters in (10000, 65, 64, 40, 1)]
    assert carried == [32, 32, 32, 52, 64], "the same while a level has 2048 together, then twice as many at most"
    assert samples_above(300, 1) == 600
    assert samples_above(3000, 1) == 3000, "never fewer"
    positions, faces, first = bumpy(16, 0.0)
    for clusters, expected in ((first, 128), (np.array([0, len(faces)]), 128)):
        tree = build_source_tree(positions.astype(np.int32), np.arange(len(positions), dtype=np.int32), faces, clusters)
        assert (make_samples(tree, up_normals(len(positions)), faces, 8)[3] == expected).all()


def test_samples_handed_on_stand_for_the_whole_area():
    positions, faces, first = bumpy(16, 40.0)
    joined = np.array([0, 3 * 64, len(faces)])
    (_, _), _, out = measure((positions, faces, first), (positions, faces, joined))
    assert out[3].tolist() == [32, 32]
    a, b, c = positions[faces].transpose(1, 0, 2)
    twice = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    shares = np.add.reduceat(twice, joined[:-1])
    assert np.allclose(out[2].sum(axis=1), shares, rtol=0.06)
    assert np.allclose(out[2], out[2].mean(axis=1, keepdims=True), rtol=1e-5), "each for an equal share"


def test_a_small_part_that_vanishes_counts():
    positions, faces, first = bumpy(16, 0.0)
    speck = np.array([[0.0, 0, 300], [30, 0, 300], [0, 40, 300], [0, 0, 300]])
    both = np.concatenate([positions, speck])
    more = np.concatenate([faces, np.array([[289, 290, 291], [289, 291, 292]], np.int32)]).astype(np.int32)
    identity = np.arange(len(both), dtype=np.int32)
    points, size = vanished_parts(both, identity, more, identity, faces)
    assert len(points) == 4
    assert size == pytest.approx(50.0)
    assert len(vanished_parts(both, identity, more, identity, more)[0]) == 0
    some = vanished_parts(both, identity, more, identity, more[-1:])[0]
    assert len(some) == 289, "what is left of the speck keeps it"
    source = both, more, np.append(first[:-1], len(more))
    products = both, faces, first
    (unseen, _), _, _ = measure(source, products)
    assert unseen < 1.0, "its area is too small for the percentile"
    (seen, _), _, _ = measure(source, products, vanished=(points, size))
    assert seen == pytest.approx(50.0), "as far as its own size"
    (seen, _), _, _ = measure(source, products, vanished=(points, size + 1000.0))
    assert seen == pytest.approx(300.0), "as far as what is left"


def test_attribute_error_is_a_length():
    positions, faces, first = bumpy(16, 0.0)
    source_values = up_normals(len(positions), 5)
    source_values[:, 3] = positions[:, 0] / 1024.0
    values = source_values.copy()
    values[:, 3] += 0.01
    (geometric, attribute), _, _ = measure(
        (positions, faces, first), (positions, faces, first), (0, 0, 0, 1024.0, 1024.0), values, source_values
    )
    assert geometric < 1e-6
    assert attribute == pytest.approx(10.24, rel=0.01)
    tilted = source_values.copy()
    tilted[:, :3] = [0.0, 0.6, 0.8]
    (_, attribute), _, _ = measure(
        (positions, faces, first), (positions, faces, first), (10.0, 10.0, 10.0, 0, 0), tilted, source_values
    )
    edge = 64.0 * np.sqrt(2.0)  # of a triangle of the grid: what shows the turned normal
    assert attribute == pytest.approx(10.0 * np.hypot(0.6, 0.2) * edge, rel=0.01)
    values[:, 3] += 100.0
    (_, attribute), _, _ = measure(
        (positions, faces, first), (positions, faces, first), (0, 0, 0, 1024.0, 1024.0), values, source_values
    )
    assert attribute == pytest.approx(edge, rel=0.01), "a wrong texel is no larger than its triangle"


def test_seams_are_no_attribute_error():
    positions, faces, first = bumpy(16, 0.0)
    right = positions[faces].mean(axis=1)[:, 0] > 512
    split = np.where(right[:, None], faces + len(positions), faces).astype(np.int32)
    twice = np.concatenate([positions, positions])
    values = up_normals(len(twice), 5)
    values[:, 3] = twice[:, 0] / 1024.0
    values[len(positions) :, 3] += 3.0
    moved = twice.copy()
    moved[moved[:, 0] == 512, 0] += 6.0
    values_moved = values.copy()
    values_moved[:, 3] += (moved[:, 0] - twice[:, 0]) / 1024.0
    (_, attribute), _, _ = measure(
        (twice, split, first), (moved, split, first), (0, 0, 0, 1024, 1024), values_moved, values
    )
    assert attribute < 20.0
