"""Which points of a masked material are holes."""

from types import SimpleNamespace

import numpy as np
import pytest

from engine import layout
from engine.camera import Camera
from engine.frame.texture_arrays import TextureArrays
from engine.gpu.buffers import buffer_from
from engine.materials import material, srgb_to_linear
from engine.settings import FrameSettings
from tests.frame.quad_scene import FACING, quad_scene
from tests.frame.test_emit_depth_targets import points_on
from tests.frame.test_surface import tables
from tests.gpu.probe import run_probe
from tests.test_textures import encoded

PROBE = """
import package::mask::{is_masked_out, mask_footprint};

@group(1) @binding(1) var<storage, read> points: array<vec4f>; // u, v, vertex alpha, footprint

fn value(i: u32) -> array<f32, 2> {
    let p = points[i];
    mask_footprint = p.w;
    return array<f32, 2>(f32(is_masked_out(0u, p.xy, p.z)), f32(is_masked_out(1u, p.xy, p.z)));
}
"""


def test_alpha_of_texture_factor_and_vertex_decide(device, tmp_path):
    image = np.zeros((8, 8, 4), np.uint8)
    image[:, ::2, 3] = 255  # every other column is there
    masked = {"base_color_texture": 0, "flags": layout.CONSTANTS["MATERIAL_MASKED"], "sampler": 0x100}
    records = np.array(
        [
            material(alpha_cutoff=0.5, **masked),
            material(alpha_cutoff=0.5, base_color=(1, 1, 1, 0.8), flags=masked["flags"]),
        ]
    )
    scene = SimpleNamespace(
        materials=records, textures=np.zeros((1, 2)), texture_image=lambda texture: ("leaf", encoded(image))
    )
    arrays = TextureArrays(device, scene)
    u = (np.arange(8) + 0.5) / 8
    points = np.zeros((16, 4), np.float32)
    points[:, 0], points[:, 1], points[:8, 2], points[8:, 2] = np.tile(u, 2), 0.3, 1.0, 0.6
    points = np.concatenate([points, points[:8]])
    points[16:, 3] = 1 / 4  # two texels wide: the mean, scaled so that half of it is there
    bindings = tables(device) | {"materials": buffer_from(device, "materials", records)}
    groups = {0: lambda kernel: kernel.bind(0, bindings), 2: arrays.bind_group}
    out = run_probe(device, tmp_path, PROBE, {"points": points}, 24, 2, groups, arrays.constants)
    assert out[:8, 0].tolist() == [0, 1] * 4
    assert out[8:16, 0].tolist() == [0, 1] * 4  # 0.6 of what is there still passes
    assert (out[:8, 1] == 0).all() and (out[8:16, 1] == 1).all()  # 0.8 passes, 0.48 does not
    assert len(set(out[16:, 0].tolist())) == 1  # no column is seen any more


@pytest.mark.parametrize("raster", ["software", "hardware"])
@pytest.mark.parametrize("size", [(24, 24), (160, 160)])
def test_holes_of_the_texture_are_holes_of_the_picture(renderer, tmp_path, raster, size):
    """Small triangles and large ones, near and far: what is seen through the mask is nothing."""
    image = np.full((8, 8, 4), 200, np.uint8)
    image[..., 3] = np.where(np.random.default_rng(9).random((8, 8)) < 0.5, 255, 0)
    leaf = {
        "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}},
        "alphaMode": "MASK",
        "alphaCutoff": 0.5,
    }
    scene = quad_scene(tmp_path, [leaf], [image], {"magFilter": 9728, "wrapS": 33071, "wrapT": 33071})
    frame = renderer.render(scene, FACING, FrameSettings(raster=raster), size, aovs=("depth", "albedo"))
    row, column = ((np.arange(n) * 8) // n for n in size)
    there = image[row[:, None], column[None], 3] > 0
    np.testing.assert_array_equal(np.isfinite(frame.aovs["depth"]), there)
    np.testing.assert_allclose(frame.aovs["albedo"][there], srgb_to_linear(np.array(200 / 255.0)), atol=0.005)


def test_a_mask_is_cut_where_the_near_plane_cuts_its_triangle(renderer, tmp_path):
    image = np.full((4, 4, 4), 255, np.uint8)
    image[:, :2, 3] = 0
    leaf = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}, "alphaMode": "MASK", "doubleSided": True}
    scene = quad_scene(tmp_path, [leaf], [image], {"magFilter": 9728, "wrapS": 33071, "wrapT": 33071})
    camera = Camera(eye=(0.3, 0.0, 0.15), target=(0.3, 1.0, -0.1), near=0.2)
    frame = renderer.render(scene, camera, FrameSettings(), (96, 64), aovs=("depth",))
    seen = np.isfinite(frame.aovs["depth"])
    points = points_on(np.eye(4), camera, (96, 64))
    inside = (np.abs(points[..., :2]) < 1).all(axis=-1) & (points[..., 1] > 0.25)
    sure = inside & (np.abs(points[..., 0]) > 0.03) & (np.abs(points[..., 1]) < 0.95)
    assert sure.sum() > 300
    np.testing.assert_array_equal(seen[sure], points[sure, 0] > 0.0)
