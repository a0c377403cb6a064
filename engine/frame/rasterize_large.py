"""Draw the triangles that rasterize_software left: large ones, and those that must be clipped."""

from engine.frame.context import Context
from engine.gpu.shader import Kernel

NAME = "rasterize_large"


class RasterizeLarge:
    """Pass rasterize_large: one workgroup for each slice of a triangle, counted on the GPU."""

    def __init__(self, context: Context):
        self._kernel = Kernel(context.device, NAME, context.constants, context.runtime_checks)
        self._group = self._kernel.bind(1, {**context.queues.resources, **context.view.resources})

    def encode(self, context: Context) -> None:
        with context.compute_pass(f"main/{NAME}") as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            compute.set_bind_group(1, self._group)
            compute.dispatch_workgroups_indirect(context.queues.resources["large_arguments"], 0)
