"""Draw the visible clusters of few triangles by compute."""

from engine.frame.context import BinPass


class RasterizeSmall(BinPass):
    """Pass rasterize_small: several clusters share a workgroup."""

    NAME = "rasterize_small"
    BIN = "small"
