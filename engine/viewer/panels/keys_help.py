"""The keys and the mouse, over everything."""

from imgui_bundle import imgui

from engine.viewer import keys
from engine.viewer.palette import SKY_BLUE
from engine.viewer.panels import widgets
from engine.viewer.state import ViewerState

_FLAGS = (
    imgui.WindowFlags_.always_auto_resize
    | imgui.WindowFlags_.no_docking
    | imgui.WindowFlags_.no_saved_settings
    | imgui.WindowFlags_.no_collapse
)


def draw(state: ViewerState) -> None:
    """Draw the window of the help, which its cross and the key of the table close."""
    viewport = imgui.get_main_viewport()
    imgui.set_next_window_pos(viewport.get_center(), imgui.Cond_.appearing, (0.5, 0.5))
    is_visible, is_open = imgui.begin("Keys and mouse", True, _FLAGS)
    if is_visible:
        _draw_rows("keys", key_rows())
        imgui.separator_text("Mouse")
        _draw_rows("mouse", list(keys.MOUSE))
    imgui.end()
    state.shows_help = bool(is_open)


def key_rows() -> list[tuple[str, str]]:
    """Return (keys, what they do): keys of one action in one row, the view modes in one."""
    labels: dict[tuple[str, str], list[str]] = {}
    for binding in keys.KEYS:
        if not binding.action.startswith("view_"):
            labels.setdefault((binding.action, binding.text), []).append(binding.label)
    rows = [(", ".join(names), text) for (_, text), names in labels.items()]
    return [*rows, (f"1 to {len(keys.NUMBERED_VIEWS)}", "show " + ", ".join(keys.NUMBERED_VIEWS))]


def _draw_rows(name: str, rows: list[tuple[str, str]]) -> None:
    if imgui.begin_table(name, 2, imgui.TableFlags_.sizing_fixed_fit):
        for label, text in rows:
            imgui.table_next_row()
            imgui.table_next_column()
            widgets.colored(label, SKY_BLUE)
            imgui.table_next_column()
            imgui.text_unformatted(text)
        imgui.end_table()
