"""Panel: what is drawn: files, assets, instances, and on which adapter."""

from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from imgui_bundle import imgui

from engine.scene import Scene
from engine.viewer.panels import widgets
from engine.viewer.panels.style import DIM
from engine.viewer.state import Actions, ViewerState

TITLE = "Scene"
_counted: WeakKeyDictionary[Scene, tuple[int, list[tuple[str, str]]]] = WeakKeyDictionary()  # placed_revision, lines


def draw(state: ViewerState, actions: Actions) -> None:
    """Draw the buttons that open files, then the scene in numbers."""
    if imgui.button("Open.."):
        actions.open_dialog()
    imgui.same_line()
    imgui.begin_disabled(state.scene is None)
    if imgui.button("Add.."):
        actions.open_dialog(add=True)
    imgui.end_disabled()
    imgui.same_line()
    if imgui.button("Recent"):
        imgui.open_popup("recent")
    if imgui.begin_popup("recent"):
        draw_recent(state, actions)
        imgui.end_popup()
    _draw_path(state, actions)
    for path in state.scene_paths:
        imgui.text_unformatted(path.name)
        widgets.tip(str(path))
    if state.scene is not None:
        widgets.facts("scene", scene_lines(state.scene), actions.copy_text)
        _draw_assets(state.scene)
    if state.statistics is not None:
        memory = widgets.mebibytes(sum(state.statistics.memory_bytes.values()))
        widgets.facts("gpu", [("GPU memory", memory), ("traversal", state.statistics.traversal)], actions.copy_text)
    widgets.facts("adapter", [("adapter", state.adapter)], actions.copy_text)


def _draw_path(state: ViewerState, actions: Actions) -> None:
    """Draw a field that opens what is typed: not every system has a file dialog."""
    flags = imgui.InputTextFlags_.enter_returns_true
    imgui.set_next_item_width(-1)
    is_entered, state.inputs.path = imgui.input_text_with_hint("##path", "or type a path", state.inputs.path, flags)
    if is_entered and state.inputs.path.strip():
        actions.open([Path(state.inputs.path.strip()).expanduser()])
        state.inputs.path = ""


def draw_recent(state: ViewerState, actions: Actions) -> None:
    """Draw a menu item for each recent file."""
    for number, path in enumerate(state.recent):
        if imgui.menu_item_simple(f"{path.name}##{number}"):
            actions.open([path])
        widgets.tip(str(path))
    if not state.recent:
        widgets.colored("no files yet", DIM)


def scene_lines(scene: Scene) -> list[tuple[str, str]]:
    """Return what a scene holds as (label, value); counted again only when instances were added or removed."""
    revision, lines = _counted.get(scene, (-1, []))
    if revision != scene.placed_revision:
        lines = _count(scene)
        _counted[scene] = scene.placed_revision, lines
    return lines


def _count(scene: Scene) -> list[tuple[str, str]]:
    triangles = np.concatenate([asset.mesh_triangles["source"] for asset in scene.assets]).astype(np.int64)
    placed = np.bincount(scene.instances["mesh"][scene.live_slots], minlength=len(triangles))
    lines = [
        ("instances", f"{scene.instance_count:,}"),
        ("meshes", f"{len(scene.meshes):,}"),
        ("materials", f"{len(scene.materials):,}"),
        ("triangles", f"{triangles.sum():,} of source meshes"),
        ("", f"{int(placed @ triangles):,} in all instances"),
        ("groups", f"{len(scene.groups):,}"),
        ("pages", f"{len(scene.pages):,}"),
    ]
    if scene.instance_count:
        low, high = scene.bounds()
        lines += [("size", " x ".join(f"{extent:,.4g}" for extent in high - low) + " m")]
        lines += [(name, ", ".join(f"{x:,.5g}" for x in corner)) for name, corner in (("from", low), ("to", high))]
    return lines


def _draw_assets(scene: Scene) -> None:
    if not widgets.begin_columns("assets", (("asset", 0), ("meshes", 4.0), ("triangles", 6.0))):
        return
    for name, asset in zip(scene.asset_names, scene.assets):
        imgui.table_next_row()
        imgui.table_next_column()
        imgui.text_unformatted(str(name))
        widgets.tip(str(asset.path))
        imgui.table_next_column()
        widgets.count(len(asset.meshes))
        imgui.table_next_column()
        widgets.count(asset.source_triangles)
    imgui.end_table()
