"""Cascades: what they cover, how they split the depths, and that they stand still."""

import math

import numpy as np
import pytest

from engine.camera import Camera
from engine.frame.cascades import (
    BLEND_SHARE,
    BORDER_TEXELS,
    RATIO_SHARE,
    cascade_view,
    cascade_views,
    depth_range,
    fit_cascades,
    slice_sphere,
    split_depths,
)
from engine.settings import FrameSettings

SETTINGS = FrameSettings(shadow_cascades=4, shadow_size=256)
BOUNDS = ([-30.0, -1.0, -20.0], [30.0, 6.0, 25.0])
SIZE = (320, 180)


def cameras(count: int) -> list[Camera]:
    random = np.random.default_rng(7)
    result = []
    for i in range(count):
        eye, target = random.uniform(-15, 15, 3), random.uniform(-5, 5, 3)
        height = random.uniform(0.5, 30.0) if i % 3 == 2 else None
        result.append(
            Camera(tuple(eye), tuple(target), fov_degrees=random.uniform(20, 100), orthographic_height=height)
        )
    return result


def frustum_points(camera: Camera, aspect: float, x, y, depth) -> np.ndarray:
    """Return points (n, 3) at depths (n,) along the axis; x, y of -1 to 1 across the image."""
    tangent = math.tan(math.radians(camera.fov_degrees) / 2)
    depth = np.asarray(depth, float)
    half = np.full(depth.shape, 0.5 * camera.orthographic_height) if camera.orthographic_height else depth * tangent
    right, up, forward = camera.axes()
    return camera.eye + np.stack([np.asarray(x) * half * aspect, np.asarray(y) * half, depth], axis=1) @ [
        right,
        up,
        forward,
    ]


def frustum_corners(camera: Camera, aspect: float, near: float, far: float) -> np.ndarray:
    return frustum_points(camera, aspect, [-1, 1, -1, 1] * 2, [-1, -1, 1, 1] * 2, [near] * 4 + [far] * 4)


