"""`bench --verify`: draws the frames of a run in two ways and says where they differ.

Of the engine, and of the baselines that are the engine with other settings:
reference            the drawn clusters are those of engine.reference, without occlusion
reference_occlusion  with it, after the camera before: the main pass is tested against the depth pyramid of that frame,
                     the post pass against what the main pass left
reference_still      with it, after a frame of the same view, as the viewer freezes it
occlusion            with occlusion culling, after another camera, every pixel is what it is without
traversal            persistent and levels draw the same clusters, and the same pixels
raster               software and hardware draw the same pixels; so does the mixture, where the run sets hardware_pixels

Of the other baselines:
reference            clusters_frustum draws the clusters of engine.reference, without occlusion
baseline             clusters_frustum shows what the engine shows; triangles_software what it shows at error_pixels = 0,
                     and so does triangles_hardware, whose graphics pipeline rounds in its own way
discrete_levels      discrete_lods draws, of each instance in view, the coarsest whole-mesh level that claims no
                     more than tau, and nothing else

What is not compared is said.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import reference
from engine.camera import Camera, view_record
from engine.experiments import verification
from engine.experiments.baseline import BASELINES, ENGINE_CHANGES
from engine.experiments.experiment import Run
from engine.experiments.verification import TIED_PIXELS, Comparison, Image
from engine.scene import Scene
from engine.settings import FrameSettings

if TYPE_CHECKING:
    from engine.experiments.two_pass import TwoPassRenderer
    from engine.gpu.device import Device
    from engine.renderer import Renderer

_IDENTITY = ("instance", "cluster", "triangle")
_OF_OCCLUSION = ("reference_occlusion", "reference_still", "occlusion")
_OF_ENGINE = ("reference", *_OF_OCCLUSION, "traversal", "raster")
_ROUNDED = ("triangles_hardware",)  # baselines that round in their own way


@dataclass(frozen=True)
class Pair:
    """Two ways to draw the same; without `other`, one way and what the reference says."""

    comparison: str
    one: FrameSettings
    other: FrameSettings | None = None


def pairs_of(settings: FrameSettings, baseline: str = "engine") -> list[Pair]:
    """Return what is compared for the settings of a run and who draws it; each pair differs in one thing."""
    change = dataclasses.replace
    settings = change(settings, **ENGINE_CHANGES.get(baseline, {}))
    plain = change(settings, occlusion=False, view="shaded", shadow_cascades=0)
    software = change(plain, raster="software")
    if baseline == "clusters_frustum":
        return [Pair("reference", plain), Pair("baseline", plain, plain)]
    if baseline == "discrete_lods":
        return [Pair("discrete_levels", plain)]
    if baseline in ("triangles_software", "triangles_hardware"):
        source = change(software, error_pixels=0.0)
        return [Pair("baseline", source, source)]
    pairs = [Pair("reference", plain)]
    if settings.occlusion:
        occluded = change(plain, occlusion=True)
        pairs += [Pair("reference_occlusion", occluded), Pair("reference_still", occluded)]
        pairs += [Pair("occlusion", occluded, plain)]
    pairs += [
        Pair("traversal", change(plain, traversal="persistent"), change(plain, traversal="levels")),
        Pair("raster", change(plain, raster="hardware"), software),
    ]
    if plain.raster == "auto" and plain.hardware_pixels:
        pairs.append(Pair("raster", plain, software))
    return pairs


def not_compared(settings: FrameSettings, baseline: str, features: Collection[str]) -> dict[str, str]:
    """Return why comparisons of the engine are left out, by name, on an adapter with some WebGPU features."""
    is_engine = baseline in ENGINE_CHANGES
    compared = {pair.comparison for pair in pairs_of(settings, baseline)}
    why = "the run draws without occlusion" if is_engine else f"{baseline} does not draw as the engine does"
    reasons = {name: why for name in _OF_ENGINE if name not in compared}
    if "traversal" in compared and "shader-int64-atomic-all-ops" not in features:
        reasons["traversal"] = "the adapter lacks shader-int64-atomic-all-ops"
    return reasons


def compare_along(
    device: "Device",
    run: Run,
    scene: Scene,
    cameras: list[Camera],
    every: int,
    label: str = "verify",
    progress: Callable[[str, float, float], None] = lambda stage, done, total: None,
) -> Iterator[dict[str, Any]]:
    """Yield frame, comparison and the fields of Comparison of every `every`-th frame and each comparison.

    What does not apply to the run, or the adapter cannot draw, is yielded once, with `skipped` saying why; a frame that
    cannot be finished likewise, with its number. Any other error is raised.
    """
    from engine.renderer import UnfinishedFrameError

    numbers = range(0, len(cameras), every)
    reasons = not_compared(run.frame, run.baseline, device.features)
    yield from ({"comparison": name, "skipped": why} for name, why in reasons.items())
    pairs = [pair for pair in pairs_of(run.frame, run.baseline) if pair.comparison not in reasons]
    comparer = _Comparer(device, run, scene)
    for turn, pair in enumerate(pairs):
        for done, number in enumerate(numbers):
            place = {"frame": number, "comparison": pair.comparison}
            try:
                found = comparer.compare(pair, (cameras[number - 1], cameras[number]))
                yield from (place | asdict(one) for one in found)
            except UnfinishedFrameError as error:
                yield place | {"skipped": str(error)}
            progress(label, turn * len(numbers) + done + 1, len(pairs) * len(numbers))


class _Comparer:
    """Draws both frames of each pair: one by who draws the run, the other by the engine."""

    def __init__(self, device: "Device", run: Run, scene: Scene) -> None:
        from engine.experiments.two_pass import TwoPassRenderer
        from engine.renderer import Renderer

        self._run, self._scene, self._other = run, scene, Renderer(device)
        self._is_engine = run.baseline in ENGINE_CHANGES
        self._one: Any = TwoPassRenderer(device) if self._is_engine else BASELINES[run.baseline](device)
        self._tables = reference.tables_of(scene)

    def compare(self, pair: Pair, cameras: tuple[Camera, Camera]) -> list[Comparison]:
        """Return what is found of the second of `cameras`, drawn after the first."""
        from engine.renderer import UnfinishedFrameError

        if pair.comparison in ("reference_occlusion", "reference_still"):
            return [self._compare_occlusion(pair, cameras)]
        scene, size = self._scene, self._run.size
        for camera in cameras:
            tau = self._one.render(scene, camera, pair.one, size).statistics.error_pixels
        drawn = self._one.read_visible_clusters()
        if pair.other is None:
            settings = dataclasses.replace(pair.one, error_pixels=tau)  # raised where queues cannot grow
            view = view_record(cameras[1], size, settings, bounds=scene.bounds())
            return [self._compare_set(pair, view, drawn)]
        other_tau = self._other.render(scene, cameras[1], pair.other, size).statistics.error_pixels
        if tau != other_tau:
            why = f"the error was raised to {tau:g} and {other_tau:g} pixels: queues cannot grow further"
            raise UnfinishedFrameError(why)
        sets = [verification.compare_sets(drawn, self._other.read_visible_clusters())]
        return [*(sets if pair.comparison == "traversal" else []), self._compare_images(pair)]

    def _compare_occlusion(self, pair: Pair, cameras: tuple[Camera, Camera]) -> Comparison:
        from engine.experiments.two_pass import draw_after
        from engine.still_frame import draw_still

        one: TwoPassRenderer = self._one
        if pair.comparison == "reference_still":
            still = draw_still(one, self._scene, cameras[1], pair.one, self._run.size)
            view, occlusion = still.view, still.occlusion
        else:
            view, occlusion = draw_after(one, self._scene, cameras, pair.one, self._run.size)
        return verification.compare_with_reference(self._tables, view, one.read_visible_clusters(), occlusion)

    def _compare_set(self, pair: Pair, view: np.ndarray, drawn: np.ndarray) -> Comparison:
        if pair.comparison == "discrete_levels":
            from engine.experiments.discrete_levels import compare_with_levels

            return compare_with_levels(self._tables, view, self._levels, drawn)
        return verification.compare_with_reference(self._tables, view, drawn)

    def _compare_images(self, pair: Pair) -> Comparison:
        is_rounded = self._run.baseline in _ROUNDED
        compare = verification.compare_rounded_images if is_rounded else verification.compare_images
        return compare(image_of(self._one), image_of(self._other), TIED_PIXELS[pair.comparison])

    @cached_property
    def _levels(self) -> Any:
        from engine.experiments.discrete_levels import levels_of

        return levels_of(self._scene)


def image_of(renderer: "Renderer") -> Image:
    """Return what the frame drawn last shows."""
    return Image(renderer.read_visibility(), np.stack([renderer.read_aov(name) for name in _IDENTITY]))
