"""Runs an experiment: every run once in each repeat, so that what drifts meets all of them alike."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.camera import Camera, checked_size
from engine.experiments import manifest as manifests
from engine.experiments.baseline import Drawer
from engine.experiments.drawers import Drawers
from engine.experiments.experiment import Experiment, Run
from engine.experiments.filler import Filler
from engine.experiments.manifest import RunFiles
from engine.experiments.refusal import refusal_of
from engine.experiments.results import IMAGE_ERROR, SUMMARY, VERIFICATION, ResultFile, Results, read_results
from engine.experiments.scenes import Scenes, file_hash
from engine.experiments.summary import frame_ms, ratio, summary
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

    A run that cannot be had (its scene does not build or is not there, it is too large for the adapter or a baseline)
    is written down with the reason, and the others go on. Raises ValueError or OSError in one line, also where the
    file holds the results of something else.
    """
    runs, scenes = experiment.runs(), Scenes(verbosity)
    assets, files = manifests.describe_assets(scenes, runs)
    lines = [manifests.describe_run(run, found.hashes) for run, found in zip(runs, files, strict=True)]
    with ResultFile(path, manifests.describe(device, experiment, assets), lines, resumes) as results:
        if results.done:
            log.warning("%s: goes on after %d finished parts", path, len(results.done))
        Session(device, experiment, runs, files, scenes, results, progress).execute(verify)
    return read_results(path)


class Session:
    """Measures, and compares, what `results` does not hold yet; `progress` counts frames.

    `files` are those of each run. A run that was refused is not tried again before the next session.
    """

    def __init__(
        self,
        device: "Device",
        experiment: Experiment,
        runs: list[Run],
        files: list[RunFiles],
        scenes: Scenes,
        results: ResultFile,
        progress: Progress,
    ) -> None:
        self._device, self._experiment, self._runs, self._files = device, experiment, runs, files
        self._scenes, self._results, self._progress = scenes, results, progress
        self._drawers = Drawers(device)
        self._refused: set[int] = set()
        is_filled = experiment.filler_ms and not device.is_software
        self._filler = Filler(device, experiment.filler_ms) if is_filled else None

    def execute(self, verify: bool = False) -> None:
        """Measure every run in each repeat, by turns, then compare images, then `verify`."""
        turns = [(repeat, run) for repeat in range(self._experiment.repeats) for run in self._runs]
        for number, (repeat, run) in enumerate(turns):
            count = partial(self._count, number, len(turns))
            self._finish(run, repeat, partial(self._measured, run, repeat, count))
        self._summarise()
        if self._experiment.image_error:
            for run in self._runs:
                self._finish(run, IMAGE_ERROR, partial(self._image_errors, run))
        if verify:
            self._drawers = Drawers(self._device)  # the comparisons have drawers of their own
            for run in self._runs:
                self._finish(run, VERIFICATION, partial(self._verified, run))

    def _summarise(self) -> None:
        """Write the statistics of each run that has all its repeats."""
        repeats, done = range(self._experiment.repeats), self._results.done
        whole = {run.number for run in self._runs if all((run.number, repeat) in done for repeat in repeats)}
        open_runs = [number for number in sorted(whole) if (number, SUMMARY) not in done]
        if not open_runs:
            return
        measured = read_results(self._results.path)
        frames: dict[int, list[dict[str, Any]]] = {}
        for frame in measured.frames:
            frames.setdefault(frame["run"], []).append(frame)
        first, time_of = frames[min(frames)], frame_ms(measured)
        for number in open_runs:
            found = {**summary(frames[number]), "ratio": ratio(frames[number], first, time_of)}
            self._results.add(number, SUMMARY, [{"kind": "summary", "run": number, **found}])

    def _finish(self, run: Run, part: int | str, records_of: Callable[[], list[dict[str, Any]]]) -> None:
        """Write the lines of one part of a run, or why there are none, unless they are there."""
        if (run.number, part) in self._results.done or run.number in self._refused:
            return
        records: list[dict[str, Any]] = []
        reason = self._files[run.number].refusal
        if not reason:
            try:
                records = records_of()
            except Exception as error:
                reason = refusal_of(error, self._device)
                self._drawers.forget(run.baseline)
        reason = reason.replace(str(run.file), run.scene_name)  # no folders
        if not reason:
            self._results.add(run.number, part, records)
            log.info("%s: finished %s", run.label, part if isinstance(part, str) else f"repeat {part + 1}")
            return
        if isinstance(part, int):
            self._refused.add(run.number)
        self._results.refuse(run.number, part, reason)
        if len(self._runs) > 1:  # else it is all there is to say at the end
            log.warning("%s: refused: %s", run.label, reason)

    def _count(self, number: int, turns: int, done: int) -> None:
        frames = self._experiment.frames
        self._progress("measure", number * frames + done, turns * frames)

    def _opened(self, run: Run) -> tuple[Scene, list[Camera]]:
        """Return scene and cameras of a run. Raises ValueError where its files are not those of the manifest now."""
        checked_size(run.size)
        scene = self._scenes.open(run)
        if tuple(map(file_hash, manifests.run_files(self._scenes, run))) != self._files[run.number].hashes:
            raise ValueError(f"{run.scene}: has changed since the experiment began")
        return scene, self._experiment.way.cameras(scene, self._experiment.frames, run.size)

    def _measured(self, run: Run, repeat: int, count: Callable[[int], None]) -> list[dict[str, Any]]:
        warm_up, check_every = self._experiment.warm_up, self._experiment.check_every
        scene, cameras = self._opened(run)
        drawer, records, waits = self._drawers.of(run.baseline, scene), [], self._device.is_software
        for record in measure(drawer, scene, cameras, run.frame, run.size, warm_up, self._filler, waits):
            records.append({"kind": "frame", "run": run.number, "repeat": repeat, **record})
            count(len(records))
        for record in records:  # not between the frames: it takes time
            record["statistics"] = record["statistics"].to_dict()
        if repeat == 0 and check_every:
            sets = visible_sets(drawer, scene, cameras, run.frame, run.size, check_every)
            records += [{"kind": "set", "run": run.number, **record} for record in sets]
        records.sort(key=lambda one: (one["kind"], one["frame"]))
        if repeat == 0:
            records.append({"kind": "scene", "run": run.number, **manifests.describe_scene(scene)})
        return records

    def _image_errors(self, run: Run) -> list[dict[str, Any]]:
        from engine.experiments.image_comparison import errors_along

        assert self._experiment.image_error
        scene, cameras = self._opened(run)
        drawer, reference = self._drawers.of(run.baseline, scene), self._drawers.reference(scene)
        count = partial(self._progress, f"image error of run {run.number + 1} of {len(self._runs)}")
        found = errors_along(drawer, reference, run, scene, cameras, self._experiment.image_error, count)
        return [{"kind": IMAGE_ERROR, "run": run.number, **record} for record in found]

    def _verified(self, run: Run) -> list[dict[str, Any]]:
        from engine.experiments.comparisons import compare_along

        scene, cameras = self._opened(run)
        label = f"verify run {run.number + 1} of {len(self._runs)}"
        found = compare_along(self._device, run, scene, cameras, self._experiment.check_every, label, self._progress)
        return [{"kind": VERIFICATION, "run": run.number, **record} for record in found]


