"""The depth pyramid of a view: what a box is compared with to know that it is hidden."""

from engine.frame.context import Context, set_immediates
from engine.frame.queues import PHASES
from engine.gpu.shader import Kernel

NAME = "depth_pyramid"
TILE_PIXELS = 64


class DepthPyramid:
    """Pass depth_pyramid: one workgroup a tile of the image, all levels at once."""

    def __init__(self, context: Context):
        self._kernel = Kernel(context.device, NAME, context.constants, context.runtime_checks)
        self._group = self._kernel.bind(1, {**context.queues.resources, **context.view.resources})

    def encode(self, context: Context, phase: int) -> None:
        """Record the pass after the main pass (`phase` PHASE_MAIN) or the post pass of a frame."""
        width, height = context.view.size
        with context.compute_pass(f"{PHASES[phase]}/{NAME}") as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            compute.set_bind_group(1, self._group)
            set_immediates(compute, 0, phase)
            compute.dispatch_workgroups(-(-width // TILE_PIXELS), -(-height // TILE_PIXELS))
