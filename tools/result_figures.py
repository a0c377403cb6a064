"""The figures of tools/plot_results.py: each function draws one from the results of an experiment, or says why not.

Colours are those of Okabe and Ito, which the colour-blind tell apart; line styles, markers and hatches tell the same in
grey. Spreads are 5 to 95 % of all samples.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from engine.experiments.report import ERROR_UNITS, error_names
from engine.experiments.results import Results
from engine.experiments.summary import is_cpu, spread
from tools import result_series as series
from tools.result_series import Curve

OTHER = "#999999"
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
MARKERS = "osD^vPX*"
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1)))
HATCHES = ("", "///", "..", "\\\\\\", "xx", "--", "++", "o")
STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "svg.hashsalt": "microlith",
    "savefig.dpi": 150,
}
EQUAL_IMAGES = "infinite where the images are equal"
Style = dict[str, Any]
PANEL = (3.6, 2.7)  # inches
CHARACTER = 0.085  # inches from one to the next of a label of ticks, with what the margins take from a panel
MOST_PANELS, MOST_PASSES, MOST_CURVES = 8, 7, 8
MOST_POINTS = 100  # along a path, so that a file stays small
WIDE_RATIO = 20.0  # of values, beyond which an axis is logarithmic or panels have scales of their own


def passes(results: Results) -> Figure | str:
    """Time of each pass along the path, stacked; a panel for each of some runs."""
    timed = [run for run in series.measured_runs(results) if series.times_passes(results, run["run"])]
    if not timed:
        return "passes were not timed (setting pass_times, or no timestamps)"
    runs, left_out = _chosen(timed)
    times = [series.pass_times(results, run["run"]) for run in runs]
    if any(len(numbers) < 2 for numbers, _ in times):
        return "one frame is no path"
    together = -(-max(len(numbers) for numbers, _ in times) // MOST_POINTS)
    times = [series.thinned(numbers, by_label, together) for numbers, by_label in times]
    totals: dict[str, float] = {}
    for _, by_label in times:
        for label, values in by_label.items():
            totals[label] = totals.get(label, 0.0) + float(values.sum())
    totals.pop("frame", None)
    largest = sorted(totals, key=lambda label: -totals[label])[:MOST_PASSES]
    names = [label for label in series.in_order(list(by_label) for _, by_label in times) if label in largest]
    tops = [_top(by_label) for _, by_label in times]
    is_wide = max(tops) > WIDE_RATIO * min(tops)
    figure, axes = _panels(len(runs), share_y=not is_wide)
    for axis, run, (numbers, by_label), top in zip(axes, runs, times, tops):
        zero = np.zeros(len(numbers))
        layers = [by_label.get(name, zero) for name in names]
        rest = sum((values for label, values in by_label.items() if label not in (*names, "frame")), zero)
        _stack(axis, numbers, [*names, "other passes"], [*layers, rest])
        if "frame" in by_label:
            axis.plot(numbers, by_label["frame"], color="black", linewidth=1.0, label="whole frame")
        axis.set_title(_title(run))
        axis.set_xlabel("frame along the path")
        axis.set_xlim(numbers[0], numbers[-1])
        axis.set_ylim(0.0, 1.05 * (top if is_wide else max(tops)))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    _label_left(axes, "GPU time (ms)")
    notes = ["medians of the repeats", left_out, "every panel has a scale of its own" if is_wide else ""]
    notes.append("a CPU plays the GPU: its timestamps say little" if is_cpu(results) else "")
    notes.append(f"a point is the mean of {together} frames" if together > 1 else "")
    return _finished(figure, axes[0], ", ".join(filter(None, notes)))


def funnel(results: Results) -> Figure | str:
    """Share of instances, nodes, clusters and triangles that are kept, or culled and by what; means of a frame."""
    runs, left_out = _chosen(series.measured_runs(results))
    found = [series.funnel(results, run["run"]) for run in runs]
    if not any(found):
        return "no pass counted what it culled"
    kinds = [kind for kind in series.FUNNEL_KINDS if any(kind in one for one in found)]
    figure, axes = _panels(len(runs), share_y=True)
    for axis, run, counts in zip(axes, runs, found):
        for row, kind in enumerate(kinds):
            if kind in counts:
                _funnel_row(axis, row, counts[kind])
        axis.set_title(_title(run))
        axis.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
        axis.set_xlim(0.0, 1.0)
        axis.xaxis.set_major_formatter(PercentFormatter(1.0))
        axis.grid(visible=False)
        axis.set_xlabel("share of those tested")
        axis.text(1.01, -0.62, "tested", fontsize=7.5, style="italic")
    axes[0].invert_yaxis()
    return _finished(figure, axes[0], left_out)


def sweep(results: Results) -> Figure | str:
    """Time and triangles of each run with their spread: curves along a number, or a row for each variant."""
    if not series.varied_fields(results):
        return "nothing is varied"
    whats = [("ms", series.time_title(results)), ("triangles", "triangles drawn in a frame")]
    if fields := series.numeric_fields(results):
        if fields[0] == "error_pixels":
            return "tau shows the same"
        if fields[0] == "instances" and not isinstance(scaling_instances(results), str):
            return "scaling_instances shows the same"
        return _curve_figure(results, whats, fields[0])
    return _row_figure(results, whats)


def tau(results: Results) -> Figure | str:
    """Triangles, time and image error against tau, one above the other."""
    if "error_pixels" not in series.numeric_fields(results):
        return "error_pixels is not varied"
    whats = [("triangles", "triangles drawn"), ("ms", series.time_title(results).replace(" of a frame", ""))]
    error = next((name for name in ("flip", "psnr_db", *ERROR_UNITS) if name in error_names(results)), None)
    if error:
        whats.append((error, ERROR_UNITS[error]))
    return _curve_figure(results, whats, "error_pixels", columns=1)


def image_error(results: Results) -> Figure | str:
    """Every measure of the image error: against tau or another number, else by variant or along the path."""
    names = [name for name in error_names(results) if name in ERROR_UNITS]
    if not names:
        return "no images were compared (image_error)"
    whats = [(name, ERROR_UNITS[name]) for name in names]
    fields = series.numeric_fields(results)
    if fields:
        axis = "error_pixels" if "error_pixels" in fields else fields[0]
        return _curve_figure(results, whats, axis)
    if series.varied_fields(results):
        return _row_figure(results, whats)
    return _path_figure(results, whats)


def scaling_instances(results: Results) -> Figure | str:
    """Time and triangles drawn against the number of instances, log-log."""
    if len(set(series.scene_counts(results, "instances").values())) < 2:
        return "all scenes have the same number of instances"
    return _scaling_figure(results, "instances", "instances in the scene")


def scaling_triangles(results: Results) -> Figure | str:
    """Time and triangles drawn against the triangles of the scene's meshes, log-log."""
    counts, instances = (series.scene_counts(results, name) for name in ("triangles", "instances"))
    if len(set(counts.values())) < 2:
        return "all scenes have the same number of triangles"
    if len({counts[run] / instances[run] for run in counts}) < 2:
        return "the triangles of the scenes grow with their instances alone"
    return _scaling_figure(results, "triangles", "triangles in the scene")


