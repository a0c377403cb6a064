"""The panels of the viewer, one module each: `draw(state, actions)` between imgui.begin and imgui.end."""

from engine.viewer.panels.layout import draw_all
from engine.viewer.panels.log import LogForwarder
from engine.viewer.panels.style import set_up

__all__ = ["LogForwarder", "draw_all", "set_up"]
