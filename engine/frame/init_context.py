"""Empty the counters, the indirect arguments and the visibility buffer or the shadow maps."""

from engine.frame.context import Context, set_immediates
from engine.gpu.shader import Kernel

NAME = "init_context"


class InitContext:
    """Pass init_context; one dispatch with a stride, sized for the visibility buffer."""

    def __init__(self, context: Context, label: str = NAME):
        self._label = label
        self._kernel = Kernel(context.device, NAME, runtime_checks=context.runtime_checks)
        self._group = self._kernel.bind(
            0, {**context.queues.resources, **context.view.resources, "samples": context.view.samples}
        )
        width, height = context.view.size
        self._workgroups = min(-(-width * height // 256), 4096)

    def encode(self, context: Context, view_count: int, first_view: int) -> None:
        """Record the pass: the traversal begins for `view_count` views from `first_view` on."""
        with context.compute_pass(self._label) as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, self._group)
            set_immediates(compute, first_view, view_count)
            compute.dispatch_workgroups(self._workgroups)
