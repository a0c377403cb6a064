"""The look of all panels: fonts, sizes and colours, set once."""

from collections.abc import Callable
from pathlib import Path

import imgui_bundle
from imgui_bundle import imgui, implot

from engine.viewer.palette import SKY_BLUE, Color

FONT_PIXELS = 15.0  # logical pixels: imgui draws glyphs at the density of the framebuffer
_FONTS = Path(imgui_bundle.__file__).parent / "assets" / "fonts"
_FONT = "Roboto/Roboto-Regular.ttf"

_BACKGROUND, _DARK, _BAR = (0.085, 0.09, 0.10), (0.065, 0.07, 0.08), (0.11, 0.115, 0.13)
_FRAME, _LINE, _TEXT = (0.17, 0.181, 0.203), (0.20, 0.215, 0.24), (0.88, 0.89, 0.90)
EMPTY: Color = (0.14, 0.148, 0.165)  # of a bar that nothing fills
DIM: Color = (0.53, 0.55, 0.58)


def vector(color: Color, alpha: float = 1.0) -> imgui.ImVec4:
    """Return a colour as imgui takes it."""
    return imgui.ImVec4(*color, alpha)


def packed(color: Color, alpha: float = 1.0) -> int:
    """Return a colour as draw lists take it."""
    return imgui.get_color_u32(vector(color, alpha))


def set_up() -> None:
    """Give the current imgui context its fonts, colours and docking, and implot its context; call it once."""
    io = imgui.get_io()
    io.config_flags |= imgui.ConfigFlags_.docking_enable
    io.config_windows_move_from_title_bar_only = True
    # Else a pointer that moves and presses between two frames misses a tab: imgui takes both in at once, and a tab
    # must have been under the pointer a frame ago. Of a touch screen it takes in the press one frame later.
    io.add_mouse_source_event(imgui.MouseSource.touch_screen)
    if (_FONTS / _FONT).is_file():  # else imgui's own font, which has fixed size
        io.fonts.add_font_from_file_ttf(str(_FONTS / _FONT), FONT_PIXELS)
    if implot.get_current_context() is None:
        implot.create_context()
    imgui.style_colors_dark()
    _set_sizes(imgui.get_style())
    _set_colors(imgui.get_style())
    plot = implot.get_style()
    plot.plot_padding = imgui.ImVec2(6, 6)
    plot.legend_padding = imgui.ImVec2(6, 4)
    plot.plot_border_size = 0.0
    plot.plot_min_size = imgui.ImVec2(120, 80)


def use_clipboard(read: Callable[[], str], write: Callable[[str], None]) -> None:
    """Let fields of the current imgui context cut and paste through the system: imgui's own clipboard is private."""
    platform = imgui.get_platform_io()
    platform.platform_get_clipboard_text_fn = lambda _context: read()
    platform.platform_set_clipboard_text_fn = lambda _context, text: write(text)


def _set_sizes(style: imgui.Style) -> None:
    style.font_size_base = FONT_PIXELS
    size = imgui.ImVec2
    style.window_padding, style.frame_padding, style.cell_padding = size(8, 6), size(6, 3), size(5, 1)
    style.item_spacing, style.item_inner_spacing, style.indent_spacing = size(6, 4), size(5, 4), 14
    style.window_rounding = style.tab_rounding = style.popup_rounding = 3
    style.frame_rounding = style.grab_rounding = 2
    style.window_border_size, style.frame_border_size, style.scrollbar_size = 1, 0, 12
    style.docking_separator_size = 3
    style.disabled_alpha = 0.45


def _set_colors(style: imgui.Style) -> None:
    """Set opaque colours: blending looks different on targets that are sRGB and on those that are not."""
    kind = imgui.Col_
    colors: dict[imgui.Col_, Color] = {
        kind.text: _TEXT,
        kind.text_disabled: DIM,
        kind.window_bg: _BACKGROUND,
        kind.popup_bg: _BACKGROUND,
        kind.menu_bar_bg: _BAR,
        kind.border: _LINE,
        kind.separator: _LINE,
        kind.frame_bg: _FRAME,
        kind.frame_bg_hovered: _mixed(_FRAME, 0.12),
        kind.frame_bg_active: _mixed(_FRAME, 0.22),
        kind.title_bg: _DARK,
        kind.title_bg_active: _DARK,
        kind.title_bg_collapsed: _DARK,
        kind.table_header_bg: _BAR,
        kind.table_row_bg_alt: (0.103, 0.109, 0.121),
        kind.table_border_light: _LINE,
        kind.table_border_strong: _LINE,
        kind.check_mark: SKY_BLUE,
        kind.slider_grab: _mixed(_BACKGROUND, 0.75),
        kind.slider_grab_active: SKY_BLUE,
        kind.plot_histogram: _mixed(_BACKGROUND, 0.75),
        kind.docking_preview: _mixed(_BACKGROUND, 0.5),
        kind.tab: _BAR,
        kind.tab_selected: _mixed(_BACKGROUND, 0.22),
        kind.tab_hovered: _mixed(_BACKGROUND, 0.34),
        kind.tab_dimmed: _BAR,
        kind.tab_dimmed_selected: _mixed(_BACKGROUND, 0.14),
        kind.tab_selected_overline: SKY_BLUE,
        kind.tab_dimmed_selected_overline: _mixed(_BACKGROUND, 0.4),
        kind.scrollbar_bg: _BACKGROUND,
        kind.scrollbar_grab: _LINE,
    }
    for name, parts in (("button", (0.26, 0.40, 0.55)), ("header", (0.16, 0.28, 0.36))):
        for suffix, part in zip(("", "_hovered", "_active"), parts):
            colors[getattr(kind, name + suffix)] = _mixed(_BACKGROUND, part)
    for index, color in colors.items():
        style.set_color_(index, vector(color))


def _mixed(color: Color, part: float) -> Color:
    """Return a colour with `part` (0..1) of the accent in it."""
    red, green, blue = (a + part * (b - a) for a, b in zip(color, SKY_BLUE))
    return red, green, blue
