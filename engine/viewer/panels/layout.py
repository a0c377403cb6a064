"""All panels in one window: where they stand by default, and the order they are drawn in."""

import logging
from types import ModuleType

from imgui_bundle import imgui

from engine.commands.logs import one_line
from engine.viewer.palette import ERROR
from engine.viewer.panels import (
    camera,
    funnel,
    keys_help,
    light,
    log,
    menu,
    messages,
    overlays,
    pick,
    queues,
    scene,
    settings,
    status,
    timings,
    view_modes,
    widgets,
)
from engine.viewer.state import Actions, ViewerState

PANELS: tuple[ModuleType, ...] = (
    scene,
    camera,
    view_modes,
    light,
    settings,
    funnel,
    overlays,
    pick,
    timings,
    queues,
    log,
)
TITLES: tuple[str, ...] = tuple(panel.TITLE for panel in PANELS)
LEFT_FONT_SIZES, RIGHT_FONT_SIZES, BOTTOM_FONT_SIZES = 25.0, 25.0, 15.0  # widths and height of the columns
_LARGEST_SHARE = 0.3  # of the window, for each of them


def draw_all(state: ViewerState, actions: Actions) -> messages.Rectangle:
    """Draw menu, panels, help and messages, or with `shows_gui` off only the messages. Between new_frame and render.

    Return the part of the window (x, y, width, height; logical pixels) that docked panels leave free.
    """
    viewport = imgui.get_main_viewport()
    free = viewport.pos.x, viewport.pos.y, viewport.size.x, viewport.size.y
    if state.shows_gui:
        menu.draw(state, actions, TITLES)
        free = _draw_dock_space(state)
        for panel in PANELS:
            if panel.TITLE not in state.hidden_panels:
                _draw_panel(panel, state, actions)
        _raise_panel(state)
        status.draw(state)
    if state.shows_help:
        keys_help.draw(state)
    messages.draw(state, actions, free)
    return free


def _draw_panel(panel: ModuleType, state: ViewerState, actions: Actions) -> None:
    imgui.set_next_window_size((25 * imgui.get_font_size(), 20 * imgui.get_font_size()), imgui.Cond_.first_use_ever)
    is_visible, is_open = imgui.begin(panel.TITLE, True, imgui.WindowFlags_.no_focus_on_appearing)
    if is_visible:
        _draw_content(panel, state, actions)
    imgui.end()
    if not is_open:
        state.hidden_panels.add(panel.TITLE)


def _draw_content(panel: ModuleType, state: ViewerState, actions: Actions) -> None:
    """Draw what is in a panel; an error stands in its place, and all others are drawn."""
    try:
        with widgets.balanced():
            panel.draw(state, actions)
    except Exception as error:
        logging.getLogger("engine").debug("the panel %s failed", panel.TITLE, exc_info=error)
        widgets.wrapped(one_line(error), ERROR)


def _raise_panel(state: ViewerState) -> None:
    if state.raised_panel is not None:
        imgui.set_window_focus(state.raised_panel)
        state.raised_panel = None


def _draw_dock_space(state: ViewerState) -> messages.Rectangle:
    """Draw the space that panels dock to, between menu and status line; return its middle, which stays free."""
    viewport = imgui.get_main_viewport()
    position = viewport.work_pos
    size = imgui.ImVec2(viewport.work_size.x, max(viewport.work_size.y - status.height(), 1.0))
    flags = (
        imgui.WindowFlags_.no_decoration
        | imgui.WindowFlags_.no_docking
        | imgui.WindowFlags_.no_bring_to_front_on_focus
        | imgui.WindowFlags_.no_nav
        | imgui.WindowFlags_.no_background
        | imgui.WindowFlags_.no_saved_settings
        | imgui.WindowFlags_.no_move
    )
    imgui.set_next_window_pos(position)
    imgui.set_next_window_size(size)
    imgui.push_style_var(imgui.StyleVar_.window_padding, (0, 0))
    imgui.push_style_var(imgui.StyleVar_.window_border_size, 0)
    imgui.begin("##dock", None, flags)
    imgui.pop_style_var(2)
    root = imgui.get_id("dock space")
    if state.resets_layout:
        _build_default(root, size)
        state.resets_layout = False
    imgui.dock_space(root, (0, 0), imgui.DockNodeFlags_.passthru_central_node)
    imgui.end()
    node = imgui.internal.dock_builder_get_central_node(root)
    return node.pos.x, node.pos.y, node.size.x, node.size.y


def _build_default(root: int, size: imgui.ImVec2) -> None:
    """Split the space into columns at both sides and a row below the middle, and put every panel into one."""
    builder, font = imgui.internal, imgui.get_font_size()
    builder.dock_builder_remove_node(root)
    builder.dock_builder_add_node(root, imgui.internal.DockNodeFlagsPrivate_.dock_space.value)
    builder.dock_builder_set_node_size(root, size)
    left_share = min(LEFT_FONT_SIZES * font / size.x, _LARGEST_SHARE)
    right_share = min(RIGHT_FONT_SIZES * font / size.x, _LARGEST_SHARE) / (1 - left_share)
    bottom_share = min(BOTTOM_FONT_SIZES * font / size.y, _LARGEST_SHARE)
    split = builder.dock_builder_split_node(root, imgui.Dir.left, left_share)
    left, middle = split.id_at_dir, split.id_at_opposite_dir
    split = builder.dock_builder_split_node(middle, imgui.Dir.right, right_share)
    right, middle = split.id_at_dir, split.id_at_opposite_dir
    split = builder.dock_builder_split_node(middle, imgui.Dir.down, bottom_share)
    bottom = split.id_at_dir
    split = builder.dock_builder_split_node(left, imgui.Dir.down, 0.58)
    left_low, left = split.id_at_dir, split.id_at_opposite_dir
    split = builder.dock_builder_split_node(right, imgui.Dir.down, 0.4)
    right_low, right = split.id_at_dir, split.id_at_opposite_dir
    places = {
        left: (scene, camera),
        left_low: (settings, view_modes, light),
        right: (funnel,),
        right_low: (overlays, pick),
        bottom: (timings, queues, log),
    }
    for node, panels in places.items():
        for panel in panels:
            builder.dock_builder_dock_window(panel.TITLE, node)
        first = builder.im_hash_str(panels[0].TITLE)
        builder.dock_builder_get_node(node).selected_tab_id = builder.im_hash_str("#TAB", 0, first)
    builder.dock_builder_finish(root)
