"""Notebooks: a picture where no widget can run, and a live widget in a real kernel that a test front end talks to."""

import base64
import io
import queue
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rendercanvas.offscreen import RenderCanvas

import engine
from engine.camera import Camera
from engine.settings import FrameSettings
from engine.viewer import notebook

ROOT = str(Path(__file__).resolve().parent.parent.parent)
SIZE = (160, 90)
VIEW = "application/vnd.jupyter.widget-view+json"


def image_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def scene(sample_asset):
    return engine.load_scene(sample_asset("sphere"))


@pytest.mark.parametrize("kind", [str, Path, engine.open_asset, engine.load_scene])
def test_shows_a_picture_outside_of_a_kernel(kind, sample_asset, device, renderer, scene, tmp_path):
    camera = Camera((0.0, 0.5, 3.0), (0.0, 0.0, 0.0))
    settings = FrameSettings(view="clusters")
    picture = engine.show(kind(sample_asset("sphere")), camera, settings, SIZE, device=device)
    expected = renderer.render(scene, camera, settings, SIZE).image
    np.testing.assert_array_equal(picture.image, expected)
    assert picture.camera == camera
    np.testing.assert_array_equal(image_of(picture._repr_png_()), expected[..., :3])
    picture.save(tmp_path / "picture.png")
    np.testing.assert_array_equal(image_of((tmp_path / "picture.png").read_bytes()), expected[..., :3])


def test_shows_a_mesh_file(sample_mesh, device):
    picture = engine.show(sample_mesh("sphere"), size=SIZE, device=device)
    assert len(np.unique(picture.image.reshape(-1, 4), axis=0)) > 100


def test_a_kernel_without_the_widget_packages_gets_a_picture(scene, device, monkeypatch):
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "rendercanvas.anywidget", None)
    monkeypatch.setitem(sys.modules, "rendercanvas.jupyter", None)
    notebook._widget_class.cache_clear()
    assert isinstance(engine.show(scene, size=SIZE, device=device), notebook.Picture)
    notebook._widget_class.cache_clear()


@pytest.mark.parametrize(("what", "message"), [(3, "cannot show a int"), ("nothing.glb", "no such file")])
def test_says_what_it_cannot_show(what, message, device):
    with pytest.raises(ValueError, match=message):
        engine.show(what, device=device)


def settled(canvas: RenderCanvas, live: notebook.LiveScene) -> np.ndarray:
    """Draw until nothing changes any more; return what the canvas then shows."""
    deadline = time.monotonic() + 20.0
    image = canvas.draw()
    while live.controls.is_moving or live._awakened().is_pending:
        assert time.monotonic() < deadline
        image = canvas.draw()
    return np.asarray(image)[..., :3].astype(int)


@pytest.fixture
def live(scene, device) -> Iterator[notebook.LiveScene]:
    canvas = RenderCanvas(size=SIZE)
    yield notebook.LiveScene(canvas, scene, scene.default_camera(), FrameSettings(view="clusters"), SIZE, device)
    canvas.close()


def test_rests_at_full_quality(live):
    np.testing.assert_allclose(settled(live.canvas, live), live.render()[..., :3], atol=1)


def test_a_drag_turns_the_picture(live):
    before, target = settled(live.canvas, live), live.camera.target
    for kind, x in (("down", 40), ("move", 60), ("move", 100), ("up", 100)):
        event = {"event_type": f"pointer_{kind}", "x": x, "y": 45, "button": 1, "modifiers": (), "time_stamp": 0.0}
        live.handle_event({**event, "buttons": (1,)})
    after = settled(live.canvas, live)
    assert live.camera.target == target
    assert np.abs(after - before).max() > 50
    np.testing.assert_allclose(after, live.render()[..., :3], atol=1)


def test_a_double_click_focuses_on_the_surface_and_f_shows_all_again(live):
    settled(live.canvas, live)
    distance = live.camera.distance
    live.handle_event({"event_type": "double_click", "x": 80, "y": 45, "button": 1, "modifiers": ()})
    settled(live.canvas, live)
    assert np.linalg.norm(live.camera.target) == pytest.approx(1.0, abs=0.05)  # the surface of the unit sphere
    assert live.camera.distance < 0.4 * distance
    live.handle_event({"event_type": "key_down", "key": "f", "modifiers": ()})
    settled(live.canvas, live)
    assert live.camera.distance == pytest.approx(distance, rel=0.1)


def test_a_double_click_beside_the_scene_does_nothing(live):
    settled(live.canvas, live)
    before = live.camera
    live.handle_event({"event_type": "double_click", "x": 1, "y": 1, "button": 1, "modifiers": ()})
    live.canvas.draw()
    assert live.camera == before


def test_the_wheel_zooms_to_the_surface_under_the_cursor(live):
    settled(live.canvas, live)
    live.handle_event({"event_type": "wheel", "x": 100, "y": 45, "dx": 0, "dy": -100, "modifiers": ()})
    point = live.controls.surface_at(100, 45)
    assert point is not None and np.linalg.norm(point) == pytest.approx(1.0, abs=0.05)


def test_settings_can_be_changed(live):
    before = settled(live.canvas, live)
    live.settings = FrameSettings(view="normals")
    assert np.abs(settled(live.canvas, live) - before).max() > 50


def test_few_scenes_stay_on_the_gpu(scene, device):
    canvases = [RenderCanvas(size=SIZE) for _ in range(4)]
    views = [notebook.LiveScene(c, scene, scene.default_camera(), FrameSettings(), SIZE, device) for c in canvases]
    images = [settled(canvas, view) for canvas, view in zip(canvases, views)]
    awake = [view._live is not None for view in views]
    assert awake == [False, False, True, True]
    np.testing.assert_array_equal(settled(canvases[0], views[0]), images[0])
    assert views[0]._live is not None and views[2]._live is None
    for canvas in canvases:
        canvas.close()
    assert all(view._live is None for view in views)


