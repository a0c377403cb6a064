"""layout.wgsl as numpy sees it, and as the GPU sees it."""

import re

import numpy as np
import pytest
import wgpu

from engine import layout

SIZES = {
    "Node": 64,
    "Group": 64,
    "Cluster": 48,
    "PageHeader": 32,
    "Mesh": 96,
    "Instance": 80,
    "View": 272,
    "WorkItem": 8,
    "CandidateGroup": 8,
    "VisibleCluster": 8,
    "PassState": 168,
    "RasterBin": 32,
    "BinEntry": 12,
    "LargeTriangle": 8,
    "MeshRoot": 32,
    "ClusterList": 16,
    "DrawnInstance": 16,
    "Material": 80,
}


def test_constants():
    constants = layout.parse_constants(
        "const A: u32 = 0xffu; const B: i32 = -3i;\nconst C: f32 = 1.5e3; // const D: u32 = 1u;\nconst E: u32 = 12u;"
    )
    assert constants == {"A": 255, "B": -3, "C": 1500.0, "E": 12}
    assert layout.NONE == 0xFFFFFFFF
    assert layout.CONSTANTS["ROOT_ERROR"] == 1e30
    assert layout.CONSTANTS["PAGE_WORDS"] * 4 == 131072


def test_offsets_follow_the_alignment_rules():
    dtype = layout.parse_structs(
        "struct S { a: u32, b: vec3f, c: f32, d: vec2u, // e: u32,\n f: array<vec4f, 2>, g: i32 }"
    )["S"]
    assert dtype.fields is not None
    offsets = {name: dtype.fields[name][1] for name in dtype.names}
    assert offsets == {"a": 0, "b": 16, "c": 28, "d": 32, "f": 48, "g": 80}
    assert dtype.itemsize == 96


def test_trailing_comma_is_optional():
    structs = layout.parse_structs("struct A { x: u32 }\nstruct B {\n  x: vec4f,\n  y: u32,\n}")
    assert structs["A"].itemsize == 4
    assert structs["B"].names == ("x", "y")
    assert structs["B"].itemsize == 32


@pytest.mark.parametrize("field", ["x: mat4x4f", "x: Other", "x: array<vec3f, 4>"])
def test_types_without_a_numpy_form_are_refused(field):
    with pytest.raises(ValueError, match=r"layout\.wgsl"):
        layout.parse_structs(f"struct S {{ {field} }}")


def test_sizes_of_the_file_format():
    assert {name: dtype.itemsize for name, dtype in layout.STRUCTS.items()} == SIZES
    assert layout.CLUSTER.itemsize == 4 * layout.CONSTANTS["CLUSTER_WORDS"]
    assert layout.PAGE_HEADER.itemsize == 4 * layout.CONSTANTS["PAGE_HEADER_WORDS"]


def test_no_field_of_the_text_is_lost():
    text = re.sub(r"//[^\n]*", "", layout.LAYOUT_TEXT)
    for name, body in re.findall(r"struct\s+(\w+)\s*\{(.*?)\}", text, re.DOTALL):
        assert layout.STRUCTS[name].names == tuple(re.findall(r"(\w+)\s*:", body))


def scalars(name: str) -> tuple[list[str], np.ndarray]:
    """Return WGSL expressions that read each 32-bit word of `records[1]` by name, and their byte offsets in numpy."""
    dtype, expressions, offsets = layout.STRUCTS[name], [], []
    body = re.search(rf"struct\s+{name}\s*\{{(.*?)\}}", layout.LAYOUT_TEXT, re.DOTALL)[1]
    atomic = set(re.findall(r"(\w+)\s*:\s*atomic<", body))
    for field in dtype.names:
        base, shape = dtype[field].base, dtype[field].shape
        for number, index in enumerate(np.ndindex(*shape)):
            text = f"records[1].{field}" + "".join(f"[{i}]" for i in index)
            text = f"atomicLoad(&{text})" if field in atomic else text
            halves = [f"u32({text})", f"u32({text} >> 32u)"] if base.itemsize == 8 else [f"bitcast<u32>({text})"]
            begin = dtype.fields[field][1] + number * base.itemsize
            expressions += halves
            offsets += [begin + 4 * half for half in range(len(halves))]
    return expressions, np.array(offsets)


@pytest.mark.parametrize("name", sorted(layout.STRUCTS))
def test_gpu_reads_every_field_where_numpy_wrote_it(device, name):
    expressions, offsets = scalars(name)
    words = np.zeros((3, layout.STRUCTS[name].itemsize // 4), np.uint32)
    words[1] = np.arange(words.shape[1]) + 0x3F800001  # distinct, and normal floats
    assert (gpu_words(device.wgpu_device, name, expressions, words) == words[1, offsets // 4]).all()


def gpu_words(gpu: wgpu.GPUDevice, name: str, expressions: list[str], words: np.ndarray) -> np.ndarray:
    """Return the values (uint32) of `expressions` over `records`, an array of struct `name` filled with `words`."""
    lines = "".join(f"words[{i}] = {text};\n" for i, text in enumerate(expressions))
    code = (
        layout.LAYOUT_TEXT + f"@group(0) @binding(0) var<storage, read_write> records: array<{name}>;\n"
        "@group(0) @binding(1) var<storage, read_write> words: array<u32>;\n"
        f"@compute @workgroup_size(1) fn main() {{\n{lines}}}\n"
    )
    source = gpu.create_buffer_with_data(data=words, usage="STORAGE")
    target = gpu.create_buffer(size=4 * len(expressions), usage="STORAGE|COPY_SRC")
    entries = [{"binding": i, "visibility": "COMPUTE", "buffer": {"type": "storage"}} for i in range(2)]
    group_layout = gpu.create_bind_group_layout(entries=entries)
    pipeline = gpu.create_compute_pipeline(
        layout=gpu.create_pipeline_layout(bind_group_layouts=[group_layout]),
        compute={"module": gpu.create_shader_module(code=code), "entry_point": "main"},
    )
    bindings = [{"binding": i, "resource": {"buffer": buffer}} for i, buffer in enumerate((source, target))]
    encoder = gpu.create_command_encoder()
    compute = encoder.begin_compute_pass()
    compute.set_pipeline(pipeline)
    compute.set_bind_group(0, gpu.create_bind_group(layout=group_layout, entries=bindings))
    compute.dispatch_workgroups(1)
    compute.end()
    gpu.queue.submit([encoder.finish()])
    return np.frombuffer(gpu.queue.read_buffer(target), np.uint32)
