"""What the passes of one frame share."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wgpu

from engine import layout
from engine.frame.queues import PHASES, Queues, bin_offset
from engine.frame.scene_buffers import SceneBuffers
from engine.frame.shadow_maps import RECEIVER_NAMES, ShadowMaps
from engine.frame.view import ViewResources
from engine.gpu.device import Device
from engine.gpu.shader import Kernel
from engine.gpu.timing import PassTimer

# Tiles of a large triangle that one workgroup draws: a CPU that plays the GPU runs few workgroups at a time.
SOFTWARE_SLICE_TILES, GPU_SLICE_TILES = 1024, 64


@dataclass
class Context:
    """Resources of a frame and the encoder that it is being recorded with."""

    device: Device
    scene_buffers: SceneBuffers
    queues: Queues
    view: ViewResources | ShadowMaps
    timer: PassTimer
    use_persistent: bool
    use_occlusion: bool
    persistent_workgroups: int
    runtime_checks: bool
    uses_hardware: bool  # some clusters may go to the hardware raster
    show: int  # SHOW_* of layout_frame.wgsl
    material_folder: Path | None = None  # of the user's material functions
    list_pixels: bool | None = (
        None  # shade a list of the covered pixels, also with one material function; None: by adapter
    )
    shadow_maps: ShadowMaps | None = None  # of a frame with shadows
    depth_only: bool = False  # the view is one of shadow maps
    phase_labels: tuple[str, str] = PHASES  # before the names of passes
    encoder: wgpu.GPUCommandEncoder | None = None

    @property
    def has_masks(self) -> bool:
        """Whether a material of the scene is masked."""
        flags = self.scene_buffers.scene.materials["flags"]
        return bool((flags & layout.CONSTANTS["MATERIAL_MASKED"]).any())

    @property
    def constants(self) -> dict[str, int | bool]:
        """Pipeline constants of the passes; a kernel takes those that it declares."""
        return {
            **self.scene_buffers.constants,
            "use_persistent": self.use_persistent,
            "use_occlusion": self.use_occlusion,
            "count_overdraw": self.view.count_overdraw,
            "depth_only": self.depth_only,
            "use_shadows": self.shadow_maps is not None,
            "show": self.show,
            "has_masks": self.has_masks,
            "cut_rows": self.device.is_software,
            "slice_tiles": SOFTWARE_SLICE_TILES if self.device.is_software else GPU_SLICE_TILES,
        }

    @property
    def receiver_resources(self) -> dict[str, wgpu.GPUBuffer]:
        """What a shader that imports shadow.wgsl binds; without shadows it is not read."""
        if self.shadow_maps:
            return self.shadow_maps.receiver_resources
        return dict.fromkeys(RECEIVER_NAMES, self.queues.resources["unused"])

    @contextmanager
    def compute_pass(self, label: str) -> Generator[wgpu.GPUComputePassEncoder]:
        """Record a compute pass, timed under `label`."""
        assert self.encoder is not None, "a pass is recorded between begin and end of a frame"
        compute = self.timer.begin_pass(self.encoder, label)
        yield compute
        compute.end()

    @contextmanager
    def render_pass(
        self, label: str, target: wgpu.GPUTextureView, depth: wgpu.GPUTextureView | None = None
    ) -> Generator[wgpu.GPURenderPassEncoder]:
        """Record a render pass, timed under `label`; what it draws is kept only where there is a `depth` attachment."""
        assert self.encoder is not None, "a pass is recorded between begin and end of a frame"
        render = self.timer.begin_render_pass(self.encoder, label, target, depth)
        yield render
        render.end()


class PhasePass:
    """A pass over the candidates of one phase, `PHASE_MAIN` or `PHASE_POST`: a kernel and its bind group for each.

    A subclass gives `NAME` (shader and timing label) and records dispatches into what `begin` yields; `constants` are
    pipeline constants of its own.
    """

    NAME: str

    def __init__(self, context: Context, **constants: int | bool):
        self._kernel = Kernel(context.device, self.NAME, {**context.constants, **constants}, context.runtime_checks)
        context.scene_buffers.bind_group(self._kernel)  # now, so that what does not fit is found before a frame
        self._groups = [self._bind(context, context.queues.for_phase(phase)) for phase in range(len(PHASES))]

    def _bind(self, context: Context, resources: dict[str, wgpu.GPUBuffer]) -> wgpu.GPUBindGroup:
        return self._kernel.bind(1, {**resources, **context.view.resources})

    @contextmanager
    def begin(self, context: Context, phase: int) -> Generator[wgpu.GPUComputePassEncoder]:
        """Record a compute pass with pipeline, bind groups and the phase as its immediate set."""
        with context.compute_pass(f"{context.phase_labels[phase]}/{self.NAME}") as compute:
            compute.set_pipeline(self._kernel.pipeline)
            compute.set_bind_group(0, context.scene_buffers.bind_group(self._kernel))
            compute.set_bind_group(1, self._groups[phase])
            context.scene_buffers.textures.set_bind_group(compute, self._kernel)
            set_immediates(compute, phase)
            yield compute


class IndirectPass(PhasePass):
    """A pass of one dispatch whose size the passes before it counted on the GPU, in the buffer named `ARGUMENTS`."""

    ARGUMENTS: str

    def encode(self, context: Context, phase: int) -> None:
        """Record the pass."""
        with self.begin(context, phase) as compute:
            compute.dispatch_workgroups_indirect(context.queues.for_phase(phase)[self.ARGUMENTS], 0)


class BinPass(PhasePass):
    """A pass of one dispatch over the clusters of one raster class, `BIN`."""

    BIN: str

    def encode(self, context: Context, phase: int) -> None:
        """Record the pass."""
        with self.begin(context, phase) as compute:
            arguments = context.queues.resources["raster_arguments"]
            compute.dispatch_workgroups_indirect(arguments, bin_offset(self.BIN, phase))


def set_immediates(compute: wgpu.GPUComputePassEncoder | wgpu.GPURenderPassEncoder, *words: int) -> None:
    """Set the immediates of the dispatches that follow, from the first word on."""
    data = np.array(words, np.uint32)
    compute.set_immediates(0, data, 0, data.nbytes)
