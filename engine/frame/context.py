"""What the passes of one frame share."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import wgpu

from engine import layout
from engine.frame.queues import Queues
from engine.frame.scene_buffers import SceneBuffers
from engine.frame.view import ViewResources
from engine.gpu.device import Device
from engine.gpu.shader import Kernel
from engine.gpu.timing import PassTimer

# Tiles of 16 x 8 pixels that one workgroup draws of a large triangle. A CPU runs few workgroups at once: to decode the
# triangle again costs more than it gains there.
SOFTWARE_SLICE_TILES, GPU_SLICE_TILES = 1024, 64
FOLD = layout.CONSTANTS["DISPATCH_FOLD"]


@dataclass
class Context:
    """Resources of a frame and the encoder that it is being recorded with."""

    device: Device
    scene_buffers: SceneBuffers
    queues: Queues
    view: ViewResources
    timer: PassTimer
    use_persistent: bool
    persistent_workgroups: int
    runtime_checks: bool
    uses_hardware: bool  # some clusters may go to the hardware raster
    show: int  # SHOW_* of layout.wgsl
    encoder: wgpu.GPUCommandEncoder | None = None

    @property
    def constants(self) -> dict[str, int | bool]:
        """Pipeline constants of the passes; a kernel takes those that it declares."""
        return {
            **self.scene_buffers.constants,
            "use_persistent": self.use_persistent,
            "count_overdraw": self.view.count_overdraw,
            "show": self.show,
            "slice_tiles": SOFTWARE_SLICE_TILES if self.device.is_software else GPU_SLICE_TILES,
        }

    @contextmanager
    def compute_pass(self, label: str) -> Generator[wgpu.GPUComputePassEncoder]:
        """Record a compute pass, timed under `label`."""
        assert self.encoder is not None, "a pass is recorded between begin and end of a frame"
        compute = self.timer.begin_pass(self.encoder, label)
        yield compute
        compute.end()

    @contextmanager
    def render_pass(self, label: str, target: wgpu.GPUTextureView) -> Generator[wgpu.GPURenderPassEncoder]:
        """Record a render pass, timed under `label`, whose only attachment `target` is neither cleared nor kept."""
        assert self.encoder is not None, "a pass is recorded between begin and end of a frame"
        render = self.timer.begin_render_pass(self.encoder, label, target)
        yield render
        render.end()


def fold(workgroups: int) -> tuple[int, int, int]:
    """Return dispatch dimensions for at least `workgroups` (more than 65,535 in one would run none)."""
    if workgroups <= FOLD:
        return workgroups, 1, 1
    return FOLD, -(-workgroups // FOLD), 1


class IndirectPass:
    """A pass of one compute dispatch whose size the passes before it counted on the GPU.

    A subclass gives `NAME` (shader and timing label), `ARGUMENTS` and `OFFSET_BYTES` (where its dispatch is counted).
    """

    NAME: str
    ARGUMENTS: str
    OFFSET_BYTES = 0

    def __init__(self, context: Context):
        self._kernel = Kernel(context.device, self.NAME, context.constants, context.runtime_checks)
        self._group = self._kernel.bind(1, {**context.queues.resources, **context.view.resources})

    def encode(self, context: Context) -> None:
        """Record the pass."""
        with context.compute_pass(f"main/{self.NAME}") as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            compute.set_bind_group(1, self._group)
            compute.dispatch_workgroups_indirect(context.queues.resources[self.ARGUMENTS], self.OFFSET_BYTES)
