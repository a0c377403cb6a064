"""Why a box of a frozen frame was kept or culled: the numbers of the reference code, in words."""

from dataclasses import dataclass

import numpy as np

from engine import layout, reference
from engine.reference_trace import KINDS, OUTCOMES, object_boxes
from engine.screen_boxes import ORTHOGRAPHIC, ScreenBoxes, probe_pyramid, screen_boxes
from engine.viewer.freezing import Frozen
from engine.viewer.units import length_text, pixels_text

PLANES = ("left", "right", "bottom", "top", "near")
_SINGULAR = {"instances": "instance", "nodes": "node", "clusters": "cluster"}
ROOT_ERROR = np.float32(layout.CONSTANTS["ROOT_ERROR"])


@dataclass(frozen=True)
class Detail:
    """Projected errors of a node or cluster in pixels; it is wanted where made_by <= tau < error.

    error: of the cluster's group, or the largest below the node. made_by: of the group that made the cluster, or the
    least by which anything below the node was made; 0 of the source.
    """

    error_pixels: float
    made_by_pixels: float
    tau_pixels: float


@dataclass(frozen=True)
class Comparison:
    """A box against a depth pyramid: hidden where even its nearest point lies behind the farthest thing seen there."""

    nearest_metres: float  # of the box, along the view axis
    farthest_metres: float  # in the cells, likewise; infinite where they show nothing
    is_hidden: bool
    level: int
    first_cell: tuple[int, int]  # column, row
    last_cell: tuple[int, int]

    def text(self) -> str:
        """Return the comparison in words."""
        farthest = "nothing is there" if np.isinf(self.farthest_metres) else length_text(self.farthest_metres)
        cells = f"cells {self.first_cell} to {self.last_cell} of level {self.level}"
        return f"nearest {length_text(self.nearest_metres)}, farthest in {cells}: {farthest}"


@dataclass(frozen=True)
class Explanation:
    """Why one thing was kept or culled.

    kind, outcome: names in KINDS and OUTCOMES; planes_metres (5,): how far the box reaches inside PLANES, negative:
    outside. detail None of instances. rectangle_pixels: left, top, right, bottom of the box, None where it reaches the
    near plane; pixels: columns and rows of pixel centres in it, None likewise. last_frame, this_frame: the pyramids of
    the main and the post pass; None where the box was not compared with it.
    """

    record_index: int
    kind: str
    outcome: str
    in_post: bool
    slot: int
    index: int
    level: int
    planes_metres: np.ndarray
    detail: Detail | None
    rectangle_pixels: tuple[float, float, float, float] | None
    pixels: tuple[int, int] | None
    last_frame: Comparison | None
    this_frame: Comparison | None

    @property
    def sentence(self) -> str:
        """Why, in words."""
        return _SENTENCES[self.outcome](self)

    def lines(self) -> list[tuple[str, str]]:
        """Return (label, value) pairs for a panel."""
        lines = [
            (_SINGULAR[self.kind], f"{self.index} of instance slot {self.slot}"),
            ("outcome", f"{self.outcome}, in the {'post' if self.in_post else 'main'} pass"),
            ("why", self.sentence),
        ]
        if self.detail:
            errors = pixels_text(self.detail.made_by_pixels), pixels_text(self.detail.error_pixels)
            lines.append(("level", str(self.level)))
            lines.append(("error made by", errors[0]))
            lines.append(("error", errors[1]))
            lines.append(("tau", pixels_text(self.detail.tau_pixels)))
        inside = ", ".join(f"{name} {length_text(value)}" for name, value in zip(PLANES, self.planes_metres.tolist()))
        lines.append(("inside planes by", inside))
        if self.rectangle_pixels and self.pixels:
            left, top, right, bottom = self.rectangle_pixels
            text = f"x {left:.2f} to {right:.2f}, y {top:.2f} to {bottom:.2f}"
            lines.append(("rectangle", f"{text} px: {self.pixels[0]} x {self.pixels[1]} pixel centres"))
        else:
            lines.append(("rectangle", "none: the box reaches the near plane"))
        comparisons = ("last frame's depth", self.last_frame), ("this frame's depth", self.this_frame)
        lines += [(label, comparison.text()) for label, comparison in comparisons if comparison]
        return lines


def explain(frozen: Frozen, record_index: int) -> Explanation:
    """Return why the box of record `record_index` of the frozen frame's trace was kept or culled.

    Raises ValueError while there is no trace.
    """
    if frozen.trace is None or frozen.tables is None:
        raise ValueError(frozen.status())
    records = frozen.trace.records[record_index : record_index + 1]
    [record], tables, view = records, frozen.tables, frozen.view
    kind, outcome = KINDS[record["kind"]], OUTCOMES[record["outcome"]]
    box, instances = object_boxes(tables, records), tables.instances[records["slot"]]
    boxes = screen_boxes(*box, instances, view)
    planes = reference.plane_values(*box, instances, view)[0]
    detail = _detail(frozen, kind, int(record["slot"]), int(record["index"]))
    last_frame = this_frame = None
    if outcome in ("kept", "occlusion") and frozen.occlusion.main is not None:
        before = frozen.occlusion.previous_instances[records["slot"]]
        boxes_before = screen_boxes(*box, before, frozen.occlusion.previous_view)
        last_frame = _compared(boxes_before, frozen.occlusion.main, frozen.occlusion.previous_view)
        if record["in_post"]:
            this_frame = _compared(boxes, frozen.occlusion.post, view)
    rectangle = pixels = None
    if not boxes.is_crossing[0]:
        rectangle = (*(boxes.begin[0] + 0.5).tolist(), *(boxes.end[0] + 0.5).tolist())
        first, last = boxes.pixels(view["size"])
        pixels = tuple(np.maximum(last[0] - first[0] + 1, 0).tolist())
    return Explanation(
        record_index=record_index,
        kind=kind,
        outcome=outcome,
        in_post=bool(record["in_post"]),
        slot=int(record["slot"]),
        index=int(record["index"]),
        level=int(record["level"]),
        planes_metres=planes,
        detail=detail,
        rectangle_pixels=rectangle,
        pixels=pixels,
        last_frame=last_frame,
        this_frame=this_frame,
    )


