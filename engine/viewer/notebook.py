"""`show`: a scene in a notebook, as a live widget, or as a picture where no widget can run.

The widget is a canvas of rendercanvas (anywidget, or jupyter_rfb) with a LiveView on it, as the window of the viewer
is: frames are drawn in the kernel, at a lower resolution while the camera moves on a slow adapter, and the browser gets
them as images.
"""

import base64
import functools
import io
import math
import sys
import time
import weakref
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from engine.asset import Asset
from engine.camera import Camera
from engine.gpu.device import Device, open_device
from engine.renderer import Renderer
from engine.scene import Scene, scene_from_assets
from engine.settings import FrameSettings
from engine.viewer import camera_motion
from engine.viewer.controls import DIRECTIONS, CameraControls
from engine.viewer.live_view import LiveView

EVENTS = ("pointer_down", "pointer_move", "pointer_up", "double_click", "wheel", "key_down", "key_up", "resize")
LARGEST_RATE = 60.0  # frames per second
MOST_AWAKE = 2  # widgets that hold a scene on the GPU: a cell run again leaves its old widget behind

Size = tuple[int, int]


def show(
    scene: Scene | Asset | str | PathLike,
    camera: Camera | None = None,
    settings: FrameSettings | None = None,
    size: Size = (960, 540),
    device: Device | None = None,
) -> Any:
    """Return a live widget of `scene` in Jupyter, elsewhere a Picture; both have `camera`, `image` and `save(path)`.

    `scene` is a Scene, an Asset, or the path of an asset, a scene file or a mesh file (built into the cache of the
    user first). `camera` is by default the scene's own; `size` is in pixels of the page. The widget is moved like the
    viewer: drag, wheel, W A S D Q E, double click to focus, F for the whole scene. A notebook that is only executed and
    read keeps the picture of its first frame. Raises ValueError or OSError for a scene that cannot be opened,
    RuntimeError without an adapter.
    """
    opened = _scene_of(scene)
    device = device or _device()
    camera = camera or opened.default_camera(size[0] / size[1])
    widget_class = _widget_class() if _is_in_kernel() else None
    if widget_class is None:
        frame = Renderer(device).render(opened, camera, settings, size)
        return Picture(frame.image, camera)
    return widget_class(opened, camera, settings or FrameSettings(), size, device)


class Picture:
    """A finished picture. `image` (height, width, 4) uint8 sRGB, row 0 on top; `camera` that it was seen through."""

    def __init__(self, image: np.ndarray, camera: Camera):
        self.image, self.camera = image, camera

    def save(self, path: str | PathLike) -> None:
        """Write the picture to a file of any image format with transparency."""
        _save(self.image, path)

    def _repr_png_(self) -> bytes:
        return _png(self.image)


class LiveScene:
    """A scene on a canvas of rendercanvas, moved by the events of that canvas.

    `size` (logical pixels) counts until the canvas has a size. Settable: `settings`, `camera`.
    """

    def __init__(self, canvas: Any, scene: Scene, camera: Camera, settings: FrameSettings, size: Size, device: Device):
        self.canvas, self.scene, self.device = canvas, scene, device
        self.controls = CameraControls(camera, scene.bounds(), size)
        self._settings, self._size = settings, size
        self._live: LiveView | None = None
        self._drawn_seconds = time.monotonic()
        self._is_closed = False
        canvas.add_event_handler(self.handle_event, *EVENTS)
        canvas.add_event_handler(lambda _: self._close(), "close")
        canvas.request_draw(self._draw)
        self._awakened()

    @property
    def settings(self) -> FrameSettings:
        """What is drawn how."""
        return self._settings

    @settings.setter
    def settings(self, settings: FrameSettings) -> None:
        self._settings = settings
        self.canvas.request_draw()

    @property
    def camera(self) -> Camera:
        """The camera now."""
        return self.controls.camera

    @camera.setter
    def camera(self, camera: Camera) -> None:
        self.controls.camera = camera
        self.canvas.request_draw()

    def render(self) -> np.ndarray:
        """Return the picture at its full size, (height, width, 4) uint8 sRGB; waits for it."""
        live = self._awakened()
        frame = live.renderer.render(self.scene, self.camera, self.settings, self._image_size())
        live.forget_flights()
        live.redraw()
        self.canvas.request_draw()
        return frame.image

    def handle_event(self, event: dict[str, Any]) -> None:
        """Move the camera as `event` says, and have that drawn."""
        kind = event["event_type"]
        if kind == "wheel" and self.controls.surface_at(event["x"], event["y"]) is None:
            self.controls.note_surface(event["x"], event["y"], self._point_at(event["x"], event["y"]))
        before = self.camera
        self.controls.handle_event(event)
        click = self.controls.take_double_click()
        if click and (point := self._point_at(click.x, click.y)):
            self.controls.focus(point)
        if kind == "key_down" and event["key"].lower() == "f" and not event.get("modifiers"):
            self.controls.frame_all()
        if self.camera != before or self.controls.is_moving:
            self.canvas.request_draw()

    def _draw(self) -> None:
        """Draw a frame, and ask for another one if that will differ."""
        if self._is_closed:
            return
        live, now = self._awakened(), time.monotonic()
        self.controls.advance(now - self._drawn_seconds)
        self._drawn_seconds = now
        live.camera, live.settings = self.camera, self.settings
        live.draw(self.controls.is_moving)
        if self.controls.is_moving or live.is_pending:
            self.canvas.request_draw()

    def _point_at(self, x: float, y: float) -> camera_motion.Vector | None:
        """Return what is seen at a place of the canvas (logical pixels), if the picture shows what the camera sees."""
        live = self._live
        if live is None or live.drawn_camera != self.camera:
            return None
        depths = live.renderer.read_aov("depth")
        column = int(x / self.controls.size[0] * depths.shape[1])
        row = int(y / self.controls.size[1] * depths.shape[0])
        if not (0 <= row < depths.shape[0] and 0 <= column < depths.shape[1] and math.isfinite(depths[row, column])):
            return None
        return camera_motion.point_at(self.camera, self.controls.size, x, y, float(depths[row, column]))

    def _image_size(self) -> Size:
        width, height = self.canvas.get_physical_size()
        return (int(width), int(height)) if width > 1 and height > 1 else self._size

    def _awakened(self) -> LiveView:
        """Return the view of the scene on the GPU; the one that was used longest ago makes room for it."""
        if self._live is None:
            latest_first = sorted(_AWAKE, key=lambda view: view._drawn_seconds, reverse=True)
            for other in latest_first[MOST_AWAKE - 1 :]:
                other._sleep()
            self._live = LiveView(self.canvas, self.device)
            self._live.scene, self._live.camera, self._live.settings = self.scene, self.camera, self.settings
            _AWAKE.add(self)
        return self._live

    def _sleep(self) -> None:
        """Give back what the scene takes on the GPU, until it is drawn again."""
        self._live = None
        _AWAKE.discard(self)

    def _close(self) -> None:
        self._is_closed = True
        self._sleep()


