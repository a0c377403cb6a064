"""All source clusters of all instances, as lists that the rasterisers read: made once for a placement of instances."""

from dataclasses import dataclass

import numpy as np

from engine import layout
from engine.frame.baselines.cluster_lists import SceneClusters
from engine.frame.queues import BINS, PHASES

SOFTWARE, SMALL, MASKED, HARDWARE = (
    int(layout.CONSTANTS[f"BIN_{name}"]) for name in ("SOFTWARE", "SMALL", "MASKED", "HARDWARE")
)
_FOLD = int(layout.CONSTANTS["DISPATCH_FOLD"])


@dataclass(frozen=True)
class Listed:
    """What culling would leave behind, with every source cluster kept.

    `visible` layout.VISIBLE_CLUSTER (n,), by instance; `bins` (n,) BIN_*; `triangles` (n,) int64; `first_place` (k,)
    int64 is where the clusters of each of the `slots` (k,) begin.
    """

    visible: np.ndarray
    bins: np.ndarray
    triangles: np.ndarray
    slots: np.ndarray
    first_place: np.ndarray

    def state(self) -> np.ndarray:
        """Return the layout.PASS_STATE records (2,) of a frame that draws them in its main pass."""
        states = np.zeros(len(PHASES), layout.PASS_STATE)
        main = states[0]
        main["visible_clusters"] = len(self.visible)
        main["bin_clusters"] = np.bincount(self.bins, minlength=BINS)
        main["bin_triangles"] = np.bincount(self.bins, self.triangles, BINS)
        kept = (
            layout.CONSTANTS["TALLY_CLUSTERS"] * layout.CONSTANTS["TALLY_OUTCOMES"] + layout.CONSTANTS["OUTCOME_KEPT"]
        )
        main["tally"][kept] = len(self.visible)
        return states

    def arguments(self) -> np.ndarray:
        """Return the layout.RASTER_BIN records of both passes: the dispatches of the software rasterisers."""
        arguments = np.zeros((len(PHASES), BINS), layout.RASTER_BIN)
        arguments["z"] = 1
        arguments["x"][:, HARDWARE], arguments["z"][:, HARDWARE] = 3 * layout.CONSTANTS["MAX_CLUSTER_TRIANGLES"], 0
        counts = np.bincount(self.bins, minlength=BINS)
        arguments["count"][0] = counts
        for number in (SOFTWARE, SMALL, MASKED):
            workgroups = -(-int(counts[number]) // (layout.CONSTANTS["SMALL_CLUSTERS"] if number == SMALL else 1))
            arguments["x"][0, number], arguments["y"][0, number] = min(workgroups, _FOLD), -(-workgroups // _FOLD)
        return arguments.reshape(-1)

    def entries(self, number: int) -> np.ndarray:
        """Return the layout.BIN_ENTRY records of a raster class."""
        places = np.flatnonzero(self.bins == number)
        entries = np.zeros(len(places), layout.BIN_ENTRY)
        for name in ("view_instance", "address"):
            entries[name] = self.visible[name][places]
        entries["place"] = places
        return entries


def count_clusters(instances: np.ndarray, of_meshes: list[np.ndarray]) -> int:
    """Return how many clusters layout.INSTANCE records (slots,) place, given the clusters of each mesh."""
    placed = np.bincount(instances["mesh"][instances["mesh"] != layout.NONE], minlength=len(of_meshes))
    return int((placed * np.array([len(numbers) for numbers in of_meshes], np.int64)).sum())


def list_clusters(
    instances: np.ndarray, clusters: SceneClusters, of_meshes: list[np.ndarray], addresses: np.ndarray
) -> Listed:
    """Return the clusters `of_meshes` (scene-wide, of each mesh) of layout.INSTANCE records (slots,), in their order.

    `addresses` (C,) uint32 are the pool words of all clusters.
    """
    slots = np.flatnonzero(instances["mesh"] != layout.NONE)
    mesh = instances["mesh"][slots]
    counts = np.array([len(numbers) for numbers in of_meshes], np.int64)
    first = np.cumsum(counts) - counts  # of each mesh, in all of them joined
    ends = np.cumsum(counts[mesh])
    first_place = ends - counts[mesh]
    joined = np.concatenate(of_meshes)
    drawn = joined[np.arange(ends[-1] if len(ends) else 0) + np.repeat(first[mesh] - first_place, counts[mesh])]
    visible = np.zeros(len(drawn), layout.VISIBLE_CLUSTER)
    visible["view_instance"] = np.repeat(slots, counts[mesh])
    visible["address"] = addresses[drawn]
    is_small = clusters.triangles <= layout.CONSTANTS["SMALL_CLUSTER_TRIANGLES"]
    is_masked = (clusters.records["counts"] >> 24 & layout.CONSTANTS["CLUSTER_MASKED"]) != 0
    bins = np.where(is_masked, MASKED, np.where(is_small, SMALL, SOFTWARE))
    return Listed(visible, bins[drawn], clusters.triangles[drawn], slots, first_place)
