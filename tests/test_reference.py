import dataclasses
import math

import numpy as np
import pytest

from engine import layout, reference
from engine.camera import Camera, orbit, view_record
from engine.reference import tables_of, visible_set
from engine.scene import load_scene
from engine.screen_boxes import screen_boxes
from engine.settings import FrameSettings
from engine.ties import TIE_ULPS, explain_difference
from tests.brute_force import brute_force_visible_set

SIZE = (320, 180)


def transform(rng: np.random.Generator, kind: str) -> np.ndarray:
    """Return a 4x4 matrix: a rotation, a non-uniform scale, or one that mirrors, and a translation."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    matrix[:3, :3] *= np.linalg.det(matrix[:3, :3])
    if kind != "rotated":
        matrix[:3, :3] = matrix[:3, :3] @ np.diag(rng.uniform(0.3, 3.0, 3))
    if kind == "mirrored":
        matrix[:3, 0] *= -1.0
    matrix[:3, 3] = rng.uniform(-6.0, 6.0, 3)
    return matrix


@pytest.fixture(scope="module")
def scene(sample_asset):
    """A sphere of 20,000 triangles, placed nine times."""
    loaded = load_scene(sample_asset("sphere", 20000))
    rng = np.random.default_rng(3)
    loaded.add_instances(0, np.stack([transform(rng, kind) for kind in ("rotated", "scaled", "mirrored") * 3]))
    loaded.remove_instances([4])
    return loaded


@pytest.fixture(scope="module")
def data(scene):
    return tables_of(scene)


def random_view(data, seed: int, tau: float | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    slot = rng.choice(np.flatnonzero(data.instances["mesh"] != layout.NONE))
    target = data.instances["translation_high"][slot] + rng.normal(size=3) * 0.2
    eye = target + rng.normal(size=3) * 10.0 ** rng.uniform(-1, 1.5)
    height = float(10 ** rng.uniform(-1, 1)) if rng.random() < 0.3 else None
    camera = Camera(tuple(eye), tuple(target), (0.1, 1, 0), rng.uniform(10, 100), orthographic_height=height)
    tau = float(rng.choice([0.0, 0.2, 1.0, 3.0, 20.0])) if tau is None else tau
    settings = FrameSettings(error_pixels=tau, attribute_weight=float(rng.choice([0.0, 0.3, 1.0])))
    return view_record(camera, (int(rng.integers(1, 700)), int(rng.integers(1, 500))), settings)


def test_projected_error_is_the_formula():
    instance = np.zeros(1, layout.INSTANCE)
    instance["linear_x"][0], instance["linear_y"][0], instance["linear_z"][0] = (2, 0, 0), (0, 3, 0), (0, 0, -1)
    instance["max_scale"], instance["translation_high"], instance["translation_low"] = 3.0, (7, 0, 0), (0.25, 0, 0)
    view = view_record(Camera((1, 2, 30), (1, 2, 0), near=0.5), SIZE, FrameSettings())
    center = np.array([[0.5, 1.0, 2.0]])
    distance = math.dist((8.25, 3.0, -2.0), (1, 2, 30))
    lod_scale = 90 / math.tan(math.radians(22.5))
    args = center, np.array([1.5]), np.array([0.01]), instance, view
    near = reference.projected_error_pixels(*args)
    assert near[0] == pytest.approx(0.03 * lod_scale / (distance - 4.5), rel=1e-6)
    far = reference.projected_error_pixels(*args, farthest=True)
    assert far[0] == pytest.approx(0.03 * lod_scale / (distance + 4.5), rel=1e-6)
    inside = reference.projected_error_pixels(center, np.array([50.0]), *args[2:])
    assert inside[0] == pytest.approx(0.03 * lod_scale / 0.5, rel=1e-6)
    flat = view_record(Camera((1, 2, 30), (1, 2, 0), orthographic_height=6.0), SIZE, FrameSettings())
    assert reference.projected_error_pixels(*args[:4], flat)[0] == pytest.approx(0.03 * 30.0)


def test_the_eye_is_subtracted_before_anything_is_lost():
    instance = np.zeros(1, layout.INSTANCE)
    instance["translation_high"], instance["translation_low"] = (2.0**24, 0, 0), (0.125, 0, 0)
    view = view_record(Camera((2.0**24 + 0.5, 0, 0), (0, 0, 0)), SIZE, FrameSettings())
    assert reference.eye_relative(np.zeros((1, 3)), instance, view).tolist() == [[-0.375, 0.0, 0.0]]


def test_combined_error_takes_the_larger_weighted_one():
    view = view_record(Camera((0, 0, 5), (0, 0, 0)), SIZE, FrameSettings(attribute_weight=0.5))
    groups = np.zeros(2, layout.GROUP)
    groups["geometric_error"], groups["attribute_error"] = (1.0, 1.0), (1.0, 4.0)
    assert reference.combined_error(groups, view).tolist() == [1.0, 2.0]


def test_no_box_with_a_visible_point_is_culled():
    rng = np.random.default_rng(5)
    camera = Camera((1, 2, 3), (0, 0, 0), fov_degrees=60, near=0.2)
    instances = np.zeros(400, layout.INSTANCE)
    for name in ("linear_x", "linear_y", "linear_z"):
        instances[name] = rng.normal(size=(400, 3))
    instances["translation_high"] = rng.normal(size=(400, 3)) * 4
    low = rng.normal(size=(400, 3)).astype(np.float32)
    high = (low + rng.uniform(0, 2, (400, 3))).astype(np.float32)
    corners = low[:, None] + rng.random((400, 200, 3)) * (high - low)[:, None]
    linear = np.stack([instances[n] for n in ("linear_x", "linear_y", "linear_z")], axis=2).astype(float)
    for height in (None, 3.0):
        view = view_record(dataclasses.replace(camera, orthographic_height=height), SIZE, FrameSettings())
        kept = reference.in_frustum(low, high, instances, view)
        points = np.einsum("kij,kcj->kci", linear, corners) + instances["translation_high"][:, None]
        values = (points - camera.eye) @ view["planes"][:, :3].T + view["planes"][:, 3]
        seen = (values > 1e-4).all(axis=2).any(axis=1)
        assert not (seen & ~kept).any()
        assert 0 < seen.sum() <= kept.sum() < 400


@pytest.mark.parametrize("seed", range(25))
def test_the_hierarchy_finds_what_testing_everything_finds(data, seed):
    view = random_view(data, seed)
    found, expected = visible_set(data, view), brute_force_visible_set(data, view)
    assert np.array_equal(found.pairs, expected.pairs)


def test_the_views_above_are_worth_something(data):
    counts = [visible_set(data, random_view(data, seed)).counts.as_dict() for seed in range(25)]
    for name in counts[0]:
        # Nothing hides anything without depth pyramids, and these views come too near for an instance to be too small.
        unseen = name.endswith("occlusion") or name in ("instances_size", "nodes_size")
        assert any(count[name] for count in counts) != unseen, name
    assert sum(count["clusters_tested"] for count in counts) < 0.8 * 25 * 9 * len(data.clusters)


def test_counts_add_up(data):
    for seed in range(10):
        found = visible_set(data, random_view(data, seed))
        counts = found.counts.as_dict()
        for stage in ("nodes", "clusters"):
            parts = [counts[f"{stage}_{part}"] for part in ("kept", "detail", "frustum", "size", "occlusion")]
            assert sum(parts) == counts[f"{stage}_tested"]
        assert counts["instances_tested"] == 9
        assert counts["clusters_kept"] == len(found.pairs)
        triangles = (data.clusters["counts"][found.pairs[:, 1]] >> 8) & 255
        assert counts["triangles_kept"] == triangles.sum()
        assert np.array_equal(found.pairs, np.unique(found.pairs, axis=0))
        assert 4 not in found.pairs[:, 0]


def test_tau_zero_draws_exactly_the_source_clusters_in_view(scene, data):
    low, high = scene.bounds()
    camera = orbit((low, high), 1)[0]
    found = visible_set(data, view_record(camera, SIZE, FrameSettings(error_pixels=0.0)))
    source = np.flatnonzero(data.cluster_made_by < 0)
    expected = [(slot, cluster) for slot in scene.live_slots.tolist() for cluster in source.tolist()]
    assert found.pairs.tolist() == [list(pair) for pair in expected]
    roots = visible_set(data, view_record(camera, SIZE, FrameSettings(error_pixels=1e6)))
    assert roots.counts.clusters_kept < 0.1 * len(expected)
    errors = data.groups["geometric_error"][data.cluster_group[roots.pairs[:, 1]]]
    assert (errors == np.float32(layout.CONSTANTS["ROOT_ERROR"])).all()


def test_larger_tau_draws_fewer_triangles(scene, data):
    camera = orbit(scene.bounds(), 1)[0]
    taus = (0.0, 0.1, 0.5, 2.0, 10.0)
    counts = [
        visible_set(data, view_record(camera, SIZE, FrameSettings(error_pixels=tau))).counts.triangles_kept
        for tau in taus
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < 0.2 * counts[0]


def test_chunks_do_not_change_the_answer(data, monkeypatch):
    view = random_view(data, 1, tau=0.5)
    whole = visible_set(data, view)
    monkeypatch.setattr(reference, "CHUNK", 3)
    parts = visible_set(data, view)
    assert np.array_equal(whole.pairs, parts.pairs)
    assert whole.counts == parts.counts


def float32_visible_set(data, view: np.ndarray) -> np.ndarray:
    """Return the pairs that decisions in float32 draw: an honest implementation, only less exact."""
    shrunk = data.clusters.copy()
    found = []
    tau = np.float32(view["error_pixels"])
    columns = [data.instances[name] for name in ("linear_x", "linear_y", "linear_z")]

    def pixels(slot, groups):
        center = (data.instances["translation_high"][slot] - view["eye_high"]) + (
            data.instances["translation_low"][slot] - view["eye_low"]
        )
        for axis, column in enumerate(columns):
            center = center + column[slot] * groups["center"][:, axis, None]
        scale = data.instances["max_scale"][slot]
        error = np.maximum(groups["geometric_error"], view["attribute_weight"] * groups["attribute_error"])
        distance = np.sqrt((center * center).sum(axis=1, dtype=np.float32)) - groups["radius"] * scale
        if view["flags"]:
            return error * scale * view["lod_scale"]
        return error * scale * view["lod_scale"] / np.maximum(view["near"], distance)

    for slot in np.flatnonzero(data.instances["mesh"] != layout.NONE).tolist():
        clusters = np.arange(len(shrunk))
        with np.errstate(over="ignore"):
            errors = pixels(slot, data.groups)
        made_by = data.cluster_made_by
        drawn = (errors[data.cluster_group] > tau) & ((made_by < 0) | (errors[np.maximum(made_by, 0)] <= tau))
        box = reference.cluster_boxes(data, clusters)
        records = np.repeat(data.instances[slot : slot + 1], len(clusters))
        drawn &= reference.in_frustum(*box, records, view)
        drawn &= ~screen_boxes(*box, records, view).cover_no_pixel(view["size"])
        found.append(np.stack([np.full(drawn.sum(), slot), clusters[drawn]], axis=1))
    return np.concatenate(found)


def test_float32_differs_by_ties_only(data):
    """Tau is put exactly on the projected error of a group, so that there are ties."""
    differing = 0
    for seed in range(60):
        view = random_view(data, seed, tau=1.0)
        groups = data.groups[data.groups["geometric_error"] < 1e29]
        slot = np.flatnonzero(data.instances["mesh"] != layout.NONE)[seed % 9]
        instances = np.repeat(data.instances[slot : slot + 1], len(groups))
        view["error_pixels"] = reference.group_error_pixels(groups, instances, view)[seed % len(groups)]
        difference = explain_difference(data, view, visible_set(data, view).pairs, float32_visible_set(data, view))
        differing += len(difference.missing) + len(difference.extra)
        assert len(difference.mistakes) == 0
    assert differing > 0


def mutated(data, name: str):
    """Return (tables, view change) of a wrong implementation."""
    if name == "scale dropped":
        instances = data.instances.copy()
        instances["max_scale"] = 1.0
        return dataclasses.replace(data, instances=instances), None
    if name == "sphere shrunk":
        groups = data.groups.copy()
        groups["radius"] *= np.float32(0.9)
        return dataclasses.replace(data, groups=groups), None
    if name == "plane flipped":
        return data, lambda view: view["planes"].__setitem__((0, slice(3)), -view["planes"][0, :3])
    if name == "translation low dropped":
        return data, lambda view: view.__setitem__("eye_low", 0.0)
    if name == "node box shrunk":
        nodes = data.nodes.copy()
        nodes["box_max"] -= 0.5 * (nodes["box_max"] - nodes["box_min"])
        return dataclasses.replace(data, nodes=nodes), None
    nodes = data.nodes.copy()
    assert name == "node error lowered"
    nodes["geometric_error"][nodes["child_count"] > 0] *= 0.01
    nodes["attribute_error"][nodes["child_count"] > 0] *= 0.01
    return dataclasses.replace(data, nodes=nodes), None


@pytest.mark.parametrize(
    "name", ["scale dropped", "sphere shrunk", "plane flipped", "node box shrunk", "node error lowered"]
)
def test_mistakes_are_not_taken_for_ties(data, name):
    wrong, change = mutated(data, name)
    mistakes = 0
    for seed in range(12):
        view = random_view(data, seed)
        other = view.copy()
        if change:
            change(other)
        difference = explain_difference(data, view, visible_set(data, view).pairs, visible_set(wrong, other).pairs)
        mistakes += len(difference.mistakes)
    assert mistakes > 0


def test_equal_sets_differ_in_nothing_and_margins_are_huge_for_clear_pairs(data):
    view = random_view(data, 2, tau=1.0)
    pairs = visible_set(data, view).pairs
    same = explain_difference(data, view, pairs, pairs[::-1])
    assert len(same.missing) == len(same.extra) == 0
    less = explain_difference(data, view, pairs, pairs[1:])
    assert less.missing.tolist() == [pairs[0].tolist()]
    assert less.missing_ulps[0] > TIE_ULPS
