"""Camera control: what each gesture does, at every scale, and that no stream of events breaks the camera."""

import math
from dataclasses import replace

import numpy as np
import pytest

from engine.camera import Camera, frame_bounds
from engine.viewer import camera_motion
from engine.viewer.controls import ANIMATION_SECONDS, LEFT, MIDDLE, RIGHT, SETTLE_SECONDS
from tests.viewer.gestures import FLAT, FRONT, SIZE, UNIT, controls_of, drag, key, pointer, projected, run, wheel


@pytest.mark.parametrize("camera", [FRONT, FLAT])
@pytest.mark.parametrize("modifiers", [(), ("Alt",)])
def test_left_drag_turns_about_the_target(camera, modifiers):
    controls = controls_of(camera)
    drag(controls, (100, 100), (190, 60), LEFT, modifiers)
    moved = controls.camera
    assert moved.target == camera.target
    assert moved.distance == pytest.approx(4.0)
    assert moved.eye[0] < -1.0 and moved.eye[1] < -1.0  # the picture follows the hand
    assert moved.orthographic_height == camera.orthographic_height


def test_a_drag_over_half_the_height_turns_by_a_quarter():
    controls = controls_of()
    drag(controls, (100, 100), (280, 100))
    np.testing.assert_allclose(controls.camera.eye, (-4.0, 0.0, 0.0), atol=1e-9)


@pytest.mark.parametrize("button", [LEFT, RIGHT])
@pytest.mark.parametrize("down", [5000, -5000])
def test_no_flip_over_the_poles(button, down):
    controls = controls_of()
    drag(controls, (100, 100), (100, 100 + down), button)
    right, _, forward = controls.camera.axes()
    np.testing.assert_allclose(right, (1, 0, 0), atol=1e-9)
    assert abs(math.degrees(math.asin(forward[1]))) == pytest.approx(89.5)


def test_turns_about_any_up():
    up = np.array([1.0, 2.0, -0.5])
    camera = Camera((0.0, 0.0, 4.0), (0.0, 0.0, 0.0), tuple(up))
    controls = controls_of(camera)
    height = camera.axes()[2] @ up
    drag(controls, (100, 100), (300, 100))
    assert controls.camera.axes()[2] @ up == pytest.approx(height)
    assert controls.camera.up == camera.up


def test_right_drag_looks_around_the_eye():
    controls = controls_of()
    drag(controls, (100, 100), (200, 160), RIGHT)
    assert controls.camera.eye == pytest.approx(FRONT.eye)
    forward = controls.camera.axes()[2]
    assert forward[0] > 0.1 and forward[1] < -0.1
    assert controls.camera.distance == pytest.approx(4.0)


@pytest.mark.parametrize("camera", [FRONT, FLAT])
@pytest.mark.parametrize(("button", "modifiers"), [(MIDDLE, ()), (LEFT, ("Shift",))])
def test_pan_keeps_what_is_at_the_targets_depth_under_the_cursor(camera, button, modifiers):
    controls = controls_of(camera)
    point = camera_motion.point_at(camera, SIZE, 150.0, 90.0, camera.distance)
    np.testing.assert_allclose(projected(camera, point), (150, 90), atol=1e-4)
    drag(controls, (150, 90), (420, 250), button, modifiers)
    np.testing.assert_allclose(projected(controls.camera, point), (420, 250), atol=1e-3)
    np.testing.assert_allclose(controls.camera.axes(), camera.axes(), atol=1e-12)


def test_wheel_zooms_in_geometric_steps():
    controls, distances = controls_of(), []
    for _ in range(4):
        distances.append(controls.camera.distance)
        wheel(controls, 1)
    ratios = np.divide(distances[1:], distances[:-1])
    assert ratios == pytest.approx([ratios[0]] * 3) and ratios[0] < 0.9
    wheel(controls, -4)
    assert controls.camera.distance == pytest.approx(4.0)
    assert controls.camera.target == FRONT.target


@pytest.mark.parametrize("camera", [FRONT, FLAT])
def test_wheel_zooms_to_a_known_surface(camera):
    controls = controls_of(camera)
    point = camera_motion.point_at(camera, SIZE, 200.0, 120.0, 3.0)
    controls.note_surface(200, 120, point)
    for _ in range(5):
        wheel(controls, 1, 200, 120)
    np.testing.assert_allclose(projected(controls.camera, point), (200, 120), atol=1e-2)
    assert camera_motion.scale_of(controls.camera) == pytest.approx(camera_motion.scale_of(camera) / 1.15**5)


