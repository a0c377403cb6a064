"""Shadow maps of the directional light: the passes of cull_rasterize once more, for all cascades at once, depth only.

The cascades are orthographic views that follow the camera's (`FIRST_SHADOW_VIEW` on); work items name them, so one
traversal and one dispatch of each rasteriser serve all. shaders/shadow.wgsl reads the maps, for lighting and
debug_view.
"""

from dataclasses import replace

import numpy as np

from engine import layout
from engine.frame.context import Context
from engine.frame.cull_rasterize import CullRasterize

NAME = "shadow"


class Shadow:
    """The passes `shadow/init_context`, `shadow/persistent_cull` (or levels_cull) and so on."""

    def __init__(self, context: Context):
        maps = context.shadow_maps
        assert maps, "a frame without shadows has no pass for them"
        self._maps = maps
        self._context = replace(
            context,
            queues=maps.queues,
            view=maps,
            use_occlusion=False,
            uses_hardware=False,
            depth_only=True,
            phase_labels=(NAME, NAME),
            encoder=None,
        )
        self._cull_rasterize = CullRasterize(self._context, label=f"{NAME}/init_context")

    def encode(self, context: Context, views: np.ndarray, is_limited: bool) -> None:
        """Record the maps of `views` (layout.VIEW (k,)), which the scene's buffers hold behind the camera's view.

        `is_limited`: the last one does not hold all of the scene.
        """
        self._maps.write_parameters(len(views), is_limited)
        self._context.encoder = context.encoder
        self._context.persistent_workgroups = context.persistent_workgroups
        self._cull_rasterize.encode(self._context, len(views), layout.CONSTANTS["FIRST_SHADOW_VIEW"])
        self._context.encoder = None