def _detail(frozen: Frozen, kind: str, slot: int, index: int) -> Detail | None:
    tables, view = frozen.tables, frozen.view
    assert tables is not None
    instances, tau = tables.instances[slot : slot + 1], float(view["error_pixels"])
    if kind == "nodes":
        records = tables.nodes[index : index + 1]
        [error], [made_by] = reference.node_error_pixels(records, instances, view)
    elif kind == "clusters":
        records = tables.groups[[tables.cluster_group[index]]]
        [error], made_by = reference.group_error_pixels(records, instances, view), 0.0
        if tables.cluster_made_by[index] >= 0:
            makers = tables.groups[[tables.cluster_made_by[index]]]
            [made_by] = reference.group_error_pixels(makers, instances, view)
    else:
        return None
    is_root = records["geometric_error"][0] >= ROOT_ERROR
    return Detail(np.inf if is_root else float(error), float(made_by), tau)


def _compared(boxes: ScreenBoxes, pyramid: list[np.ndarray], view: np.ndarray) -> Comparison | None:
    """Return the comparison of one box; None where it has no rectangle in the image."""
    probe = probe_pyramid(boxes, pyramid)
    if np.isneginf(probe.farthest[0]):
        return None
    nearest, farthest = (distance_of(float(depth), view) for depth in (boxes.depth[0], probe.farthest[0]))
    is_hidden = bool(boxes.depth[0] < probe.farthest[0])
    cells = tuple(probe.first[0].tolist()), tuple(probe.last[0].tolist())
    return Comparison(nearest, farthest, is_hidden, int(probe.level[0]), *cells)


def distance_of(depth: float, view: np.ndarray) -> float:
    """Return metres along the view axis of a reverse-Z depth; infinite where nothing was drawn."""
    if depth <= 0.0:
        return np.inf
    near, far = float(view["near"]), float(view["far"])
    return far - depth * (far - near) if int(view["flags"]) & ORTHOGRAPHIC else near / depth


def _frustum(explanation: Explanation) -> str:
    planes = explanation.planes_metres
    outside = [f"{length_text(-planes[i])} outside the {PLANES[i]} plane" for i in np.flatnonzero(planes < 0.0)]
    return f"out of view: {', '.join(outside)}"


def _size(explanation: Explanation) -> str:
    assert explanation.rectangle_pixels
    left, top, right, bottom = explanation.rectangle_pixels
    return f"covers no pixel centre of the image: {right - left:.3g} x {bottom - top:.3g} px at {left:.1f}, {top:.1f}"


def _too_fine_or_coarse(explanation: Explanation) -> str:
    detail = explanation.detail
    assert detail
    tau, is_node = pixels_text(detail.tau_pixels), explanation.kind == "nodes"
    if detail.made_by_pixels > detail.tau_pixels:
        least = "everything in it was made by an error of at least" if is_node else "was made by an error of"
        return f"too coarse: {least} {pixels_text(detail.made_by_pixels)} > tau {tau}; something finer is drawn"
    largest = "the largest error in it is" if is_node else "the error of its group is"
    return f"too fine: {largest} {pixels_text(detail.error_pixels)} <= tau {tau}; something coarser is drawn"


def _occlusion(explanation: Explanation) -> str:
    hidden = explanation.this_frame
    assert hidden
    return (
        f"hidden: its nearest point, at {length_text(hidden.nearest_metres)}, lies behind the farthest thing seen"
        f" there, at {length_text(hidden.farthest_metres)}; {_left_by(explanation)}"
    )


def _kept(explanation: Explanation) -> str:
    parts = ["in view"]
    if explanation.pixels:
        parts.append(f"covers {explanation.pixels[0]} x {explanation.pixels[1]} pixels")
    if explanation.detail:
        detail = explanation.detail
        errors = pixels_text(detail.made_by_pixels), pixels_text(detail.tau_pixels), pixels_text(detail.error_pixels)
        parts.append(f"made by {errors[0]} <= tau {errors[1]} < error {errors[2]}")
    if explanation.in_post:
        parts.append(f"nothing hides it in this frame; {_left_by(explanation)}")
    elif explanation.last_frame:
        parts.append("the last frame did not hide it")
    return f"kept: {', '.join(parts)}"


def _left_by(explanation: Explanation) -> str:
    """Return why a thing was decided in the post pass."""
    itself = explanation.last_frame is not None and explanation.last_frame.is_hidden
    return f"left to the post pass because the last frame hid {'it' if itself else 'what holds it'}"


_SENTENCES = {
    "kept": _kept,
    "frustum": _frustum,
    "detail": _too_fine_or_coarse,
    "size": _size,
    "occlusion": _occlusion,
}
