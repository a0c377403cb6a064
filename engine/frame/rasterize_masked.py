"""Draw the visible clusters with alpha-masked materials by compute."""

from engine.frame.context import IndirectPass
from engine.frame.queues import bin_offset


class RasterizeMasked(IndirectPass):
    """Pass rasterize_masked: one workgroup a cluster, an alpha test for each sample."""

    NAME = "rasterize_masked"
    ARGUMENTS = "raster_arguments"
    OFFSET_BYTES = bin_offset("masked")
