"""Draw the image of a frame to a window or another colour target."""

import wgpu

from engine.frame.context import Context, set_immediates
from engine.gpu.device import Device
from engine.gpu.shader import DrawKernel

NAME = "present"


class Present:
    """Pass present: one triangle; the last pass of a frame that somebody looks at.

    A window's texture cannot be written by compute shaders, and may have another size than the image.
    """

    def __init__(self, device: Device, target_format: str):
        self._kernel = DrawKernel(device, NAME, target_format, {"target_is_srgb": target_format.endswith("-srgb")})

    def encode(self, context: Context, encoder: wgpu.GPUCommandEncoder, target: wgpu.GPUTexture) -> None:
        """Record the pass: it covers `target`."""
        attachment = {
            "view": target.create_view(),
            "load_op": "clear",
            "store_op": "store",
            "clear_value": (0, 0, 0, 1),
        }
        draw = encoder.begin_render_pass(label=NAME, color_attachments=[attachment])
        draw.set_pipeline(self._kernel.pipeline)
        draw.set_bind_group(0, self._kernel.bind(0, context.view.resources))
        set_immediates(draw, *context.view.size, *target.size[:2])
        draw.draw(3)
        draw.end()
