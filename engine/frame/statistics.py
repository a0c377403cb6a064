"""What a frame did, in numbers: the culling funnel, the queues, memory, GPU milliseconds."""

from dataclasses import asdict, dataclass, field

import numpy as np

from engine import layout
from engine.frame.queues import BIN_NAMES, Capacities

REASONS = ("frustum", "detail", "size", "occlusion")


@dataclass
class Funnel:
    """One kind of thing in one pass over the hierarchy: how many were tested, kept, and culled by what."""

    tested: int
    kept: int
    culled: dict[str, int] = field(default_factory=dict)


@dataclass
class Queue:
    """A buffer that passes append to: what was asked for, what found a place, how much there is."""

    requested: int
    stored: int
    capacity: int


@dataclass
class FrameStatistics:
    """Statistics of one frame. `passes_ms` are GPU milliseconds by timing label (empty without timestamps)."""

    size: tuple[int, int]
    traversal: str
    error_pixels: float
    passes: dict[str, dict[str, Funnel]]  # "main" -> instances, nodes, clusters
    clusters: dict[str, int]  # drawn, by raster class: software, small, masked, hardware
    triangles: dict[str, int]
    queues: dict[str, Queue]
    memory_bytes: dict[str, int]
    pages_resident: int
    is_complete: bool  # nothing was dropped and the traversal ended
    is_aborted: bool
    notes: list[str] = field(default_factory=list)
    passes_ms: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict:
        """Return plain dictionaries, ready for JSON."""
        return asdict(self)


def funnels(state: np.ndarray) -> dict[str, Funnel]:
    """Return the funnels of a layout.PASS_STATE record by kind."""
    result = {}
    for kind in ("instances", "nodes", "clusters"):
        tested = int(state[f"{kind}_tested"])
        culled = {
            reason: int(state[f"{kind}_culled_{reason}"])
            for reason in REASONS
            if f"{kind}_culled_{reason}" in layout.PASS_STATE.names
        }
        result[kind] = Funnel(tested, tested - sum(culled.values()), culled)
    return result


def by_bin(counts: np.ndarray) -> dict[str, int]:
    """Return counts (BIN_COUNT,) by the name of the raster class."""
    return dict(zip(BIN_NAMES, counts.tolist(), strict=True))


def queue_fill(state: np.ndarray, capacities: Capacities) -> dict[str, Queue]:
    """Return requested, stored and capacity of each queue from a layout.PASS_STATE record."""
    requested = {
        "nodes": int(state["node_progress"]) >> 32,
        "groups": int(state["candidate_groups"]),
        "clusters": int(state["visible_clusters"]),
        "large_triangles": int(state["large_triangles"]),
    }
    return {
        name: Queue(count, min(count, getattr(capacities, name)), getattr(capacities, name))
        for name, count in requested.items()
    }
