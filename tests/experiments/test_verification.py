"""The comparisons of --verify see what differs, and tell ties from mistakes."""

import numpy as np
import pytest

from engine import reference
from engine.camera import Camera, view_record
from engine.experiments import verification
from engine.experiments.baseline import BASELINES
from engine.experiments.comparisons import not_compared, pairs_of
from engine.experiments.verification import Comparison, Image
from engine.scene import load_scene
from engine.settings import FrameSettings

SIZE = (160, 90)


def image(depths, identities) -> Image:
    depths = np.asarray(depths, np.uint64) << np.uint64(32)
    return Image(depths | np.uint64(5), np.asarray(identities, np.uint32))


def rounded(depths: np.ndarray, names=0) -> Image:
    """An image of float32 depths and, of all three identities, the same `names`."""
    samples = depths.view(np.uint32).astype(np.uint64) << np.uint64(32)
    return Image(samples, np.broadcast_to(np.asarray(names, np.uint32), (3, *depths.shape)))


def test_equal_images_are_equal():
    one = image([[1, 2], [3, 0]], np.arange(12).reshape(3, 2, 2))
    assert verification.compare_images(one, one, 0.0) == Comparison("pixels", 4, 0, 0)
    listed_elsewhere = Image(one.visibility + np.uint64(64), one.identity)
    assert verification.compare_images(one, listed_elsewhere, 0.0).differences == 0


def test_a_depth_that_differs_is_a_difference():
    identities = np.zeros((3, 2, 3))
    found = verification.compare_images(
        image(np.ones((2, 3)), identities), image([[1, 1, 1], [1, 2, 1]], identities), 1
    )
    assert (found.compared, found.ties, found.differences) == (6, 0, 1)
    assert found.first == "the depths of pixel 1,1 differ"


@pytest.mark.parametrize("kind", range(3))
def test_equal_depths_with_other_identities_are_ties_if_few(kind):
    one, other = np.zeros((2, 3, 10, 10))
    other[kind, 4, 7] = 1
    pair = image(np.ones((10, 10)), one), image(np.ones((10, 10)), other)
    assert verification.compare_images(*pair, 0.01) == Comparison("pixels", 100, 1, 0)
    many = verification.compare_images(*pair, 0.009)
    assert (many.ties, many.differences) == (0, 1)
    assert many.first == "1 pixels of equal depth show other triangles, the first of them 7,4"


def test_sets_are_compared_exactly():
    one = np.array([[0, 5], [0, 7], [3, 1]])
    assert verification.compare_sets(one, one[::-1]) == Comparison("clusters", 3, 0, 0)
    found = verification.compare_sets(one, one[:2].astype(np.uint32))
    assert (found.compared, found.differences) == (3, 1)
    assert found.first == "instance 3, cluster 1 is in one of them only"
    assert verification.compare_sets(one[:0], one[:0]).differences == 0


@pytest.fixture
def decided(sample_asset):
    """Tables, view and visible set of a mesh."""
    scene = load_scene(sample_asset("terrain", 20000))
    tables = reference.tables_of(scene)
    view = view_record(scene.default_camera(), SIZE, FrameSettings())
    return tables, view, reference.visible_set(tables, view).pairs


@pytest.mark.parametrize("too_much", [False, True])
def test_a_cluster_too_few_or_too_much_is_a_mistake(decided, too_much):
    tables, view, pairs = decided
    assert verification.compare_with_reference(tables, view, pairs).differences == 0
    coarse = np.array([[0, len(tables.clusters) - 1]])
    assert not (pairs == coarse).all(axis=1).any()
    drawn = np.concatenate([pairs, coarse]) if too_much else pairs[1:]
    found = verification.compare_with_reference(tables, view, drawn)
    assert (found.compared, found.ties, found.differences) == (len(pairs), 0, 1)
    number = coarse[0, 1] if too_much else pairs[0, 1]
    assert f"cluster {number} is {'too much' if too_much else 'missing'}" in found.first


def test_a_tie_is_counted_apart(decided, monkeypatch):
    tables, view, pairs = decided
    monkeypatch.setattr(reference, "TIE_ULPS", 1e12)
    assert verification.compare_with_reference(tables, view, pairs[1:]).ties == 1
    many = verification.compare_with_reference(tables, view, pairs[2:])
    assert (many.ties, many.differences) == (0, 2)


@pytest.fixture
def far_crowd(sample_asset):
    """Tables and view of 40,000 instances that are half a pixel large in an image of 4096 pixels."""
    scene = load_scene(sample_asset("sphere"))
    transforms = np.zeros((40000, 3, 4))
    transforms[:, [0, 1, 2], [0, 1, 2]] = 0.1
    transforms[:, :2, 3] = np.random.default_rng(5).uniform(-600.0, 600.0, (40000, 2))
    scene.add_asset(0, transforms)
    camera = Camera((0.0, 0.0, 1200.0), (0.0, 0.0, 0.0), fov_degrees=60.0)
    return reference.tables_of(scene), view_record(camera, (4096, 4096), FrameSettings())


