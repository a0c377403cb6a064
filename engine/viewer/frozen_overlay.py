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


class FrozenOverlay:
    """Chooses boxes anew when the frozen frame, its trace or the options have changed, and draws them."""

    def __init__(self, device: Device, target_format: str):
        self._lines = OverlayLines(device, target_format)
        self._shown: tuple[int, bool, OverlayOptions] | None = None
        self._boxes: OverlayBoxes | None = None  # that a click can mean

    def draw(self, target: wgpu.GPUTexture, live: LiveView, state: ViewerState, pixel_ratio: float) -> None:
        """Draw the boxes of `state.frozen` over the image of `live` on `target`; note in `state` how many they are."""
        frozen: Frozen = state.frozen
        wish = id(frozen), frozen.trace is not None, copy.deepcopy(state.overlay)
        if wish != self._shown:
            self._choose(frozen, state)
            self._shown = wish
        gpu = live.device.wgpu_device
        encoder = gpu.create_command_encoder(label="overlay")
        self._lines.encode(
            encoder,
            target.create_view(),
            target.size[:2],
            live.renderer.drawn_view(),
            live.renderer.visibility_buffer(),
            live.drawn_size,
            DEFAULT_WIDTH_PIXELS * pixel_ratio,
        )
        gpu.queue.submit([encoder.finish()])

    def _choose(self, frozen: Frozen, state: ViewerState) -> None:
        parts = []
        self._boxes, state.boxes_shown, state.boxes_matching = None, 0, 0
        if frozen.trace is not None and frozen.tables is not None:
            records = frozen.trace.records
            self._boxes = boxes_of(frozen.tables, records, frozen.view, state.overlay)
            state.boxes_shown, state.boxes_matching = len(self._boxes.chosen), self._boxes.matching_count
            parts.append(self._boxes)
        if state.overlay.shows_frustum:
            end = frustum_end(frozen.camera, frozen.scene.bounds())
            parts.append(frustum_lines(frozen.camera, frozen.size, end))
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
