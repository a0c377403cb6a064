"""All baselines at tau = 0 draw the surface that the engine draws, whatever the instances, cameras and image sizes."""

import numpy as np
import pytest

from engine.asset import open_asset
from engine.camera import Camera
from engine.experiments.baseline import BASELINES
from engine.scene import Scene
from tests.frame.baselines.crowds import baseline, draw
from tests.frame.baselines.test_draw_triangles import OTHER_TRIANGLES

CAMERAS = [
    Camera(eye=(2.5, 1.0, 3.5), target=(0.0, 0.0, 0.0), near=0.01),  # among them
    Camera(eye=(0.1, 0.2, 0.3), target=(4.0, -1.0, 2.0), near=0.3, fov_degrees=100.0),
    Camera(eye=(-6.0, 3.0, 1.0), target=(0.0, 0.0, 0.0), orthographic_height=7.0),
]
SIZES = [(211, 97), (64, 1), (3, 2), (1, 1)]


@pytest.fixture(scope="module")
def sheared(sample_asset) -> Scene:
    """Return sheared and mirrored instances of three assets; some were removed."""
    generator = np.random.default_rng(1)
    scene = Scene([open_asset(sample_asset(kind)) for kind in ("sphere", "terrain", "foliage")])
    for asset in range(3):
        transforms = np.zeros((7, 3, 4))
        transforms[:, :, :3] = generator.normal(size=(7, 3, 3)) * generator.uniform(0.2, 0.7, (7, 1, 1))
        transforms[:, :, 3] = generator.uniform(-4.0, 4.0, (7, 3))
        assert len(set(np.sign(np.linalg.det(transforms[:, :, :3])))) == 2, "some are mirrored"
        scene.add_asset(asset, transforms)
    scene.remove_instances(np.array([0, 5, 9]))
    return scene


@pytest.mark.parametrize("name", ["clusters_frustum", "discrete_lods", "triangles_software", "triangles_hardware"])
def test_every_pixel_is_the_engines(device, renderer, sheared, name):
    drawer, covered = baseline(device, name), 0
    for size in SIZES:
        for camera in CAMERAS:
            depth, names, _ = draw(drawer, sheared, camera, size, error_pixels=0.0)
            expected_depth, expected_names, _ = draw(
                renderer, sheared, camera, size, error_pixels=0.0, raster="software"
            )
            covered += np.count_nonzero(expected_depth)
            if name == "triangles_hardware":
                assert np.count_nonzero((depth > 0) != (expected_depth > 0)) <= max(1, 1e-3 * depth.size)
                assert np.count_nonzero((names != expected_names).any(axis=0)) <= max(1, OTHER_TRIANGLES * depth.size)
            else:
                np.testing.assert_array_equal(depth.view(np.uint32), expected_depth.view(np.uint32))
    assert covered > 10_000


@pytest.mark.parametrize("name", BASELINES)
def test_a_scene_without_instances_is_an_empty_image_until_one_comes(device, sample_asset, name):
    scene, drawer = Scene([open_asset(sample_asset("sphere"))]), baseline(device, name)
    depth, _, statistics = draw(drawer, scene, CAMERAS[0], (64, 36))
    assert not depth.any() and not sum(statistics.triangles.values())
    scene.add_asset(0, np.eye(3, 4)[None])
    assert draw(drawer, scene, CAMERAS[0], (64, 36))[0].any()
