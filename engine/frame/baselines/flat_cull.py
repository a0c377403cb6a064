"""Baselines that cull without a hierarchy: in two flat passes, instances and clusters.

That is how renderers with meshlets and no hierarchy cull (Kapoulkine, "niagara", 2018 on).
"""

from typing import Any

import numpy as np

from engine import layout
from engine.frame.baselines.cluster_lists import ClusterLists, all_lists, level_lists, scene_clusters
from engine.frame.baselines.flat_clusters import FlatClusters
from engine.frame.baselines.flat_instances import FlatInstances
from engine.frame.context import Context
from engine.frame.cull_rasterize import MAIN, CullRasterize
from engine.gpu.buffers import CapacityError, buffer_from
from engine.scene import Scene


class FlatCull(CullRasterize):
    """Passes flat_instances and flat_clusters, then the rasterisers of the engine."""

    def __init__(self, context: Context, lists: ClusterLists, picks_level: bool):
        device, buffers = context.device, context.scene_buffers
        addresses = np.full(len(lists.clusters), layout.NONE, np.uint32)
        addresses[lists.clusters >= 0] = buffers.cluster_addresses(lists.clusters[lists.clusters >= 0])
        self._lists, self._picks_level = lists, picks_level
        self._tables = {
            "cluster_lists": buffer_from(device, "cluster lists", lists.lists),
            "mesh_lists": buffer_from(device, "mesh lists", lists.mesh_lists),
            "listed_clusters": buffer_from(device, "listed clusters", addresses),
        }
        super().__init__(context)
        self.traversal = "none"
        self.memory_bytes = sum(buffer.size for buffer in self._tables.values())

    def encode(self, context: Context, view_count: int, first_view: int = 0) -> None:
        """Record everything from emptied buffers to the complete visibility buffer, of one view."""
        self.init_context.encode(context, 0, first_view)  # no nodes: nobody walks the hierarchy
        self._encode_phase(context, MAIN)

    def _make_cull_passes(self, context: Context) -> list[Any]:
        return [
            FlatInstances(context, self._tables, self._picks_level),
            FlatClusters(context, self._tables, tests_clusters=not self._picks_level),
        ]


class ClustersFrustum(FlatCull):
    """Baseline clusters_frustum: all clusters of all levels of the instances in view are tested, each by one thread.

    The tests are the engine's, without occlusion: first of instances, then of clusters; level of detail, frustum, and
    whether a pixel is covered. Raises CapacityError where all instances have more than the adapter can list.
    """

    def __init__(self, context: Context):
        scene = context.scene_buffers.scene
        self._most = piece_limit(context)
        lists = all_lists(scene, scene_clusters(scene))
        check_tests(scene, lists, self._most)
        super().__init__(context, lists, picks_level=False)

    def encode(self, context: Context, view_count: int, first_view: int = 0) -> None:
        """Record the passes; instances may have been added since the last frame."""
        check_tests(context.scene_buffers.scene, self._lists, self._most)
        super().encode(context, view_count, first_view)


class DiscreteLods(FlatCull):
    """Baseline discrete_lods: the coarsest whole-mesh level whose claimed error, at the nearest point of the mesh's
    bounding sphere, is at most tau; instances outside the frustum, or that cover no pixel, draw nothing.
    """

    def __init__(self, context: Context):
        scene = context.scene_buffers.scene
        super().__init__(context, level_lists(scene, scene_clusters(scene)), picks_level=True)


def piece_limit(context: Context) -> int:
    """Return how many pieces the adapter can list."""
    limits = context.device.limits
    return min(limits["max-storage-buffer-binding-size"], limits["max-buffer-size"]) // layout.CANDIDATE_GROUP.itemsize


def check_tests(scene: Scene, lists: ClusterLists, most_pieces: int) -> None:
    """Raise CapacityError where all instances together have more than `most_pieces` pieces of clusters."""
    placed = scene.instances["mesh"]
    counts = np.bincount(placed[placed != layout.NONE], minlength=len(scene.meshes))
    pieces = int((counts * lists.lists["pieces"][lists.mesh_lists[:, 0]]).sum(dtype=np.int64))
    if pieces > most_pieces:
        size = layout.CONSTANTS["PIECE_CLUSTERS"]
        raise CapacityError(
            f"baseline clusters_frustum: {scene.instance_count} instances have {pieces * size:,} clusters,"
            f" this adapter can list {most_pieces * size:,}; use fewer instances"
        )
