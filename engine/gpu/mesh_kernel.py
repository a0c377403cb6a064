"""A kernel that draws triangles from a vertex and an index buffer with a depth buffer."""

from collections.abc import Mapping
from typing import Any

import wgpu

from engine.gpu.device import Device
from engine.gpu.shader import ShaderKernel

DEPTH_FORMAT = "depth32float"
_VERTEX = {
    "array_stride": 12,
    "step_mode": "vertex",
    "attributes": [{"format": "float32x3", "offset": 0, "shader_location": 0}],
}
_FACES = {"front": ("back", "ccw"), "mirrored": ("back", "cw"), "both": ("none", "ccw")}  # cull mode, front face


class MeshKernel(ShaderKernel):
    """The entry points `<name>_vertex` and `<name>_fragment`: a position (3 float32) a vertex, one colour target.

    The depth test is that of reverse Z: the larger depth is nearer.
    """

    def __init__(
        self,
        device: Device,
        name: str,
        target_format: str,
        constants: Mapping[str, Any] | None = None,
        runtime_checks: bool = True,
    ):
        super().__init__(device, name, runtime_checks, None)
        self._target_format = target_format
        self._constants = self._used(constants)

    def pipeline(self, faces: str) -> wgpu.GPURenderPipeline:
        """Return the pipeline for `faces`: "front", "both", or "mirrored", whose front faces turn the other way."""
        return self._made_once(self._constants, lambda: self._make(*_FACES[faces]), faces)

    def _make(self, cull_mode: str, front_face: str) -> wgpu.GPURenderPipeline:
        stage = {"module": self._module, "constants": self._constants}
        return self._device.wgpu_device.create_render_pipeline(
            label=self.name,
            layout=self._layout,
            vertex={**stage, "entry_point": f"{self.name}_vertex", "buffers": [_VERTEX]},
            primitive={"topology": "triangle-list", "cull_mode": cull_mode, "front_face": front_face},
            depth_stencil={"format": DEPTH_FORMAT, "depth_write_enabled": True, "depth_compare": "greater"},
            fragment={
                **stage,
                "entry_point": f"{self.name}_fragment",
                "targets": [{"format": self._target_format}],
            },
        )
