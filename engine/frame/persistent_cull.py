"""Walk all hierarchies with threads that stay resident."""

from engine.frame.context import Context
from engine.gpu.shader import Kernel

NAME = "persistent_cull"


class PersistentCull:
    """Pass persistent_cull: one dispatch, whatever the depth of the hierarchies."""

    def __init__(self, context: Context):
        self._kernel = Kernel(context.device, NAME, context.constants, context.runtime_checks)
        self._group = self._kernel.bind(1, context.queues.for_level(1))

    def encode(self, context: Context) -> None:
        with context.compute_pass(f"main/{NAME}") as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            compute.set_bind_group(1, self._group)
            compute.dispatch_workgroups(context.persistent_workgroups)
