"""The frustum and the boxes of a frozen frame over the picture, and which of them is under the pointer."""

import copy

import wgpu

from engine.camera import Camera
from engine.frame.overlay_lines import DEFAULT_WIDTH_PIXELS, OverlayLines
from engine.gpu.device import Device
from engine.viewer.box_picking import box_at
from engine.viewer.freezing import Frozen
from engine.viewer.live_view import LiveView
from engine.viewer.overlays import OverlayBoxes, boxes_of, frustum_end, frustum_lines, joined
from engine.viewer.state import OverlayOptions, ViewerState

# Boxes drawn while the camera moves where a CPU plays the GPU: 20,000 would take half a second a frame.
SOFTWARE_MOVING_BOXES = 400


class FrozenOverlay:
    """Chooses boxes anew when the frozen frame, its trace or the options have changed, and draws them."""

    def __init__(self, device: Device, target_format: str):
        self._lines = OverlayLines(device, target_format)
        self._moving_boxes = SOFTWARE_MOVING_BOXES if device.is_software else None
        self._shown: tuple[int, bool, OverlayOptions] | None = None
        self._boxes: OverlayBoxes | None = None  # that a click can mean

    def draw(
        self,
        target: wgpu.GPUTexture,
        live: LiveView,
        state: ViewerState,
        pixel_ratio: float,
        is_moving: bool = False,
    ) -> None:
        """Draw the boxes of `state.frozen` over the image of `live` on `target`; note in `state` how many they are.

        While the camera is moving, a software adapter draws only the largest.
        """
        frozen: Frozen = state.frozen
        wish = id(frozen), frozen.trace is not None, copy.deepcopy(state.overlay)
        if wish != self._shown:
            self._choose(frozen, state)
            self._shown = wish
        gpu = live.device.wgpu_device
        encoder = gpu.create_command_encoder(label="overlay")
        count = self._lines.encode(
            encoder,
            target.create_view(),
            target.size[:2],
            live.renderer.drawn_view(),
            live.renderer.visibility_buffer(),
            live.drawn_size,
            DEFAULT_WIDTH_PIXELS * pixel_ratio,
            self._moving_boxes if is_moving else None,
        )
        chosen = 0 if self._boxes is None else len(self._boxes.chosen)
        state.boxes_shown = chosen - (self._lines.box_count - count)
        gpu.queue.submit([encoder.finish()])

    def _choose(self, frozen: Frozen, state: ViewerState) -> None:
        parts = []
        self._boxes, state.boxes_matching = None, 0
        if state.overlay.shows_frustum:  # first, so that it is drawn also where there are too many boxes
            end = frustum_end(frozen.camera, frozen.scene.bounds())
            parts.append(frustum_lines(frozen.camera, frozen.size, end))
        if frozen.trace is not None and frozen.tables is not None:
            records = frozen.trace.records
            self._boxes = boxes_of(frozen.tables, records, frozen.view, state.overlay, frozen.sizes)
            state.boxes_matching = self._boxes.matching_count
            parts.append(self._boxes)
        if parts:
            boxes = joined(*parts)
            self._lines.set_boxes(boxes.centers, boxes.axes, boxes.colors)
        else:
            self._lines.box_count = 0

    def box_at(self, camera: Camera, size: tuple[int, int], x: float, y: float) -> int | None:
        """Return the trace record of the box that a click at `x`, `y` of a window of `size` means, or None."""
        if self._boxes is None or not len(self._boxes.chosen):
            return None
        return box_at((self._boxes.centers, self._boxes.axes, self._boxes.chosen), camera, size, x, y)