@pytest.fixture(scope="module")
def executed(sample_asset):
    """A notebook executed without a front end, as nbconvert does."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    path = str(sample_asset("sphere"))
    source = f"import engine\nview = engine.show({path!r}, size={SIZE})\nview"
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(
        document, timeout=120, kernel_name="python3", resources={"metadata": {"path": ROOT}}
    ).execute()
    return document


def test_an_executed_notebook_holds_a_widget_and_a_picture(executed, scene, renderer):
    data = executed.cells[0].outputs[-1].data
    assert VIEW in data
    expected = renderer.render(scene, scene.default_camera(SIZE[0] / SIZE[1]), FrameSettings(), SIZE).image
    np.testing.assert_array_equal(image_of(base64.b64decode(data["image/png"])), expected[..., :3])
    assert executed.cells[0].outputs[-1].metadata["image/png"] == {"width": SIZE[0], "height": SIZE[1]}
    assert "stderr" not in [output.get("name") for output in executed.cells[0].outputs]


class FrontEnd:
    """What a browser does: shows the widget of a cell, sends events, and gets frames."""

    def __init__(self, client, source: str):
        self.client = client
        self.bundle = self.run(source)
        self.model = self.bundle[VIEW]["model_id"]
        self.frames: list[np.ndarray] = []
        self.send({"type": "resize", "width": 160, "height": 90, "pwidth": 320, "pheight": 180, "ratio": 2.0})
        self.update({"_has_visible_views": True})

    def run(self, source: str) -> dict:
        """Execute a cell; return the data of its result."""
        number, result = self.client.execute(source), {}
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != number:
                continue
            content = message["content"]
            assert message["msg_type"] != "error", "\n".join(content["traceback"])
            if message["msg_type"] == "execute_result":
                result = content["data"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return result

    def _message(self, data: dict) -> None:
        message = self.client.session.msg("comm_msg", {"comm_id": self.model, "data": data})
        self.client.shell_channel.send(message)

    def update(self, state: dict) -> None:
        self._message({"method": "update", "state": state, "buffer_paths": []})

    def send(self, event: dict) -> None:
        self._message({"method": "custom", "content": {"timestamp": time.time(), **event}})

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        for kind, place, buttons in (("down", start, [1]), ("move", end, [1]), ("up", end, [])):
            place = {"x": place[0], "y": place[1]}
            self.send({"type": f"pointer_{kind}", **place, "button": 1, "buttons": buttons, "modifiers": []})

    def last_frame(self, quiet_seconds: float = 1.5) -> np.ndarray:
        """Confirm frames until none comes any more; return the last one, (height, width, 3)."""
        deadline = time.monotonic() + 60.0
        while True:
            assert time.monotonic() < deadline, "the widget draws on and on"
            try:
                message = self.client.get_iopub_msg(timeout=quiet_seconds if self.frames else 30)
            except queue.Empty:
                return self.frames[-1]
            content = message["content"].get("data", {}).get("content", {})
            if message["msg_type"] == "comm_msg" and content.get("type") == "framebufferdata":
                self.frames.append(image_of(bytes(message["buffers"][0])))
                feedback = {"index": content["index"], "timestamp": content["timestamp"], "localtime": time.time()}
                self.update({"_frame_feedback": feedback})


@pytest.fixture(scope="module")
def kernel():
    """A running kernel and a client of it."""
    manager = pytest.importorskip("jupyter_client.manager")
    running, client = manager.start_new_kernel(kernel_name="python3", startup_timeout=60, cwd=ROOT)
    yield client
    client.stop_channels()
    running.shutdown_kernel(now=True)


def test_the_live_widget_draws_for_a_front_end_and_follows_its_events(kernel, sample_asset, scene, renderer):
    path, settings = str(sample_asset("sphere")), FrameSettings(view="clusters")
    show = f"engine.show({path!r}, settings=engine.FrameSettings(view='clusters'), size={SIZE})"
    front = FrontEnd(kernel, f"import engine\nview = {show}\nview")
    first = front.last_frame()
    camera = scene.default_camera(SIZE[0] / SIZE[1])
    expected = renderer.render(scene, camera, settings, (320, 180)).image[..., :3]
    np.testing.assert_allclose(first, expected, atol=1)
    front.drag((40, 45), (100, 30))
    turned = front.last_frame()
    assert np.abs(turned - first).max() > 50
    text = front.run("from engine.camera import format_camera\nformat_camera(view.camera)")["text/plain"]
    moved = engine.camera.parse_camera(text.strip("'"))
    assert moved.target == camera.target and moved.eye != camera.eye
    expected = renderer.render(scene, moved, settings, (320, 180)).image[..., :3]
    np.testing.assert_allclose(turned, expected, atol=1)


def test_a_widget_that_loses_the_focus_stops_flying(kernel, sample_asset):
    front = FrontEnd(kernel, f"import engine\nview = engine.show({str(sample_asset('sphere'))!r}, size={SIZE})\nview")
    front.last_frame()
    front.send({"type": "key_down", "key": "d", "modifiers": []})
    front.send({"type": "focus_out"})
    front.last_frame()
    assert front.run("view.live.controls.is_moving")["text/plain"] == "False"
    assert front.run("view.image.shape")["text/plain"] == "(180, 320, 4)"
    assert front.run("view.close()\nview.live._live is None")["text/plain"] == "True"
