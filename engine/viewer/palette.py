"""Colours of outcomes, kinds and series: those of Okabe and Ito, which all kinds of eyes tell apart.

Okabe and Ito, "Color universal design", 2008. Components are sRGB, 0 to 1.
"""

from engine.frame.statistics import KINDS, OUTCOMES

Color = tuple[float, float, float]


def _rgb(hexadecimal: str) -> Color:
    red, green, blue = (int(hexadecimal[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


ORANGE, SKY_BLUE, GREEN = _rgb("e69f00"), _rgb("56b4e9"), _rgb("009e73")
YELLOW, BLUE, VERMILLION, PURPLE = _rgb("f0e442"), _rgb("0072b2"), _rgb("d55e00"), _rgb("cc79a7")
GREY = _rgb("8c8c8c")

OUTCOME_COLORS: dict[str, Color] = dict(zip(OUTCOMES, (GREEN, SKY_BLUE, YELLOW, PURPLE, VERMILLION), strict=True))
KIND_COLORS: dict[str, Color] = dict(zip(KINDS, (GREY, SKY_BLUE, ORANGE, GREEN, YELLOW), strict=True))
WARNING, ERROR = ORANGE, _rgb("ff6b4a")

_SERIES = (SKY_BLUE, ORANGE, GREEN, PURPLE, YELLOW, VERMILLION, BLUE)


def series_color(number: int) -> Color:
    """Return the color of curve `number`: each round through the palette is darker than the one before."""
    dimming = 0.72 ** (number // len(_SERIES) % 3)
    red, green, blue = _SERIES[number % len(_SERIES)]
    return red * dimming, green * dimming, blue * dimming
