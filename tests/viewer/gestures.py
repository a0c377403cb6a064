"""Gestures for the tests of camera control: what a hand does, as events."""

import numpy as np

from engine.camera import Camera, view_record
from engine.settings import FrameSettings
from engine.viewer.controls import LEFT, CameraControls

SIZE = (640, 360)
UNIT = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
FRONT = Camera((0.0, 0.0, 4.0), (0.0, 0.0, 0.0))
FLAT = Camera((0.0, 0.0, 4.0), (0.0, 0.0, 0.0), orthographic_height=2.0)


def controls_of(camera: Camera = FRONT, bounds=UNIT) -> CameraControls:
    return CameraControls(camera, bounds, SIZE)


def pointer(controls, kind, x, y, button=LEFT, modifiers=(), buttons=None, time_stamp=None):
    event = {"event_type": f"pointer_{kind}", "x": x, "y": y, "button": button, "modifiers": modifiers}
    if kind == "move":
        event["button"], event["buttons"] = 0, (button,) if buttons is None else buttons
    if time_stamp is not None:
        event["time_stamp"] = time_stamp
    controls.handle_event(event)


def drag(controls, start, end, button=LEFT, modifiers=(), release=True):
    pointer(controls, "down", *start, button, modifiers)
    for part in (0.3, 1.0):
        place = [(1 - part) * a + part * b for a, b in zip(start, end)]
        pointer(controls, "move", *place, button, modifiers)
    if release:
        pointer(controls, "up", *end, button, modifiers)


def wheel(controls, notches, x=320.0, y=180.0):
    controls.handle_event({"event_type": "wheel", "dx": 0, "dy": -100.0 * notches, "x": x, "y": y, "modifiers": ()})


def key(controls, name, kind="down", modifiers=()):
    controls.handle_event({"event_type": f"key_{kind}", "key": name, "modifiers": modifiers})


def run(controls, seconds=1.0, steps=20):
    for _ in range(steps):
        controls.advance(seconds / steps)


def projected(camera: Camera, point) -> np.ndarray:
    """Return the pixel of a point, by what the shaders are given."""
    view = view_record(camera, SIZE, FrameSettings())
    offset = np.subtract(point, view["eye_high"].astype(float) + view["eye_low"])
    right, up, forward = (view[name].astype(float) @ offset for name in ("right", "up", "forward"))
    w = 1.0 if camera.orthographic_height else forward
    x, y = right * view["scale_x"] / w, up * view["scale_y"] / w
    return np.array([(0.5 + 0.5 * x) * SIZE[0], (0.5 - 0.5 * y) * SIZE[1]])
