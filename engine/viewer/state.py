"""What the window, its panels and its tests share: the state of the viewer, and what can be asked of it."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from engine.camera import Camera
from engine.frame.statistics import FrameStatistics
from engine.scene import Scene
from engine.settings import FrameSettings

HISTORY_FRAMES = 300
MESSAGE_SECONDS = 8.0
LARGEST_LOG = 500


@dataclass(frozen=True)
class FrameSample:
    """One frame in the history plots. `passes_ms` is empty where the adapter measures no time."""

    number: int
    passes_ms: dict[str, float]  # GPU milliseconds by timing label
    cpu_ms: float  # Python: recording the frame and the panels
    interval_ms: float  # since the frame before was presented; NaN after a rest, in which nothing was drawn
    render_scale: float  # image size over window size


@dataclass(frozen=True)
class Message:
    """A line for the person at the window."""

    text: str
    is_error: bool
    seconds: float  # time.monotonic() when it was said


@dataclass
class OverlayOptions:
    """Which boxes of a frozen frame are drawn, and how they are coloured."""

    shows_frustum: bool = True
    kinds: set[str] = field(default_factory=lambda: {"nodes"})  # of "instances", "nodes", "clusters"
    outcomes: set[str] = field(default_factory=lambda: {"kept", "frustum", "detail", "size", "occlusion"})
    first_level: int = 0  # levels of detail of nodes' and clusters' groups
    last_level: int = 31
    colors_by: str = "outcome"  # or "level", "kind"
    largest_count: int = 2000  # boxes drawn at once; how many are left out is shown


@dataclass
class PanelInputs:
    """What was typed in panels but is not taken yet, and why a value was not taken."""

    settings: dict[str, Any] = field(default_factory=dict)  # values of fields that are being dragged, by name
    setting_errors: dict[str, str] = field(default_factory=dict)  # by name
    pass_colors: dict[str, int] = field(default_factory=dict)  # number of series_color, by timing label
    path: str = ""  # of a file to open
    camera_text: str | None = None
    camera_error: str = ""
    traced: tuple[Any, Any] | None = None  # a Trace and its counts, which take long to make
    settings_filter: str = ""
    log_filter: str = ""


@dataclass
class ViewerState:
    """Everything that panels show. They change `settings`, `overlay` and switches; for the rest they ask Actions."""

    settings: FrameSettings = field(default_factory=FrameSettings)
    scene: Scene | None = None
    scene_paths: list[Path] = field(default_factory=list)
    camera: Camera = field(default_factory=lambda: Camera((0.0, 0.0, 5.0), (0.0, 0.0, 0.0)))
    statistics: FrameStatistics | None = None  # of the latest frame that came back
    history: deque[FrameSample] = field(default_factory=lambda: deque(maxlen=HISTORY_FRAMES))
    frozen: Any = None  # engine.viewer.freezing.Frozen while culling is frozen
    overlay: OverlayOptions = field(default_factory=OverlayOptions)
    boxes_shown: int = 0  # of the overlay
    boxes_matching: int = 0
    picked: Any = None  # engine.viewer.picking.Picked: the surface point clicked last
    explained: Any = None  # engine.viewer.explain.Explanation: the frozen box clicked last
    job: Any = None  # engine.viewer.opening.OpenJob while a file is built or loaded
    recent: list[Path] = field(default_factory=list)
    messages: deque[Message] = field(default_factory=lambda: deque(maxlen=LARGEST_LOG))
    adapter: str = ""
    window_size: tuple[int, int] = (1280, 720)  # physical pixels
    image_size: tuple[int, int] = (1280, 720)  # of the frame drawn last
    render_scale: float = 1.0
    uses_dynamic_resolution: bool = True
    is_continuous: bool = False  # draw also while nothing changes, to measure
    shows_gui: bool = True
    shows_help: bool = False
    raised_panel: str | None = None  # title of one that comes to the front with the next frame
    hidden_panels: set[str] = field(default_factory=set)  # titles
    resets_layout: bool = True  # at the next frame panels go to where they stand by default
    inputs: PanelInputs = field(default_factory=PanelInputs)
    speed: float = 1.0  # of flying: distances to what is seen, per second
    recorded_keyframes: int = 0
    is_recording: bool = False
    is_playing: bool = False
    captured_frames: int = 0
    is_capturing: bool = False

    def say(self, text: str, is_error: bool = False) -> None:
        """Show a line in the window for a while, and keep it in the log panel."""
        self.messages.append(Message(text, is_error, time.monotonic()))

    def fresh_messages(self) -> list[Message]:
        """Return what was said in the last MESSAGE_SECONDS, oldest first."""
        now = time.monotonic()
        return [message for message in self.messages if now - message.seconds < MESSAGE_SECONDS]


class Actions(Protocol):
    """What panels, keys and menus may ask of the window. Each reports a failure as a message; none raises."""

    def open(self, paths: Sequence[Path], add: bool = False) -> None:
        """Build or load files in the background, then show them instead of the scene, or with `add` beside it."""

    def open_dialog(self, add: bool = False) -> None:
        """Ask for files with the system's dialog."""

    def cancel_job(self) -> None:
        """Stop building or loading."""

    def frame_all(self) -> None:
        """Move the camera until the whole scene is seen."""

    def set_camera(self, camera: Camera) -> None:
        """Look through `camera` from now on."""

    def set_speed(self, speed: float) -> None:
        """Fly at `speed` distances per second."""

    def copy_camera(self) -> None:
        """Put the camera's text form on the clipboard."""

    def paste_camera(self) -> None:
        """Take the camera from the clipboard."""

    def save_camera(self) -> None:
        """Write the camera beside the scene."""

    def toggle_freeze(self) -> None:
        """Freeze culling at this camera, or let it follow the camera again."""

    def take_screenshot(self, with_gui: bool) -> None:
        """Write a PNG of the image, at the window's full size, or of the whole window."""

    def toggle_recording(self) -> None:
        """Begin a camera path, or end it and write it."""

    def toggle_playback(self) -> None:
        """Follow the camera path recorded or loaded last, or stop."""

    def toggle_capture(self) -> None:
        """Begin to keep the statistics of every frame, or write them as CSV."""

    def reload_shaders(self) -> None:
        """Compile all shaders again; where that fails, the last good ones stay."""

    def copy_text(self, text: str) -> None:
        """Put a text on the clipboard."""

    def load_settings(self) -> None:
        """Ask for a settings file and draw with it."""

    def save_settings(self) -> None:
        """Write the settings beside the scene, as a file that --settings reads."""

    def quit(self) -> None:
        """Close the window."""
