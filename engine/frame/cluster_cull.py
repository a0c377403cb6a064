"""Test the members of the candidate groups, and in the post pass what the main pass found hidden."""

import wgpu

from engine.frame.context import Context, IndirectPass


class ClusterCull(IndirectPass):
    """Pass cluster_cull: sized by those that pushed the groups."""

    NAME = "cluster_cull"
    ARGUMENTS = "cluster_arguments"

    def _bind(self, context: Context, resources: dict[str, wgpu.GPUBuffer]) -> wgpu.GPUBindGroup:
        # Its own arguments are no business of it, though the library it imports declares them.
        return super()._bind(context, {**resources, "cluster_arguments": resources["unused"]})
