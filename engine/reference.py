"""The culling decisions of the GPU over plain arrays in float64: the oracle of tests, `info --verify` and picking.

A cluster is drawn where the error of its group is too large to accept while the error of the group that made it is
small enough, and its box meets the frustum. Projected errors follow Karis, Stubbe and Wihlidal, "Nanite: a deep dive"
(2021): pixels = error * scale * lod_scale / max(near, distance to the sphere). Boxes against planes: Greene, "Detecting
intersection of a rectangular solid and a convex polyhedron" (Graphics Gems IV, 1994), conservative.

All arrays are scene-wide, as in engine.scene.Scene. `view` is one layout.VIEW record.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from engine import layout

NONE = layout.NONE
ORTHOGRAPHIC = layout.CONSTANTS["VIEW_ORTHOGRAPHIC"]
CHUNK = 1 << 16  # pairs tested at once
ULP = 2.0**-23  # of float32, relative
TIE_ULPS = 8.0  # a decision this close to its threshold may go either way in float32
_COLUMNS = ("linear_x", "linear_y", "linear_z")


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
    """How many were tested, kept, and culled; the first reason counts: outside the frustum, too fine, too coarse."""

    instances_tested: int = 0
    instances_kept: int = 0
    nodes_tested: int = 0
    nodes_kept: int = 0
    nodes_outside: int = 0
    nodes_too_fine: int = 0
    nodes_too_coarse: int = 0
    groups: int = 0
    clusters_tested: int = 0
    clusters_kept: int = 0
    clusters_outside: int = 0
    clusters_too_fine: int = 0
    clusters_too_coarse: int = 0
    triangles_kept: int = 0

    def add(self, stage: str, inside: np.ndarray, fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
        """Count one batch of `stage` ("nodes" or "clusters") and return which are kept."""
        too_fine = inside & fine
        too_coarse = inside & ~fine & coarse
        kept = inside & ~fine & ~coarse
        numbers = {"tested": inside.size, "outside": inside.size - inside.sum(), "kept": kept.sum()}
        for name, number in {**numbers, "too_fine": too_fine.sum(), "too_coarse": too_coarse.sum()}.items():
            setattr(self, f"{stage}_{name}", getattr(self, f"{stage}_{name}") + int(number))
        return kept

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


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
    return pixels / _sphere_distance(center, radius, instances, view, farthest)


def _sphere_distance(center, radius, instances, view, farthest) -> np.ndarray:
    reach = radius.astype(float) * instances["max_scale"].astype(float)
    distance = np.linalg.norm(eye_relative(center, instances, view), axis=1)
    return np.maximum(float(view["near"]), distance + reach if farthest else distance - reach)


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


def node_tests(nodes: np.ndarray, instances: np.ndarray, view: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for node records (k,) under instances (k,): in the frustum, too fine, too coarse; bool (k,) each.

    Too fine: every error below is accepted, so something coarser is drawn. Too coarse: not even the smallest error by
    which clusters below were made is accepted, at the greatest distance, so something finer is drawn.
    """
    tau = float(view["error_pixels"])
    sphere = nodes["center"], nodes["radius"]
    error = projected_error_pixels(*sphere, combined_error(nodes, view), instances, view)
    made_by = projected_error_pixels(*sphere, combined_error(nodes, view, "made_by_"), instances, view, farthest=True)
    return in_frustum(nodes["box_min"], nodes["box_max"], instances, view), error <= tau, made_by > tau


