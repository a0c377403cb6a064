"""Runs an experiment: every run once in each repeat, so that what drifts meets all of them alike."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.camera import Camera
from engine.experiments import manifest as manifests
from engine.experiments.baseline import BASELINES, Drawer
from engine.experiments.experiment import Experiment, Run
from engine.experiments.filler import Filler
from engine.experiments.results import IMAGE_ERROR, VERIFICATION, ResultFile, Results, read_results
from engine.experiments.scenes import Scenes
from engine.scene import Scene
from engine.settings import FrameSettings

if TYPE_CHECKING:
    from engine.gpu.device import Device

log = logging.getLogger("engine")

Progress = Callable[[str, float, float], None]


def run_experiment(
    device: "Device",
    experiment: Experiment,
    path: str | Path,
    progress: Progress = lambda stage, done, total: None,
    verify: bool = False,
    resumes: bool = True,
    verbosity: int = -1,
) -> Results:
    """Build, measure and, with `verify`, compare what the result file at `path` does not hold yet; return all of it.

    Raises ValueError or OSError in one line, also where the file holds the results of something else.
    """
    runs, scenes = experiment.runs(), Scenes(verbosity)
    assets, hashes = manifests.describe_assets(scenes, runs)
    lines = [manifests.describe_run(*pair) for pair in zip(runs, hashes, strict=True)]
    results = ResultFile(path, manifests.describe(device, experiment, assets), lines, resumes)
    if results.done:
        log.warning("%s: goes on after %d finished parts", path, len(results.done))
    execute(device, experiment, runs, scenes, results, progress, verify)
    return read_results(path)


def execute(
    device: "Device",
    experiment: Experiment,
    runs: list[Run],
    scenes: Scenes,
    results: ResultFile,
    progress: Progress = lambda stage, done, total: None,
    verify: bool = False,
) -> None:
    """Measure, and with `verify` compare, what `results` does not hold yet; `progress` counts frames."""
    drawers: dict[str, Drawer] = {}
    filler = Filler(device, experiment.filler_ms) if experiment.filler_ms and not device.is_software else None
    turns = [(repeat, run) for repeat in range(experiment.repeats) for run in runs]
    total = len(turns) * experiment.frames
    for number, (repeat, run) in enumerate(turns):
        if (run.number, repeat) in results.done:
            continue
        scene = scenes.open(run)
        cameras = experiment.way.cameras(scene, experiment.frames, run.size)
        if run.baseline not in drawers:
            drawers[run.baseline] = BASELINES[run.baseline](device)
        drawer, records = drawers[run.baseline], []
        for record in measure(drawer, scene, cameras, run.frame, run.size, experiment.warm_up, filler):
            records.append({"kind": "frame", "run": run.number, "repeat": repeat, **record})
            progress("measure", number * experiment.frames + len(records), total)
        for record in records:  # not between the frames: it takes time
            record["statistics"] = record["statistics"].to_dict()
        if repeat == 0 and experiment.check_every:
            sets = visible_sets(drawer, scene, cameras, run.frame, run.size, experiment.check_every)
            records += [{"kind": "set", "run": run.number, **record} for record in sets]
        records.sort(key=lambda one: (one["kind"], one["frame"]))
        if repeat == 0:
            records.append({"kind": "scene", "run": run.number, **manifests.describe_scene(scene)})
        results.add(run.number, repeat, records)
    if experiment.image_error:
        _compare_images(device, experiment, runs, scenes, results, drawers, progress)
    if verify:
        drawers.clear()  # the comparisons have drawers of their own
        _verify(device, experiment, runs, scenes, results, progress)


def _compare_images(
    device: "Device",
    experiment: Experiment,
    runs: list[Run],
    scenes: Scenes,
    results: ResultFile,
    drawers: dict[str, Drawer],
    progress: Progress,
) -> None:
    from engine.experiments.image_comparison import errors_along
    from engine.renderer import Renderer

    assert experiment.image_error
    reference = Renderer(device)
    for run in runs:
        if (run.number, IMAGE_ERROR) in results.done:
            continue
        scene = scenes.open(run)
        cameras = experiment.way.cameras(scene, experiment.frames, run.size)
        if run.baseline not in drawers:
            drawers[run.baseline] = BASELINES[run.baseline](device)
        count = partial(progress, f"image error of run {run.number + 1} of {len(runs)}")
        drawer = drawers[run.baseline]
        found = errors_along(drawer, reference, run, scene, cameras, experiment.image_error, count)
        records = [{"kind": IMAGE_ERROR, "run": run.number, **record} for record in found]
        results.add(run.number, IMAGE_ERROR, records)


def _verify(
    device: "Device",
    experiment: Experiment,
    runs: list[Run],
    scenes: Scenes,
    results: ResultFile,
    progress: Progress,
) -> None:
    from engine.experiments.comparisons import compare_along

    for run in runs:
        if (run.number, VERIFICATION) in results.done:
            continue
        scene = scenes.open(run)
        cameras = experiment.way.cameras(scene, experiment.frames, run.size)
        label = f"verify run {run.number + 1} of {len(runs)}"
        found = compare_along(device, run, scene, cameras, experiment.check_every, label, progress)
        records = [{"kind": "verification", "run": run.number, **record} for record in found]
        results.add(run.number, VERIFICATION, records)


def measure(
    drawer: Drawer,
    scene: Scene,
    cameras: list[Camera],
    settings: FrameSettings,
    size: tuple[int, int],
    warm_up: int,
    filler: Filler | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield frame, wall_ms and statistics (FrameStatistics) for each camera; `filler` goes before each frame.

    Warm-up frames come first and end where the path begins. A frame for which the queues were too small is measured
    again at the end.
    """
    drawer.render(scene, cameras[-warm_up % len(cameras)], settings, size)  # lets the queues grow
    path = [(number, cameras[number % len(cameras)]) for number in range(-warm_up, len(cameras))]
    again = []  # the queues were too small for them; not before the frames in flight have arrived
    for number, frame, wall_ms in _frames_in_flight(drawer, scene, path, settings, size, filler):
        if number >= 0 and not frame.is_complete:
            again.append(number)
        elif number >= 0:
            yield {"frame": number, "wall_ms": wall_ms, "statistics": frame}
    for number in again:
        drawer.render(scene, cameras[number], settings, size)  # lets them grow
        [(_, frame, wall_ms)] = _frames_in_flight(drawer, scene, [(number, cameras[number])], settings, size, filler)
        yield {"frame": number, "wall_ms": wall_ms, "statistics": frame}


