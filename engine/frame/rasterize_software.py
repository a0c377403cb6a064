"""Draw the visible clusters into the visibility buffer by compute."""

from engine.frame.context import BinPass


class RasterizeSoftware(BinPass):
    """Pass rasterize_software: one workgroup a cluster."""

    NAME = "rasterize_software"
    BIN = "software"
