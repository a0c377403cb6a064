"""Statistics over the frames of a run, and its ratio to another one, frame by frame."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from engine.experiments.results import Results

Frame = dict[str, Any]  # a line of kind "frame"


def spread(values: Sequence[float]) -> list[float]:
    """Return median, 5 % and 95 % quantile of samples; NaN of none.

    A quantile is the sample whose rank is nearest to it.
    """
    if not values:
        return [float("nan")] * 3
    ordered = sorted(map(float, values))
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.05, 0.95))
    return [statistics.median(ordered), low, high]


def summary(frames: Sequence[Frame]) -> dict[str, Any]:
    """Return the statistics of the frames of a run: their number, and of all samples together those of each measure.

    wall_ms, triangles, clusters, and each label of passes_ms; each has `samples`, `median`, `p05`, `p95`, `mean`, and
    `deviation`, the standard deviation of samples, null of a single one.
    """
    passes: dict[str, list[float]] = {}
    for frame in frames:
        for label, milliseconds in frame["statistics"]["passes_ms"].items():
            passes.setdefault(label, []).append(milliseconds)
    return {
        "frames": len(frames),
        "wall_ms": _described([frame["wall_ms"] for frame in frames]),
        "passes_ms": {label: _described(values) for label, values in passes.items()},
        **{kind: _described([drawn(frame, kind) for frame in frames]) for kind in ("triangles", "clusters")},
    }


def ratio(frames: Sequence[Frame], others: Sequence[Frame], time_of: Callable[[Frame], float]) -> dict[str, Any]:
    """Return the statistics of the times of a run as multiples of those of another one, the run `to`.

    `median`, `p05` and `p95` of the paired ratios, and `repeats`, the median of each repeat.
    """
    middle, low, high = spread(paired_ratios(frames, others, time_of))
    repeats = repeat_ratios(frames, others, time_of)
    return {"to": others[0]["run"], "median": middle, "p05": low, "p95": high, "repeats": repeats}


def is_cpu(results: Results) -> bool:
    """Return whether a CPU played the GPU."""
    return results.manifest.get("device", {}).get("kind") == "CPU"


def has_gpu_times(results: Results) -> bool:
    """Return whether every frame has the GPU time from its first command to its last, on a GPU.

    The timestamps of llvmpipe say little: once a device has drawn by the graphics pipeline, it writes those of a whole
    frame at its end. There the wall time is the time.
    """
    return not is_cpu(results) and all("frame" in frame["statistics"]["passes_ms"] for frame in results.frames)


def frame_ms(results: Results) -> Callable[[Frame], float]:
    """Return which milliseconds of a frame are its time in these results: those of the GPU, else wall time."""
    return gpu_ms if has_gpu_times(results) else wall_ms


def paired_ratios(frames: Sequence[Frame], others: Sequence[Frame], time_of: Callable[[Frame], float]) -> list[float]:
    """Return, for each frame number that both runs have, the time of `frames` as a multiple of that of `others`.

    Both saw it from the same place of the path, so what changes along the path cancels. Times are medians over the
    repeats.
    """
    one, other = _by_number(frames, time_of), _by_number(others, time_of)
    return [one[number] / other[number] for number in sorted(one.keys() & other.keys()) if other[number] > 0.0]


def repeat_ratios(frames: Sequence[Frame], others: Sequence[Frame], time_of: Callable[[Frame], float]) -> list[float]:
    """Return the median of the paired ratios of each repeat of `frames`, in the order of the repeats.

    How far they lie apart says how much a difference between runs is worth. All are compared with the medians of
    `others` over all repeats, so those of the run that others are compared with say it, too, and lie around 1.
    """
    repeats: dict[int, list[Frame]] = {}
    for frame in frames:
        repeats.setdefault(frame["repeat"], []).append(frame)
    return [spread(paired_ratios(repeats[number], others, time_of))[0] for number in sorted(repeats)]


def gpu_ms(frame: Frame) -> float:
    """Return the milliseconds from the first command of a frame to its last."""
    return frame["statistics"]["passes_ms"]["frame"]


def wall_ms(frame: Frame) -> float:
    """Return the milliseconds between two results."""
    return frame["wall_ms"]


def drawn(frame: Frame, kind: str) -> int:
    """Return how many "triangles" or "clusters" a frame drew, in all raster classes."""
    return sum(frame["statistics"][kind].values())


def _by_number(frames: Sequence[Frame], time_of: Callable[[Frame], float]) -> dict[int, float]:
    times: dict[int, list[float]] = {}
    for frame in frames:
        times.setdefault(frame["frame"], []).append(time_of(frame))
    return {number: statistics.median(values) for number, values in times.items()}


def _described(values: Sequence[float]) -> dict[str, float | int | None]:
    middle, low, high = spread(values)
    deviation = statistics.stdev(values) if len(values) > 1 else None
    mean = statistics.fmean(values) if values else None
    return {"samples": len(values), "median": middle, "p05": low, "p95": high, "mean": mean, "deviation": deviation}
