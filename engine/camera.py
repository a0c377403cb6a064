"""Cameras and camera paths.

Right-handed world, +Y up. Depth is reverse-Z: `near / w` without a far plane in perspective,
`(far - w) / (far - near)` in orthographic views, where `w` is the distance along the view axis; 1 is nearest,
0 farthest. A reversed infinite projection loses least precision in float32 (Lapidous and Jiao, "Optimal depth buffer
for low-cost graphics hardware", 1999).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from engine import layout
from engine.settings import FrameSettings

Vector = tuple[float, float, float]

AUTO_NEAR = 1e-3  # near plane in distances from eye to target, where the camera names none
PARALLEL_SINE = 1e-6  # `up` and the view axis must differ by at least this angle
LARGEST_IMAGE_SIDE = 16384  # pixels
LARGEST_COORDINATE = 1e30  # metres; distances must stay in the range of float32
FRAME_DIRECTION: Vector = (0.45, 0.3, 1.0)  # from a framed box towards the eye
FRAME_MARGIN = 1.05  # image size over the size of what is framed


@dataclass(frozen=True)
class Camera:
    """Where the eye is and what it sees; lengths in metres, `fov_degrees` vertical.

    `near` None stands for AUTO_NEAR times the distance from eye to target. `orthographic_height` (metres that the image
    height spans) makes the view orthographic; `fov_degrees` is then unused. Raises ValueError where no view fits.
    """

    eye: Vector
    target: Vector
    up: Vector = (0.0, 1.0, 0.0)
    fov_degrees: float = 45.0
    near: float | None = None
    orthographic_height: float | None = None

    def __post_init__(self) -> None:
        for name in ("eye", "target", "up"):
            object.__setattr__(self, name, _vector(name, getattr(self, name)))
        axis = np.subtract(self.target, self.eye)
        length, up_length = _length(axis), _length(self.up)
        if length == 0.0:
            raise ValueError(f"camera: eye and target are the same point {self.eye}; move one of them")
        if up_length == 0.0:
            raise ValueError("camera: up is the zero vector; use 0,1,0")
        if _length(np.cross(axis / length, np.divide(self.up, up_length))) < PARALLEL_SINE:
            raise ValueError(f"camera: up {self.up} is parallel to the view axis; choose another up")
        if not 0.0 < self.fov_degrees < 180.0:
            raise ValueError(f"camera: fov is {self.fov_degrees} degrees; it must lie between 0 and 180")
        for name in ("near", "orthographic_height"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"camera: {name} is {value}; it must be a positive length")

    @property
    def distance(self) -> float:
        """Distance from eye to target in metres."""
        return _length(np.subtract(self.target, self.eye))

    @property
    def near_distance(self) -> float:
        """Distance of the near plane in metres."""
        return self.near if self.near is not None else AUTO_NEAR * self.distance

    def axes(self) -> np.ndarray:
        """Return right, up and forward as rows of a (3, 3) float64 array: orthonormal, right x up = -forward."""
        forward = np.subtract(self.target, self.eye) / self.distance
        right = np.cross(forward, np.divide(self.up, _length(self.up)))
        right /= _length(right)
        return np.stack([right, np.cross(right, forward), forward])


def view_record(
    camera: Camera,
    size: tuple[int, int],
    settings: FrameSettings,
    frame: int = 0,
    bounds: tuple[Sequence[float], Sequence[float]] | None = None,
) -> np.ndarray:
    """Return the layout.VIEW record (shape ()) of one image.

    `size` is (width, height) in pixels. `bounds` (box_min, box_max) in world space sets the far plane of an
    orthographic view; without it the far plane lies at twice the distance of the target. Raises ValueError for a size
    that cannot be drawn.
    """
    width, height = checked_size(size)
    orthographic = camera.orthographic_height is not None
    tangent = 0.5 * camera.orthographic_height if orthographic else math.tan(math.radians(camera.fov_degrees) / 2)
    tangent_x = tangent * width / height
    axes = camera.axes()
    view = np.zeros((), layout.VIEW)
    view["eye_high"], view["eye_low"] = float_pair(np.asarray(camera.eye))
    view["near"] = camera.near_distance
    view["far"] = _far(camera, axes[2], bounds) if orthographic else 0.0
    view["right"], view["up"], view["forward"] = axes
    view["scale_x"], view["scale_y"] = 1.0 / tangent_x, 1.0 / tangent
    view["lod_scale"] = height / (2.0 * tangent)
    view["size"] = width, height
    view["error_pixels"] = settings.error_pixels
    view["attribute_weight"] = settings.attribute_weight
    view["planes"] = _planes(axes, tangent_x, tangent, camera.near_distance, orthographic)
    view["flags"] = layout.CONSTANTS["VIEW_ORTHOGRAPHIC"] if orthographic else 0
    view["frame"] = frame & 0xFFFFFFFF
    view["hardware_pixels"] = layout.CONSTANTS["NO_HARDWARE_PIXELS"]  # who draws may choose another size
    return view


def _planes(axes: np.ndarray, half_x: float, half_y: float, near: float, orthographic: bool) -> np.ndarray:
    """Return left, right, bottom, top, near as (5, 4) float64: unit normal inwards and offset, relative to the eye."""
    right, up, forward = axes
    planes = np.zeros((5, 4))
    for i, (side, half) in enumerate([(right, half_x), (-right, half_x), (up, half_y), (-up, half_y)]):
        if orthographic:
            planes[i, :3], planes[i, 3] = side, half
        else:
            planes[i, :3] = (side + half * forward) / math.hypot(1.0, half)
    planes[4, :3], planes[4, 3] = forward, -near
    return planes


def _far(camera: Camera, forward: np.ndarray, bounds: tuple[Sequence[float], Sequence[float]] | None) -> float:
    """Return the far distance of an orthographic view: a little behind the farthest corner of `bounds`."""
    near = camera.near_distance
    deepest = 2.0 * camera.distance
    if bounds is not None:
        box_min, box_max = np.asarray(bounds[0], float), np.asarray(bounds[1], float)
        centre, half = 0.5 * (box_min + box_max), 0.5 * (box_max - box_min)
        deepest = float(forward @ (centre - camera.eye) + np.abs(forward) @ half)
    return max(near + 1.01 * (deepest - near), 2.0 * near)


def distance_of(depth: float, view: np.ndarray) -> float:
    """Return metres along the view axis of a reverse-Z depth; infinite where nothing was drawn."""
    if depth <= 0.0:
        return math.inf
    near, far = float(view["near"]), float(view["far"])
    return far - depth * (far - near) if int(view["flags"]) & layout.CONSTANTS["VIEW_ORTHOGRAPHIC"] else near / depth


def float_pair(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split float64 `values` into two float32 arrays whose exact sum is within 2^-48 of them, relatively."""
    high = values.astype(np.float32)
    return high, (values - high).astype(np.float32)


