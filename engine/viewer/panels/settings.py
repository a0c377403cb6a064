"""Panel: all frame settings, by the names that files and the command line use."""

from imgui_bundle import imgui

from engine.settings import FrameSettings, settings_toml
from engine.viewer.panels import setting_fields, widgets
from engine.viewer.panels.style import DIM
from engine.viewer.state import Actions, ViewerState

TITLE = "Settings"
SECTIONS = {  # title: the first field of each, in the order of FrameSettings
    "Detail": "error_pixels",
    "Culling and rasters": "traversal",
    "Queues": "queue_items",
    "Passes": "persistent_workgroups",
    "Materials and light": "materials",
    "Shadows": "shadow_cascades",
}


def draw(state: ViewerState, actions: Actions) -> None:
    """Draw a field for every setting, in sections, and what can be done with all of them."""
    _draw_buttons(state, actions)
    imgui.set_next_item_width(-1)
    inputs = state.inputs
    _, inputs.settings_filter = imgui.input_text_with_hint("##filter", "find a setting", inputs.settings_filter)
    words = inputs.settings_filter.lower().split()
    for title, names in sections().items():
        texts = setting_fields.help_texts()
        found = [name for name in names if all(word in f"{name} {texts[name]}".lower() for word in words)]
        if found and (words or imgui.collapsing_header(title, imgui.TreeNodeFlags_.default_open)):
            for name in found:
                setting_fields.draw_field(state, name)


def sections() -> dict[str, list[str]]:
    """Return the names of all frame settings under the title of their section."""
    named: dict[str, list[str]] = {title: [] for title in SECTIONS}
    title_at = {first: title for title, first in SECTIONS.items()}
    title = next(iter(SECTIONS))
    for name in setting_fields.FIELDS:
        title = title_at.get(name, title)
        named[title].append(name)
    return named


def _draw_buttons(state: ViewerState, actions: Actions) -> None:
    if imgui.button("Copy as TOML"):
        actions.copy_text(settings_toml(state.settings))
    widgets.tip("Text of a file for --settings.")
    imgui.same_line()
    if imgui.button("Load.."):
        actions.load_settings()
    imgui.same_line()
    if imgui.button("Save"):
        actions.save_settings()
    widgets.tip("Writes a file beside the scene.")
    changed = [name for name, field in setting_fields.FIELDS.items() if getattr(state.settings, name) != field.default]
    if changed:
        imgui.same_line()
        if imgui.button("Reset all"):
            state.settings = FrameSettings()
            state.inputs.setting_errors.clear()
        imgui.same_line()
        widgets.colored(f"{len(changed)} changed", DIM)
        widgets.tip(", ".join(changed))
