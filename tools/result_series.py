"""What the figures of tools/plot_results.py show, as plain numbers: samples of each run, and curves along an axis."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.experiments.report import error_values
from engine.experiments.results import Results
from engine.experiments.summary import frame_ms, has_gpu_times, spread

FIELD_UNITS = {  # axis titles of what a sweep varies; others are called by their name
    "error_pixels": "tau (pixels)",
    "size": "image (megapixels)",
    "instances": "instances",
    "hardware_pixels": "hardware_pixels (pixels)",
    "cluster_triangles": "triangles of a cluster, at most",
    "group_clusters": "clusters of a group, target",
    "node_children": "children of a node, at most",
    "persistent_workgroups": "persistent workgroups",
    "scene": "scene",
}
TABLE_ERRORS = {  # column titles of the measures of image error
    "psnr_db": "PSNR (dB)",
    "flip": "FLIP",
    "depth_error_p99": "depth error, 99 %",
    "silhouette_share": "silhouette error (share)",
    "silhouette_pixels": "silhouette error (pixels)",
    "flicker": "flicker",
}
FUNNEL_KINDS = ("instance_nodes", "instances", "nodes", "clusters", "triangles")
OUTCOMES = ("kept", "frustum", "detail", "size", "occlusion")
_MEGA = 1e6


@dataclass
class Curve:
    """Values along an axis: `x` (n,) ascending, and `median`, `low`, `high` (5 and 95 %), each (n,)."""

    label: str
    x: list[float] = field(default_factory=list)
    median: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)

    def add(self, x: float, samples: list[float]) -> None:
        """Append the spread of some samples at `x`; none where there are no samples or they have no finite median."""
        middle, low, high = spread(samples)
        if np.isfinite(middle):
            for values, value in zip((self.x, self.median, self.low, self.high), (x, middle, low, high)):
                values.append(value)


def frames_of(results: Results, run: int) -> list[dict[str, Any]]:
    """Return the frame lines of a run, of all repeats."""
    return [frame for frame in results.frames if frame["run"] == run]


def samples(results: Results, run: int, what: str) -> list[float]:
    """Return samples of a run: "ms" of GPU (else wall) time, "triangles" drawn, or a measure of the image error."""
    frames = frames_of(results, run)
    if what == "triangles":
        return [float(sum(frame["statistics"]["triangles"].values())) for frame in frames]
    if what != "ms":
        return error_values(results, run, what)
    return list(map(frame_ms(results), frames))


def time_title(results: Results) -> str:
    """Return the axis title of samples "ms"."""
    return "GPU time of a frame (ms)" if has_gpu_times(results) else "wall time of a frame (ms)"


def measured_runs(results: Results) -> list[dict[str, Any]]:
    """Return the runs that have frames."""
    numbers = {frame["run"] for frame in results.frames}
    return [run for run in results.runs if run["run"] in numbers]


def varied_fields(results: Results) -> list[str]:
    """Return what the sweep varies, where it has more than one value."""
    names = dict.fromkeys(name for run in results.runs for name in run["variant"])
    return [name for name in names if len({repr(run["variant"].get(name)) for run in results.runs}) > 1]


def number_of(name: str, value: Any) -> float | None:
    """Return the place of a field's value on an axis, None where it is a word.

    A size is megapixels, instances along three axes are their product.
    """
    if name == "size":
        return value[0] * value[1] / _MEGA
    if name == "instances" and isinstance(value, list):
        return float(np.prod(value))
    return float(value) if type(value) in (int, float) else None


def numeric_fields(results: Results) -> list[str]:
    """Return the varied fields that have a number in every run, those of most values first."""
    values = {
        name: [number_of(name, run["variant"].get(name)) for run in results.runs] for name in varied_fields(results)
    }
    found = [name for name, numbers in values.items() if None not in numbers]
    return sorted(found, key=lambda name: -len(set(values[name])))


def curves(results: Results, what: str, axis: str) -> list[Curve]:
    """Return samples `what` along a numeric field, a curve for each combination of the other varied fields."""
    places = {run["run"]: number_of(axis, run["variant"][axis]) or 0.0 for run in measured_runs(results)}
    return _curves(results, what, places, [name for name in varied_fields(results) if name != axis])


def scaling_curves(results: Results, what: str, count: str) -> list[Curve]:
    """Return samples `what` along `instances` or `triangles` of the scenes; other varied fields make the curves."""
    places = scene_counts(results, count)
    others = [name for name in varied_fields(results) if name not in ("instances", "scene")]
    return _curves(results, what, places, others)


def scene_counts(results: Results, count: str) -> dict[int, float]:
    """Return `instances` or `triangles` of each measured run's scene, by the number of the run."""
    numbers = {run["run"] for run in measured_runs(results)}
    return {scene["run"]: float(scene[count]) for scene in results.scenes if scene["run"] in numbers}


