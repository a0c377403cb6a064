"""What one view owns: visibility buffer, depth pyramid, history, depth targets, G-buffer, image."""

import numpy as np
import wgpu

from engine import layout
from engine.gpu.buffers import create_buffer, upload
from engine.gpu.device import Device

_PLACE = ("eye_high", "eye_low", "near", "far", "right", "up", "forward", "scale_x", "scale_y")  # of layout.VIEW
PYRAMID_SHARED_LEVEL = layout.CONSTANTS["PYRAMID_SHARED_LEVEL"]


def pyramid_sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return (width, height) in cells of each level: the image, level 0, first, one cell last.

    A cell of level k holds the pixels whose numbers agree but for the last k bits; so sizes are rounded up.
    """
    sizes = [size]
    while len(sizes) == 1 or max(sizes[-1]) > 1:
        k = len(sizes)
        sizes.append((-(-size[0] >> k), -(-size[1] >> k)))
    return sizes


def pyramid_offsets(size: tuple[int, int]) -> tuple[np.ndarray, int]:
    """Return the first word of each level (16,) uint32, and the words of all; level 0 is not stored.

    From PYRAMID_SHARED_LEVEL on each level is there twice: for the post pass, then for the next main pass.
    """
    offsets, end = np.zeros(layout.CONSTANTS["MAX_PYRAMID_LEVELS"], np.uint32), 0
    for level, (width, height) in enumerate(pyramid_sizes(size)):
        if level:
            offsets[level] = end
            end += width * height * (2 if level >= PYRAMID_SHARED_LEVEL else 1)
    return offsets, end


class ViewResources:
    """Buffers of one image size; `resources` are found by shader variable name.

    `previous_view` is the layout.VIEW record of the frame before, with which its depth pyramid was made.
    """

    def __init__(self, device: Device, size: tuple[int, int], count_overdraw: bool, use_occlusion: bool):
        width, height = size
        pixels = width * height
        self.size = size
        self.count_overdraw = count_overdraw
        self.previous_view = np.zeros((), layout.VIEW)
        self._has_previous = self._has_history = False
        self._offsets, words = pyramid_offsets(size)
        self.resources: dict[str, wgpu.GPUBuffer] = {
            "visibility": create_buffer(device, "visibility", 8 * pixels),
            "shadow_depth": create_buffer(device, "no shadow depth", 16),  # shadow maps are views of their own
            "overdraw": create_buffer(device, "overdraw", 4 * pixels if count_overdraw else 16),
            "pyramid": create_buffer(device, "depth pyramid", 4 * words if use_occlusion else 16),
            "scene_depth": create_buffer(device, "scene depth", 4 * pixels),
            "velocity": create_buffer(device, "velocity", 4 * pixels),
            "material_target": create_buffer(device, "material target", 4 * pixels),
            "surface_color": create_buffer(device, "surface color", 8 * pixels),
            "surface_shape": create_buffer(device, "surface shape", 8 * pixels),
            "image": create_buffer(device, "image", 4 * pixels),
        }
        if use_occlusion:  # cells that several tiles share begin as if no pixel had been seen
            upload(device, self.resources["pyramid"], np.full(words, layout.NONE, np.uint32))

    @property
    def samples(self) -> wgpu.GPUBuffer:
        """What the rasterisers fill."""
        return self.resources["visibility"]

    @property
    def memory_bytes(self) -> int:
        return sum(buffer.size for buffer in self.resources.values())

    def with_history(self, view: np.ndarray, instances_moved: bool) -> np.ndarray:
        """Return `view` (layout.VIEW record) with what it must know of the depth pyramid and the last frame."""
        view = view.copy()
        view["pyramid_offsets"] = self._offsets.reshape(4, 4)
        view["pyramid_levels"] = len(pyramid_sizes(self.size))
        if self._has_history:
            view["flags"] |= layout.CONSTANTS["VIEW_HAS_HISTORY"]
        if not self._has_previous:
            self.previous_view = view
        if any((view[name] != self.previous_view[name]).any() for name in _PLACE):
            view["flags"] |= layout.CONSTANTS["VIEW_MOVED"]
        if instances_moved:
            view["flags"] |= layout.CONSTANTS["VIEW_INSTANCES_MOVED"]
        return view

    def keep_history(self, view: np.ndarray, is_kept: bool) -> None:
        """Note what the frame just recorded leaves for the next one: a depth pyramid, if `is_kept`."""
        self.previous_view, self._has_history, self._has_previous = view, is_kept, True
