"""The colours of line overlays: 8-bit sRGB, as legends show them too.

Outcomes and kinds take the palette of Okabe and Ito, "Color universal design" (2008), which readers with any colour
vision tell apart.
"""

import numpy as np

from engine import layout

Color = tuple[int, int, int]

GREEN: Color = (0, 158, 115)
VERMILION: Color = (213, 94, 0)
BLUE: Color = (0, 114, 178)
GREY: Color = (153, 153, 153)
ORANGE: Color = (230, 159, 0)
SKY_BLUE: Color = (86, 180, 233)
YELLOW: Color = (240, 228, 66)
PURPLE: Color = (204, 121, 167)
WHITE: Color = (255, 255, 255)

OUTCOME_COLORS: dict[str, Color] = {
    "kept": GREEN,
    "frustum": VERMILION,
    "detail": BLUE,
    "size": GREY,
    "occlusion": ORANGE,
}
KIND_COLORS: dict[str, Color] = {"instances": SKY_BLUE, "nodes": YELLOW, "clusters": PURPLE}
FRUSTUM_COLOR = WHITE
# ramp_color of color.wgsl: where a blend towards the next colour begins and ends, and that colour, linear.
_RAMP_START = (0.05, 0.03, 0.35)
_RAMP_STEPS = (
    (0.0, 0.4, (0.1, 0.45, 0.55)),
    (0.3, 0.65, (0.35, 0.75, 0.3)),
    (0.6, 1.0, (1.0, 0.85, 0.15)),
)


def level_colors(levels: np.ndarray) -> np.ndarray:
    """Return the colours, (n, 3) uint8, of levels of detail (n,): those of the debug view `levels` in full light."""
    place = np.clip(np.asarray(levels, float) / layout.CONSTANTS["LEVEL_RAMP_END"], 0.0, 1.0)[:, None]
    color = np.array(_RAMP_START)
    for begin, end, next_color in _RAMP_STEPS:
        share = np.clip((place - begin) / (end - begin), 0.0, 1.0)
        share = share * share * (3.0 - 2.0 * share)
        color = color * (1.0 - share) + np.array(next_color) * share
    coded = np.where(color <= 0.0031308, 12.92 * color, 1.055 * color ** (1.0 / 2.4) - 0.055)
    return (255.0 * coded + 0.5).astype(np.uint8)


def color_words(colors: np.ndarray) -> np.ndarray:
    """Return colours (n, 3) uint8 as opaque words (n,) uint32 with red in the low byte."""
    red, green, blue = np.asarray(colors).astype(np.uint32).reshape(-1, 3).T
    return red | green << np.uint32(8) | blue << np.uint32(16) | np.uint32(0xFF000000)
