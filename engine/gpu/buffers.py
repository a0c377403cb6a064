"""Create, grow and fill GPU buffers."""

import numpy as np
import wgpu

from engine.gpu.device import Device

STORAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.COPY_SRC
UNIFORM = wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST
INDIRECT = STORAGE | wgpu.BufferUsage.INDIRECT
_CHUNK_BYTES = 32 << 20


class CapacityError(RuntimeError):
    """A buffer would exceed what the adapter can bind; the text says which and how much."""


def create_buffer(device: Device, label: str, size_bytes: int, usage: int = STORAGE) -> wgpu.GPUBuffer:
    """Return a zeroed buffer of at least 16 bytes; raise CapacityError beyond the adapter's limits."""
    limit = min(device.limits["max-storage-buffer-binding-size"], device.limits["max-buffer-size"])
    size_bytes = max(16, -(-size_bytes // 16) * 16)
    if size_bytes > limit:
        raise CapacityError(
            f"{label} needs {size_bytes / 2**20:.0f} MiB, {device.adapter_name} binds {limit / 2**20:.0f} MiB at most"
        )
    return device.wgpu_device.create_buffer(label=label, size=size_bytes, usage=usage)


def upload(device: Device, buffer: wgpu.GPUBuffer, data: np.ndarray, offset_bytes: int = 0) -> None:
    """Copy an array into a buffer, in pieces that the staging memory takes easily."""
    flat = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    for start in range(0, flat.size, _CHUNK_BYTES):
        piece = flat[start : start + _CHUNK_BYTES]
        device.wgpu_device.queue.write_buffer(buffer, offset_bytes + start, piece)


def buffer_from(device: Device, label: str, data: np.ndarray, usage: int = STORAGE) -> wgpu.GPUBuffer:
    """Return a buffer that holds an array."""
    buffer = create_buffer(device, label, data.nbytes, usage)
    if data.size:
        upload(device, buffer, data)
    return buffer


def read_buffer(
    device: Device, buffer: wgpu.GPUBuffer, dtype: np.dtype, count: int, offset_bytes: int = 0
) -> np.ndarray:
    """Wait for the GPU and return `count` elements of a buffer; not for the interactive loop."""
    dtype = np.dtype(dtype)
    if count == 0:
        return np.zeros(0, dtype)
    size = -(-count * dtype.itemsize // 4) * 4
    data = device.wgpu_device.queue.read_buffer(buffer, offset_bytes, size)
    return np.frombuffer(bytes(data), dtype, count)
