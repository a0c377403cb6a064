"""Real scenes: each pixel's albedo against the file's textures, looked up in numpy at the UV that the pixel sees."""

import numpy as np
import pytest

from engine import layout
from engine.builder import build
from engine.camera import view_record
from engine.materials import srgb_to_linear
from engine.scene import load_scene
from engine.settings import FrameSettings
from engine.textures import decode_image
from tests.frame.test_emit_depth_targets import points_on

SIZE = (320, 180)


def seen_uvs(scene, frame, camera, pixels: np.ndarray) -> np.ndarray:
    """Return the UV (n, 2) float64 at the pixels (n, 2: row, column), from the triangles that they show."""
    asset = scene.assets[0]
    view = view_record(camera, SIZE, FrameSettings())
    axes = np.stack([view["right"], view["up"], view["forward"]]).astype(float)
    depth = frame.aovs["depth"].astype(float)
    plane = np.eye(4)
    plane[:3, 2] = axes[2]
    result = np.zeros((len(pixels), 2))
    for i, (row, column) in enumerate(pixels):
        plane[:3, 3] = np.array(camera.eye) + axes[2] * depth[row, column]
        point = points_on(plane, camera, SIZE)[row, column]
        geometry = asset.cluster_geometry(int(frame.aovs["cluster"][row, column]))
        corners = geometry.triangles[frame.aovs["triangle"][row, column]]
        instance = scene.instances[frame.aovs["instance"][row, column]]
        linear = np.stack([instance[f"linear_{axis}"] for axis in "xyz"], axis=1).astype(float)
        origin = instance["translation_high"].astype(float) + instance["translation_low"]
        a, b, c = geometry.positions[corners].astype(float) @ linear.T + origin
        weights = np.linalg.lstsq(np.stack([b - a, c - a], axis=1), point - a, rcond=None)[0]
        uv = geometry.uvs[corners].astype(float)
        result[i] = uv[0] + weights @ (uv[1:] - uv[0])
    return result


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chess_board", "flight_helmet", "vino_bike"])
def test_albedo_is_that_of_the_textures(renderer, meshes, tmp_path, name):
    if meshes is None:
        pytest.skip("real meshes are missing")
    build([meshes / "scenes" / f"{name}.glb"], tmp_path / "scene.mlith")
    scene = load_scene(tmp_path / "scene.mlith")
    camera = scene.default_camera()
    aovs = ("depth", "cluster", "triangle", "instance", "material", "albedo")
    frame = renderer.render(scene, camera, FrameSettings(), SIZE, aovs)
    material = frame.aovs["material"]
    covered = np.argwhere(material != layout.NONE)
    pixels = covered[np.random.default_rng(1).permutation(len(covered))[:400]]
    uvs = seen_uvs(scene, frame, camera, pixels)
    images = {}
    for number in np.unique(material[pixels[:, 0], pixels[:, 1]]):
        record = scene.materials[number]
        chosen = material[pixels[:, 0], pixels[:, 1]] == number
        texture = int(record["base_color_texture"])
        images[texture] = decode_image(scene.texture_image(texture)[1])
        height, width = images[texture].shape[:2]
        column, row = (np.floor(uvs[chosen] * (width, height)).astype(int) % (width, height)).T
        # A pixel is several texels wide: their mean against one of them, so single pixels may differ, means may not.
        truth = srgb_to_linear(images[texture][row, column, :3] / 255.0) * record["base_color"][:3]
        seen = frame.aovs["albedo"][pixels[chosen, 0], pixels[chosen, 1]]
        if chosen.sum() >= 30:
            tolerance = 0.02 + 3.0 * (seen - truth).std(axis=0) / np.sqrt(chosen.sum())
            assert (np.abs(seen.mean(axis=0) - truth.mean(axis=0)) < tolerance).all()
            assert np.median(np.abs(seen - truth)) < 0.04
