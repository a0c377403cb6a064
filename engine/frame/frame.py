"""The order of the passes.

    init_context -> instance_cull -> persistent_cull (or levels_cull) -> cluster_cull
    -> rasterize_software, rasterize_small, rasterize_masked, rasterize_large, rasterize_hardware -> resolve

rasterize_masked runs where the scene has masked materials, rasterize_hardware where a setting or threshold asks for it.

Each pass is one module of this folder and one shader of the same name. The post pass (what the last frame's depth
pyramid hid) and the material passes will stand in this list as well.
"""

import numpy as np

from engine import layout
from engine.frame.cluster_cull import ClusterCull
from engine.frame.context import Context, IndirectPass
from engine.frame.init_context import InitContext
from engine.frame.instance_cull import InstanceCull
from engine.frame.levels_cull import LevelsCull
from engine.frame.persistent_cull import PersistentCull
from engine.frame.rasterize_hardware import RasterizeHardware
from engine.frame.rasterize_large import RasterizeLarge
from engine.frame.rasterize_masked import RasterizeMasked
from engine.frame.rasterize_small import RasterizeSmall
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
        self.rasterizers = rasterizers(context)
        self.resolve = Resolve(context)

    def encode(self, context: Context, view: np.ndarray, settings: FrameSettings, depth_scale: float) -> None:
        """Record one frame of one view (layout.VIEW record) into the context's encoder."""
        context.scene_buffers.update_instances()
        context.scene_buffers.write_views(view.reshape(1))
        self.init_context.encode(context)
        self.instance_cull.encode(context)
        self.traversal.encode(context)
        self.cluster_cull.encode(context)
        for rasterizer in self.rasterizers:
            rasterizer.encode(context)
        self.resolve.encode(context, settings, depth_scale)


def rasterizers(context: Context) -> list[IndirectPass | RasterizeHardware]:
    """Return the raster passes that the scene and the settings can give work to, in their order."""
    kinds: list[type[IndirectPass] | type[RasterizeHardware]] = [RasterizeSoftware, RasterizeSmall]
    if (context.scene_buffers.scene.materials["flags"] & layout.CONSTANTS["MATERIAL_MASKED"]).any():
        kinds.append(RasterizeMasked)
    kinds.append(RasterizeLarge)
    if context.uses_hardware:
        kinds.append(RasterizeHardware)
    return [kind(context) for kind in kinds]
