"""Panel: where the camera is, as numbers and as text."""

from dataclasses import replace
from typing import Any

from imgui_bundle import imgui

from engine.camera import Camera, format_camera, parse_camera
from engine.viewer.palette import ERROR
from engine.viewer.panels import widgets
from engine.viewer.state import Actions, ViewerState

TITLE = "Camera"
SLOWEST, FASTEST = 1e-3, 1e3  # of the slider


def draw(state: ViewerState, actions: Actions) -> None:
    """Draw the camera's numbers, its text and what can be done with it."""
    camera, speed = state.camera, max(state.camera.distance * 0.005, 1e-6)
    for name in ("eye", "target", "up"):
        value = getattr(camera, name)
        is_changed, numbers = imgui.drag_float3(name, list(value), 0.01 if name == "up" else speed, 0, 0, "%.5g")
        if is_changed:
            # Components that were not touched keep their 64 bits.
            moved = [new if abs(new - old) > 1e-6 * abs(old) else old for new, old in zip(numbers, value)]
            _change(state, actions, **{name: tuple(moved)})
    if camera.orthographic_height is None:
        is_changed, fov = imgui.slider_float("field of view", camera.fov_degrees, 1.0, 170.0, "%.1f deg")
        if is_changed:
            _change(state, actions, fov_degrees=fov)
    else:
        height = camera.orthographic_height
        is_changed, height = imgui.drag_float("height", height, 0.01 * height, 1e-9, 1e12, "%.5g m")
        if is_changed:
            _change(state, actions, orthographic_height=height)
    is_changed, speed = imgui.slider_float(
        "speed", state.speed, SLOWEST, FASTEST, "%.3g per s", imgui.SliderFlags_.logarithmic
    )
    widgets.tip("Of flying, in distances to what is seen, per second; the wheel changes it while a key flies.")
    if is_changed:
        actions.set_speed(speed)
    _draw_text(state, actions)
    for label, action in (
        ("Frame all", actions.frame_all),
        ("Copy", actions.copy_camera),
        ("Paste", actions.paste_camera),
        ("Save", actions.save_camera),
    ):
        if imgui.button(label):
            action()
        imgui.same_line()
    imgui.new_line()


def _draw_text(state: ViewerState, actions: Actions) -> None:
    """Draw the text form; it is taken when the field is left or Enter pressed."""
    inputs = state.inputs
    imgui.set_next_item_width(-1)
    shown = format_camera(state.camera) if inputs.camera_text is None else inputs.camera_text
    is_changed, text = imgui.input_text("##text", shown)
    widgets.tip("eye; target; up; field of view: what --camera takes")
    if is_changed:
        inputs.camera_text = text
    if imgui.is_item_deactivated() and inputs.camera_text is not None:
        try:
            actions.set_camera(parse_camera(inputs.camera_text))
            inputs.camera_error = ""
        except ValueError as error:
            inputs.camera_error = str(error)
        inputs.camera_text = None
    if inputs.camera_error:
        widgets.wrapped(inputs.camera_error, ERROR)


def _change(state: ViewerState, actions: Actions, **values: Any) -> None:
    try:
        camera: Camera = replace(state.camera, **values)
    except ValueError as error:
        state.inputs.camera_error = str(error)
        return
    state.inputs.camera_error = ""
    actions.set_camera(camera)
