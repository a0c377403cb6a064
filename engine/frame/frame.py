"""The order of the passes.

    init_context -> instance_cull -> persistent_cull (or levels_cull) -> cluster_cull
    -> rasterize_software -> rasterize_large -> resolve

Each pass is one module of this folder and one shader of the same name. The post pass (what the last frame's depth
pyramid hid), the hardware raster and the material passes will stand in this list as well.
"""

import numpy as np

from engine.frame.cluster_cull import ClusterCull
from engine.frame.context import Context
from engine.frame.init_context import InitContext
from engine.frame.instance_cull import InstanceCull
from engine.frame.levels_cull import LevelsCull
from engine.frame.persistent_cull import PersistentCull
from engine.frame.rasterize_large import RasterizeLarge
from engine.frame.rasterize_software import RasterizeSoftware
from engine.frame.resolve import Resolve
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
        self.resolve = Resolve(context)

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
        self.resolve.encode(context, settings, depth_scale)
