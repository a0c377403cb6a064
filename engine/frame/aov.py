"""Arbitrary output variables: what every pixel shows, as numpy arrays."""

import numpy as np

from engine import layout
from engine.frame.context import Context
from engine.gpu.buffers import create_buffer, read_buffer
from engine.gpu.shader import Kernel

NAME = "aov"
AOV_NAMES = tuple(name[4:].lower() for name in layout.CONSTANTS if name.startswith("AOV_"))
# Components of each that has several; the names of those that a shaded frame leaves behind.
_COMPONENTS = {"normal": 3, "velocity": 2, "albedo": 3, "shading_normal": 3, "emissive": 3}
SHADED_NAMES = AOV_NAMES[AOV_NAMES.index("velocity") :]
_FLOAT = ("depth", "normal", *SHADED_NAMES)


def check_aov(name: str, view: str) -> None:
    """Raise ValueError for an unknown name, or one that a frame of this view mode does not make."""
    if name not in AOV_NAMES:
        raise ValueError(f"unknown AOV {name!r}; one of: {', '.join(AOV_NAMES)}")
    if name in SHADED_NAMES and view != "shaded":
        raise ValueError(f"AOV {name!r} is part of a shaded frame; the view is {view!r}")


class Aov:
    """Pass aov: one lane a pixel, one variable at a time; not part of an interactive frame."""

    def __init__(self, context: Context):
        self._kernel = Kernel(context.device, NAME, context.constants, context.runtime_checks)

    def read(self, context: Context, name: str) -> np.ndarray:
        """Return the variable of the frame drawn last: (height, width[, components]) float32 or uint32.

        Raises ValueError for an unknown name and for one that needs a shaded frame, which the last was not.
        """
        is_shaded = context.show == layout.CONSTANTS["SHOW_SHADED"]
        check_aov(name, "shaded" if is_shaded else "a debug view")
        width, height = context.view.size
        shape = (height, width, _COMPONENTS[name]) if name in _COMPONENTS else (height, width)
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
