"""Panel: all that was said, newest last; and the way of the engine's log into it."""

import logging

from imgui_bundle import imgui

from engine.viewer.palette import ERROR
from engine.viewer.panels import widgets
from engine.viewer.panels.style import DIM
from engine.viewer.state import LARGEST_LOG, Actions, ViewerState

TITLE = "Log"


class LogForwarder(logging.Handler):
    """Says what the engine logs, from INFO on, in the window: `logging.getLogger("engine").addHandler(...)`."""

    def __init__(self, state: ViewerState) -> None:
        """Say in `state`; records of other threads are welcome."""
        super().__init__(logging.INFO)
        self.state = state

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record; a warning is marked, an error is one."""
        try:
            text = record.getMessage()
            if record.levelno == logging.WARNING:
                text = f"warning: {text}"
            self.state.say(text, is_error=record.levelno >= logging.ERROR)
        except Exception:  # as every handler: a bad record must not stop the one who logs
            self.handleError(record)


def draw(state: ViewerState, actions: Actions) -> None:
    """Draw the filter and the messages that hold its words."""
    inputs, width = state.inputs, imgui.calc_text_size("Copy all").x + 2 * imgui.get_style().frame_padding.x
    imgui.set_next_item_width(imgui.get_content_region_avail().x - width - imgui.get_style().item_spacing.x)
    _, inputs.log_filter = imgui.input_text_with_hint("##filter", "show lines with", inputs.log_filter)
    words = inputs.log_filter.lower().split()
    shown = [one for one in list(state.messages) if all(word in one.text.lower() for word in words)]
    imgui.same_line()
    if imgui.button("Copy all"):
        actions.copy_text("".join(f"{message.text}\n" for message in shown))
    widgets.tip(f"Copies the {len(shown)} lines shown.")
    if len(state.messages) == LARGEST_LOG:
        widgets.colored(f"the latest {LARGEST_LOG} lines", DIM)
    if imgui.begin_child("lines"):
        for message in shown:
            widgets.wrapped(message.text, ERROR if message.is_error else None)
        if imgui.get_scroll_y() >= imgui.get_scroll_max_y():
            imgui.set_scroll_here_y(1.0)
    imgui.end_child()
