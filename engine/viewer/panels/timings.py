"""Panel: milliseconds of each pass over the last frames."""

from collections.abc import Sequence

import numpy as np
from imgui_bundle import imgui, implot

from engine.viewer.palette import GREY, WARNING, Color, series_color
from engine.viewer.panels import widgets
from engine.viewer.panels.style import DIM, EMPTY, vector
from engine.viewer.state import HISTORY_FRAMES, Actions, FrameSample, ViewerState

TITLE = "Timings"
LARGEST_SERIES = 8  # passes with a colour of their own; the rest is summed
REST = "other passes"
INTERVAL, CPU, GPU = "frame interval", "CPU frame", "GPU frame"
WINDOW_COLORS: dict[str, Color] = {INTERVAL: (1.0, 1.0, 1.0), CPU: (1.0, 0.45, 0.45)}
WHOLE_FRAME = "frame"  # timing label from the first command to the last


def draw(state: ViewerState, actions: Actions) -> None:
    """Draw the history and, as its legend, the medians of the frames in it."""
    history = list(state.history)
    if not history:
        widgets.colored("no frame yet", DIM)
        return
    labels, passes_ms = pass_matrix(history)
    window_ms = np.array([[sample.interval_ms, sample.cpu_ms] for sample in history])
    if not labels:
        widgets.colored("This adapter measures no GPU times; what is below is seen from the window.", WARNING)
    series = significant(labels, passes_ms)
    colors = {label: GREY if label == REST else _color(label, state.inputs.pass_colors) for label in series}
    if imgui.begin_table("timings", 2, imgui.TableFlags_.resizable | imgui.TableFlags_.borders_inner_v):
        imgui.table_setup_column("plot", imgui.TableColumnFlags_.width_stretch, 1.3)
        imgui.table_setup_column("medians", imgui.TableColumnFlags_.width_stretch, 1.0)
        imgui.table_next_row()
        imgui.table_next_column()
        _draw_plot(history, series, window_ms, colors)
        imgui.table_next_column()
        _draw_medians(median_rows(history, labels, passes_ms, window_ms), colors)
        imgui.end_table()


def pass_matrix(history: Sequence[FrameSample]) -> tuple[list[str], np.ndarray]:
    """Return the timing labels in the order they run, and their milliseconds (frames, labels), 0 where one did not.

    The time of the frame as a whole is among them only where no pass was timed.
    """
    labels = list(dict.fromkeys(label for sample in history for label in sample.passes_ms))
    labels = [label for label in labels if label != WHOLE_FRAME] or labels
    rows = [[sample.passes_ms.get(label, 0.0) for label in labels] for sample in history]
    return labels, np.array(rows, np.float64).reshape(len(history), len(labels))


def significant(labels: Sequence[str], passes_ms: np.ndarray) -> dict[str, np.ndarray]:
    """Return the LARGEST_SERIES passes of the largest median by label, then the sum of all others as REST."""
    order = np.argsort(-np.median(passes_ms, axis=0), kind="stable") if labels else []
    first, rest = order[:LARGEST_SERIES], order[LARGEST_SERIES:]
    series = {labels[i]: np.ascontiguousarray(passes_ms[:, i]) for i in first}
    if len(rest):
        series[REST] = passes_ms[:, rest].sum(axis=1)
    return series


def median_rows(
    history: Sequence[FrameSample], labels: Sequence[str], passes_ms: np.ndarray, window_ms: np.ndarray
) -> list[tuple[str, float, str]]:
    """Return (label, median in ms, help): the window's times, the GPU's whole frame, then passes, largest first."""
    rows = [
        (INTERVAL, median(window_ms[:, 0]), "From one frame in the window to the next, by the clock on the wall."),
        (CPU, median(window_ms[:, 1]), "Python: recording the frame and drawing the panels."),
    ]
    if labels:
        whole = [sample.passes_ms[WHOLE_FRAME] for sample in history if WHOLE_FRAME in sample.passes_ms]
        together = float(np.median(whole if whole else passes_ms.sum(axis=1)))
        rows.append((GPU, together, "Between timestamps; on a CPU adapter trust the frame interval instead."))
        medians = [(label, float(value)) for label, value in zip(labels, np.median(passes_ms, axis=0))]
        medians.sort(key=lambda row: -float(f"{row[1]:.2g}"))  # rows of like medians stay where they are
        rows += [(label, value, "GPU milliseconds of this pass.") for label, value in medians]
    return rows


def median(values: Sequence[float] | np.ndarray) -> float:
    """Return the median of the numbers that are known; 0 where none is."""
    known = np.asarray(values)[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0


def highest_tick(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, .. (times any power of ten) above `value`, so that the axis seldom moves."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)))


def _color(label: str, numbers: dict[str, int]) -> Color:
    """Return the colour of a pass, which it keeps from when it first mattered."""
    return series_color(numbers.setdefault(label, len(numbers)))


def _draw_plot(
    history: list[FrameSample], series: dict[str, np.ndarray], window_ms: np.ndarray, colors: dict[str, Color]
) -> None:
    """Draw the passes as a stack, the times of the window as lines over it."""
    flags = implot.Flags_.no_menus | implot.Flags_.no_legend
    if not implot.begin_plot("##history", (-1, max(imgui.get_content_region_avail().y, 80)), flags):
        return
    total = sum(series.values(), start=np.zeros(len(history)))
    known_ms = window_ms[np.isfinite(window_ms)]
    highest = highest_tick(max(float(np.percentile(total, 98)), float(np.percentile(known_ms, 95)), 0.1))
    implot.setup_axes("", "", implot.AxisFlags_.no_tick_labels, 0)
    implot.setup_axis_format(implot.ImAxis_.y1.value, "%g ms")
    newest = history[-1].number
    implot.setup_axes_limits(newest - HISTORY_FRAMES, newest, 0.0, highest, implot.Cond_.always)
    numbers = np.array([sample.number for sample in history], np.float64)
    low = np.zeros(len(history))
    for label, values in series.items():
        implot.plot_shaded(label, numbers, low, low + values, implot.Spec(fill_color=vector(colors[label])))
        low = low + values
    for column, (label, color) in enumerate(WINDOW_COLORS.items()):
        values = np.ascontiguousarray(window_ms[:, column])
        implot.plot_line(label, numbers, values, implot.Spec(line_color=vector(color), line_weight=1.2))
    implot.end_plot()


def _draw_medians(rows: list[tuple[str, float, str]], colors: dict[str, Color]) -> None:
    """Draw the medians, each with the colour of its curve."""
    if not widgets.begin_columns("medians", (("median of the history", 0), ("ms", 4.0)), imgui.TableFlags_.scroll_y):
        return
    for label, value, text in rows:
        color = (colors | WINDOW_COLORS).get(label)
        imgui.table_next_row()
        imgui.table_next_column()
        widgets.swatch(color or (EMPTY if label == GPU else GREY))  # grey: summed in the plot
        imgui.text_unformatted(label)
        widgets.tip(text)
        imgui.table_next_column()
        widgets.right(widgets.milliseconds(value))
    imgui.end_table()
