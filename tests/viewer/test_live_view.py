"""A LiveView on an offscreen canvas: what is drawn when, and what an error leaves."""

import contextlib
import time

import numpy as np
import pytest
import wgpu
from rendercanvas.offscreen import RenderCanvas

from engine.camera import Camera
from engine.gpu.device import check_alive, is_device_lost, open_device
from engine.gpu.shader import ShaderError
from engine.renderer import Renderer
from engine.scene import load_scene
from engine.settings import FrameSettings
from engine.viewer.live_view import Held, LiveView
from tests.frame.test_occlusion import street

SIZE = (96, 60)


class Canvas:
    """An offscreen canvas with a LiveView of its own, drawn when asked."""

    def __init__(self, device, scene=None):
        self.canvas = RenderCanvas(size=SIZE, update_mode="manual")
        self.view = LiveView(self.canvas, device)
        self.view.scene = scene
        if scene:
            self.view.camera = scene.default_camera()
        self.arrived, self.errors = [], []

    def draw(self, is_moving: bool = False) -> np.ndarray:
        """Return what the canvas shows after one draw, (height, width, 4) uint8."""

        def once():
            try:
                self.arrived += self.view.draw(is_moving)
            except Exception as error:
                self.errors.append(error)

        self.canvas.request_draw(once)
        return np.asarray(self.canvas.draw())

    def settle(self) -> np.ndarray:
        """Draw until nothing is on its way, and return what is shown then."""
        end = time.monotonic() + 20.0
        image = self.draw()
        while self.view.is_pending and not self.errors:
            assert time.monotonic() < end, "no frame comes back"
            time.sleep(0.005)
            image = self.draw()
        return image


@pytest.fixture
def live(device, sample_asset):
    return Canvas(device, load_scene(sample_asset("sphere", 5000)))


def test_an_empty_canvas_shows_the_background(device):
    live = Canvas(device)
    live.view.settings = FrameSettings(background=(1.0, 0.0, 0.0))
    image = live.draw()
    assert (image[..., :3] == (255, 0, 0)).all()
    assert not live.errors


def test_at_rest_it_shows_the_image_of_a_renderer_and_sends_one_frame(live, device):
    image = live.settle()
    expected = Renderer(device).render(live.view.scene, live.view.camera, FrameSettings(), SIZE).image
    np.testing.assert_array_equal(image, expected)
    sent = len(live.arrived)
    for _ in range(3):
        live.draw()
    live.settle()
    assert len(live.arrived) == sent == 1, "nothing has changed"
    live.view.camera = Camera((0.0, 0.0, 9.0), (0.0, 0.0, 0.0))
    assert (live.settle() != expected).any()
    assert len(live.arrived) == 2


def test_a_continuous_view_sends_frame_after_frame(live):
    live.view.is_continuous = True
    end = time.monotonic() + 20.0
    while len(live.arrived) < 5:
        assert time.monotonic() < end
        live.draw()
        time.sleep(0.002)
    assert [sent.number for sent, _ in live.arrived[:5]] == [0, 1, 2, 3, 4]


def test_a_moving_view_is_coarser_and_sharpens_at_rest(live):
    live.view.resolution.scale = 0.5
    live.draw(is_moving=True)
    while not live.arrived:
        live.draw(is_moving=True)
    assert live.arrived[0][1].size == (48, 30)
    live.settle()
    assert live.arrived[-1][1].size == SIZE
    assert live.view.image_scale == 1.0


def test_a_held_set_is_seen_from_elsewhere_and_at_every_size(device, sample_asset):
    live = Canvas(device, street(sample_asset("sphere", 5000)))
    narrow = Camera((0.0, 0.0, 6.0), (0.0, 0.0, -6.0), fov_degrees=20.0)
    live.view.camera = narrow
    live.settle()
    live.view.held = Held(narrow, live.view.settings, SIZE)
    live.settle()
    set_then = live.view.renderer.read_visible_clusters()
    live.view.camera = Camera((0.0, 30.0, 0.0), (0.0, 0.0, -6.0))
    held = live.settle()
    live.view.resolution.scale = 0.5
    live.draw(is_moving=True)
    np.testing.assert_array_equal(live.view.renderer.read_visible_clusters(), set_then)
    live.settle()
    np.testing.assert_array_equal(live.view.renderer.read_visible_clusters(), set_then)
    live.view.settings = FrameSettings(queue_items=4, candidate_groups=4, visible_clusters=4)
    np.testing.assert_array_equal(live.settle(), held)
    live.view.held, live.view.settings = None, FrameSettings()
    assert (live.settle() != held).any(), "culling follows the camera again"
    assert not live.errors


