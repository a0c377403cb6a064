"""What a result file says, for reading: a table of medians, a CSV file of all samples, and what --verify found."""

import csv
from pathlib import Path
from typing import Any

from engine.experiments.results import Results
from engine.experiments.summary import drawn, frame_ms, ratio, spread

# What is measured of the image error, with its axis title in figures.
ERROR_UNITS = {
    "psnr_db": "PSNR (dB)",
    "flip": "mean FLIP (0 to 1)",
    "depth_error_median": "depth error, median (relative)",
    "depth_error_p99": "depth error, 99 % (relative)",
    "silhouette_share": "silhouette error (share of pixels)",
    "silhouette_pixels": "silhouette error, largest (pixels)",
    "flicker": "flicker (RMS, 0 to 1)",
}
_NO_ERRORS = ("kind", "run", "frame")  # keys of such a line that are no measure


def table(results: Results) -> str:
    """Return medians and 5 to 95 % ranges: of one run for each pass, of several for each run; and what was refused.

    `ratio` is the time of a run as a multiple of the first run's, frame by frame: its median. `repeats` are the lowest
    and the highest such median of a single repeat: what lies between two runs is worth no more than what lies between
    those. Where there are no GPU times that can be trusted, both are of wall times.
    """
    experiment, device = results.manifest["experiment"], results.manifest["device"]
    head = f"{experiment['name']}, {len(results.frames)} frames of {len(results.runs)} runs, {device['adapter']}"
    if len(results.runs) == 1:
        run = results.runs[0]
        size = "x".join(map(str, run["size"]))
        head = f"{experiment['name']}, {run['scene']}, {size}, {len(results.frames)} frames, {device['adapter']}"
        lines = [head, *_pass_rows(results.frames)]
    else:
        lines = [head, *_run_rows(results)]
    if incomplete := sum(not frame["statistics"]["is_complete"] for frame in results.frames):
        lines.append(f"{incomplete} frames are incomplete: the queues cannot grow further; raise --error-pixels")
    lines += refusal_lines(results)
    if device.get("kind") == "CPU":
        lines.append("a CPU plays the GPU: ratios are of wall times, and times of passes say little")
    return "\n".join([*lines, *image_error_lines(results)])


def refusal_lines(results: Results) -> list[str]:
    """Return a line for each run, or part of one, that was refused: which, and why."""
    labels = {run["run"]: run["label"] for run in results.runs}
    lines = []
    for one in sorted(results.refused, key=lambda one: one["run"]):
        part = one["repeat"]
        what = part.replace("_", " ") if isinstance(part, str) else f"repeat {part + 1}" if part else ""
        lines.append(f"{', '.join(filter(None, (labels[one['run']], what)))}: refused: {one['reason']}")
    return lines


def _pass_rows(frames: list[dict[str, Any]]) -> list[str]:
    rows = {"wall": [frame["wall_ms"] for frame in frames]}
    for frame in frames:
        for label, milliseconds in frame["statistics"]["passes_ms"].items():
            rows.setdefault(label, []).append(milliseconds)
    return _aligned(
        ["milliseconds", "median", "p05", "p95"], [[label, *spread(values)] for label, values in rows.items()]
    )


def _run_rows(results: Results) -> list[str]:
    rows, first, is_repeated = [], None, len({frame["repeat"] for frame in results.frames}) > 1
    titles = ["run", "wall ms", "p05", "p95", "GPU ms", "p05", "p95", "ratio", *["repeats"] * is_repeated, "triangles"]
    for run in results.runs:
        frames = [frame for frame in results.frames if frame["run"] == run["run"]]
        if not frames:
            is_refused = any(one["run"] == run["run"] for one in results.refused)
            rows.append([run["label"], "refused" if is_refused else "not yet", *[""] * (len(titles) - 2)])
            continue
        first = first or frames
        passes = [frame["statistics"]["passes_ms"] for frame in frames]
        gpu = [one["frame"] for one in passes if "frame" in one]
        triangles = spread([drawn(frame, "triangles") for frame in frames])[0]
        ratios = ratio(frames, first, frame_ms(results))
        repeats = [range_text(ratios["repeats"])] * is_repeated
        wall = [frame["wall_ms"] for frame in frames]
        rows.append([run["label"], *spread(wall), *spread(gpu), ratios["median"], *repeats, f"{triangles:,.0f}"])
    return _aligned(titles, rows)


def range_text(values: list[float]) -> str:
    """Return the lowest and the highest of some ratios, nothing of a single one."""
    return f"{min(values):.3f}-{max(values):.3f}" if len(values) > 1 else ""


def error_names(results: Results) -> list[str]:
    """Return what was measured of the image error, in the order of the lines."""
    return list(dict.fromkeys(name for record in results.image_errors for name in record if name not in _NO_ERRORS))


def error_values(results: Results, run: int, name: str) -> list[float]:
    """Return one measure of the compared frames of a run that have one; the PSNR of equal images is infinite."""
    values = [one[name] for one in results.image_errors if one["run"] == run and name in one]
    if name == "psnr_db":
        return [float("inf") if value is None else value for value in values]
    return [value for value in values if value is not None]


