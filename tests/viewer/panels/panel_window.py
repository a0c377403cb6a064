"""A window of imgui without a screen: draws panels, gives back their texts, clicks and types like a person."""

from collections.abc import Callable
from typing import Any

from imgui_bundle import imgui

from engine.viewer.panels import style
from engine.viewer.state import ViewerState

_WATCHED = (
    "button",
    "small_button",
    "checkbox",
    "radio_button",
    "drag_int",
    "drag_float",
    "slider_float",
    "selectable",
)
_WATCHED += ("input_text", "input_text_with_hint", "menu_item_simple", "begin_menu", "begin_combo", "text_unformatted")


class RecordedActions:
    """Actions that only remember what was asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **named: self.calls.append((name, *arguments, *named.items()))


class PanelWindow:
    """Draws with its own imgui context; `items` holds the middle of every widget drawn last, by its label."""

    def __init__(self, monkeypatch, size: tuple[int, int] = (1600, 900)) -> None:
        self.context = imgui.create_context()
        imgui.set_current_context(self.context)
        self.io = imgui.get_io()
        self.io.set_ini_filename("")
        self.io.backend_flags |= imgui.BackendFlags_.renderer_has_textures
        self.io.display_size = size
        self.io.delta_time = 1 / 60
        style.set_up()
        self.state, self.actions = ViewerState(), RecordedActions()
        self.items: dict[str, tuple[float, float]] = {}
        self._names: list[str] = []
        self._content: Callable[[], None] = lambda: None
        for name in _WATCHED:
            monkeypatch.setattr(imgui, name, self._watched(getattr(imgui, name)))
        push, pop = imgui.push_id, imgui.pop_id
        monkeypatch.setattr(imgui, "push_id", lambda name: (self._names.append(str(name)), push(name)))
        monkeypatch.setattr(imgui, "pop_id", lambda: (self._names.pop(), pop()))

    def _watched(self, function: Callable) -> Callable:
        def call(label: str, *arguments: Any, **named: Any) -> Any:
            result = function(label, *arguments, **named)
            low, high = imgui.get_item_rect_min(), imgui.get_item_rect_max()
            name = "/".join([*self._names, label])
            self.items[name] = 0.5 * (low.x + high.x), 0.5 * (low.y + high.y)
            return result

        return call

    def close(self) -> None:
        imgui.destroy_context(self.context)

    def show(self, content: Callable[[], None]) -> str:
        """Draw `content` from now on; return its texts."""
        self._content = content
        self.frame()
        return self.frame()

    def show_panel(self, panel: Any) -> str:
        """Draw one panel in a window of its own, high enough for all of it; return its texts."""

        def content() -> None:
            imgui.set_next_window_pos((0, 0))
            imgui.set_next_window_size((560, 2000))
            imgui.begin(panel.TITLE)
            panel.draw(self.state, self.actions)
            imgui.end()

        self.io.display_size = (1600, 2000)
        return self.show(content)

    def frame(self, is_logged: bool = True) -> str:
        """Draw one frame; return its texts, which go through the clipboard, unless not `is_logged`."""
        imgui.new_frame()
        self.items.clear()
        if is_logged:
            imgui.log_to_clipboard()
        self._content()
        imgui.log_finish()
        imgui.render()
        for texture in imgui.get_draw_data().textures:  # as a backend does that has uploaded them
            if texture.status != imgui.ImTextureStatus.ok:
                texture.set_tex_id(1)
                texture.set_status(imgui.ImTextureStatus.ok)
        return imgui.get_clipboard_text() if is_logged else ""

    def click(self, label: str) -> str:
        """Press and release the left button on a widget; return the texts after that."""
        self.io.add_mouse_pos_event(*self.items[label])
        self.frame()
        for is_down in (True, False):
            self.io.add_mouse_button_event(0, is_down)
            self.frame()
        return self.frame()

    def drag(self, label: str, pixels: float) -> None:
        """Drag a widget to the right."""
        x, y = self.items[label]
        self.io.add_mouse_pos_event(x, y)
        self.frame()
        self.io.add_mouse_button_event(0, True)
        self.frame()
        for step in range(1, 9):
            self.io.add_mouse_pos_event(x + pixels * step / 8, y)
            self.frame()
        self.io.add_mouse_button_event(0, False)
        self.frame()

    def type_into(self, label: str, text: str) -> str:
        """Open a number with Ctrl + click, type and press Enter; return the texts after that."""
        self.io.add_key_event(imgui.Key.mod_ctrl, True)
        self.click(label)
        self.io.add_key_event(imgui.Key.mod_ctrl, False)
        self.frame()
        self.io.add_input_characters_utf8(text)
        self.frame()
        for is_down in (True, False):
            self.io.add_key_event(imgui.Key.enter, is_down)
            self.frame()
        return self.frame()
