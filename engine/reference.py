"""The culling decisions of the GPU over plain arrays in float64: the oracle of tests, `info --verify` and picking.

A cluster is drawn where the error of its group is too large to accept while the error of the group that made it is
small enough, and its box meets the frustum and covers a pixel centre. Projected errors follow Karis, Stubbe and
Wihlidal, "Nanite: a deep dive" (2021): pixels = error * scale * lod_scale / max(near, distance to the sphere). Boxes
against planes: Greene, "Detecting intersection of a rectangular solid and a convex polyhedron" (Graphics Gems IV,
1994), conservative.

All arrays are scene-wide, as in engine.scene.Scene. `view` is one layout.VIEW record.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from engine import layout
from engine.screen_boxes import are_hidden, screen_boxes

NONE = layout.NONE
ORTHOGRAPHIC = layout.CONSTANTS["VIEW_ORTHOGRAPHIC"]
CHUNK = 1 << 16  # pairs tested at once
ULP = 2.0**-23  # of float32, relative
TIE_ULPS = 8.0  # a decision this close to its threshold may go either way in float32
_COLUMNS = ("linear_x", "linear_y", "linear_z")
# Told of a batch: kind ("instances", "nodes" or "clusters"), slots (k,), meshes, nodes or clusters (k,), why each is
# culled (bool (k,) by reason, the first counts), and which are decided in the post pass (bool (k,)).
Record = Callable[[str, np.ndarray, np.ndarray, dict[str, np.ndarray], np.ndarray], None]


@dataclass(frozen=True)
class Tables:
    """What the decisions read: meshes, nodes, groups, clusters, instances as in layout, and what follows from them.

    cluster_group (C,) int64: the scene-wide group of each cluster; cluster_made_by (C,) int64: scene-wide, -1 for
    source clusters; cluster_mesh (C,) int64.
    """

    meshes: np.ndarray
    nodes: np.ndarray
    groups: np.ndarray
    clusters: np.ndarray
    instances: np.ndarray
    cluster_group: np.ndarray
    cluster_made_by: np.ndarray
    cluster_mesh: np.ndarray


@dataclass
class Counts:
    """How many were tested, kept, and culled: by level of detail, else frustum, else size, else occlusion."""

    instances_tested: int = 0
    instances_kept: int = 0
    instances_frustum: int = 0
    instances_size: int = 0
    instances_occlusion: int = 0
    nodes_tested: int = 0
    nodes_kept: int = 0
    nodes_detail: int = 0
    nodes_frustum: int = 0
    nodes_size: int = 0
    nodes_occlusion: int = 0
    groups: int = 0
    clusters_tested: int = 0
    clusters_kept: int = 0
    clusters_detail: int = 0
    clusters_frustum: int = 0
    clusters_size: int = 0
    clusters_occlusion: int = 0
    triangles_kept: int = 0

    def add(self, stage: str, reasons: dict[str, np.ndarray]) -> np.ndarray:
        """Count one batch of `stage` by the first of `reasons` (bool (k,) each) that holds; return which are kept."""
        kept = np.ones(len(next(iter(reasons.values()))), bool)
        self._increase(f"{stage}_tested", kept)
        for name, culled in reasons.items():
            self._increase(f"{stage}_{name}", kept & culled)
            kept &= ~culled
        self._increase(f"{stage}_kept", kept)
        return kept

    def _increase(self, name: str, mask: np.ndarray) -> None:
        setattr(self, name, getattr(self, name) + int(np.count_nonzero(mask)))

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Occlusion:
    """What hides things in one frame: the depth pyramids of its two passes, and what they were seen with.

    `main`, `post`: levels of engine.screen_boxes.pyramid_of; `main` None where there is no last frame, or no occlusion.
    `previous_view` layout.VIEW and `previous_instances` layout.INSTANCE (slots,) are those of the last frame.
    `tree_nodes` layout.NODE and `tree_order` are the instance tree; `seeds`: first and number of the nodes, of one
    level, whose children the walk begins with.
    """

    main: list[np.ndarray] | None
    post: list[np.ndarray]
    previous_view: np.ndarray
    previous_instances: np.ndarray
    tree_nodes: np.ndarray
    tree_order: np.ndarray
    seeds: tuple[int, int] = (0, 1)


@dataclass(frozen=True)
class VisibleSet:
    """Drawn clusters as (instance slot, scene-wide cluster) pairs, int64 (k, 2), sorted; and the counts."""

    pairs: np.ndarray
    counts: Counts


def tables(
    meshes: np.ndarray, nodes: np.ndarray, groups: np.ndarray, clusters: np.ndarray, instances: np.ndarray
) -> Tables:
    """Return Tables of scene-wide arrays (layout.MESH, NODE, GROUP, CLUSTER, INSTANCE)."""
    count = member_count(groups)
    cluster_group = np.full(len(clusters), -1, np.int64)
    cluster_group[_runs(groups["first_cluster"], count)] = np.repeat(np.arange(len(groups)), count)
    if (cluster_group < 0).any():
        raise ValueError(f"cluster {int((cluster_group < 0).argmax())} is a member of no group; build the asset again")
    mesh = groups["mesh"][cluster_group].astype(np.int64)
    made_by = clusters["made_by"].astype(np.int64)
    made_by = np.where(made_by == NONE, -1, made_by + meshes["group_base"][mesh])
    return Tables(meshes, nodes, groups, clusters, instances, cluster_group, made_by, mesh)


def tables_of(scene: Any) -> Tables:
    """Return the Tables of a Scene; decodes all its pages."""
    return tables(scene.meshes, scene.nodes, scene.groups, scene.clusters(), scene.instances)


def member_count(groups: np.ndarray) -> np.ndarray:
    """Return the number of members of each group, int64."""
    return (groups["place"].astype(np.int64) >> 16) & 0xFF


def combined_error(records: np.ndarray, view: np.ndarray, prefix: str = "") -> np.ndarray:
    """Return max(geometric, weight * attribute) of nodes or groups, float64; `prefix` "made_by_" for made-by errors."""
    weight = float(view["attribute_weight"])
    attribute = records[f"{prefix}attribute_error"].astype(float)
    return np.maximum(records[f"{prefix}geometric_error"].astype(float), weight * attribute)


def eye_relative(points: np.ndarray, instances: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return object-space `points` (k, 3) under `instances` (k,), relative to the eye, float64 (k, 3)."""
    result = (instances["translation_high"].astype(float) - view["eye_high"].astype(float)) + (
        instances["translation_low"].astype(float) - view["eye_low"].astype(float)
    )
    for axis, name in enumerate(_COLUMNS):
        result += instances[name].astype(float) * points[:, axis, None].astype(float)
    return result


