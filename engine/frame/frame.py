"""The order of the passes.

    init_context
    main: persistent_cull (or levels_cull) -> cluster_cull -> rasterize_* -> depth_pyramid
    post: the same again, for what the last frame's depth pyramid hid
    shadow: init_context -> persistent_cull -> cluster_cull -> rasterize_* once more, for all shadow maps at once
    emit_depth_targets -> bin_pixels -> base_pass -> lighting

Each pass is one module of this folder and one shader of the same name. What other descriptions of this frame call
InstanceCull is part of the traversal: it begins at the root of the instance tree, and goes on in the hierarchies of
their meshes. cull_rasterize.py holds the first three lines, shadow.py the fourth, which only a frame with shadows has.
material_passes.py says which of the last four a scene needs; debug_view takes their place for an image that is not
shaded. The folder baselines holds what can stand in place of the first three where the engine is compared with others.
"""

from collections.abc import Callable

import numpy as np

from engine import layout
from engine.frame.context import Context
from engine.frame.cull_rasterize import CullRasterize
from engine.frame.debug_view import DebugView
from engine.frame.material_passes import MaterialPasses
from engine.frame.shadow import Shadow
from engine.frame.view import ViewResources
from engine.settings import FrameSettings


class FramePasses:
    """The passes of a frame, made once for a scene, an image size and a set of queues."""

    def __init__(self, context: Context, cull_rasterize: Callable[[Context], CullRasterize] = CullRasterize):
        self.cull_rasterize = cull_rasterize(context)
        self.shadow = Shadow(context) if context.shadow_maps else None
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

    def encode(
        self,
        context: Context,
        view: np.ndarray,
        shadow_views: np.ndarray,
        settings: FrameSettings,
        depth_scale: float,
        keeps_set: bool = False,
    ) -> None:
        """Record one frame of one view (layout.VIEW record) and its shadow maps (k,) into the context's encoder.

        With `keeps_set` nothing is culled for the view: what the last frame found visible is drawn again.
        """
        assert isinstance(context.view, ViewResources), "the camera's, not shadow maps"
        moved = context.scene_buffers.update_instances()
        view = context.view.with_history(view, moved)
        views = np.zeros(1 + len(shadow_views), layout.VIEW)  # concatenate would leave out the padding
        views[0], views[1:] = view, shadow_views
        context.scene_buffers.write_views(views, context.view.previous_view.reshape(1))
        if keeps_set:
            self.cull_rasterize.encode_kept(context)
        else:
            self.cull_rasterize.encode(context, view_count=1)
        if self.shadow:
            self.shadow.encode(context, shadow_views, is_limited=settings.shadow_distance > 0.0)
        context.view.keep_history(view, is_kept=context.use_occlusion and not keeps_set)
        if context.show == layout.CONSTANTS["SHOW_SHADED"]:
            assert self.material_passes
            self.material_passes.encode(context, settings)
        else:
            assert self.debug_view
            self.debug_view.encode(context, settings, depth_scale)
