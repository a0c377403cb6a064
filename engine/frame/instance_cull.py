"""Test every instance and push the roots of those that may be seen."""

import numpy as np

from engine.frame.context import Context, fold
from engine.gpu.shader import Kernel

NAME = "instance_cull"
_LANES = 64


class InstanceCull:
    """Pass instance_cull: one lane an instance."""

    def __init__(self, context: Context):
        self._kernel = Kernel(context.device, NAME, context.constants, context.runtime_checks)
        self._group = self._kernel.bind(1, context.queues.for_level(0))

    def encode(self, context: Context) -> None:
        count = len(context.scene_buffers.scene.instances)
        immediates = np.array([count, 0], np.uint32)
        with context.compute_pass(f"main/{NAME}") as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            compute.set_bind_group(1, self._group)
            compute.set_immediates(0, immediates, 0, immediates.nbytes)
            compute.dispatch_workgroups(*fold(-(-count // _LANES)))