def projected_error_pixels(
    center: np.ndarray,
    radius: np.ndarray,
    error: np.ndarray,
    instances: np.ndarray,
    view: np.ndarray,
    farthest: bool = False,
) -> np.ndarray:
    """Return the projected errors (k,) float64 in pixels at the image centre.

    `center` (k, 3), `radius` (k,) and `error` (k,) are in object space. An error of perspective views counts as if it
    lay at the nearest point of the sphere, or, with `farthest`, at its farthest point: no error inside is smaller then.
    """
    scale = instances["max_scale"].astype(float)
    pixels = error * scale * float(view["lod_scale"])
    if view["flags"] & ORTHOGRAPHIC:
        return pixels
    reach = radius.astype(float) * scale
    distance = np.linalg.norm(eye_relative(center, instances, view), axis=1)
    return pixels / np.maximum(float(view["near"]), distance + reach if farthest else distance - reach)


def plane_values(box_min: np.ndarray, box_max: np.ndarray, instances: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return (k, 5) float64: how far the box (object space, (k, 3) each) reaches inside left, right, bottom, top, near.

    The transformed box is outside a plane where its value is negative.
    """
    low, high = box_min.astype(float), box_max.astype(float)
    centre = eye_relative(0.5 * (low + high), instances, view)
    half = 0.5 * (high - low)
    normals, offsets = view["planes"][:, :3].astype(float), view["planes"][:, 3].astype(float)
    values = centre @ normals.T + offsets
    for axis, name in enumerate(_COLUMNS):
        values += np.abs(instances[name].astype(float) @ normals.T) * half[:, axis, None]
    return values


def in_frustum(box_min: np.ndarray, box_max: np.ndarray, instances: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return which boxes reach inside all five planes, bool (k,)."""
    return (plane_values(box_min, box_max, instances, view) >= 0.0).all(axis=1)


def node_error_pixels(nodes: np.ndarray, instances: np.ndarray, view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, of node records (k,) under instances (k,), what node_detail compares with tau, float64 (k,) each.

    That is the largest error below, and the least by which clusters below were made, at the greatest distance.
    """
    sphere = nodes["center"], nodes["radius"]
    error = projected_error_pixels(*sphere, combined_error(nodes, view), instances, view)
    made_by = projected_error_pixels(*sphere, combined_error(nodes, view, "made_by_"), instances, view, farthest=True)
    return error, made_by


def node_detail(nodes: np.ndarray, instances: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return which node records (k,) under instances (k,) hold nothing of the wanted level of detail, bool (k,).

    Either every error below is accepted, so something coarser is drawn; or no error by which clusters below were made
    is, so something finer is drawn.
    """
    error, made_by = node_error_pixels(nodes, instances, view)
    return (error <= float(view["error_pixels"])) | (made_by > float(view["error_pixels"]))


def group_error_pixels(groups: np.ndarray, instances: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return the projected error of group records (k,) under instances (k,), float64 pixels; the cut uses no other."""
    return projected_error_pixels(groups["center"], groups["radius"], combined_error(groups, view), instances, view)


def cluster_boxes(data: Tables, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes (minimum, maximum), float64 (k, 3) each, of scene-wide clusters, from the lattice."""
    records = data.clusters[clusters]
    step = data.meshes["step"][data.cluster_mesh[clusters]].astype(float)[:, None]
    origin = records["origin"].astype(np.int64)
    return origin * step, (origin + records["extent"]) * step


def cluster_detail(data: Tables, instances: np.ndarray, clusters: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return which pairs of slots and scene-wide clusters (k,) are too fine or too coarse to be drawn, bool (k,)."""
    tau = float(view["error_pixels"])
    records = data.instances[instances]
    fine = group_error_pixels(data.groups[data.cluster_group[clusters]], records, view) <= tau
    made_by = data.cluster_made_by[clusters]
    coarse = (made_by >= 0) & (group_error_pixels(data.groups[np.maximum(made_by, 0)], records, view) > tau)
    return fine | coarse


def visible_set(
    data: Tables,
    view: np.ndarray,
    occlusion: Occlusion | None = None,
    lean: float = 0.0,
    record: Record | None = None,
) -> VisibleSet:
    """Return what is drawn, found through the hierarchy from each instance's root node downwards.

    A leaf that is kept is a candidate group, all members of which are tested. With `occlusion`: what both passes draw.
    `lean` 1 keeps also what hangs on the rounding of sizes and depths, -1 only what does not. `record` is told of every
    batch that is tested. Memory is bounded by the number of instances and drawn clusters.
    """
    walk = _Walk(data, view, occlusion, lean, record)
    slots, in_post = walk.instance_slots()
    pending: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for part in _chunks(np.arange(len(slots))):
        pending += walk.enter_instances(slots[part], in_post[part])
    while pending:
        slots, nodes, in_post = pending.pop()
        if len(slots) > CHUNK:
            pending.append((slots[CHUNK:], nodes[CHUNK:], in_post[CHUNK:]))
            slots, nodes, in_post = slots[:CHUNK], nodes[:CHUNK], in_post[:CHUNK]
        pending += walk.visit_nodes(slots, nodes, in_post)
    return VisibleSet(_sorted_pairs(walk.found), walk.counts)


class _Walk:
    """The tests of one view; each thing carries whether it, or what holds it, was left to the post pass (`in_post`)."""

    def __init__(self, data: Tables, view: np.ndarray, occlusion: Occlusion | None, lean: float, record: Record | None):
        self._data, self._view, self._occlusion, self._lean, self._record = data, view, occlusion, lean, record
        self.counts = Counts()
        self.found: list[np.ndarray] = []

    def instance_slots(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the slots (k,) that the instance tree leads to, and which are left to the post pass."""
        if self._occlusion is None:
            live = np.flatnonzero(self._data.instances["mesh"] != NONE)
            return live, np.zeros(len(live), bool)
        tree, last = self._occlusion.tree_nodes, layout.CONSTANTS["INSTANCE_CHILDREN"]
        first, number = self._occlusion.seeds
        nodes, in_post = np.arange(first, first + number), np.zeros(number, bool)
        while True:
            records = tree[nodes]
            counts = records["child_count"].astype(np.int64) & (last - 1)
            children, in_post = _runs(records["child"], counts), np.repeat(in_post, counts)
            if records["child_count"][0] & last:
                return self._occlusion.tree_order[children].astype(np.int64), in_post
            boxes = tree["box_min"][children], tree["box_max"][children]
            reasons, in_post = self._box_reasons(boxes, np.full(len(children), -1), in_post)
            kept = ~np.logical_or.reduce(list(reasons.values()))
            nodes, in_post = children[kept], in_post[kept]
            if not len(nodes):
                return nodes, in_post

    def enter_instances(self, slots: np.ndarray, in_post: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        index = self._data.instances["mesh"][slots].astype(np.int64)
        mesh = self._data.meshes[index]
        reasons, in_post = self._box_reasons((mesh["box_min"], mesh["box_max"]), slots, in_post)
        kept = self._count("instances", slots, index, reasons, in_post)
        return self._enter(slots[kept], mesh["root_node"][kept].astype(np.int64), in_post[kept])

    def visit_nodes(self, slots: np.ndarray, nodes: np.ndarray, in_post: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        records = self._data.nodes[nodes]
        detail = node_detail(records, self._data.instances[slots], self._view)
        reasons, in_post = self._box_reasons((records["box_min"], records["box_max"]), slots, in_post, detail)
        kept = self._count("nodes", slots, nodes, reasons, in_post)
        return self._enter(slots[kept], nodes[kept], in_post[kept])

    def _enter(self, slots: np.ndarray, nodes: np.ndarray, in_post: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        """Test the members of leaves; return the children of the other nodes."""
        records = self._data.nodes[nodes]
        leaf = records["child_count"] == layout.CONSTANTS["NODE_LEAF"]
        self._visit_members(slots[leaf], records["child"][leaf], in_post[leaf])
        count = records["child_count"][~leaf].astype(np.int64)
        if not len(count):
            return []
        return [
            (np.repeat(slots[~leaf], count), _runs(records["child"][~leaf], count), np.repeat(in_post[~leaf], count))
        ]

    def _visit_members(self, slots: np.ndarray, groups: np.ndarray, in_post: np.ndarray) -> None:
        data = self._data
        self.counts.groups += len(groups)
        count = member_count(data.groups[groups])
        clusters = _runs(data.groups["first_cluster"][groups], count)
        slots, in_post = np.repeat(slots, count), np.repeat(in_post, count)
        if not len(clusters):
            return
        detail = cluster_detail(data, slots, clusters, self._view)
        reasons, in_post = self._box_reasons(cluster_boxes(data, clusters), slots, in_post, detail)
        kept = self._count("clusters", slots, clusters, reasons, in_post)
        triangles = (data.clusters["counts"][clusters[kept]] >> np.uint32(8)) & np.uint32(0xFF)
        self.counts.triangles_kept += int(triangles.sum(dtype=np.int64))
        self.found.append(np.stack([slots[kept], clusters[kept]], axis=1))

    def _count(self, stage, slots, index, reasons, in_post) -> np.ndarray:
        if self._record:
            self._record(stage, slots, index, reasons, in_post)
        return self.counts.add(stage, reasons)

    def _box_reasons(
        self,
        box: tuple[np.ndarray, np.ndarray],
        slots: np.ndarray,
        in_post: np.ndarray,
        detail: np.ndarray | None = None,
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return why boxes (slot -1: in the world) are culled, and which of them are decided in the post pass."""
        instances = self._records(self._data.instances, slots)
        boxes = screen_boxes(*box, instances, self._view, self._lean)
        reasons = {} if detail is None else {"detail": detail}
        reasons["frustum"] = ~in_frustum(*box, instances, self._view)
        reasons["size"] = boxes.cover_no_pixel(self._view["size"])
        if self._occlusion is not None:
            others = np.logical_or.reduce(list(reasons.values()))
            in_post = in_post | (~others & self._are_left(box, slots, instances))
            if in_post.any():
                reasons["occlusion"] = in_post & are_hidden(boxes, self._occlusion.post)
        return reasons, in_post

    def _are_left(self, box: tuple[np.ndarray, np.ndarray], slots: np.ndarray, now: np.ndarray) -> np.ndarray:
        assert self._occlusion is not None
        if self._occlusion.main is None:
            return np.zeros(len(slots), bool)
        before = self._records(self._occlusion.previous_instances, slots)
        boxes = screen_boxes(*box, before, self._occlusion.previous_view, self._lean)
        return are_hidden(boxes, self._occlusion.main) & (before["generation"] == now["generation"])

    @staticmethod
    def _records(instances: np.ndarray, slots: np.ndarray) -> np.ndarray:
        records = instances[np.maximum(slots, 0)]
        world = slots < 0
        if world.any():
            records = np.where(world, np.zeros(1, layout.INSTANCE), records)
            for name, axis in zip(_COLUMNS, np.eye(3)):
                records[name][world] = axis
        return records


def _chunks(values: np.ndarray) -> list[np.ndarray]:
    return [values[first : first + CHUNK] for first in range(0, len(values), CHUNK)]


def _runs(first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the numbers first[i] .. first[i] + count[i] - 1 of all i, one run after the other, int64."""
    ends = np.cumsum(count)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(first.astype(np.int64) - (ends - count), count)


def _sorted_pairs(found: list[np.ndarray]) -> np.ndarray:
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *found])
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
