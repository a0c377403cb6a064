"""The window: it joins canvas, camera, panels and renderer, and draws one frame after another.

window_actions.py holds what keys, menus and panels may ask for; LiveView draws the scene.
"""

import argparse
import logging
import math
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import glfw
import wgpu
from rendercanvas.glfw import RenderCanvas, loop

from engine.commands.logs import one_line
from engine.frame.statistics import FrameStatistics
from engine.gpu.device import Device, is_device_lost, open_device
from engine.scene import Scene
from engine.viewer import keys
from engine.viewer.controls import CameraControls
from engine.viewer.frozen_overlay import FrozenOverlay
from engine.viewer.gui import Gui
from engine.viewer.live_view import LiveView, Sent
from engine.viewer.panels import style
from engine.viewer.panels.layout import draw_all
from engine.viewer.panels.log import LogForwarder
from engine.viewer.state import FrameSample, ViewerState
from engine.viewer.window_actions import WindowActions

log = logging.getLogger("engine")

TITLE = "Microlith"
LARGEST_RATE = 250.0  # frames per second; the screen's own rate limits them first
POLL_SECONDS = 0.07  # between frames while a file is opened or something else is awaited
FADE_SECONDS = 0.5  # between frames while messages are shown
NO_BOUNDS = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
EVENTS = ("pointer_down", "pointer_move", "pointer_up", "double_click", "wheel", "key_down", "key_up", "resize")
FRAMES_AFTER_EVENT = 4  # imgui takes in press and release one frame after the other, and then shows what follows
MOST_RECOVERIES = 3  # of a lost device or surface, one after the other


def run(options: argparse.Namespace) -> int:
    """Show the window until it is closed; return the exit code of the command."""
    window = Window(options)
    window.actions.open([Path(path) for path in options.scene])
    try:
        loop.run()
    finally:
        window.close()
    return 0


