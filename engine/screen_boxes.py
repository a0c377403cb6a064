"""Where boxes lie on the screen, and what a depth pyramid hides, in float64: the twin of occlusion.wgsl.

Like the shader it errs to one side: rectangles are a little too large and depths a little too near. `lean` moves both
further in that direction (positive) or back (negative), by as much as float32 may differ: a decision that is the same
for both leanings hangs on no rounding.
"""

from dataclasses import dataclass

import numpy as np

from engine import layout

ORTHOGRAPHIC = layout.CONSTANTS["VIEW_ORTHOGRAPHIC"]
_COLUMNS = ("linear_x", "linear_y", "linear_z")
PIXEL_MARGIN = 1.0 / 64.0
DEPTH_MARGIN = 2.0**-19
PROBE_SPAN = 3
LEAN_PIXELS = 1.0 / 256.0
LEAN_DEPTH = 2.0**-20  # relative


@dataclass(frozen=True)
class ScreenBoxes:
    """begin, end (k, 2) float64: pixel numbers whose centres the rectangle spans, not rounded, not cut at the image.

    depth (k,): nearest reverse-Z depth; is_crossing (k,) bool: reaches the near plane and has no rectangle.
    """

    begin: np.ndarray
    end: np.ndarray
    depth: np.ndarray
    is_crossing: np.ndarray

    def pixels(self, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return first and last pixel (k, 2) int64 within an image of `size` (2,); last < first where there is none."""
        limit = np.asarray(size, np.int64)
        first = np.ceil(np.clip(self.begin, 0.0, limit)).astype(np.int64)
        last = np.floor(np.clip(self.end, -1.0, limit - 1)).astype(np.int64)
        return first, last

    def cover_no_pixel(self, size: np.ndarray) -> np.ndarray:
        """Return which boxes, bool (k,), contain no pixel centre of the image."""
        first, last = self.pixels(size)
        return ~self.is_crossing & (last < first).any(axis=1)


def screen_boxes(
    box_min: np.ndarray, box_max: np.ndarray, instances: np.ndarray, view: np.ndarray, lean: float = 0.0
) -> ScreenBoxes:
    """Return the ScreenBoxes of boxes (k, 3) in the space of `instances` (k,) layout.INSTANCE, seen by `view`."""
    axes = np.stack([view["right"], view["up"], view["forward"]]).astype(float)
    low, high = box_min.astype(float), box_max.astype(float)
    center = (instances["translation_high"].astype(float) - view["eye_high"].astype(float)) + (
        instances["translation_low"].astype(float) - view["eye_low"].astype(float)
    )
    reach = []
    for axis, name in enumerate(_COLUMNS):
        column = instances[name].astype(float)
        center += column * (0.5 * (low + high))[:, axis, None]
        reach.append((column @ axes.T) * (0.5 * (high - low))[:, axis, None])
    center = center @ axes.T
    nearest = center[:, 2] - sum(np.abs(part[:, 2]) for part in reach)
    near = float(view["near"])
    crossing = nearest <= near
    if view["flags"] & ORTHOGRAPHIC:
        across = sum(np.abs(part[:, :2]) for part in reach)
        place_low, place_high = center[:, :2] - across, center[:, :2] + across
        depth = (float(view["far"]) - nearest) / (float(view["far"]) - near)
    else:
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
        corners = center[:, None] + sum(signs[:, i, None] * reach[i][:, None] for i in range(3))
        # Behind the eye there is no place on the screen; such boxes are crossing.
        place = corners[:, :, :2] / np.where(crossing[:, None], 1.0, corners[:, :, 2])[:, :, None]
        place_low, place_high = place.min(axis=1), place.max(axis=1)
        depth = near / np.where(crossing, near, nearest)
    size = view["size"].astype(float)
    scale = 0.5 * size * np.array([view["scale_x"], view["scale_y"]], float)
    margin = PIXEL_MARGIN + lean * LEAN_PIXELS
    begin = np.stack([place_low[:, 0], -place_high[:, 1]], axis=1) * scale + 0.5 * size - 0.5 - margin
    end = np.stack([place_high[:, 0], -place_low[:, 1]], axis=1) * scale + 0.5 * size - 0.5 + margin
    return ScreenBoxes(begin, end, np.maximum(depth, 0.0) * (1.0 + DEPTH_MARGIN + lean * LEAN_DEPTH), crossing)


def depth_of(visibility: np.ndarray) -> np.ndarray:
    """Return the reverse-Z depths, float32, of a visibility buffer (height, width) uint64; 0: nothing is there."""
    return (visibility >> np.uint64(32)).astype(np.uint32).view(np.float32)


def pyramid_of(depth: np.ndarray) -> list[np.ndarray]:
    """Return the levels of the depth pyramid over `depth` (height, width), level 0 first: the smallest depths.

    A cell of level k holds the pixels whose numbers agree but for the last k bits.
    """
    levels = [depth]
    while len(levels) == 1 or max(levels[-1].shape) > 1:
        below = levels[-1]
        rows, columns = (-(-n // 2) for n in below.shape)
        padded = np.pad(
            below, ((0, 2 * rows - below.shape[0]), (0, 2 * columns - below.shape[1])), constant_values=np.inf
        )
        levels.append(padded.reshape(rows, 2, columns, 2).min(axis=(1, 3)))
    return levels


@dataclass(frozen=True)
class Probe:
    """The cells of a depth pyramid that boxes were compared with.

    level (k,); first, last (k, 2) int64: column and row of the cells; farthest (k,): the smallest reverse-Z depth in
    them, -inf where a box has no rectangle in the image.
    """

    level: np.ndarray
    first: np.ndarray
    last: np.ndarray
    farthest: np.ndarray


def probe_pyramid(boxes: ScreenBoxes, pyramid: list[np.ndarray]) -> Probe:
    """Return what `pyramid` holds in front of boxes (k,): few cells, of the level that fits the rectangle's size."""
    height, width = pyramid[0].shape
    first, last = boxes.pixels(np.array([width, height]))
    has_rectangle = ~boxes.is_crossing & (last >= first).all(axis=1)
    span = np.maximum((last - first).max(axis=1), 1)
    level = np.maximum(np.frexp(span.astype(float))[1] - 2, 1)  # frexp: 2^(e - 1) <= span < 2^e
    level += ((last >> level[:, None]) - (first >> level[:, None]) > PROBE_SPAN).any(axis=1)
    level = np.minimum(level, len(pyramid) - 1)
    first, last = first >> level[:, None], last >> level[:, None]
    farthest = np.where(has_rectangle, np.inf, -np.inf)
    for number, cells in enumerate(pyramid):
        some = np.flatnonzero(has_rectangle & (level == number))
        for row in range(PROBE_SPAN + 1):
            for column in range(PROBE_SPAN + 1):
                x, y = first[some, 0] + column, first[some, 1] + row
                inside = some[(x <= last[some, 0]) & (y <= last[some, 1])]
                values = cells[first[inside, 1] + row, first[inside, 0] + column]
                farthest[inside] = np.minimum(farthest[inside], values)
    return Probe(level, first, last, farthest)


def are_hidden(boxes: ScreenBoxes, pyramid: list[np.ndarray]) -> np.ndarray:
    """Return which boxes, bool (k,), lie behind everything that `pyramid` holds; False without a rectangle."""
    return boxes.depth < probe_pyramid(boxes, pyramid).farthest
