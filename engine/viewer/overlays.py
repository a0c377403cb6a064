"""What is drawn over the picture while culling is frozen: the frustum, and the boxes of what was tested.

Pure functions over arrays; engine.frame.overlay_lines draws what they return.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engine import layout
from engine.camera import Camera
from engine.reference import Tables
from engine.reference_trace import KINDS, NO_LEVEL, OUTCOMES, object_boxes
from engine.viewer.overlay_colors import FRUSTUM_COLOR, KIND_COLORS, OUTCOME_COLORS, color_words, level_colors
from engine.viewer.state import OverlayOptions

_CHUNK = 1 << 16  # boxes handled at once, to bound memory
_COLUMNS = ("linear_x", "linear_y", "linear_z")
_ORTHOGRAPHIC = layout.CONSTANTS["VIEW_ORTHOGRAPHIC"]


class OverlayBoxes(NamedTuple):
    """Boxes in world space, in the order in which they are drawn.

    centers (n, 3) float64; axes (n, 3, 3) float64, half axes as rows; colors (n,) uint32, red in the low byte;
    matching_count: how many there would be without a limit; chosen (n,) int64: their records in the trace.
    """

    centers: np.ndarray
    axes: np.ndarray
    colors: np.ndarray
    matching_count: int
    chosen: np.ndarray


def boxes_of(
    tables: Tables,
    records: np.ndarray,
    view: np.ndarray,
    options: OverlayOptions,
    sizes: np.ndarray | None = None,
) -> OverlayBoxes:
    """Return the boxes of those trace records (reference_trace.TESTED) that `options` let through.

    Levels are those of nodes and clusters; instances have none and always pass. Of more than options.largest_count the
    largest on the screen are chosen, as `view` (layout.VIEW record, that of the frozen frame) sees their spheres, so
    what is drawn stays while the camera moves. The largest come first: smaller boxes are drawn over their parents.
    `sizes`: seen_sizes of all records, where they are known already.
    """
    matching = np.flatnonzero(_matches(records, options))
    size = seen_sizes(tables, records[matching], view) if sizes is None else sizes[matching]
    count = max(options.largest_count, 0)
    some = np.argpartition(-size, count)[:count] if count < len(size) else np.arange(len(size))
    chosen = matching[some[np.argsort(-size[some], kind="stable")]]
    centers, axes = world_boxes(tables, records[chosen])
    return OverlayBoxes(centers, axes, _colors(records[chosen], options.colors_by), len(matching), chosen)


def seen_sizes(tables: Tables, records: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return radius over distance of the spheres about the boxes of trace records, float32 (n,), infinite at the eye.

    Orthographic views see the radius alone.
    """
    eye = view["eye_high"].astype(float) + view["eye_low"]
    sizes = np.zeros(len(records), np.float32)
    for first in range(0, len(records), _CHUNK):
        part = slice(first, first + _CHUNK)
        low, high = object_boxes(tables, records[part])
        slots = records["slot"][part]
        centers = tables.instances["translation_high"][slots] - eye + tables.instances["translation_low"][slots]
        square = np.zeros(len(slots))
        for axis, name in enumerate(_COLUMNS):
            column = tables.instances[name][slots].astype(float)
            centers += column * (0.5 * (low + high)[:, axis, None])
            square += (column * column).sum(axis=1) * (0.5 * (high - low)[:, axis]) ** 2
        sizes[part] = radius = np.sqrt(square)
        if not view["flags"] & _ORTHOGRAPHIC:
            distance = np.sqrt((centers * centers).sum(axis=1))
            sizes[part] = np.where(distance > radius, radius / np.maximum(distance, 1e-300), np.inf)
    return sizes


def world_boxes(tables: Tables, records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return centres (k, 3) and half axes as rows (k, 3, 3), float64 in world space, of trace records (k,)."""
    low, high = object_boxes(tables, records)
    instances = tables.instances[records["slot"]]
    centers = instances["translation_high"].astype(float) + instances["translation_low"]
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    axes = np.stack([instances[name].astype(float) for name in _COLUMNS], axis=1)
    centers += np.einsum("ki,kij->kj", middle, axes)
    return centers, axes * half[:, :, None]


def frustum_lines(camera: Camera, size: tuple[int, int], far_distance: float) -> OverlayBoxes:
    """Return the frustum of a camera and an image of `size` (width, height): two rectangles and four lines, as boxes.

    `far_distance` (metres along the view axis) is where it is cut off; see frustum_end. `chosen` is -1: no record.
    """
    right, up, forward = camera.axes()
    near, far = camera.near_distance, max(far_distance, camera.near_distance)
    flat = camera.orthographic_height is not None
    tangent = 0.5 * camera.orthographic_height if flat else math.tan(math.radians(camera.fov_degrees) / 2)
    across = np.stack([right * tangent * size[0] / size[1], up * tangent])  # half the image at distance 1
    centers, axes = np.zeros((6, 3)), np.zeros((6, 3, 3))
    for number, distance in enumerate((near, far)):
        centers[number] = forward * distance
        axes[number, :2] = across * (1.0 if flat else distance)
    for number, signs in enumerate([(-1, -1), (1, -1), (-1, 1), (1, 1)], start=2):
        begin, end = (centers[i] + signs @ axes[i, :2] for i in range(2))
        centers[number], axes[number, 0] = 0.5 * (begin + end), 0.5 * (end - begin)
    colors = color_words(np.tile(FRUSTUM_COLOR, (6, 1)))
    return OverlayBoxes(centers + np.array(camera.eye), axes, colors, 6, np.full(6, -1, np.int64))


def frustum_end(camera: Camera, bounds: tuple[Sequence[float], Sequence[float]]) -> float:
    """Return where a drawn frustum ends, in metres along the view axis: behind the whole of `bounds` (min, max).

    Where all of that is behind the eye, it ends at the target.
    """
    low, high = (np.asarray(corner, float) for corner in bounds)
    forward = camera.axes()[2]
    deepest = forward @ (0.5 * (low + high) - camera.eye) + np.abs(forward) @ (0.5 * (high - low))
    return float(deepest) if deepest > camera.near_distance else camera.distance


def joined(*parts: OverlayBoxes) -> OverlayBoxes:
    """Return all boxes of `parts`, to be drawn together: the last on top."""
    centers, axes, colors, counts, chosen = zip(*parts)
    arrays = (np.concatenate(some) for some in (centers, axes, colors))
    return OverlayBoxes(*arrays, sum(counts), np.concatenate(chosen))


def _matches(records: np.ndarray, options: OverlayOptions) -> np.ndarray:
    """Return which records, bool (n,), pass kind, outcome and level."""
    kinds = np.array([name in options.kinds for name in KINDS])
    outcomes = np.array([name in options.outcomes for name in OUTCOMES])
    level = records["level"]
    in_range = (level == NO_LEVEL) | ((level >= options.first_level) & (level <= options.last_level))
    return kinds[records["kind"]] & outcomes[records["outcome"]] & in_range


def _colors(records: np.ndarray, colors_by: str) -> np.ndarray:
    """Return a colour word for each record by "outcome", "level" or "kind"; instances have the colour of their kind."""
    by_kind = np.array([KIND_COLORS[name] for name in KINDS], np.uint8)[records["kind"]]
    if colors_by == "kind":
        return color_words(by_kind)
    if colors_by == "level":
        has_level = records["level"] != NO_LEVEL
        return color_words(np.where(has_level[:, None], level_colors(records["level"]), by_kind))
    return color_words(np.array([OUTCOME_COLORS[name] for name in OUTCOMES], np.uint8)[records["outcome"]])