def frame_bounds(
    box_min: Sequence[float],
    box_max: Sequence[float],
    direction: Vector = FRAME_DIRECTION,
    fov_degrees: float = 45.0,
    aspect: float = 16 / 9,
    up: Vector = (0.0, 1.0, 0.0),
) -> Camera:
    """Return a perspective camera that sees the whole box (world space), as near as a margin of 5 % allows.

    `direction` points from the box towards the eye; `aspect` is width / height. The box appears in the middle of the
    image, its corners at the margin on two opposite sides; so the target is not the middle of the box itself. A point
    is framed as a box of 1 m.
    """
    low, high = np.array(box_min, float), np.array(box_max, float)
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
        raise ValueError(f"cannot frame the box {low.tolist()} to {high.tolist()}: it is empty or not finite")
    centre, half = 0.5 * (low + high), _half(low, high)
    direction_ = np.divide(direction, _length(direction))
    if _length(np.cross(direction_, up)) < PARALLEL_SINE * _length(up):
        up = (0.0, 0.0, -1.0) if abs(direction_[1]) > 0.5 else (0.0, 1.0, 0.0)
    axes = Camera(tuple(direction_), (0.0, 0.0, 0.0), up).axes()
    x, y, depth = axes @ _corners(half).T
    tangent = math.tan(math.radians(fov_degrees) / 2) / FRAME_MARGIN
    distance = max(_fitting_distance(x, depth, tangent * aspect), _fitting_distance(y, depth, tangent))
    distance = max(distance, FRAME_MARGIN * float(-depth.min()))
    target = centre + _middle(x, depth + distance) * axes[0] + _middle(y, depth + distance) * axes[1]
    return Camera(tuple(target + direction_ * distance), tuple(target), up, fov_degrees)


