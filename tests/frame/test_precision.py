"""Law 5: places and scales at which naive single precision falls apart."""

import numpy as np
import pytest

from engine.camera import Camera
from engine.scene import load_scene
from engine.settings import FrameSettings

SIZE = (161, 91)
EYE, TARGET = np.array([1.7, 1.1, 2.3]), np.array([0.05, 0.0, -0.1])


def picture(renderer, scene, transform: np.ndarray, eye: np.ndarray, target: np.ndarray, **camera):
    """Return (hit mask, depth) of the first instance placed by `transform`."""
    scene.set_transforms(np.array([0]), transform[None])
    frame = renderer.render(
        scene, Camera(tuple(eye), tuple(target), **camera), FrameSettings(), SIZE, aovs=("depth", "cluster")
    )
    return np.isfinite(frame.aovs["depth"]), frame.aovs["depth"], frame.aovs["cluster"]


def moved(offset, scale: float = 1.0) -> np.ndarray:
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = offset
    return matrix


@pytest.mark.parametrize("offset", [(1e6, -2e6, 3e6), (4.6e6, 0.0, 4.6e6), (-1e7, 1e7, 0.0)])
def test_far_from_the_world_origin_the_picture_is_the_same(renderer, sample_asset, offset):
    scene = load_scene(sample_asset("sphere", 5000))
    offset = np.array(offset)
    hit, depth, cluster = picture(renderer, scene, moved((0, 0, 0)), EYE, TARGET)
    far_hit, far_depth, far_cluster = picture(renderer, scene, moved(offset), EYE + offset, TARGET + offset)
    assert 0.05 < hit.mean() < 0.95
    assert (hit != far_hit).mean() < 0.001
    both = hit & far_hit
    # a pair of float32 keeps 1e7 to about 1e-7
    np.testing.assert_allclose(far_depth[both], depth[both], atol=5e-5)
    assert (cluster[both] != far_cluster[both]).mean() < 0.01


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_a_scaled_world_is_the_same_picture(renderer, sample_asset, scale):
    scene = load_scene(sample_asset("sphere", 5000))
    hit, depth, cluster = picture(renderer, scene, moved((0, 0, 0)), EYE, TARGET, near=0.01)
    arguments = moved((0, 0, 0), scale), EYE * scale, TARGET * scale
    scaled_hit, scaled_depth, scaled_cluster = picture(renderer, scene, *arguments, near=0.01 * scale)
    assert (hit != scaled_hit).mean() < 0.001
    both = hit & scaled_hit
    np.testing.assert_allclose(scaled_depth[both] / scale, depth[both], rtol=1e-4)
    assert (cluster[both] != scaled_cluster[both]).mean() < 0.01


def test_a_mirrored_instance_is_the_mirror_image(renderer, sample_asset):
    scene = load_scene(sample_asset("terrain", 20000))
    low, high = scene.bounds()
    centre, reach = 0.5 * (low + high), float(np.linalg.norm(high - low))
    eye = centre + np.array([0.0, 0.5 * reach, 0.8 * reach])
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirror[0, 3] = 2.0 * centre[0]
    hit, depth, _ = picture(renderer, scene, np.eye(4), eye, centre)
    mirrored_hit, mirrored_depth, _ = picture(renderer, scene, mirror, eye, centre)
    assert 0.05 < hit.mean() < 1.0
    assert (hit[:, ::-1] != mirrored_hit).mean() < 0.005
    both = hit[:, ::-1] & mirrored_hit
    close = np.isclose(mirrored_depth[both], depth[:, ::-1][both], rtol=2e-3)
    assert close.mean() > 0.98


def test_inside_a_closed_mesh_no_background_is_seen(renderer, sample_asset):
    scene = load_scene(sample_asset("sphere", 5000))
    for error_pixels in (0.0, 1.0, 8.0):
        camera = Camera(eye=(0.1, 0.05, -0.2), target=(1.0, 0.3, 0.4), fov_degrees=110.0)
        frame = renderer.render(scene, camera, FrameSettings(error_pixels=error_pixels), SIZE, aovs=("depth",))
        assert np.isfinite(frame.aovs["depth"]).all()
