"""Flying with the keys: the way does not depend on the frame rate, and begins and ends softly."""

import numpy as np
import pytest

from engine.camera import Camera
from tests.viewer.gestures import FRONT, controls_of, key, run


@pytest.mark.parametrize(
    ("name", "axis", "sign"), [("w", 2, -1), ("s", 2, 1), ("d", 0, 1), ("a", 0, -1), ("e", 1, 1), ("q", 1, -1)]
)
def test_keys_fly(name, axis, sign):
    controls = controls_of()
    key(controls, name)
    run(controls)
    moved = np.subtract(controls.camera.eye, FRONT.eye)
    assert sign * moved[axis] > 1.0
    assert np.abs(np.delete(moved, axis)).max() < 1e-12
    np.testing.assert_allclose(np.subtract(controls.camera.target, FRONT.target), moved, atol=1e-12)


def test_e_rises_along_up_whatever_the_view():
    controls = controls_of(Camera((0.0, 0.5, 0.1), (0.3, 0.0, 0.0)))
    key(controls, "E", modifiers=("Shift",))
    controls.advance(0.1)
    moved = np.subtract(controls.camera.eye, (0.0, 0.5, 0.1))
    np.testing.assert_allclose(moved / np.linalg.norm(moved), (0, 1, 0), atol=1e-9)


def way_of(divisions, name="w", modifiers=(), camera=Camera((0.0, 0.0, 0.5), (0.0, 0.0, 0.0))):
    """Return how far a key held for 0.2 s and released leads, with steps of the given seconds."""
    controls = controls_of(camera)
    key(controls, name, modifiers=modifiers)
    controls.advance(0.0)
    for seconds in divisions:
        controls.advance(seconds)
    key(controls, name, "up")
    for seconds in divisions:
        controls.advance(seconds)
    return np.subtract(controls.camera.eye, camera.eye)


def test_flight_does_not_depend_on_the_frame_rate():
    whole = way_of([0.2])
    np.testing.assert_allclose(way_of([0.1, 0.1]), whole, rtol=1e-12)
    np.testing.assert_allclose(way_of([0.013, 0.12, 0.067]), whole, rtol=1e-12)
    np.testing.assert_allclose(way_of([0.002] * 100), whole, rtol=1e-12)


def test_the_whole_way_until_rest_does_not_depend_on_the_frame_rate():
    ways = []
    for steps in (20, 33, 500):
        controls = controls_of(Camera((0.0, 0.0, 0.5), (0.0, 0.0, 0.0)))
        key(controls, "d")
        for _ in range(10):
            controls.advance(0.02)
        key(controls, "d", "up")
        run(controls, 4.0, steps)
        assert not controls.is_moving
        ways.append(controls.camera.eye[0])
    np.testing.assert_allclose(ways, ways[0], rtol=1e-9)


def test_shift_flies_faster():
    fast, slow = way_of([0.1], "d", ("Shift",))[0], way_of([0.1], "d")[0]
    assert 4.0 < fast / slow <= 5.0


def test_flight_starts_and_stops_softly():
    controls, ways = controls_of(Camera((0.0, 0.0, 0.5), (0.0, 0.0, 0.0))), []
    key(controls, "d")
    for frame in range(40):
        if frame == 20:
            controls.release_all()
        before = controls.camera.eye[0]
        controls.advance(1 / 60)
        ways.append(controls.camera.eye[0] - before)
    assert np.all(np.diff(ways[:20]) > 0) and np.all(np.diff(ways[20:]) < 0)
    run(controls, 2.0)
    assert not controls.is_moving
    still = controls.camera
    assert not controls.advance(0.1) and controls.camera == still


def test_a_motion_that_begins_after_a_long_rest_begins_gently():
    controls = controls_of()
    key(controls, "d")
    controls.advance(60.0)
    assert 0.0 < controls.camera.eye[0] < 0.02
    controls.camera = FRONT
    controls.focus((1.0, 0.0, 0.0))
    controls.advance(60.0)
    assert 0.0 < controls.camera.target[0] < 0.02


def test_opposite_keys_cancel_and_commands_do_not_fly():
    controls = controls_of()
    key(controls, "w")
    key(controls, "s")
    key(controls, "d", modifiers=("Control",))
    run(controls)
    assert controls.camera == FRONT and not controls.is_moving
