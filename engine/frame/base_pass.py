"""Run the material functions and write the G-buffer."""

from pathlib import Path

import numpy as np

from engine.frame.bin_pixels import BinPixels
from engine.frame.context import Context
from engine.gpu.shader import Kernel

NAME = "base_pass"


class BasePass:
    """Pass base_pass: one dispatch for each material function, over its bin, or one over all pixels without bins.

    `shaders` maps a bin to the file of its function. With `writes_targets` it stands in for emit_depth_targets.
    """

    def __init__(self, context: Context, shaders: dict[int, Path], bins: BinPixels | None, writes_targets: bool):
        constants = {**context.constants, "from_bins": bins is not None, "writes_targets": writes_targets}
        self._bins = bins
        self._kernels = {
            number: Kernel(context.device, NAME, constants, context.runtime_checks, modules=(("material", file),))
            for number, file in shaders.items()
        }
        resources = {**context.queues.resources, **context.view.resources, **(bins.resources if bins else {})}
        if not bins:  # what the shader names and does not read
            resources |= {"bin_ranges": resources["overdraw"], "binned_pixels": resources["overdraw"]}
        self._group = next(iter(self._kernels.values())).bind(1, resources)

    def encode(self, context: Context) -> None:
        width, height = context.view.size
        with context.compute_pass(NAME) as compute:
            for number, kernel in self._kernels.items():
                compute.set_pipeline(kernel.pipeline)
                compute.set_bind_group(0, context.scene_buffers.bind_group(kernel))
                compute.set_bind_group(1, self._group)
                context.scene_buffers.textures.set_bind_group(compute, kernel)
                immediates = np.array([0, number], np.uint32)
                compute.set_immediates(0, immediates, 0, immediates.nbytes)
                if self._bins:
                    compute.dispatch_workgroups_indirect(self._bins.arguments, 12 * number)
                else:
                    compute.dispatch_workgroups(-(-width // 8), -(-height // 8))
