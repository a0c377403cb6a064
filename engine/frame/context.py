"""What the passes of one frame share."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import wgpu

from engine import layout
from engine.frame.queues import Queues
from engine.frame.scene_buffers import SceneBuffers
from engine.frame.view import ViewResources
from engine.gpu.device import Device
from engine.gpu.shader import Kernel
from engine.gpu.timing import PassTimer

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
    show: int  # SHOW_* of layout.wgsl
    material_folder: Path | None = None  # of the user's material functions
    list_pixels: bool | None = (
        None  # shade a list of the covered pixels, also with one material function; None: by adapter
    )
    encoder: wgpu.GPUCommandEncoder | None = None

    @property
    def constants(self) -> dict[str, int | bool]:
        """Pipeline constants of the passes; a kernel takes those that it declares."""
        return {
            **self.scene_buffers.constants,
            "use_persistent": self.use_persistent,
            "count_overdraw": self.view.count_overdraw,
            "show": self.show,
        }

    @contextmanager
    def compute_pass(self, label: str) -> Generator[wgpu.GPUComputePassEncoder]:
        """Record a compute pass, timed under `label`."""
        assert self.encoder is not None, "a pass is recorded between begin and end of a frame"
        compute = self.timer.begin_pass(self.encoder, label)
        yield compute
        compute.end()


def fold(workgroups: int) -> tuple[int, int, int]:
    """Return dispatch dimensions for at least `workgroups` (more than 65,535 in one would run none)."""
    if workgroups <= FOLD:
        return workgroups, 1, 1
    return FOLD, -(-workgroups // FOLD), 1


class IndirectPass:
    """A pass of one compute dispatch whose size the passes before it counted on the GPU.

    A subclass gives `NAME` (shader and timing label) and `ARGUMENTS` (the buffer of its dispatch).
    """

    NAME: str
    ARGUMENTS: str

    def __init__(self, context: Context):
        self._kernel = Kernel(context.device, self.NAME, context.constants, context.runtime_checks)
        self._group = self._kernel.bind(1, {**context.queues.resources, **context.view.resources})

    def encode(self, context: Context) -> None:
        """Record the pass."""
        with context.compute_pass(f"main/{self.NAME}") as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            compute.set_bind_group(1, self._group)
            compute.dispatch_workgroups_indirect(context.queues.resources[self.ARGUMENTS], 0)
