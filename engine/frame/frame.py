"""The order of the passes.

    init_context -> instance_cull -> persistent_cull (or levels_cull) -> cluster_cull
    -> rasterize_software -> rasterize_large -> emit_depth_targets -> bin_pixels -> base_pass -> lighting

Each pass is one module of this folder and one shader of the same name. The post pass (what the last frame's depth
pyramid hid) and the hardware raster will stand in this list as well. material_passes.py says which of the last four a
scene needs; debug_view takes their place for an image that is not shaded.
"""

import numpy as np

from engine import layout
from engine.frame.cluster_cull import ClusterCull
from engine.frame.context import Context
from engine.frame.debug_view import DebugView
from engine.frame.init_context import InitContext
from engine.frame.instance_cull import InstanceCull
from engine.frame.levels_cull import LevelsCull
from engine.frame.material_passes import MaterialPasses
from engine.frame.persistent_cull import PersistentCull
from engine.frame.rasterize_large import RasterizeLarge
from engine.frame.rasterize_software import RasterizeSoftware
from engine.settings import FrameSettings


class FramePasses:
    """The passes of a frame, made once for a scene, an image size and a set of queues."""

    def __init__(self, context: Context):
        self.init_context = InitContext(context)
        self.instance_cull = InstanceCull(context)
        self.traversal = PersistentCull(context) if context.use_persistent else LevelsCull(context)
        self.cluster_cull = ClusterCull(context)
        self.rasterize_software = RasterizeSoftware(context)
        self.rasterize_large = RasterizeLarge(context)
        self.material_passes: MaterialPasses | None = None
        self.debug_view: DebugView | None = None
        self.show(context)

    def show(self, context: Context) -> None:
        """Make the passes that the context's view mode needs and that are not there yet."""
        if context.show == layout.CONSTANTS["SHOW_SHADED"]:
            self.material_passes = self.material_passes or MaterialPasses(context)
        elif self.debug_view is None or self.debug_view.show != context.show:
            self.debug_view = DebugView(context)

    @property
    def bin_memory_bytes(self) -> int:
        """Size of the lists of pixels by material function."""
        return self.material_passes.memory_bytes if self.material_passes else 0

    def encode(self, context: Context, view: np.ndarray, settings: FrameSettings, depth_scale: float) -> None:
        """Record one frame of one view (layout.VIEW record) into the context's encoder."""
        context.scene_buffers.update_instances()
        context.scene_buffers.write_views(view.reshape(1))
        self.init_context.encode(context)
        self.instance_cull.encode(context)
        self.traversal.encode(context)
        self.cluster_cull.encode(context)
        self.rasterize_software.encode(context)
        self.rasterize_large.encode(context)
        if context.show == layout.CONSTANTS["SHOW_SHADED"]:
            assert self.material_passes
            self.material_passes.encode(context, settings)
        else:
            assert self.debug_view
            self.debug_view.encode(context, settings, depth_scale)
