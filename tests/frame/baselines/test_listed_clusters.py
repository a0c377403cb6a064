"""Baseline triangles_software: every source cluster of every instance is listed, and drawn as the engine draws it."""

import numpy as np
import pytest

from engine import layout, reference
from engine.frame.baselines import triangles_software
from engine.frame.baselines.listed_clusters import HARDWARE, MASKED, SMALL, SOFTWARE, Listed
from engine.frame.queues import BINS
from engine.gpu.buffers import CapacityError
from engine.settings import FrameSettings
from tests.frame.baselines.crowds import CAMERAS, SIZE, baseline, draw, row, source_pairs
from tests.frame.test_rasterize_masked import CAMERAS as FLOOR_CAMERAS
from tests.frame.test_rasterize_masked import floor, masked
from tests.frame.triangle_scene import triangle_scene


@pytest.fixture(scope="module")
def software(device):
    return baseline(device, "triangles_software")


def test_pixels_are_those_of_the_engine_at_tau_0(renderer, software, sample_asset):
    scene = row(sample_asset("sphere"))
    tables = reference.tables_of(scene)
    for camera in CAMERAS:
        depth, names, statistics = draw(software, scene, camera, error_pixels=3.0)
        expected_depth, expected_names, _ = draw(renderer, scene, camera, error_pixels=0.0, raster="software")
        np.testing.assert_array_equal(depth.view(np.uint32), expected_depth.view(np.uint32))
        assert np.count_nonzero((names != expected_names).any(axis=0)) <= 2e-3 * depth.size, "ties of equal depth"
        pairs = source_pairs(scene, tables)
        np.testing.assert_array_equal(software.read_visible_clusters(), pairs)
        triangles = tables.clusters["counts"][pairs[:, 1]] >> np.uint32(8) & np.uint32(255)
        assert sum(statistics.triangles.values()) == triangles.sum()
        assert sum(statistics.clusters.values()) == statistics.passes["main"]["clusters"].kept == len(pairs)
        assert (statistics.error_pixels, statistics.traversal) == (0.0, "none")
        labels = [label for label in statistics.passes_ms if label.startswith("main/")]
        assert labels == ["main/rasterize_software", "main/rasterize_small", "main/rasterize_large"]


def test_masked_clusters_are_drawn_with_their_alpha_test(tmp_path, renderer, software):
    positions, faces, colors = floor(40, 1.5)
    scene = triangle_scene(tmp_path, positions, faces, extra=colors, materials=masked(alpha_cutoff=0.5))
    camera = FLOOR_CAMERAS["tilted"]
    depth, *_, statistics = draw(software, scene, camera)
    expected, *_ = draw(renderer, scene, camera, error_pixels=0.0)
    assert statistics.clusters["masked"] > 0
    assert 0 < np.count_nonzero(depth) < depth.size
    np.testing.assert_array_equal(depth.view(np.uint32), expected.view(np.uint32))


def test_instances_may_move_come_and_go(device, renderer, sample_asset):
    scene, software = row(sample_asset("sphere")), baseline(device, "triangles_software")
    draw(software, scene, CAMERAS[0])
    moved = np.eye(4)[None, :3] + 0.4
    for change in (
        lambda: scene.set_transforms(np.array([1]), moved),
        lambda: scene.remove_instances(np.array([0, 3])),
        lambda: scene.add_asset(0, moved * 0.5),
    ):
        change()
        depth, *_ = draw(software, scene, CAMERAS[0])
        expected, *_ = draw(renderer, scene, CAMERAS[0], error_pixels=0.0)
        np.testing.assert_array_equal(depth.view(np.uint32), expected.view(np.uint32))
        np.testing.assert_array_equal(software.read_visible_clusters(), source_pairs(scene, reference.tables_of(scene)))


def test_small_queues_grow(device, software, sample_asset):
    scene, small = row(sample_asset("sphere")), baseline(device, "triangles_software")
    settings = {"visible_clusters": 8, "large_triangles": 4}
    depth, _, statistics = draw(small, scene, CAMERAS[2], **settings)
    expected, *_ = draw(software, scene, CAMERAS[2])
    assert any("queues grown" in note for note in statistics.notes) and statistics.is_complete
    np.testing.assert_array_equal(depth, expected)


def test_too_many_clusters_are_refused_in_one_line(device, sample_asset, monkeypatch):
    scene = row(sample_asset("sphere"))
    monkeypatch.setattr(triangles_software, "MAX_VISIBLE_CLUSTERS", 100)
    expected = (
        "^baseline triangles_software: the scene has 228 source clusters, this adapter lists 100; use fewer instances$"
    )
    with pytest.raises(CapacityError, match=expected):
        baseline(device, "triangles_software").render(scene, CAMERAS[0], FrameSettings(), SIZE)


def test_dispatches_are_folded_where_one_dimension_is_too_small():
    counts = {SOFTWARE: 70_000, SMALL: 4 * 32_768 + 1, MASKED: 3}
    bins = np.repeat(list(counts), list(counts.values()))
    listed = Listed(np.zeros(len(bins), layout.VISIBLE_CLUSTER), bins, np.full(len(bins), 7), *np.zeros((2, 0), int))
    main, post = listed.arguments().reshape(2, BINS)
    assert [tuple(main[number])[:5] for number in (SOFTWARE, SMALL, MASKED)] == [
        (32_768, 3, 1, 0, 70_000),
        (32_768, 2, 1, 0, 131_073),
        (3, 1, 1, 0, 3),
    ]
    assert (main["y"][HARDWARE], post["y"].max(), post["count"].max()) == (0, 0, 0)
    states = listed.state()
    assert states["visible_clusters"].tolist() == [len(bins), 0]
    assert states["bin_triangles"][0].tolist() == [7 * counts.get(number, 0) for number in range(BINS)]
    np.testing.assert_array_equal(listed.entries(MASKED)["place"], np.arange(len(bins) - 3, len(bins)))
