"""Draw wire boxes over the picture of a frame."""

import numpy as np
import wgpu

from engine import layout
from engine.camera import float_pair
from engine.gpu.buffers import create_buffer, upload
from engine.gpu.device import Device
from engine.gpu.shader import DrawKernel, link

NAME = "overlay_lines"
DEFAULT_WIDTH_PIXELS = 1.5
EDGES = 12  # of a box; four vertices and two triangles each
_STRUCTS = ("OverlayBox", "OverlayLines")


class OverlayLines:
    """Pass overlay_lines: one instanced draw, an instance a box, over what `target_format` already shows.

    Lines are faint where the surface of the image is in front of them.
    """

    def __init__(self, device: Device, target_format: str):
        constants = {"target_is_srgb": target_format.endswith("-srgb")}
        self._device = device
        self._kernel = DrawKernel(device, NAME, target_format, constants, blend=True)
        self._box_dtype, self._parameter_dtype = (
            layout.parse_structs(link(NAME).struct_text(name))[name] for name in _STRUCTS
        )
        self._indices = create_buffer(
            device, f"{NAME} indices", 12 * EDGES, wgpu.BufferUsage.INDEX | wgpu.BufferUsage.COPY_DST
        )
        corners = 4 * np.arange(EDGES)[:, None] + [0, 1, 2, 2, 1, 3]
        upload(device, self._indices, corners.astype(np.uint16))
        self._view = create_buffer(device, f"{NAME} view", layout.VIEW.itemsize)
        self._parameters = create_buffer(device, f"{NAME} parameters", self._parameter_dtype.itemsize)
        self._boxes = create_buffer(device, f"{NAME} boxes", self._box_dtype.itemsize)
        self._sent: dict[wgpu.GPUBuffer, bytes] = {}  # what each buffer holds
        self._group: tuple[wgpu.GPUBuffer | None, wgpu.GPUBuffer | None, wgpu.GPUBindGroup | None] = (None, None, None)
        self.box_count = 0

    def set_boxes(self, centers: np.ndarray, axes: np.ndarray, colors: np.ndarray) -> None:
        """Draw these boxes from now on, the last on top.

        centers (n, 3) float64, world space; axes (n, 3, 3) float64, half axes as rows: a box with one axis of length
        zero is a rectangle, with two a line. colors (n,) uint32: 8-bit sRGB and alpha, red in the low byte. Raises
        CapacityError for more than the adapter can bind.
        """
        boxes = np.zeros(len(centers), self._box_dtype)
        boxes["center_high"], boxes["center_low"] = float_pair(np.asarray(centers, np.float64).reshape(-1, 3))
        boxes["color"] = colors
        for row, name in enumerate(("axis_x", "axis_y", "axis_z")):
            boxes[name] = np.asarray(axes).reshape(-1, 3, 3)[:, row]
        if boxes.nbytes > self._boxes.size:
            self._sent.pop(self._boxes, None)
            self._boxes = create_buffer(self._device, f"{NAME} boxes", 2 * boxes.nbytes)
        self.box_count = len(boxes)
        if len(boxes):
            self._send(self._boxes, boxes)

    def encode(
        self,
        encoder: wgpu.GPUCommandEncoder,
        target_view: wgpu.GPUTextureView,
        target_size: tuple[int, int],
        view_record: np.ndarray,
        visibility_buffer: wgpu.GPUBuffer,
        image_size: tuple[int, int],
        width_pixels: float = DEFAULT_WIDTH_PIXELS,
        largest_count: int | None = None,
    ) -> int:
        """Record the pass, unless there is nothing to draw; return how many boxes it draws.

        view_record: the layout.VIEW that the image of `image_size` (width, height) and its visibility buffer were drawn
        with; the image is stretched over the target of `target_size`. width_pixels: of a line, on the target.
        Of more than `largest_count` boxes the first are drawn: for a slow adapter while the camera moves.
        """
        count = self.box_count if largest_count is None else min(self.box_count, largest_count)
        if count <= 0:
            return 0
        view = np.array(view_record, layout.VIEW).reshape(1)
        view["size"] = target_size
        parameters = np.zeros(1, self._parameter_dtype)
        parameters["image_size"], parameters["width_pixels"] = image_size, width_pixels
        parameters["image_scale"] = np.divide(image_size, target_size)
        self._send(self._view, view)
        self._send(self._parameters, parameters)
        attachment = {"view": target_view, "load_op": "load", "store_op": "store"}
        draw = encoder.begin_render_pass(label=NAME, color_attachments=[attachment])
        draw.set_pipeline(self._kernel.pipeline)
        draw.set_bind_group(0, self._bound(visibility_buffer))
        draw.set_index_buffer(self._indices, "uint16")
        draw.draw_indexed(6 * EDGES, count)
        draw.end()
        return count

    def _send(self, buffer: wgpu.GPUBuffer, data: np.ndarray) -> None:
        """Upload what differs from what the buffer holds."""
        content = data.tobytes()
        if self._sent.get(buffer) != content:
            upload(self._device, buffer, data)
            self._sent[buffer] = content

    def _bound(self, visibility: wgpu.GPUBuffer) -> wgpu.GPUBindGroup:
        """Return the bind group, made anew where the image or the boxes have other buffers than before."""
        boxes, image, group = self._group
        if group is None or boxes is not self._boxes or image is not visibility:
            resources = {
                "overlay_views": self._view,
                "overlay_parameters": self._parameters,
                "overlay_boxes": self._boxes,
                "visibility": visibility,
            }
            group = self._kernel.bind(0, resources)
            self._group = (self._boxes, visibility, group)
        return group