def to_map(view: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return (n, 3) of texels and depth along the light of world points, float64."""
    eye = view["eye_high"].astype(float) + view["eye_low"]
    axes = np.array([view["right"], view["up"], view["forward"]], float)
    x, y, depth = axes @ (points - eye).T
    size = view["size"].astype(float)
    return np.stack(
        [(0.5 + 0.5 * x * view["scale_x"]) * size[0], (0.5 - 0.5 * y * view["scale_y"]) * size[1], depth], axis=1
    )


def test_depths_are_split_between_equal_steps_and_equal_ratios():
    even, ratios = split_depths(1.0, 16.0, 4, 0.0), split_depths(1.0, 16.0, 4, 1.0)
    np.testing.assert_allclose(even, [1.0, 4.75, 8.5, 12.25, 16.0])
    np.testing.assert_allclose(ratios, [1.0, 2.0, 4.0, 8.0, 16.0])
    np.testing.assert_allclose(split_depths(1.0, 16.0, 4, 0.5), 0.5 * (even + ratios))


@pytest.mark.parametrize("camera", cameras(12))
def test_a_sphere_holds_its_slice_and_is_no_larger_than_it_must(camera):
    aspect = SIZE[0] / SIZE[1]
    for near, far in ((0.5, 2.0), (2.0, 2.2), (1e-3, 50.0)):
        center, radius = slice_sphere(camera, aspect, near, far)
        corners = frustum_corners(camera, aspect, near, far)
        assert np.linalg.norm(corners - center, axis=1).max() == pytest.approx(radius, rel=1e-9)
        for step in (-1e-3, 1e-3):  # elsewhere on the axis it would have to be larger
            moved = center + step * radius * camera.axes()[2]
            assert np.linalg.norm(corners - moved, axis=1).max() >= radius


@pytest.mark.parametrize("camera", cameras(12))
def test_every_point_of_the_scene_that_the_camera_sees_lies_in_a_cascade_with_its_border(camera):
    aspect = SIZE[0] / SIZE[1]
    views = cascade_views(camera, SIZE, SETTINGS, BOUNDS)
    random = np.random.default_rng(1)
    _, far = depth_range(camera, aspect, BOUNDS, 0.0)
    depths = camera.near_distance + (far - camera.near_distance) * random.random(20000) ** 3
    points = frustum_points(camera, aspect, random.uniform(-1, 1, 20000), random.uniform(-1, 1, 20000), depths)
    points = points[((points >= BOUNDS[0]) & (points <= BOUNDS[1])).all(axis=1)]
    is_held = np.zeros(len(points), bool)
    for view in views:
        place = to_map(view, points)
        inside = (place[:, :2] >= BORDER_TEXELS - 1.5) & (place[:, :2] <= SETTINGS.shadow_size - BORDER_TEXELS + 1.5)
        is_held |= inside.all(axis=1) & (place[:, 2] > view["near"]) & (place[:, 2] < view["far"])
    assert is_held.all()
    # Each cascade holds its slice, not only the last one all of them.
    share = 0.0 if camera.orthographic_height else RATIO_SHARE
    depths = split_depths(*depth_range(camera, aspect, BOUNDS, 0.0), SETTINGS.shadow_cascades, share)
    for cascade, first, last in zip(fit_cascades(camera, aspect, SETTINGS, BOUNDS), depths, depths[1:], strict=False):
        corners = frustum_corners(camera, aspect, first, last)
        distance = np.linalg.norm(corners - cascade.center, axis=1).max()
        assert cascade.holds_scene or distance <= cascade.radius * (1 + 1e-6) <= 1.1 * distance
    for cascade, view in zip(fit_cascades(camera, aspect, SETTINGS, BOUNDS), views, strict=True):
        sphere = cascade.center + cascade.radius * _directions()
        place = to_map(view, sphere)
        assert (place[:, :2] >= BORDER_TEXELS - 0.51).all() and (
            place[:, :2] <= SETTINGS.shadow_size - BORDER_TEXELS + 0.51
        ).all()


def _directions() -> np.ndarray:
    directions = np.random.default_rng(2).normal(size=(500, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


@pytest.mark.parametrize("light", [(0.4, 0.8, 0.5), (0.0, 1.0, 0.0), (-1.0, 0.01, 0.2), (0.0, -3.0, 0.0)])
def test_all_casters_of_the_scene_lie_between_near_and_far(light):
    settings = FrameSettings(shadow_cascades=3, light_direction=light)
    corners = np.array(np.meshgrid(*zip(*BOUNDS, strict=True))).reshape(3, 8).T
    for camera in cameras(4):
        for view in cascade_views(camera, SIZE, settings, BOUNDS):
            depth = to_map(view, corners)[:, 2]
            assert depth.min() > view["near"] and depth.max() < view["far"]
            np.testing.assert_allclose(view["forward"], -np.array(light) / np.linalg.norm(light), atol=1e-7)


def test_maps_stand_still_while_the_camera_turns_and_move_by_whole_texels_as_it_moves():
    base = Camera((1.0, 2.0, 9.0), (0.0, 1.0, 0.0), near=0.05)
    first = cascade_views(base, SIZE, SETTINGS, BOUNDS)
    random = np.random.default_rng(5)
    for _ in range(50):
        step, turn = random.normal(0, 0.01, 3), random.normal(0, 0.3, 3)
        camera = Camera(tuple(base.eye + step), tuple(base.target + step + turn), near=0.05)
        views = cascade_views(camera, SIZE, SETTINGS, BOUNDS)
        assert len(views) == len(first)
        for one, other in zip(first, views, strict=True):
            np.testing.assert_array_equal(one["lod_scale"], other["lod_scale"])
            for name in ("right", "up", "forward", "near", "far"):
                np.testing.assert_allclose(one[name], other[name], rtol=1e-6, atol=1e-7)
            moved = (other["eye_high"].astype(float) + other["eye_low"]) - (
                one["eye_high"].astype(float) + one["eye_low"]
            )
            texels = np.array([moved @ one["right"].astype(float), moved @ one["up"].astype(float)]) * one["lod_scale"]
            assert np.abs(texels - np.round(texels)).max() < 1e-3
            assert abs(moved @ one["forward"].astype(float)) < 1e-6
    views = cascade_views(Camera((1.0, 2.0, 9.0001), (0.0, 1.0, 0.0001), near=0.05), SIZE, SETTINGS, BOUNDS)
    still = np.abs(views["eye_high"] - first["eye_high"]).max(axis=1) < 1e-6
    assert still.sum() >= len(views) - 1  # a map moves a texel at most where the camera crossed a border


def test_a_small_scene_gets_one_map_and_a_distance_limits_the_range():
    far_away = Camera((0.0, 0.0, 5000.0), (0.0, 0.0, 0.0))
    assert [cascade.holds_scene for cascade in fit_cascades(far_away, 1.6, SETTINGS, BOUNDS)] == [True]
    inside = Camera((0.0, 2.0, 0.0), (0.0, 2.0, -1.0), near=0.01)
    limited = FrameSettings(shadow_cascades=3, shadow_distance=8.0)
    cascades = fit_cascades(inside, 1.6, limited, BOUNDS)
    assert [cascade.holds_scene for cascade in cascades] == [False] * 3
    assert cascades[-1].radius < 10.0
    assert not len(cascade_views(inside, SIZE, FrameSettings(), BOUNDS))


def test_the_error_of_a_map_is_that_of_the_settings():
    settings = FrameSettings(shadow_cascades=2, shadow_error_pixels=3.0, error_pixels=0.5, shadow_size=512)
    cascade = fit_cascades(cameras(1)[0], 1.6, settings, BOUNDS)[0]
    view = cascade_view(cascade, settings, BOUNDS)
    assert view["error_pixels"] == 3.0
    texel = 2.0 * cascade.radius / (512 - 2 * BORDER_TEXELS)
    assert 1.0 / view["lod_scale"] == pytest.approx(texel, rel=1e-6)
    assert 0.0 < BLEND_SHARE < 0.5
