"""Walk all hierarchies level by level: the traversal that works on every adapter."""

import numpy as np

from engine.frame.context import Context
from engine.gpu.shader import Kernel

NAME = "levels_cull"


class LevelsCull:
    """Pass levels_cull: one indirect dispatch for each level of the deepest BVH."""

    def __init__(self, context: Context):
        self._kernel = Kernel(context.device, NAME, context.constants, context.runtime_checks)
        self._groups = [self._kernel.bind(1, context.queues.for_level(level)) for level in (0, 1)]

    def encode(self, context: Context) -> None:
        with context.compute_pass(f"main/{NAME}") as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            for level in range(context.scene_buffers.depth):
                compute.set_bind_group(1, self._groups[(level + 1) % 2])
                immediates = np.array([level], np.uint32)
                compute.set_immediates(0, immediates, 0, immediates.nbytes)
                compute.dispatch_workgroups_indirect(context.queues.level_arguments(level), 12 * level)
