"""Empty the counters, the indirect arguments and the visibility buffer or the shadow maps."""

from engine.frame.context import Context, set_immediates
from engine.gpu.shader import Kernel

NAME = "init_context"
_LANES = 256

_SEEDS = 512  # items that the walk begins with, at most


def seeds(context: Context, view_count: int = 1) -> tuple[int, int]:
    """Return first and number of the instance tree's nodes that the traversal of so many views begins with."""
    return context.scene_buffers.seeds(min(_SEEDS, context.queues.capacities.nodes) // max(view_count, 1))


class InitContext:
    """Pass init_context; one dispatch with a stride, sized for the visibility buffer.

    On an adapter that is a CPU, where each lane costs and a buffer is cleared by one call, the dispatch is as large as
    the counters ask for.
    """

    def __init__(self, context: Context, label: str = NAME):
        self._label = label
        self._clears_buffers = context.device.is_software
        constants = {"clears_pixels": not self._clears_buffers}
        self._kernel = Kernel(context.device, NAME, constants, context.runtime_checks)
        self._samples = context.view.samples
        self._group = self._kernel.bind(
            0, {**context.queues.resources, **context.view.resources, "samples": self._samples}
        )
        width, height = context.view.size
        counters = [context.queues.resources[name] for name in ("states", "raster_arguments", "level_arguments_even")]
        lanes = max(buffer.size // 4 for buffer in counters) if self._clears_buffers else width * height
        self._workgroups = min(-(-max(lanes, _SEEDS) // _LANES), 4096)

    def encode(self, context: Context, view_count: int, first_view: int, keeps_set: bool = False) -> None:
        """Record the pass: the traversal begins for `view_count` views from `first_view` on.

        It begins with as many nodes of the instance tree as fill a GPU. With `keeps_set` there is none: what the last
        frame found visible is drawn again.
        """
        if self._clears_buffers:
            assert context.encoder
            for buffer in (self._samples, context.view.resources["overdraw"]):
                context.encoder.clear_buffer(buffer)
        with context.compute_pass(self._label) as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, self._group)
            set_immediates(compute, first_view, view_count, *seeds(context, view_count), keeps_set)
            compute.dispatch_workgroups(self._workgroups)
