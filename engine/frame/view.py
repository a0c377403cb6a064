"""What one view owns: its visibility buffer, overdraw counts, depth targets, G-buffer and image."""

import wgpu

from engine.gpu.buffers import create_buffer
from engine.gpu.device import Device


class ViewResources:
    """Buffers of one image size; `resources` are found by shader variable name."""

    def __init__(self, device: Device, size: tuple[int, int], count_overdraw: bool):
        width, height = size
        pixels = width * height
        self.size = size
        self.count_overdraw = count_overdraw
        self.resources: dict[str, wgpu.GPUBuffer] = {
            "visibility": create_buffer(device, "visibility", 8 * pixels),
            "overdraw": create_buffer(device, "overdraw", 4 * pixels if count_overdraw else 16),
            "scene_depth": create_buffer(device, "scene depth", 4 * pixels),
            "velocity": create_buffer(device, "velocity", 4 * pixels),
            "material_target": create_buffer(device, "material target", 4 * pixels),
            "surface_color": create_buffer(device, "surface color", 8 * pixels),
            "surface_shape": create_buffer(device, "surface shape", 8 * pixels),
            "image": create_buffer(device, "image", 4 * pixels),
        }

    @property
    def memory_bytes(self) -> int:
        return sum(buffer.size for buffer in self.resources.values())