def _curves(results: Results, what: str, places: dict[int, float], others: list[str]) -> list[Curve]:
    found: dict[str, Curve] = {}
    order = sorted((run for run in results.runs if run["run"] in places), key=lambda run: places[run["run"]])
    for run in order:
        label = ", ".join(f"{name} {called(results, name, run['variant'].get(name))}" for name in others)
        found.setdefault(label, Curve(label)).add(places[run["run"]], samples(results, run["run"], what))
    return [curve for curve in found.values() if curve.x]


def shown(value: Any) -> str:
    """Return a varied value in a few letters."""
    if isinstance(value, list):
        return "x".join(map(str, value))
    if isinstance(value, str):
        return Path(value).stem if "." in value else value
    return str(value).lower() if isinstance(value, bool) else str(value)


def called(results: Results, name: str, value: Any) -> str:
    """Return a value of a varied field in a few letters that no other of its values has."""
    others = (run["variant"].get(name) for run in results.runs)
    is_alone = all(shown(other) != shown(value) for other in others if other != value)
    return shown(value) if is_alone else str(value)


def times_passes(results: Results, run: int) -> bool:
    """Return whether the passes of a run were timed one by one."""
    return any(set(frame["statistics"]["passes_ms"]) - {"frame"} for frame in frames_of(results, run))


def pass_times(results: Results, run: int) -> tuple[list[int], dict[str, np.ndarray]]:
    """Return frame numbers and, by label, the median milliseconds of each over the repeats, (frames,) float64."""
    frames = frames_of(results, run)
    numbers = sorted({frame["frame"] for frame in frames})
    labels = dict.fromkeys(label for frame in frames for label in frame["statistics"]["passes_ms"])
    gathered: dict[tuple[str, int], list[float]] = {}
    for frame in frames:
        for label, milliseconds in frame["statistics"]["passes_ms"].items():
            gathered.setdefault((label, frame["frame"]), []).append(milliseconds)
    return numbers, {
        label: np.array([np.median(gathered.get((label, number), [0.0])) for number in numbers]) for label in labels
    }


def thinned(
    numbers: list[int], by_label: dict[str, np.ndarray], together: int
) -> tuple[list[int], dict[str, np.ndarray]]:
    """Return frame numbers and times with each `together` frames in one: the first number, the mean of the times."""
    starts = np.arange(0, len(numbers), together)
    counts = np.diff([*starts, len(numbers)])
    return numbers[::together], {label: np.add.reduceat(ms, starts) / counts for label, ms in by_label.items()}


def in_order(lists: Iterable[list[str]]) -> list[str]:
    """Return all labels of some lists in an order that suits all of them: by their mean place."""
    places: dict[str, list[float]] = {}
    for labels in lists:
        for place, label in enumerate(labels):
            places.setdefault(label, []).append(place / len(labels))
    return sorted(places, key=lambda label: float(np.mean(places[label])))


def funnel(results: Results, run: int) -> dict[str, dict[str, float]]:
    """Return what became of each kind of thing after both passes: mean count a frame by outcome.

    What the main pass hides is tested again by the post pass, so only what that one hides counts as occlusion. Kinds
    that no pass looked at are left out.
    """
    frames, found = frames_of(results, run), {}
    for kind in FUNNEL_KINDS:
        counts = dict.fromkeys(OUTCOMES, 0.0)
        for frame in frames:
            passes = frame["statistics"]["passes"]
            for name in ("main", "post"):
                one = passes.get(name, {}).get(kind, {"kept": 0, "culled": {}})
                counts["kept"] += one["kept"]
                for reason, count in one["culled"].items():
                    if reason != "occlusion" or name == "post":
                        counts[reason] += count
        if sum(counts.values()):
            found[kind] = {outcome: count / len(frames) for outcome, count in counts.items()}
    return found