def test_zoom_to_a_surface_leaves_the_depth_of_an_orthographic_eye():
    controls = controls_of(FLAT)
    controls.note_surface(200, 120, camera_motion.point_at(FLAT, SIZE, 200.0, 120.0, 3.0))
    wheel(controls, 3, 200, 120)
    assert controls.camera.eye[2] == pytest.approx(4.0)


def test_a_camera_much_too_near_its_target_can_go_anywhere():
    controls = controls_of(Camera((1e-14, 1e-14, 1e-14), (0.0, 0.0, 0.0)))
    controls.speed = 1e3
    key(controls, "d")
    run(controls, 10.0, 50)
    assert controls.camera.target[0] > 10.0 and controls.camera.distance > 0.0


def test_a_surface_noted_elsewhere_or_no_longer_seen_there_is_not_zoomed_to():
    controls = controls_of()
    controls.note_surface(200, 120, camera_motion.point_at(FRONT, SIZE, 200.0, 120.0, 3.0))
    assert controls.surface_at(200, 120) is not None
    assert controls.surface_at(240, 120) is None
    drag(controls, (10, 10), (200, 40))
    assert controls.surface_at(200, 120) is None


def test_wheel_changes_an_orthographic_height_alone():
    controls = controls_of(FLAT)
    wheel(controls, 2)
    assert controls.camera == replace(FLAT, orthographic_height=controls.camera.orthographic_height)
    assert controls.camera.orthographic_height == pytest.approx(2.0 / 1.15**2)


def test_wheel_changes_the_speed_while_a_key_is_held():
    controls = controls_of()
    key(controls, "w")
    wheel(controls, 2)
    assert controls.camera == FRONT
    assert controls.speed == pytest.approx(1.25**2)


def test_speed_fits_the_scene_and_what_is_looked_at():
    for size in (1e-4, 1.0, 1e7):
        bounds = tuple((size * np.array(corner)).tolist() for corner in UNIT)
        far = controls_of(Camera((0.0, 0.0, 50 * size), (0.0, 0.0, 49 * size)), bounds)
        near = controls_of(Camera((0.0, 0.0, 0.01 * size), (0.0, 0.0, 0.0)), bounds)
        assert far.length == pytest.approx(49 * size)
        assert near.length == pytest.approx(0.01 * size)
        near.note_surface(0, 0, (0.0, 0.0, 0.5 * size))
        assert near.length == pytest.approx(0.49 * size)


@pytest.mark.parametrize("camera", [FRONT, FLAT])
def test_focus_goes_smoothly_to_a_third_of_the_distance(camera):
    controls, point = controls_of(camera), (0.5, 0.25, 1.0)
    controls.focus(point)
    controls.advance(ANIMATION_SECONDS / 3)
    assert controls.camera.target not in (camera.target, point) and controls.is_moving
    run(controls, 0.6)
    assert controls.camera.target == point and not controls.is_moving
    if camera is FLAT:
        assert controls.camera.orthographic_height == pytest.approx(2.0 / 3.0)
    else:
        assert controls.camera.distance == pytest.approx(math.dist(camera.eye, point) / 3.0)
    np.testing.assert_allclose(controls.camera.axes(), camera.axes(), atol=1e-12)


def test_focus_refuses_what_is_no_point():
    with pytest.raises(ValueError, match="cannot focus on"):
        controls_of().focus((0.0, math.nan, 0.0))


def test_frame_all_sees_the_whole_box_from_the_same_side():
    camera = Camera((3.0, 2.0, 0.5), (2.9, 1.95, 0.5), fov_degrees=30.0, near=1e-3)
    controls = controls_of(camera)
    controls.frame_all()
    run(controls)
    expected = frame_bounds(*UNIT, tuple(-camera.axes()[2]), 30.0, SIZE[0] / SIZE[1])
    np.testing.assert_allclose(controls.camera.eye, expected.eye, rtol=1e-9)
    assert controls.camera.near == 1e-3


def test_frame_all_of_an_orthographic_view():
    controls = controls_of(Camera((3.0, 2.0, 0.5), (0.0, 0.0, 0.0), near=5.0, orthographic_height=0.01))
    controls.frame_all()
    run(controls)
    camera = controls.camera
    corners = np.array(np.meshgrid(*zip(*UNIT))).reshape(3, 8).T
    pixels = np.array([projected(camera, corner) for corner in corners])
    assert pixels.min() >= 0.0 and np.all(pixels.max(axis=0) <= SIZE)
    assert min(pixels[:, 0].min() / SIZE[0], pixels[:, 1].min() / SIZE[1]) == pytest.approx(0.5 - 0.5 / 1.05, abs=1e-6)
    assert ((corners - camera.eye) @ camera.axes()[2]).min() > camera.near_distance


