"""Large and clipped triangles: divided among workgroups, with all their pixels and few empty tiles."""

import numpy as np
import pytest

from engine.camera import Camera
from engine.frame import context
from engine.renderer import Renderer
from engine.settings import FrameSettings
from tests.frame.test_rasterize_hardware import soup, view_of_soup
from tests.frame.triangle_scene import triangle_scene


def scene_of(folder, triangles: np.ndarray, **fields):
    return triangle_scene(folder, triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3), **fields)


@pytest.mark.parametrize("camera", ["in front", "inside"])
def test_any_division_draws_the_same_samples(tmp_path, device, monkeypatch, camera):
    scene = scene_of(tmp_path, soup(80, 1.5))
    place = view_of_soup() if camera == "in front" else view_of_soup(eye=(0.1, 0.2, 0.3), fov_degrees=100.0)
    drawn, pieces = [], []
    for tiles in (1, 7, 100000):
        monkeypatch.setattr(context, "SOFTWARE_SLICE_TILES", tiles)
        monkeypatch.setattr(context, "GPU_SLICE_TILES", tiles)
        renderer = Renderer(device)
        statistics = renderer.render(scene, place, FrameSettings(), (211, 97)).statistics
        drawn.append(renderer.read_visibility() >> np.uint64(32))
        pieces.append(statistics.queues["large_triangles"].requested)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert pieces[0] > pieces[1] > pieces[2] > 0


def test_what_is_not_seen_is_not_left(tmp_path, renderer):
    triangles = soup(64, 2.0) * [1.0, 1.0, 0.01]
    behind = Camera((0.0, 0.0, -4.0), (0.0, 0.0, -8.0), near=0.05)
    beside = Camera((60.0, 0.0, 9.0), (60.0, 0.0, 0.0), orthographic_height=0.02)  # beyond the guard band
    # a cluster that reaches into the image brings the others along
    for camera in (behind, beside):
        far = np.array([[[-1.0, -1.0, -9.0], [1.0, -1.0, -9.0], [0.0, 1.0, -9.0]]])
        far[..., 0] += camera.eye[0]
        scene = scene_of(tmp_path, np.concatenate([triangles[:63], far]))
        statistics = renderer.render(scene, camera, FrameSettings(), (160, 90)).statistics
        assert sum(statistics.triangles.values()) == 64
        assert statistics.queues["large_triangles"].requested <= 3, "those of one triangle"
