"""Fixtures of the panels: a window without a screen, and the statistics of a real frame."""

import pytest

from engine.settings import FrameSettings
from engine.viewer.state import FrameSample
from tests.viewer.panels.panel_window import PanelWindow


@pytest.fixture
def window(monkeypatch):
    """An empty window of 1600 x 900."""
    window = PanelWindow(monkeypatch)
    yield window
    window.close()


@pytest.fixture(scope="session")
def drawn_scene(renderer, sample_asset):
    """A scene and a frame of it that has both passes."""
    from engine.asset import open_asset
    from engine.scene import scene_from_assets

    scene = scene_from_assets([open_asset(sample_asset("sphere"))], ["sphere"])
    settings = FrameSettings(view="clusters")
    for _ in range(2):
        frame = renderer.render(scene, scene.default_camera(), settings, size=(64, 36))
    return scene, frame


@pytest.fixture
def full(window, drawn_scene):
    """The window with a scene, statistics and a history."""
    scene, frame = drawn_scene
    window.state.scene, window.state.statistics, window.state.adapter = scene, frame.statistics, "an adapter"
    window.state.camera = scene.default_camera()
    for number in range(5):
        window.state.history.append(FrameSample(number, dict(frame.statistics.passes_ms), 2.0, 20.0, 1.0))
    return window
