"""Baseline triangles_software: every source cluster of every instance goes to the software rasterisers."""

from dataclasses import replace
from typing import Any

import numpy as np

from engine import layout
from engine.frame.baselines.cluster_lists import scene_clusters, source_clusters
from engine.frame.baselines.listed_clusters import Listed, count_clusters, list_clusters
from engine.frame.context import Context
from engine.frame.cull_rasterize import MAIN, CullRasterize
from engine.frame.queues import BINS, MAX_VISIBLE_CLUSTERS
from engine.gpu.buffers import CapacityError, upload


class TrianglesSoftware(CullRasterize):
    """No culling: the lists that culling makes are uploaded when instances are placed, and stay.

    Raises CapacityError for more clusters than a visibility sample can name or the adapter can list.
    """

    NAME = "triangles_software"

    def __init__(self, context: Context):
        super().__init__(context)
        self.traversal = "none"
        self._clusters = scene_clusters(context.scene_buffers.scene)
        self._of_meshes = source_clusters(context.scene_buffers.scene, self._clusters)
        self._addresses = context.scene_buffers.cluster_addresses(np.arange(len(self._clusters.records)))
        self._placed_revision = -1
        self._check_count(context)

    def encode(self, context: Context, view_count: int, first_view: int = 0) -> None:
        """Record the visibility buffer of all clusters, of one view."""
        revision = context.scene_buffers.scene.placed_revision
        if revision != self._placed_revision:
            self._check_count(context)
            instances = context.scene_buffers.scene.instances
            listed = list_clusters(instances, self._clusters, self._of_meshes, self._addresses)
            self._upload(context, self._classified(listed))
            self._placed_revision = revision
        self.init_context.encode(context, view_count, first_view, keeps_set=True)
        for one in self.rasterizers:
            one.encode(context, MAIN)

    def _make_cull_passes(self, context: Context) -> list[Any]:
        return []

    def _classified(self, listed: Listed) -> Listed:
        """Return what is listed in the raster classes that draw it."""
        return listed

    def _upload(self, context: Context, listed: Listed) -> None:
        """Fill the queues; those that are too small get nothing but the count, which asks for larger ones."""
        device, resources, capacity = context.device, context.queues.resources, context.queues.capacities.clusters
        upload(device, resources["states"], listed.state())
        is_fit = len(listed.visible) <= capacity
        if not is_fit:
            listed = replace(listed, visible=listed.visible[:0], bins=listed.bins[:0], triangles=listed.triangles[:0])
        upload(device, resources["raster_arguments"], listed.arguments())
        upload(device, resources["visible_clusters"], listed.visible)
        for number in range(BINS):
            offset = number * capacity * layout.BIN_ENTRY.itemsize
            upload(device, resources["raster_bins"], listed.entries(number), offset)

    def _check_count(self, context: Context) -> None:
        count = count_clusters(context.scene_buffers.scene.instances, self._of_meshes)
        limits = context.device.limits
        binding = min(limits["max-storage-buffer-binding-size"], limits["max-buffer-size"])
        most = min(MAX_VISIBLE_CLUSTERS, binding // (4 * BINS * layout.BIN_ENTRY.itemsize) * 4)
        if count > most:
            raise CapacityError(
                f"baseline {self.NAME}: the scene has {count:,} source clusters, this adapter lists {most:,};"
                " use fewer instances"
            )
