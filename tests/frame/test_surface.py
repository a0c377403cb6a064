"""What is read back of a visible triangle: its normal."""

import numpy as np
import pytest

from engine.builder import build
from engine.camera import Camera
from engine.scene import load_scene

TRIANGLE = "v -1 -1 0\nv 1 -1 0\nv 0 1 0\nvn 0.6 0 0.8\n"


@pytest.mark.parametrize("face", ["f 1//1 2//1 3//1\n", "f 3//1 2//1 1//1\n"])
@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_normals_face_the_eye_whatever_the_winding(renderer, tmp_path, face, mirror):
    (tmp_path / "a.obj").write_text(TRIANGLE + face)
    build([tmp_path / "a.obj"], tmp_path / "a.mlith")
    scene = load_scene(tmp_path / "a.mlith")
    scene.set_transforms(np.array([0]), np.diag([mirror, 1.0, 1.0, 1.0])[None])
    for side in (1.0, -1.0):
        camera = Camera((0.0, 0.0, 4.0 * side), (0.0, 0.0, 0.0))
        frame = renderer.render(scene, camera, size=(64, 64), aovs=("normal", "depth"))
        seen = np.isfinite(frame.aovs["depth"])
        assert seen.sum() > 100
        expected = np.array([0.6 * mirror, 0.0, 0.8]) * side
        np.testing.assert_allclose(frame.aovs["normal"][seen], np.tile(expected, (seen.sum(), 1)), atol=0.02)
