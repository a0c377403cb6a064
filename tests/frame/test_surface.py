"""What is read back of a visible triangle: its normal, where a pixel meets it, and how that changes."""

import numpy as np
import pytest

from engine import layout
from engine.builder import build
from engine.camera import Camera, view_record
from engine.gpu.buffers import UNIFORM, create_buffer
from engine.gpu.shader import link
from engine.scene import load_scene
from engine.settings import FrameSettings
from tests.gpu.probe import run_probe

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


WEIGHTS = """
import package::layout_frame::{View};
import package::surface::{hit_triangle};

struct Case {
    view: View,
    a: vec4f,
    b: vec4f,
    c: vec4f,
    pixel: vec2u,
}
@group(1) @binding(1) var<storage, read> cases: array<Case>;

fn value(i: u32) -> array<f32, 7> {
    let k = cases[i];
    let hit = hit_triangle(k.view, k.pixel, k.a.xyz, k.b.xyz - k.a.xyz, k.c.xyz - k.a.xyz);
    return array<f32, 7>(hit.weights.x, hit.weights.y, hit.weights.z, hit.dx.x, hit.dx.y, hit.dy.x, hit.dy.y);
}
"""


def exact_weights(camera: Camera, size, corners: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Return the barycentrics (3,) float64 of the triangle's point that the pixel position sees."""
    view = view_record(camera, size, FrameSettings(), bounds=(np.full(3, -9.0), np.full(3, 9.0)))
    axes = np.stack([view["right"], view["up"], view["forward"]]).astype(float)
    place = pixel / np.array(size) * 2 - 1
    place = np.array([place[0] / float(view["scale_x"]), -place[1] / float(view["scale_y"])])
    flat = corners @ axes.T
    if not camera.orthographic_height:
        return (lambda w: w / w.sum())(np.linalg.solve(flat.T, [*place, 1.0]))
    matrix = np.vstack([flat[:, :2].T, np.ones(3)])
    return np.linalg.solve(matrix, [*place, 1.0])


@pytest.mark.parametrize("height", [None, 2.0])
def test_weights_and_derivatives_are_those_of_the_ray(device, tmp_path, height):
    """Also of triangles of a pixel's size, whose corners nearly cancel."""
    size = (320, 180)
    camera = Camera((0.3, 0.2, 3.0), (0.1, 0.0, 0.0), fov_degrees=50.0, orthographic_height=height)
    view = view_record(camera, size, FrameSettings(), bounds=(np.full(3, -9.0), np.full(3, 9.0)))
    dtype = layout.parse_structs(
        layout.LAYOUT_TEXT + WEIGHTS.replace("view: View", f"view: array<u32, {layout.VIEW.itemsize // 4}>")
    )["Case"]
    assert layout.VIEW.itemsize % 16 == 0
    random = np.random.default_rng(6)
    cases, truth = [], []
    axes = np.stack([view["right"], view["up"], view["forward"]]).astype(float)
    while len(cases) < 200:
        pixel = random.integers(0, size)
        scale = random.choice([0.01, 0.05, 1.0])
        place = (pixel + 0.5) / np.array(size) * 2 - 1
        across = np.array([place[0] / float(view["scale_x"]), -place[1] / float(view["scale_y"])])
        depth = random.uniform(1.0, 6.0)
        center = np.array([*across * (1.0 if height else depth), depth]) @ axes
        corners = np.float32(center + random.normal(size=(3, 3)) * scale).astype(float)
        weights = exact_weights(camera, size, corners, pixel + 0.5)
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        slope = abs(normal @ (axes[2] if height else center / np.linalg.norm(center))) / np.linalg.norm(normal)
        if weights.min() < 0.05 or slope < 0.2:
            continue
        cases.append((corners, pixel))
        step = [exact_weights(camera, size, corners, pixel + 0.5 + h) - weights for h in ([1e-4, 0], [0, 1e-4])]
        truth.append(np.concatenate([weights, step[0][1:] * 1e4, step[1][1:] * 1e4]))
    records = np.zeros(len(cases), dtype)
    records["view"] = np.frombuffer(view.tobytes(), np.uint32)
    for name, corner in zip("abc", range(3)):
        records[name][:, :3] = [corners[corner] for corners, _ in cases]
    records["pixel"] = [pixel for _, pixel in cases]
    seen = run_probe(
        device, tmp_path, WEIGHTS, {"cases": records}, len(cases), 7, {0: lambda kernel: kernel.bind(0, tables(device))}
    )
    truth = np.array(truth)
    np.testing.assert_allclose(seen[:, :3], truth[:, :3], atol=2e-3)
    scale = np.abs(truth[:, 3:]).max(axis=1, keepdims=True)
    np.testing.assert_allclose(seen[:, 3:] / scale, truth[:, 3:] / scale, atol=5e-3)


def tables(device) -> dict:
    """Return something for every binding of group 0; the probe reads none of them."""
    names = [binding for binding in link("debug_view").bindings if binding.group == 0]
    storage, uniform = create_buffer(device, "nothing", 4096), create_buffer(device, "nothing", 1 << 14, UNIFORM)
    return {binding.name: uniform if binding.kind == "uniform" else storage for binding in names}
