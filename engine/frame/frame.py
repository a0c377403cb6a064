"""The order of the passes.

    init_context
    main: persistent_cull (or levels_cull) -> cluster_cull -> rasterize_software -> rasterize_large -> depth_pyramid
    post: the same again, for what the last frame's depth pyramid hid
    resolve

Each pass is one module of this folder and one shader of the same name. Instances are culled by the same traversal as
the nodes of their hierarchies: it begins at the root of the instance tree.
"""

import numpy as np

from engine.frame.context import Context
from engine.frame.cull_rasterize import CullRasterize
from engine.frame.resolve import Resolve
from engine.settings import FrameSettings


class FramePasses:
    """The passes of a frame, made once for a scene, an image size and a set of queues."""

    def __init__(self, context: Context):
        self.cull_rasterize = CullRasterize(context)
        self.resolve = Resolve(context)

    def encode(self, context: Context, view: np.ndarray, settings: FrameSettings, depth_scale: float) -> None:
        """Record one frame of one view (layout.VIEW record) into the context's encoder."""
        moved = context.scene_buffers.update_instances()
        view = context.view.with_history(view, moved)
        context.scene_buffers.write_views(view.reshape(1), context.view.previous_view.reshape(1))
        self.cull_rasterize.encode(context, view_count=1)
        context.view.keep_history(view, is_kept=context.use_occlusion)
        self.resolve.encode(context, settings, depth_scale)