def test_queues_that_are_too_small_grow_without_a_wait(device, sample_asset):
    live = Canvas(device, street(sample_asset("sphere", 5000)))
    live.view.settings = FrameSettings(queue_items=4, candidate_groups=4, visible_clusters=4, error_pixels=0.0)
    image = live.settle()
    assert not live.errors
    assert not live.arrived[0][1].is_complete
    assert live.arrived[-1][1].is_complete
    assert any("queues grown" in note for note in live.view.notes)
    settings = FrameSettings(error_pixels=0.0)
    expected = Renderer(device).render(live.view.scene, live.view.camera, settings, SIZE).image
    assert np.abs(image.astype(int) - expected).max() <= 2  # ties between coplanar triangles aside


def test_frames_of_new_sizes_do_not_pile_up_on_a_software_adapter(live, device, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("engine.viewer.live_view.time.monotonic", lambda: now[0])
    monkeypatch.setattr(type(device), "is_software", True)
    live.settle()
    for width in (SIZE[0] + 10, SIZE[0] + 20):
        live.canvas.set_logical_size(width, SIZE[1])
        live.draw()
    assert live.view.drawn_size == SIZE, "the last image is stretched"
    assert live.view.is_pending
    now[0] += 1.0
    live.settle()
    assert live.view.drawn_size == (SIZE[0] + 20, SIZE[1])


def test_a_failure_is_raised_once_and_the_last_image_stays(live, tmp_path):
    good = live.settle()
    live.view.settings = FrameSettings(materials=str(tmp_path / "nowhere"))
    image = live.draw()
    assert len(live.errors) == 1
    assert "nowhere" in str(live.errors[0])
    np.testing.assert_array_equal(image, good)
    live.draw()
    assert len(live.errors) == 1, "what failed is not tried again by itself"
    (tmp_path / "gltf.wgsl").write_text("fn material( {\n")
    live.view.settings = FrameSettings(materials=str(tmp_path))
    np.testing.assert_array_equal(live.draw(), good)
    assert isinstance(live.errors[1], ShaderError)
    live.view.settings = FrameSettings()
    live.errors.clear()
    np.testing.assert_array_equal(live.settle(), good)
    assert not live.errors


def test_a_lost_device_is_told_and_another_one_goes_on(sample_asset):
    first = open_device()
    live = Canvas(first, load_scene(sample_asset("sphere", 5000)))
    good = live.settle()
    check_alive(first)
    first.wgpu_device.destroy()
    with pytest.raises(wgpu.GPUError, match="is lost"):
        live.view.target()  # before the canvas is asked: in a window that ends the process
    live.view.redraw()
    with contextlib.suppress(Exception):  # the canvas itself cannot present
        live.draw()
    assert live.errors
    assert all(is_device_lost(error) for error in live.errors), live.errors
    live.errors.clear()
    live.view.use_device(open_device())
    np.testing.assert_array_equal(live.settle(), good)
    assert not live.errors


@pytest.mark.parametrize("is_held", [False, True])
def test_a_snapshot_has_the_full_size(live, device, is_held):
    live.view.resolution.scale = 0.25
    live.draw(is_moving=True)
    if is_held:
        live.view.held = Held(live.view.camera, live.view.settings, SIZE)
    image = live.view.snapshot()
    expected = Renderer(device).render(live.view.scene, live.view.camera, FrameSettings(), SIZE).image
    np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(live.settle(), expected)


def test_sharpens_also_where_the_rest_begins_after_the_last_draw(live, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("engine.viewer.live_view.time.monotonic", lambda: now[0])
    live.view.resolution.scale = 0.5
    live.draw(is_moving=True)
    while live.view._in_flight:
        live.draw()
    assert live.view.image_scale == 0.5
    now[0] += 10.0
    assert live.view.is_pending
    live.draw()
    assert live.view.image_scale == 1.0
