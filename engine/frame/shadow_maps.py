"""What the shadow maps of a frame own: their depths, their queues, and what the receiver must know of them."""

import numpy as np
import wgpu

from engine import layout
from engine.frame.cascades import BLEND_SHARE
from engine.frame.queues import Capacities, Queues
from engine.gpu.buffers import create_buffer, upload
from engine.gpu.device import Device
from engine.gpu.shader import link

RECEIVER_NAMES = ("shadow_parameters", "shadow_maps")  # what shaders/shadow.wgsl binds


class ShadowMaps:
    """Square maps of `map_size` texels a side, one after the other in one buffer; stands in for a view's resources.

    Raises CapacityError where the adapter cannot bind them all.
    """

    count_overdraw = False

    def __init__(self, device: Device, map_size: int, cascades: int, capacities: Capacities):
        self._device = device
        self.map_size, self.cascades = map_size, cascades
        self.size = (map_size, map_size * cascades)
        self.queues = Queues(device, capacities)
        self.samples = create_buffer(device, f"{cascades} shadow maps", 4 * cascades * map_size**2)
        self._dtype = layout.parse_structs(link("shadow").struct_text("ShadowParameters"))["ShadowParameters"]
        self._parameters = create_buffer(device, "shadow parameters", self._dtype.itemsize)
        self.resources: dict[str, wgpu.GPUBuffer] = {
            "shadow_depth": self.samples,
            # What the passes name and do not touch here.
            **{name: create_buffer(device, f"no {name}", 16) for name in ("visibility", "overdraw", "pyramid")},
        }

    @property
    def receiver_resources(self) -> dict[str, wgpu.GPUBuffer]:
        """What a pass that asks for shadows binds."""
        return dict(zip(RECEIVER_NAMES, (self._parameters, self.samples), strict=True))

    @property
    def memory_bytes(self) -> int:
        return sum(buffer.size for buffer in self.resources.values()) + self._parameters.size + self.queues.memory_bytes

    def write_parameters(self, view_count: int, is_limited: bool) -> None:
        """Tell the receiver how many cascades there are, and whether the last one ends before the scene does."""
        record = np.zeros(1, self._dtype)
        record["count"] = view_count
        record["blend_share"] = BLEND_SHARE
        record["last_blend_share"] = BLEND_SHARE if is_limited else 0.0
        upload(self._device, self._parameters, record)
