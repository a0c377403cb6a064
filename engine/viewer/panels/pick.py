"""Panel: what was clicked: a point of the surface, or a box of the frozen frame."""

from imgui_bundle import imgui

from engine.viewer.panels import widgets
from engine.viewer.panels.style import DIM
from engine.viewer.state import Actions, ViewerState

TITLE = "Pick"


def draw(state: ViewerState, actions: Actions) -> None:
    """Draw the lines of both, each with a button that copies them."""
    if state.picked is None and state.explained is None:
        widgets.wrapped("Click on a surface to see what it belongs to; while culling is frozen, click on a box.", DIM)
    for title, picked in (("Surface", state.picked), ("Frozen box", state.explained)):
        if picked is None:
            continue
        imgui.separator_text(title)
        lines = picked.lines()
        widgets.facts(title, lines, actions.copy_text)
        if imgui.small_button(f"Copy all##{title}"):
            actions.copy_text("".join(f"{label}\t{value}\n" for label, value in lines))