def measure(
    drawer: Drawer,
    scene: Scene,
    cameras: list[Camera],
    settings: FrameSettings,
    size: tuple[int, int],
    warm_up: int,
    filler: Filler | None = None,
    waits: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield frame, wall_ms and statistics (FrameStatistics) for each camera; `filler` goes before each frame.

    With `waits` a frame is sent when the one before it has arrived: for a CPU that plays the GPU, where frames in
    flight take time from one another. Warm-up frames come first; they walk the path's beginning backwards, so that the
    camera does not jump to where it begins. A frame for which the queues were too small is drawn again at the end,
    right after the one before it, and has `again` then.
    """
    drawer.render(scene, cameras[place_of(-warm_up, len(cameras))], settings, size)  # lets the queues grow
    if filler is not None:
        filler.wake()
    path = [(number, cameras[place_of(number, len(cameras))]) for number in range(-warm_up, len(cameras))]
    again = []  # the queues were too small for them; not before the frames in flight have arrived
    for number, frame, wall_ms in _frames_in_flight(drawer, scene, path, settings, size, filler, waits):
        if number >= 0 and not frame.is_complete:
            again.append(number)
        elif number >= 0:
            yield {"frame": number, "wall_ms": wall_ms, "statistics": frame}
    for number in again:
        drawer.render(scene, cameras[number], settings, size)  # lets them grow
        drawer.render(scene, cameras[place_of(number - 1, len(cameras))], settings, size)
        [(_, frame, wall_ms)] = _frames_in_flight(drawer, scene, [(number, cameras[number])], settings, size, filler)
        yield {"frame": number, "wall_ms": wall_ms, "statistics": frame, "again": True}


def place_of(number: int, count: int) -> int:
    """Return which of `count` cameras frame `number` has: those before frame 0 walk the path backwards, and turn."""
    turn = 2 * max(count - 1, 1)
    place = abs(number) % turn
    return min(place, turn - place) % count


def _frames_in_flight(
    drawer: Drawer,
    scene: Scene,
    path: list[tuple[int, Camera]],
    settings: FrameSettings,
    size: tuple[int, int],
    filler: Filler | None,
    waits: bool = False,
) -> Iterator[tuple[int, Any, float]]:
    """Yield number, statistics and wall milliseconds of each frame of `path`, (number, camera) pairs.

    Frames are sent ahead of those that are still drawn, so that the GPU neither waits nor lowers its clocks. The wall
    time is that between results; results that arrive together, as the last ones do, share it: its mean is exact, single
    values are not.
    """
    then = time.perf_counter()
    for sent in [*path, None]:
        arrived = drawer.collect(wait=waits or sent is None)
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
    before = cameras[place_of(number - 1, len(cameras))]
    for _ in range(4):  # again where queues had to grow: what was drawn in between counts as the last frame
        drawer.render(scene, before, settings, size)
        if not drawer.render(scene, cameras[number], settings, size).statistics.notes:
            break
    return drawer.read_visible_clusters()


def set_hash(pairs: np.ndarray) -> str:
    """Return the SHA-256 of sorted pairs of instance slot and scene-wide cluster, integer (k, 2)."""
    ordered = np.unique(np.asarray(pairs, np.uint32), axis=0)
    return hashlib.sha256(np.ascontiguousarray(ordered).astype("<u4").tobytes()).hexdigest()
