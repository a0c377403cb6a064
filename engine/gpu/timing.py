"""GPU milliseconds per labelled pass, from timestamps."""

from typing import Any

import numpy as np
import wgpu
from wgpu.backends.wgpu_native import _api, extras

from engine.gpu.device import Device


class PassTimer:
    """Writes two timestamps around a frame and around each of its passes, and turns them into milliseconds.

    Without timestamp-query every call is harmless and no time is reported. Timestamps around passes keep a GPU from
    beginning one while the one before ends; a frame that is timed as a whole only takes less time.
    """

    def __init__(self, device: Device, capacity: int = 64):
        self.labels: list[str] = []
        self._capacity = capacity
        self._by_pass = True
        self._has_frame = "timestamp-query-inside-encoders" in device.features
        self._queries = None
        if "timestamp-query" in device.features:
            gpu = device.wgpu_device
            self._queries = gpu.create_query_set(type="timestamp", count=2 * capacity)
            usage = wgpu.BufferUsage.QUERY_RESOLVE | wgpu.BufferUsage.COPY_SRC
            self.buffer = gpu.create_buffer(label="timestamps", size=16 * capacity, usage=usage)
            self._nanoseconds = _api.libf.wgpuQueueGetTimestampPeriod(gpu.queue._internal)

    @property
    def size_bytes(self) -> int:
        """Size of what `resolve` wrote: 16 bytes a pass; 0 without timestamps."""
        return 16 * len(self.labels) if self._queries else 0

    def begin(self, encoder: wgpu.GPUCommandEncoder, by_pass: bool = True) -> None:
        """Start a frame; without `by_pass` it is timed as a whole only, where the adapter can."""
        self.labels = []
        self._by_pass = by_pass or not self._has_frame
        if self._queries and self._has_frame:
            self.labels.append("frame")
            extras.write_timestamp(encoder, self._queries, 0)

    def begin_pass(self, encoder: wgpu.GPUCommandEncoder, label: str) -> wgpu.GPUComputePassEncoder:
        """Begin a compute pass that is timed under `label`."""
        return encoder.begin_compute_pass(label=label, **self._writes(label))

    def begin_render_pass(
        self,
        encoder: wgpu.GPUCommandEncoder,
        label: str,
        target: wgpu.GPUTextureView,
        depth: wgpu.GPUTextureView | None = None,
    ) -> wgpu.GPURenderPassEncoder:
        """Begin a render pass that is timed under `label`.

        What it draws to `target` is not kept, unless it has a `depth` attachment: then both are. They begin with 0.
        """
        kept = "discard" if depth is None else "store"
        attachment = {"view": target, "load_op": "clear", "store_op": kept, "clear_value": (0, 0, 0, 0)}
        more = self._writes(label)
        if depth is not None:
            operations = {"depth_load_op": "clear", "depth_store_op": kept, "depth_clear_value": 0.0}
            more["depth_stencil_attachment"] = {"view": depth, **operations}
        return encoder.begin_render_pass(label=label, color_attachments=[attachment], **more)

    def _writes(self, label: str) -> dict[str, Any]:
        if self._queries is None or not self._by_pass or len(self.labels) == self._capacity:
            return {}
        index = 2 * len(self.labels)
        self.labels.append(label)
        return {
            "timestamp_writes": {
                "query_set": self._queries,
                "beginning_of_pass_write_index": index,
                "end_of_pass_write_index": index + 1,
            }
        }

    def resolve(self, encoder: wgpu.GPUCommandEncoder) -> None:
        """Write the frame's timestamps to `buffer`."""
        if self._queries and self.labels:
            if self._has_frame:
                extras.write_timestamp(encoder, self._queries, 1)
            encoder.resolve_query_set(self._queries, 0, 2 * len(self.labels), self.buffer, 0)

    def milliseconds(self, data: bytes, labels: list[str]) -> dict[str, float]:
        """Return milliseconds by label from resolved bytes; passes of the same label are summed.

        The entry `frame` spans from the frame's first command to its last, or from the first pass to the last.
        """
        if not data:
            return {}
        ticks = np.frombuffer(data, np.uint64).reshape(-1, 2).astype(np.int64)
        times: dict[str, float] = {}
        for label, (begin, end) in zip(labels, ticks, strict=True):
            times[label] = times.get(label, 0.0) + float(end - begin) * self._nanoseconds * 1e-6
        if "frame" not in times:
            times["frame"] = float(ticks.max() - ticks.min()) * self._nanoseconds * 1e-6
        return times
