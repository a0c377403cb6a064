"""Baseline triangles_hardware: every source triangle of every instance goes through the graphics pipeline."""

from dataclasses import replace
from typing import Any

import numpy as np

from engine.frame.baselines.draw_triangles import DrawTriangles, Targets
from engine.frame.baselines.listed_clusters import HARDWARE, Listed
from engine.frame.baselines.resolve_triangles import ResolveTriangles
from engine.frame.baselines.triangle_draws import draw_order, draws_of, sweep_order, triangle_names
from engine.frame.baselines.triangles_software import TrianglesSoftware
from engine.frame.context import Context
from engine.gpu.buffers import buffer_from
from engine.scene_triangles import cluster_triangles


class TrianglesHardware(TrianglesSoftware):
    """As a plain renderer draws: vertex and index buffers, back faces culled, a depth test, no other culling.

    Triangles are in an order that reuses shaded vertices, and the fragment shader leaves depth alone, so that the depth
    test comes first.
    The names of triangles that shading needs are written to a second target and resolved after. Raises ValueError for
    what such a renderer would need more for: alpha tests, counts of overdraw, adapters that do not number triangles.
    """

    NAME = "triangles_hardware"

    def __init__(self, context: Context):
        if context.has_masks:
            raise ValueError(f"baseline {self.NAME} draws no alpha-tested materials, and the scene has some")
        if context.view.count_overdraw:
            raise ValueError(f"baseline {self.NAME} does not count overdraw; choose another view")
        if "primitive-index" not in context.device.features:
            raise ValueError(f"baseline {self.NAME} needs the feature primitive-index, which this adapter lacks")
        super().__init__(context)
        device, clusters = context.device, self._clusters
        order, numbers, self._meshes = draw_order(self._of_meshes, clusters.records)
        triangles = cluster_triangles(context.scene_buffers.scene, order)
        sweep = sweep_order(triangles)
        triangles = triangles._replace(corners=triangles.corners[sweep])
        names = buffer_from(device, "triangle names", triangle_names(numbers, triangles.first_triangle)[sweep])
        targets = Targets.of(context)
        self._draw = DrawTriangles(context, triangles, targets)
        self._resolve = ResolveTriangles(context, targets, names)
        self.rasterizers = [self._draw, self._resolve]
        self.memory_bytes = self._draw.memory_bytes + names.size

    def _make_rasterizers(self, context: Context) -> list[Any]:
        return []

    def _classified(self, listed: Listed) -> Listed:
        return replace(listed, bins=np.full(len(listed.bins), HARDWARE))

    def _upload(self, context: Context, listed: Listed) -> None:
        super()._upload(context, listed)
        instances = context.scene_buffers.scene.instances
        draws, drawn = draws_of(instances, listed.slots, listed.first_place, self._meshes)
        table = buffer_from(context.device, "drawn instances", drawn)
        self._draw.place(draws, table)
        self._resolve.place(table)
