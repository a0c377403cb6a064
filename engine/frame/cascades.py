"""Cascades of a directional shadow map: which part of the scene each one covers, and the view it is drawn from.

The camera's range of depths is split by a blend of equal steps and equal ratios (Zhang et al., "Parallel-Split Shadow
Maps for Large-scale Virtual Environments", 2006). A cascade holds a sphere around its slice, whose size does not change
as the camera turns, and its map moves by whole texels: so what does not move has a still shadow (Valient, "Stable
Rendering of Cascaded Shadow Maps", ShaderX6, 2008).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine import layout
from engine.camera import Camera, view_record
from engine.settings import FrameSettings

RATIO_SHARE = 0.75  # of equal ratios in the split; the rest of equal steps
BORDER_TEXELS = 4  # around the sphere: what the filter reads, and what snapping moves
RADIUS_STEPS = 8  # sizes of a sphere in each octave: it keeps its size while the camera moves a little
BLEND_SHARE = 0.1  # of half the map's width, in which a cascade goes over into the next
SHOWN_CASCADES = 4  # where a view shows cascades and the setting names none

Bounds = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class Cascade:
    """The sphere that one cascade covers: world space, metres, and whether it holds the whole scene."""

    center: np.ndarray  # (3,) float64
    radius: float
    holds_scene: bool


def cascade_count(settings: FrameSettings) -> int:
    """Return how many cascades a frame has room for; 0: no shadows."""
    return settings.shadow_cascades or (SHOWN_CASCADES if settings.view == "shadow_cascades" else 0)


def light_direction(settings: FrameSettings) -> np.ndarray:
    """Return the unit vector (3,) float64 towards the light."""
    light = np.array(settings.light_direction)
    return light / np.linalg.norm(light)


def split_depths(near: float, far: float, count: int, ratio_share: float) -> np.ndarray:
    """Return the (count + 1,) depths from `near` to `far` between slices; `near` above 0 where ratios have a share."""
    steps = np.linspace(0.0, 1.0, count + 1)
    even = near + (far - near) * steps
    return even if ratio_share == 0.0 else ratio_share * near * (far / near) ** steps + (1.0 - ratio_share) * even


def slice_sphere(camera: Camera, aspect: float, near: float, far: float) -> tuple[np.ndarray, float]:
    """Return centre (3,) and radius of the smallest sphere on the view axis around the camera's frustum in a range."""
    if camera.orthographic_height is not None:
        reach = 0.5 * camera.orthographic_height * math.hypot(1.0, aspect)
        depth, radius = 0.5 * (near + far), math.hypot(0.5 * (far - near), reach)
    else:
        slope = math.tan(math.radians(camera.fov_degrees) / 2) * math.hypot(1.0, aspect)  # of the corner rays
        depth = min(0.5 * (near + far) * (1.0 + slope * slope), far)
        radius = max(math.hypot(depth - near, slope * near), math.hypot(far - depth, slope * far))
    return np.asarray(camera.eye) + depth * camera.axes()[2], radius


def scene_sphere(bounds: Bounds) -> tuple[np.ndarray, float]:
    """Return centre (3,) and radius of the sphere around a box; a point gets one that can be seen."""
    low, high = np.asarray(bounds[0], float), np.asarray(bounds[1], float)
    center = 0.5 * (low + high)
    return center, max(0.5 * float(np.linalg.norm(high - low)), 1e-6 * float(np.abs(center).max()), 1e-6)


def depth_range(camera: Camera, aspect: float, bounds: Bounds, distance: float) -> tuple[float, float]:
    """Return the nearest and farthest depth at which the camera can see the scene, within `distance` (0: any).

    It hangs on where the camera stands, not on where it looks (but for an orthographic one, which has a near plane).
    """
    center, radius = scene_sphere(bounds)
    to_center = center - camera.eye
    near = camera.near_distance
    if camera.orthographic_height is not None:
        depth = float(camera.axes()[2] @ to_center)
        first, last = depth - radius, depth + radius
    else:
        slope = math.tan(math.radians(camera.fov_degrees) / 2) * math.hypot(1.0, aspect)
        depth = float(np.linalg.norm(to_center))
        first, last = (depth - radius) / math.hypot(1.0, slope), depth + radius
    near = max(near, first)
    far = min(last, distance) if distance > 0.0 else last
    return near, max(far, near * (1.0 + 1e-3))


def fit_cascades(camera: Camera, aspect: float, settings: FrameSettings, bounds: Bounds) -> list[Cascade]:
    """Return the cascades of a camera from near to far; one that holds the whole scene is the last."""
    near, far = depth_range(camera, aspect, bounds, settings.shadow_distance)
    ratio_share = RATIO_SHARE if camera.orthographic_height is None else 0.0
    depths = split_depths(near, far, cascade_count(settings), ratio_share).tolist()
    whole, whole_radius = scene_sphere(bounds)
    cascades = []
    for first, last in zip(depths, depths[1:], strict=False):
        center, radius = slice_sphere(camera, aspect, first, last)
        radius = 2.0 ** (math.ceil(RADIUS_STEPS * math.log2(radius) - 1e-6) / RADIUS_STEPS)
        if radius >= whole_radius:
            return [*cascades, Cascade(whole, whole_radius, holds_scene=True)]
        cascades.append(Cascade(center, radius, holds_scene=False))
    return cascades


def cascade_view(cascade: Cascade, settings: FrameSettings, bounds: Bounds) -> np.ndarray:
    """Return the layout.VIEW record (shape ()) of a cascade: along the light, in front of all of the scene's box."""
    size = settings.shadow_size
    forward = -light_direction(settings)
    up = (0.0, 1.0, 0.0) if abs(forward[1]) < 0.9 else (1.0, 0.0, 0.0)
    axes = Camera((0.0, 0.0, 0.0), tuple(forward), up).axes()
    texel = 2.0 * cascade.radius / (size - 2 * BORDER_TEXELS)
    low, high = np.asarray(bounds[0], float), np.asarray(bounds[1], float)
    reach = float(np.abs(forward) @ (high - low)) / 2
    middle = float(forward @ (low + high)) / 2
    margin = max(0.01 * reach, texel)
    x, y = (round(float(axis @ cascade.center) / texel) * texel for axis in axes[:2])
    eye = x * axes[0] + y * axes[1] + (middle - reach - 2.0 * margin) * axes[2]
    height = texel * size
    camera = Camera(
        tuple(eye), tuple(eye + 2.0 * (reach + margin) * axes[2]), up, near=margin, orthographic_height=height
    )
    view = view_record(camera, (size, size), settings, bounds=(low - margin, high + margin))
    view["error_pixels"] = settings.shadow_error_pixels
    return view


def cascade_views(camera: Camera, size: tuple[int, int], settings: FrameSettings, bounds: Bounds) -> np.ndarray:
    """Return layout.VIEW records (k,), near to far, of the shadow maps that an image of `size` pixels needs now."""
    cascades = fit_cascades(camera, size[0] / size[1], settings, bounds) if cascade_count(settings) else []
    views = np.zeros(len(cascades), layout.VIEW)
    for i, cascade in enumerate(cascades):
        views[i] = cascade_view(cascade, settings, bounds)
        views[i]["first_pixel"] = i * settings.shadow_size**2
    return views
