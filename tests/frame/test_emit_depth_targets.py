"""Depth, velocity and material of every pixel."""

import numpy as np
import pytest

from engine import layout
from engine.camera import Camera, view_record
from engine.gpu.buffers import read_buffer
from engine.scene import load_scene
from engine.settings import FrameSettings
from tests.frame.quad_scene import quad_scene
from tests.frame.test_base_pass import WIDE, user_scene  # noqa: F401

SIZE = (97, 61)
CAMERA = Camera(eye=(0.8, 0.5, 3.0), target=(0.2, 0.1, 0.0), fov_degrees=50.0)
TILT = np.array([[0.8, 0.0, 0.6, 0.1], [0.0, 1.0, 0.0, -0.2], [-0.6, 0.0, 0.8, 0.3], [0.0, 0.0, 0.0, 1.0]])


def target(renderer, name: str, dtype) -> np.ndarray:
    width, height = renderer._context.view.size
    buffer = renderer._context.view.resources[name]
    return read_buffer(renderer.device, buffer, np.dtype(dtype), width * height).reshape(height, width)


def pixels_of(camera: Camera, points: np.ndarray, size=SIZE) -> np.ndarray:
    """Return where world points (..., 3) lie on the screen, in pixels, float64."""
    view = view_record(camera, size, FrameSettings(), bounds=(np.full(3, -5.0), np.full(3, 5.0)))
    axes = np.stack([view["right"], view["up"], view["forward"]]).astype(float)
    x, y, depth = np.moveaxis((points - np.array(camera.eye)) @ axes.T, -1, 0)
    depth = np.ones_like(depth) if camera.orthographic_height else depth
    ndc = np.stack([x * float(view["scale_x"]), -y * float(view["scale_y"])], axis=-1) / depth[..., None]
    return (0.5 * ndc + 0.5) * np.array(size)


def points_on(plane: np.ndarray, camera: Camera, size=SIZE) -> np.ndarray:
    """Return the world points (h, w, 3) where pixel centres see the plane z = 0 of the frame `plane` (4, 4)."""
    view = view_record(camera, size, FrameSettings(), bounds=(np.full(3, -5.0), np.full(3, 5.0)))
    right, up, forward = (view[name].astype(float) for name in ("right", "up", "forward"))
    x = ((np.arange(size[0]) + 0.5) / size[0] * 2 - 1) / float(view["scale_x"])
    y = (1 - (np.arange(size[1]) + 0.5) / size[1] * 2) / float(view["scale_y"])
    across = right * x[None, :, None] + up * y[:, None, None]
    eye, direction = np.array(camera.eye), across + forward
    if camera.orthographic_height:
        eye, direction = eye + across, np.broadcast_to(forward, across.shape)
    normal, origin = plane[:3, 2], plane[:3, 3]
    return eye + direction * (((origin - eye) @ normal) / (direction @ normal))[..., None]


@pytest.mark.parametrize("height", [None, 3.0])
def test_velocity_is_the_movement_of_projected_points(renderer, tmp_path, height):
    scene = quad_scene(tmp_path, [{"doubleSided": True}])
    before = Camera(CAMERA.eye, CAMERA.target, fov_degrees=50.0, orthographic_height=height)
    after = Camera((0.9, 0.42, 2.9), (0.22, 0.1, 0.05), fov_degrees=50.0, orthographic_height=height)
    moved = TILT.copy()
    moved[:3, 3] += (0.05, -0.03, 0.02)
    scene.set_transforms(np.array([0]), TILT[None])
    renderer.render(scene, before, FrameSettings(), SIZE)
    renderer.render(scene, before, FrameSettings(), SIZE)
    assert (target(renderer, "velocity", np.uint32) == 0).all()  # nothing moved
    scene.set_transforms(np.array([0]), moved[None])
    seen = renderer.render(scene, after, FrameSettings(), SIZE, aovs=("velocity", "depth")).aovs
    covered = np.isfinite(seen["depth"])
    assert covered.mean() > 0.1
    points = points_on(moved, after)
    object_points = (points - moved[:3, 3]) @ moved[:3, :3]
    was = object_points @ TILT[:3, :3].T + TILT[:3, 3]
    expected = pixels_of(after, points) - pixels_of(before, was)
    np.testing.assert_allclose(seen["velocity"][covered], expected[covered], atol=0.005)
    assert np.abs(expected[covered]).max() > 0.5
    assert (seen["velocity"][~covered] == 0.0).all()


