"""Freeze culling: what the GPU decided in one frame, with all that the reference code needs to say why."""

import threading
from dataclasses import dataclass, field

import numpy as np

from engine import reference
from engine.camera import Camera
from engine.frame.statistics import FrameStatistics
from engine.reference import Occlusion, Tables
from engine.reference_trace import LARGEST_TRACE, Trace, TraceCancelledError, trace
from engine.renderer import Renderer
from engine.scene import Scene
from engine.settings import FrameSettings
from engine.still_frame import draw_still
from engine.viewer.overlays import seen_sizes


@dataclass
class Frozen:
    """A frame whose culling is looked at. `tables`, `trace` and `sizes` are None until `poll` says so.

    view: layout.VIEW record (); statistics: of the frame; settings: as it was drawn, so error_pixels may be larger than
    asked for. error: why there will be no trace, "" otherwise.
    """

    scene: Scene
    camera: Camera
    settings: FrameSettings
    size: tuple[int, int]
    view: np.ndarray
    statistics: FrameStatistics
    occlusion: Occlusion
    instances: np.ndarray  # layout.INSTANCE (slots,): a copy, for the scene may change
    largest_trace: int = LARGEST_TRACE
    tables: Tables | None = None
    trace: Trace | None = None
    sizes: np.ndarray | None = None  # overlays.seen_sizes of the trace
    error: str = ""
    _thread: threading.Thread | None = None
    _is_cancelled: threading.Event = field(default_factory=threading.Event)
    _made: tuple[Tables, Trace, np.ndarray] | None = None
    _failed: str = ""

    def start(self) -> None:
        """Begin to make tables and trace in a thread; that decodes every page of the scene once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="trace", daemon=True)
            self._thread.start()

    def poll(self, wait: bool = False) -> bool:
        """Return whether the trace has come, or `error` says why it will not; take it over. `wait` for it."""
        if self.trace is not None or self.error:
            return True
        self.start()
        assert self._thread
        if wait:
            self._thread.join()
        if self._made is None and not self._failed:
            return False
        self.error = self._failed
        if self._made is not None:
            self.tables, self.trace, self.sizes = self._made
        return True

    def cancel(self) -> None:
        """Let the thread end soon; nothing is waited for. For when culling is not frozen any longer."""
        self._is_cancelled.set()

    def status(self) -> str:
        """Return one line: what is still missing, or what was left out of the trace; "" where nothing is."""
        if self.error:
            return f"culling cannot be explained: {self.error}"
        if self.trace is None:
            return "culling is being traced"
        if self.trace.left_out:
            shown = len(self.trace.records)
            return f"{shown} of {shown + self.trace.left_out} tests are listed; the others found no room"
        return ""

    def _work(self) -> None:
        scene = self.scene
        try:
            clusters = scene.clusters()
            tables = reference.tables(scene.meshes, scene.nodes, scene.groups, clusters, self.instances)
            arguments = tables, self.view, self.occlusion, self.largest_trace
            found = trace(*arguments, is_cancelled=self._is_cancelled.is_set)
            self._made = tables, found, seen_sizes(tables, found.records, self.view)
        except TraceCancelledError:
            self._failed = "no longer wanted"
        except (ValueError, OSError, MemoryError) as error:
            self._failed = str(error) or type(error).__name__


def freeze(renderer: Renderer, scene: Scene, camera: Camera, settings: FrameSettings, size: tuple[int, int]) -> Frozen:
    """Draw the frame that is frozen, as engine.still_frame.draw_still does, and return what it was culled by.

    Call `start` of the result, then `poll` from time to time. Raises RuntimeError where a frame cannot be finished, or
    none stands still.
    """
    try:
        still = draw_still(renderer, scene, camera, settings, size)
    except RuntimeError as error:
        raise RuntimeError(f"culling cannot be frozen: {error}") from None
    instances = still.occlusion.previous_instances
    return Frozen(scene, camera, still.settings, size, still.view, still.statistics, still.occlusion, instances)