def image_error_lines(results: Results) -> list[str]:
    """Return a table of the medians of each run, and what it lacks; nothing where no images were compared."""
    asked = results.manifest["experiment"].get("image_error")
    if not asked or not results.image_errors:
        return []
    names = [name for name in error_names(results) if name in ERROR_UNITS]
    runs = [run for run in results.runs if any(one["run"] == run["run"] for one in results.image_errors)]
    rows = [[run["label"], *(spread(error_values(results, run["run"], name))[0] for name in names)] for run in runs]
    lines = ["", "image error, medians of the compared frames", *_aligned(["run", *names], rows, "{:.4g}")]
    labels = {run["run"]: run["label"] for run in results.runs}
    for one in results.image_errors:
        if "skipped" in one:
            lines.append(f"{labels[one['run']]}, frame {one['frame']}: not compared, {one['skipped']}")
        elif one["reference_error_pixels"] > 0.0:
            tau = one["reference_error_pixels"]
            lines.append(f"{labels[one['run']]}, frame {one['frame']}: compared with tau = {tau:g} pixels, not 0")
    if "flip" not in asked["measures"] and asked["flip_evaluator"] is None:
        lines.append("flip is not measured: the package flip-evaluator is not installed")
    return lines


def _aligned(titles: list[str], rows: list[list[Any]], numbers: str = "{:.3f}") -> list[str]:
    """Return lines with columns of equal width: words to the left, numbers and their titles to the right."""
    texts = [titles, *([_shown(value, numbers) for value in row] for row in rows)]
    widths = [max(9, *map(len, column)) for column in zip(*texts)]
    widths[0] = max(len(text[0]) for text in texts)
    return ["  ".join([text[0].ljust(widths[0]), *map(str.rjust, text[1:], widths[1:])]) for text in texts]


def _shown(value: Any, numbers: str) -> str:
    if isinstance(value, float):
        return numbers.format(value)
    return str(value)


def write_csv(path: str | Path, results: Results) -> None:
    """Write one row for each measured frame: run, what the sweep varies, times by pass, triangles and clusters.

    The image error of a frame stands in the rows of all repeats; empty: it was not compared, or has no such value.
    """
    varied = list(dict.fromkeys(name for run in results.runs for name in run["variant"]))
    labels = list(dict.fromkeys(name for frame in results.frames for name in frame["statistics"]["passes_ms"]))
    runs = {run["run"]: run["variant"] for run in results.runs}
    errors = {(one["run"], one["frame"]): one for one in results.image_errors}
    measures = [name for name in error_names(results) if name != "skipped"]
    with open(path, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        titles = ["run", *varied, "repeat", "frame", "wall_ms", *(f"{label}_ms" for label in labels)]
        writer.writerow([*titles, "triangles", "clusters", "is_complete", *measures])
        for frame in results.frames:
            values, variant = frame["statistics"], runs[frame["run"]]
            row = [frame["run"], *(_cell(variant.get(name, "")) for name in varied)]
            row += [frame["repeat"], frame["frame"], frame["wall_ms"]]
            row += [values["passes_ms"].get(label, "") for label in labels]
            counts = [drawn(frame, kind) for kind in ("triangles", "clusters")]
            found = errors.get((frame["run"], frame["frame"]), {})
            measured = ["" if found.get(name) is None else found[name] for name in measures]
            writer.writerow([*row, *counts, int(values["is_complete"]), *measured])


def _cell(value: Any) -> Any:
    return "x".join(map(str, value)) if isinstance(value, list) else value


def verification_lines(results: Results) -> tuple[list[str], int]:
    """Return what --verify found, and how many comparisons differ.

    Each difference has a line of its own, what was not compared one for each run and reason, and each comparison a sum.
    """
    labels = {run["run"]: run["label"] for run in results.runs}
    lines, wrong = [], [record for record in results.verifications if record.get("differences")]
    for one in wrong:
        where = f"{labels[one['run']]}, frame {one['frame']}, {one['comparison']}"
        lines.append(f"{where}: {one['differences']:,} of {one['compared']:,} {one['unit']} differ: {one['first']}")
    skipped: dict[str, list[str]] = {}
    for one in results.verifications:
        if "skipped" in one:
            frame = f", frame {one['frame']}" if "frame" in one else ""
            why = f"{labels[one['run']]}{frame}: not compared, {one['skipped']}: "
            skipped.setdefault(why, []).append(one["comparison"])
    lines += [why + ", ".join(names) for why, names in skipped.items()]
    compared = [record for record in results.verifications if "skipped" not in record]
    for name, unit in dict.fromkeys((record["comparison"], record["unit"]) for record in compared):
        some = [record for record in compared if (record["comparison"], record["unit"]) == (name, unit)]
        number, ties, differences = (sum(record[key] for record in some) for key in ("compared", "ties", "differences"))
        frames = len({(record["run"], record["frame"]) for record in some})
        lines.append(f"{name}: {frames} frames, {number:,} {unit}, {ties:,} ties, {differences:,} differences")
    return lines, len(wrong)
