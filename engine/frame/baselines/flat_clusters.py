"""Test or take the clusters of the pieces that flat_instances chose, one thread a cluster."""

import wgpu

from engine.frame.context import Context, IndirectPass


class FlatClusters(IndirectPass):
    """Pass flat_clusters: one workgroup a piece; with `tests_clusters` each is tested for its level and the frustum."""

    NAME = "flat_clusters"
    ARGUMENTS = "cluster_arguments"

    def __init__(self, context: Context, tables: dict[str, wgpu.GPUBuffer], tests_clusters: bool):
        self._tables = tables
        super().__init__(context, tests_clusters=tests_clusters)

    def _bind(self, context: Context, resources: dict[str, wgpu.GPUBuffer]) -> wgpu.GPUBindGroup:
        # Its own arguments are no business of it, though the library it imports declares them.
        return super()._bind(context, {**resources, **self._tables, "cluster_arguments": resources["unused"]})