def _half(low: Sequence[float], high: Sequence[float]) -> np.ndarray:
    """Return half the extent (3,) of a box; a point counts as a box of 1 m."""
    half = 0.5 * np.subtract(high, low)
    return half if half.any() else np.full(3, 0.5)


def _corners(half: np.ndarray) -> np.ndarray:
    """Return the corners (8, 3) of the box that reaches `half` (3,) to each side of the origin."""
    return np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T * half


def _fitting_distance(across: np.ndarray, depth: np.ndarray, tangent: float) -> float:
    """Return the least distance at which an eye, moved across as it likes, sees all points between two planes.

    across, depth (n,): the points along an axis of the image and along the view axis; `tangent` of half the angle.
    """
    return float((across - tangent * depth).max() - (across + tangent * depth).min()) / (2.0 * tangent)


def _middle(across: np.ndarray, distance: np.ndarray) -> float:
    """Return the place across from which points (n,) at `distance` (n,) > 0 reach equally far to both sides.

    It makes the largest |across - place| / distance least; the two points that are seen farthest apart decide it.
    """
    apart = (across[:, None] - across) / (distance[:, None] + distance)
    i, j = np.unravel_index(apart.argmax(), apart.shape)
    return float((across[i] * distance[j] + across[j] * distance[i]) / (distance[i] + distance[j]))


def orbit(
    bounds: tuple[Sequence[float], Sequence[float]],
    frames: int,
    fov_degrees: float = 45.0,
    aspect: float = 16 / 9,
    elevation_degrees: float = 20.0,
) -> list[Camera]:
    """Return `frames` cameras evenly spaced on one turn about the vertical axis through the middle of the box.

    All stand at the same distance, so that the whole box is in view from each.
    """
    if frames < 1:
        raise ValueError(f"an orbit of {frames} frames is empty; use at least 1")
    elevation = math.radians(elevation_degrees)
    directions = [
        (math.cos(elevation) * math.sin(a), math.sin(elevation), math.cos(elevation) * math.cos(a))
        for a in (2.0 * math.pi * i / frames for i in range(frames))
    ]
    fitted = [frame_bounds(*bounds, direction, fov_degrees, aspect) for direction in directions]
    target, distance = 0.5 * np.add(*bounds), 0.0
    tangents = np.array([aspect, 1.0]) * math.tan(math.radians(fov_degrees) / 2) / FRAME_MARGIN
    for camera in fitted:
        x, y, depth = camera.axes() @ _corners(_half(*bounds)).T
        needed = np.maximum(np.abs(x) / tangents[0], np.abs(y) / tangents[1]) - depth
        distance = max(distance, float(needed.max()), FRAME_MARGIN * float(-depth.min()))
    return [
        Camera(tuple(target + distance * np.asarray(d)), tuple(target), camera.up, fov_degrees)
        for d, camera in zip(directions, fitted, strict=True)
    ]


@dataclass(frozen=True)
class CameraPath:
    """A smooth way through keyframes of one kind (all perspective, or all orthographic), evenly spaced in time.

    Positions follow a uniform Catmull-Rom spline (Catmull and Rom, "A class of local interpolating splines", 1974).
    """

    keyframes: tuple[Camera, ...]
    closed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "keyframes", tuple(self.keyframes))
        if not self.keyframes:
            raise ValueError("a camera path needs at least one keyframe")
        if len({camera.orthographic_height is None for camera in self.keyframes}) > 1:
            raise ValueError("a camera path cannot mix perspective and orthographic keyframes; use two paths")

    def at(self, time: float) -> Camera:
        """Return the camera at `time` in 0..1 (0: first keyframe; 1: the last, or the first again if closed)."""
        count = len(self.keyframes)
        spans = count if self.closed else count - 1
        if spans == 0:
            return self.keyframes[0]
        position = min(max(time, 0.0), 1.0) * spans
        span = min(int(position), spans - 1)
        weights = _catmull_rom(position - span)
        numbers = [i % count if self.closed else min(max(i, 0), count - 1) for i in range(span - 1, span + 3)]
        keys = [self.keyframes[i] for i in numbers]
        blend = lambda values: tuple((weights @ np.array(values, float)).tolist())  # noqa: E731
        first = keys[1]
        lens, height = first.fov_degrees, first.orthographic_height
        if height is None:
            lens = float(np.clip(weights @ np.array([key.fov_degrees for key in keys]), 1e-3, 179.999))
        else:
            # Heights are blended as logarithms: they stay positive.
            height = float(np.exp(weights @ np.log([key.orthographic_height for key in keys])))
        ups = [np.divide(key.up, _length(key.up)) for key in keys]
        points = blend([key.eye for key in keys]), blend([key.target for key in keys]), blend(ups)
        try:
            return Camera(*points, lens, first.near, height)
        except ValueError as error:
            raise ValueError(f"between keyframes {span} and {numbers[2]}: {error}") from None

    def sample(self, frames: int) -> list[Camera]:
        """Return `frames` cameras at equal steps of time; a closed path does not repeat its first camera."""
        if frames < 1:
            raise ValueError(f"a path of {frames} frames is empty; use at least 1")
        steps = frames if self.closed else max(frames - 1, 1)
        return [self.at(i / steps) for i in range(frames)]


