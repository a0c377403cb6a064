"""Image error along the path of a run: its frames beside those of the engine at tau = 0, outside of what is timed."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.camera import Camera
from engine.experiments import image_error
from engine.experiments.baseline import Drawer
from engine.experiments.experiment import Run
from engine.experiments.image_error import ImageErrors
from engine.scene import Scene
from engine.settings import FrameSettings

if TYPE_CHECKING:
    from engine.renderer import Renderer

SLOW_PIXELS = 0.25  # that the surface moves on the screen between the two frames of the flicker measure, about
_COLOUR_MEASURES = {"psnr": ("psnr_db", image_error.psnr), "flip": ("flip", image_error.flip)}


@dataclass(frozen=True)
class Shown:
    """One frame: `image` (height, width, 4) uint8, the image `before` it, `depth` (height, width) float32 or None."""

    image: np.ndarray
    before: np.ndarray
    depth: np.ndarray | None
    error_pixels: float


def errors_along(
    drawer: Drawer,
    reference: "Renderer",
    run: Run,
    scene: Scene,
    cameras: list[Camera],
    errors: ImageErrors,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[dict[str, Any]]:
    """Yield frame and what `errors_of` measures of every `errors.every`-th frame, drawn by `drawer` and `reference`.

    Both draw shaded images with the settings of the run, `reference` with error_pixels = 0. Where one cannot finish a
    frame (its queues cannot grow further), that frame is yielded with `skipped` saying why; any other error is raised.
    `reference_error_pixels` is what `reference` drew with: more than 0 where it had to raise tau.
    """
    from engine.renderer import UnfinishedFrameError

    settings = dataclasses.replace(run.frame, view="shaded")
    exact = dataclasses.replace(settings, error_pixels=0.0)
    numbers = range(0, len(cameras), errors.every)
    for done, number in enumerate(numbers, start=1):
        camera, neighbour = cameras[number], cameras[number - 1 if number else min(1, len(cameras) - 1)]
        try:
            _draw_pair(reference, scene, (neighbour, camera), exact, run.size)
            pixels = _motion_pixels(reference)
            share = min(1.0, SLOW_PIXELS / pixels) if pixels else 1.0
            pair = between(camera, neighbour, share), camera
            true = _shown(reference, scene, pair, exact, run.size)
            shown = _shown(drawer, scene, pair, settings, run.size)
        except UnfinishedFrameError as error:
            yield {"frame": number, "skipped": str(error)}
        else:
            found = errors_of(shown, true, errors.measures)
            motion = {"motion_pixels": _motion_pixels(reference)} if "flicker" in errors.measures else {}
            yield {"frame": number, "reference_error_pixels": true.error_pixels, **found, **motion}
        progress(done, len(numbers))


def errors_of(shown: Shown, true: Shown, measures: tuple[str, ...]) -> dict[str, float | None]:
    """Return what is measured by name, None where there is none: an infinite PSNR, or no depth to compare.

    psnr_db, flip, depth_error_median, depth_error_p99, silhouette_share, silhouette_pixels, flicker, with it the
    `change` of both sequences, and covered_share: of the pixels, those that the reference covers.
    """
    found: dict[str, float] = {
        name: measure(shown.image, true.image) for key, (name, measure) in _COLOUR_MEASURES.items() if key in measures
    }
    no_depth = float("nan")
    if "depth" in measures:
        pair = (no_depth, no_depth)
        if shown.depth is not None and true.depth is not None:
            pair = image_error.depth_error(shown.depth, true.depth)
        found["depth_error_median"], found["depth_error_p99"] = pair
    if "silhouette" in measures:
        pair = (no_depth, no_depth)
        if shown.depth is not None and true.depth is not None:
            pair = image_error.silhouette_error(np.isfinite(shown.depth), np.isfinite(true.depth))
        found["silhouette_share"], found["silhouette_pixels"] = pair
    if "flicker" in measures:
        found["flicker"] = image_error.flicker(shown.before, shown.image, true.before, true.image)
        found["change"] = image_error.change(shown.before, shown.image)
        found["reference_change"] = image_error.change(true.before, true.image)
    if true.depth is not None:
        found["covered_share"] = float(np.isfinite(true.depth).mean())
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def between(one: Camera, other: Camera, share: float) -> Camera:
    """Return the camera `share` of the way from `one` to `other`, which are near each other; `up` is that of `one`."""
    eye, target = (
        tuple((1.0 - share) * np.asarray(getattr(one, name)) + share * np.asarray(getattr(other, name)))
        for name in ("eye", "target")
    )
    fov = (1.0 - share) * one.fov_degrees + share * other.fov_degrees
    return dataclasses.replace(one, eye=eye, target=target, fov_degrees=fov)


def _motion_pixels(reference: "Renderer") -> float:
    """Return how many pixels the surface moved on the screen since the frame before: the median of what is covered."""
    covered = np.isfinite(reference.read_aov("depth"))
    lengths = np.linalg.norm(reference.read_aov("velocity"), axis=-1)[covered]
    return float(np.median(lengths)) if len(lengths) else 0.0


def _shown(
    drawer: Drawer, scene: Scene, pair: tuple[Camera, Camera], settings: FrameSettings, size: tuple[int, int]
) -> Shown:
    before, frame = _draw_pair(drawer, scene, pair, settings, size)
    read_aov = getattr(drawer, "read_aov", None)  # not every baseline can
    depth = read_aov("depth") if read_aov else None
    return Shown(frame.image, before.image, depth, frame.statistics.error_pixels)


def _draw_pair(
    drawer: Drawer, scene: Scene, pair: tuple[Camera, Camera], settings: FrameSettings, size: tuple[int, int]
) -> list[Any]:
    """Return both frames, the second drawn right after the first: again where queues had to grow in between."""
    for _ in range(2):
        frames = [drawer.render(scene, camera, settings, size) for camera in pair]
        if not frames[1].statistics.notes:
            break
    return frames
