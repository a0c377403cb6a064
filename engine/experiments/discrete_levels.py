"""What the baseline discrete_lods draws, according to the maths of engine.reference.

Each instance in view (its box meets the frustum and covers a pixel centre) draws all clusters of one whole-mesh level:
the coarsest whose claimed error, seen at the nearest point of the mesh's bounding sphere, is at most tau.
"""

from dataclasses import dataclass

import numpy as np

from engine import layout, reference
from engine.experiments.verification import CLUSTERS, TIED_CLUSTERS, Comparison
from engine.frame.baselines.cluster_lists import PIECE_CLUSTERS, level_lists, scene_clusters
from engine.reference import Tables
from engine.scene import Scene
from engine.ties import box_margins, error_margins


@dataclass(frozen=True)
class Levels:
    """The levels (l,) of all meshes: `clusters` of each, int64, scene-wide and sorted; `mesh_levels` (M, 2) int64.

    The latter are first and number of the levels of each mesh, from coarse to fine.
    """

    clusters: list[np.ndarray]
    mesh_levels: np.ndarray


def levels_of(scene: Scene) -> Levels:
    """Return the whole-mesh levels of a scene; decodes all its pages."""
    lists = level_lists(scene, scene_clusters(scene))
    spans = [(int(one["first"]), int(one["first"] + PIECE_CLUSTERS * one["pieces"])) for one in lists.lists]
    filled = [lists.clusters[first:end] for first, end in spans]
    return Levels([np.sort(numbers[numbers >= 0]) for numbers in filled], lists.mesh_lists.astype(np.int64))


def claimed_error(tables: Tables, view: np.ndarray, clusters: np.ndarray) -> float:
    """Return the largest error that the groups claim which made `clusters`, an object-space length."""
    makers = tables.cluster_made_by[clusters]
    return float(reference.combined_error(tables.groups[makers[makers >= 0]], view).max(initial=0.0))


def compare_with_levels(tables: Tables, view: np.ndarray, levels: Levels, drawn: np.ndarray) -> Comparison:
    """Compare drawn pairs of instance slot and cluster, integer (k, 2), with the level of each instance.

    Instances whose decision lies within TIE_ULPS of its threshold may draw what the other decision asks for: their
    clusters are ties. More than a few such instances count as differences.
    """
    slots = np.flatnonzero(tables.instances["mesh"] != layout.NONE)
    margins, inside = _decisions(tables, view, levels, slots)
    chosen = np.where(inside >= 0.0, np.argmax(margins <= 0.0, axis=1), -1)
    first = levels.mesh_levels[tables.instances["mesh"][slots].astype(np.int64), 0]
    expected = _pairs(levels, slots, np.where(chosen >= 0, first + chosen, -1))
    both, counts = np.unique(np.concatenate([expected, drawn.astype(np.int64)]), axis=0, return_counts=True)
    wrong, sizes = np.unique(both[counts == 1, 0], return_counts=True)
    is_close = np.minimum(np.abs(margins).min(axis=1), np.abs(inside)) <= reference.TIE_ULPS
    is_tied = np.isin(wrong, slots[is_close])
    for i in np.flatnonzero(is_tied).tolist():
        row = int(np.searchsorted(slots, wrong[i]))
        own = np.sort(drawn[drawn[:, 0] == wrong[i], 1].astype(np.int64))
        is_tied[i] = any(np.array_equal(own, one) for one in _allowed(levels, first[row], margins[row], inside[row]))
    if np.count_nonzero(is_tied) > max(1.0, TIED_CLUSTERS * len(slots)):
        is_tied[:] = False
    ties, mistakes = int(sizes[is_tied].sum()), int(sizes[~is_tied].sum())
    first_text = f"instance {wrong[~is_tied][0]} does not draw its level" if mistakes else ""
    return Comparison(CLUSTERS, len(expected), ties, mistakes, first_text)


def _decisions(tables: Tables, view: np.ndarray, levels: Levels, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return by how many ulps the claim of each level of `slots` (k,) exceeds tau, and boxes are in view.

    float64 (k, levels), -inf from the finest on, which is drawn whatever is asked for; and (k,).
    """
    instances = tables.instances[slots]
    mesh = instances["mesh"].astype(np.int64)
    spheres, count = tables.meshes[mesh], levels.mesh_levels[mesh, 1]
    claims = np.array([claimed_error(tables, view, clusters) for clusters in levels.clusters])
    margins = np.full((len(slots), int(levels.mesh_levels[:, 1].max())), -np.inf)
    for number in range(margins.shape[1] - 1):
        some = np.flatnonzero(number < count - 1)
        errors = claims[levels.mesh_levels[mesh[some], 0] + number]
        margins[some, number] = error_margins(spheres[some], errors, instances[some], view)
    return margins, box_margins(spheres["box_min"], spheres["box_max"], instances, view).min(axis=1)


def _allowed(levels: Levels, first: int, margins: np.ndarray, inside: float) -> list[np.ndarray]:
    """Return what an instance may draw if its close decisions go either way; `first` is the first level of its mesh."""
    allowed = [np.zeros(0, np.int64)] if inside <= reference.TIE_ULPS else []
    if inside >= -reference.TIE_ULPS:
        last = int(np.argmax(margins < -reference.TIE_ULPS))
        close = np.flatnonzero(margins[:last] <= reference.TIE_ULPS).tolist()
        allowed += [levels.clusters[first + number] for number in (*close, last)]
    return allowed


def _pairs(levels: Levels, slots: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return (slot, cluster) of all clusters of the `chosen` level (k,) of each of `slots` (k,), -1: none; int64."""
    parts = [np.zeros((0, 2), np.int64)]
    for number in np.unique(chosen[chosen >= 0]).tolist():
        some, clusters = slots[chosen == number], levels.clusters[number]
        parts.append(np.stack([np.repeat(some, len(clusters)), np.tile(clusters, len(some))], axis=1))
    return np.concatenate(parts)
