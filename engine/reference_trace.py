"""What the walk of engine.reference looked at, thing by thing: what was kept, and what was culled and why."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine import layout
from engine.reference import Occlusion, Tables, VisibleSet, cluster_boxes, visible_set

KINDS = ("instances", "nodes", "clusters")
OUTCOMES = ("kept", "frustum", "detail", "size", "occlusion")  # OUTCOME_* of layout_frame.wgsl by number
KEPT = OUTCOMES.index("kept")
NO_LEVEL = 255  # of instances
# kind: index into KINDS; outcome: index into OUTCOMES; in_post: decided in the post pass; level: level of detail of the
# group of a cluster or leaf node, the highest below an inner node, NO_LEVEL of instances; index: scene-wide mesh, node
# or cluster.
TESTED = np.dtype(
    [("kind", "u1"), ("outcome", "u1"), ("in_post", "?"), ("level", "u1"), ("slot", "i8"), ("index", "i8")]
)
LARGEST_TRACE = 2_000_000  # records, of 20 bytes

assert all(layout.CONSTANTS[f"OUTCOME_{name.upper()}"] == number for number, name in enumerate(OUTCOMES))


class TraceCancelledError(Exception):
    """The trace was not wanted any longer."""


@dataclass(frozen=True)
class Trace:
    """Everything that was tested, in the order of the walk.

    records (n,) TESTED, each thing of each instance once; left_out: tests that found no room among them; visible: what
    is drawn, and the counts, both of all tests.
    """

    records: np.ndarray
    left_out: int
    visible: VisibleSet

    def counts(self, in_post: bool | None = None) -> np.ndarray:
        """Return how many records there are by kind and outcome, (KINDS, OUTCOMES) int64; `in_post`: of one pass."""
        records = self.records if in_post is None else self.records[self.records["in_post"] == in_post]
        cell = records["kind"].astype(np.int64) * len(OUTCOMES) + records["outcome"]
        return np.bincount(cell, minlength=len(KINDS) * len(OUTCOMES)).reshape(len(KINDS), len(OUTCOMES))

    def kept_clusters(self) -> np.ndarray:
        """Return the (instance slot, scene-wide cluster) pairs of the records that are drawn, sorted, int64 (k, 2)."""
        kept = (self.records["kind"] == KINDS.index("clusters")) & (self.records["outcome"] == KEPT)
        pairs = np.stack([self.records["slot"][kept], self.records["index"][kept]], axis=1)
        return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def trace(
    tables: Tables,
    view: np.ndarray,
    occlusion: Occlusion | None = None,
    largest_count: int = LARGEST_TRACE,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Trace:
    """Return every instance, node and cluster that reference.visible_set tests with these arguments, with its outcome.

    The GPU does not test the nodes of a mesh that it draws from the root group at once; here they are tested.
    Beyond `largest_count` tests are only counted. Raises TraceCancelledError soon after `is_cancelled` says so.
    """
    recorder = _Recorder(tables, largest_count, is_cancelled)
    found = visible_set(tables, view, occlusion, record=recorder.record)
    records = np.concatenate([np.zeros(0, TESTED), *recorder.parts])
    return Trace(records, recorder.tested - len(records), found)


class _Recorder:
    """Keeps what the walk tells it. `tested` counts all of it."""

    def __init__(self, tables: Tables, largest_count: int, is_cancelled: Callable[[], bool]):
        self._largest_count, self._is_cancelled = largest_count, is_cancelled
        self._levels = {
            "nodes": node_levels(tables),
            "clusters": (tables.groups["place"] >> 24).astype(np.uint8)[tables.cluster_group],
        }
        self.parts: list[np.ndarray] = []
        self.tested = 0

    def record(
        self, kind: str, slots: np.ndarray, index: np.ndarray, reasons: dict[str, np.ndarray], in_post: np.ndarray
    ) -> None:
        if self._is_cancelled():
            raise TraceCancelledError
        room = min(max(self._largest_count - self.tested, 0), len(slots))
        self.tested += len(slots)
        outcome = np.full(len(slots), KEPT, np.uint8)
        for name in reversed(reasons):  # the first counts
            outcome[reasons[name]] = OUTCOMES.index(name)
        records = np.zeros(room, TESTED)
        records["kind"], records["outcome"], records["in_post"] = KINDS.index(kind), outcome[:room], in_post[:room]
        records["level"] = self._levels[kind][index[:room]] if kind in self._levels else NO_LEVEL
        records["slot"], records["index"] = slots[:room], index[:room]
        self.parts.append(records)


def node_levels(tables: Tables) -> np.ndarray:
    """Return the level of detail of each leaf's group and, of inner nodes, the highest below, uint8 (nodes,)."""
    nodes = tables.nodes
    child, count = nodes["child"].astype(np.int64), nodes["child_count"].astype(np.int64)
    leaf = count == layout.CONSTANTS["NODE_LEAF"]
    levels = np.zeros(len(nodes), np.uint8)
    levels[leaf] = (tables.groups["place"][child[leaf]] >> 24).astype(np.uint8)
    below = [tables.meshes["root_node"].astype(np.int64)]
    while len(below[-1]):
        inner = below[-1][~leaf[below[-1]]]
        below.append(np.concatenate([child[some] + i for i, some in _by_child(inner, count)]))
    for depth in reversed(below):
        for i, some in _by_child(depth[~leaf[depth]], count):
            levels[some] = np.maximum(levels[some], levels[child[some] + i])
    return levels


def _by_child(nodes: np.ndarray, count: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Return (i, those of inner `nodes` that have a child number i) for all i."""
    return [(i, nodes[count[nodes] > i]) for i in range(layout.CONSTANTS["BVH_WIDTH"])]


def object_boxes(tables: Tables, records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes (minimum, maximum), float64 (k, 3) each, that TESTED `records` (k,) were tested by.

    They lie in the object space of the records' instances.
    """
    low, high = np.zeros((2, len(records), 3))
    for number, kind in enumerate(KINDS):
        some = np.flatnonzero(records["kind"] == number)
        index = records["index"][some]
        if kind == "clusters":
            low[some], high[some] = cluster_boxes(tables, index)
        else:
            table = tables.meshes if kind == "instances" else tables.nodes
            low[some], high[some] = table["box_min"][index], table["box_max"][index]
    return low, high
