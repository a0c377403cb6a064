"""Light the G-buffer and write the image."""

import numpy as np

from engine import layout
from engine.frame.bin_pixels import ALL_BINS, BinPixels
from engine.frame.cascades import light_direction
from engine.frame.context import Context
from engine.gpu.buffers import create_buffer, upload
from engine.gpu.shader import Kernel, link
from engine.settings import FrameSettings

NAME = "lighting"


class Lighting:
    """Pass lighting: one lane a pixel, over the binned pixels where there are bins."""

    def __init__(self, context: Context, bins: BinPixels | None):
        constants = {**context.constants, "from_bins": bins is not None}
        self._bins = bins
        self._kernel = Kernel(context.device, NAME, constants, context.runtime_checks)
        self._dtype = layout.parse_structs(link(NAME).struct_text("Lighting"))["Lighting"]
        self._parameters = create_buffer(context.device, "lighting parameters", self._dtype.itemsize)
        resources = {**context.view.resources, **context.receiver_resources, "lighting_parameters": self._parameters}
        resources |= bins.resources if bins else dict.fromkeys(("bin_ranges", "binned_pixels"), resources["overdraw"])
        self._group = self._kernel.bind(1, resources)

    def encode(self, context: Context, settings: FrameSettings) -> None:
        record = np.zeros(1, self._dtype)
        record["light_direction"] = light_direction(settings)
        record["light_intensity"] = settings.light_intensity
        record["sky_intensity"] = settings.sky_intensity
        record["exposure"] = settings.exposure
        record["background"] = background_word(settings)
        record["curve"] = layout.CONSTANTS[f"TONEMAP_{settings.tonemap.upper()}"]
        upload(context.device, self._parameters, record)
        width, height = context.view.size
        with context.compute_pass(NAME) as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            compute.set_bind_group(1, self._group)
            if self._bins:
                compute.dispatch_workgroups_indirect(self._bins.arguments, 12 * ALL_BINS)
            else:
                compute.dispatch_workgroups(-(-width // 8), -(-height // 8))


def background_word(settings: FrameSettings) -> int:
    """Return the background as an image holds it: 8-bit sRGB, red in the low byte, opaque."""
    color = np.clip(np.array(settings.background), 0.0, 1.0)
    coded = np.where(color <= 0.0031308, 12.92 * color, 1.055 * color ** (1 / 2.4) - 0.055)
    red, green, blue = (int(255.0 * value + 0.5) for value in coded)
    return red | green << 8 | blue << 16 | 255 << 24
