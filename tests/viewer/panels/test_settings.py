"""The settings panel: every field can be changed, wrong values change nothing."""

import dataclasses

import pytest

from engine.settings import SHADOW_CASCADES, FrameSettings, settings_toml
from engine.viewer.panels import light, setting_fields, settings, view_modes


def test_every_field_has_a_widget_in_one_section(window):
    names = [name for section in settings.sections().values() for name in section]
    assert names == [field.name for field in dataclasses.fields(FrameSettings)]
    assert all(settings.sections().values())
    texts = window.show_panel(settings)
    for name in names:
        assert name in texts
        assert f"{name}/##value" in window.items or name in ("background", "light_direction")
    assert window.state.settings == FrameSettings()


def test_clicks_and_drags_change_settings(window):
    window.show_panel(settings)
    window.click("occlusion/##value")
    assert window.state.settings == FrameSettings(occlusion=False)
    window.drag("error_pixels/##value", 40)
    assert window.state.settings.error_pixels > 1.2
    window.click("error_pixels/reset")
    assert window.state.settings == FrameSettings(occlusion=False)
    window.click("traversal/##value")
    window.click("traversal/levels")
    assert window.state.settings == FrameSettings(occlusion=False, traversal="levels")
    window.click("Reset all")
    assert window.state.settings == FrameSettings()


def test_a_typed_number_is_taken(window):
    window.show_panel(settings)
    window.type_into("exposure/##value", "0.1")
    window.type_into("queue_items/##value", "5000")
    assert window.state.settings == FrameSettings(exposure=0.1, queue_items=5000)


@pytest.mark.parametrize(("name", "text"), [("shadow_cascades", "9"), ("exposure", "-1"), ("shadow_size", "1")])
def test_a_value_out_of_range_is_explained_and_not_taken(window, name, text):
    window.show_panel(settings)
    texts = window.type_into(f"{name}/##value", text)
    assert window.state.settings == FrameSettings()
    assert f"setting {name} is" in texts
    assert f"setting {name} is" not in window.type_into(f"{name}/##value", "100" if name == "shadow_size" else "3")
    assert window.state.settings != FrameSettings()


def test_a_buffer_size_is_taken_when_the_drag_ends(window, monkeypatch):
    window.show_panel(settings)
    taken = []
    monkeypatch.setattr(setting_fields, "change", lambda state, name, value: taken.append((name, value)))
    window.drag("queue_items/##value", 40)
    assert len(taken) == 1 and taken[0][1] > 1 << 20


def test_the_filter_finds_by_name_and_meaning(window):
    window.state.inputs.settings_filter = "size on the screen"
    window.show_panel(settings)
    assert {name.partition("/")[0] for name in window.items if name.endswith("/##value")} >= {"hardware_pixels"}
    assert "exposure/##value" not in window.items


def test_the_buttons_ask_for_files_and_clipboard(window):
    window.state.settings = FrameSettings(exposure=2.0)
    window.show_panel(settings)
    for label in ("Copy as TOML", "Load..", "Save"):
        window.click(label)
    assert window.actions.calls == [
        ("copy_text", settings_toml(FrameSettings(exposure=2.0))),
        ("load_settings",),
        ("save_settings",),
    ]


def test_a_view_that_needs_occlusion_is_explained(window):
    window.state.settings = FrameSettings(occlusion=False)
    window.show_panel(view_modes)
    assert "set occlusion" in window.click("pyramid")
    assert window.state.settings == FrameSettings(occlusion=False)
    assert "set occlusion" not in window.click("levels")
    assert window.state.settings == FrameSettings(occlusion=False, view="levels")


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (90, 30), (-120, -45), (180, 10), (37.5, 89)])
def test_angles_of_the_light(azimuth, elevation):
    assert light.angles(light.direction(azimuth, elevation)) == pytest.approx((azimuth, elevation), abs=0.01)


def test_light_panel_turns_the_light_and_switches_shadows(window):
    window.show_panel(light)
    azimuth, elevation = light.angles(window.state.settings.light_direction)
    window.drag("azimuth", 50)
    turned, kept = light.angles(window.state.settings.light_direction)
    assert turned > azimuth + 5 and kept == pytest.approx(elevation, abs=0.1)
    window.click("shadows")
    assert window.state.settings.shadow_cascades == SHADOW_CASCADES
    window.click("shadows")
    assert window.state.settings.shadow_cascades == 0
