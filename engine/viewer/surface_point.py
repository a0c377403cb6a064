"""Where the ray of a pixel meets a triangle, in float64: the twin of shaders/surface.wgsl."""

from typing import NamedTuple

import numpy as np

from engine.asset_pages import ClusterGeometry
from engine.reference import ORTHOGRAPHIC, eye_relative

_COLUMNS = ("linear_x", "linear_y", "linear_z")
_LEAST_NORMAL = 1e-6  # square of the length of a normal that still has a direction


class SurfacePoint(NamedTuple):
    """A point of a surface."""

    position: np.ndarray  # (3,) float64, metres in the world
    normal: np.ndarray  # (3,) float64, unit, in the world, on the side of the eye; interpolated where there are normals
    depth: float  # metres along the view axis
    distance: float  # metres from the eye; of orthographic views: from its plane


def surface_point(
    view: np.ndarray, instance: np.ndarray, geometry: ClusterGeometry, triangle: int, x: int, y: int
) -> SurfacePoint:
    """Return the point that the centre of pixel `x`, `y` shows of a triangle of a cluster.

    `view` layout.VIEW record (), `instance` layout.INSTANCE record (). Pixels whose centre lies just outside of the
    triangle, which it covers because corners are snapped, get the nearest of its points by clamped barycentrics.
    """
    corners = geometry.triangles[triangle].astype(np.int64)
    a, b, c = eye_relative(geometry.positions[corners], np.broadcast_to(instance, 3), view)
    axes = np.stack([view["right"], view["up"], view["forward"]]).astype(float)
    weights = _weights(view, axes, a, b - a, c - a, x, y)
    place = weights @ np.stack([a, b, c])
    is_flat = bool(int(view["flags"]) & ORTHOGRAPHIC)
    face = np.cross(b - a, c - a)
    face *= -1.0 if face @ (axes[2] if is_flat else a) > 0.0 else 1.0
    normal = face
    if geometry.normals is not None:
        own = geometry.normals[corners].astype(float)
        blended = weights @ own
        if blended @ blended > _LEAST_NORMAL:
            # The side follows from the face, so a mirrored instance needs no care.
            right, up, back = (instance[name].astype(float) for name in _COLUMNS)
            cofactors = np.stack([np.cross(up, back), np.cross(back, right), np.cross(right, up)], axis=1)
            normal = cofactors @ blended
            normal *= -1.0 if cofactors @ own.sum(axis=0) @ face < 0.0 else 1.0
    eye = view["eye_high"].astype(float) + view["eye_low"]
    depth = float(place @ axes[2])
    distance = depth if is_flat else float(np.linalg.norm(place))
    return SurfacePoint(eye + place, normal / max(float(np.linalg.norm(normal)), 1e-300), depth, distance)


def _weights(view, axes, a, e1, e2, x: int, y: int) -> np.ndarray:
    """Return the barycentrics (3,) of the ray's point, clamped; corner `a` relative to the eye, edges from it."""
    place = (np.array([x, y]) + 0.5) / view["size"].astype(float) * 2.0 - 1.0
    across = place[0] / float(view["scale_x"]) * axes[0] - place[1] / float(view["scale_y"]) * axes[1]
    if int(view["flags"]) & ORTHOGRAPHIC:
        origin, ray = across, axes[2]
    else:
        origin, ray = np.zeros(3), across + axes[2]
    plane = np.cross(e1, e2)
    from_a = origin - a
    divisor = float(ray @ plane)
    divisor = divisor if abs(divisor) > 1e-300 else 1e-300
    second = float(np.cross(e2, ray) @ from_a) / divisor
    third = float(np.cross(ray, e1) @ from_a) / divisor
    inside = np.clip([1.0 - second - third, second, third], 0.0, 1.0)
    return inside / inside.sum()