def check_screen() -> None:
    """Raise RuntimeError where there is no screen for a window; glfw itself would end the process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", glfw.GLFWError)
        if not glfw.init():
            names = "DISPLAY and WAYLAND_DISPLAY name none; " if sys.platform == "linux" else ""
            raise RuntimeError(f"there is no screen for a window ({names}`microlith render` needs none)")


class Window:
    """A window with one scene."""

    def __init__(self, options: argparse.Namespace):
        from engine.commands.frames import frame_settings

        check_screen()
        self.state = ViewerState(settings=frame_settings(options))
        self._adapter_text = options.adapter
        self.device = open_device(options.adapter)
        self.state.adapter = self.device.adapter_name
        self.canvas = RenderCanvas(
            size=options.size, title=TITLE, update_mode="ondemand", max_fps=LARGEST_RATE, vsync=True
        )
        self.live = LiveView(self.canvas, self.device)
        self.controls = CameraControls(self.state.camera, NO_BOUNDS, options.size)
        self.actions = WindowActions(self, options)
        self.overlay = FrozenOverlay(self.device, self.live.format)
        self.gui = Gui(self.canvas, self.device, lambda: draw_all(self.state, self.actions))
        style.use_clipboard(self.actions.clipboard_text, lambda text: glfw.set_clipboard_string(self.glfw_window, text))
        self._forwarder = LogForwarder(self.state)
        log.addHandler(self._forwarder)
        self._last_seconds = self._presented_seconds = time.monotonic()
        self._cpu_ms, self._is_draw_due = 0.0, False
        self._recoveries = 0
        self._frames_due = FRAMES_AFTER_EVENT
        self._has_rested = True  # since the last frame that came back there was one time nothing to draw
        self._last_error = ""
        self._wire_events()

    @property
    def glfw_window(self) -> Any:
        """The handle that glfw's own functions take; rendercanvas offers neither drops nor a clipboard."""
        return self.canvas._window

    @property
    def logical_size(self) -> tuple[int, int]:
        """Size of the window in the pixels that events count."""
        width, height = self.canvas.get_logical_size()
        return max(round(width), 1), max(round(height), 1)

    def close(self) -> None:
        """Stop what still runs, and write what is still being recorded."""
        self.actions.finish()
        log.removeHandler(self._forwarder)
        self.gui.close()

    def show_scene(self, scene: Scene, paths: list[Path], keeps_camera: bool) -> None:
        """Show another scene; its camera becomes the window's unless `keeps_camera`."""
        self.actions.thaw()
        self.live.scene = self.state.scene = scene
        self.state.scene_paths, self.state.picked, self.state.statistics = paths, None, None
        self.controls.set_bounds(scene.bounds() if scene.instance_count else NO_BOUNDS)
        if not keeps_camera:
            self.controls.camera = self.actions.first_camera(scene)
        names = ", ".join(path.name for path in paths)
        self.canvas.set_title(f"{names} - {TITLE}" if names else TITLE)

    def draw_overlays(self, target: wgpu.GPUTexture) -> None:
        """Draw the boxes of a frozen frame over the image on `target`."""
        if self.state.frozen is not None:
            self.overlay.draw(target, self.live, self.state, self.canvas.get_pixel_ratio(), self.is_moving)

    def _wire_events(self) -> None:
        self.canvas.add_event_handler(self._on_event, *EVENTS)
        self.canvas.add_event_handler(self._wake, *EVENTS, "char", order=-100)
        self.canvas.add_event_handler(lambda _: self.actions.cancel_job(), "close")
        glfw.set_drop_callback(self.glfw_window, self._on_drop)  # ty: ignore[invalid-argument-type]
        glfw.set_window_focus_callback(self.glfw_window, self._on_focus)
        self.canvas.request_draw(self._draw)

    def _wake(self, _event: dict[str, Any]) -> None:
        self._frames_due = FRAMES_AFTER_EVENT
        self.canvas.request_draw()

    def _on_event(self, event: dict[str, Any]) -> None:
        """Take an event that no panel wanted; an error becomes a message."""
        try:
            self._take_event(event)
        except Exception as error:
            self._report(error)

    def _take_event(self, event: dict[str, Any]) -> None:
        is_key = event["event_type"] == "key_down" and not self.gui.takes_keys
        if is_key and keys.dispatch(event["key"], event["modifiers"], self.state, self.actions):
            return
        if event["event_type"] == "double_click" and self.gui.is_panel_at(event["x"], event["y"]):
            return
        if event["event_type"] == "wheel" and self.controls.surface_at(event["x"], event["y"]) is None:
            self.controls.note_surface(event["x"], event["y"], self.live.point_at(event["x"], event["y"]))
        self.controls.handle_event(event)

    def _on_drop(self, _window: Any, paths: Any) -> None:
        shift = any(glfw.get_key(self.glfw_window, key) for key in (glfw.KEY_LEFT_SHIFT, glfw.KEY_RIGHT_SHIFT))
        self.actions.open([Path(path) for path in paths], add=bool(shift))
        self.canvas.request_draw()  # which asks how far the job is; a drop is no event of rendercanvas

    def _on_focus(self, _window: Any, is_focused: int) -> None:
        self.canvas.request_draw()
        if not is_focused:
            self.controls.release_all()

    def _draw(self) -> None:
        """Draw one frame of the window, and ask for the next one if it will differ."""
        begun = time.perf_counter()
        now = time.monotonic()
        seconds, self._last_seconds = now - self._last_seconds, now
        self.actions.advance(seconds)
        self.controls.advance(seconds)
        state = self.state
        self.live.camera = state.camera = self.actions.camera()
        state.speed = self.controls.speed
        self.live.settings, self.live.is_continuous = state.settings, state.is_continuous
        self.live.resolution.is_enabled = state.uses_dynamic_resolution
        state.window_size = self.live.window_size
        try:
            arrived = self.live.draw(self.is_moving)
            self._recoveries = 0
            self._last_error = "" if arrived else self._last_error
        except wgpu.DrawCancelled:  # the surface is outdated, or hidden
            self.canvas.request_draw()
            raise
        except Exception as error:
            arrived = []
            self._report(error)
        state.image_size, state.render_scale = self.live.drawn_size, self.live.image_scale
        self._note(arrived)
        try:
            self._draw_above()
        except Exception as error:
            self._report(error)
        self.actions.after_draw()
        self._cpu_ms = 1000.0 * (time.perf_counter() - begun)
        self._frames_due = max(self._frames_due - 1, 0)
        self._has_rested |= not self.live.is_pending
        if self._changes_by_itself():
            self.canvas.request_draw()
        elif state.job is not None or self.actions.is_polling:
            self._draw_later(POLL_SECONDS)
        elif state.fresh_messages():
            self._draw_later(FADE_SECONDS)

    def _draw_later(self, seconds: float) -> None:
        """Ask for a frame in a while, unless one is asked for already: progress goes on, and messages go away."""
        if not self._is_draw_due:
            self._is_draw_due = True
            loop.call_later(seconds, self._draw_now)

    def _draw_now(self) -> None:
        self._is_draw_due = False
        if not self.canvas.get_closed():
            self.canvas.request_draw()

    @property
    def is_moving(self) -> bool:
        """Whether the picture changes from frame to frame, so that a coarse one soon is better than a fine one late."""
        return self.controls.is_moving or self.state.is_playing

    def _draw_above(self) -> None:
        """Draw overlays and panels over the image."""
        self.actions.handle_clicks()
        self.draw_overlays(self.live.target())
        self.gui.draw()

    def _note(self, arrived: list[tuple[Sent, FrameStatistics]]) -> None:
        """Keep what the frames that came back tell."""
        state = self.state
        now = time.monotonic()
        for sent, statistics in arrived:
            interval_ms, self._presented_seconds = 1000.0 * (now - self._presented_seconds), now
            if self._has_rested:
                interval_ms = math.nan
            self._has_rested = False
            sample = FrameSample(sent.number, statistics.passes_ms, self._cpu_ms, interval_ms, sent.scale)
            if state.statistics is None:
                log.info("%s: drawn", ", ".join(path.name for path in state.scene_paths))
            state.statistics = statistics
            state.history.append(sample)
            self.actions.capture(sent, statistics, sample)
        for note in self.live.notes:
            state.say(note)
        self.live.notes.clear()

    def _changes_by_itself(self) -> bool:
        """Whether another frame will differ although nobody does anything."""
        is_busy = self.live.is_pending or self.is_moving or self.actions.is_waiting
        is_taking_input = self._frames_due > 0
        return is_busy or is_taking_input

    def _report(self, error: Exception) -> None:
        """Turn an error of the engine into a message; open the device anew where it was lost."""
        text = one_line(error)
        log.debug("error while drawing", exc_info=error)
        if is_device_lost(error) and self._recoveries < MOST_RECOVERIES:
            self._recoveries += 1
            log.error("the graphics device was lost; opening it again")
            try:
                self._open_device_again()
            except Exception as second:
                log.error("the device could not be opened again: %s", second)
            return
        if text != self._last_error:  # an error that comes back with every frame is said once
            self._last_error = text
            log.error("%s", text)

    def _open_device_again(self) -> None:
        """Go on with a device of its own for everything that draws; the scene is uploaded again."""
        self.actions.thaw()
        self.device: Device = open_device(self._adapter_text)
        self.live.use_device(self.device)
        self.overlay = FrozenOverlay(self.device, self.live.format)
        self.gui.use_device(self.device)
