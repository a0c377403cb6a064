"""Why two visible sets differ: how far, in float32 ulps, each decision that a pair hangs on is from its threshold.

The GPU decides in float32, engine.reference in float64. A pair on which they disagree is a tie where the decisions that
would have to flip lie within TIE_ULPS of their thresholds; everything else is a mistake.
"""

from dataclasses import dataclass

import numpy as np

from engine import layout
from engine.reference import (
    ORTHOGRAPHIC,
    TIE_ULPS,
    ULP,
    Occlusion,
    Tables,
    cluster_boxes,
    combined_error,
    eye_relative,
    plane_values,
    projected_error_pixels,
    visible_set,
)
from engine.screen_boxes import screen_boxes

_COLUMNS = ("linear_x", "linear_y", "linear_z")


@dataclass(frozen=True)
class Difference:
    """Pairs that are in one of two sets only, int64 (k, 2), and by how much that takes, float64 (k,) ulps.

    `extra_by_size` bool (k,): nothing culls the pair in the reference but its size, so what it draws covers no pixel.
    """

    missing: np.ndarray  # in the reference only
    extra: np.ndarray  # in the other set only
    missing_ulps: np.ndarray
    extra_ulps: np.ndarray
    extra_by_size: np.ndarray

    @property
    def mistakes(self) -> np.ndarray:
        """Pairs whose difference no tie explains, int64 (k, 2)."""
        return np.concatenate([self.missing[self.missing_ulps > TIE_ULPS], self.extra[self.extra_ulps > TIE_ULPS]])


def explain_difference(
    data: Tables, view: np.ndarray, reference: np.ndarray, other: np.ndarray, occlusion: Occlusion | None = None
) -> Difference:
    """Compare two sets of (instance, cluster) pairs, integer (k, 2); `reference` is from engine.reference.

    With `occlusion`, both were drawn with it: a pair that is hidden or not as rectangles and depths are rounded, by as
    much as engine.screen_boxes leans, takes 0 ulps.
    """
    reference, other = np.unique(reference, axis=0), np.unique(other, axis=0)
    both, inverse = np.unique(np.concatenate([reference, other]), axis=0, return_inverse=True)
    inverse = inverse.ravel()
    in_reference, in_other = np.zeros((2, len(both)), bool)
    in_reference[inverse[: len(reference)]] = True
    in_other[inverse[len(reference) :]] = True
    missing = both[in_reference & ~in_other].astype(np.int64)
    extra = both[in_other & ~in_reference].astype(np.int64)
    missing_ulps, extra_ulps = flip_ulps(data, view, missing), flip_ulps(data, view, extra)
    if occlusion is not None and len(missing):
        missing_ulps[~_is_among(missing, visible_set(data, view, occlusion, lean=-1.0).pairs)] = 0.0
    if occlusion is not None and len(extra):
        # The reference culls it by no decision but one about occlusion.
        hidden = (decision_margins(data, view, extra) >= 0.0).all(axis=1)
        extra_ulps[hidden] = np.inf
        extra_ulps[hidden & _is_among(extra, visible_set(data, view, occlusion, lean=1.0).pairs)] = 0.0
    return Difference(missing, extra, missing_ulps, extra_ulps, culled_by_size(data, view, extra))


