"""Who draws the frames of a run: the engine, and what it is compared with.

An entry of BASELINES makes, for an opened device, an object with the methods of engine.renderer.Renderer that Drawer
lists. Frames are measured, and their visible sets kept, in the same way for all of them.

engine              the engine with the settings of the run
no_occlusion        without occlusion culling
levels              with one dispatch for each level of the hierarchy, not the persistent queue
clusters_frustum    no hierarchy: instances are tested one by one, and every cluster of every level of those in view;
                    no occlusion culling
discrete_lods       no clusters: one whole-mesh level for each instance in view, picked by its claimed error
triangles_software  no culling and no levels of detail: all source clusters by the software rasterisers
triangles_hardware  the same triangles by the graphics pipeline with a depth buffer, one instanced draw for each mesh

The last four are engine.frame.baselines. They shade as the engine does, and shadow maps are the engine's.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from engine.camera import Camera
    from engine.frame.scene_buffers import SceneBuffers
    from engine.frame.statistics import FrameStatistics
    from engine.gpu.device import Device
    from engine.renderer import Frame
    from engine.scene import Scene
    from engine.settings import FrameSettings


class Drawer(Protocol):
    """What a run needs of whoever draws; engine.renderer.Renderer says what each method does."""

    def load(self, scene: "Scene", *, scene_buffers: "SceneBuffers | None" = None) -> None: ...

    def loaded(self, scene: "Scene") -> "SceneBuffers | None": ...

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


def _changed(**changes: Any) -> Callable[["Device"], Drawer]:
    """Return the maker of the engine with some settings changed."""

    def make(device: "Device") -> Drawer:
        from engine.experiments.baseline_renderer import BaselineRenderer

        return BaselineRenderer(device, changes)

    return make


def _replaced(module: str, name: str, **changes: Any) -> Callable[["Device"], Drawer]:
    """Return the maker of a baseline: a class of a module of engine.frame.baselines, which is imported when asked for.

    None has a depth pyramid.
    """

    def make(device: "Device") -> Drawer:
        from engine.experiments.baseline_renderer import BaselineRenderer

        cull_rasterize = getattr(import_module(f"engine.frame.baselines.{module}"), name)
        return BaselineRenderer(device, {"occlusion": False, **changes}, cull_rasterize)

    return make


# What the engine, and those that are the engine with other settings, change.
ENGINE_CHANGES: dict[str, dict[str, Any]] = {
    "engine": {},
    "no_occlusion": {"occlusion": False},
    "levels": {"traversal": "levels"},
}
BASELINES: dict[str, Callable[["Device"], Drawer]] = {
    **{name: _changed(**changes) for name, changes in ENGINE_CHANGES.items()},
    "clusters_frustum": _replaced("flat_cull", "ClustersFrustum"),
    "discrete_lods": _replaced("flat_cull", "DiscreteLods"),
    "triangles_software": _replaced("triangles_software", "TrianglesSoftware", raster="software", error_pixels=0.0),
    "triangles_hardware": _replaced("triangles_hardware", "TrianglesHardware", raster="software", error_pixels=0.0),
}