@pytest.mark.parametrize("touch", ["pointer", "wheel", "key"])
def test_any_input_ends_an_animation(touch):
    controls = controls_of()
    controls.frame_all(((0, 0, 0), (0.1, 0.1, 0.1)))
    controls.advance(0.1)
    if touch == "pointer":
        pointer(controls, "down", 10, 10)
    elif touch == "wheel":
        wheel(controls, 0)
    else:
        key(controls, "w")
        key(controls, "w", "up")
    stopped = controls.camera
    controls.advance(1.0)
    assert controls.camera == stopped


def test_a_click_is_short_near_and_moves_nothing():
    controls = controls_of()
    pointer(controls, "down", 10, 20, LEFT, ("Control",), time_stamp=5.0)
    pointer(controls, "move", 12, 21, LEFT)
    assert not controls.is_moving
    pointer(controls, "up", 12, 21, LEFT, time_stamp=5.3)
    assert controls.take_click() == (10, 20, LEFT, ("Control",))
    assert controls.take_click() is None
    assert controls.camera == FRONT


@pytest.mark.parametrize(("end", "seconds"), [((10, 24), 0.1), ((11, 20), 0.5)])
def test_what_is_long_or_far_is_no_click(end, seconds):
    controls = controls_of()
    pointer(controls, "down", 10, 20, time_stamp=5.0)
    pointer(controls, "move", *end)
    pointer(controls, "up", *end, time_stamp=5.0 + seconds)
    assert controls.take_click() is None


def test_a_drag_back_to_its_start_is_no_click_and_brings_the_camera_back():
    controls = controls_of()
    pointer(controls, "down", 10, 20, time_stamp=0.0)
    for place in ((50, 30), (10, 20)):
        pointer(controls, "move", *place)
    pointer(controls, "up", 10, 20, time_stamp=0.1)
    assert controls.take_click() is None
    np.testing.assert_allclose(controls.camera.eye, FRONT.eye, atol=1e-12)


def test_a_double_click_is_handed_on_once():
    controls = controls_of()
    controls.handle_event({"event_type": "double_click", "x": 5, "y": 6, "button": LEFT, "modifiers": ()})
    assert controls.take_double_click()[:2] == (5, 6)
    assert controls.take_double_click() is None


def test_a_release_that_nobody_saw_ends_the_drag():
    controls = controls_of()
    drag(controls, (10, 10), (60, 60), release=False)
    moved = controls.camera
    pointer(controls, "move", 200, 200, buttons=())
    pointer(controls, "move", 250, 200)
    assert controls.camera == moved


def test_a_move_that_was_made_before_the_press_and_comes_after_it_ends_no_drag():
    controls = controls_of()
    pointer(controls, "down", 10, 10, time_stamp=32.918)
    pointer(controls, "move", 10, 10, buttons=(), time_stamp=32.91)
    pointer(controls, "move", 60, 10, time_stamp=33.06)
    assert controls.camera.eye != FRONT.eye


def test_is_moving_while_dragged_and_a_moment_longer():
    controls = controls_of()
    assert not controls.is_moving
    drag(controls, (10, 10), (60, 60), release=False)
    assert controls.advance(0.0)
    controls.advance(5.0)
    assert controls.is_moving
    pointer(controls, "up", 60, 60)
    wheel(controls, 1)
    assert controls.advance(0.01) and controls.is_moving
    controls.advance(SETTLE_SECONDS)
    assert not controls.is_moving


def test_setting_the_camera_ends_all_motion():
    controls = controls_of()
    key(controls, "w")
    controls.advance(0.1)
    controls.frame_all()
    controls.camera = FLAT
    run(controls)
    assert controls.camera == FLAT


def test_zoom_keeps_a_near_plane_and_stops_before_it():
    controls = controls_of(replace(FRONT, near=0.5))
    wheel(controls, 10)
    wheel(controls, 10)
    assert controls.camera.near == 0.5
    assert controls.camera.distance == pytest.approx(1.0)
    controls.camera = replace(FRONT, near=3.0)
    wheel(controls, 1)
    assert controls.camera.distance == 4.0  # no step back