def _is_among(pairs: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which pairs, integer (k, 2), are among `others` (l, 2), bool (k,)."""
    numbers, known = (values[:, 0].astype(np.int64) << 32 | values[:, 1].astype(np.int64) for values in (pairs, others))
    return np.isin(numbers, known)


def flip_ulps(data: Tables, view: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return how many ulps the decisions must be wrong by to turn the verdict on each pair, float64 (k,).

    A drawn pair turns with its closest decision; one that is not drawn needs all that failed.
    """
    if not len(pairs):
        return np.zeros(0)
    table = decision_margins(data, view, pairs)
    failed = np.where(table < 0.0, -table, 0.0).max(axis=1)
    return np.where(failed > 0.0, failed, table.min(axis=1))


def culled_by_size(data: Tables, view: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return which pairs, integer (k, 2), only the size of a box culls, bool (k,)."""
    if not len(pairs):
        return np.zeros(0, bool)
    is_culled = (decision_margins(data, view, pairs) < 0.0).any(axis=1)
    return is_culled & (decision_margins(data, view, pairs, sizes=False) >= 0.0).all(axis=1)


def decision_margins(data: Tables, view: np.ndarray, pairs: np.ndarray, sizes: bool = True) -> np.ndarray:
    """Return by how many ulps each decision lets pairs (k, 2) pass, float64 (k, decisions); negative: it culls them.

    Decisions: the instance's box, every node below the root to the group's leaf, the cluster itself; not occlusion, and
    without `sizes` not whether boxes cover a pixel centre.
    """
    box_test = box_margins if sizes else plane_margins
    slots, clusters = pairs[:, 0], pairs[:, 1]
    instances = data.instances[slots]
    mesh = data.meshes[instances["mesh"]]
    margins = [box_test(mesh["box_min"], mesh["box_max"], instances, view)]
    margins.append(box_test(*cluster_boxes(data, clusters), instances, view))
    groups = data.groups[data.cluster_group[clusters]]
    margins.append(error_margins(groups, combined_error(groups, view), instances, view)[:, None])
    made_by = data.cluster_made_by[clusters]
    makers = data.groups[np.maximum(made_by, 0)]
    coarse = -error_margins(makers, combined_error(makers, view), instances, view)
    margins.append(np.where(made_by >= 0, coarse, np.inf)[:, None])
    parents, leaves = _parents(data)
    node = leaves[data.cluster_group[clusters]]
    node = np.where(node == mesh["root_node"], -1, node)
    while (node >= 0).any():
        records = data.nodes[np.maximum(node, 0)]
        boxes = box_test(records["box_min"], records["box_max"], instances, view)
        of_node = np.column_stack([boxes, _detail_margins(records, instances, view)])
        margins.append(np.where(node[:, None] >= 0, of_node, np.inf))
        node = np.where(node >= 0, parents[node], -1)
        node = np.where(node == mesh["root_node"], -1, node)  # stands for the instance, which was tested
    return np.concatenate(margins, axis=1)


def error_margins(
    spheres: np.ndarray, error: np.ndarray, instances: np.ndarray, view: np.ndarray, farthest: bool = False
) -> np.ndarray:
    """Return by how many ulps projected errors exceed tau, float64 (k,); `spheres` are node or group records.

    One ulp of the projected error is that of its own size, enlarged by what the subtraction in the distance loses.
    """
    tau = float(view["error_pixels"])
    pixels = projected_error_pixels(spheres["center"], spheres["radius"], error, instances, view, farthest)
    loss = np.ones(len(pixels))
    if not view["flags"] & ORTHOGRAPHIC:
        scale = instances["max_scale"].astype(float)
        reach = scale * spheres["radius"]
        distance = np.linalg.norm(eye_relative(spheres["center"], instances, view), axis=1)
        terms = distance + reach + scale * np.linalg.norm(spheres["center"].astype(float), axis=1)
        terms += np.linalg.norm(eye_relative(np.zeros((len(pixels), 3)), instances, view), axis=1)
        loss += terms / np.maximum(float(view["near"]), distance + reach if farthest else distance - reach)
    unit = ULP * np.maximum(pixels, tau) * loss
    return np.divide(pixels - tau, unit, out=np.full(len(pixels), -np.inf), where=unit > 0.0)


def plane_margins(box_min: np.ndarray, box_max: np.ndarray, instances: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return plane_values in ulps of the terms they are sums of, float64 (k, 5)."""
    values = plane_values(box_min, box_max, instances, view)
    corner = np.maximum(np.abs(box_min), np.abs(box_max)).astype(float)
    terms = np.linalg.norm(eye_relative(np.zeros_like(corner), instances, view), axis=1)
    for axis, name in enumerate(_COLUMNS):
        terms += np.linalg.norm(instances[name].astype(float), axis=1) * corner[:, axis]
    return values / (ULP * (terms[:, None] + np.abs(view["planes"][:, 3].astype(float))))


def box_margins(box_min: np.ndarray, box_max: np.ndarray, instances: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return the margins of both tests of a box, float64 (k, 6)."""
    planes = plane_margins(box_min, box_max, instances, view)
    return np.column_stack([planes, size_margins(box_min, box_max, instances, view)])


def size_margins(box_min: np.ndarray, box_max: np.ndarray, instances: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return by how many ulps the rectangles of boxes contain a pixel centre, float64 (k,); negative: miss them all.

    One ulp is that of a pixel coordinate, enlarged by what the position relative to the eye loses.
    """
    boxes = screen_boxes(box_min, box_max, instances, view)
    size = view["size"].astype(float)
    first = np.maximum(np.ceil(boxes.begin), 0.0)
    last = np.minimum(np.floor(boxes.end), size - 1.0)
    # Inwards: to the outermost centres that are contained. Outwards: to the nearest one that is missed.
    inside = np.maximum(np.minimum(boxes.end - first, size), last - boxes.begin)
    nearest = np.clip(np.rint(0.5 * (boxes.begin + boxes.end)), 0.0, size - 1.0)
    outside = np.maximum(boxes.begin - nearest, nearest - boxes.end)
    pixels = np.where(last >= first, inside, -outside).min(axis=1)
    corner = np.maximum(np.abs(box_min), np.abs(box_max)).astype(float)
    terms = np.linalg.norm(eye_relative(np.zeros_like(corner), instances, view), axis=1)
    for axis, name in enumerate(_COLUMNS):
        terms += np.linalg.norm(instances[name].astype(float), axis=1) * corner[:, axis]
    per_length = np.full(len(corner), float(view["lod_scale"]))
    if not view["flags"] & ORTHOGRAPHIC:
        per_length *= boxes.depth / float(view["near"])  # pixels of a length at the nearest corner
    unit = ULP * (2.0 * size.max() + 4.0 * terms * per_length)
    return np.where(boxes.is_crossing, np.inf, pixels / unit)


def _detail_margins(nodes: np.ndarray, instances: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return the margins of both errors of node records (k,), float64 (k, 2)."""
    fine = error_margins(nodes, combined_error(nodes, view), instances, view)
    coarse = -error_margins(nodes, combined_error(nodes, view, "made_by_"), instances, view, farthest=True)
    return np.column_stack([fine, coarse])


def _parents(data: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Return the parent of each node and the leaf of each group, int64, -1 where there is none."""
    inner = np.flatnonzero(data.nodes["child_count"] != layout.CONSTANTS["NODE_LEAF"])
    leaf = np.flatnonzero(data.nodes["child_count"] == layout.CONSTANTS["NODE_LEAF"])
    parents, leaves = np.full(len(data.nodes), -1, np.int64), np.full(len(data.groups), -1, np.int64)
    for offset in range(layout.CONSTANTS["BVH_WIDTH"]):
        some = inner[data.nodes["child_count"][inner] > offset]
        parents[data.nodes["child"][some] + offset] = some
    leaves[data.nodes["child"][leaf]] = leaf
    return parents, leaves
