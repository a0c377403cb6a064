"""Keys: each event runs one action, and every action exists."""

from collections import Counter

import pytest

from engine.settings import FrameSettings
from engine.viewer import keys
from engine.viewer.state import Actions, ViewerState
from tests.viewer.panels.panel_window import RecordedActions


def test_no_key_is_bound_twice():
    assert max(Counter((binding.key, binding.modifiers) for binding in keys.KEYS).values()) == 1


def test_every_action_can_be_run():
    state = ViewerState()
    for binding in keys.KEYS:
        actions = RecordedActions()
        keys.run(binding.action, state, actions)
        assert all(hasattr(Actions, name) for name, *_ in actions.calls), binding


@pytest.mark.parametrize(
    ("key", "modifiers", "call"),
    [
        ("r", (), ("reload_shaders",)),
        (" ", (), ("toggle_freeze",)),
        ("z", (), ("toggle_freeze",)),
        ("F12", (), ("take_screenshot", ("with_gui", False))),
        ("F12", ("Shift",), ("take_screenshot", ("with_gui", True))),
        ("c", ("Control",), ("copy_camera",)),
        ("O", ("Control", "Shift"), ("open_dialog", ("add", True))),  # glfw names it in upper case under Shift
    ],
)
def test_a_key_asks_for_its_action(key, modifiers, call):
    actions = RecordedActions()
    assert keys.dispatch(key, modifiers, ViewerState(), actions)
    assert actions.calls == [call]


def test_keys_that_change_the_state():
    state, actions = ViewerState(), RecordedActions()
    for key, modifiers in (("?", ("Shift",)), ("/", ("Shift",)), ("F1", ())):  # as backends name it
        shown = state.shows_help
        assert keys.dispatch(key, modifiers, state, actions)
        assert state.shows_help != shown
    keys.dispatch("Escape", (), state, actions)
    keys.dispatch("g", (), state, actions)
    keys.dispatch("5", (), state, actions)
    assert (state.shows_help, state.shows_gui, state.settings) == (False, False, FrameSettings(view="levels"))
    assert not actions.calls


@pytest.mark.parametrize(("key", "modifiers"), [("w", ()), ("c", ()), ("r", ("Control",)), ("Shift", ("Shift",))])
def test_other_keys_do_nothing(key, modifiers):
    actions = RecordedActions()
    assert not keys.dispatch(key, modifiers, ViewerState(), actions)
    assert not actions.calls


def test_labels_for_menus():
    assert keys.shortcut("toggle_freeze") == "Space"
    assert keys.shortcut("add_dialog") == "Ctrl+Shift+O"
    assert keys.shortcut("screenshot_with_gui") == "Shift+F12"
    assert keys.shortcut("nothing") == ""