def group_error_pixels(groups: np.ndarray, instances: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return the projected error of group records (k,) under instances (k,), float64 pixels; the cut uses no other."""
    return projected_error_pixels(groups["center"], groups["radius"], combined_error(groups, view), instances, view)


def cluster_boxes(data: Tables, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes (minimum, maximum), float64 (k, 3) each, of scene-wide clusters, from the lattice."""
    records = data.clusters[clusters]
    step = data.meshes["step"][data.cluster_mesh[clusters]].astype(float)[:, None]
    origin = records["origin"].astype(np.int64)
    return origin * step, (origin + records["extent"]) * step


def cluster_tests(
    data: Tables, instances: np.ndarray, clusters: np.ndarray, view: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for pairs of slots and scene-wide clusters (k,): in the frustum, too fine, too coarse; bool (k,) each."""
    tau = float(view["error_pixels"])
    records = data.instances[instances]
    fine = group_error_pixels(data.groups[data.cluster_group[clusters]], records, view) <= tau
    made_by = data.cluster_made_by[clusters]
    coarse = (made_by >= 0) & (group_error_pixels(data.groups[np.maximum(made_by, 0)], records, view) > tau)
    return in_frustum(*cluster_boxes(data, clusters), records, view), fine, coarse


def visible_set(data: Tables, view: np.ndarray) -> VisibleSet:
    """Return what is drawn, found through the hierarchy from the root node of each instance's mesh downwards.

    The root node itself is tested, too; a leaf that is kept is a candidate group, all members of which are tested.
    Memory is bounded by the number of instances and drawn clusters.
    """
    counts = Counts()
    live = np.flatnonzero(data.instances["mesh"] != NONE)
    pending: list[tuple[np.ndarray, np.ndarray]] = []
    for slots in _chunks(live):
        mesh = data.meshes[data.instances["mesh"][slots]]
        kept = in_frustum(mesh["box_min"], mesh["box_max"], data.instances[slots], view)
        counts.instances_kept += int(kept.sum())
        pending.append((slots[kept], mesh["root_node"][kept].astype(np.int64)))
    counts.instances_tested = len(live)
    found = []
    while pending:
        slots, nodes = pending.pop()
        if len(slots) > CHUNK:
            pending.append((slots[CHUNK:], nodes[CHUNK:]))
            slots, nodes = slots[:CHUNK], nodes[:CHUNK]
        records = data.nodes[nodes]
        kept = counts.add("nodes", *node_tests(records, data.instances[slots], view))
        slots, records = slots[kept], records[kept]
        leaf = records["child_count"] == layout.CONSTANTS["NODE_LEAF"]
        inner = records[~leaf]
        if len(inner):
            children = _runs(inner["child"], inner["child_count"].astype(np.int64))
            pending.append((np.repeat(slots[~leaf], inner["child_count"]), children))
        found.append(_visible_members(data, slots[leaf], records["child"][leaf], view, counts))
    return VisibleSet(_sorted_pairs(found), counts)


def _visible_members(
    data: Tables, slots: np.ndarray, groups: np.ndarray, view: np.ndarray, counts: Counts
) -> np.ndarray:
    """Return the drawn members of candidate groups, (k, 2) int64."""
    counts.groups += len(groups)
    records = data.groups[groups]
    count = member_count(records)
    clusters = _runs(records["first_cluster"], count)
    slots = np.repeat(slots, count)
    kept = counts.add("clusters", *cluster_tests(data, slots, clusters, view))
    triangles = (data.clusters["counts"][clusters[kept]] >> np.uint32(8)) & np.uint32(0xFF)
    counts.triangles_kept += int(triangles.sum(dtype=np.int64))
    return np.stack([slots[kept], clusters[kept]], axis=1)


def brute_force_visible_set(data: Tables, view: np.ndarray) -> VisibleSet:
    """Return what is drawn, by testing every cluster of every instance: for small scenes, to judge the hierarchy."""
    counts = Counts()
    found = []
    order = np.argsort(data.cluster_mesh, kind="stable")
    first = np.searchsorted(data.cluster_mesh[order], np.arange(len(data.meshes) + 1))
    live = np.flatnonzero(data.instances["mesh"] != NONE)
    for slot in live.tolist():
        mesh = int(data.instances["mesh"][slot])
        for clusters in _chunks(order[first[mesh] : first[mesh + 1]]):
            slots = np.full(len(clusters), slot)
            kept = counts.add("clusters", *cluster_tests(data, slots, clusters, view))
            found.append(np.stack([slots[kept], clusters[kept]], axis=1))
    counts.instances_tested = counts.instances_kept = len(live)
    return VisibleSet(_sorted_pairs(found), counts)


def _chunks(values: np.ndarray) -> list[np.ndarray]:
    return [values[first : first + CHUNK] for first in range(0, len(values), CHUNK)]


def _runs(first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the numbers first[i] .. first[i] + count[i] - 1 of all i, one run after the other, int64."""
    ends = np.cumsum(count)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(first.astype(np.int64) - (ends - count), count)


def _sorted_pairs(found: list[np.ndarray]) -> np.ndarray:
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *found])
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
