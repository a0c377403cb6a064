"""The G-buffer of known materials, and material functions of a user's."""

import numpy as np
import pytest

from engine.camera import Camera
from engine.gpu.shader import ShaderError
from engine.materials import srgb_to_linear
from engine.scene import load_scene
from engine.settings import FrameSettings
from tests.frame.quad_scene import FACING, quad_asset, quad_scene

ALL = ("albedo", "shading_normal", "roughness", "metallic", "occlusion", "emissive")
PLAIN = {
    "pbrMetallicRoughness": {"baseColorFactor": [0.5, 0.03, 0.8, 1.0], "metallicFactor": 0.25, "roughnessFactor": 0.6},
    "emissiveFactor": [0.0, 0.5, 1.0],
    "extensions": {"KHR_materials_emissive_strength": {"emissiveStrength": 12.0}},
}


def gbuffer(renderer, scene, size=(64, 64), camera=FACING, settings=None):
    return renderer.render(scene, camera, settings or FrameSettings(), size, aovs=ALL).aovs


def test_factors_arrive_in_the_gbuffer(renderer, tmp_path):
    aovs = gbuffer(renderer, quad_scene(tmp_path, [PLAIN]))
    everywhere = {
        "albedo": ([0.5, 0.03, 0.8], 2e-3),
        "shading_normal": ([0.0, 0.0, 1.0], 0.01),
        "roughness": (0.6, 0.003),
        "metallic": (0.25, 0.003),
        "occlusion": (1.0, 0.0),
        "emissive": ([0.0, 6.0, 12.0], 0.03),
    }
    for name, (value, tolerance) in everywhere.items():
        np.testing.assert_allclose(aovs[name], np.broadcast_to(value, aovs[name].shape), atol=tolerance, err_msg=name)


def test_every_texture_goes_where_it_belongs(renderer, tmp_path):
    random = np.random.default_rng(3)
    base, rough, occlusion, emissive = (random.integers(20, 236, (8, 8, 4), np.uint8) for _ in range(4))
    material = {
        "pbrMetallicRoughness": {
            "baseColorFactor": [1.0, 0.5, 1.0, 1.0],
            "baseColorTexture": {"index": 0},
            "metallicRoughnessTexture": {"index": 1},
            "roughnessFactor": 0.5,
        },
        "occlusionTexture": {"index": 2, "strength": 0.5},
        "emissiveTexture": {"index": 3},
        "emissiveFactor": [1.0, 1.0, 0.5],
    }
    sampler = {"magFilter": 9728, "wrapS": 33071, "wrapT": 33071}
    aovs = gbuffer(renderer, quad_scene(tmp_path, [material], [base, rough, occlusion, emissive], sampler))
    center = np.s_[4::8, 4::8]  # one pixel in each texel

    def linear(image):
        return srgb_to_linear(image[..., :3] / 255.0)

    np.testing.assert_allclose(aovs["albedo"][center], linear(base) * [1.0, 0.5, 1.0], atol=0.01)
    np.testing.assert_allclose(aovs["roughness"][center], rough[..., 1] / 255.0 * 0.5, atol=0.01)
    np.testing.assert_allclose(aovs["metallic"][center], rough[..., 2] / 255.0, atol=0.01)
    np.testing.assert_allclose(aovs["occlusion"][center], 0.5 + 0.5 * occlusion[..., 0] / 255.0, atol=0.01)
    np.testing.assert_allclose(aovs["emissive"][center], linear(emissive) * [1.0, 1.0, 0.5], atol=0.01)


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_a_normal_map_leans_along_the_image(renderer, tmp_path, mirror):
    """Red leans to where u grows, green to the top of the image; on the mirrored object, too."""
    coded = np.zeros((4, 4, 4), np.uint8)
    coded[:] = np.round((np.array([0.48, 0.36, 0.8, 1.0]) * 0.5 + 0.5) * 255)
    material = {"normalTexture": {"index": 0}, "doubleSided": True}
    scene = quad_scene(tmp_path, [material], [coded])
    scene.set_transforms(np.array([0]), np.diag([mirror, 1.0, 1.0, 1.0])[None])
    front = gbuffer(renderer, scene)["shading_normal"]
    np.testing.assert_allclose(front, np.broadcast_to([0.48 * mirror, 0.36, 0.8], front.shape), atol=0.015)
    behind = Camera(eye=(0.0, 0.0, -4.0), target=(0.0, 0.0, 0.0), orthographic_height=2.0)
    back = gbuffer(renderer, scene, camera=behind)["shading_normal"]
    np.testing.assert_allclose(back, np.broadcast_to([0.48 * mirror, 0.36, -0.8], back.shape), atol=0.015)


def test_vertex_colours_are_factors(renderer, tmp_path):
    colors = np.array([[1, 0, 0, 1], [1, 1, 0, 1], [0, 0, 0, 1], [0, 1, 0, 1]])
    material = {"pbrMetallicRoughness": {"baseColorFactor": [0.5, 1.0, 1.0, 1.0]}}
    albedo = gbuffer(renderer, quad_scene(tmp_path, [material], colors=colors), size=(64, 64))["albedo"]
    middle = (np.arange(64) + 0.5) / 64
    np.testing.assert_allclose(albedo[..., 0], 0.5 * np.broadcast_to(1 - middle[:, None], (64, 64)), atol=0.01)
    np.testing.assert_allclose(albedo[..., 1], np.broadcast_to(middle[None], (64, 64)), atol=0.01)


