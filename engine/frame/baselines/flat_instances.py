"""Choose what each instance draws from, one thread an instance, and hand it on in pieces."""

import wgpu

from engine import layout
from engine.frame.context import Context, PhasePass, set_immediates

_LANES = 64
_FOLD = int(layout.CONSTANTS["DISPATCH_FOLD"])


class FlatInstances(PhasePass):
    """Pass flat_instances: for an instance in view all lists of its mesh, or with `picks_level` that of its level.

    `tables`: the buffers of the lists, by shader variable name.
    """

    NAME = "flat_instances"

    def __init__(self, context: Context, tables: dict[str, wgpu.GPUBuffer], picks_level: bool):
        self._tables = tables
        super().__init__(context, picks_level=picks_level)

    def _bind(self, context: Context, resources: dict[str, wgpu.GPUBuffer]) -> wgpu.GPUBindGroup:
        return super()._bind(context, {**resources, **self._tables})

    def encode(self, context: Context, phase: int) -> None:
        """Record the pass."""
        slots = len(context.scene_buffers.scene.instances)
        workgroups = -(-slots // _LANES)
        with self.begin(context, phase) as compute:
            set_immediates(compute, phase, slots)
            compute.dispatch_workgroups(min(workgroups, _FOLD), -(-workgroups // _FOLD))
