"""Turn depth buffer and triangle names into the visibility buffer, which all shading starts from."""

import wgpu

from engine.frame.baselines.draw_triangles import Targets
from engine.frame.context import Context
from engine.gpu.shader import Kernel

NAME = "resolve_triangles"


class ResolveTriangles:
    """Pass resolve_triangles: a lane a pixel."""

    def __init__(self, context: Context, targets: Targets, triangle_names: wgpu.GPUBuffer):
        self._kernel = Kernel(context.device, NAME, context.constants, context.runtime_checks)
        self._resources = {
            "depth_target": targets.depth_target,
            "name_target": targets.name_target,
            "triangle_names": triangle_names,
            "visibility": context.view.samples,
        }
        self._group: wgpu.GPUBindGroup | None = None

    def place(self, drawn_instances: wgpu.GPUBuffer) -> None:
        """Take the instances of the next frames."""
        self._group = self._kernel.bind(0, {**self._resources, "drawn_instances": drawn_instances})

    def encode(self, context: Context, phase: int) -> None:
        """Record the pass."""
        width, height = context.view.size
        with context.compute_pass(f"{context.phase_labels[phase]}/{NAME}") as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, self._group)
            compute.dispatch_workgroups(-(-width // 8), -(-height // 8))
