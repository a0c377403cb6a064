"""Scene depth, velocity and material of every pixel, where several material functions wait for them."""

import numpy as np

from engine.frame.context import Context
from engine.gpu.shader import Kernel

NAME = "emit_depth_targets"


class EmitDepthTargets:
    """Pass emit_depth_targets: one lane a pixel."""

    def __init__(self, context: Context):
        self._kernel = Kernel(context.device, NAME, context.constants, context.runtime_checks)
        self._group = self._kernel.bind(1, {**context.queues.resources, **context.view.resources})

    def encode(self, context: Context) -> None:
        width, height = context.view.size
        immediates = np.array([0], np.uint32)
        with context.compute_pass(NAME) as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            compute.set_bind_group(1, self._group)
            compute.set_immediates(0, immediates, 0, immediates.nbytes)
            compute.dispatch_workgroups(-(-width // 8), -(-height // 8))
