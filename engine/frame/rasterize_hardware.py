"""Draw the visible clusters that are large on the screen with the graphics pipeline."""

import wgpu

from engine import layout
from engine.frame.context import Context, set_immediates
from engine.frame.queues import PHASES, bin_offset
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
        self._reach = tuple(float(pixels + 2.0 * _GUARD) for pixels in context.view.size)
        usage = wgpu.TextureUsage.RENDER_ATTACHMENT
        self._target = gpu.create_texture(
            label=NAME, size=(*context.view.size, 1), format=_FORMAT, usage=usage
        ).create_view()

    def encode(self, context: Context, phase: int) -> None:
        """Record the pass."""
        with context.render_pass(f"{PHASES[phase]}/{NAME}", self._target) as render:
            render.set_pipeline(self._kernel.pipeline)
            render.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            render.set_bind_group(1, self._group)
            context.scene_buffers.textures.set_bind_group(render, self._kernel)
            render.set_viewport(-_GUARD, -_GUARD, *self._reach, 0.0, 1.0)
            set_immediates(render, phase)
            render.draw_indirect(context.queues.resources["raster_arguments"], bin_offset("hardware", phase))
