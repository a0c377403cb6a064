"""CandidateNodesAndClusters and MainAndPostPassPersistentStates: what the culling passes write and hand on."""

from dataclasses import dataclass, replace

import numpy as np
import wgpu

from engine import layout
from engine.gpu.buffers import INDIRECT, create_buffer, upload
from engine.gpu.device import Device
from engine.settings import FrameSettings

MAX_LEVELS = 32  # depth of a BVH; an 8-ary tree over 2^32 groups has 11
MAX_VISIBLE_CLUSTERS = 1 << layout.CONSTANTS["PLACE_BITS"]  # what a visibility sample can name
_WHOLE = 4  # items: every buffer is then as long as its shader takes it to be


BINS = layout.CONSTANTS["BIN_COUNT"]
BIN_NAMES = tuple(name[4:].lower() for name in layout.CONSTANTS if name.startswith("BIN_"))[:BINS]  # raster classes


def bin_offset(name: str) -> int:
    """Return the byte of `raster_arguments` at which the dispatch or draw of a raster class begins."""
    return layout.CONSTANTS[f"BIN_{name.upper()}"] * layout.RASTER_BIN.itemsize


@dataclass(frozen=True)
class Capacities:
    """Items that each queue stores; a frame that asks for more is drawn again with more."""

    nodes: int
    groups: int
    clusters: int
    large_triangles: int

    @classmethod
    def of(cls, settings: FrameSettings) -> "Capacities":
        """Return the first capacities that the settings ask for."""

        def whole(items: int) -> int:
            return -(-items // _WHOLE) * _WHOLE

        return cls(
            nodes=whole(settings.queue_items),
            groups=whole(settings.candidate_groups),
            clusters=min(whole(settings.visible_clusters), MAX_VISIBLE_CLUSTERS),
            large_triangles=whole(settings.large_triangles),
        )

    def grown_for(
        self, nodes: int, groups: int, clusters: int, large_triangles: int, binding_bytes: int
    ) -> "Capacities":
        """Return capacities that hold what was requested, with room to spare, within what can be bound."""

        def grow(capacity: int, requested: int, limit: int) -> int:
            if requested <= capacity:
                return capacity
            return min(max(1 << (requested * 5 // 4 - 1).bit_length(), capacity), limit)

        items = binding_bytes // (layout.WORK_ITEM.itemsize * _WHOLE) * _WHOLE
        return replace(
            self,
            nodes=grow(self.nodes, nodes, items),
            groups=grow(self.groups, groups, items),
            clusters=grow(self.clusters, clusters, min(items, MAX_VISIBLE_CLUSTERS)),
            large_triangles=grow(self.large_triangles, large_triangles, items),
        )


class Queues:
    """The buffers themselves, of fixed capacity; `resources` are found by shader variable name."""

    def __init__(self, device: Device, capacities: Capacities):
        self._device = device
        self.capacities = capacities
        item = layout.WORK_ITEM.itemsize
        self.resources: dict[str, wgpu.GPUBuffer] = {
            "state": create_buffer(device, "state", layout.PASS_STATE.itemsize),
            "node_queue": create_buffer(device, "node queue", item * capacities.nodes),
            "candidate_groups": create_buffer(device, "candidate groups", item * capacities.groups),
            "visible_clusters": create_buffer(device, "visible clusters", item * capacities.clusters),
            "cluster_arguments": create_buffer(device, "cluster_cull arguments", 12, INDIRECT),
            "raster_arguments": create_buffer(device, "raster arguments", BINS * layout.RASTER_BIN.itemsize, INDIRECT),
            "raster_bins": create_buffer(device, "raster bins", 4 * BINS * capacities.clusters),
            "large_triangles": create_buffer(
                device, "large triangles", layout.LARGE_TRIANGLE.itemsize * capacities.large_triangles
            ),
            "large_arguments": create_buffer(device, "rasterize_large arguments", 12, INDIRECT),
            "level_counts": create_buffer(device, "level counts", 4 * MAX_LEVELS),
            "level_arguments_even": create_buffer(device, "level arguments even", 12 * MAX_LEVELS, INDIRECT),
            "level_arguments_odd": create_buffer(device, "level arguments odd", 12 * MAX_LEVELS, INDIRECT),
        }
        self.empty_nodes()

    @property
    def memory_bytes(self) -> int:
        return sum(buffer.size for buffer in self.resources.values())

    def empty_nodes(self) -> None:
        """Mark every slot of the node queue empty. Readers empty what they take, so only an aborted frame needs it."""
        upload(self._device, self.resources["node_queue"], np.full(2 * self.capacities.nodes, layout.NONE, np.uint32))

    def for_level(self, level: int) -> dict[str, wgpu.GPUBuffer]:
        """Return the resources of a pass that visits `level` - 1 and writes the arguments of `level`.

        A dispatch may not write the buffer that its own arguments come from, so the levels take turns.
        """
        return {**self.resources, "level_arguments": self.level_arguments(level)}

    def level_arguments(self, level: int) -> wgpu.GPUBuffer:
        """Return the buffer that holds the arguments of the dispatch over `level`."""
        return self.resources["level_arguments_odd" if level % 2 else "level_arguments_even"]
