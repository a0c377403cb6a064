"""The keys of the window: one table, which dispatches them, labels the menus and fills the help."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import get_args

from engine.settings import ViewMode
from engine.viewer.state import Actions, ViewerState

NUMBERED_VIEWS: tuple[str, ...] = get_args(ViewMode)[:9]


@dataclass(frozen=True)
class KeyBinding:
    """A key (name of rendercanvas, lower case) with its modifiers, the action it runs and what that does."""

    key: str
    modifiers: frozenset[str]
    action: str
    text: str

    @property
    def label(self) -> str:
        """The key as a menu shows it."""
        names = [{"Control": "Ctrl"}.get(name, name) for name in ("Control", "Alt", "Shift") if name in self.modifiers]
        return "+".join([*names, {" ": "Space"}.get(self.key, self.key.upper() if len(self.key) == 1 else self.key)])


def _binding(keys: str, action: str, text: str) -> KeyBinding:
    *modifiers, key = keys.split("+")
    return KeyBinding(key, frozenset(modifiers), action, text)


KEYS: tuple[KeyBinding, ...] = (
    _binding("f", "frame_all", "frame the whole scene"),
    _binding("p", "save_camera", "save the camera beside the scene"),
    _binding("Control+c", "copy_camera", "copy the camera as text"),
    _binding("Control+v", "paste_camera", "take the camera from the clipboard"),
    _binding(" ", "toggle_freeze", "freeze culling, or let it follow the camera"),
    _binding("z", "toggle_freeze", "freeze culling, or let it follow the camera"),
    _binding("r", "reload_shaders", "compile all shaders again"),
    _binding("F12", "screenshot", "write the image as PNG, without the panels"),
    _binding("Shift+F12", "screenshot_with_gui", "write the window as PNG"),
    _binding("Control+o", "open_dialog", "open files"),
    _binding("Control+Shift+o", "add_dialog", "add files to the scene"),
    _binding("Control+q", "quit", "close the window"),
    _binding("g", "toggle_gui", "hide or show the panels"),
    _binding("?", "toggle_help", "show or hide this help"),
    _binding("F1", "toggle_help", "show or hide this help"),
    _binding("Escape", "hide_help", "close this help"),
    *(_binding(str(number + 1), f"view_{view}", f"show {view}") for number, view in enumerate(NUMBERED_VIEWS)),
)

MOUSE: tuple[tuple[str, str], ...] = (
    ("left drag", "turn around the target"),
    ("middle drag, Shift + left drag", "move across the view"),
    ("right drag", "look around"),
    ("W A S D, Q E", "fly forward, left, back, right, down, up; with Shift faster"),
    ("wheel", "zoom towards the pointer; while flying: change the speed"),
    ("click", "pick the surface, or a frozen box"),
    ("double click", "look at this point"),
    ("drop files", "open them; with Shift: add them"),
)

_RUN: dict[str, Callable[[ViewerState, Actions], None]] = {
    "screenshot": lambda state, actions: actions.take_screenshot(with_gui=False),
    "screenshot_with_gui": lambda state, actions: actions.take_screenshot(with_gui=True),
    "add_dialog": lambda state, actions: actions.open_dialog(add=True),
    "toggle_gui": lambda state, actions: setattr(state, "shows_gui", not state.shows_gui),
    "toggle_help": lambda state, actions: setattr(state, "shows_help", not state.shows_help),
    "hide_help": lambda state, actions: setattr(state, "shows_help", False),
}


def run(action: str, state: ViewerState, actions: Actions) -> None:
    """Run an action of KEYS: one of its own, a view mode, or the method of Actions that has this name."""
    if action in _RUN:
        _RUN[action](state, actions)
    elif action.startswith("view_"):
        try:
            state.settings = replace(state.settings, view=action.removeprefix("view_"))
        except ValueError as error:
            state.say(str(error), is_error=True)
    else:
        getattr(actions, action)()


def find(key: str, modifiers: Collection[str]) -> KeyBinding | None:
    """Return the binding of a key event of rendercanvas, or None."""
    held = frozenset(modifiers) & {"Control", "Alt", "Shift"}
    name = key.lower() if len(key) == 1 else key  # glfw names a letter under Shift in upper case
    if name == "?" or (name == "/" and "Shift" in held):  # glfw names the key, not the character
        name, held = "?", held - {"Shift"}
    return next((one for one in KEYS if one.key == name and one.modifiers == held), None)


def dispatch(key: str, modifiers: Collection[str], state: ViewerState, actions: Actions) -> bool:
    """Run what a pressed key is bound to; return whether it was bound to anything."""
    binding = find(key, modifiers)
    if binding is not None:
        run(binding.action, state, actions)
    return binding is not None


def shortcut(action: str) -> str:
    """Return the label of the first key that runs `action`, or an empty text."""
    return next((binding.label for binding in KEYS if binding.action == action), "")
