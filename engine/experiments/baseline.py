"""Who draws the frames of a run: the engine, and what it is compared with.

An entry of BASELINES makes, for an opened device, an object with the methods of engine.renderer.Renderer that Drawer
lists. Frames are measured, and their visible sets kept, in the same way for all of them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from engine.camera import Camera
    from engine.frame.statistics import FrameStatistics
    from engine.gpu.device import Device
    from engine.renderer import Frame
    from engine.scene import Scene
    from engine.settings import FrameSettings


class Drawer(Protocol):
    """What a run needs of whoever draws; engine.renderer.Renderer says what each method does."""

    @property
    def is_full(self) -> bool: ...

    def submit(
        self, scene: "Scene", camera: "Camera", settings: "FrameSettings", size: tuple[int, int], tag: object = None
    ) -> None: ...

    def collect(self, wait: bool = False) -> "list[tuple[Any, FrameStatistics]]": ...

    def render(
        self, scene: "Scene", camera: "Camera", settings: "FrameSettings | None" = None, size: tuple[int, int] = ...
    ) -> "Frame": ...

    def read_visible_clusters(self) -> np.ndarray: ...


def engine(device: "Device") -> Drawer:
    """Return the engine itself."""
    from engine.renderer import Renderer

    return Renderer(device)


BASELINES: dict[str, Callable[["Device"], Drawer]] = {"engine": engine}
