"""Link WGSL files, find their bindings by reflection, make compute kernels of them.

The one addition to WGSL is WESL's import line, `import package::lod::{projected_error};`. The linker
puts each imported file once before its importer and remembers where every line came from, so that an
error names the file and the line a person wrote (https://wesl-lang.dev).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import wgpu
from wgpu.backends.wgpu_native import _api

from engine.gpu.device import Device
from engine.layout import parse_structs, shader_folder

_IMPORT = re.compile(r"^\s*import\s+package::([\w:]+)::\{([^}]*)\}\s*;\s*$")
_BINDING = re.compile(
    r"@group\((\d+)\)\s*@binding\((\d+)\)\s*(?:@\w+\s*)*var(?:<\s*(\w+)\s*(?:,\s*(\w+)\s*)?>)?\s+(\w+)\s*:\s*([^;]+);"
)
_IMMEDIATE = re.compile(r"var<immediate>\s+\w+\s*:\s*(\w+)\s*;")
_OVERRIDE = re.compile(r"\boverride\s+(\w+)")
_ERROR_LINE = re.compile(r"wgsl:(\d+):(\d+)")
_ERROR_REASON = re.compile(r"(?:parsing|validation)? ?error: ([^\n]+)", re.IGNORECASE)


class ShaderError(RuntimeError):
    """A shader does not link or compile; the text names file and line."""


@dataclass(frozen=True)
class Binding:
    """One resource variable of a linked shader."""

    group: int
    index: int
    name: str
    kind: str  # "uniform", "read-only-storage", "storage" or the WGSL type of a texture or sampler


@dataclass(frozen=True)
class LinkedShader:
    """WGSL text after linking; `lines[i]` is the (file, line number) that line i came from."""

    name: str
    text: str
    lines: tuple[tuple[str, int], ...]
    bindings: tuple[Binding, ...]
    immediate_bytes: int
    overrides: frozenset[str]  # constants that a pipeline may set

    def struct_text(self, name: str) -> str:
        """Return the declaration of one struct, without comments; KeyError where there is none."""
        return _struct_text(_without_comments(self.text), name)


Modules = tuple[tuple[str, Path], ...]


@cache
def link(name: str, folder: Path | None = None, modules: Modules = ()) -> LinkedShader:
    """Return `name`.wgsl with everything it imports; raise ShaderError for a missing file or item.

    `modules` are pairs (module, file): an import of such a `package::module` takes that file, wherever it lies. What it
    imports itself is found in `folder`, or beside it.
    """
    lines: list[tuple[str, str, int]] = []
    _append_module(name, _Library(folder or shader_folder(), dict(modules)), set(), lines, importer="")
    lines.sort(key=lambda line: not line[0].startswith("enable "))  # WGSL wants these before all else
    text = "\n".join(line for line, _, _ in lines) + "\n"
    origin = tuple((file, number) for _, file, number in lines)
    code = _without_comments(text)
    overrides = frozenset(_OVERRIDE.findall(code))
    return LinkedShader(name, text, origin, _find_bindings(code), _immediate_bytes(code), overrides)


def forget_linked() -> None:
    """Read the shader files again when they are asked for; kernels that were made keep what they have."""
    link.cache_clear()


def _immediate_bytes(text: str) -> int:
    immediate = _IMMEDIATE.search(text)
    if not immediate:
        return 0
    return parse_structs(_struct_text(text, immediate[1]))[immediate[1]].itemsize


def _struct_text(text: str, name: str) -> str:
    struct = re.search(rf"struct\s+{name}\s*\{{[^}}]*\}}", text)
    if not struct:
        raise KeyError(f"no struct {name}")
    return struct[0]


@dataclass(frozen=True)
class _Library:
    """Where modules are found."""

    folder: Path
    modules: dict[str, Path]

    def path(self, module: str) -> Path:
        """Return the file of a module: a given one, one of the folder, or one beside a given one."""
        if module in self.modules:
            return self.modules[module]
        name = module.replace("::", "/") + ".wgsl"
        for folder in (self.folder, *(path.parent for path in self.modules.values())):
            if (folder / name).is_file():
                return folder / name
        return self.folder / name

    def label(self, path: Path) -> str:
        """Return how messages call a file: its name, with the folder where that is not the library's own."""
        return path.name if path.is_relative_to(self.folder) else str(path)

    def read(self, module: str, importer: str) -> str:
        """Return the text of a module; ShaderError names who asked for a file that is not there."""
        path = self.path(module)
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ShaderError(f"{self.label(path)}: is not UTF-8 text") from None
        except OSError:
            raise ShaderError(f"{importer or module}: there is no shader file {self.label(path)}") from None


def _append_module(
    name: str, library: _Library, seen: set[str], lines: list[tuple[str, str, int]], importer: str
) -> None:
    if name in seen:
        return
    seen.add(name)
    label = library.label(library.path(name))
    own: list[tuple[str, str, int]] = []
    for number, line in enumerate(library.read(name, importer).splitlines(), start=1):
        match = _IMPORT.match(line)
        if not match:
            own.append((line, label, number))
            continue
        _append_module(match[1], library, seen, lines, f"{label}:{number}")
        _check_items(library, match[1], match[2], f"{label}:{number}")
    lines.extend(own)


