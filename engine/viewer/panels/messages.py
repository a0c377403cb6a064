"""What lies over the picture: messages, the progress of a job, and a hint where there is nothing yet."""

from imgui_bundle import imgui

from engine.viewer.palette import ERROR
from engine.viewer.panels import status, widgets
from engine.viewer.panels.style import DIM, vector
from engine.viewer.state import Actions, ViewerState

LARGEST_TOAST_COUNT = 6
TOAST_FONT_SIZES = 32.0  # width
EMPTY_HINT = "Drop a .mlith, a scene TOML or a mesh file here, or File > Open"
Rectangle = tuple[float, float, float, float]  # x, y, width, height in logical pixels
_FLAGS = (
    imgui.WindowFlags_.no_decoration
    | imgui.WindowFlags_.no_docking
    | imgui.WindowFlags_.no_saved_settings
    | imgui.WindowFlags_.no_focus_on_appearing
    | imgui.WindowFlags_.no_nav
    | imgui.WindowFlags_.no_move
    | imgui.WindowFlags_.always_auto_resize
)


def draw(state: ViewerState, actions: Actions, free: Rectangle) -> None:
    """Draw what there is to say; `free` is the part of the window that no panel covers."""
    if state.job is not None:
        _draw_job(state, actions, free)
    elif state.scene is None:
        _draw_hint(free)
    _draw_toasts(state)


def _draw_job(state: ViewerState, actions: Actions, free: Rectangle) -> None:
    """Draw what a job does, how far it is, and a button that ends it."""
    x, y, width, height = free
    imgui.set_next_window_pos((x + 0.5 * width, y + 0.5 * height), imgui.Cond_.always, (0.5, 0.5))
    if imgui.begin("##job", None, _FLAGS)[0]:
        bar_width = 26 * imgui.get_font_size()
        imgui.text_unformatted(state.job.description)
        fraction = state.job.fraction
        unknown = -1.0 * imgui.get_time()  # imgui draws a moving bar
        overlay = "" if fraction is None else f"{fraction:.0%}"
        imgui.progress_bar(unknown if fraction is None else fraction, (bar_width, 0), overlay)
        if imgui.button("Cancel", (bar_width, 0)):
            actions.cancel_job()
    imgui.end()


def _draw_hint(free: Rectangle) -> None:
    x, y, width, height = free
    imgui.set_next_window_pos((x + 0.5 * width, y + 0.5 * height), imgui.Cond_.always, (0.5, 0.5))
    flags = _FLAGS | imgui.WindowFlags_.no_inputs
    if imgui.begin("##hint", None, flags)[0]:
        imgui.text_unformatted(EMPTY_HINT)
        widgets.colored("? shows keys and mouse", DIM)
    imgui.end()


def _draw_toasts(state: ViewerState) -> None:
    """Draw the latest messages at the lower right, the newest lowest; errors in red."""
    viewport = imgui.get_main_viewport()
    margin, font = 10.0, imgui.get_font_size()
    right = viewport.pos.x + viewport.size.x - margin
    bottom = viewport.pos.y + viewport.size.y - status.height() - margin
    for number, message in enumerate(reversed(state.fresh_messages()[-LARGEST_TOAST_COUNT:])):
        imgui.set_next_window_pos((right, bottom), imgui.Cond_.always, (1.0, 1.0))
        imgui.push_style_color(imgui.Col_.border, vector(ERROR if message.is_error else DIM))
        if imgui.begin(f"##toast{number}", None, _FLAGS | imgui.WindowFlags_.no_inputs)[0]:
            imgui.push_text_wrap_pos(font * TOAST_FONT_SIZES)
            if message.is_error:
                widgets.colored(message.text, ERROR)
            else:
                imgui.text_unformatted(message.text)
            imgui.pop_text_wrap_pos()
        bottom -= imgui.get_window_size().y + 0.4 * font
        imgui.end()
        imgui.pop_style_color()
