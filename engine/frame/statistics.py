"""What a frame did, in numbers: the culling funnel, the queues, memory, GPU milliseconds.

docs/statistics.md says what each key of `FrameStatistics.to_dict` means and where it is counted.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from engine import layout
from engine.frame.queues import BIN_NAMES, PHASES, Capacities
from engine.settings import FrameSettings

SHADOW_PREFIX = "shadow_"  # of the names of the shadow maps' queues
KINDS = ("instance_nodes", "instances", "nodes", "clusters", "triangles")  # TALLY_* of layout_frame.wgsl
OUTCOMES = ("kept", "frustum", "detail", "size", "occlusion")  # OUTCOME_*


@dataclass
class Funnel:
    """One kind of thing in one pass over the hierarchy: how many were tested, kept, and culled by what.

    What the main pass counts as culled by occlusion is tested again in the post pass. `rasters` splits what is kept by
    raster class, of clusters and triangles, which are drawn; it is empty for the others.
    """

    tested: int
    kept: int
    culled: dict[str, int]
    rasters: dict[str, int] = field(default_factory=dict)


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
    adapter: str
    traversal: str
    error_pixels: float
    passes: dict[str, dict[str, Funnel]]  # "main", "post", and "shadow" where there are shadows -> one of KINDS
    clusters: dict[str, int]  # drawn in main and post pass, by raster class: software, small, masked, hardware
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


@dataclass
class Pending:
    """A frame that the GPU still works on."""

    capacities: Capacities
    shadow_capacities: Capacities | None  # None: no shadows
    labels: list[str]
    settings: FrameSettings
    size: tuple[int, int]
    traversal: str
    number: int
    tag: object


def counted(parts: list[bytes], capacities: Capacities, shadow_capacities: Capacities | None) -> dict[str, Any]:
    """Return the fields of FrameStatistics that passes counted on the GPU, by name.

    `parts`: the bytes of the layout.PASS_STATE records of main and post pass, and, with `shadow_capacities`, next those
    of the shadow maps.
    """
    states = np.frombuffer(parts[0], layout.PASS_STATE, len(PHASES))
    shadow_states = np.frombuffer(parts[1] if shadow_capacities else b"", layout.PASS_STATE)
    queues = queue_fill(states, capacities)
    if shadow_capacities:
        shadow_queues = queue_fill(shadow_states, shadow_capacities)
        queues |= {SHADOW_PREFIX + name: queue for name, queue in shadow_queues.items()}
    phases = zip((*PHASES, "shadow"), [*states, *shadow_states], strict=False)
    return {
        "passes": {name: funnels(state) for name, state in phases},
        "clusters": by_bin(states["bin_clusters"]),
        "triangles": by_bin(states["bin_triangles"]),
        "queues": queues,
        "is_aborted": bool(states["aborted"].any() or shadow_states["aborted"].any()),
    }


def funnels(state: np.ndarray) -> dict[str, Funnel]:
    """Return the funnels of a layout.PASS_STATE record by kind."""
    tally = dict(zip(KINDS, state["tally"].reshape(len(KINDS), len(OUTCOMES)).tolist(), strict=True))
    rasters = {"clusters": by_bin(state["bin_clusters"][None]), "triangles": by_bin(state["bin_triangles"][None])}
    tally["triangles"][0] = sum(rasters["triangles"].values())
    return {
        kind: Funnel(sum(counts), counts[0], dict(zip(OUTCOMES[1:], counts[1:], strict=True)), rasters.get(kind, {}))
        for kind, counts in tally.items()
    }


def by_bin(counts: np.ndarray) -> dict[str, int]:
    """Return what some passes drew by the name of the raster class; counts (passes, BIN_COUNT)."""
    return dict(zip(BIN_NAMES, counts.sum(axis=0, dtype=np.int64).tolist(), strict=True))


def queue_fill(states: np.ndarray, capacities: Capacities) -> dict[str, Queue]:
    """Return requested, stored and capacity of each queue from layout.PASS_STATE records (2,) of both passes."""
    requested = {
        "nodes": int((states["node_progress"] >> np.uint64(32)).max()),
        "groups": int(states["candidate_groups"].max()),
        "clusters": int(states["visible_clusters"].sum(dtype=np.int64)),
        "hidden_clusters": int(states["hidden_clusters"].sum(dtype=np.int64)),
        "large_triangles": int(states["large_triangles"].max()),
    }
    return {
        name: Queue(count, min(count, getattr(capacities, name)), getattr(capacities, name))
        for name, count in requested.items()
    }
