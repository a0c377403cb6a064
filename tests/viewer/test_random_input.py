"""No stream of events breaks the camera, and the same events give the same camera."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from engine.camera import Camera, frame_bounds, view_record
from engine.settings import FrameSettings
from engine.viewer.controls import LEFT, MIDDLE, RIGHT
from tests.viewer.gestures import SIZE, controls_of


def random_event(generator: random.Random) -> dict:
    kinds = "pointer_down pointer_move pointer_move pointer_move pointer_up wheel key_down key_up double_click resize"
    wide = generator.random() < 0.05
    place = {"x": generator.uniform(-1e6, 1e6) if wide else generator.uniform(0, 640), "y": generator.uniform(-50, 400)}
    button = generator.choice([LEFT, LEFT, RIGHT, MIDDLE])
    return {
        "event_type": generator.choice(kinds.split()),
        **place,
        "button": button,
        "buttons": generator.choice([(), (LEFT,), (LEFT, RIGHT, MIDDLE)]),
        "modifiers": generator.choice([(), (), ("Shift",), ("Alt",), ("Control", "Shift")]),
        "key": generator.choice(["w", "A", "s", "d", "q", "E", "Shift", "F5"]),
        "dx": 0.0,
        "dy": generator.choice([100.0, -100.0, 3.5, -1e5, 1e5]),
        "width": generator.choice([640, 1, 0]),
        "height": generator.choice([360, 1, 0]),
    }


def after_random_events(seed: int) -> list[Camera]:
    """Return the cameras of a random walk in a random scene."""
    generator = random.Random(seed)
    size, far = 10.0 ** generator.uniform(-4, 7), generator.choice([0.0, 1.0, 1e3])
    centre = np.array([generator.uniform(-1, 1) * far * size for _ in range(3)])
    bounds = tuple(
        (centre + side * size * np.array([1.0, generator.choice([0.0, 0.5]), 1.0])).tolist() for side in (-1, 1)
    )
    up = tuple(generator.gauss(0, 1) for _ in range(3))
    camera = frame_bounds(*bounds, (1.0, 2.0, 3.0), generator.choice([10.0, 45.0, 120.0]), up=up)
    camera = replace(
        camera,
        near=generator.choice([None, 1e-3 * size]),
        orthographic_height=generator.choice([None, size]),
    )
    controls, cameras = controls_of(camera, bounds), []
    for _ in range(400):
        controls.handle_event(random_event(generator))
        chance = generator.random()
        if chance < 0.05:
            controls.focus([c + generator.uniform(-2, 2) * size for c in centre])
        elif chance < 0.1:
            controls.frame_all()
        elif chance < 0.15:
            controls.note_surface(320, 180, [c + generator.uniform(-2, 2) * size for c in centre])
        elif chance < 0.18:
            controls.release_all()
        controls.advance(generator.choice([0.0, 0.004, 0.016, 0.3, 10.0]))
        cameras.append(controls.camera)
    return cameras


@pytest.mark.parametrize("seed", range(40))
def test_no_stream_of_events_breaks_the_camera(seed):
    cameras = after_random_events(seed)
    first = cameras[0]
    for camera in cameras:  # each was checked when it was made
        assert math.degrees(math.asin(min(abs(camera.axes()[2] @ camera.up) / math.hypot(*camera.up), 1.0))) < 89.6
        assert camera.up == first.up and camera.near == first.near and camera.fov_degrees == first.fov_degrees
        assert (camera.orthographic_height is None) == (first.orthographic_height is None)
        view_record(camera, SIZE, FrameSettings())


def test_the_same_events_give_the_same_camera():
    assert after_random_events(7) == after_random_events(7)
