"""The line that is always there: speed, triangles, image size, and what is wrong."""

from imgui_bundle import imgui

from engine.viewer.palette import ERROR, SKY_BLUE, WARNING, Color
from engine.viewer.panels import queues, widgets
from engine.viewer.panels.funnel import drawn
from engine.viewer.panels.style import DIM
from engine.viewer.panels.timings import median
from engine.viewer.state import ViewerState

RATE_FRAMES = 30  # frames that the rate is the median of
_FLAGS = (
    imgui.WindowFlags_.no_decoration
    | imgui.WindowFlags_.no_docking
    | imgui.WindowFlags_.no_saved_settings
    | imgui.WindowFlags_.no_focus_on_appearing
    | imgui.WindowFlags_.no_nav
    | imgui.WindowFlags_.no_move
)


def height() -> float:
    """Return the height of the line in logical pixels."""
    return imgui.get_text_line_height() + 8


def draw(state: ViewerState) -> None:
    """Draw the line at the lower end of the window."""
    viewport = imgui.get_main_viewport()
    imgui.set_next_window_pos((viewport.pos.x, viewport.pos.y + viewport.size.y - height()))
    imgui.set_next_window_size((viewport.size.x, height()))
    imgui.push_style_var(imgui.StyleVar_.window_padding, (8, 4))
    imgui.push_style_var(imgui.StyleVar_.window_min_size, (1, 1))
    imgui.push_style_var(imgui.StyleVar_.window_rounding, 0)
    if imgui.begin("##status", None, _FLAGS)[0]:
        for number, (text, color) in enumerate(parts(state)):
            if number:
                imgui.same_line(0, 14)
            widgets.colored(text, color)
    imgui.end()
    imgui.pop_style_var(3)


def parts(state: ViewerState) -> list[tuple[str, Color]]:
    """Return the texts of the line with their colours: what is wrong comes first."""
    statistics, found = state.statistics, []
    if state.frozen is not None:
        found.append(("CULLING FROZEN", SKY_BLUE))
    if state.is_recording:
        found.append((f"recording {state.recorded_keyframes:,}", ERROR))
    if state.is_capturing:
        found.append((f"capturing {state.captured_frames:,}", ERROR))
    if state.is_playing:
        found.append(("playing", SKY_BLUE))
    if statistics is not None:
        found += [(text, WARNING) for text in queues.warnings(statistics)]
    found += [(text, DIM) for text in plain_parts(state)]
    return found


def plain_parts(state: ViewerState) -> list[str]:
    """Return speed, triangles, image size, scale, view and adapter as texts, without what is not known yet."""
    found = []
    if state.history:
        interval = median([sample.interval_ms for sample in list(state.history)[-RATE_FRAMES:]])
        if interval > 0:
            found.append(f"{1000 / interval:.1f} fps ({widgets.milliseconds(interval)} ms)")
    if state.statistics is not None:
        found.append(f"{drawn(state.statistics, 'triangles'):,} triangles")
    if state.scene is not None:
        size = f"{state.image_size[0]} x {state.image_size[1]}"
        found.append(size if state.render_scale == 1.0 else f"{size} (scale {state.render_scale:.2f})")
        found.append(state.settings.view)
    return [*found, state.adapter] if state.adapter else found
