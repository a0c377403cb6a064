"""How far an image is from a reference image: pure functions over arrays, row 0 on top.

psnr     peak signal-to-noise ratio of sRGB values, in dB, over the whole image
flip     mean LDR-FLIP (Andersson et al. 2020, "FLIP: A Difference Evaluator for Alternating Images"), of the optional
         package flip-evaluator, by its authors, at its standard 67 pixels per degree
depth    relative difference of the distance along the view axis, where both images show something
silhouette   pixels that only one of the images covers, and how far they are from the silhouette of the reference
flicker  how much the difference to the reference changes between neighbouring frames

Coverage is what is not background: an edge of one object before another is no silhouette, but a step in depth.
"""

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np

MEASURES = ("psnr", "flip", "depth", "silhouette", "flicker")
FLIP_PACKAGE = "flip-evaluator"


@dataclass(frozen=True)
class ImageErrors:
    """Which measures an experiment takes of every `every`-th frame. Raises ValueError for what it does not know."""

    every: int = 25
    measures: tuple[str, ...] = MEASURES

    def __post_init__(self) -> None:
        if type(self.every) is not int or self.every < 1:
            raise ValueError(f"image_error.every is {self.every!r}; use a whole number of at least 1")
        if not self.measures or (unknown := sorted(set(self.measures) - set(MEASURES))):
            given = repr(unknown[0]) if self.measures else "nothing"
            raise ValueError(f"image_error.measures has {given}; some of: {', '.join(MEASURES)}")


def image_errors_from(entry: Any) -> ImageErrors | None:
    """Return what the experiment's entry `image_error` asks for: true, false or a table. ValueError names a mistake."""
    if isinstance(entry, bool):
        return available(ImageErrors()) if entry else None
    if not isinstance(entry, dict):
        raise ValueError(f"image_error is {entry!r}; use true, false or a table with every and measures")
    if unknown := sorted(set(entry) - {"every", "measures"}):
        raise ValueError(f"unknown image_error.{unknown[0]}; one of: every, measures")
    measures = entry.get("measures", MEASURES)
    if not isinstance(measures, (list, tuple)) or not all(isinstance(name, str) for name in measures):
        raise ValueError(f"image_error.measures is {measures!r}; write a list of: {', '.join(MEASURES)}")
    errors = ImageErrors(entry.get("every", ImageErrors.every), tuple(measures))
    if "measures" not in entry:
        return available(errors)
    if "flip" in errors.measures and not has_flip():
        raise ValueError(f"image_error.measures has 'flip', which needs the package {FLIP_PACKAGE}; install it")
    return errors


def has_flip() -> bool:
    """Return whether the package that measures FLIP is installed."""
    return importlib.util.find_spec("flip_evaluator") is not None


def available(errors: ImageErrors) -> ImageErrors:
    """Return `errors` without what no installed package measures."""
    return ImageErrors(errors.every, tuple(name for name in errors.measures if name != "flip" or has_flip()))


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    """Return the PSNR in dB of the RGB of uint8 images (height, width, 3 or more); infinity where they are equal."""
    difference = image[..., :3].astype(float) - reference[..., :3]
    squares = float(np.mean(difference**2))
    return float(10.0 * np.log10(255.0**2 / squares)) if squares else float("inf")


def flip(image: np.ndarray, reference: np.ndarray) -> float:
    """Return the mean FLIP, 0 (no difference is seen) to 1, of uint8 sRGB images (height, width, 3 or more).

    Raises ImportError where flip-evaluator is not installed.
    """
    import flip_evaluator

    pair = (np.ascontiguousarray(one[..., :3], np.float32) / np.float32(255.0) for one in (reference, image))
    _, mean, _ = flip_evaluator.evaluate(*pair, "LDR", applyMagma=False)
    return float(mean)


