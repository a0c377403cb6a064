"""Panel: where the light comes from, how bright it is, its shadows."""

import math

from imgui_bundle import imgui

from engine.settings import SHADOW_CASCADES
from engine.viewer.panels import setting_fields, widgets
from engine.viewer.state import Actions, ViewerState

TITLE = "Light"
_HIGHEST_DEGREES = 89.9  # straight up the azimuth would be forgotten


def draw(state: ViewerState, actions: Actions) -> None:
    """Draw the direction as two angles, then the settings of light and shadows."""
    azimuth, elevation = angles(state.settings.light_direction)
    imgui.set_next_item_width(-imgui.calc_text_size("elevation  ").x)
    moved_azimuth, azimuth = imgui.slider_float("azimuth", azimuth, -180.0, 180.0, "%.1f deg")
    widgets.tip("Direction of the light around the vertical axis: 0 from +Z, 90 from +X.")
    imgui.set_next_item_width(-imgui.calc_text_size("elevation  ").x)
    moved_elevation, elevation = imgui.slider_float("elevation", elevation, -90.0, 90.0, "%.1f deg")
    widgets.tip("Height of the light above the horizon.")
    if moved_azimuth or moved_elevation:
        setting_fields.change(state, "light_direction", direction(azimuth, elevation))
    for name in ("light_direction", "light_intensity", "sky_intensity", "exposure", "tonemap", "background"):
        setting_fields.draw_field(state, name)
    imgui.separator_text("Shadows")
    has_shadows = state.settings.shadow_cascades > 0
    is_changed, has_shadows = imgui.checkbox("shadows", has_shadows)
    if is_changed:
        setting_fields.change(state, "shadow_cascades", SHADOW_CASCADES if has_shadows else 0)
    imgui.begin_disabled(not has_shadows)
    for name in setting_fields.FIELDS:
        if name.startswith("shadow_"):
            setting_fields.draw_field(state, name)
    imgui.end_disabled()


def angles(towards: tuple[float, float, float]) -> tuple[float, float]:
    """Return azimuth and elevation in degrees of a direction towards the light."""
    x, y, z = towards
    return math.degrees(math.atan2(x, z)), math.degrees(math.atan2(y, math.hypot(x, z)))


def direction(azimuth_degrees: float, elevation_degrees: float) -> tuple[float, float, float]:
    """Return the unit direction towards the light of two angles."""
    elevation = math.radians(min(max(elevation_degrees, -_HIGHEST_DEGREES), _HIGHEST_DEGREES))
    azimuth, across = math.radians(azimuth_degrees), math.cos(elevation)
    x, z = across * math.sin(azimuth), across * math.cos(azimuth)
    return round(x, 6), round(math.sin(elevation), 6), round(z, 6)
