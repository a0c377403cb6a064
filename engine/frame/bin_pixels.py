"""Sort the covered pixels by material function, or gather them where there is one function."""

import numpy as np

from engine import layout
from engine.frame.context import Context
from engine.gpu.buffers import INDIRECT, create_buffer
from engine.gpu.shader import Kernel

NAME = "bin_pixels"
COUNT, SCAN, SCATTER, GATHER = range(4)  # override `stage` of the shader
_BINS = layout.CONSTANTS["MAX_SHADERS"] + 1  # the last is that of all bins together
ALL_BINS = _BINS - 1


class BinPixels:
    """Pass bin_pixels: count, scan, scatter; `resources` are what base_pass and lighting read.

    With `by_coverage` all covered pixels are one bin, number 0: gather, scan; the depth targets, which base_pass then
    writes where something is, are emptied before.
    """

    def __init__(self, context: Context, by_coverage: bool):
        device, (width, height) = context.device, context.view.size
        self.arguments = create_buffer(device, "bin arguments", 12 * _BINS, INDIRECT)
        self.resources = {
            "bin_ranges": create_buffer(device, "bin ranges", 8 * _BINS),
            "binned_pixels": create_buffer(device, "binned pixels", 4 * width * height),
        }
        own = {
            "bin_counts": create_buffer(device, "bin counts", 4 * _BINS),
            "bin_cursors": create_buffer(device, "bin cursors", 4 * _BINS),
            "bin_arguments": self.arguments,
        }
        self.memory_bytes = sum(buffer.size for buffer in (*self.resources.values(), *own.values()))
        self._empties_targets = by_coverage
        self._kernels = {
            stage: Kernel(device, NAME, {**context.constants, "stage": stage}, context.runtime_checks)
            for stage in ((GATHER, SCAN) if by_coverage else (COUNT, SCAN, SCATTER))
        }
        self._group = self._kernels[SCAN].bind(1, {**context.view.resources, **self.resources, **own})

    def encode(self, context: Context, background: int) -> None:
        """Record the pass; pixels that show nothing get the image word `background`."""
        width, height = context.view.size
        tiles = -(-width // 16), -(-height // 16), 1
        immediates = np.array([0, background], np.uint32)
        if self._empties_targets:
            assert context.encoder
            for name in ("scene_depth", "velocity", "material_target"):
                context.encoder.clear_buffer(context.view.resources[name])
        with context.compute_pass(NAME) as compute:
            for stage, kernel in self._kernels.items():
                compute.set_pipeline(kernel.pipeline)
                compute.set_bind_group(0, context.scene_buffers.bind_group(kernel))
                compute.set_bind_group(1, self._group)
                compute.set_immediates(0, immediates, 0, immediates.nbytes)
                compute.dispatch_workgroups(*((1, 1, 1) if stage == SCAN else tiles))
