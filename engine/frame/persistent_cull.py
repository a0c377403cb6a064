"""Walk the instance tree and all hierarchies with threads that stay resident."""

from engine.frame.context import Context, PhasePass


class PersistentCull(PhasePass):
    """Pass persistent_cull: one dispatch, whatever the depth of tree and hierarchies."""

    NAME = "persistent_cull"

    def encode(self, context: Context, phase: int) -> None:
        """Record the pass."""
        with self.begin(context, phase) as compute:
            compute.dispatch_workgroups(context.persistent_workgroups)
