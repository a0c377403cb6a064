import dataclasses
import math

import numpy as np
import pytest

from engine import layout
from engine.camera import (
    Camera,
    CameraPath,
    format_camera,
    format_path,
    frame_bounds,
    orbit,
    parse_camera,
    parse_path,
    view_record,
)
from engine.settings import FrameSettings

SETTINGS = FrameSettings(error_pixels=2.0, attribute_weight=0.5)
CAMERA = Camera((3.0, 2.0, 5.0), (0.5, 0.25, -1.0), fov_degrees=50.0, near=0.1)


def project(view: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return clip x, clip y and view depth of world points, from the record alone."""
    relative = points - (view["eye_high"].astype(float) + view["eye_low"])
    x, y, depth = (relative @ view[name].astype(float) for name in ("right", "up", "forward"))
    divisor = 1.0 if view["flags"] & layout.CONSTANTS["VIEW_ORTHOGRAPHIC"] else depth
    return np.stack([view["scale_x"] * x / divisor, view["scale_y"] * y / divisor, depth], axis=1)


def inside_planes(view: np.ndarray, points: np.ndarray) -> np.ndarray:
    relative = points - (view["eye_high"].astype(float) + view["eye_low"])
    return relative @ view["planes"][:, :3].T.astype(float) + view["planes"][:, 3] >= 0.0


def test_axes_are_a_right_handed_frame():
    right, up, forward = CAMERA.axes()
    np.testing.assert_allclose(np.cross(right, up), -forward, atol=1e-15)
    assert up[1] > 0.0
    np.testing.assert_allclose(Camera((0, 0, 5), (0, 0, 0)).axes(), [[1, 0, 0], [0, 1, 0], [0, 0, -1]])


@pytest.mark.parametrize("height", [None, 4.0])
@pytest.mark.parametrize("size", [(640, 360), (31, 77), (100, 1)])
def test_planes_bound_what_projects_into_the_image(height, size):
    camera = dataclasses.replace(CAMERA, orthographic_height=height)
    view = view_record(camera, size, SETTINGS)
    points = np.random.default_rng(1).normal(size=(20000, 3)) * 4.0
    points[::2] *= 60.0
    x, y, depth = project(view, points).T
    front = depth > 0.1
    expected = [x >= -1, x <= 1, y >= -1, y <= 1]
    found = inside_planes(view, points)
    for side, plane in zip(expected, found.T[:4]):
        close = np.abs(np.abs(x) - 1) < 1e-5
        close |= np.abs(np.abs(y) - 1) < 1e-5
        checked = front & ~close
        assert np.array_equal(side[checked], plane[checked])
        assert 0 < side[checked].sum() < checked.sum()
    far_from_near = np.abs(depth - 0.1) > 1e-5
    assert np.array_equal((depth > 0.1)[far_from_near], found[far_from_near, 4])
    np.testing.assert_allclose(np.linalg.norm(view["planes"][:, :3], axis=1), 1.0, rtol=1e-6)


def test_lod_scale_is_pixels_per_length():
    view = view_record(CAMERA, (640, 360), SETTINGS)
    assert view["lod_scale"] == pytest.approx(360 / (2 * math.tan(math.radians(25))))
    right = CAMERA.axes()[0]
    point = np.asarray(CAMERA.eye) + CAMERA.axes()[2] * 3.0
    clip = project(view, np.stack([point, point + 0.01 * right]))
    pixels = (clip[1, 0] - clip[0, 0]) * 320
    assert pixels == pytest.approx(0.01 * view["lod_scale"] / 3.0, rel=1e-4)
    flat = view_record(dataclasses.replace(CAMERA, orthographic_height=4.0), (640, 360), SETTINGS)
    assert flat["lod_scale"] == pytest.approx(90.0)
    assert flat["scale_y"] == pytest.approx(0.5)
    assert flat["flags"] == layout.CONSTANTS["VIEW_ORTHOGRAPHIC"]


def test_record_holds_settings_and_the_eye_as_a_pair():
    eye = (6378137.123456789, -1.0 / 3.0, 4.0e6 + 1e-3)
    view = view_record(Camera(eye, (0, 0, 0)), (8, 8), SETTINGS, frame=7)
    np.testing.assert_allclose(view["eye_high"].astype(float) + view["eye_low"], eye, rtol=2.0**-47)
    assert (view["error_pixels"], view["attribute_weight"], view["frame"]) == (2.0, 0.5, 7)
    assert view.dtype == layout.VIEW
    assert view.shape == ()


def test_far_plane_lies_behind_the_bounds():
    camera = Camera((0, 0, 10), (0, 0, 0), orthographic_height=2.0)
    view = view_record(camera, (8, 8), SETTINGS, bounds=((-1, -1, -30), (1, 1, 1)))
    assert 40.0 < view["far"] < 41.0
    behind = view_record(camera, (8, 8), SETTINGS, bounds=((-1, -1, 20), (1, 1, 21)))
    assert behind["far"] > behind["near"]
    assert view_record(CAMERA, (8, 8), SETTINGS)["far"] == 0.0


@pytest.mark.parametrize("aspect", [0.3, 1.0, 2.4])
@pytest.mark.parametrize("direction", [(1, 1, 1), (0, 1, 0), (0, -1, 0), (-1, 0.1, 0)])
def test_framed_boxes_fill_the_image(direction, aspect):
    low, high = np.array([-3.0, 1.0, 2.0]), np.array([4.0, 1.5, 9.0])
    camera = frame_bounds(low, high, direction, 40.0, aspect)
    view = view_record(camera, (round(1000 * aspect), 1000), SETTINGS)
    corners = np.array(np.meshgrid(*zip(low, high))).reshape(3, 8).T
    clip = project(view, corners)
    lowest, highest = clip[:, :2].min(axis=0), clip[:, :2].max(axis=0)
    np.testing.assert_allclose(lowest, -highest, atol=1e-5)
    assert highest.max() == pytest.approx(1 / 1.05, rel=1e-5)
    np.testing.assert_allclose(camera.axes()[2], -np.divide(direction, np.linalg.norm(direction)), atol=1e-12)
    assert (clip[:, 2] > view["near"]).all()
    assert inside_planes(view, corners).all()


def test_framing_a_point_and_refusing_an_empty_box():
    assert frame_bounds((1, 1, 1), (1, 1, 1)).distance > 0.5
    with pytest.raises(ValueError, match="empty"):
        frame_bounds((1, 1, 1), (0, 1, 1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": CAMERA.eye}, "same point"),
        ({"up": (-2.5, -1.75, -6.0)}, "parallel"),
        ({"up": (0, 0, 0)}, "zero"),
        ({"fov_degrees": 0.0}, "fov"),
        ({"fov_degrees": 180.0}, "fov"),
        ({"fov_degrees": math.nan}, "fov"),
        ({"eye": (math.inf, 0, 0)}, r"at most 1e\+30"),
        ({"target": (0, math.nan, 0)}, r"at most 1e\+30"),
        ({"eye": (1e300, 0, 0)}, r"at most 1e\+30"),
        ({"eye": (1, 2)}, "three"),
        ({"near": 0.0}, "near"),
        ({"orthographic_height": -1.0}, "orthographic_height"),
    ],
)
def test_impossible_cameras_are_refused_in_one_line(change, words):
    with pytest.raises(ValueError, match=words) as error:
        dataclasses.replace(CAMERA, **change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (5, 100000)])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(ValueError, match="image size"):
        view_record(CAMERA, size, SETTINGS)


@pytest.mark.parametrize(
    "camera",
    [CAMERA, Camera((1 / 3, 1e-7, 1e20), (0, 0, 0)), Camera((1, 2, 3), (0, 0, 0), orthographic_height=0.1, near=1e-9)],
)
def test_text_round_trip_is_exact(camera):
    expected = camera if camera.orthographic_height is None else dataclasses.replace(camera, fov_degrees=45.0)
    assert parse_camera(format_camera(camera)) == expected


def test_short_text_and_bad_text():
    assert parse_camera("0,0,5; 0,0,0") == Camera((0, 0, 5), (0, 0, 0))
    assert parse_camera("0,0,5;0,0,0;1,0,0;60").fov_degrees == 60.0
    for text in (
        "",
        "0,0,5",
        "0,0; 0,0,0",
        "a,b,c; 0,0,0",
        "0,0,5; 0,0,0; 0,1,0; lens 3",
        "1,1,1;0,0,0;0,1,0;4;near 1;5",
    ):
        with pytest.raises(ValueError, match="not a camera"):
            parse_camera(text)


def test_orbits_keep_their_distance_and_see_the_box():
    box = ((-1.0, -2.0, -3.0), (3.0, 0.0, 1.0))
    cameras = orbit(box, 12, aspect=1.5)
    assert len(cameras) == 12
    assert len({camera.eye for camera in cameras}) == 12
    np.testing.assert_allclose([camera.distance for camera in cameras], cameras[0].distance)
    corners = np.array(np.meshgrid(*zip(*box))).reshape(3, 8).T
    for camera in cameras:
        assert inside_planes(view_record(camera, (300, 200), SETTINGS), corners).all()
    with pytest.raises(ValueError, match="0 frames"):
        orbit(box, 0)


def test_paths_pass_through_their_keyframes_smoothly():
    keys = tuple(orbit(((-1, -1, -1), (1, 1, 1)), 4))
    path = CameraPath(keys)
    for i, key in enumerate(keys):
        np.testing.assert_allclose(path.at(i / 3).eye, key.eye, atol=1e-12)
    eyes = np.array([camera.eye for camera in path.sample(301)])
    steps = np.diff(eyes, axis=0)
    assert np.linalg.norm(np.diff(steps, axis=0), axis=1).max() < 0.05 * np.linalg.norm(steps, axis=1).max()
    closed = CameraPath(keys, closed=True).sample(8)
    assert len(closed) == 8
    np.testing.assert_allclose(closed[2].eye, keys[1].eye, atol=1e-12)
    np.testing.assert_allclose(CameraPath(keys, closed=True).at(1.0).eye, keys[0].eye, atol=1e-12)
    assert CameraPath(keys[:1]).sample(3) == [keys[0]] * 3


def test_a_way_through_its_target_says_where():
    keys = [Camera((0, 0, z), (0, 0, 0)) for z in (3, 2, -2, -3)]
    with pytest.raises(ValueError, match=r"between keyframes 1 and 2: camera: eye and target are the same point"):
        CameraPath(tuple(keys)).sample(7)


def test_path_text_round_trip_and_errors():
    path = CameraPath((CAMERA, Camera((0, 1, 9), (0, 0, 0))), closed=True)
    assert parse_path("# a comment\n\n" + format_path(path)) == path
    assert not parse_path(format_camera(CAMERA)).closed
    with pytest.raises(ValueError, match="at least one"):
        parse_path("# nothing")
    with pytest.raises(ValueError, match="mix"):
        CameraPath((CAMERA, dataclasses.replace(CAMERA, orthographic_height=1.0)))
