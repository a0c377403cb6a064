"""Turn the visibility buffer into an image: shaded, or one of the debug views."""

import numpy as np

from engine import layout
from engine.frame.context import Context
from engine.gpu.buffers import create_buffer, upload
from engine.gpu.shader import Kernel, link
from engine.settings import FrameSettings

NAME = "resolve"


class Resolve:
    """Pass resolve: one lane a pixel."""

    def __init__(self, context: Context):
        self._kernel = Kernel(context.device, NAME, context.constants, context.runtime_checks)
        self._dtype = layout.parse_structs(link(NAME).struct_text("Resolve"))["Resolve"]
        self._parameters = create_buffer(context.device, "resolve parameters", self._dtype.itemsize)
        resources = {
            **context.queues.resources,
            **context.view.resources,
            "resolve_parameters": self._parameters,
        }
        self._group = self._kernel.bind(1, resources)

    def encode(self, context: Context, settings: FrameSettings, depth_scale: float) -> None:
        light = np.array(settings.light_direction)
        record = np.zeros(1, self._dtype)
        record["background"] = settings.background
        record["light_direction"] = light / max(float(np.linalg.norm(light)), 1e-20)
        record["exposure"] = settings.exposure
        record["depth_scale"] = depth_scale
        upload(context.device, self._parameters, record)
        width, height = context.view.size
        with context.compute_pass(NAME) as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            compute.set_bind_group(1, self._group)
            compute.dispatch_workgroups(-(-width // 8), -(-height // 8))
