"""Widgets for the fields of FrameSettings, made from the dataclass; a value that it refuses is never taken."""

import dataclasses
from functools import lru_cache
from typing import Any, get_args, get_origin

from imgui_bundle import imgui

from engine.settings import RANGES, FrameSettings, field_help
from engine.viewer.palette import ERROR
from engine.viewer.panels import widgets
from engine.viewer.state import ViewerState

FIELDS = {field.name: field for field in dataclasses.fields(FrameSettings)}
COLORS = ("background",)  # triples that are colours
_LARGEST_IMMEDIATE = 255  # whole numbers that may be larger size a buffer: taken when the drag ends
_LABEL_FONT_SIZES, _LABEL_SHARE = 10.5, 0.47  # width of a name, and at most this share of the window
_LONGEST_NUMBER = 2**31 - 1  # of imgui's whole numbers


@lru_cache(maxsize=1)
def help_texts() -> dict[str, str]:
    """Return what each frame setting means."""
    return field_help(FrameSettings)


def change(state: ViewerState, name: str, value: Any) -> None:
    """Set one frame setting; where it is refused, keep the old one and the reason, until a value of it is taken."""
    try:
        state.settings = dataclasses.replace(state.settings, **{name: value})
    except ValueError as error:
        state.inputs.setting_errors[name] = str(error)
    else:
        state.inputs.setting_errors.pop(name, None)


def draw_field(state: ViewerState, name: str) -> None:
    """Draw one setting: its name, its value, a button that resets it, and why the last value was refused."""
    field, value = FIELDS[name], getattr(state.settings, name)
    imgui.push_id(name)
    imgui.align_text_to_frame_padding()
    imgui.text_unformatted(name)
    widgets.tip(_full_help(name))
    imgui.same_line(min(_LABEL_FONT_SIZES * imgui.get_font_size(), _LABEL_SHARE * imgui.get_window_width()))
    is_changed = value != field.default
    button = imgui.calc_text_size("reset").x + 2 * imgui.get_style().frame_padding.x
    imgui.set_next_item_width(imgui.get_content_region_avail().x - button - imgui.get_style().item_spacing.x)
    entered = _entered(state, field, value)
    widgets.tip(_full_help(name))
    if is_changed:
        imgui.same_line()
        if imgui.button("reset"):
            entered = field.default
        widgets.tip(f"back to {field.default!r}")
    if entered != value:
        change(state, name, entered)
    if name in state.inputs.setting_errors:
        widgets.wrapped(state.inputs.setting_errors[name], ERROR)
    imgui.pop_id()


def _full_help(name: str) -> str:
    """Return the help of a setting with its range."""
    text = f"{name}: {help_texts()[name]}"
    if name in RANGES:
        low, high = RANGES[name]
        text += f"\n{low:.10g} to {high:.10g}; Ctrl + click to type"
    return text


def _entered(state: ViewerState, field: dataclasses.Field, value: Any) -> Any:
    """Draw the widget that fits the type of `field` and return its value, the old one where nothing changed."""
    if get_origin(field.type) is not None and isinstance(value, str):
        return widgets.choices("##value", get_args(field.type), value)
    if isinstance(value, bool):
        return imgui.checkbox("##value", value)[1]
    if isinstance(value, str):
        is_entered, text = imgui.input_text("##value", value, imgui.InputTextFlags_.enter_returns_true)
        return text if is_entered else value
    if isinstance(value, tuple):
        return _entered_triple(field.name, value)
    if isinstance(value, int):
        return _entered_whole(state, field.name, value)
    low, high = RANGES[field.name]
    is_changed, number = imgui.drag_float("##value", value, _speed(value), low, high, "%.5g")
    return _rounded(number) if is_changed else value


def _entered_whole(state: ViewerState, name: str, value: int) -> int:
    low, high = (int(bound) for bound in RANGES[name])
    pending = state.inputs.settings
    shown = pending.get(name, value)
    is_changed, number = imgui.drag_int("##value", shown, max(abs(shown) * 0.01, 0.05), low, min(high, _LONGEST_NUMBER))
    if high <= _LARGEST_IMMEDIATE:
        return number if is_changed else value
    if is_changed:
        pending[name] = number
    return pending.pop(name, value) if imgui.is_item_deactivated() else value


def _entered_triple(name: str, value: tuple[float, ...]) -> tuple[float, ...]:
    if name in COLORS:
        flags = imgui.ColorEditFlags_.float | imgui.ColorEditFlags_.hdr
        is_changed, numbers = imgui.color_edit3("##value", list(value), flags)
    else:
        low, high = RANGES[name]
        speed = _speed(max(map(abs, value)))
        is_changed, numbers = imgui.drag_float3("##value", list(value), speed, low, high, "%.4g")
    return tuple(_rounded(number) for number in numbers) if is_changed else value


def _speed(value: float) -> float:
    """Return how much a pixel of dragging changes: a part of the value, so that all magnitudes are near."""
    return max(abs(value) * 0.01, 0.001)


def _rounded(value: float) -> float:
    """Return a number as it was typed: imgui's are float32."""
    return float(f"{value:.7g}")