def test_a_new_instance_has_no_velocity(renderer, tmp_path):
    scene = quad_scene(tmp_path, [{}])
    renderer.render(scene, CAMERA, FrameSettings(), SIZE)
    scene.remove_instances(np.array([0]))
    scene.add_instances(0, TILT[None])
    seen = renderer.render(scene, CAMERA, FrameSettings(), SIZE, aovs=("velocity", "depth")).aovs
    assert np.isfinite(seen["depth"]).mean() > 0.1
    assert (seen["velocity"] == 0.0).all()


@pytest.mark.parametrize("height", [None, 3.0])
def test_depth_is_that_of_the_plane(renderer, tmp_path, height):
    scene = quad_scene(tmp_path, [{"doubleSided": True}])
    scene.set_transforms(np.array([0]), TILT[None])
    camera = Camera(CAMERA.eye, CAMERA.target, fov_degrees=50.0, orthographic_height=height)
    aov = renderer.render(scene, camera, FrameSettings(), SIZE, aovs=("depth",)).aovs["depth"]
    depth = target(renderer, "scene_depth", np.float32)
    covered = np.isfinite(aov)
    forward = view_record(camera, SIZE, FrameSettings(), bounds=(np.full(3, -5.0), np.full(3, 5.0)))["forward"]
    expected = (points_on(TILT, camera) - np.array(camera.eye)) @ forward.astype(float)
    inner = (
        covered & np.roll(covered, 1, 0) & np.roll(covered, -1, 0) & np.roll(covered, 1, 1) & np.roll(covered, -1, 1)
    )
    np.testing.assert_allclose(depth[inner], expected[inner], rtol=1e-5)
    np.testing.assert_array_equal(depth[covered], aov[covered])
    assert (depth[~covered] == 0.0).all()


def test_targets_are_those_of_base_pass_where_several_functions_wait(renderer, user_scene, tmp_path):  # noqa: F811
    """emit_depth_targets, which runs for two functions, agrees with base_pass, which writes them for one."""
    names = {"scene_depth": np.float32, "velocity": np.uint32, "material_target": np.uint32}
    camera = Camera((1.5, 0.5, 5.0), (1.0, 0.0, 0.0))
    moved = Camera((1.4, 0.5, 5.0), (1.0, 0.1, 0.0))
    results = []
    for scene in (user_scene, load_scene(tmp_path / "quad.mlith")):
        renderer.render(scene, camera, FrameSettings(), (64, 40))
        material = renderer.render(scene, moved, FrameSettings(), (64, 40), aovs=("material",)).aovs["material"]
        results.append({name: target(renderer, name, dtype) for name, dtype in names.items()})
        word = results[-1]["material_target"]
        covered = material != layout.NONE
        assert ((word & layout.CONSTANTS["TARGET_COVERED"]) != 0).tolist() == covered.tolist()
        np.testing.assert_array_equal(word[covered] & layout.CONSTANTS["TARGET_MATERIAL_MASK"], material[covered])
        shader = word[covered] >> layout.CONSTANTS["TARGET_SHADER_SHIFT"] & 127
        np.testing.assert_array_equal(shader, scene.materials["shader"][material[covered]])
    assert np.unique(material[covered]).tolist() == [0, 1]
    for name in ("scene_depth", "velocity"):
        np.testing.assert_array_equal(results[0][name], results[1][name])
    assert renderer._passes.material_passes._emit is None
