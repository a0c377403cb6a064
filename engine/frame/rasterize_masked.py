"""Draw the visible clusters with alpha-masked materials by compute."""

from engine.frame.context import BinPass


class RasterizeMasked(BinPass):
    """Pass rasterize_masked: one workgroup a cluster, an alpha test for each sample."""

    NAME = "rasterize_masked"
    BIN = "masked"
