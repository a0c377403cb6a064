"""Draw the visible clusters into the visibility buffer by compute."""

from engine.frame.context import IndirectPass
from engine.frame.queues import bin_offset


class RasterizeSoftware(IndirectPass):
    """Pass rasterize_software: one workgroup a cluster."""

    NAME = "rasterize_software"
    ARGUMENTS = "raster_arguments"
    OFFSET_BYTES = bin_offset("software")
