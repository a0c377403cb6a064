"""A scene on a canvas: draws what has changed, as large as the adapter keeps up with, and never waits for the GPU.

The window of the viewer and the widget of a notebook are both a LiveView on a canvas of rendercanvas.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import wgpu

from engine.camera import Camera, Vector, distance_of
from engine.frame.statistics import FrameStatistics
from engine.gpu.device import Device, check_alive
from engine.renderer import Renderer
from engine.scene import Scene
from engine.settings import FrameSettings
from engine.viewer.camera_motion import point_at
from engine.viewer.resolution import DynamicResolution, image_size

FRAMES_IN_FLIGHT = 2
SOFTWARE_FRAMES_IN_FLIGHT = 1  # a CPU that plays the GPU gains nothing by a queue, and answers later
SOFTWARE_SCALE = 0.5  # first guess of what it keeps up with
SOFTWARE_RESIZE_SECONDS = 0.15  # between frames of new sizes, as the window's edge is dragged; each makes buffers anew


@dataclass(frozen=True)
class Sent:
    """A frame on its way: what `Renderer.submit` was asked for, and when."""

    number: int
    camera: Camera
    asked: FrameSettings
    used: FrameSettings
    scale: float
    seconds: float
    is_moving: bool


@dataclass(frozen=True)
class Held:
    """A frame whose visible set is drawn from all cameras."""

    camera: Camera
    settings: FrameSettings
    size: tuple[int, int]


class LiveView:
    """Draws `scene` as `camera` and `settings` say to the canvas's texture, in `draw`.

    Attributes to set: scene, camera, settings, held (None: culling follows the camera), is_continuous (draw also where
    nothing has changed). `notes` gathers lines for the person who looks; whoever shows them empties it.
    """

    def __init__(self, canvas: Any, device: Device):
        self.canvas = canvas
        self.scene: Scene | None = None
        self.camera = Camera((0.0, 0.0, 5.0), (0.0, 0.0, 0.0))
        self.settings = FrameSettings()
        self.held: Held | None = None
        self.is_continuous = False
        self.notes: list[str] = []
        self.resolution = DynamicResolution(scale=SOFTWARE_SCALE if device.is_software else 1.0)
        self.image_scale = 1.0
        self.drawn_size = (1, 1)  # of the image that is shown
        self.drawn_camera: Camera | None = None  # None: the renderer has not drawn yet
        self._context = canvas.get_wgpu_context()
        self._number = 0
        self._sized: tuple[tuple[int, int], float] = (0, 0), 0.0  # size of the window last drawn for, and since when
        self.use_device(device)

    def use_device(self, device: Device) -> None:
        """Draw on `device` from now on, with a renderer of its own."""
        self.device = device
        self.renderer = Renderer(device)
        if self._context.get_configuration() is not None:
            self._context.unconfigure()
        self.format = self._context.get_preferred_format(device.adapter)
        self._context.configure(device=device.wgpu_device, format=self.format)
        self._drawn: tuple | None = None  # what the image on the GPU shows
        self._failed: tuple | None = None  # what could not be drawn: it is not tried again
        self._has_image, self.drawn_camera = False, None
        self._in_flight = 0
        self._adapted: tuple[FrameSettings, FrameSettings] | None = None  # asked and used

    @property
    def window_size(self) -> tuple[int, int]:
        """Size of the canvas in physical pixels, at least 1."""
        width, height = self.canvas.get_physical_size()
        return max(int(width), 1), max(int(height), 1)

    @property
    def is_pending(self) -> bool:
        """Whether another draw will show something else: a frame is on its way, or the image has yet to sharpen."""
        # The rest may have begun since the latest draw, which then was still a coarse one.
        is_coarse = self._has_image and self.image_scale != 1.0 and self._failed is None
        now = time.monotonic()
        is_settling = is_coarse or self.resolution.is_settling(now) or self._is_resizing(now)
        return self._in_flight > 0 or self.is_continuous or is_settling

    def draw(self, is_moving: bool = False) -> list[tuple[Sent, FrameStatistics]]:
        """Send a frame if one is due, show the latest image, and return the frames that have arrived.

        Raises what the renderer raises; the next call goes on with the image of before.
        """
        target = self.target()
        arrived = self._collect()
        try:
            self._submit_due(is_moving)
        finally:
            self.show(target)
        return arrived

    def target(self) -> wgpu.GPUTexture:
        """Return the canvas's texture of this frame; raises GPUError where the device is lost."""
        check_alive(self.device)  # wgpu-native ends the process where the surface of a lost device is asked
        return self._context.get_current_texture()

    def show(self, target: wgpu.GPUTexture) -> None:
        """Draw the latest image, or the background where there is none, over all of `target`."""
        if self._has_image:
            self.renderer.present(target)
        else:
            self._clear(target)

    def snapshot(self) -> np.ndarray:
        """Draw the view as large as the canvas, wait for it, and return the image, (height, width, 4) uint8 sRGB.

        Raises ValueError without a scene, and what the renderer raises.
        """
        if self.scene is None:
            raise ValueError("there is no scene to draw; open one first")
        size = self.window_size
        if self.held:
            self.renderer.collect(wait=True)
            self._submit(size, 1.0, time.monotonic(), False)
            self.renderer.collect(wait=True)
        else:
            self.renderer.render(self.scene, self.camera, self.settings, size)
        self.forget_flights()
        self._has_image, self.image_scale, self.drawn_size, self.drawn_camera = True, 1.0, size, self.camera
        return self.renderer.read_image()

    def image_pixel(self, x: float, y: float) -> tuple[int, int]:
        """Return the pixel of the image that is shown at a place of the canvas in logical pixels."""
        places = zip((x, y), self.canvas.get_logical_size(), self.drawn_size)
        column, row = (min(max(int(place / max(length, 1) * count), 0), count - 1) for place, length, count in places)
        return column, row

    def point_at(self, x: float, y: float) -> Vector | None:
        """Return the point (world space) seen at a place of the canvas (logical pixels), None where nothing is.

        Waits for the GPU, and reads some bytes.
        """
        if not self._has_image or self.drawn_camera is None:
            return None
        column, row = self.image_pixel(x, y)
        sample = self.renderer.read_sample(column, row)
        if sample is None:
            return None
        distance = distance_of(sample.depth, self.renderer.drawn_view())
        return point_at(self.drawn_camera, self.drawn_size, column + 0.5, row + 0.5, distance)

    def forget_flights(self) -> None:
        """Take note that the renderer has been used by others: what was on its way will not come back."""
        self._in_flight = 0
        self.redraw()

    def redraw(self) -> None:
        """Draw again although nothing has changed, also what failed before."""
        self._drawn = self._failed = None

    def _submit_due(self, is_moving: bool) -> None:
        if self.scene is None:
            self._has_image = False
            return
        now = time.monotonic()
        if self._is_resizing(now):
            return
        scale = self.resolution.choose(is_moving, now)
        size = image_size(self.window_size, scale)
        wish = (self.scene, self.scene.revision, self.camera, self.settings, size, self.held)
        if wish == self._failed or (wish == self._drawn and not self.is_continuous):
            return
        limit = SOFTWARE_FRAMES_IN_FLIGHT if self.device.is_software else FRAMES_IN_FLIGHT
        if self._in_flight >= limit or self.renderer.is_full:
            return
        try:
            self._submit(size, scale, now, is_moving)
        except Exception:
            self._failed = wish
            raise
        self._drawn, self._failed = wish, None
        if self._sized[0] != self.window_size:
            self._sized = self.window_size, now

    def _is_resizing(self, now: float) -> bool:
        """Return whether the image of the last size serves for this one for a while: frames would pile up."""
        is_early = now - self._sized[1] < SOFTWARE_RESIZE_SECONDS
        return self.device.is_software and self._has_image and is_early and self._sized[0] != self.window_size

    def _submit(self, size: tuple[int, int], scale: float, now: float, is_moving: bool) -> None:
        assert self.scene
        used = self._adapted[1] if self._adapted and self._adapted[0] == self.settings else self.settings
        held = self.held
        if held:
            used = replace(used, raster="software")
            if not self.renderer.holds_set(self.scene):
                self.renderer.render(self.scene, held.camera, replace(held.settings, raster="software"), held.size)
        sent = Sent(self._number, self.camera, self.settings, used, scale, now, is_moving)
        self.renderer.submit(self.scene, self.camera, used, size, sent, keeps_set=held is not None)
        self._number += 1
        self._in_flight += 1
        self._has_image, self.image_scale, self.drawn_size, self.drawn_camera = True, scale, size, self.camera

    def _collect(self) -> list[tuple[Sent, FrameStatistics]]:
        arrived: list[tuple[Any, FrameStatistics]] = self.renderer.collect()
        for sent, statistics in arrived:
            self._in_flight -= 1
            if sent.is_moving:
                # Without timestamps: from its submit to now, which holds the window's own drawing, too.
                wall_ms = 1000.0 * (time.monotonic() - sent.seconds)
                self.resolution.note(statistics.passes_ms.get("frame", wall_ms), sent.scale)
            if not statistics.is_complete:
                used, notes = self.renderer.adapt(sent.used, statistics)
                if used != sent.used:
                    self._adapted = (sent.asked, used)
                self.notes += notes
                self.redraw()
        return arrived

    def _clear(self, target: wgpu.GPUTexture) -> None:
        """Show the background where there is no image."""
        color = (*self.settings.background, 1.0)
        gpu = self.device.wgpu_device
        encoder = gpu.create_command_encoder(label="clear")
        attachment = {"view": target.create_view(), "load_op": "clear", "store_op": "store", "clear_value": color}
        encoder.begin_render_pass(label="clear", color_attachments=[attachment]).end()
        gpu.queue.submit([encoder.finish()])
