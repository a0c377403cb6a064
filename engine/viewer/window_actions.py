"""What keys, menus and panels may ask of the window: the Actions of state.py, for real."""

import argparse
import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import glfw
import numpy as np

from engine.camera import Camera, format_camera, parse_camera
from engine.commands.frames import CAMERA_SUFFIX, choose_camera
from engine.commands.logs import one_line
from engine.frame.statistics import FrameStatistics
from engine.scene import Scene
from engine.settings import FrameSettings, load_settings, settings_toml
from engine.viewer import dialogs, picking
from engine.viewer.capture import PathPlayer, PathRecorder, StatisticsCapture, free_path, read_path, write_path
from engine.viewer.controls import Click
from engine.viewer.explain import explain
from engine.viewer.freezing import freeze
from engine.viewer.live_view import Held, Sent
from engine.viewer.opening import OpenJob
from engine.viewer.panels import pick as pick_panel
from engine.viewer.recent import add_recent, recent_files
from engine.viewer.screenshot import save_image, window_image
from engine.viewer.state import FrameSample

if TYPE_CHECKING:
    from engine.viewer.app import Window

log = logging.getLogger("engine")

SETTINGS_SUFFIX = ".settings.toml"
LEFT_BUTTON = 1


def reported(action: Callable[..., None]) -> Callable[..., None]:
    """Turn what an action raises into a message."""

    def run(self: "WindowActions", *arguments, **names) -> None:
        try:
            action(self, *arguments, **names)
        except Exception as error:
            log.debug("an action failed", exc_info=error)
            log.error("%s", one_line(error))

    run.__doc__ = action.__doc__
    return run


