"""Draw meshes from a vertex and an index buffer, with instancing and a depth test."""

from dataclasses import dataclass

import numpy as np
import wgpu

from engine.frame.baselines.triangle_draws import Draw
from engine.frame.context import Context
from engine.gpu.buffers import buffer_from
from engine.gpu.mesh_kernel import DEPTH_FORMAT, MeshKernel
from engine.scene_triangles import Triangles

NAME = "draw_triangles"
NAME_FORMAT = "rg32uint"


@dataclass
class Targets:
    """The attachments, of the size of the image: what names the triangle of each pixel, and its depth."""

    name_target: wgpu.GPUTextureView
    depth_target: wgpu.GPUTextureView

    @classmethod
    def of(cls, context: Context) -> "Targets":
        """Make them."""
        usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.TEXTURE_BINDING
        made = [
            context.device.wgpu_device.create_texture(
                label=f"{NAME} {texture_format}", size=(*context.view.size, 1), format=texture_format, usage=usage
            ).create_view()
            for texture_format in (NAME_FORMAT, DEPTH_FORMAT)
        ]
        return cls(*made)


class DrawTriangles:
    """Pass draw_triangles: an instanced, indexed draw for each mesh and each kind of its faces."""

    def __init__(self, context: Context, triangles: Triangles, targets: Targets):
        self._kernel = MeshKernel(context.device, NAME, NAME_FORMAT, context.constants, context.runtime_checks)
        copied = wgpu.BufferUsage.COPY_DST
        self._vertices = buffer_from(
            context.device, "triangle positions", triangles.positions, wgpu.BufferUsage.VERTEX | copied
        )
        indices = np.ascontiguousarray(triangles.corners)
        self._indices = buffer_from(context.device, "triangle corners", indices, wgpu.BufferUsage.INDEX | copied)
        self.memory_bytes = self._vertices.size + self._indices.size
        self._targets = targets
        self._draws: list[Draw] = []
        self._group: wgpu.GPUBindGroup | None = None

    def place(self, draws: list[Draw], drawn_instances: wgpu.GPUBuffer) -> None:
        """Take the draws of the instances of the next frames."""
        self._draws = draws
        self._group = self._kernel.bind(1, {"drawn_instances": drawn_instances})

    def encode(self, context: Context, phase: int) -> None:
        """Record the pass."""
        label = f"{context.phase_labels[phase]}/{NAME}"
        with context.render_pass(label, self._targets.name_target, self._targets.depth_target) as render:
            render.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            render.set_bind_group(1, self._group)
            render.set_vertex_buffer(0, self._vertices)
            render.set_index_buffer(self._indices, "uint32")
            faces = ""
            for draw in self._draws:
                if draw.faces != faces:
                    faces = draw.faces
                    render.set_pipeline(self._kernel.pipeline(faces))
                render.draw_indexed(
                    3 * draw.triangle_count, draw.instance_count, 3 * draw.first_triangle, 0, draw.first_instance
                )