def _check_items(library: _Library, module: str, items: str, where: str) -> None:
    text = _without_comments(library.read(module, where))
    for item in (part.strip() for part in items.split(",") if part.strip()):
        if not re.search(rf"\b(?:fn|struct|const|override|alias|var(?:<[^>]*>)?)\s+{item}\b", text):
            raise ShaderError(f"{where}: {library.label(library.path(module))} has no {item}")


def _without_comments(text: str) -> str:
    return re.sub(r"//[^\n]*", "", text)


def _find_bindings(text: str) -> tuple[Binding, ...]:
    found = []
    for group, index, space, access, name, kind in _BINDING.findall(text):
        if space == "uniform":
            kind = "uniform"
        elif space == "storage":
            kind = "storage" if access == "read_write" else "read-only-storage"
        found.append(Binding(int(group), int(index), name, kind.strip()))
    return tuple(sorted(found, key=lambda binding: (binding.group, binding.index)))


def locate_errors(message: str, shader: LinkedShader) -> str:
    """Return a compiler message with positions in the linked text replaced by file and line, the first ahead."""

    def place(match: re.Match) -> str:
        file, number = shader.lines[min(int(match[1]), len(shader.lines)) - 1]
        return f"{file}:{number}:{match[2]}"

    first, reasons = _ERROR_LINE.search(message), _ERROR_REASON.findall(message)
    located = _ERROR_LINE.sub(place, message)
    return f"{place(first)}: {reasons[-1].strip()}\n{located}" if first and reasons else located


def create_module(device: Device, shader: LinkedShader, runtime_checks: bool) -> wgpu.GPUShaderModule:
    """Compile a linked shader (once per device); raise ShaderError that names file and line.

    Without `runtime_checks` the compiler adds no bounds checks and no loop counters.
    """
    key = ("module", shader.name, runtime_checks, hash(shader.text))
    if key not in device.caches:
        try:
            device.caches[key] = _compile(device, shader, runtime_checks)
        except wgpu.GPUError as error:
            raise ShaderError(locate_errors(str(error), shader)) from None
    return device.caches[key]


def _compile(device: Device, shader: LinkedShader, runtime_checks: bool) -> wgpu.GPUShaderModule:
    if runtime_checks:
        return device.wgpu_device.create_shader_module(label=shader.name, code=shader.text)
    # wgpu-native exports module creation without checks, wgpu-py does not; this stands in for the plain call.
    library, ffi = _api.libf, _api.ffi
    plain = library.wgpuDeviceCreateShaderModule
    checks = ffi.new("WGPUShaderRuntimeChecks *")  # all zero: none
    try:
        library.wgpuDeviceCreateShaderModule = lambda handle, descriptor: library.wgpuDeviceCreateShaderModuleTrusted(
            handle, descriptor, checks[0]
        )
        return device.wgpu_device.create_shader_module(label=shader.name, code=shader.text)
    finally:
        library.wgpuDeviceCreateShaderModule = plain


def group_layout(device: Device, shader: LinkedShader, group: int) -> wgpu.GPUBindGroupLayout:
    """Return the layout of one bind group; equal bindings share one layout object."""
    entries = tuple(_layout_entry(binding) for binding in shader.bindings if binding.group == group)
    key = ("layout", repr(entries))
    if key not in device.caches:
        device.caches[key] = device.wgpu_device.create_bind_group_layout(entries=list(entries))
    return device.caches[key]


def _layout_entry(binding: Binding) -> dict[str, Any]:
    # One layout for compute and render pipelines. Vertex shaders write nothing: many adapters forbid it.
    visibility = wgpu.ShaderStage.COMPUTE | wgpu.ShaderStage.FRAGMENT
    if binding.kind != "storage":
        visibility |= wgpu.ShaderStage.VERTEX
    entry: dict[str, Any] = {"binding": binding.index, "visibility": visibility}
    if binding.kind in ("uniform", "storage", "read-only-storage"):
        entry["buffer"] = {"type": binding.kind}
    elif binding.kind == "texture_2d_array<f32>":
        entry["texture"] = {"sample_type": "float", "view_dimension": "2d-array"}
    elif binding.kind in ("texture_depth_2d", "texture_2d<u32>"):
        entry["texture"] = {"sample_type": "depth" if "depth" in binding.kind else "uint", "view_dimension": "2d"}
    elif binding.kind == "sampler":
        entry["sampler"] = {"type": "filtering"}
    else:
        raise ShaderError(f"binding {binding.name}: {binding.kind} is not supported in a kernel yet")
    return entry