FIGURES: dict[str, Callable[[Results], Figure | str]] = {
    one.__name__: one for one in (passes, funnel, sweep, tau, image_error, scaling_instances, scaling_triangles)
}


def _curve_figure(results: Results, whats: list[tuple[str, str]], field: str, columns: int = 0) -> Figure | str:
    figure, axes = _panels(len(whats), columns=columns)
    places = sorted({x for curve in series.curves(results, "ms", field) for x in curve.x})
    for axis, (what, title) in zip(axes, whats):
        found = series.curves(results, what, field)
        _draw_curves(axis, found)
        _scale_x(axis, places)
        _scale_y(axis, found, what)
        if what == "psnr_db" and {x for curve in found for x in curve.x} < set(places):
            axis.set_title(EQUAL_IMAGES, style="italic", fontsize=8.0)
        axis.set_xlabel(series.FIELD_UNITS.get(field, field))
        axis.set_ylabel(title)
    return _finished(figure, axes[0])


def _scaling_figure(results: Results, count: str, title: str) -> Figure:
    whats = [("ms", series.time_title(results)), ("triangles", "triangles drawn in a frame")]
    figure, axes = _panels(len(whats))
    for axis, (what, y_title) in zip(axes, whats):
        found = series.scaling_curves(results, what, count)
        axis.set(xscale="log", yscale="log", xlabel=title, ylabel=y_title)
        _draw_curves(axis, found)
        first = min(found, key=lambda curve: curve.x[0])
        limits = axis.get_ylim()
        ends = np.array([first.x[0], max(x for curve in found for x in curve.x)])
        axis.plot(ends, first.median[0] * ends / ends[0], color="#999999", linewidth=0.8, label="proportional")
        axis.set_ylim(limits)
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        is_narrow = axis.get_xlim()[1] < 50.0 * axis.get_xlim()[0]  # one or two powers of ten have a place on it
        axis.xaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0) if is_narrow else range(2, 10)))
        axis.xaxis.set_minor_formatter(EngFormatter(sep="") if is_narrow else NullFormatter())
        _plain_log(axis, what)
    return _finished(figure, axes[0])


