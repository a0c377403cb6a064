"""Renderer.reload_shaders: files are read again; a broken one leaves the last good pipelines."""

import shutil

import numpy as np
import pytest

from engine import layout
from engine.gpu import shader
from engine.gpu.shader import ShaderError
from engine.renderer import Renderer
from engine.scene import load_scene
from engine.settings import FrameSettings

SIZE = (48, 32)
PLAIN = """import package::surface::{Surface};
import package::gbuffer::{MaterialResult};

fn material(surface: Surface) -> MaterialResult {
    var result: MaterialResult;
    result.emissive = vec3f(RED, 0.0, 0.0);
    result.normal = surface.normal;
    return result;
}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the shaders that the linker reads instead of the package's own."""
    copy = tmp_path / "shaders"
    shutil.copytree(layout.shader_folder(), copy)
    for module in (shader, layout):
        monkeypatch.setattr(module, "shader_folder", lambda: copy)
    shader.forget_linked()
    yield copy
    shader.forget_linked()


def write(path, text):
    path.write_text(text, encoding="utf-8")


def test_a_material_is_edited_broken_and_mended(device, sample_asset, tmp_path):
    materials = tmp_path / "materials"
    materials.mkdir()
    file = materials / "glow.wgsl"
    write(file, PLAIN.replace("RED", "0.2"))
    scene = load_scene(sample_asset("sphere", 5000))
    scene.set_shader(0, "*", "glow")
    settings = FrameSettings(materials=str(materials), tonemap="none", light_intensity=0.0, sky_intensity=0.0)
    renderer, camera = Renderer(device), scene.default_camera()

    def middle():
        return renderer.render(scene, camera, settings, SIZE).image[SIZE[1] // 2, SIZE[0] // 2, 0]

    dark = middle()
    write(file, PLAIN.replace("RED", "0.8"))
    assert middle() == dark, "only a reload reads the file again"
    renderer.reload_shaders()
    bright = middle()
    assert bright > dark + 50
    write(file, PLAIN.replace("RED", "no_such_thing"))
    with pytest.raises(ShaderError, match=r"glow\.wgsl:6:.*no_such_thing"):
        renderer.reload_shaders()
    assert middle() == bright, "the last good pipelines go on"
    write(file, PLAIN.replace("RED", "0.2"))
    renderer.reload_shaders()
    assert middle() == dark


def test_a_pass_of_the_engine_is_edited_and_broken(device, sample_asset, folder):
    scene, renderer = load_scene(sample_asset("sphere", 5000)), Renderer(device)
    camera, settings = scene.default_camera(), FrameSettings()
    before = renderer.render(scene, camera, settings, SIZE).image
    path = folder / "lighting.wgsl"
    good = path.read_text(encoding="utf-8")
    write(path, good.replace("return direct +", "return vec3f(1.0, 0.0, 0.0) + direct +"))
    renderer.reload_shaders()
    red = renderer.render(scene, camera, settings, SIZE).image
    covered = (red != before).any(axis=2)
    assert covered.sum() > 100
    write(path, good.replace("return direct +", "return direct ++"))
    with pytest.raises(ShaderError, match=r"lighting\.wgsl:\d+"):
        renderer.reload_shaders()
    np.testing.assert_array_equal(renderer.render(scene, camera, settings, SIZE).image, red)
    write(path, good)
    renderer.reload_shaders()
    np.testing.assert_array_equal(renderer.render(scene, camera, settings, SIZE).image, before)


def test_another_binding_of_the_scene_is_bound_anew(device, sample_asset, folder):
    """Group 0 is one bind group for all kernels: after a reload it must fit their new layout."""
    scene, renderer = load_scene(sample_asset("sphere", 5000)), Renderer(device)
    camera = scene.default_camera()
    before = renderer.render(scene, camera, FrameSettings(), SIZE).image
    path = folder / "scene.wgsl"
    text = path.read_text(encoding="utf-8")
    write(path, text + "\n@group(0) @binding(30) var<storage, read> mesh_roots_again: array<vec4f>;\n")
    with pytest.raises(ShaderError, match="mesh_roots_again"):
        renderer.reload_shaders()
    np.testing.assert_array_equal(renderer.render(scene, camera, FrameSettings(), SIZE).image, before)
    write(path, text)
    renderer.reload_shaders()
    np.testing.assert_array_equal(renderer.render(scene, camera, FrameSettings(), SIZE).image, before)


@pytest.mark.parametrize("name", layout.FILES)
def test_a_changed_layout_asks_for_a_restart(device, sample_asset, folder, name):
    scene, renderer = load_scene(sample_asset("sphere", 5000)), Renderer(device)
    renderer.render(scene, scene.default_camera(), FrameSettings(), SIZE)
    path = folder / name
    write(path, path.read_text(encoding="utf-8") + "const NEW: u32 = 1u;\n")
    with pytest.raises(RuntimeError, match="start again"):
        renderer.reload_shaders()