class ShaderKernel:
    """What kernels of both kinds have: the linked shader, its module, its layouts."""

    def __init__(self, device: Device, name: str, runtime_checks: bool, folder: Path | None, modules: Modules = ()):
        self.name = name
        self.shader = link(name, folder, modules)
        self._device = device
        self._module = create_module(device, self.shader, runtime_checks)
        self._key = (name, runtime_checks, hash(self.shader.text))
        groups = max((binding.group for binding in self.shader.bindings), default=-1) + 1
        self._layouts = [group_layout(device, self.shader, group) for group in range(groups)]
        self._layout = device.wgpu_device.create_pipeline_layout(
            label=name, bind_group_layouts=self._layouts, immediate_size=self.shader.immediate_bytes
        )

    def _used(self, constants: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return those constants that the shader declares."""
        return {key: value for key, value in (constants or {}).items() if key in self.shader.overrides}

    def _made_once(self, constants: dict[str, Any], make: Callable[[], Any], variant: str = "") -> Any:
        """Return the pipeline for these constants, compiled once per device; raise ShaderError with file and line.

        `variant` tells apart what else the pipeline depends on.
        """
        key = ("pipeline", self._key, variant, tuple(sorted(constants.items())))
        if key not in self._device.caches:
            try:
                self._device.caches[key] = make()
            except wgpu.GPUError as error:
                raise ShaderError(locate_errors(str(error), self.shader)) from None
        return self._device.caches[key]

    def _render_pipeline(self, constants: Mapping[str, Any] | None, topology: str, target: dict[str, Any]) -> Any:
        """Return the pipeline of the entry points `<name>_vertex` and `<name>_fragment` that draws to one target."""
        used = self._used(constants)
        stage = {"module": self._module, "constants": used}
        return self._made_once(
            used,
            lambda: self._device.wgpu_device.create_render_pipeline(
                label=self.name,
                layout=self._layout,
                vertex={**stage, "entry_point": f"{self.name}_vertex", "buffers": []},
                primitive={"topology": topology, "cull_mode": "none"},
                fragment={**stage, "entry_point": f"{self.name}_fragment", "targets": [target]},
            ),
            repr((topology, target)),
        )

    @property
    def groups(self) -> int:
        """Number of bind groups that the pipeline takes."""
        return len(self._layouts)

    def bind(self, group: int, resources: Mapping[str, Any]) -> wgpu.GPUBindGroup:
        """Return a bind group with buffers, texture views and samplers by variable name. Raises ShaderError."""
        entries = []
        for binding in self.shader.bindings:
            if binding.group == group:
                if binding.name not in resources:
                    raise ShaderError(f"{self.shader.name}: the engine has nothing to bind to {binding.name!r}")
                resource = resources[binding.name]
                entries.append(
                    {
                        "binding": binding.index,
                        "resource": {"buffer": resource} if isinstance(resource, wgpu.GPUBuffer) else resource,
                    }
                )
        return self._device.wgpu_device.create_bind_group(
            label=f"{self.name} {group}", layout=self._layouts[group], entries=entries
        )


class Kernel(ShaderKernel):
    """One compute entry point, of the same name as its file, with its constants fixed."""

    def __init__(
        self,
        device: Device,
        name: str,
        constants: Mapping[str, Any] | None = None,
        runtime_checks: bool = True,
        folder: Path | None = None,
        modules: Modules = (),
    ):
        super().__init__(device, name, runtime_checks, folder, modules)
        used = self._used(constants)
        stage = {"module": self._module, "entry_point": name, "constants": used}
        self.pipeline = self._made_once(
            used, lambda: device.wgpu_device.create_compute_pipeline(label=name, layout=self._layout, compute=stage)
        )


class RenderKernel(ShaderKernel):
    """A vertex and a fragment entry point, `<name>_vertex` and `<name>_fragment`, that draw triangles without culling.

    The fragments write storage buffers only: the attachment of `target_format` stays as it is.
    """

    def __init__(
        self,
        device: Device,
        name: str,
        target_format: str,
        constants: Mapping[str, Any] | None = None,
        runtime_checks: bool = True,
        folder: Path | None = None,
    ):
        super().__init__(device, name, runtime_checks, folder)
        self.pipeline = self._render_pipeline(constants, "triangle-list", {"format": target_format, "write_mask": 0})


class DrawKernel(ShaderKernel):
    """A vertex and a fragment entry point, `<name>_vertex` and `<name>_fragment`, that draw to a colour target.

    With `blend`, colours (not multiplied by their alpha) are laid over what is there; without, they replace it. Both
    sides of a triangle are drawn, and there is no depth attachment.
    """

    def __init__(
        self,
        device: Device,
        name: str,
        target_format: str,
        constants: Mapping[str, Any] | None = None,
        runtime_checks: bool = True,
        topology: str = "triangle-list",
        blend: bool = False,
        folder: Path | None = None,
    ):
        super().__init__(device, name, runtime_checks, folder)
        target: dict[str, Any] = {"format": target_format}
        if blend:
            target["blend"] = {
                "color": {"operation": "add", "src_factor": "src-alpha", "dst_factor": "one-minus-src-alpha"},
                "alpha": {"operation": "add", "src_factor": "one", "dst_factor": "one-minus-src-alpha"},
            }
        self.pipeline = self._render_pipeline(constants, topology, target)
