"""The clusters of a scene by mesh, as the baselines draw them: source clusters, whole-mesh levels, or all there are.

A cut at an object-space error e holds the clusters whose group's error is more than e, while that of the group that
made them is not. Errors grow from group to group upwards, so that each such cut covers the mesh exactly once: a level
of detail of the whole mesh, as renderers without a cluster hierarchy use them.
"""

from dataclasses import dataclass

import numpy as np

from engine import layout
from engine.scene import Scene

PIECE_CLUSTERS = int(layout.CONSTANTS["PIECE_CLUSTERS"])
ROOT_ERROR = np.float32(layout.CONSTANTS["ROOT_ERROR"])
LARGEST_LEVELS = 25  # errors from the coarsest cut down to 2^-24 of it, and the source clusters


@dataclass(frozen=True)
class SceneClusters:
    """The clusters (C,) of a scene: records layout.CLUSTER, and int64 each: mesh, group, made_by (-1: source)."""

    records: np.ndarray
    mesh: np.ndarray
    group: np.ndarray
    made_by: np.ndarray

    @property
    def triangles(self) -> np.ndarray:
        """Triangles of each cluster, (C,) int64."""
        return self.records["counts"].astype(np.int64) >> 8 & 255


@dataclass(frozen=True)
class ClusterLists:
    """`clusters` (n,) int64, scene-wide, -1 where a list is filled up; `lists` layout.CLUSTER_LIST (l,).

    `mesh_lists` (M, 2) uint32: first and number of the lists of each mesh, from coarse to fine.
    """

    clusters: np.ndarray
    lists: np.ndarray
    mesh_lists: np.ndarray


def scene_clusters(scene: Scene) -> SceneClusters:
    """Return the clusters of a scene; decodes all its pages."""
    records, groups = scene.clusters(), scene.groups
    order = np.argsort(groups["first_cluster"], kind="stable")
    members = groups["place"].astype(np.int64) >> 16 & 255
    group = np.repeat(order, members[order])
    mesh = groups["mesh"][group].astype(np.int64)
    made_by = records["made_by"].astype(np.int64)
    made_by = np.where(made_by == layout.NONE, -1, made_by + scene.meshes["group_base"][mesh])
    return SceneClusters(records, mesh, group, made_by)


def source_clusters(scene: Scene, clusters: SceneClusters) -> list[np.ndarray]:
    """Return the scene-wide numbers of the source clusters of each mesh, int64."""
    return _by_mesh(scene, clusters, np.flatnonzero(clusters.made_by < 0))


def all_lists(scene: Scene, clusters: SceneClusters) -> ClusterLists:
    """Return one list for each mesh: the clusters of all levels."""
    everything = _by_mesh(scene, clusters, np.arange(len(clusters.records)))
    return _joined([[(numbers, 0.0, 0.0)] for numbers in everything])


def level_lists(scene: Scene, clusters: SceneClusters) -> ClusterLists:
    """Return the whole-mesh levels of each mesh: cuts at errors that halve, from the coarsest to the source clusters.

    A level's errors are the largest of the groups that made its clusters: what it claims, whatever the cut allowed.
    Cuts that hold the same clusters are one level.
    """
    return _joined([_levels(scene, clusters, own) for own in _by_mesh(scene, clusters, np.arange(len(clusters.mesh)))])


def _levels(scene: Scene, clusters: SceneClusters, own: np.ndarray) -> list[tuple[np.ndarray, float, float]]:
    """Return (clusters, geometric error, attribute error) of each level of the mesh whose clusters are `own`."""
    groups, made_by = scene.groups, clusters.made_by[own]
    errors = np.maximum(groups["geometric_error"], groups["attribute_error"]).astype(float)
    group_error = errors[clusters.group[own]]
    made_error = np.where(made_by >= 0, errors[np.maximum(made_by, 0)], 0.0)
    largest = made_error.max(initial=0.0)
    levels: list[tuple[np.ndarray, float, float]] = []
    for allowed in [*(largest * 0.5**k for k in range(LARGEST_LEVELS - 1)), 0.0]:
        held = (group_error > allowed) & (made_error <= allowed)
        if levels and len(levels[-1][0]) == np.count_nonzero(held) and (levels[-1][0] == own[held]).all():
            continue
        makers = groups[made_by[held & (made_by >= 0)]]
        geometric, attribute = (makers[name].max(initial=0.0) for name in ("geometric_error", "attribute_error"))
        levels.append((own[held], float(geometric), float(attribute)))
    return levels


def _by_mesh(scene: Scene, clusters: SceneClusters, numbers: np.ndarray) -> list[np.ndarray]:
    mesh = clusters.mesh[numbers]
    order = np.argsort(mesh, kind="stable")
    ends = np.cumsum(np.bincount(mesh, minlength=len(scene.meshes)))
    return np.split(numbers[order], ends[:-1])


def _joined(of_meshes: list[list[tuple[np.ndarray, float, float]]]) -> ClusterLists:
    parts = [part for parts in of_meshes for part in parts]
    pieces = np.array([-(-len(numbers) // PIECE_CLUSTERS) for numbers, *_ in parts], np.int64)
    lists = np.zeros(len(parts), layout.CLUSTER_LIST)
    lists["pieces"] = pieces
    lists["first"] = PIECE_CLUSTERS * (np.cumsum(pieces) - pieces)
    lists["geometric_error"] = [geometric for _, geometric, _ in parts]
    lists["attribute_error"] = [attribute for _, _, attribute in parts]
    clusters = np.full(PIECE_CLUSTERS * int(pieces.sum()), -1, np.int64)
    for first, (numbers, *_) in zip(lists["first"].tolist(), parts):
        clusters[first : first + len(numbers)] = numbers
    counts = np.array([len(parts) for parts in of_meshes], np.uint32)
    return ClusterLists(clusters, lists, np.stack([np.cumsum(counts, dtype=np.uint32) - counts, counts], axis=1))