class WindowActions:
    """Implements Actions for one Window, and the work between its frames that follows from them."""

    def __init__(self, window: "Window", options: argparse.Namespace):
        self._window, self.state, self._options = window, window.state, options
        self._job_adds = False
        self._cancelled_job: OpenJob | None = None
        self._is_first_scene = True
        self._recorder: PathRecorder | None = None
        self._player: PathPlayer | None = None
        self._seconds = 0.0
        self._capture: StatisticsCapture | None = None
        self._dialog: dialogs.OpenDialog | None = None
        self._screenshots: list[bool] = []  # asked for; True: with panels
        self.state.recent = recent_files()

    # Files

    @reported
    def open(self, paths: Sequence[Path], add: bool = False) -> None:
        if not paths:
            return
        if len(paths) == 1 and paths[0].suffix.lower() == CAMERA_SUFFIX:
            self._player = PathPlayer(read_path(paths[0]))
            self.state.recorded_keyframes = len(self._player.path.keyframes)
            self.state.say(f"{paths[0]}: {self.state.recorded_keyframes} keyframes; play them with the capture menu")
            return
        self.cancel_job()
        add = add and self.state.scene is not None
        base = self.state.scene if add else None
        self._job_adds = add
        self.state.job = OpenJob(list(paths), self._window.device, base)

    @reported
    def open_dialog(self, add: bool = False) -> None:
        self._dialog = dialogs.OpenDialog(add)

    def cancel_job(self) -> None:
        if self.state.job is not None:
            self.state.job.cancel()
            self._cancelled_job, self.state.job = self.state.job, None

    def _poll_job(self) -> None:
        job = self.state.job
        outcome = job.poll() if job is not None else None
        if outcome is None:
            return
        self.state.job = None
        if isinstance(outcome, str):
            log.error("%s", outcome)
            return
        self._window.live.renderer.load(outcome.scene, scene_buffers=outcome.scene_buffers)
        paths = [*(self.state.scene_paths if self._job_adds else []), *job.paths]
        self._window.show_scene(outcome.scene, paths, keeps_camera=self._job_adds)
        self._is_first_scene = False
        self.state.recent = add_recent(job.paths)

    # Camera

    def first_camera(self, scene: Scene) -> Camera:
        """Return the camera for a new scene: that of the command line for the first one, else the scene's own."""
        width, height = self.state.window_size
        if self._is_first_scene:
            return choose_camera(self._options, scene, self.state.window_size)
        return scene.default_camera(aspect=width / height)

    def camera(self) -> Camera:
        """Return the camera of the next frame."""
        if self._player is not None and self.state.is_playing:
            return self._player.at(self._player.time_seconds)
        return self._window.controls.camera

    def frame_all(self) -> None:
        if self.state.scene is not None and self.state.scene.instance_count:
            self._window.controls.frame_all(self.state.scene.bounds())

    def set_camera(self, camera: Camera) -> None:
        self.state.is_playing = False
        self._window.controls.camera = camera

    def set_speed(self, speed: float) -> None:
        self._window.controls.speed = speed

    def copy_camera(self) -> None:
        self.copy_text(format_camera(self.state.camera))

    @reported
    def paste_camera(self) -> None:
        self.set_camera(parse_camera(self.clipboard_text().strip()))

    def clipboard_text(self) -> str:
        """Return what is on the clipboard, an empty text where that is no text."""
        text: Any = glfw.get_clipboard_string(self._window.glfw_window) or b""
        return text.decode(errors="replace") if isinstance(text, bytes) else text

    @reported
    def save_camera(self) -> None:
        file = self._beside_scene(CAMERA_SUFFIX)
        file.write_text(format_camera(self.state.camera) + "\n", encoding="utf-8")
        self.state.say(f"camera written to {file}; render takes it with --camera")

    def _beside_scene(self, suffix: str) -> Path:
        """Return a file beside the scene that is named after it, or in the current folder where that is read-only."""
        if not self.state.scene_paths:
            raise ValueError("there is no scene yet; open one first")
        path = self.state.scene_paths[0]
        file = path.with_name(path.stem + suffix)
        return file if dialogs.is_writable(file) else Path.cwd() / file.name

    # Culling

    @reported
    def toggle_freeze(self) -> None:
        if self.state.frozen is not None:
            self.thaw()
            return
        window = self._window
        if self.state.scene is None:
            raise ValueError("there is no scene to freeze; open one first")
        settings = dataclasses.replace(self.state.settings, raster="software")
        size = window.live.window_size
        frozen = freeze(window.live.renderer, self.state.scene, self.camera(), settings, size)
        window.live.forget_flights()
        window.live.held = Held(frozen.camera, frozen.settings, frozen.size)
        self.state.frozen, self.state.explained = frozen, None
        frozen.start()

    def thaw(self) -> None:
        """Let culling follow the camera."""
        if self.state.frozen is not None:
            self.state.frozen.cancel()
        self.state.frozen = self.state.explained = None
        self._window.live.held = None

    @reported
    def reload_shaders(self) -> None:
        self._window.live.renderer.reload_shaders()
        self._window.live.redraw()
        self.state.say("shaders compiled again")

    # What is written

    def take_screenshot(self, with_gui: bool) -> None:
        self._screenshots.append(with_gui)

    @reported
    def toggle_recording(self) -> None:
        if self._recorder is None:
            self._recorder = PathRecorder()
            self.state.is_recording, self.state.recorded_keyframes = True, 0
            return
        recorder, self._recorder, self.state.is_recording = self._recorder, None, False
        file = free_path(Path.cwd(), "path", CAMERA_SUFFIX[1:])
        self._player = PathPlayer(recorder.path())  # which can be played also where it cannot be written
        write_path(recorder.path(), file)
        self.state.say(f"{len(recorder.keyframes)} keyframes written to {file}")

    @reported
    def toggle_playback(self) -> None:
        if self.state.is_playing:
            self.state.is_playing = False
            self._window.controls.camera = self.state.camera
            return
        if self._player is None:
            raise ValueError("there is no camera path to play; record one, or open a .camera file")
        self._player.time_seconds = 0.0
        self.state.is_playing = True

    @reported
    def toggle_capture(self) -> None:
        if self._capture is None:
            self._capture = StatisticsCapture()
            self.state.is_capturing, self.state.captured_frames = True, 0
            return
        file = free_path(Path.cwd(), "capture", "csv")
        count = self._capture.write(file)  # where that fails, the capture goes on and nothing is lost
        self._capture, self.state.is_capturing = None, False
        self.state.say(f"{count} frames written to {file}")

    def capture(self, sent: Sent, statistics: FrameStatistics, sample: FrameSample) -> None:
        """Keep a frame that came back, while a capture runs."""
        if self._capture is not None:
            self._capture.add(sent.number, sent.camera, statistics, sample)
            self.state.captured_frames += 1

    def copy_text(self, text: str) -> None:
        glfw.set_clipboard_string(self._window.glfw_window, text)
        self.state.say("copied")

    @reported
    def load_settings(self) -> None:
        self._dialog = dialogs.OpenDialog(add=False, for_settings=True)

    @reported
    def save_settings(self) -> None:
        file = self._beside_scene(SETTINGS_SUFFIX)
        file.write_text(settings_toml(self.state.settings), encoding="utf-8")
        self.state.say(f"settings written to {file}; every command takes them with --settings")

    def quit(self) -> None:
        self._window.canvas.close()

    # Between frames

    @property
    def is_waiting(self) -> bool:
        """Whether something goes on that will change the next frame."""
        return bool(self._screenshots) or self._recorder is not None

    @property
    def is_polling(self) -> bool:
        """Whether something is awaited that has to be asked for."""
        frozen = self.state.frozen
        return self._dialog is not None or (frozen is not None and frozen.trace is None and not frozen.error)

    def advance(self, seconds: float) -> None:
        """Go on with everything that takes time; call it before each frame with the seconds since the last one."""
        self._seconds += seconds
        self._poll_job()
        self._poll_dialog()
        if self.state.frozen is not None and self.state.frozen.poll() and self.state.frozen.error:
            log.error("%s", self.state.frozen.status())
            self.thaw()
        if self._player is not None and self.state.is_playing:
            self._player.advance(seconds)
            if self._player.is_finished:
                self.toggle_playback()
        if self._recorder is not None:
            self.state.recorded_keyframes += self._recorder.add(self.camera(), self._seconds)

    def _poll_dialog(self) -> None:
        if self._dialog is None or not self._dialog.is_ready():
            return
        dialog, self._dialog = self._dialog, None
        if dialog.for_settings and dialog.paths:
            self._read_settings(dialog.paths[0])
        else:
            self.open(dialog.paths, dialog.add)

    @reported
    def _read_settings(self, path: Path) -> None:
        self.state.settings = load_settings(FrameSettings, path)

    @reported
    def handle_clicks(self) -> None:
        """Pick what was clicked, and go to what was double-clicked."""
        controls = self._window.controls
        double = controls.take_double_click()
        click = controls.take_click()
        if double is not None and double.button == LEFT_BUTTON:
            picked = self._pick(double)
            if picked is not None:
                controls.focus(picked.point.position)
        elif click is not None and click.button == LEFT_BUTTON:
            self.state.picked, self.state.explained = self._pick(click), self._explain(click)
            self.state.raised_panel = pick_panel.TITLE

    def _pick(self, click: Click) -> "picking.Picked | None":
        live, scene = self._window.live, self.state.scene
        if scene is None or live.drawn_camera is None:
            return None
        x, y = live.image_pixel(click.x, click.y)
        frozen = self.state.frozen
        chosen_by = frozen.view if frozen is not None else None
        camera, size = live.drawn_camera, live.drawn_size
        return picking.pick(live.renderer, scene, camera, self.state.settings, size, x, y, chosen_by)

    def _explain(self, click: Click) -> object:
        frozen, window = self.state.frozen, self._window
        if frozen is None or frozen.trace is None:
            return None
        record = window.overlay.box_at(self.state.camera, window.logical_size, click.x, click.y)
        return None if record is None else explain(frozen, record)

    @reported
    def after_draw(self) -> None:
        """Write the screenshots that were asked for, now that everything is drawn."""
        while self._screenshots:
            with_gui = self._screenshots.pop(0)
            pixels: np.ndarray = window_image(self._window) if with_gui else self._window.live.snapshot()
            file = free_path(Path.cwd(), "screenshot", "png")
            save_image(file, pixels)
            self.state.say(f"written: {file}")

    def finish(self) -> None:
        """End what runs, and write what is being recorded, when the window closes."""
        self.cancel_job()
        if self._cancelled_job is not None:  # its build may still be ending
            self._cancelled_job.cancel(wait=True)
        self.thaw()
        if self._capture is not None:
            self.toggle_capture()
        if self._recorder is not None:
            self.toggle_recording()
