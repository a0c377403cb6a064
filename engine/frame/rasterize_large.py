"""Draw the triangles that rasterize_software left: large ones, and those that must be clipped."""

from engine.frame.context import IndirectPass


class RasterizeLarge(IndirectPass):
    """Pass rasterize_large: one workgroup for each slice of a triangle."""

    NAME = "rasterize_large"
    ARGUMENTS = "large_arguments"
