"""From which size on clusters are for the hardware raster: what is measured and chosen, and that `auto` obeys."""

import numpy as np
import pytest

from engine import asset_pages
from engine.calibrate_raster import SETTINGS, RasterCandidate, calibrate_rasters, choose_hardware_pixels
from engine.calibration_grid import QUADS, grid_asset, grid_scene
from engine.renderer import Renderer
from engine.settings import FrameSettings
from engine.thresholds import NO_HARDWARE_PIXELS, Thresholds


def test_the_grid_is_a_full_cluster():
    geometry = asset_pages.decode_cluster(grid_asset().words, 0, 1.0, 1.0)
    corners = geometry.positions[geometry.triangles]
    areas = 0.5 * np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert len(corners) == 2 * QUADS**2 == 128
    assert (areas == (0, 0, 128)).all()
    assert (geometry.normals == (0, 0, 1)).all()


def test_the_scene_fills_its_image_with_clusters_of_one_size(renderer):
    scene, camera = grid_scene(32, 64, 3)
    for pixels, is_hardware in ((31.0, True), (33.0, False)):
        settings = FrameSettings(hardware_pixels=pixels, occlusion=False)
        frame = renderer.render(scene, camera, settings, (64, 64), aovs=("instance",))
        assert frame.statistics.clusters["hardware"] == (12 if is_hardware else 0)
        assert sum(frame.statistics.clusters.values()) == 12
        assert set(np.unique(frame.aovs["instance"])) - {0xFFFFFFFF} == {8, 9, 10, 11}, "the nearest layer"
        assert (frame.aovs["instance"] != 0xFFFFFFFF).mean() > 0.95


@pytest.mark.parametrize("raster", SETTINGS)
def test_every_frame_that_is_measured_draws_all_layers(device, raster):
    scene, camera = grid_scene(32, 64, 3)
    one = Renderer(device)
    for _ in range(3):
        statistics = one.render(scene, camera, SETTINGS[raster], (64, 64)).statistics
        assert sum(statistics.clusters.values()) == 12
        assert (statistics.clusters["hardware"] == 12) == (raster == "hardware")


def candidate(pixels: int, software: float, hardware: float, failure: str = "") -> RasterCandidate:
    return RasterCandidate(pixels, {"software": [9.0, software], "hardware": [hardware, 9.0]}, failure)


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([candidate(32, 1, 2), candidate(64, 2, 1), candidate(128, 3, 1)], 64),
        ([candidate(32, 2, 1), candidate(64, 2, 1)], 32),
        ([candidate(32, 2, 1), candidate(64, 1, 2), candidate(128, 3, 1)], 128),
        ([candidate(32, 2, 1), candidate(64, 1, 2)], NO_HARDWARE_PIXELS),
        ([candidate(64, 1.05, 1.0)], NO_HARDWARE_PIXELS),
        ([candidate(64, 3, 1), candidate(128, 3, 1, "drew other samples")], NO_HARDWARE_PIXELS),
    ],
)
def test_the_smallest_size_from_which_hardware_is_faster(candidates, expected):
    assert choose_hardware_pixels(candidates) == expected


def test_both_rasters_are_measured_and_draw_alike(device):
    done = []
    measured = calibrate_rasters(device, sizes=(32, 64), frames=2, progress=lambda *step: done.append(step[1:]))
    assert [one.cluster_pixels for one in measured] == [32, 64]
    for one in measured:
        assert one.failure == ""
        assert all(len(times) == 2 and min(times) > 0 for times in one.frames_ms.values())
    assert done == [(1, 2), (2, 2)]


def test_auto_takes_the_size_of_the_adapter_and_a_setting_goes_before_it(device, monkeypatch):
    monkeypatch.setitem(device.caches, "thresholds", Thresholds("levels", 1, "calibrated", "", 40.0))
    scene, camera = grid_scene(48, 96, 1)
    for settings, expected in (
        (FrameSettings(), 4),
        (FrameSettings(hardware_pixels=50.0), 0),
        (FrameSettings(raster="software"), 0),
        (FrameSettings(raster="hardware", hardware_pixels=50.0), 4),
    ):
        statistics = Renderer(device).render(scene, camera, settings, (96, 96)).statistics
        assert statistics.clusters["hardware"] == expected
