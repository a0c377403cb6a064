"""Which of the boxes that are drawn over the picture a click means."""

import math
from collections.abc import Sequence

import numpy as np

from engine.camera import Camera

REACH_PIXELS = 6.0  # from the click to an edge
NEAR_TIE_PIXELS = 1.5  # edges this much farther from the click than the nearest one are as good: the eye decides
_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_EDGES = np.array([[i, i | bit] for i in range(8) for bit in (1, 2, 4) if not i & bit])  # bits of z, y, x


def box_at(
    boxes: tuple[np.ndarray, np.ndarray, Sequence[int] | np.ndarray],
    camera: Camera,
    size: tuple[int, int],
    x: float,
    y: float,
) -> int | None:
    """Return the record index of the box that a click at `x`, `y` means, or None; pixels from the top left corner.

    `boxes`: centers (k, 3) and half axes as rows (k, 3, 3), float64 metres in the world, and record indices (k,).
    It is the box whose drawn edge is nearest within REACH_PIXELS, of nearly equal ones the nearest to the eye; else
    the smallest on the screen that contains the click.
    """
    if not len(boxes[0]):
        return None
    axes = camera.axes()
    centers = (np.asarray(boxes[0], float) - camera.eye) @ axes.T  # in view space: right, up, forward
    halves = np.asarray(boxes[1], float) @ axes.T
    ends, depths = _edges(centers, halves, camera, size)
    distance, depth = _nearest(ends, depths, np.array([x, y], float))
    if distance.min() <= REACH_PIXELS:
        close = np.flatnonzero(distance <= min(distance.min() + NEAR_TIE_PIXELS, REACH_PIXELS))
        return int(boxes[2][close[depth[close].argmin()]])
    inside = np.flatnonzero(_are_hit(centers, halves, *_ray(camera, size, x, y)))
    if not len(inside):
        return None
    ends = ends[inside].reshape(len(inside), -1, 2)
    extent = np.nanmax(ends, axis=1) - np.nanmin(ends, axis=1)
    return int(boxes[2][inside[extent.prod(axis=1).argmin()]])


def _half_image(camera: Camera, size: tuple[int, int]) -> np.ndarray:
    """Return half the width and height (2,) of the image at distance 1, or, of an orthographic view, in metres."""
    height = camera.orthographic_height
    tangent = 0.5 * height if height else math.tan(math.radians(camera.fov_degrees) / 2)
    return np.array([tangent * size[0] / size[1], tangent])


def _edges(
    centers: np.ndarray, halves: np.ndarray, camera: Camera, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (k, 12, 2, 2) and depths (k, 12, 2) of both ends of all edges, cut at the near plane.

    Edges behind it are NaN.
    """
    corners = centers[:, None] + np.einsum("ci,kij->kcj", _SIGNS, halves)
    first, second = corners[:, _EDGES[:, 0]], corners[:, _EDGES[:, 1]]
    near = camera.near_distance
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (near - first[..., 2]) / (second[..., 2] - first[..., 2])  # of the edge, at the near plane
        crossing = (first + share[..., None] * (second - first))[:, :, None]
    ends = np.stack([first, second], axis=2)
    behind = ends[..., 2] < near
    ends = np.where(behind[..., None], crossing, ends)
    ends[behind.all(axis=2)] = np.nan
    across = ends[..., :2] / (1.0 if camera.orthographic_height else ends[..., 2:])
    places = across / _half_image(camera, size) * (1.0, -1.0)
    return (places + 1.0) / 2.0 * size, ends[..., 2]


def _nearest(ends: np.ndarray, depths: np.ndarray, pixel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, of each box, how far its nearest edge is from `pixel`, and the depth there, (k,) each."""
    along = ends[:, :, 1] - ends[:, :, 0]
    length = np.maximum((along * along).sum(axis=2), 1e-300)
    share = np.clip(((pixel - ends[:, :, 0]) * along).sum(axis=2) / length, 0.0, 1.0)
    distance = np.linalg.norm(ends[:, :, 0] + share[..., None] * along - pixel, axis=2)
    distance = np.where(np.isnan(distance), np.inf, distance)
    edge = distance.argmin(axis=1)
    box = np.arange(len(ends))
    share, depths = share[box, edge], depths[box, edge]
    # 1 / depth is linear on the screen; in orthographic views depth is, but the order that counts is the same.
    depth = 1.0 / ((1.0 - share) / depths[:, 0] + share / depths[:, 1])
    return distance[box, edge], depth


def _ray(camera: Camera, size: tuple[int, int], x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Return origin and direction (3,) of the ray through a place of the image, in view space."""
    across = (np.array([x, y]) / size * 2.0 - 1.0) * (1.0, -1.0) * _half_image(camera, size)
    if camera.orthographic_height:
        return np.array([*across, 0.0]), np.array([0.0, 0.0, 1.0])
    return np.zeros(3), np.array([*across, 1.0])


def _are_hit(centers: np.ndarray, halves: np.ndarray, origin: np.ndarray, ray: np.ndarray) -> np.ndarray:
    """Return which boxes, bool (k,), have a face that the ray meets; so also flat ones, and those around the eye."""
    hit = np.zeros(len(centers), bool)
    for axis in range(3):
        u, v = halves[:, (axis + 1) % 3], halves[:, (axis + 2) % 3]
        normal = np.cross(u, v)
        square = (normal * normal).sum(axis=1)
        for sign in (-1.0, 1.0):
            to_face = centers + sign * halves[:, axis] - origin
            with np.errstate(divide="ignore", invalid="ignore"):
                distance = (to_face * normal).sum(axis=1) / (normal @ ray)
                place = distance[:, None] * ray - to_face
                along_u = (np.cross(place, v) * normal).sum(axis=1) / square
                along_v = (np.cross(u, place) * normal).sum(axis=1) / square
                hit |= (distance > 0.0) & (np.abs(along_u) <= 1.0) & (np.abs(along_v) <= 1.0)
    return hit
