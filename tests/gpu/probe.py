"""Run a few lines of WGSL over arrays: for tests of shader functions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.gpu.buffers import buffer_from, create_buffer, read_buffer
from engine.gpu.device import Device
from engine.gpu.shader import Kernel


def run_probe(
    device: Device,
    folder: Path,
    text: str,
    arrays: Mapping[str, np.ndarray],
    count: int,
    words: int,
    groups: Mapping[int, Any] | None = None,
    constants: dict[str, Any] | None = None,
) -> np.ndarray:
    """Return (count, words) float32: what `fn value(i: u32) -> array<f32, words>` of `text` gives for i below `count`.

    The text declares `arrays` as read-only storage of group 1, from binding 1. `groups` maps other bind groups to
    functions of the kernel.
    """
    path = folder / "probe.wgsl"
    path.write_text(
        text
        + f"""
@group(1) @binding(0) var<storage, read_write> output: array<array<f32, {words}>>;

@compute @workgroup_size(64)
fn probe(@builtin(global_invocation_id) id: vec3u) {{
    if (id.x < {count}u) {{
        output[id.x] = value(id.x);
    }}
}}
"""
    )
    kernel = Kernel(device, "probe", constants, modules=(("probe", path),))
    output = create_buffer(device, "output", 4 * words * count)
    buffers = {"output": output} | {name: buffer_from(device, name, array) for name, array in arrays.items()}
    encoder = device.wgpu_device.create_command_encoder()
    compute = encoder.begin_compute_pass()
    compute.set_pipeline(kernel.pipeline)
    for number in range(max(binding.group for binding in kernel.shader.bindings) + 1):
        bind = (groups or {}).get(number, lambda kernel, number=number: kernel.bind(number, buffers))
        compute.set_bind_group(number, bind(kernel))
    compute.dispatch_workgroups(-(-count // 64))
    compute.end()
    device.wgpu_device.queue.submit([encoder.finish()])
    return read_buffer(device, output, np.dtype(np.float32), words * count).reshape(count, words)