_AWAKE: weakref.WeakSet[LiveScene] = weakref.WeakSet()  # those that hold their scene on the GPU


@functools.cache
def _widget_class() -> type | None:
    """Return the class of the live widget, or None where the packages of the extra `notebook` are missing."""
    try:
        from rendercanvas.anywidget import RenderCanvas
    except ImportError:
        try:
            from rendercanvas.jupyter import RenderCanvas
        except ImportError:
            return None
    base: Any = RenderCanvas  # either of two classes

    class SceneWidget(base):
        """A live view of a scene in a notebook; `close()` frees what it holds on the GPU."""

        def __init__(self, scene: Scene, camera: Camera, settings: FrameSettings, size: Size, device: Device):
            super().__init__(size=size, update_mode="ondemand", max_fps=LARGEST_RATE)
            self.live = LiveScene(self, scene, camera, settings, size, device)
            self._first_png, self._first_size = _png(self.live.render()), size
            self.on_msg(self._on_message)

        camera = property(lambda self: self.live.camera, lambda self, camera: setattr(self.live, "camera", camera))
        settings = property(lambda self: self.live.settings, lambda self, value: setattr(self.live, "settings", value))
        image = property(lambda self: self.live.render(), doc="What the camera sees now, at full size; waits for it.")

        def save(self, path: str | PathLike) -> None:
            """Write what the camera sees now to an image file."""
            _save(self.image, path)

        def _rc_close(self) -> None:
            if not self._is_closed:  # rendercanvas 2.7.2: closing an anywidget canvas closes it again, without end
                self._is_closed = True
                super()._rc_close()

        def _on_message(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
            if content.get("type") == "focus_out":  # rendercanvas has no such event; releases now go elsewhere
                for key in DIRECTIONS:
                    self.submit_event({"event_type": "key_up", "key": key, "modifiers": ()})

        def _repr_mimebundle_(self, **options: Any) -> tuple[dict, dict]:
            bundle = super()._repr_mimebundle_(**options)
            data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
            data = {key: value for key, value in data.items() if key != "text/html"}
            data["image/png"] = base64.b64encode(self._first_png).decode("ascii")
            width, height = self._first_size
            return data, {**metadata, "image/png": {"width": width, "height": height}}

    return SceneWidget


def _is_in_kernel() -> bool:
    """Return whether this runs in a Jupyter kernel. IPython is not imported for that: a kernel has done so."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return getattr(shell, "kernel", None) is not None


@functools.cache
def _device() -> Device:
    """Return the device that everything shown in this process is drawn on."""
    return open_device()


def _scene_of(scene: Scene | Asset | str | PathLike) -> Scene:
    if isinstance(scene, Scene):
        return scene
    if isinstance(scene, Asset):
        return scene_from_assets([scene])
    if not isinstance(scene, (str, PathLike)):
        raise ValueError(f"cannot show a {type(scene).__name__}; pass a Scene, an Asset or the path of a file")
    from engine.commands.scenes import open_scene

    return open_scene(str(scene))


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def _save(image: np.ndarray, path: str | PathLike) -> None:
    from PIL import Image

    Image.fromarray(image).save(Path(path))
