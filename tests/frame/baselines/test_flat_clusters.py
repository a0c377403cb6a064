"""Baseline clusters_frustum: the tests of all clusters one by one find what the walk through the hierarchy finds."""

import numpy as np
import pytest

from engine import reference
from engine.camera import view_record
from engine.frame.baselines import flat_cull
from engine.gpu.buffers import CapacityError
from engine.settings import FrameSettings
from engine.ties import explain_difference
from tests.brute_force import brute_force_visible_set
from tests.frame.baselines.crowds import CAMERAS, SIZE, baseline, draw, row
from tests.frame.test_traversal import crowd, random_camera


@pytest.fixture(scope="module")
def flat(device):
    return baseline(device, "clusters_frustum")


def test_the_drawn_set_is_that_of_brute_force(flat, sample_asset):
    scene = crowd(sample_asset("terrain", 20000), 12, seed=3)
    tables, generator = reference.tables_of(scene), np.random.default_rng(5)
    sizes, culled, differing = [], [], 0
    for i in range(10):
        camera = random_camera(generator, scene.bounds(), orthographic=i % 4 == 3)
        settings = FrameSettings(error_pixels=[1.0, 0.25, 4.0, 0.0][i % 4])
        statistics = flat.render(scene, camera, settings, SIZE).statistics
        view = view_record(camera, SIZE, settings, bounds=scene.bounds())
        expected = brute_force_visible_set(tables, view)
        found = explain_difference(tables, view, expected.pairs, flat.read_visible_clusters())
        assert not len(found.mistakes)
        differing += len(found.missing) + len(found.extra)
        sizes.append(len(expected.pairs))
        instances, clusters = (statistics.passes["main"][kind] for kind in ("instances", "clusters"))
        kept = reference.visible_set(tables, view).counts.instances_kept
        assert (instances.tested, instances.kept) == (12, kept), "first whole instances, as the engine tests them"
        assert clusters.tested == kept * len(tables.clusters)
        culled.append(12 - kept)
        if not differing:
            assert clusters.kept == expected.counts.clusters_kept
    assert differing <= 2, "ties are rare"
    assert 0 < np.count_nonzero(culled) < 10
    assert np.count_nonzero(sizes) > 6 and max(sizes) > 200


@pytest.mark.parametrize("error_pixels", [0.0, 1.0])
def test_pixels_are_those_of_the_engine(renderer, flat, sample_asset, error_pixels):
    scene = row(sample_asset("sphere"))
    for camera in CAMERAS:
        settings = {"error_pixels": error_pixels, "occlusion": False}
        depth, names, _ = draw(flat, scene, camera, **settings)
        expected_depth, expected_names, _ = draw(renderer, scene, camera, **settings)
        assert (depth > 0).any()
        np.testing.assert_array_equal(depth.view(np.uint32), expected_depth.view(np.uint32))
        assert np.count_nonzero((names != expected_names).any(axis=0)) <= 2e-3 * depth.size, "ties of equal depth"
        np.testing.assert_array_equal(flat.read_visible_clusters(), renderer.read_visible_clusters())


def test_small_queues_grow(device, sample_asset):
    scene, plenty = row(sample_asset("sphere")), baseline(device, "clusters_frustum")
    plenty.render(scene, CAMERAS[0], FrameSettings(error_pixels=0.1), SIZE)
    small = baseline(device, "clusters_frustum")
    settings = FrameSettings(error_pixels=0.1, candidate_groups=4, visible_clusters=4)
    statistics = small.render(scene, CAMERAS[0], settings, SIZE).statistics
    assert any("queues grown" in note for note in statistics.notes) and statistics.is_complete
    np.testing.assert_array_equal(small.read_visible_clusters(), plenty.read_visible_clusters())


def test_too_many_clusters_are_refused_in_one_line(device, sample_asset, monkeypatch):
    scene = row(sample_asset("sphere"))
    monkeypatch.setattr(flat_cull, "piece_limit", lambda context: 9)
    expected = (
        r"^baseline clusters_frustum: 6 instances have \d+ clusters, this adapter can list 576; use fewer instances$"
    )
    with pytest.raises(CapacityError, match=expected):
        baseline(device, "clusters_frustum").render(scene, CAMERAS[0], FrameSettings(), SIZE)