def _frames_in_flight(
    drawer: Drawer,
    scene: Scene,
    path: list[tuple[int, Camera]],
    settings: FrameSettings,
    size: tuple[int, int],
    filler: Filler | None,
) -> Iterator[tuple[int, Any, float]]:
    """Yield number, statistics and wall milliseconds of each frame of `path`, (number, camera) pairs.

    Frames are sent ahead of those that are still drawn, so that the GPU neither waits nor lowers its clocks. The wall
    time is that between results; results that arrive together share it.
    """
    then = time.perf_counter()
    for sent in [*path, None]:
        arrived = drawer.collect(wait=sent is None)
        while sent is not None and drawer.is_full:
            time.sleep(1e-5)
            arrived += drawer.collect()
        now = time.perf_counter()
        for tag, frame in arrived:
            yield tag, frame, (now - then) * 1e3 / len(arrived)
        then = now if arrived else then
        if sent is not None:
            if filler is not None:
                filler.submit()
            drawer.submit(scene, sent[1], settings, size, tag=sent[0])


def visible_sets(
    drawer: Drawer,
    scene: Scene,
    cameras: list[Camera],
    settings: FrameSettings,
    size: tuple[int, int],
    every: int,
) -> Iterator[dict[str, Any]]:
    """Yield frame, clusters and sha256 of what every `every`-th camera draws after the one before it.

    What occlusion hides hangs on the last frame's depth, which is that of the last camera, however it was drawn. So the
    sets are the same in every run of the same settings.
    """
    for number in range(0, len(cameras), every):
        pairs = drawn_clusters(drawer, scene, cameras, number, settings, size)
        yield {"frame": number, "clusters": len(pairs), "sha256": set_hash(pairs)}


def drawn_clusters(
    drawer: Drawer, scene: Scene, cameras: list[Camera], number: int, settings: FrameSettings, size: tuple[int, int]
) -> np.ndarray:
    """Return the (k, 2) uint32 pairs that camera `number` draws after the one before it; waits for the GPU."""
    for _ in range(4):  # again where queues had to grow: what was drawn in between counts as the last frame
        drawer.render(scene, cameras[number - 1], settings, size)
        if not drawer.render(scene, cameras[number], settings, size).statistics.notes:
            break
    return drawer.read_visible_clusters()


def set_hash(pairs: np.ndarray) -> str:
    """Return the SHA-256 of sorted pairs of instance slot and scene-wide cluster, integer (k, 2)."""
    ordered = np.unique(np.asarray(pairs, np.uint32), axis=0)
    return hashlib.sha256(np.ascontiguousarray(ordered).astype("<u4").tobytes()).hexdigest()