def depth_error(depth: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Return median and 99 % quantile of |depth - reference| / reference where both are finite; NaN where none are.

    Depths (height, width) are distances along the view axis in metres, infinity where nothing is.
    """
    both = np.isfinite(depth) & np.isfinite(reference)
    if not both.any():
        return float("nan"), float("nan")
    true = reference[both].astype(float)
    relative = np.abs(depth[both] - true) / np.maximum(np.abs(true), np.finfo(np.float32).tiny)
    median, high = np.quantile(relative, [0.5, 0.99])
    return float(median), float(high)


def silhouette_error(covered: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Return the share of pixels whose coverage differs, and the largest distance of one to the true silhouette.

    Coverages are bool (height, width). The distance is that of pixel centres, from the wrong pixel to the nearest one
    that rightly has its coverage: 1 pixel where an edge moved by one pixel; 0 where none is wrong, and infinite where
    the reference has no such pixel. A gap that opens in a dense crowd, far from any other, is that far from the
    silhouette, however little moved. So does a hole of an open scan: on closed meshes of 5,000 to 200,000 triangles no
    wrong pixel was farther than tau + 1.25 pixels; of an open one with 39,000 border edges, single ones were 4 to 16
    pixels away, each of them within 0.25 pixels of such an edge.
    """
    wrong = covered != reference
    if not wrong.any():
        return 0.0, 0.0
    far = max(
        float(np.sqrt(_largest_square_distance(wrong & covered, reference))),
        float(np.sqrt(_largest_square_distance(wrong & ~covered, ~reference))),
    )
    return float(np.count_nonzero(wrong) / wrong.size), far


def _largest_square_distance(pixels: np.ndarray, targets: np.ndarray) -> float:
    """Return the largest squared distance of `pixels` to the nearest of `targets`, both bool (height, width).

    The second pass of Felzenszwalb and Huttenlocher 2012 (distance transforms of sampled functions), for the pixels
    that are asked for alone: columns ever further away are looked at until none can be nearer.
    """
    rows, columns = np.nonzero(pixels)
    if not len(rows):
        return 0.0
    if not targets.any():
        return float("inf")
    squares = _column_distances(targets) ** 2
    best, width = squares[rows, columns], targets.shape[1]
    for step in range(1, width):
        is_open = np.flatnonzero(best > step * step)
        if not len(is_open):
            break
        for side in (columns[is_open] - step, columns[is_open] + step):
            inside = (side >= 0) & (side < width)
            some = is_open[inside]
            best[some] = np.minimum(best[some], squares[rows[some], side[inside]] + step * step)
    return float(best.max())


def _column_distances(targets: np.ndarray) -> np.ndarray:
    """Return the distance of each pixel to the nearest target of its column, float64; infinity where there is none."""
    height = len(targets)
    rows = np.arange(height, dtype=float)[:, None]
    above = np.maximum.accumulate(np.where(targets, rows, -np.inf), axis=0)
    below = np.minimum.accumulate(np.where(targets, rows, np.inf)[::-1], axis=0)[::-1]
    return np.minimum(rows - above, below - rows)


def change(before: np.ndarray, now: np.ndarray) -> float:
    """Return the RMS change of sRGB values, 0 to 1, from one uint8 image (height, width, 3 or more) to the next."""
    return float(np.sqrt(np.mean((now[..., :3].astype(float) - before[..., :3]) ** 2)) / 255.0)


def flicker(before: np.ndarray, now: np.ndarray, reference_before: np.ndarray, reference_now: np.ndarray) -> float:
    """Return by how much the difference to the reference changes between two frames: RMS of sRGB values of 0 to 1.

    Images are uint8 (height, width, 3 or more). It is 0 where the error stays where it is on the screen, or there is
    none, whatever moves in the reference; what pops, crawls or shimmers in one of the two sequences alone remains.
    The camera must move by less than a pixel between the frames: an error that moves with the surface counts, too.
    Where triangles are smaller than pixels the reference itself shimmers: `change` of both sequences tells which does.
    """
    difference, true_difference = (
        one[..., :3].astype(float) - two[..., :3] for one, two in ((now, before), (reference_now, reference_before))
    )
    return float(np.sqrt(np.mean((difference - true_difference) ** 2)) / 255.0)
