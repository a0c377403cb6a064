"""Panel: what the image shows."""

from typing import get_args

from imgui_bundle import imgui

from engine.settings import ViewMode
from engine.viewer import keys
from engine.viewer.palette import ERROR
from engine.viewer.panels import setting_fields, widgets
from engine.viewer.panels.style import DIM
from engine.viewer.state import Actions, ViewerState

TITLE = "View"
VIEW_TEXTS: dict[str, str] = {  # as in the table of README.md
    "shaded": "materials in a directional light and the sky",
    "normals": "interpolated normals, as colours",
    "clusters": "a colour for each; a group is what was simplified together",
    "groups": "a colour for each; a group is what was simplified together",
    "levels": "level of detail: dark blue is the source mesh, yellow level 14 and above",
    "triangles": "a colour for each; a group is what was simplified together",
    "instances": "a colour for each instance",
    "materials": "a colour for each material",
    "depth": "nearer is brighter; half bright is where the camera's target is",
    "overdraw": "samples written to a pixel: dark blue 1, yellow 64 and more",
    "raster": "software blue, clusters of few triangles cyan, masked green, hardware orange",
    "material_bins": "a colour for each material function",
    "occlusion": "what the main pass drew blue, what the post pass drew orange",
    "pyramid": "the depth pyramid left for the next frame: a tile for each level, the visibility buffer first; "
    "greys as in `depth`",
    "shadow_cascades": "a colour for each shadow map where it is used, darker in shadow; grey where there is none",
}
VIEWS: tuple[str, ...] = get_args(ViewMode)


_COLUMNS = 2


def draw(state: ViewerState, actions: Actions) -> None:
    """Draw a button for each view mode, and what the one shows that the pointer is on, or that is chosen."""
    described = state.settings.view
    if imgui.begin_table("views", _COLUMNS, imgui.TableFlags_.sizing_stretch_same):
        for view in VIEWS:
            imgui.table_next_column()
            if imgui.radio_button(view, state.settings.view == view):
                setting_fields.change(state, "view", view)
            if imgui.is_item_hovered():
                described = view
            if key := keys.shortcut(f"view_{view}"):
                imgui.same_line()
                widgets.right(key, DIM)
        imgui.end_table()
    imgui.separator()
    widgets.wrapped(f"{described}: {VIEW_TEXTS[described]}")
    if "view" in state.inputs.setting_errors:
        widgets.wrapped(state.inputs.setting_errors["view"], ERROR)
