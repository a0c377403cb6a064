"""Measure what a frame should do on this adapter: `microlith device --calibrate`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from engine.calibration_scene import SIZE, calibration_scene
from engine.frame.statistics import FrameStatistics
from engine.gpu.device import Device
from engine.renderer import Renderer
from engine.thresholds import Thresholds, default_thresholds

# Workgroups of 64 threads that are tried: up to some for each core of a CPU or each multiprocessor of a GPU.
SOFTWARE_WORKGROUPS = (1, 2, 4, 8, 16)
GPU_WORKGROUPS = (66, 132, 264, 396, 528, 792, 1056, 2112)
SOFTWARE_INSTANCES, GPU_INSTANCES = 512, 20480
FRAMES = 7  # measured of each candidate, in turns, so that a change of clocks meets them all
_MARGIN = 1.05  # the default gives way to what is faster by more than chance
Progress = Callable[[str, float, float], None]


@dataclass
class Candidate:
    """A way to walk the hierarchy and what was measured of it; `failure` says why it may not be chosen."""

    traversal: str
    workgroups: int  # 0 with levels
    frames_ms: list[float] = field(default_factory=list)
    failure: str = ""

    @property
    def milliseconds(self) -> float | None:
        """The shortest frame: whatever else the machine does only adds to it."""
        return min(self.frames_ms, default=None)


@dataclass
class Calibration:
    """What was measured and what follows from it."""

    thresholds: Thresholds
    candidates: list[Candidate]
    clock: str  # what the milliseconds are of
    instances: int
    nodes: int  # tested in a frame
    clusters: int  # drawn in a frame

    def to_dict(self) -> dict:
        """Return plain dictionaries, ready for JSON."""
        values = asdict(self)
        for row, candidate in zip(values["candidates"], self.candidates):
            row["milliseconds"] = candidate.milliseconds
        return values


def calibrate(
    device: Device,
    instances: int | None = None,
    workgroups: Sequence[int] | None = None,
    frames: int = FRAMES,
    progress: Progress = lambda *_: None,
) -> Calibration:
    """Draw a synthetic scene with each candidate and choose the fastest one that draws what `levels` draws.

    `workgroups` are the counts tried with the persistent traversal; they and `instances` depend on the kind of adapter
    by default. Raises RuntimeError where not even the traversal by levels draws a complete frame.
    """
    software = device.is_software
    instances = instances or (SOFTWARE_INSTANCES if software else GPU_INSTANCES)
    candidates = [Candidate("levels", 0)]
    if "shader-int64-atomic-all-ops" in device.features:
        counts = workgroups or (SOFTWARE_WORKGROUPS if software else GPU_WORKGROUPS)
        candidates += [Candidate("persistent", count) for count in counts]
    bench = _Bench(device, instances)
    for turn in range(frames + 1):  # the first one compiles and compares the sets
        for number, candidate in enumerate(candidates):
            bench.draw(candidate, is_first=turn == 0)
            progress("calibrate", turn * len(candidates) + number + 1, (frames + 1) * len(candidates))
    return Calibration(
        thresholds=choose(candidates, default_thresholds(device)),
        candidates=candidates,
        clock=bench.clock,
        instances=instances,
        nodes=bench.nodes,
        clusters=len(bench.expected),
    )


def choose(candidates: Sequence[Candidate], default: Thresholds) -> Thresholds:
    """Return the traversal and the number of workgroups that took least time; what hardly differs keeps the default.

    A persistent traversal that failed once, with whatever number of workgroups, is never chosen: what lost its way on
    this adapter in one of some frames is not to be trusted with any.
    """
    persistent = [one for one in candidates if one.traversal == "persistent"]
    if not persistent:
        return replace(default, source="calibrated")
    if failed := [one for one in persistent if one.failure]:
        reason = f"the persistent traversal with {failed[0].workgroups} workgroups {failed[0].failure}"
        return Thresholds("levels", default.persistent_workgroups, "calibrated", reason)
    levels_ms = next(one.milliseconds or 0.0 for one in candidates if one.traversal == "levels")
    by_count = {one.workgroups: one.milliseconds or 0.0 for one in persistent}
    workgroups = min(by_count, key=by_count.__getitem__)
    persistent_ms = by_count[workgroups]
    if by_count.get(default.persistent_workgroups, np.inf) <= _MARGIN * persistent_ms:
        workgroups = default.persistent_workgroups
    traversal = "persistent" if persistent_ms < levels_ms else "levels"
    if max(persistent_ms, levels_ms) <= _MARGIN * min(persistent_ms, levels_ms):
        traversal = default.traversal
    reason = f"levels took {levels_ms:.3f} ms, persistent {persistent_ms:.3f} ms"
    return Thresholds(traversal, workgroups, "calibrated", reason)


class _Bench:
    """The scene and a renderer for each traversal; a failed traversal is left alone, its queue is in disorder."""

    def __init__(self, device: Device, instances: int):
        self._scene, self._camera, self._settings = calibration_scene(instances)
        self._renderers = {name: Renderer(device) for name in ("levels", "persistent")}
        self._failed: set[str] = set()
        self._device = device
        self.expected = np.zeros((0, 2), np.uint32)  # what the levels draw
        self.nodes = 0
        self.clock = ""

    def draw(self, candidate: Candidate, is_first: bool) -> None:
        """Draw a frame and note what it took, or how it failed; the first one compiles and is not timed."""
        if candidate.traversal in self._failed:
            return
        renderer = self._renderers[candidate.traversal]
        workgroups = candidate.workgroups or 1  # 0 would ask for what an earlier calibration found
        settings = replace(self._settings, traversal=candidate.traversal, persistent_workgroups=workgroups)
        begin = time.perf_counter()
        renderer.submit(self._scene, self._camera, settings, SIZE)
        [(_, seen)] = renderer.collect(wait=True)
        wall_ms = (time.perf_counter() - begin) * 1e3
        drawn = renderer.read_visible_clusters() if is_first and seen.is_complete else None
        if candidate.traversal == "levels" and drawn is not None:
            self.expected, self.nodes = drawn, seen.passes["main"]["nodes"].tested
        candidate.failure = self._failure(seen, drawn)
        if candidate.failure:
            self._failed.add(candidate.traversal)
            if candidate.traversal == "levels":
                raise RuntimeError(f"{self._device.adapter_name}: the traversal by levels {candidate.failure}")
        elif not is_first:
            candidate.frames_ms.append(self._milliseconds(seen, wall_ms))

    def _failure(self, seen: FrameStatistics, drawn: np.ndarray | None) -> str:
        """Return what is wrong with a frame, or an empty text; `drawn` is its set, where it was read."""
        if seen.is_aborted:
            return "stood still"
        if not seen.is_complete:
            return "asked for more than its queues hold"
        same_count = sum(seen.clusters.values()) == len(self.expected)
        if not same_count or (drawn is not None and not np.array_equal(drawn, self.expected)):
            return "drew another set of clusters"
        return ""

    def _milliseconds(self, seen: FrameStatistics, wall_ms: float) -> float:
        passes = [value for label, value in seen.passes_ms.items() if label.endswith(f"{seen.traversal}_cull")]
        self.clock = "the traversal pass, by GPU timestamps" if passes else "the whole frame, by the wall clock"
        return sum(passes) if passes else wall_ms
