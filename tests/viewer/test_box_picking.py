"""A click on drawn boxes finds the one that it means."""

import numpy as np
import pytest

from engine.camera import Camera, view_record
from engine.settings import FrameSettings
from engine.viewer.box_picking import REACH_PIXELS, box_at

SIZE = (200, 100)
CAMERAS = {
    "perspective": Camera((0.0, 0.0, 10.0), (0.0, 0.0, 0.0), fov_degrees=60.0),
    "orthographic": Camera((0.0, 0.0, 10.0), (0.0, 0.0, 0.0), orthographic_height=8.0),
}


@pytest.fixture(params=CAMERAS)
def camera(request) -> Camera:
    return CAMERAS[request.param]


def pixel_of(camera: Camera, point) -> np.ndarray:
    """Return where a point (3,) of the world lies in the image, (2,) pixels."""
    view = view_record(camera, SIZE, FrameSettings())
    place = camera.axes() @ np.subtract(point, camera.eye)
    across = place[:2] * (view["scale_x"], view["scale_y"]) / (1.0 if camera.orthographic_height else place[2])
    return (across * (1, -1) + 1) / 2 * SIZE


def cubes(*places: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes, record indices from 100 on, of cubes given by centre and half edge."""
    table = np.array(places, float)
    return table[:, :3], table[:, 3, None, None] * np.eye(3), 100 + np.arange(len(table))


def test_the_edge_under_the_click(camera):
    boxes = cubes((-2.0, 0.0, 0.0, 1.0), (2.0, 0.0, 0.0, 1.0))
    for number, x in ((100, -1.0), (101, 1.0), (101, 3.0)):
        edge = pixel_of(camera, (x, 0.0, 1.0))
        for offset in (0.0, 3.0, -3.0):
            assert box_at(boxes, camera, SIZE, edge[0] + offset, edge[1]) == number


def test_nothing_there(camera):
    boxes = cubes((2.0, 0.0, 0.0, 0.5))
    corner = pixel_of(camera, (2.5, 0.5, 0.5))
    assert box_at(boxes, camera, SIZE, corner[0] + 0.9 * REACH_PIXELS, corner[1]) == 100
    assert box_at(boxes, camera, SIZE, corner[0] + 1.1 * REACH_PIXELS, corner[1]) is None
    assert box_at((np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros(0, int)), camera, SIZE, 3.0, 3.0) is None


def test_of_edges_that_coincide_the_nearest_to_the_eye(camera):
    near, far = (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, -2.0, 1.0)  # they share a face
    edge = pixel_of(camera, (1.0, 0.3, -1.0))
    assert box_at(cubes(near, far), camera, SIZE, *edge) in (100, 101)
    nearest = pixel_of(camera, (1.0, 0.3, 1.0))
    assert box_at(cubes(far, near), camera, SIZE, *nearest) == 101
    assert box_at(cubes(near, far), camera, SIZE, *nearest) == 100


def test_of_edges_nearly_under_the_click_the_nearest_to_the_eye(camera):
    boxes = cubes((1.0, 0.0, -5.0, 0.5), (0.0, 0.0, 5.0, 0.2))
    boxes[1][1, 2] = 0.0  # flat
    edge = pixel_of(camera, (1.5, 0.0, -4.5))
    origin = pixel_of(camera, (0.0, 0.0, 5.0))[0]
    per_metre = pixel_of(camera, (1.0, 0.0, 5.0))[0] - origin
    for pixels, expected in ((1.0, 101), (2.0, 100)):
        boxes[0][1, 0] = (edge[0] + pixels - origin) / per_metre + 0.2  # its left edge lies so many pixels to the right
        assert box_at(boxes, camera, SIZE, *edge) == expected


def test_inside_the_smallest_wins(camera):
    boxes = cubes((0.0, 0.0, 0.0, 3.4), (0.0, 0.0, 0.0, 2.0), (0.0, 0.0, 0.0, 2.7))
    assert box_at(boxes, camera, SIZE, SIZE[0] / 2, SIZE[1] / 2) == 101
    left = pixel_of(camera, (-2.35, 0.0, 2.7))
    assert box_at(cubes((0.0, 0.0, 0.0, 4.0), (0.0, 0.0, 0.0, 30.0)), camera, SIZE, *left) in (100, 101)


def test_a_flat_box_and_one_around_the_eye():
    camera = CAMERAS["perspective"]
    flat = np.array([[0.0, 0.0, 0.0]]), np.diag([3.0, 3.0, 0.0])[None], [7]
    assert box_at(flat, camera, SIZE, 100.0, 50.0) == 7
    around = cubes((0.0, 0.0, 10.0, 5.0), (0.0, 0.0, 0.0, 50.0))
    assert box_at(around, camera, SIZE, 100.0, 50.0) == 100
    behind = cubes((0.0, 0.0, 20.0, 1.0))
    for x, y in ((100.0, 50.0), (80.0, 50.0), (1.0, 1.0)):
        assert box_at(behind, camera, SIZE, x, y) is None


def test_an_edge_that_passes_the_eye_is_cut():
    camera = CAMERAS["perspective"]
    long = np.array([[0.5, -0.5, 0.0]]), np.diag([0.5, 0.5, 40.0])[None], [3]
    edge = pixel_of(camera, (1.0, -1.0, 5.0))
    assert box_at(long, camera, SIZE, *edge) == 3
    mirrored = SIZE - edge  # where the part behind the eye would appear
    assert box_at(long, camera, SIZE, *mirrored) is None


def test_a_turned_box(camera):
    angle = np.deg2rad(45.0)
    turn = np.array([[np.cos(angle), np.sin(angle), 0.0], [-np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    boxes = np.zeros((1, 3)), (2.0 * turn)[None], [0]
    corner = pixel_of(camera, (2.0 * np.sqrt(2.0), 0.0, 2.0))
    assert box_at(boxes, camera, SIZE, corner[0] + 4.0, corner[1]) == 0
    assert box_at(boxes, camera, SIZE, corner[0], corner[1] + 25.0) is None
