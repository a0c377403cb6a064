"""Draw the visible clusters of few triangles by compute."""

from engine.frame.context import IndirectPass
from engine.frame.queues import bin_offset


class RasterizeSmall(IndirectPass):
    """Pass rasterize_small: several clusters share a workgroup."""

    NAME = "rasterize_small"
    ARGUMENTS = "raster_arguments"
    OFFSET_BYTES = bin_offset("small")
