"""Steps of a camera: pure functions from a valid camera to a valid camera.

All turn about the camera's `up` (a turntable) and stop before the poles, so that up never lies along the view axis.
Lengths are metres, angles radians, places on the screen pixels from the top left corner.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.camera import FRAME_MARGIN, Camera, Vector, frame_bounds

Bounds = tuple[Sequence[float], Sequence[float]]

POLE_RADIANS = math.radians(0.5)  # closest that the view axis comes to `up`
SMALLEST_PART = 1e-7  # of the scene's size: closest that a camera comes to what it looks at
SMALLEST_RELATIVE = 1e-10  # of the target's coordinates: float64 and the GPU's float pair still tell directions apart
LARGEST_PART = 1e4  # of the scene's size: farthest that a camera and its target go


@dataclass(frozen=True)
class Reach:
    """Where a camera may go: `centre` of the scene's box, `size` its diagonal (1 m where it is a point)."""

    centre: Vector
    size: float

    @classmethod
    def of(cls, bounds: Bounds) -> "Reach":
        """Return the reach of a scene with the box `bounds` (minimum, maximum)."""
        low, high = (np.array(corner, float) for corner in bounds)
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
            raise ValueError(f"no camera can show the box {low.tolist()} to {high.tolist()}: it is empty or not finite")
        return cls(_vector(0.5 * (low + high)), math.hypot(*(high - low)) or 1.0)

    def smallest(self, camera: Camera, point: Vector) -> float:
        """Return the least distance of the eye from `point`, or the least height of an orthographic view."""
        smallest = max(SMALLEST_PART * self.size, SMALLEST_RELATIVE * max(map(abs, (*point, *self.centre))))
        is_clipping = camera.near is not None and camera.orthographic_height is None
        return max(smallest, 2.0 * camera.near) if is_clipping else smallest

    def largest(self) -> float:
        """Return the greatest distance from the eye to the target, and of the target from the scene's centre."""
        return LARGEST_PART * self.size


def scale_of(camera: Camera) -> float:
    """Return what zooming changes: the distance to the target, or the height of an orthographic view."""
    return camera.distance if camera.orthographic_height is None else camera.orthographic_height


def metres_per_pixel(camera: Camera, height_pixels: float) -> float:
    """Return the size of a pixel at the target."""
    if camera.orthographic_height is not None:
        return camera.orthographic_height / height_pixels
    return 2.0 * math.tan(math.radians(camera.fov_degrees) / 2) * camera.distance / height_pixels


def point_at(camera: Camera, size: tuple[float, float], x: float, y: float, depth: float) -> Vector:
    """Return the point at the pixel (x, y) of an image of `size` and at `depth` along the view axis."""
    right, up, forward = camera.axes()
    across, above = x - 0.5 * size[0], 0.5 * size[1] - y
    step = metres_per_pixel(camera, size[1])
    if camera.orthographic_height is None:
        step *= depth / camera.distance
    return _vector(np.add(camera.eye, depth * forward + step * (across * right + above * up)))


def orbit(camera: Camera, turn: float, tilt: float) -> Camera:
    """Turn the view to the right by `turn` and upwards by `tilt`; the eye moves about the target."""
    forward = _turned(camera, turn, tilt)
    return replace(camera, eye=_vector(np.subtract(camera.target, camera.distance * forward)))


def look(camera: Camera, turn: float, tilt: float, reach: Reach) -> Camera:
    """Turn the view to the right by `turn` and upwards by `tilt`; the eye stays."""
    forward = _turned(camera, turn, tilt)
    return _placed(camera, np.add(camera.eye, camera.distance * forward), forward, camera.distance, reach)


def move(camera: Camera, offset: np.ndarray, reach: Reach) -> Camera:
    """Move eye and target by `offset` (3,)."""
    return _placed(camera, np.add(camera.target, offset), camera.axes()[2], camera.distance, reach)


def pan(camera: Camera, across_pixels: float, down_pixels: float, height_pixels: float, reach: Reach) -> Camera:
    """Move the picture by pixels: what lies at the depth of the target stays under the cursor."""
    right, up, _ = camera.axes()
    offset = metres_per_pixel(camera, height_pixels) * (down_pixels * up - across_pixels * right)
    return move(camera, offset, reach)