def _catmull_rom(t: float) -> np.ndarray:
    """Return the four weights of a uniform Catmull-Rom segment at `t` in 0..1."""
    return 0.5 * np.array(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3],
    )


def format_camera(camera: Camera) -> str:
    """Return `eye; target; up; fov` with commas inside vectors.

    An orthographic view writes `height METRES` in place of the field of view; a near plane that is set follows as
    `near METRES`. parse_camera gives the same camera back, bit for bit.
    """
    vectors = [",".join(repr(float(x)) for x in v) for v in (camera.eye, camera.target, camera.up)]
    height = camera.orthographic_height
    fields = [*vectors, repr(float(camera.fov_degrees)) if height is None else f"height {float(height)!r}"]
    if camera.near is not None:
        fields.append(f"near {float(camera.near)!r}")
    return "; ".join(fields)


def parse_camera(text: str) -> Camera:
    """Read the text of format_camera; up and what follows may be left out. Raises ValueError with the text."""
    fields = [field.strip() for field in text.split(";")]
    try:
        if not 2 <= len(fields) <= 5:
            raise ValueError(f"{len(fields)} fields instead of 2 to 5")
        values: dict = dict(zip(("eye", "target", "up"), map(_numbers, fields[:3]), strict=False))
        for field in fields[3:]:
            name, _, number = field.rpartition(" ")
            key = {"": "fov_degrees", "fov": "fov_degrees", "height": "orthographic_height", "near": "near"}[name]
            values[key] = float(number)
    except (ValueError, KeyError) as error:
        raise ValueError(f"not a camera: {text!r} ({error}); write 'x,y,z; x,y,z; x,y,z; fov'") from None
    return Camera(**values)


def format_path(path: CameraPath) -> str:
    """Return one line per keyframe, after the line `closed` for a closed path."""
    return "".join(f"{line}\n" for line in [*["closed"] * path.closed, *map(format_camera, path.keyframes)])


def parse_path(text: str) -> CameraPath:
    """Read the text of format_path; empty lines and lines that start with # are skipped."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    closed = lines[:1] == ["closed"]
    return CameraPath(tuple(map(parse_camera, lines[closed:])), closed)


def _numbers(field: str) -> Vector:
    numbers = tuple(float(x) for x in field.split(","))
    if len(numbers) != 3:
        raise ValueError(f"{field!r} is not three numbers")
    return numbers


def _vector(name: str, values: Iterable[float]) -> Vector:
    """Return `values` as three floats; raise ValueError that names the field for what no view can have."""
    numbers = tuple(float(x) for x in values)
    if len(numbers) != 3 or not all(abs(number) <= LARGEST_COORDINATE for number in numbers):  # NaN is not, either
        raise ValueError(f"camera: {name} must be three numbers of at most {LARGEST_COORDINATE:g}, not {numbers}")
    return numbers


def checked_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of an image in pixels; raise ValueError for what no frame can have."""
    width, height = int(size[0]), int(size[1])
    if not (1 <= width <= LARGEST_IMAGE_SIDE and 1 <= height <= LARGEST_IMAGE_SIDE):
        raise ValueError(f"image size {width}x{height}: each side must be 1 to {LARGEST_IMAGE_SIDE} pixels")
    return width, height


def _length(vector: Iterable[float]) -> float:
    return math.hypot(*vector)
