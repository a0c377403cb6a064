"""Bring small results to the host some frames later, without a stall."""

from collections import deque
from typing import Any

import wgpu

from engine.gpu.device import Device


class ReadbackRing:
    """Copies of a few buffers, mapped when the GPU has written them.

    `copy` is called while a frame is encoded, `sent` after its submit, `collect` whenever results are
    welcome: it returns those that have arrived, oldest first.
    """

    def __init__(self, device: Device, slots: int = 3):
        self._device = device
        self._slots = slots
        self._free: list[wgpu.GPUBuffer] = []
        self._flying: deque[tuple[wgpu.GPUBuffer, list[int], Any, Any]] = deque()
        self._encoded: tuple[wgpu.GPUBuffer, list[int], Any] | None = None

    @property
    def is_full(self) -> bool:
        """Whether another frame must wait for an earlier one."""
        return len(self._flying) >= self._slots

    def copy(self, encoder: wgpu.GPUCommandEncoder, sources: list[tuple[wgpu.GPUBuffer, int]], tag: Any) -> None:
        """Record copies of the first bytes of each source; `tag` comes back with them."""
        sizes = [-(-size // 8) * 8 for _, size in sources]
        buffer = self._take(sum(sizes))
        offset = 0
        for (source, _), size in zip(sources, sizes, strict=True):
            if size:
                encoder.copy_buffer_to_buffer(source, 0, buffer, offset, size)
            offset += size
        self._encoded = (buffer, [size for _, size in sources], tag)

    def sent(self) -> None:
        """Start mapping what `copy` recorded; call after the submit."""
        if self._encoded:
            buffer, sizes, tag = self._encoded
            self._flying.append((buffer, sizes, tag, buffer.map_async(wgpu.MapMode.READ)))
            self._encoded = None

    def collect(self, wait: bool = False) -> list[tuple[Any, list[bytes]]]:
        """Return [(tag, [bytes of each source])] of the frames that have arrived; `wait` for all."""
        arrived = []
        while self._flying:
            buffer, sizes, tag, promise = self._flying[0]
            # A promise turns its buffer into a mapped one only when it is waited for; wgpu-py has no public question
            # whether that would take time.
            if not wait and promise._state == "pending":
                break
            promise.sync_wait()
            self._flying.popleft()
            data, parts, offset = bytes(buffer.read_mapped(copy=True)), [], 0
            buffer.unmap()
            self._free.append(buffer)
            for size in sizes:
                parts.append(data[offset : offset + size])
                offset += -(-size // 8) * 8
            arrived.append((tag, parts))
        return arrived

    def _take(self, size: int) -> wgpu.GPUBuffer:
        for index, buffer in enumerate(self._free):
            if buffer.size >= size:
                return self._free.pop(index)
        self._free.clear()
        usage = wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST
        return self._device.wgpu_device.create_buffer(label="readback", size=max(256, size), usage=usage)