def _row_figure(results: Results, whats: list[tuple[str, str]]) -> Figure:
    """A row for each run: median and spread."""
    runs = series.measured_runs(results)
    figure, axes = _panels(len(whats), share_y=True, height=0.9 + 0.28 * len(runs))
    for axis, (what, title) in zip(axes, whats):
        spreads = [spread(series.samples(results, run["run"], what)) for run in runs]
        for row, (middle, low, high) in enumerate(spreads):
            if np.isfinite(middle):
                style: Style = {"color": COLORS[0], "marker": "o", "markersize": 4, "capsize": 3, "elinewidth": 0.8}
                axis.errorbar(
                    middle, row, xerr=[[middle - low], [high - middle if np.isfinite(high) else 0.0]], **style
                )
        if what == "psnr_db" and any(middle == np.inf for middle, _, _ in spreads):
            axis.set_title(EQUAL_IMAGES, style="italic", fontsize=8.0)
        axis.set_yticks(range(len(runs)), [run["label"] for run in runs])
        axis.set_xlabel(title)
        medians = [middle for middle, _, _ in spreads if np.isfinite(middle)] or [0.0]
        if min(medians) > 0.0 and max(medians) > WIDE_RATIO * min(medians):
            axis.set_xscale("log")
            axis.xaxis.set_minor_formatter(NullFormatter())
        else:
            axis.set_xlim(0.0, 1.05 * axis.get_xlim()[1])
            axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.xaxis.set_major_formatter(EngFormatter(sep="") if what == "triangles" else FuncFormatter(_short))
    axes[0].set_ylim(len(runs) - 0.5, -0.5)
    return _finished(figure, axes[0])


def _path_figure(results: Results, whats: list[tuple[str, str]]) -> Figure:
    """Measures of one run along its path."""
    figure, axes = _panels(len(whats))
    for axis, (name, title) in zip(axes, whats):
        records = [one for one in results.image_errors if one.get(name) is not None]
        axis.plot([one["frame"] for one in records], [one[name] for one in records], color=COLORS[0], marker="o")
        axis.set(xlabel="frame along the path", ylabel=title)
        axis.yaxis.set_major_formatter(FuncFormatter(_short))
    return _finished(figure, axes[0])


