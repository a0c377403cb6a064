"""Camera control: pointer, wheel and key events in, a camera out. No window and no GPU.

Left drag turns about the target (with Shift: pan), right drag looks around, middle drag pans, the wheel zooms; W A S D
and Q E fly, with Shift faster, and meanwhile the wheel changes the speed. Flying starts and stops by exponential
damping that is integrated exactly: any division of a time into steps covers the same way.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from engine.camera import Camera, Vector
from engine.viewer import camera_motion
from engine.viewer.camera_motion import Bounds, Reach

LEFT, RIGHT, MIDDLE = 1, 2, 3  # buttons of rendercanvas
ORBIT_RADIANS_PER_HEIGHT = math.pi  # a drag over the height of the window
LOOK_LENSES_PER_HEIGHT = 2.0  # likewise, in fields of view
CLICK_PIXELS = 3.0
CLICK_SECONDS = 0.4

NOTCH = 100.0  # `dy` of one step of a wheel
LARGEST_NOTCHES = 10.0  # of one event
ZOOM_PER_NOTCH = 1.15
SPEED_PER_NOTCH = 1.25

DIRECTIONS = {  # along right, up, forward
    "d": (1, 0, 0),
    "a": (-1, 0, 0),
    "e": (0, 1, 0),
    "q": (0, -1, 0),
    "w": (0, 0, 1),
    "s": (0, 0, -1),
}
CHORDS = {"Control", "Alt", "Meta"}  # with one of these a key is a command
FAST = 5.0
SMALLEST_SPEED, LARGEST_SPEED = 1e-3, 1e3  # lengths (see `length`) per second
SMALLEST_LENGTH = 1e-3  # of the scene's size, below which speed does not fall
DAMPING_SECONDS = 0.08  # in which 63 % of a change of speed happen
REST = 1e-3  # lengths per second that count as standing still

ANIMATION_SECONDS = 0.3
FOCUS_PART = 1 / 3  # of the distance that is left after `focus`
SETTLE_SECONDS = 0.15  # after the last change until the camera counts as resting
LONGEST_STEP_SECONDS = 0.25  # a longer pause between frames does not throw a flying camera far away
FIRST_STEP_SECONDS = 1 / 60  # of a motion that began at some time since the last frame, which may be long ago


class Click(NamedTuple):
    """A press and release at nearly the same place (logical pixels)."""

    x: float
    y: float
    button: int
    modifiers: tuple[str, ...]


@dataclass
class _Press:
    button: int
    modifiers: tuple[str, ...]
    start: tuple[float, float]
    seconds: float
    latest: tuple[float, float]
    is_drag: bool = False


@dataclass
class _Animation:
    first: Camera
    last: Camera
    seconds: float = 0.0


class CameraControls:
    """The camera that a person moves. Feed it every event and, for each frame, the seconds since the last one.

    `size` is the logical size of the window in pixels; resize events change it. `bounds` (minimum, maximum) is the
    box of the scene, which speed and limits follow.
    """

    def __init__(self, camera: Camera, bounds: Bounds, size: tuple[float, float] = (1280, 720)):
        self.size = size
        self.speed = 1.0  # lengths per second
        self._camera = self._seen = camera
        self.set_bounds(bounds)
        self._press: _Press | None = None
        self._keys: set[str] = set()
        self._is_fast = False
        self._velocity = np.zeros(3)  # lengths per second along right, world up, forward
        self._animation: _Animation | None = None
        self._surface: tuple[float, float, Vector] | None = None  # a place in the window and what is seen there
        self._click: Click | None = None
        self._double_click: Click | None = None
        self._is_fresh = False  # whether a motion began since the last step
        self._clock_seconds = 0.0
        self._still_seconds = math.inf

    @property
    def camera(self) -> Camera:
        """The camera now. Setting it ends all motion."""
        return self._camera

    @camera.setter
    def camera(self, camera: Camera) -> None:
        self._stop()
        self._camera, self._surface = camera, None

    def set_bounds(self, bounds: Bounds) -> None:
        """Follow another scene, whose box is `bounds`; the camera stays. Raises ValueError for an empty box."""
        self._reach = Reach.of(bounds)
        self._bounds = np.array(bounds[0], float), np.array(bounds[1], float)

    @property
    def is_moving(self) -> bool:
        """Whether the camera moves, or moved so recently that it likely moves again."""
        is_dragged = self._press is not None and self._press.is_drag
        is_flying = bool(self._velocity.any() or self._direction().any())
        return is_dragged or is_flying or self._animation is not None or self._still_seconds < SETTLE_SECONDS

    @property
    def length(self) -> float:
        """The metres by which flying is measured: how far away, or how high in an orthographic view, things are.

        It is the distance of the surface noted last, or else of the target, between a part of the scene's size and
        the whole; outside of the scene at least the way to it.
        """
        seen = camera_motion.scale_of(self._camera)
        if self._surface is not None and self._camera.orthographic_height is None:
            seen = math.dist(self._camera.eye, self._surface[2])
        outside = np.maximum(np.maximum(self._bounds[0] - self._camera.eye, self._camera.eye - self._bounds[1]), 0.0)
        return max(min(max(seen, SMALLEST_LENGTH * self._reach.size), self._reach.size), math.hypot(*outside))

    def handle_event(self, event: Mapping[str, Any]) -> None:
        """Take an event of rendercanvas; others than those of pointer, wheel, keys and size are ignored."""
        handler = self._HANDLERS.get(event["event_type"])
        if handler is not None:
            handler(self, event)

    def advance(self, seconds: float) -> bool:
        """Go on with animation and flight for `seconds`; return whether the camera moved since the last call."""
        self._clock_seconds += max(seconds, 0.0)
        step = min(max(seconds, 0.0), FIRST_STEP_SECONDS if self._is_fresh else LONGEST_STEP_SECONDS)
        self._is_fresh = False
        if self._animation is not None:
            self._animate(step)
        else:
            self._fly(step)
        has_moved = self._camera != self._seen
        self._still_seconds = 0.0 if has_moved else self._still_seconds + max(seconds, 0.0)
        self._seen = self._camera
        return has_moved

    def focus(self, point: Sequence[float]) -> None:
        """Make `point` (world space) the target and come nearer, smoothly; any input ends that."""
        place = tuple(float(x) for x in point)
        if len(place) != 3 or not all(map(math.isfinite, place)):
            raise ValueError(f"cannot focus on {place}: it is not a point")
        self._go_to(camera_motion.focused(self._camera, place, FOCUS_PART, self._reach))

    def frame_all(self, bounds: Bounds | None = None) -> None:
        """Show the whole scene, or the box `bounds`, from where the camera looks, smoothly; any input ends that."""
        aspect = max(self.size[0], 1.0) / max(self.size[1], 1.0)
        self._go_to(camera_motion.framed(self._camera, bounds if bounds is not None else self._bounds, aspect))

    def release_all(self) -> None:
        """Let go of all keys and buttons, as when the window loses the focus; flight runs out."""
        self._keys.clear()
        self._press, self._is_fast = None, False

    def note_surface(self, x: float, y: float, point: Sequence[float] | None) -> None:
        """Say that `point` (world space; None: nothing) is seen at a pixel: the wheel zooms to it, speed follows it."""
        self._surface = None
        if point is not None and all(map(math.isfinite, point)):
            self._surface = float(x), float(y), (float(point[0]), float(point[1]), float(point[2]))

    def surface_at(self, x: float, y: float) -> Vector | None:
        """Return the point last noted, if that was at this place and is still seen there."""
        if self._surface is None or math.dist((x, y), self._surface[:2]) > CLICK_PIXELS:
            return None
        right, up, forward = self._camera.axes() @ np.subtract(self._surface[2], self._camera.eye)
        step = camera_motion.metres_per_pixel(self._camera, self._height)
        if self._camera.orthographic_height is None:
            step *= forward / self._camera.distance
        if step <= 0.0:
            return None
        seen = 0.5 * self.size[0] + right / step, 0.5 * self._height - up / step
        return self._surface[2] if math.dist(seen, self._surface[:2]) <= CLICK_PIXELS else None

    def take_click(self) -> Click | None:
        """Return the last click, once."""
        click, self._click = self._click, None
        return click

    def take_double_click(self) -> Click | None:
        """Return the last double click, once; find the point there and `focus` on it."""
        click, self._double_click = self._double_click, None
        return click

    @property
    def _height(self) -> float:
        return max(self.size[1], 1.0)

    def _stop(self) -> None:
        self.release_all()
        self._animation = None
        self._velocity = np.zeros(3)

    def _go_to(self, camera: Camera) -> None:
        self._velocity = np.zeros(3)
        self._animation, self._is_fresh = _Animation(self._camera, camera), True

    def _animate(self, seconds: float) -> None:
        assert self._animation is not None
        self._animation.seconds += seconds
        part = min(self._animation.seconds / ANIMATION_SECONDS, 1.0)
        part = part * part * (3.0 - 2.0 * part)
        self._camera = camera_motion.between(self._animation.first, self._animation.last, part)
        if part == 1.0:
            self._animation = None

    def _direction(self) -> np.ndarray:
        """Return where the keys lead: a unit vector along right, up, forward, or zeros."""
        total = np.sum([DIRECTIONS[key] for key in sorted(self._keys)], axis=0) if self._keys else np.zeros(3)
        return total / (math.hypot(*total) or 1.0)

    def _fly(self, seconds: float) -> None:
        wanted = self._direction() * self.speed * (FAST if self._is_fast else 1.0)
        excess = self._velocity - wanted
        if not (wanted.any() or excess.any()):
            return
        left = math.exp(-seconds / DAMPING_SECONDS)
        way = wanted * seconds + excess * (DAMPING_SECONDS * (1.0 - left))
        self._velocity = wanted + excess * left
        if not wanted.any() and math.hypot(*self._velocity) < REST * self.speed:
            way += self._velocity * DAMPING_SECONDS  # all that would come
            self._velocity = np.zeros(3)
        right, _, forward = self._camera.axes()
        up = np.divide(self._camera.up, math.hypot(*self._camera.up))
        offset = self.length * (way[0] * right + way[1] * up + way[2] * forward)
        self._camera = camera_motion.move(self._camera, offset, self._reach)

    def _on_resize(self, event: Mapping[str, Any]) -> None:
        self.size = float(event["width"]), float(event["height"])

    def _on_pointer_down(self, event: Mapping[str, Any]) -> None:
        self._animation = None
        if self._press is None:
            place = float(event["x"]), float(event["y"])
            modifiers = tuple(event.get("modifiers", ()))
            self._press = _Press(int(event.get("button", 0)), modifiers, place, self._seconds_of(event), place)

    def _on_pointer_move(self, event: Mapping[str, Any]) -> None:
        press = self._press
        if press is None or event.get("time_stamp", press.seconds) < press.seconds:  # a browser may send moves late
            return
        if press.button not in event.get("buttons", (press.button,)):  # released where nobody saw it
            self._press = None
            return
        place = float(event["x"]), float(event["y"])
        press.is_drag = press.is_drag or math.dist(place, press.start) > CLICK_PIXELS
        if press.is_drag:
            self._drag(press, place[0] - press.latest[0], place[1] - press.latest[1])
            press.latest = place

    def _drag(self, press: _Press, across: float, down: float) -> None:
        if press.button == MIDDLE or (press.button == LEFT and "Shift" in press.modifiers):
            self._camera = camera_motion.pan(self._camera, across, down, self._height, self._reach)
        elif press.button == LEFT:
            step = ORBIT_RADIANS_PER_HEIGHT / self._height
            self._camera = camera_motion.orbit(self._camera, step * across, -step * down)
        elif press.button == RIGHT:
            step = LOOK_LENSES_PER_HEIGHT * math.radians(self._camera.fov_degrees) / self._height
            self._camera = camera_motion.look(self._camera, step * across, -step * down, self._reach)

    def _on_pointer_up(self, event: Mapping[str, Any]) -> None:
        press = self._press
        if press is None or int(event.get("button", press.button)) != press.button:
            return
        self._press = None
        is_near = not press.is_drag and math.dist((event["x"], event["y"]), press.start) <= CLICK_PIXELS
        if is_near and self._seconds_of(event) - press.seconds < CLICK_SECONDS:
            self._click = Click(*press.start, press.button, press.modifiers)

    def _on_double_click(self, event: Mapping[str, Any]) -> None:
        place = float(event["x"]), float(event["y"])
        self._double_click = Click(*place, int(event.get("button", LEFT)), tuple(event.get("modifiers", ())))

    def _on_wheel(self, event: Mapping[str, Any]) -> None:
        self._animation = None
        notches = -float(event.get("dy", 0.0)) / NOTCH  # positive: away from the person
        notches = min(max(notches, -LARGEST_NOTCHES), LARGEST_NOTCHES)
        if self._keys:
            self.speed = min(max(self.speed * SPEED_PER_NOTCH**notches, SMALLEST_SPEED), LARGEST_SPEED)
            return
        place = float(event.get("x", 0.0)), float(event.get("y", 0.0))
        anchor = self.surface_at(*place)
        self._camera = camera_motion.zoom(self._camera, ZOOM_PER_NOTCH**-notches, self._reach, anchor)

    def _on_key_down(self, event: Mapping[str, Any]) -> None:
        modifiers, key = event.get("modifiers", ()), str(event.get("key", "")).lower()
        self._is_fast = "Shift" in modifiers
        if key in DIRECTIONS and not CHORDS.intersection(modifiers):
            self._animation = None
            self._is_fresh = self._is_fresh or not (self._keys or self._velocity.any())
            self._keys.add(key)

    def _on_key_up(self, event: Mapping[str, Any]) -> None:
        self._is_fast = "Shift" in event.get("modifiers", ())
        self._keys.discard(str(event.get("key", "")).lower())

    def _seconds_of(self, event: Mapping[str, Any]) -> float:
        return float(event.get("time_stamp", self._clock_seconds))

    _HANDLERS = {  # noqa: RUF012 - a table
        "resize": _on_resize,
        "pointer_down": _on_pointer_down,
        "pointer_move": _on_pointer_move,
        "pointer_up": _on_pointer_up,
        "double_click": _on_double_click,
        "wheel": _on_wheel,
        "key_down": _on_key_down,
        "key_up": _on_key_up,
    }
