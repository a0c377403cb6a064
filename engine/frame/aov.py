"""Arbitrary output variables: what every pixel shows, as numpy arrays."""

import numpy as np

from engine import layout
from engine.frame.context import Context
from engine.gpu.buffers import create_buffer, read_buffer
from engine.gpu.shader import Kernel

NAME = "aov"
AOV_NAMES = tuple(name[4:].lower() for name in layout.CONSTANTS if name.startswith("AOV_"))
_FLOAT = ("depth", "normal")


class Aov:
    """Pass aov: one lane a pixel, one variable at a time; not part of an interactive frame."""

    def __init__(self, context: Context):
        self._kernel = Kernel(context.device, NAME, context.constants, context.runtime_checks)

    def read(self, context: Context, name: str) -> np.ndarray:
        """Return the variable of the frame drawn last: (height, width) float32 or uint32, normals (height, width, 3).

        Raises ValueError for an unknown name.
        """
        if name not in AOV_NAMES:
            raise ValueError(f"unknown AOV {name!r}; one of: {', '.join(AOV_NAMES)}")
        width, height = context.view.size
        shape = (height, width, 3) if name == "normal" else (height, width)
        count = int(np.prod(shape))
        output = create_buffer(context.device, NAME, 4 * count)
        resources = {**context.queues.resources, **context.view.resources, "output": output}
        gpu = context.device.wgpu_device
        encoder = gpu.create_command_encoder(label=NAME)
        compute = encoder.begin_compute_pass(label=NAME)
        compute.set_pipeline(self._kernel.pipeline)
        compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
        compute.set_bind_group(1, self._kernel.bind(1, resources))
        immediates = np.array([0, layout.CONSTANTS[f"AOV_{name.upper()}"]], np.uint32)
        compute.set_immediates(0, immediates, 0, immediates.nbytes)
        compute.dispatch_workgroups(-(-width // 8), -(-height // 8))
        compute.end()
        gpu.queue.submit([encoder.finish()])
        dtype = np.dtype(np.float32 if name in _FLOAT else np.uint32)
        return read_buffer(context.device, output, dtype, count).reshape(shape)
