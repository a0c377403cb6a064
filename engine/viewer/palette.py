"""Colours of panels, components 0 to 1 in sRGB: those of the overlays, so that a swatch means its boxes, and series."""

from engine.viewer import overlay_colors

Color = tuple[float, float, float]


def _fractions(color: overlay_colors.Color) -> Color:
    red, green, blue = (component / 255 for component in color)
    return red, green, blue


GREEN, VERMILION, BLUE, GREY = map(
    _fractions, (overlay_colors.GREEN, overlay_colors.VERMILION, overlay_colors.BLUE, overlay_colors.GREY)
)
ORANGE, SKY_BLUE, YELLOW, PURPLE = map(
    _fractions, (overlay_colors.ORANGE, overlay_colors.SKY_BLUE, overlay_colors.YELLOW, overlay_colors.PURPLE)
)
OUTCOME_COLORS = {name: _fractions(color) for name, color in overlay_colors.OUTCOME_COLORS.items()}
KIND_COLORS = {name: _fractions(color) for name, color in overlay_colors.KIND_COLORS.items()}
WARNING: Color = ORANGE
ERROR: Color = (1.0, 0.42, 0.29)  # vermilion, lighter: it must be read on dark ground

_SERIES = (SKY_BLUE, ORANGE, GREEN, PURPLE, YELLOW, VERMILION, BLUE)


def series_color(number: int) -> Color:
    """Return the colour of curve `number`: each round through the palette is darker than the one before."""
    dimming = 0.72 ** (number // len(_SERIES) % 3)
    red, green, blue = _SERIES[number % len(_SERIES)]
    return red * dimming, green * dimming, blue * dimming