def zoom(camera: Camera, factor: float, reach: Reach, anchor: Vector | None = None) -> Camera:
    """Scale the distance to the target, or the height of an orthographic view, by `factor`.

    The point `anchor` stays where it is in the picture; by default that is the target. Stops at the limits of `reach`.
    """
    anchor = anchor if anchor is not None else camera.target
    height = camera.orthographic_height
    nearest = farthest = scale_of(camera)
    if height is None:
        nearest, farthest = min(nearest, math.dist(camera.eye, anchor)), max(nearest, math.dist(camera.eye, anchor))
    # A camera beyond a limit stays there rather than being thrown back to it.
    factor = max(factor, min(1.0, reach.smallest(camera, anchor) / nearest) if nearest > 0.0 else 1.0)
    factor = min(factor, max(1.0, reach.largest() / farthest))
    forward = camera.axes()[2]
    offset = (1.0 - factor) * np.subtract(anchor, camera.target)
    if height is None:
        return _placed(camera, camera.target + offset, forward, factor * camera.distance, reach)
    offset -= (offset @ forward) * forward  # the picture does not depend on the depth of the eye
    zoomed = replace(camera, orthographic_height=factor * height)
    return _placed(zoomed, camera.target + offset, forward, camera.distance, reach)


def focused(camera: Camera, point: Vector, part: float, reach: Reach) -> Camera:
    """Make `point` the target, `part` as far away as it is (or the view `part` as high), seen from the same side."""
    distance = camera.distance
    if camera.orthographic_height is None:
        distance = max(math.dist(camera.eye, point), reach.smallest(camera, point))
    return zoom(_placed(camera, np.array(point), camera.axes()[2], distance, reach), part, reach)


def framed(camera: Camera, bounds: Bounds, aspect: float) -> Camera:
    """Return a camera that sees the whole box from the same side; `aspect` is width / height."""
    axes = camera.axes()
    if camera.orthographic_height is None:
        result = frame_bounds(*bounds, _vector(-axes[2]), camera.fov_degrees, aspect, camera.up)
        return replace(result, near=camera.near)
    reach = Reach.of(bounds)
    half = 0.5 * np.subtract(bounds[1], bounds[0])
    half_width, half_height, half_depth = np.abs(axes) @ (half if half.any() else np.full(3, 0.5))
    least = 1e-3 * reach.size  # of a box that is seen edge on
    height = 2.0 * FRAME_MARGIN * max(half_height, half_width / aspect, least)
    distance = 2.0 * half_depth + 2.0 * (camera.near or 0.0) + least  # the box lies behind the near plane
    return _placed(replace(camera, orthographic_height=height), np.array(reach.centre), axes[2], distance, reach)


def between(first: Camera, last: Camera, part: float) -> Camera:
    """Return the camera `part` (0 to 1) of the way to `last`, which looks in the same direction with the same lens."""
    if part >= 1.0:
        return last
    blend = lambda a, b: math.exp((1.0 - part) * math.log(a) + part * math.log(b))  # noqa: E731
    target = (1.0 - part) * np.array(first.target) + part * np.array(last.target)
    distance, height = blend(first.distance, last.distance), None
    if first.orthographic_height is not None and last.orthographic_height is not None:
        height = blend(first.orthographic_height, last.orthographic_height)
    eye = _vector(target - distance * last.axes()[2])
    return replace(last, eye=eye, target=_vector(target), orthographic_height=height)


def _turned(camera: Camera, turn: float, tilt: float) -> np.ndarray:
    """Return the view direction (3,) after a turn to the right and a tilt upwards, kept from the poles."""
    up = np.divide(camera.up, math.hypot(*camera.up))
    right, _, forward = camera.axes()
    level = np.cross(up, right)  # the view direction without its height
    height = math.asin(min(max(float(forward @ up), -1.0), 1.0)) + tilt
    limit = 0.5 * math.pi - POLE_RADIANS
    height = min(max(height, -limit), limit)
    level = math.cos(turn) * level + math.sin(turn) * right
    direction = math.cos(height) * level + math.sin(height) * up
    return direction / math.hypot(*direction)


def _placed(camera: Camera, target: np.ndarray, forward: np.ndarray, distance: float, reach: Reach) -> Camera:
    """Return the camera at another target, direction and distance; the target is kept within reach."""
    offset = np.subtract(target, reach.centre)
    limit = max(reach.largest(), math.dist(camera.target, reach.centre))
    if math.hypot(*offset) > limit:
        target = reach.centre + offset * (limit / math.hypot(*offset))
    distance = max(distance, SMALLEST_RELATIVE * float(np.abs(target).max()))
    return replace(camera, eye=_vector(target - distance * forward), target=_vector(target))


def _vector(values: np.ndarray) -> Vector:
    x, y, z = np.asarray(values, float).tolist()
    return x, y, z
