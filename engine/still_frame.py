"""A frame that stands still: all that its occlusion culling was decided by can be read after it.

A frame is tested against two depth pyramids: the last frame's, and in its post pass the one that its main pass left.
The second is gone when the post pass has drawn; where that draws nothing, it is what the frame leaves.
"""

from dataclasses import dataclass, replace

import numpy as np

from engine import layout
from engine.camera import Camera
from engine.frame.statistics import FrameStatistics
from engine.reference import Occlusion
from engine.renderer import Renderer, UnfinishedFrameError
from engine.scene import Scene
from engine.screen_boxes import depth_of
from engine.settings import FrameSettings

MOST_FRAMES = 6  # drawn until one follows a frame of the same view
_HAS_HISTORY = layout.CONSTANTS["VIEW_HAS_HISTORY"]
_MOVED = layout.CONSTANTS["VIEW_MOVED"] | layout.CONSTANTS["VIEW_INSTANCES_MOVED"]


@dataclass(frozen=True)
class StillFrame:
    """The frame drawn last. `view` layout.VIEW record (); `settings` as it was drawn: error_pixels may be raised."""

    settings: FrameSettings
    view: np.ndarray
    statistics: FrameStatistics
    occlusion: Occlusion


def draw_still(
    renderer: Renderer, scene: Scene, camera: Camera, settings: FrameSettings, size: tuple[int, int]
) -> StillFrame:
    """Draw a frame until it follows one of the same view; without occlusion the first is as good.

    With occlusion that takes two frames, or a few more where queues grow. It waits for the GPU; statistics of frames
    that were submitted before are lost. Raises UnfinishedFrameError where a frame cannot be finished, or none stands
    still.
    """
    before: list[np.ndarray] | None = None
    for _ in range(MOST_FRAMES):
        statistics = renderer.render(scene, camera, settings, size).statistics
        is_as_asked = statistics.error_pixels == settings.error_pixels
        settings, view = replace(settings, error_pixels=statistics.error_pixels), renderer.drawn_view()
        after = read_pyramid(renderer) if settings.occlusion else []
        if not settings.occlusion or (before is not None and is_as_asked and _is_still(view, statistics)):
            break
        before = after
    else:
        raise UnfinishedFrameError(f"no two of {MOST_FRAMES} frames of one view follow each other")
    # The post pass drew nothing, so what it left is what it was tested against.
    main = before if settings.occlusion else None
    occlusion = occlusion_of(renderer, main, after, view, scene.instances.copy())
    return StillFrame(settings, view, statistics, occlusion)


def occlusion_of(
    renderer: Renderer,
    main: list[np.ndarray] | None,
    post: list[np.ndarray],
    previous_view: np.ndarray,
    previous_instances: np.ndarray,
) -> Occlusion:
    """Return the Occlusion of the frame drawn last, with its instance tree; arguments as Occlusion names them."""
    tree = renderer.instance_tree()
    return Occlusion(main, post, previous_view, previous_instances, tree.nodes, tree.order, tree.seeds)


def read_pyramid(renderer: Renderer) -> list[np.ndarray]:
    """Return the depth pyramid that the frame drawn last left, level 0 first, as engine.screen_boxes.pyramid_of."""
    return [depth_of(renderer.read_visibility()), *renderer.read_depth_pyramid()]


def _is_still(view: np.ndarray, statistics: FrameStatistics) -> bool:
    """Whether a frame was tested against the pyramid of a frame of the same view, and its post pass drew nothing."""
    has_history = int(view["flags"]) & (_HAS_HISTORY | _MOVED) == _HAS_HISTORY
    return has_history and statistics.passes["post"]["clusters"].kept == 0
