"""The menu bar."""

from imgui_bundle import imgui

from engine.viewer import keys
from engine.viewer.panels import scene, setting_fields, view_modes, widgets
from engine.viewer.state import Actions, ViewerState


def draw(state: ViewerState, actions: Actions, titles: tuple[str, ...]) -> None:
    """Draw the menu bar of the window; `titles` of the panels that can be shown."""
    if not imgui.begin_main_menu_bar():
        return
    if imgui.begin_menu("File"):
        _draw_file(state, actions)
        imgui.end_menu()
    if imgui.begin_menu("View"):
        _draw_view(state, actions, titles)
        imgui.end_menu()
    if imgui.begin_menu("Culling"):
        _draw_culling(state, actions)
        imgui.end_menu()
    if imgui.begin_menu("Capture"):
        _draw_capture(state, actions)
        imgui.end_menu()
    if imgui.begin_menu("Help"):
        _item("Keys and mouse", "toggle_help", state, actions, state.shows_help)
        imgui.end_menu()
    imgui.end_main_menu_bar()


def _item(
    label: str, action: str, state: ViewerState, actions: Actions, is_on: bool = False, enabled: bool = True
) -> None:
    """Draw an item that runs an action of the keys, with its key."""
    if imgui.menu_item_simple(label, keys.shortcut(action), is_on, enabled):
        keys.run(action, state, actions)


def _draw_file(state: ViewerState, actions: Actions) -> None:
    has_scene = state.scene is not None
    _item("Open..", "open_dialog", state, actions)
    _item("Add..", "add_dialog", state, actions, enabled=has_scene)
    if imgui.begin_menu("Recent", bool(state.recent)):
        scene.draw_recent(state, actions)
        imgui.end_menu()
    imgui.separator()
    _item("Save camera", "save_camera", state, actions)
    _item("Copy camera", "copy_camera", state, actions)
    _item("Paste camera", "paste_camera", state, actions)
    imgui.separator()
    _item("Load settings..", "load_settings", state, actions)
    _item("Save settings", "save_settings", state, actions)
    imgui.separator()
    _item("Screenshot", "screenshot", state, actions, enabled=has_scene)
    _item("Screenshot with panels", "screenshot_with_gui", state, actions)
    imgui.separator()
    _item("Quit", "quit", state, actions)


def _draw_view(state: ViewerState, actions: Actions, titles: tuple[str, ...]) -> None:
    if imgui.begin_menu("Show"):
        for view in view_modes.VIEWS:
            if imgui.menu_item_simple(view, keys.shortcut(f"view_{view}"), state.settings.view == view):
                setting_fields.change(state, "view", view)
            widgets.tip(view_modes.VIEW_TEXTS[view])
        imgui.end_menu()
    _item("Frame all", "frame_all", state, actions, enabled=state.scene is not None)
    imgui.separator()
    for title in titles:
        is_shown = title not in state.hidden_panels
        if imgui.menu_item_simple(title, "", is_shown):
            (state.hidden_panels.add if is_shown else state.hidden_panels.discard)(title)
            imgui.set_window_focus(title)  # else it may come back behind another tab
    imgui.separator()
    _item("All panels", "toggle_gui", state, actions, state.shows_gui)
    if imgui.menu_item_simple("Default layout"):
        state.hidden_panels.clear()
        state.resets_layout = True
    imgui.separator()
    _, state.uses_dynamic_resolution = imgui.menu_item("Dynamic resolution", "", state.uses_dynamic_resolution)
    widgets.tip("While the camera moves, the image is as small as it must be to stay fast; it sharpens at rest.")
    _, state.is_continuous = imgui.menu_item("Draw continuously", "", state.is_continuous)
    widgets.tip("Draw frames also while nothing changes, to measure.")


def _draw_culling(state: ViewerState, actions: Actions) -> None:
    _item("Freeze", "toggle_freeze", state, actions, state.frozen is not None, state.scene is not None)
    imgui.separator()
    options = state.overlay
    _, options.shows_frustum = imgui.menu_item("Frozen frustum", "", options.shows_frustum)
    for kind in ("instances", "nodes", "clusters"):
        is_on = kind in options.kinds
        if imgui.menu_item_simple(f"Boxes of {kind}", "", is_on):
            (options.kinds.discard if is_on else options.kinds.add)(kind)


def _draw_capture(state: ViewerState, actions: Actions) -> None:
    label = f"End the path ({state.recorded_keyframes:,} keyframes)" if state.is_recording else "Record camera path"
    _item(label, "toggle_recording", state, actions, state.is_recording)
    _item("Play camera path", "toggle_playback", state, actions, state.is_playing)
    imgui.separator()
    label = f"Write CSV ({state.captured_frames:,} frames)" if state.is_capturing else "Capture statistics"
    _item(label, "toggle_capture", state, actions, state.is_capturing)
    imgui.separator()
    _item("Reload shaders", "reload_shaders", state, actions)
