"""The linker, its line map, reflection, and that every shader compiles."""

import re

import numpy as np
import pytest
import wgpu

from engine.gpu.mesh_kernel import MeshKernel
from engine.gpu.shader import DrawKernel, Kernel, RenderKernel, ShaderError, link, locate_errors
from engine.layout import shader_folder

MODULES = (("material", shader_folder() / "materials" / "gltf.wgsl"),)
ENTRY_POINTS = sorted(p.stem for p in shader_folder().glob("*.wgsl") if "@compute" in p.read_text())
MESH_SHADERS = ["draw_triangles"]  # with a vertex buffer and a depth test
RENDER_ENTRY_POINTS = sorted(
    p.stem for p in shader_folder().glob("*.wgsl") if "@vertex" in p.read_text() and p.stem not in MESH_SHADERS
)


def test_there_are_shaders_to_compile():
    assert {"persistent_cull", "levels_cull", "cluster_cull", "rasterize_software", "depth_pyramid"} <= set(
        ENTRY_POINTS
    )


@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_every_shader_compiles(device, name, checks):
    assert Kernel(device, name, runtime_checks=checks, modules=MODULES).pipeline


@pytest.mark.parametrize("name", RENDER_ENTRY_POINTS)
def test_every_render_shader_compiles(device, name):
    assert RenderKernel(device, name, "r8unorm").pipeline


@pytest.mark.parametrize("name", MESH_SHADERS)
def test_every_mesh_shader_compiles(device, name):
    assert all(MeshKernel(device, name, "rg32uint").pipeline(faces) for faces in ("front", "mirrored", "both"))


def test_enable_lines_come_first_and_keep_their_numbers():
    lines = link("draw_triangles").lines
    assert link("draw_triangles").text.startswith("enable primitive_index;\n")
    assert lines[0] == ("draw_triangles.wgsl", 3)
    assert len(set(lines)) == len(lines)


FULL_SCREEN = """
override green: f32 = 0.0;
@vertex
fn full_vertex(@builtin(vertex_index) i: u32) -> @builtin(position) vec4f {
    return vec4f(vec2f(vec2u(i & 1u, i >> 1u)) * 4.0 - 1.0, 0.0, 1.0);
}
@fragment
fn full_fragment() -> @location(0) vec4f { return vec4f(1.0, green, 0.0, 0.5); }
"""


@pytest.mark.parametrize("target_format", ["rgba8unorm", "bgra8unorm"])
@pytest.mark.parametrize(("blend", "expected"), [(False, [255, 51, 0, 128]), (True, [128, 26, 128, 255])])
def test_colours_replace_what_is_there_or_are_laid_over_it(device, tmp_path, target_format, blend, expected):
    (tmp_path / "full.wgsl").write_text(FULL_SCREEN)
    kernel = DrawKernel(device, "full", target_format, {"green": 0.2}, blend=blend, folder=tmp_path)
    gpu = device.wgpu_device
    usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
    texture = gpu.create_texture(size=(8, 4, 1), format=target_format, usage=usage)
    encoder = gpu.create_command_encoder()
    attachment = {"view": texture.create_view(), "load_op": "clear", "store_op": "store", "clear_value": (0, 0, 1, 1)}
    render = encoder.begin_render_pass(color_attachments=[attachment])
    render.set_pipeline(kernel.pipeline)
    render.draw(3)
    render.end()
    gpu.queue.submit([encoder.finish()])
    data = gpu.queue.read_texture({"texture": texture}, {"bytes_per_row": 32, "rows_per_image": 4}, (8, 4, 1))
    pixels = np.frombuffer(data, np.uint8).reshape(4, 8, 4).astype(int)
    order = [2, 1, 0, 3] if target_format == "bgra8unorm" else [0, 1, 2, 3]
    np.testing.assert_allclose(pixels[..., order], np.broadcast_to(expected, (4, 8, 4)), atol=1)


def test_a_module_is_linked_once_and_lines_are_mapped(tmp_path):
    (tmp_path / "a.wgsl").write_text("fn a() -> u32 { return 1u; }\n")
    (tmp_path / "b.wgsl").write_text("import package::a::{a};\nfn b() -> u32 { return a(); }\n")
    (tmp_path / "top.wgsl").write_text("import package::a::{a};\nimport package::b::{b};\n\nfn top() {}\n")
    shader = link("top", tmp_path)
    assert shader.text.count("fn a()") == 1
    assert shader.lines[0] == ("a.wgsl", 1)
    assert shader.lines[1] == ("b.wgsl", 2)
    assert shader.lines[-1] == ("top.wgsl", 4)
    assert "top.wgsl:4:1" in locate_errors(f"wgsl:{len(shader.lines)}:1", shader)