@pytest.mark.parametrize(("lean", "are_ties"), [(0.03, True), (1.0, False)])
def test_a_far_crowd_may_have_as_many_clusters_too_small_as_rounding_makes(far_crowd, lean, are_ties):
    tables, view = far_crowd
    pairs = reference.visible_set(tables, view).pairs
    drawn = reference.visible_set(tables, view, lean=lean).pairs  # rectangles a little too large
    extra = len(drawn) - len(pairs)
    assert extra > 3
    found = verification.compare_with_reference(tables, view, drawn)
    assert (found.ties, found.differences) == ((extra, 0) if are_ties else (0, extra))
    fewer = verification.compare_with_reference(tables, view, reference.visible_set(tables, view, lean=-lean).pairs)
    assert fewer.differences > 3, "that a visible one is missing is no such tie"


def test_what_rounds_in_its_own_way_lies_between_its_neighbours():
    depths = np.linspace(0.1, 0.2, 100, dtype=np.float32).reshape(10, 10)
    one = rounded(depths)
    assert verification.compare_rounded_images(one, one, 0.0) == Comparison("pixels", 100, 0, 0)
    moved = depths.copy()
    moved[4, 7] = 0.5 * (depths[4, 7] + depths[5, 8])  # as if sampled beside
    moved[0, 0] *= 1.00005
    assert verification.compare_rounded_images(rounded(moved), one, 0.0).differences == 0
    for wrong in (depths[6, 8], depths[2, 7], 0.0, depths[5, 8] * 1.0002):
        moved[4, 7] = wrong
        found = verification.compare_rounded_images(rounded(moved), one, 0.0)
        assert (found.differences, found.first) == (1, "the depths of pixel 7,4 differ")


def test_an_outline_may_move_by_a_part_of_a_pixel():
    depths = np.full((10, 10), 0.5, np.float32)
    depths[:, 5:] = 0.0
    wider, hole = depths.copy(), depths.copy()
    wider[3, 5], hole[3, 2] = 0.5, 0.0
    assert verification.compare_rounded_images(rounded(wider), rounded(depths), 1.0).differences == 0
    assert verification.compare_rounded_images(rounded(hole), rounded(depths), 1.0).differences == 1
    wider[3, 6] = 0.5
    assert verification.compare_rounded_images(rounded(wider), rounded(depths), 1.0).differences == 1


def test_few_pixels_may_show_the_triangle_beside():
    names = np.zeros((10, 10))
    names[2, 3] = 1
    depths = np.full((10, 10), 0.5, np.float32)
    pair = rounded(depths, names), rounded(depths)
    assert verification.compare_rounded_images(*pair, 0.01) == Comparison("pixels", 100, 1, 0)
    many = verification.compare_rounded_images(*pair, 0.009)
    assert (many.ties, many.differences) == (0, 1)
    assert many.first == "1 pixels show other triangles, the first of them 3,2"


def test_each_pair_differs_in_one_thing():
    pairs = pairs_of(FrameSettings(view="levels", shadow_cascades=3, hardware_pixels=20.0, error_pixels=2.0))
    of_occlusion = ["reference_occlusion", "reference_still", "occlusion"]
    assert [pair.comparison for pair in pairs] == ["reference", *of_occlusion, "traversal", "raster", "raster"]
    for pair in pairs:
        assert pair.one.error_pixels == 2.0
        assert pair.one.view == "shaded"
        assert pair.one.occlusion == (pair.comparison in of_occlusion)
        if pair.other:
            names = [n for n in vars(pair.one) if getattr(pair.one, n) != getattr(pair.other, n)]
            assert names == [pair.comparison]
    assert len(pairs_of(FrameSettings())) == 6


EVERYTHING = {"reference", "reference_occlusion", "reference_still", "occlusion", "traversal", "raster"}
COMPARED = {
    "engine": EVERYTHING,
    "no_occlusion": {"reference", "traversal", "raster"},
    "levels": EVERYTHING,
    "clusters_frustum": {"reference", "baseline"},
    "discrete_lods": {"discrete_levels"},
    "triangles_software": {"baseline"},
    "triangles_hardware": {"baseline"},
}


@pytest.mark.parametrize("baseline", BASELINES)
def test_every_baseline_is_compared_and_what_is_not_is_said(baseline):
    features = {"shader-int64-atomic-all-ops"}
    found = {pair.comparison for pair in pairs_of(FrameSettings(), baseline)}
    assert found == COMPARED[baseline]
    assert set(not_compared(FrameSettings(), baseline, features)) == EVERYTHING - found
    for pair in pairs_of(FrameSettings(error_pixels=3.0), baseline):
        assert pair.one.error_pixels == (0.0 if baseline.startswith("triangles") else 3.0)
        if baseline == "levels" and pair.comparison != "traversal":
            assert pair.one.traversal == "levels"


def test_what_the_run_or_the_adapter_lacks_is_said():
    without = not_compared(FrameSettings(occlusion=False), "engine", {"shader-int64-atomic-all-ops"})
    assert set(without) == {"reference_occlusion", "reference_still", "occlusion"}
    assert set(without.values()) == {"the run draws without occlusion"}
    poor = not_compared(FrameSettings(), "engine", set())
    assert poor == {"traversal": "the adapter lacks shader-int64-atomic-all-ops"}
