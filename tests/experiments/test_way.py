"""The camera of each frame of an experiment."""

import numpy as np
import pytest

from engine.camera import Camera, CameraPath, format_camera, format_path, orbit
from engine.experiments.way import Way, read_way
from engine.scene import load_scene

SIZE = (160, 90)
KEYS = (
    Camera((0.0, 1.0, 5.0), (0.0, 0.0, 0.0)),
    Camera((5.0, 1.0, 0.0), (0.0, 0.0, 0.0)),
    Camera((4, 2, 1), (1, 0, 0)),
)


@pytest.fixture
def scene(sample_asset):
    return load_scene(sample_asset("sphere"))


def test_without_a_camera_it_is_an_orbit(scene, tmp_path):
    expected = orbit(scene.bounds(), 5, aspect=16 / 9)
    assert Way().cameras(scene, 5, SIZE) == read_way({"path": "orbit"}, tmp_path).cameras(scene, 5, SIZE) == expected


def test_a_named_camera_stands_still(scene):
    assert Way(kind="still").cameras(scene, 3, SIZE) == [scene.default_camera()] * 3
    scene.camera = KEYS[0]
    assert Way().cameras(scene, 3, SIZE) == [KEYS[0]] * 3
    assert Way(kind="orbit").cameras(scene, 3, SIZE) == orbit(scene.bounds(), 3, aspect=16 / 9)
    [one] = set(Way(options={"eye": (9.0, 0.0, 0.0)}).cameras(scene, 3, SIZE))
    assert (one.eye, one.target) == ((9.0, 0.0, 0.0), KEYS[0].target)


@pytest.mark.parametrize("closed", [False, True])
def test_keyframes_and_a_camera_file_are_the_same_way(scene, tmp_path, closed):
    path = CameraPath(KEYS, closed)
    (tmp_path / "way.camera").write_text(format_path(path), encoding="utf-8")
    tables = [{"eye": list(key.eye), "target": list(key.target)} for key in KEYS]
    expected = path.sample(7)
    assert read_way({"keyframes": tables, "closed": closed}, tmp_path / "a.toml").cameras(scene, 7, SIZE) == expected
    assert read_way({"path": "way.camera"}, tmp_path / "a.toml").cameras(scene, 7, SIZE) == expected


def test_units_of_the_box_move_with_the_scene(scene):
    low, high = scene.bounds()
    middle, half = 0.5 * (low + high), 0.5 * np.linalg.norm(high - low)
    key = Camera((0.0, 0.0, 2.0), (0.0, 1.0, 0.0), near=0.01)
    [camera] = Way("keyframes", CameraPath((key,)), "bounds").cameras(scene, 1, SIZE)
    np.testing.assert_allclose(camera.eye, middle + np.array([0.0, 0.0, 2.0 * half]))
    np.testing.assert_allclose(camera.target, middle + np.array([0.0, half, 0.0]))
    assert camera.near == pytest.approx(0.01 * half)
    assert camera.orthographic_height is None


def test_the_description_is_plain(scene):
    import json

    way = Way("keyframes", CameraPath(KEYS, True), "bounds")
    assert json.loads(json.dumps(way.describe()))["keyframes"][0] == "closed"


def test_the_description_holds_the_camera_of_a_file_not_its_name(tmp_path):
    file = tmp_path / "one.camera"
    file.write_text(format_path(CameraPath(KEYS[:1])), encoding="utf-8")
    assert Way(options={"camera": str(file)}).describe()["options"] == {"camera": format_camera(KEYS[0])}
