"""Panel: how full the queues were, what was dropped, and the GPU memory by buffer."""

from imgui_bundle import imgui

from engine.frame.statistics import FrameStatistics
from engine.viewer.palette import GREEN, SKY_BLUE, WARNING
from engine.viewer.panels import widgets
from engine.viewer.panels.style import DIM
from engine.viewer.state import Actions, ViewerState

TITLE = "Queues and memory"


def draw(state: ViewerState, actions: Actions) -> None:
    """Draw warnings first, then queues, then memory."""
    statistics = state.statistics
    if statistics is None:
        widgets.colored("no frame yet", DIM)
        return
    for text in warnings(statistics):
        widgets.wrapped(text, WARNING)
    for note in statistics.notes:
        widgets.wrapped(note)
    if not warnings(statistics):
        widgets.colored("complete: nothing was dropped", GREEN)
    _draw_queues(statistics)
    _draw_memory(statistics)


def warnings(statistics: FrameStatistics) -> list[str]:
    """Return a line for each thing that makes a frame incomplete."""
    lines = [
        f"{name} overflowed: {queue.requested:,} requested, {queue.capacity:,} places"
        for name, queue in statistics.queues.items()
        if queue.requested > queue.capacity
    ]
    if statistics.is_aborted:
        lines.append("the persistent traversal gave up")
    if not statistics.is_complete and not lines:
        lines.append("the frame is not complete")
    return lines


def _draw_queues(statistics: FrameStatistics) -> None:
    columns = (("queue", 10.0), ("fill", 0), ("requested", 4.7), ("stored", 4.7), ("capacity", 4.7))
    if not widgets.begin_columns("queues", columns):
        return
    for name, queue in statistics.queues.items():
        is_over = queue.requested > queue.capacity
        imgui.table_next_row()
        imgui.table_next_column()
        widgets.colored(name, WARNING) if is_over else imgui.text_unformatted(name)
        imgui.table_next_column()
        share = queue.requested / max(queue.capacity, 1)
        widgets.bar([(min(share, 1.0), WARNING if is_over else SKY_BLUE)], f"{share:.1%} of the capacity was requested")
        imgui.table_next_column()
        widgets.right(f"{queue.requested:,}", WARNING if is_over else None)
        for value in (queue.stored, queue.capacity):
            imgui.table_next_column()
            widgets.count(value)
    imgui.end_table()


def _draw_memory(statistics: FrameStatistics) -> None:
    total = sum(statistics.memory_bytes.values())
    imgui.spacing()
    if not widgets.begin_columns("memory", (("buffer", 10.0), ("share", 0), ("size", 6.5))):
        return
    rows = sorted(statistics.memory_bytes.items(), key=lambda item: -item[1])
    for name, size in [("all buffers", total), *rows]:
        imgui.table_next_row()
        imgui.table_next_column()
        imgui.text_unformatted(name)
        imgui.table_next_column()
        share = size / max(total, 1)
        widgets.bar([(share, SKY_BLUE)], f"{share:.1%} of all")
        imgui.table_next_column()
        widgets.right(widgets.mebibytes(size), DIM if size == 0 else None)
    imgui.end_table()
    widgets.colored(f"{statistics.pages_resident:,} pages on the GPU", DIM)
