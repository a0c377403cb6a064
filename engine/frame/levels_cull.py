"""Walk the instance tree and all hierarchies level by level: the traversal that works on every adapter."""

from engine.frame.context import Context, PhasePass, set_immediates
from engine.frame.queues import MAX_LEVELS, PHASES


class LevelsCull(PhasePass):
    """Pass levels_cull: one indirect dispatch for each level of the tree and the deepest hierarchy."""

    NAME = "levels_cull"

    def __init__(self, context: Context):
        super().__init__(context)
        self._by_level = [
            [self._bind(context, context.queues.for_phase(phase, level)) for level in (0, 1)]
            for phase in range(len(PHASES))
        ]

    def encode(self, context: Context, phase: int) -> None:
        """Record the pass."""
        queues = context.queues
        with self.begin(context, phase) as compute:
            for level in range(context.scene_buffers.depth):
                compute.set_bind_group(1, self._by_level[phase][(level + 1) % 2])
                set_immediates(compute, phase, level)
                if phase and level == 0:
                    compute.dispatch_workgroups_indirect(queues.resources["post_arguments"], 0)
                else:
                    entry = phase * MAX_LEVELS + level
                    compute.dispatch_workgroups_indirect(queues.level_arguments(level), 12 * entry)
