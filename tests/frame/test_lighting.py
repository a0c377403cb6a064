"""Light, tone curves and sRGB of the image."""

import numpy as np
import pytest

from engine import layout
from engine.camera import Camera
from engine.settings import FrameSettings
from tests.frame.quad_scene import FACING, quad_scene
from tests.gpu.probe import run_probe

DARK = {"light_intensity": 0.0, "sky_intensity": 0.0}
SIZE = (32, 32)


def encode(linear) -> np.ndarray:
    c = np.clip(np.asarray(linear, float), 0.0, 1.0)
    return np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055) * 255.0


def white(**fields):
    return {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0, **fields}}


def test_emission_arrives_exposed_and_coded(renderer, tmp_path):
    scene = quad_scene(tmp_path, [{"emissiveFactor": [0.4, 0.02, 1.0]}])
    settings = FrameSettings(tonemap="none", exposure=0.5, **DARK)
    image = renderer.render(scene, FACING, settings, SIZE).image
    np.testing.assert_allclose(image[..., :3], np.broadcast_to(encode([0.2, 0.01, 0.5]), (32, 32, 3)), atol=1.01)
    assert (image[..., 3] == 255).all()


def test_a_white_plane_across_the_light_sends_its_intensity_back(renderer, tmp_path):
    scene = quad_scene(tmp_path, [white()])
    values = {"tonemap": "none", "sky_intensity": 0.0, "light_intensity": 0.5}
    camera = Camera((0.0, 0.0, 4.0), (0.0, 0.0, 0.0), orthographic_height=2.0)
    across = FrameSettings(light_direction=(0.0, 0.0, 1.0), **values)
    slanted = FrameSettings(light_direction=(0.0, 0.866025, 0.5), **values)
    behind = FrameSettings(light_direction=(0.0, 0.0, -1.0), **values)
    linear = []
    for settings in (across, slanted, behind):
        code = renderer.render(scene, camera, settings, SIZE).image[16, 16, 0] / 255.0
        linear.append(((code + 0.055) / 1.055) ** 2.4 if code > 0.04045 else code / 12.92)
    assert linear[0] == pytest.approx(0.5, abs=0.02)  # diffuse 0.48, and a rough highlight of 0.04
    assert linear[1] == pytest.approx(0.25, abs=0.02)
    assert linear[2] == 0.0


def test_a_smooth_metal_mirrors_the_light_in_its_own_colour(renderer, tmp_path):
    metal = {"pbrMetallicRoughness": {"baseColorFactor": [1.0, 0.5, 0.0, 1.0], "roughnessFactor": 0.3}}
    scene = quad_scene(tmp_path, [metal])
    light = np.array([0.0, 0.6, 0.8])
    camera = Camera(eye=(0.0, -2.4, 3.2), target=(0.0, 0.0, 0.0), fov_degrees=40.0)
    settings = FrameSettings(light_direction=tuple(light), tonemap="none", sky_intensity=0.0, light_intensity=0.02)
    image = renderer.render(scene, camera, settings, (33, 33)).image.astype(int)
    brightest = np.unravel_index(image[..., 0].argmax(), (33, 33))
    assert np.hypot(*(np.array(brightest) - 16)) <= 2.0  # where eye and light lie opposite
    center = image[16, 16]
    assert center[0] > center[1] > 60 and center[2] <= 60
    assert image[16, 2, 0] < 0.7 * center[0]


def test_the_background_is_shown_as_it_is(renderer, tmp_path):
    scene = quad_scene(tmp_path, [white()])
    settings = FrameSettings(background=(0.2, 0.0, 1.0), exposure=0.1)
    away = Camera((0.0, 0.0, 4.0), (0.0, 0.0, 8.0))
    for view in ("shaded", "clusters"):
        image = renderer.render(scene, away, FrameSettings(view=view, background=(0.2, 0.0, 1.0)), SIZE).image
        np.testing.assert_allclose(image[..., :3], np.broadcast_to(encode(settings.background), (32, 32, 3)), atol=0.51)


CURVES = """
import package::tonemap::{tonemap};
import package::color::{srgb_encode};
import package::gbuffer::{octahedral, from_octahedral, pack_shared_exponent, unpack_shared_exponent};

@group(1) @binding(1) var<storage, read> colors: array<vec4f>;

fn value(i: u32) -> array<f32, 15> {
    let c = colors[i].xyz;
    let a = tonemap(0u, c);
    let b = tonemap(1u, c);
    let s = srgb_encode(c);
    let e = unpack_shared_exponent(pack_shared_exponent(c));
    let n = from_octahedral(octahedral(normalize(c - 1.0)));
    return array<f32, 15>(a.x, a.y, a.z, b.x, b.y, b.z, s.x, s.y, s.z, e.x, e.y, e.z, n.x, n.y, n.z);
}
"""


def khronos_neutral(color: np.ndarray) -> np.ndarray:
    """Return Khronos' PBR Neutral of one colour, written after the specification."""
    start, desaturation = 0.8 - 0.04, 0.15
    x = color.min()
    color = color - (x - 6.25 * x * x if x < 0.08 else 0.04)
    peak = color.max()
    if peak < start:
        return color
    d = 1.0 - start
    new_peak = 1.0 - d * d / (peak + d - start)
    color = color * new_peak / peak
    g = 1.0 - 1.0 / (desaturation * (peak - new_peak) + 1.0)
    return color * (1 - g) + new_peak * g


def test_curves_and_codes(device, tmp_path):
    assert [layout.CONSTANTS[f"TONEMAP_{name}"] for name in ("NEUTRAL", "ACES", "NONE")] == [0, 1, 2]
    random = np.random.default_rng(4)
    colors = np.zeros((300, 4), np.float32)
    colors[:, :3] = random.random((300, 3)) ** 3 * random.choice([0.1, 1.0, 4.0, 300.0], (300, 1))
    colors[0], colors[1, :3] = 0.0, 511.9
    seen = run_probe(device, tmp_path, CURVES, {"colors": colors}, 300, 15, {0: lambda kernel: kernel.bind(0, {})})
    light = colors[:, :3].astype(float)
    np.testing.assert_allclose(seen[:, :3], np.array([khronos_neutral(color) for color in light]), atol=1e-4)
    x = 0.6 * light
    aces = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)
    np.testing.assert_allclose(seen[:, 3:6], aces, atol=1e-4)
    np.testing.assert_allclose(seen[:, 6:9] * 255.0, encode(light), atol=0.05)
    largest = light.max(axis=1, keepdims=True)
    assert (np.abs(seen[:, 9:12] - light) <= largest / 500 + 1e-6).all()  # nine bits of the largest
    normals = (light - 1.0) / np.linalg.norm(light - 1.0, axis=1, keepdims=True)
    np.testing.assert_allclose(seen[:, 12:15], normals, atol=1e-5)
