"""Draw the visible clusters that are large on the screen with the graphics pipeline."""

import numpy as np
import wgpu

from engine import layout
from engine.frame.context import Context
from engine.frame.queues import bin_offset
from engine.gpu.shader import RenderKernel

NAME = "rasterize_hardware"
_FORMAT = "r8unorm"
_GUARD = layout.CONSTANTS["HARDWARE_GUARD_PIXELS"]


class RasterizeHardware:
    """Pass rasterize_hardware: one instanced draw, counted on the GPU; fragments write the visibility buffer.

    A draw needs an attachment: this one has the size of the image and is never written.
    """

    def __init__(self, context: Context):
        gpu = context.device.wgpu_device
        self._kernel = RenderKernel(context.device, NAME, _FORMAT, context.constants, context.runtime_checks)
        self._group = self._kernel.bind(1, {**context.queues.resources, **context.view.resources})
        width, height = context.view.size
        usage = wgpu.TextureUsage.RENDER_ATTACHMENT
        self._target = gpu.create_texture(
            label=NAME, size=(width, height, 1), format=_FORMAT, usage=usage
        ).create_view()
        self._size = np.array([width, height], np.float32)

    def encode(self, context: Context) -> None:
        """Record the pass."""
        with context.render_pass(f"main/{NAME}", self._target) as render:
            render.set_pipeline(self._kernel.pipeline)
            render.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            render.set_bind_group(1, self._group)
            reach = self._size + 2.0 * _GUARD
            render.set_viewport(-_GUARD, -_GUARD, float(reach[0]), float(reach[1]), 0.0, 1.0)
            render.set_immediates(0, self._size, 0, self._size.nbytes)
            render.draw_indirect(context.queues.resources["raster_arguments"], bin_offset("hardware"))
