"""Pieces that several panels are made of: numbers, bars, swatches, help texts, tables of two columns."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager

from imgui_bundle import imgui

from engine.viewer.palette import Color
from engine.viewer.panels.style import DIM, EMPTY, packed, vector

_TABLE = imgui.TableFlags_.row_bg | imgui.TableFlags_.borders_inner_v | imgui.TableFlags_.sizing_fixed_fit
_TIP_FONT_SIZES = 26.0  # width at which a help text wraps


@contextmanager
def balanced() -> Generator[None]:
    """End in imgui what an error inside leaves begun, so that others can go on drawing; the error goes on, too."""
    before, io = imgui.internal.ErrorRecoveryState(), imgui.get_io()
    imgui.internal.error_recovery_store_state(before)
    try:
        yield
    except Exception:
        switches = ("enable_assert", "enable_debug_log", "enable_tooltip")
        saved = {name: getattr(io, f"config_error_recovery_{name}") for name in switches}
        for name in switches:
            setattr(io, f"config_error_recovery_{name}", name == "enable_debug_log")
        try:
            imgui.internal.error_recovery_try_to_recover_state(before)
        finally:
            for name, value in saved.items():
                setattr(io, f"config_error_recovery_{name}", value)
        raise


def mebibytes(count: float) -> str:
    """Return a number of bytes as text, such as `1,234.5 MiB`."""
    return f"{count / 2**20:,.1f} MiB" if count >= 2**20 / 10 else f"{count / 2**10:,.1f} KiB"


def milliseconds(value: float) -> str:
    """Return milliseconds with three digits that count, such as `0.123` or `45.6`."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.1f}"


def tip(text: str) -> None:
    """Explain the item before, when the pointer rests on it."""
    if text and imgui.is_item_hovered(imgui.HoveredFlags_.for_tooltip) and imgui.begin_tooltip():
        imgui.push_text_wrap_pos(imgui.get_font_size() * _TIP_FONT_SIZES)
        imgui.text_unformatted(text)
        imgui.pop_text_wrap_pos()
        imgui.end_tooltip()


def colored(text: str, color: Color) -> None:
    """Write `text` in a colour."""
    imgui.push_style_color(imgui.Col_.text, vector(color))
    imgui.text_unformatted(text)
    imgui.pop_style_color()


def wrapped(text: str, color: Color | None = None) -> None:
    """Write `text` over as many lines as the window's width makes of it."""
    imgui.push_text_wrap_pos(0.0)
    if color is None:
        imgui.text_unformatted(text)
    else:
        colored(text, color)
    imgui.pop_text_wrap_pos()


def right(text: str, color: Color | None = None) -> None:
    """Write `text` at the right end of what is left of the line or the table's cell."""
    space = imgui.get_content_region_avail().x - imgui.calc_text_size(text).x
    if space > 0:
        imgui.set_cursor_pos_x(imgui.get_cursor_pos_x() + space)
    if color is None:
        imgui.text_unformatted(text)
    else:
        colored(text, color)


def count(value: int) -> None:
    """Write a whole number at the right, with thousands separators, dim where it is 0."""
    right(f"{value:,}", DIM if value == 0 else None)


def swatch(color: Color, height: float | None = None) -> None:
    """Draw a small square, in the middle of `height` (default: of a line of text), and stay on the line."""
    side, corner = 0.62 * imgui.get_font_size(), imgui.get_cursor_screen_pos()
    height = imgui.get_text_line_height() if height is None else height
    top = corner.y + 0.5 * (height - side)
    imgui.get_window_draw_list().add_rect_filled((corner.x, top), (corner.x + side, top + side), packed(color), 1.0)
    imgui.dummy((side, height))
    imgui.same_line()


def bar(parts: Sequence[tuple[float, Color]], help_text: str = "", height: float | None = None) -> None:
    """Draw a bar over the width that is left, filled from the left by `parts`: (fraction of the width, colour)."""
    width = max(imgui.get_content_region_avail().x, 1.0)
    height = imgui.get_text_line_height() if height is None else height
    low = imgui.get_cursor_screen_pos()
    top, bottom = low.y + 2, low.y + height - 2
    draw_list = imgui.get_window_draw_list()
    draw_list.add_rect_filled((low.x, top), (low.x + width, bottom), packed(EMPTY), 1.0)
    filled = 0.0
    for fraction, color in parts:
        start, filled = filled, min(filled + fraction, 1.0)
        if fraction > 0:  # what is there at all is at least a pixel wide
            end = max(low.x + width * filled, low.x + width * start + 1)
            draw_list.add_rect_filled((low.x + width * start, top), (end, bottom), packed(color))
    imgui.dummy((width, height))
    tip(help_text)


def begin_columns(name: str, columns: Sequence[tuple[str, float]], flags: int = 0, has_header: bool = True) -> bool:
    """Begin a table of (title, width): a width above 0 is in font sizes, 0 takes a share of what is left."""
    if not imgui.begin_table(name, len(columns), _TABLE | flags):
        return False
    for title, width in columns:
        kind = imgui.TableColumnFlags_.width_fixed if width else imgui.TableColumnFlags_.width_stretch
        imgui.table_setup_column(title, kind, width * imgui.get_font_size() if width else 1.0)
    if has_header:
        imgui.table_headers_row()
    return True


def facts(name: str, lines: Iterable[tuple[str, str]], copy: Callable[[str], None], label_width: float = 8.0) -> None:
    """Draw a table of (label, value); a click on a value gives it to `copy`."""
    if not begin_columns(name, (("", label_width), ("", 0)), has_header=False):
        return
    for label, value in lines:
        imgui.table_next_row()
        imgui.table_next_column()
        colored(label, DIM)
        imgui.table_next_column()
        wrapped(value)
        if imgui.is_item_clicked():
            copy(value)
        tip("Click to copy.")
    imgui.end_table()


def choices(label: str, items: Sequence[str], current: str, describe: Callable[[str], str] = lambda _: "") -> str:
    """Draw a combo box of `items` with a text for each; return what is chosen now."""
    chosen = current
    if imgui.begin_combo(label, current, imgui.ComboFlags_.height_large):
        for item in items:
            if imgui.selectable(item, item == current)[0]:
                chosen = item
            tip(describe(item))
        imgui.end_combo()
    return chosen
