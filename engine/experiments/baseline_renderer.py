"""A Renderer that is compared with the engine: with other settings, or with other passes before the shading."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.camera import Camera
from engine.frame.context import Context
from engine.frame.cull_rasterize import CullRasterize
from engine.gpu.device import Device
from engine.renderer import Renderer
from engine.scene import Scene
from engine.settings import FrameSettings


class BaselineRenderer(Renderer):
    """Draws with `changes` (fields of FrameSettings) over the settings that it is given."""

    def __init__(
        self,
        device: Device,
        changes: dict[str, Any],
        cull_rasterize: Callable[[Context], CullRasterize] = CullRasterize,
    ):
        super().__init__(device, cull_rasterize)
        self._changes = changes

    def submit(
        self,
        scene: Scene,
        camera: Camera,
        settings: FrameSettings,
        size: tuple[int, int],
        tag: object = None,
        keeps_set: bool = False,
    ) -> None:
        """Send one frame to the GPU as Renderer.submit does."""
        super().submit(scene, camera, replace(settings, **self._changes), size, tag, keeps_set)
