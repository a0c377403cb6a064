"""CandidateNodesAndClusters and MainAndPostPassPersistentStates: what the culling passes write and hand on."""

from dataclasses import asdict, dataclass

import numpy as np
import wgpu

from engine import layout
from engine.gpu.buffers import INDIRECT, create_buffer, upload
from engine.gpu.device import Device
from engine.settings import FrameSettings

MAX_LEVELS = int(layout.CONSTANTS["MAX_LEVELS"])
MAX_VISIBLE_CLUSTERS = 1 << layout.CONSTANTS["PLACE_BITS"]  # what a visibility sample can name
PHASES = ("main", "post")  # PHASE_MAIN and PHASE_POST of layout_frame.wgsl
_ARGUMENTS_OF_A_PHASE = ("cluster_arguments", "large_arguments")
_ARGUMENTS = {  # buffers of indirect dispatches, and how many each holds
    **{f"{name}_{phase}": 1 for name in _ARGUMENTS_OF_A_PHASE for phase in PHASES},
    "post_arguments": 1,  # the post pass's first level
    "level_arguments_even": len(PHASES) * MAX_LEVELS,
    "level_arguments_odd": len(PHASES) * MAX_LEVELS,
}
BINS = int(layout.CONSTANTS["BIN_COUNT"])
BIN_NAMES = tuple(name[4:].lower() for name in layout.CONSTANTS if name.startswith("BIN_"))[:BINS]  # raster classes
_WHOLE = 4  # items: every buffer is then as long as its shader takes it to be


def bin_offset(name: str, phase: int) -> int:
    """Return the byte of `raster_arguments` at which the dispatch or draw of a raster class begins."""
    return (phase * BINS + layout.CONSTANTS[f"BIN_{name.upper()}"]) * layout.RASTER_BIN.itemsize


@dataclass(frozen=True)
class Capacities:
    """Items that each queue stores; a frame that asks for more is drawn again with more."""

    nodes: int  # of each of the two passes
    groups: int
    clusters: int
    hidden_clusters: int
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
            hidden_clusters=whole(settings.hidden_clusters),
            large_triangles=whole(settings.large_triangles),
        )

    @classmethod
    def of_shadows(cls, settings: FrameSettings) -> "Capacities":
        """Return the first capacities of the shadow maps' queues: half of the camera's, and nothing is ever hidden."""

        def half(items: int) -> int:
            return max(-(-items // (2 * _WHOLE)), 1) * _WHOLE

        halved = {name: half(items) for name, items in asdict(cls.of(settings)).items()}
        return cls(**halved | {"hidden_clusters": _WHOLE})

    def grown_for(self, requested: dict[str, int], binding_bytes: int) -> "Capacities":
        """Return capacities that hold what was requested, with room to spare, within what can be bound."""

        def grow(name: str, capacity: int) -> int:
            if requested[name] <= capacity:
                return capacity
            limit = min(MAX_VISIBLE_CLUSTERS, entries) if name == "clusters" else items
            return min(max(1 << (requested[name] * 5 // 4 - 1).bit_length(), capacity), items, limit)

        # The node queue holds two halves, and each raster class has a bin as long as the list of visible clusters.
        entries = binding_bytes // (BINS * layout.BIN_ENTRY.itemsize * _WHOLE) * _WHOLE
        items = binding_bytes // (len(PHASES) * layout.WORK_ITEM.itemsize * _WHOLE) * _WHOLE
        return Capacities(**{name: grow(name, capacity) for name, capacity in asdict(self).items()})


class Queues:
    """The buffers themselves, of fixed capacity; `resources` are found by shader variable name."""

    def __init__(self, device: Device, capacities: Capacities):
        self._device = device
        self.capacities = capacities
        item, large = layout.WORK_ITEM.itemsize, layout.LARGE_TRIANGLE.itemsize
        arguments = len(PHASES) * BINS * layout.RASTER_BIN.itemsize
        self.resources: dict[str, wgpu.GPUBuffer] = {
            "states": create_buffer(device, "states", len(PHASES) * layout.PASS_STATE.itemsize),
            "node_queue": create_buffer(device, "node queue", len(PHASES) * item * capacities.nodes),
            "candidate_groups": create_buffer(device, "candidate groups", item * capacities.groups),
            "visible_clusters": create_buffer(device, "visible clusters", item * capacities.clusters),
            "hidden_clusters": create_buffer(device, "hidden clusters", item * capacities.hidden_clusters),
            "large_triangles": create_buffer(device, "large triangles", large * capacities.large_triangles),
            "raster_bins": create_buffer(device, "raster bins", layout.BIN_ENTRY.itemsize * BINS * capacities.clusters),
            "raster_arguments": create_buffer(device, "raster arguments", arguments, INDIRECT),
            "level_counts": create_buffer(device, "level counts", len(PHASES) * 4 * MAX_LEVELS),
            "unused": create_buffer(device, "unused", 16),
        }
        for name, entries in _ARGUMENTS.items():
            self.resources[name] = create_buffer(device, name.replace("_", " "), 12 * entries, INDIRECT)
        self.empty_nodes()

    @property
    def memory_bytes(self) -> int:
        return sum(buffer.size for buffer in self.resources.values())

    def empty_nodes(self) -> None:
        """Mark every slot of the node queue empty. Readers empty what they take, so only an aborted frame needs it."""
        empty = np.full(self.resources["node_queue"].size // 4, layout.NONE, np.uint32)
        upload(self._device, self.resources["node_queue"], empty)

    def for_phase(self, phase: int, level: int = 1) -> dict[str, wgpu.GPUBuffer]:
        """Return the resources of a pass of one phase; a traversal of `level` - 1 writes the arguments of `level`.

        A dispatch may not write the buffer that its own arguments come from: the phases have buffers of their own, the
        levels take turns, and what only the main pass writes is out of reach in the post pass.
        """
        own = {name: self.resources[f"{name}_{PHASES[phase]}"] for name in _ARGUMENTS_OF_A_PHASE}
        is_main = phase == 0
        return {
            **self.resources,
            **own,
            "level_arguments": self.level_arguments(level),
            "post_arguments": self.resources["post_arguments" if is_main else "unused"],
            "post_cluster_arguments": self.resources["cluster_arguments_post" if is_main else "unused"],
        }

    def level_arguments(self, level: int) -> wgpu.GPUBuffer:
        """Return the buffer that holds the arguments of the dispatch over `level`."""
        return self.resources["level_arguments_odd" if level % 2 else "level_arguments_even"]