USER = """import package::surface::{Surface};
import package::gbuffer::{MaterialResult};
import package::checks::{is_even};

fn material(surface: Surface) -> MaterialResult {
    var result: MaterialResult;
    result.base_color = select(vec3f(0.1), vec3f(0.9), is_even(surface.uv.x));
    result.normal = surface.normal;
    result.roughness = 1.0;
    result.occlusion = 1.0;
    return result;
}
"""
HELPER = "fn is_even(x: f32) -> bool {\n    return fract(x) < 0.5;\n}\n"


@pytest.fixture
def user_scene(tmp_path):
    """Return two quads, the right one shaded by checks of a user's folder."""
    quad_asset(tmp_path, [{"name": "left", **PLAIN}, {"name": "right", **PLAIN}])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "stripes.wgsl").write_text(USER)
    (tmp_path / "mine" / "checks.wgsl").write_text(HELPER)
    toml = tmp_path / "scene.toml"
    toml.write_text('materials = "mine"\n[[assets]]\npath = "quad.mlith"\nshaders = { right = "stripes" }\n')
    return load_scene(toml)


WIDE = Camera(eye=(1.0, 0.0, 4.0), target=(1.0, 0.0, 0.0), orthographic_height=2.0)


def test_a_material_function_of_the_users_shades_its_material_only(renderer, user_scene):
    assert user_scene.material_shaders == ["gltf", "stripes"]
    albedo = gbuffer(renderer, user_scene, (128, 64), WIDE)["albedo"]
    np.testing.assert_allclose(albedo[:, :64], np.broadcast_to([0.5, 0.03, 0.8], (64, 64, 3)), atol=2e-3)
    np.testing.assert_allclose(albedo[:, 64:96], 0.9, atol=2e-3)
    np.testing.assert_allclose(albedo[:, 96:], 0.1, atol=2e-3)


def test_a_function_without_textures_may_be_the_only_one(renderer, user_scene):
    user_scene.set_shader(0, "*", "stripes")
    albedo = gbuffer(renderer, user_scene, (128, 64), WIDE)["albedo"]
    np.testing.assert_allclose(albedo[:, 32:64], 0.1, atol=2e-3)
    assert renderer._passes.material_passes._emit is None


def test_the_folder_of_the_settings_goes_before_that_of_the_scene(renderer, user_scene, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "stripes.wgsl").write_text(USER.replace("vec3f(0.9)", "vec3f(0.4)"))
    (tmp_path / "other" / "checks.wgsl").write_text(HELPER)
    settings = FrameSettings(materials=str(tmp_path / "other"))
    albedo = gbuffer(renderer, user_scene, (128, 64), WIDE, settings)["albedo"]
    np.testing.assert_allclose(albedo[:, 64:96], 0.4, atol=2e-3)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("result.roughness = 1.0;", "result.roughnes = 1.0;", r"stripes\.wgsl:9:\d+"),
        ("fn material(", "fn matter(", r"base_pass\.wgsl:\d+: .*stripes\.wgsl has no material"),
        ("checks::{is_even}", "nothing::{is_even}", r"stripes\.wgsl:3: there is no shader file nothing\.wgsl"),
        ("checks::{is_even}", "checks::{is_odd}", r"stripes\.wgsl:3: .*checks\.wgsl has no is_odd"),
    ],
)
def test_an_error_in_a_users_file_names_file_and_line(renderer, user_scene, tmp_path, old, new, where):
    (tmp_path / "mine" / "stripes.wgsl").write_text(USER.replace(old, new))
    with pytest.raises(ShaderError, match=where):
        renderer.render(user_scene, WIDE, FrameSettings(), (64, 64))


def test_a_folder_that_is_not_there_is_named(renderer, user_scene):
    with pytest.raises(ValueError, match="the folder of material functions nowhere is not there"):
        renderer.render(user_scene, WIDE, FrameSettings(materials="nowhere"), (64, 64))


def test_an_unknown_material_function_says_where_it_was_looked_for(renderer, user_scene, tmp_path):
    (tmp_path / "mine" / "stripes.wgsl").unlink()
    with pytest.raises(ValueError, match=r"no material function stripes\.wgsl in .*mine or .*materials"):
        renderer.render(user_scene, WIDE, FrameSettings(), (64, 64))


@pytest.mark.parametrize("list_pixels", [True, False])
def test_lists_and_tiles_make_the_same_image(renderer, tmp_path, monkeypatch, list_pixels):
    """The path by adapter must not show: with one function over all pixels, or over the covered ones."""
    from engine.frame import material_passes

    scene = quad_scene(tmp_path, [PLAIN])
    camera = Camera(eye=(0.7, 0.4, 3.0), target=(0.3, 0.0, 0.0))
    images = []
    for by_list in (list_pixels, not list_pixels):
        made = []

        class Passes(material_passes.MaterialPasses):
            def __init__(self, context, by_list=by_list, made=made):
                context.list_pixels = by_list
                super().__init__(context)
                made.append(self._bins is not None)

        monkeypatch.setattr("engine.frame.frame.MaterialPasses", Passes)
        renderer._key = ()
        frame = renderer.render(scene, camera, FrameSettings(), (97, 61), aovs=(*ALL, "velocity"))
        assert made == [by_list]
        images.append((frame.image, *frame.aovs.values()))
    renderer._key = ()
    for one, other in zip(*images):
        np.testing.assert_array_equal(one, other)
    assert 0.1 < (images[0][0] != images[0][0][0, 0]).any(axis=-1).mean() < 0.9