def _draw_curves(axis: Axes, found: Iterable[Curve]) -> None:
    for number, curve in enumerate(found):
        color, marker = COLORS[number % MOST_CURVES], MARKERS[number % MOST_CURVES]
        line = LINES[(number + number // MOST_CURVES) % MOST_CURVES]  # beyond 8 curves colours come again, lines do not
        below = np.subtract(curve.median, curve.low)
        above = [high - middle if np.isfinite(high) else 0.0 for high, middle in zip(curve.high, curve.median)]
        axis.errorbar(
            curve.x,
            curve.median,
            yerr=[below, above],
            label=curve.label,
            color=color,
            marker=marker,
            markersize=4,
            linestyle=line,
            linewidth=1.3,
            capsize=2.5,
            elinewidth=0.8,
        )


def _scale_x(axis: Axes, ticks: list[float]) -> None:
    """Ticks at the values, ascending, all of them on the axis: logarithmic for what spans much, with a place for 0."""
    positive = [value for value in ticks if value > 0.0]
    margin = 0.05 * (ticks[-1] - ticks[0]) or 1.0
    limits = ticks[0] - margin, ticks[-1] + margin
    if len(ticks) > 3 and positive[-1] / positive[0] >= 8.0:
        if len(positive) < len(ticks):
            axis.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
        else:
            axis.set_xscale("log")
        axis.xaxis.set_minor_formatter(NullFormatter())
        limits = ticks[0] / 1.3 if ticks[0] else -0.3 * positive[0], ticks[-1] * 1.3
    axis.set_xlim(limits)
    if len(ticks) <= 9:
        labels = [EngFormatter(sep="")(tick) if tick >= 1000.0 else f"{tick:.3g}" for tick in ticks]
        places = axis.transLimits.transform(axis.transScale.transform([(tick, 0.0) for tick in ticks]))[:, 0]
        widths = CHARACTER * np.array([len(label) + 1 for label in labels])
        turned: Style = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        is_crowded = (np.diff(places) * PANEL[0] < 0.5 * (widths[1:] + widths[:-1])).any()
        axis.set_xticks(ticks, labels, **(turned if is_crowded else {}))
        axis.set_xticks([], minor=True)


def _scale_y(axis: Axes, found: list[Curve], what: str) -> None:
    """From 0, or logarithmic for what spans much; a PSNR has no 0 that would mean something."""
    values = [value for curve in found for value in curve.median]
    if what == "psnr_db":
        axis.yaxis.set_major_formatter(FuncFormatter(_short))
        return
    if values and min(values) > 0.0 and max(values) / min(values) > WIDE_RATIO:
        axis.set_yscale("log")
        _plain_log(axis, what)
        return
    axis.set_ylim(bottom=0.0)
    axis.yaxis.set_major_formatter(EngFormatter(sep="") if what == "triangles" else FuncFormatter(_short))


def _plain_log(axis: Axes, what: str) -> None:
    """Numbers instead of powers on a logarithmic y axis, also between powers: more of them, the less it spans."""
    plain = EngFormatter(sep="") if what == "triangles" else FuncFormatter(_short)
    low, high = axis.get_ylim()
    between = (2.0, 5.0) if high > 5.0 * low else (1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    axis.yaxis.set_minor_locator(LogLocator(subs=between))
    axis.yaxis.set_major_formatter(plain)
    axis.yaxis.set_minor_formatter(plain if high < 200.0 * low else NullFormatter())


def _short(value: float, _: Any = None) -> str:
    return f"{value:.4g}"


def _top(by_label: dict[str, np.ndarray]) -> float:
    """Return the largest milliseconds of a frame: of the whole, or of all passes together."""
    whole = by_label.get("frame", np.zeros(1))
    return float(max(whole.max(), sum(values for label, values in by_label.items() if label != "frame").max()))


def _stack(axis: Axes, x: list[int], names: list[str], layers: list[np.ndarray]) -> None:
    areas = axis.stackplot(
        x, layers, labels=names, colors=[*COLORS[: len(names) - 1], OTHER], edgecolor="white", linewidth=0.4
    )
    for area, hatch in zip(areas, HATCHES):
        area.set_hatch(hatch)


def _funnel_row(axis: Axes, row: int, counts: dict[str, float]) -> None:
    total, left = sum(counts.values()), 0.0
    for number, outcome in enumerate(series.OUTCOMES):
        share = counts[outcome] / total
        label = "kept" if outcome == "kept" else f"culled: {outcome}"
        style: Style = {"color": COLORS[number], "hatch": HATCHES[number], "edgecolor": "white", "linewidth": 0.4}
        axis.barh(row, share, left=left, height=0.7, label="_" + label if row else label, **style)
        left += share
    axis.text(1.01, row, EngFormatter(sep="")(float(f"{total:.3g}")), va="center", ha="left", fontsize=7.5)


def _panels(count: int, columns: int = 0, share_y: bool = False, height: float = PANEL[1]) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` axes in rows."""
    columns = min(count, columns or {4: 2, 7: 4, 8: 4}.get(count, 3))
    rows = -(-count // columns)
    width = PANEL[0] * (1.35 if columns == 1 else 1.0)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = [one for row in figure.subplots(rows, columns, squeeze=False, sharey=share_y) for one in row]
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def _label_left(axes: list[Axes], title: str) -> None:
    for axis in axes:
        place = axis.get_subplotspec()
        if place is None or place.is_first_col():
            axis.set_ylabel(title)


def _finished(figure: Figure, first: Axes, left_out: str = "") -> Figure:
    """Put one legend below all panels, and what is not shown under it."""
    handles, labels = first.get_legend_handles_labels()
    pairs = [(handle, label) for handle, label in zip(handles, labels) if label]
    if pairs:
        wide = figure.get_figwidth() // 1.9
        figure.legend(*zip(*pairs), loc="outside lower center", ncols=max(int(wide), 1))
    if left_out:
        figure.suptitle(left_out, fontsize=8.0, x=0.0, ha="left")
    return figure


def _chosen(runs: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Return at most MOST_PANELS runs, evenly spread, and a line that says so."""
    if len(runs) <= MOST_PANELS:
        return runs, ""
    places = np.linspace(0, len(runs) - 1, MOST_PANELS).round().astype(int)
    return [runs[place] for place in places], f"{MOST_PANELS} of {len(runs)} runs are shown"


def _title(run: dict[str, Any]) -> str:
    label = run["label"]
    return label if len(label) <= 48 else label[:45] + "..."
