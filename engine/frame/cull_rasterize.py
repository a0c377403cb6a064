"""CullRasterize: from the roots of the instance tree to samples in the visibility buffer, in two passes.

The main pass draws what the depth pyramid of the last frame does not hide. The post pass asks again about the rest,
with a pyramid of what the main pass drew, and goes on where the main pass stopped (Karis et al., "Nanite: A Deep
Dive", SIGGRAPH 2021). What is drawn in the end is right whatever the last frame showed: its pyramid only decides
what comes first.
"""

from typing import Any

from engine import layout
from engine.frame.cluster_cull import ClusterCull
from engine.frame.context import BinPass, Context, IndirectPass
from engine.frame.depth_pyramid import DepthPyramid
from engine.frame.init_context import InitContext
from engine.frame.levels_cull import LevelsCull
from engine.frame.persistent_cull import PersistentCull
from engine.frame.rasterize_hardware import RasterizeHardware
from engine.frame.rasterize_large import RasterizeLarge
from engine.frame.rasterize_masked import RasterizeMasked
from engine.frame.rasterize_small import RasterizeSmall
from engine.frame.rasterize_software import RasterizeSoftware

MAIN, POST = layout.CONSTANTS["PHASE_MAIN"], layout.CONSTANTS["PHASE_POST"]


class CullRasterize:
    """The passes of both phases, for the views that were written to the scene's buffers.

    The baselines of engine.frame.baselines are subclasses that make other passes. `traversal` says how the hierarchy
    is walked; `memory_bytes` are those of buffers of its own.
    """

    def __init__(self, context: Context, label: str = "init_context"):
        self.traversal = "persistent" if context.use_persistent else "levels"
        self.memory_bytes = 0
        self.init_context = InitContext(context, label)
        self.cull_passes = self._make_cull_passes(context)
        self.rasterizers = self._make_rasterizers(context)
        self.depth_pyramid = DepthPyramid(context) if context.use_occlusion else None

    def encode(self, context: Context, view_count: int, first_view: int = 0) -> None:
        """Record everything from emptied buffers to the complete visibility buffer."""
        self.init_context.encode(context, view_count, first_view)
        self._encode_phase(context, MAIN)
        if self.depth_pyramid:
            self.depth_pyramid.encode(context, MAIN)
            self._encode_phase(context, POST)
            self.depth_pyramid.encode(context, POST)

    def encode_kept(self, context: Context) -> None:
        """Record the visibility buffer of the clusters that the last frame found visible, seen as the view says now.

        They lie in the raster classes that suited the last frame's view; the hardware class cannot be clipped, so that
        frame must have been drawn without it.
        """
        self.init_context.encode(context, view_count=1, first_view=0, keeps_set=True)
        for phase in (MAIN, POST):
            for one in self.rasterizers:
                one.encode(context, phase)

    def _make_cull_passes(self, context: Context) -> list[Any]:
        return [PersistentCull(context) if context.use_persistent else LevelsCull(context), ClusterCull(context)]

    def _make_rasterizers(self, context: Context) -> list[Any]:
        return rasterizers(context)

    def _encode_phase(self, context: Context, phase: int) -> None:
        for one in (*self.cull_passes, *self.rasterizers):
            one.encode(context, phase)


def rasterizers(context: Context) -> list[BinPass | IndirectPass | RasterizeHardware]:
    """Return the raster passes that the scene and the settings can give work to, in their order."""
    kinds: list[type[BinPass] | type[IndirectPass] | type[RasterizeHardware]] = [RasterizeSoftware, RasterizeSmall]
    if context.has_masks:
        kinds.append(RasterizeMasked)
    kinds.append(RasterizeLarge)
    if context.uses_hardware:
        kinds.append(RasterizeHardware)
    return [kind(context) for kind in kinds]