def test_bindings_are_found_by_reflection():
    found = {b.name: (b.group, b.index, b.kind) for b in link("cluster_cull").bindings}
    assert found["views"] == (0, 0, "uniform")
    assert found["nodes"] == (0, 2, "read-only-storage")
    assert found["visible_clusters"] == (1, 8, "storage")


def test_constants_that_pipelines_set_are_found(tmp_path):
    text = "// override old: u32;\noverride WIDTH: u32 = 8u;\n@id(3) override HAS_UVS: bool;\nfn top() {}\n"
    (tmp_path / "a.wgsl").write_text(text)
    (tmp_path / "top.wgsl").write_text("import package::a::{WIDTH};\noverride\n    scale = 1.0;\n")
    assert link("top", tmp_path).overrides == {"WIDTH", "HAS_UVS", "scale"}


def test_missing_files_and_items_are_named(tmp_path):
    (tmp_path / "a.wgsl").write_text("fn a() {}\n")
    (tmp_path / "b.wgsl").write_text("\nimport package::a::{c};\n")
    (tmp_path / "d.wgsl").write_text("import package::nowhere::{c};\n")
    with pytest.raises(ShaderError, match=r"b\.wgsl:2: a\.wgsl has no c"):
        link("b", tmp_path)
    with pytest.raises(ShaderError, match=r"d\.wgsl:1: there is no shader file nowhere\.wgsl"):
        link("d", tmp_path)


@pytest.mark.parametrize("checks", [True, False])
def test_a_compile_error_names_file_and_line(device, tmp_path, checks):
    (tmp_path / "library.wgsl").write_text("fn twice(x: u32) -> u32 {\n    return x * missing;\n}\n")
    (tmp_path / "broken.wgsl").write_text(
        "import package::library::{twice};\n\n@compute @workgroup_size(1)\nfn broken() { _ = twice(1u); }\n"
    )
    with pytest.raises(ShaderError, match=r"^library\.wgsl:2:16: .*missing"):
        Kernel(device, "broken", runtime_checks=checks, folder=tmp_path)


def test_a_module_may_lie_elsewhere(tmp_path):
    (tmp_path / "library").mkdir()
    (tmp_path / "user").mkdir()
    (tmp_path / "library" / "top.wgsl").write_text("import package::chosen::{c};\nfn top() { c(); }\n")
    (tmp_path / "library" / "a.wgsl").write_text("fn a() {}\n")
    (tmp_path / "user" / "mine.wgsl").write_text(
        "import package::a::{a};\nimport package::b::{b};\nfn c() { a(); b(); }\n"
    )
    (tmp_path / "user" / "a.wgsl").write_text("not this one\n")
    (tmp_path / "user" / "b.wgsl").write_text("fn b() {}\n")
    file = tmp_path / "user" / "mine.wgsl"
    shader = link("top", tmp_path / "library", (("chosen", file),))
    assert shader.lines == (("a.wgsl", 1), (str(file.parent / "b.wgsl"), 1), (str(file), 3), ("top.wgsl", 2))


def test_a_missing_resource_is_named(device):
    with pytest.raises(ShaderError, match="nothing to bind to 'states'"):
        Kernel(device, "init_context").bind(0, {})


@pytest.mark.parametrize("path", sorted(shader_folder().rglob("*.wgsl")), ids=lambda path: path.stem)
def test_imports_and_functions_are_used(path):
    text = re.sub(r"//[^\n]*", "", path.read_text())
    imports = re.findall(r"import package::[\w:]+::\{([^}]*)\};", text)
    body = re.sub(r"import package::[^;]*;", "", text)
    for item in (item.strip() for group in imports for item in group.split(",")):
        assert re.search(rf"\b{item}\b", body), f"{path.name} imports {item} and does not use it"
    everything = "\n".join(re.sub(r"//[^\n]*", "", p.read_text()) for p in shader_folder().rglob("*.wgsl"))
    for name in re.findall(r"\bfn (\w+)", body):
        is_called = len(re.findall(rf"\b{name}\b", everything)) > 1
        assert is_called or name in (path.stem, f"{path.stem}_vertex", f"{path.stem}_fragment"), (
            f"{path.name}: {name} is never called"
        )
