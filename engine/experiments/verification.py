"""Comparisons of two drawings of one frame: visible sets, and visibility buffers pixel by pixel.

A tie is a difference that rounding may make: a cluster whose decision lies within TIE_ULPS of its threshold, or that
occlusion hides or not as its rectangle and depth are rounded; a pixel on which two triangles have the same depth bits:
then bits of the place of their clusters in the list decide, which is not the same in two frames.
"""

from dataclasses import dataclass

import numpy as np

from engine import reference
from engine.screen_boxes import depth_of
from engine.ties import explain_difference

CLUSTERS, PIXELS = "clusters", "pixels"  # what is counted
TIED_CLUSTERS = 1e-5  # share of the set
TIED_EDGES = 4 * 0.5 * reference.ULP  # of a box, and how far each is rounded, in widths of the image
# Share of the image, by what is compared.
TIED_PIXELS = {"occlusion": 2e-3, "traversal": 2e-3, "raster": 1e-4, "baseline": 2e-3}
DEPTH_ROUNDING = 1e-4  # relative, of depths that two pipelines interpolate
DEPTH_SHIFT = np.uint64(32)


@dataclass(frozen=True)
class Comparison:
    """How many clusters or pixels (`unit`) were compared, and how many of them differ; `first` says where and how."""

    unit: str
    compared: int
    ties: int
    differences: int
    first: str = ""


@dataclass(frozen=True)
class Image:
    """What a frame shows: `visibility` (height, width) uint64, `identity` (3, height, width) uint32.

    The identities of a pixel are instance slot, scene-wide cluster and triangle.
    """

    visibility: np.ndarray
    identity: np.ndarray


def compare_with_reference(
    tables: reference.Tables, view: np.ndarray, drawn: np.ndarray, occlusion: reference.Occlusion | None = None
) -> Comparison:
    """Compare drawn pairs of instance slot and cluster, integer (k, 2), with engine.reference.

    `view` is the layout.VIEW record, `occlusion` what hid clusters. More than a few ties count as differences, too.
    Of clusters that are drawn though they just miss all pixel centres there may be as many as rounding makes: in a
    far crowd this test decides about nearly all, and the coordinates of a large image are coarse.
    """
    visible = reference.visible_set(tables, view, occlusion)
    expected = visible.pairs
    found = explain_difference(tables, view, expected, drawn, occlusion)
    ulps = np.concatenate([found.missing_ulps, found.extra_ulps])
    pairs = np.concatenate([found.missing, found.extra])
    is_mistake = ulps > reference.TIE_ULPS
    ties, mistakes = int(np.count_nonzero(~is_mistake)), int(np.count_nonzero(is_mistake))
    first = ""
    if mistakes:
        worst = int(np.argmax(ulps))
        side = "is missing" if worst < len(found.missing) else "is too much"
        how_far = f", by {ulps[worst]:.3g} ulp" if np.isfinite(ulps[worst]) else ", though it is hidden"
        first = f"instance {pairs[worst, 0]}, cluster {pairs[worst, 1]} {side}{how_far}"
    too_small = int(np.count_nonzero(found.extra_by_size & (found.extra_ulps <= reference.TIE_ULPS)))
    most_too_small = TIED_EDGES * int(view["size"].max()) * visible.counts.clusters_tested
    if ties - too_small > max(1.0, TIED_CLUSTERS * len(expected)) or too_small > max(1.0, most_too_small):
        first = first or f"{ties} of {len(expected)} clusters are ties"
        ties, mistakes = 0, ties + mistakes
    return Comparison(CLUSTERS, len(expected), ties, mistakes, first)


def compare_sets(one: np.ndarray, other: np.ndarray) -> Comparison:
    """Compare two sets of pairs, integer (k, 2), exactly."""
    one, other = (np.unique(np.asarray(pairs, np.int64), axis=0) for pairs in (one, other))
    both, counts = np.unique(np.concatenate([one, other]), axis=0, return_counts=True)
    lonely = both[counts == 1]
    first = f"instance {lonely[0, 0]}, cluster {lonely[0, 1]} is in one of them only" if len(lonely) else ""
    return Comparison(CLUSTERS, len(both), 0, len(lonely), first)


def compare_images(one: Image, other: Image, tied_share: float) -> Comparison:
    """Compare depth bits at every pixel, and identities: those of equal depth are ties, of which few are allowed."""
    depth = (one.visibility >> DEPTH_SHIFT) != (other.visibility >> DEPTH_SHIFT)
    tied = (one.identity != other.identity).any(axis=0) & ~depth
    return _compared_pixels(depth, tied, tied_share, "of equal depth show other triangles")


def compare_rounded_images(one: Image, other: Image, tied_share: float) -> Comparison:
    """Compare images of the same triangles by two pipelines, each of which rounds coordinates and depths in its way.

    Corners move by a part of a pixel, so a depth must lie between those of the same pixel and its neighbours in
    `other`, or nothing be there where one of them is empty. Pixels that show other triangles then are ties, of which
    few are allowed.
    """
    found, expected = depth_of(one.visibility).astype(float), depth_of(other.visibility).astype(float)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(expected, 1, mode="edge"), (3, 3))
    least, most = around.min(axis=(2, 3)), around.max(axis=(2, 3))
    depth = (found < least * (1.0 - DEPTH_ROUNDING)) | (found > most * (1.0 + DEPTH_ROUNDING))
    tied = (one.identity != other.identity).any(axis=0) & ~depth
    return _compared_pixels(depth, tied, tied_share, "show other triangles")


def _compared_pixels(depth: np.ndarray, tied: np.ndarray, tied_share: float, how: str) -> Comparison:
    """Return the Comparison of images (height, width) that differ in `depth`, and else are `tied`."""
    ties, differences = int(np.count_nonzero(tied)), int(np.count_nonzero(depth))
    first = f"the depths of pixel {_pixel(depth)} differ" if differences else ""
    if ties > tied_share * tied.size:
        first = first or f"{ties} pixels {how}, the first of them {_pixel(tied)}"
        return Comparison(PIXELS, tied.size, 0, differences + ties, first)
    return Comparison(PIXELS, tied.size, ties, differences, first)


def _pixel(mask: np.ndarray) -> str:
    """Return x and y of the first pixel where `mask` holds."""
    row, column = np.unravel_index(int(mask.argmax()), mask.shape)
    return f"{column},{row}"
