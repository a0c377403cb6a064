"""`bench --verify`: draws the frames of a run in two ways and says where they differ.

reference  the drawn clusters are those of engine.reference, without occlusion
occlusion  with occlusion culling, after another camera, every pixel is what it is without
traversal  persistent and levels draw the same clusters
raster     software and hardware draw the same pixels; and so does the mixture, where the run sets hardware_pixels
"""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import reference
from engine.camera import Camera, view_record
from engine.experiments import verification
from engine.experiments.experiment import Run
from engine.experiments.verification import TIED_PIXELS, Comparison, Image
from engine.scene import Scene
from engine.settings import FrameSettings

if TYPE_CHECKING:
    from engine.gpu.device import Device
    from engine.renderer import Renderer

_IDENTITY = ("instance", "cluster", "triangle")


@dataclass(frozen=True)
class Pair:
    """Two ways to draw the same; without `other`, one way and the reference."""

    comparison: str
    one: FrameSettings
    other: FrameSettings | None = None


def pairs_of(settings: FrameSettings) -> list[Pair]:
    """Return what is compared for the settings of a run; each pair differs in one thing."""
    change = dataclasses.replace
    plain = change(settings, occlusion=False, view="shaded", shadow_cascades=0)
    software = change(plain, raster="software")
    pairs = [
        Pair("reference", plain),
        Pair("occlusion", change(plain, occlusion=True), plain),
        Pair("traversal", change(plain, traversal="persistent"), change(plain, traversal="levels")),
        Pair("raster", change(plain, raster="hardware"), software),
    ]
    if plain.raster == "auto" and plain.hardware_pixels:
        pairs.append(Pair("raster", plain, software))
    return pairs


def compare_along(
    device: "Device",
    run: Run,
    scene: Scene,
    cameras: list[Camera],
    every: int,
    label: str = "verify",
    progress: Callable[[str, float, float], None] = lambda stage, done, total: None,
) -> Iterator[dict[str, Any]]:
    """Yield frame, comparison, compared, ties, differences and first of every `every`-th frame and each comparison.

    What the adapter cannot draw is yielded once, with `skipped` saying why.
    """
    from engine.renderer import Renderer

    numbers, pairs = range(0, len(cameras), every), pairs_of(run.frame)
    tables = reference.tables_of(scene)
    renderers = Renderer(device), Renderer(device)
    for turn, pair in enumerate(pairs):
        if pair.comparison == "traversal" and "shader-int64-atomic-all-ops" not in device.features:
            yield {"comparison": pair.comparison, "skipped": "the adapter lacks shader-int64-atomic-all-ops"}
            continue
        for done, number in enumerate(numbers):
            before_and_now = cameras[number - 1], cameras[number]
            found = _compare(renderers, pair, scene, before_and_now, run.size, tables)
            yield {"frame": number, "comparison": pair.comparison, **asdict(found)}
            progress(label, turn * len(numbers) + done + 1, len(pairs) * len(numbers))


def _compare(
    renderers: "tuple[Renderer, Renderer]",
    pair: Pair,
    scene: Scene,
    cameras: tuple[Camera, Camera],
    size: tuple[int, int],
    tables: reference.Tables,
) -> Comparison:
    one, other = renderers
    for camera in cameras:
        statistics = one.render(scene, camera, pair.one, size).statistics
    if pair.other is None:
        drawn = dataclasses.replace(pair.one, error_pixels=statistics.error_pixels)  # raised where queues cannot grow
        view = view_record(cameras[1], size, drawn, bounds=scene.bounds())
        return verification.compare_with_reference(tables, view, one.read_visible_clusters())
    other.render(scene, cameras[1], pair.other, size)
    if pair.comparison == "traversal":
        found = verification.compare_sets(one.read_visible_clusters(), other.read_visible_clusters())
        if found.differences:
            return found
    return verification.compare_images(image_of(one), image_of(other), TIED_PIXELS[pair.comparison])


def image_of(renderer: "Renderer") -> Image:
    """Return what the frame drawn last shows."""
    return Image(renderer.read_visibility(), np.stack([renderer.read_aov(name) for name in _IDENTITY]))
