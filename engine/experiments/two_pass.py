"""A Renderer that keeps what the post pass of a frame was tested against: the depth that its main pass left."""

from dataclasses import replace

import numpy as np

from engine import layout
from engine.camera import Camera
from engine.frame.context import Context
from engine.frame.cull_rasterize import POST, CullRasterize
from engine.gpu.buffers import create_buffer, read_buffer
from engine.gpu.device import Device
from engine.reference import Occlusion
from engine.renderer import Renderer, UnfinishedFrameError
from engine.scene import Scene
from engine.screen_boxes import depth_of, pyramid_of
from engine.settings import FrameSettings
from engine.still_frame import occlusion_of, read_pyramid

MOST_ATTEMPTS = 4  # to draw one frame after another while queues grow
_HAS_HISTORY = layout.CONSTANTS["VIEW_HAS_HISTORY"]


class TwoPassRenderer(Renderer):
    """Draws as Renderer does; between its two passes a frame with occlusion copies its visibility buffer."""

    def __init__(self, device: Device):
        super().__init__(device, self._make)
        self._kept: _KeepsMainSamples | None = None

    def read_main_depth(self) -> np.ndarray:
        """Return the reverse-Z depths (height, width) float32 that the main pass of the frame drawn last left.

        Raises ValueError if that frame was drawn without occlusion: it has no post pass.
        """
        context, kept = self._drawn(), self._kept
        if kept is None or not context.use_occlusion:
            raise ValueError("there is no depth of a main pass alone without occlusion; set occlusion")
        width, height = context.view.size
        samples = read_buffer(self.device, kept.main_samples, np.dtype(np.uint64), width * height)
        return depth_of(samples.reshape(height, width))

    def _make(self, context: Context) -> CullRasterize:
        self._kept = _KeepsMainSamples(context)
        return self._kept


class _KeepsMainSamples(CullRasterize):
    """The passes of the engine, and a copy of the visibility buffer before those of the post pass."""

    def __init__(self, context: Context):
        super().__init__(context)
        size_bytes = context.view.samples.size if context.use_occlusion else 0
        self.main_samples = create_buffer(context.device, "samples of the main pass", size_bytes)

    def _encode_phase(self, context: Context, phase: int) -> None:
        if phase == POST:
            assert context.encoder
            samples = context.view.samples
            context.encoder.copy_buffer_to_buffer(samples, 0, self.main_samples, 0, samples.size)
        super()._encode_phase(context, phase)


def draw_after(
    renderer: TwoPassRenderer,
    scene: Scene,
    cameras: tuple[Camera, Camera],
    settings: FrameSettings,
    size: tuple[int, int],
) -> tuple[np.ndarray, Occlusion]:
    """Draw the second camera right after the first, with occlusion; return its layout.VIEW record and its Occlusion.

    The frame may have a larger error_pixels than asked for, as its view says. Waits for the GPU. Raises
    UnfinishedFrameError where a frame cannot be finished, or none follows the first camera's.
    """
    for _ in range(MOST_ATTEMPTS):
        renderer.render(scene, cameras[0], settings, size)
        main, previous_view = read_pyramid(renderer), renderer.drawn_view()
        statistics, view = renderer.render(scene, cameras[1], settings, size).statistics, renderer.drawn_view()
        # Notes: it was drawn again because queues grew, after itself and not after the first camera.
        if not statistics.notes and int(view["flags"]) & _HAS_HISTORY:
            post = pyramid_of(renderer.read_main_depth())
            return view, occlusion_of(renderer, main, post, previous_view, scene.instances.copy())
        settings = replace(settings, error_pixels=statistics.error_pixels)
    raise UnfinishedFrameError(f"in none of {MOST_ATTEMPTS} attempts a frame follows that of the camera before")
