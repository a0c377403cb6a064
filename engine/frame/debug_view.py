"""The image of a debug view, in place of the material passes."""

import numpy as np

from engine import layout
from engine.frame.cascades import light_direction
from engine.frame.context import Context
from engine.frame.lighting import background_word
from engine.gpu.buffers import create_buffer, upload
from engine.gpu.shader import Kernel, link
from engine.settings import FrameSettings

NAME = "debug_view"


class DebugView:
    """Pass debug_view: one lane a pixel; what it shows is fixed when it is made."""

    def __init__(self, context: Context):
        self.show = context.show
        self._kernel = Kernel(context.device, NAME, context.constants, context.runtime_checks)
        self._dtype = layout.parse_structs(link(NAME).struct_text("DebugView"))["DebugView"]
        self._parameters = create_buffer(context.device, "debug_view parameters", self._dtype.itemsize)
        resources = {
            **context.queues.resources,
            **context.view.resources,
            **context.receiver_resources,
            "debug_parameters": self._parameters,
        }
        self._group = self._kernel.bind(1, resources)

    def encode(self, context: Context, settings: FrameSettings, depth_scale: float) -> None:
        """Record the pass; the views of depth show the distance `depth_scale` half bright."""
        record = np.zeros(1, self._dtype)
        record["light_direction"] = light_direction(settings)
        record["depth_scale"] = depth_scale
        record["background"] = background_word(settings)
        upload(context.device, self._parameters, record)
        width, height = context.view.size
        with context.compute_pass(NAME) as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            compute.set_bind_group(1, self._group)
            compute.dispatch_workgroups(-(-width // 8), -(-height // 8))
