"""What one view owns: its visibility buffer, its overdraw counts and its image."""

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
            "image": create_buffer(device, "image", 4 * pixels),
        }

    @property
    def memory_bytes(self) -> int:
        return sum(buffer.size for buffer in self.resources.values())
