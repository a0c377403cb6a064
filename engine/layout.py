"""Read shaders/layout.wgsl and layout_frame.wgsl into numpy dtypes and constants.

The WGSL text is the only description of what file, host and GPU share. Its offsets follow the
alignment rules of WGSL (https://www.w3.org/TR/WGSL/#alignment-and-size).
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_COMMENT = re.compile(r"//[^\n]*")
_CONSTANT = re.compile(r"const\s+(\w+)\s*:\s*(u32|i32|f32)\s*=\s*([^;]+);")
_STRUCT = re.compile(r"struct\s+(\w+)\s*\{(.*?)\}", re.DOTALL)
_FIELD = re.compile(r"(\w+)\s*:\s*(\w+(?:<(?:[^<>]|<[^<>]*>)*>)?)")
_VECTOR = re.compile(r"vec([234])([uif])")
_ARRAY = re.compile(r"array<\s*(\w+|atomic<\w+>)\s*,\s*(\d+)\s*>")
_KINDS = {"u": "<u4", "i": "<i4", "f": "<f4"}


@cache
def shader_folder() -> Path:
    """Folder of the WGSL files: beside the package in a clone, inside it in an installed wheel."""
    package = Path(__file__).resolve().parent
    for folder in (package / "shaders", package.parent / "shaders"):
        if (folder / "layout.wgsl").is_file():
            return folder
    raise FileNotFoundError(f"no shaders/layout.wgsl beside or inside {package}; reinstall microlith")


def parse_constants(text: str) -> dict[str, Any]:
    """Return the scalar constants of a WGSL text by name."""
    constants: dict[str, Any] = {}
    for name, kind, value in _CONSTANT.findall(_COMMENT.sub("", text)):
        value = value.strip().rstrip("uif") if not value.strip().startswith("0x") else value.strip().rstrip("u")
        constants[name] = float(value) if kind == "f32" else int(value, 0)
    return constants


def parse_structs(text: str) -> dict[str, np.dtype]:
    """Return a numpy dtype with WGSL offsets and size for each struct of a WGSL text."""
    structs: dict[str, np.dtype] = {}
    for name, body in _STRUCT.findall(_COMMENT.sub("", text)):
        names, formats, offsets, end, largest = [], [], [], 0, 4
        for field, kind in _FIELD.findall(body):
            format_, size, alignment = _field_format(kind)
            offset = -(-end // alignment) * alignment
            names.append(field)
            formats.append(format_)
            offsets.append(offset)
            end, largest = offset + size, max(largest, alignment)
        size = -(-end // largest) * largest
        structs[name] = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})
    return structs


def _field_format(kind: str) -> tuple[object, int, int]:
    """Return (numpy format, size in bytes, alignment in bytes) of a WGSL type."""
    kind = re.sub(r"\batomic<(\w+)>", r"\1", kind)
    if kind in ("u32", "i32", "f32"):
        return _KINDS[kind[0]], 4, 4
    if kind == "u64":
        return "<u8", 8, 8
    if vector := _VECTOR.fullmatch(kind):
        count = int(vector[1])
        return (_KINDS[vector[2]], (count,)), 4 * count, 8 if count == 2 else 16
    if array := _ARRAY.fullmatch(kind):
        format_, size, alignment = _field_format(array[1])
        stride = -(-size // alignment) * alignment
        if stride != size:
            raise ValueError(f"{' or '.join(FILES)}: {kind} has padding between elements; use a 4-vector")
        base, shape = format_ if isinstance(format_, tuple) else (format_, ())
        return (base, (int(array[2]), *shape)), stride * int(array[2]), alignment
    raise ValueError(f"{' or '.join(FILES)}: unknown type {kind!r}")


FILES = ("layout.wgsl", "layout_frame.wgsl")


def read_layout() -> tuple[str, str]:
    """Return what the two files hold now: the format of asset files, and what is only in memory."""
    of_file, of_frame = ((shader_folder() / name).read_text(encoding="utf-8") for name in FILES)
    return of_file, of_frame


FILE_TEXT, FRAME_TEXT = read_layout()
LAYOUT_TEXT = FILE_TEXT + FRAME_TEXT
CONSTANTS = parse_constants(LAYOUT_TEXT) | parse_constants(
    (shader_folder() / "shading.wgsl").read_text(encoding="utf-8")
)
STRUCTS = parse_structs(LAYOUT_TEXT)

NODE = STRUCTS["Node"]
GROUP = STRUCTS["Group"]
CLUSTER = STRUCTS["Cluster"]
PAGE_HEADER = STRUCTS["PageHeader"]
MESH = STRUCTS["Mesh"]
INSTANCE = STRUCTS["Instance"]
VIEW = STRUCTS["View"]
WORK_ITEM = STRUCTS["WorkItem"]
CANDIDATE_GROUP = STRUCTS["CandidateGroup"]
VISIBLE_CLUSTER = STRUCTS["VisibleCluster"]
RASTER_BIN = STRUCTS["RasterBin"]
BIN_ENTRY = STRUCTS["BinEntry"]
LARGE_TRIANGLE = STRUCTS["LargeTriangle"]
PASS_STATE = STRUCTS["PassState"]
MATERIAL = STRUCTS["Material"]
CLUSTER_LIST = STRUCTS["ClusterList"]
DRAWN_INSTANCE = STRUCTS["DrawnInstance"]
MESH_ROOT = STRUCTS["MeshRoot"]
NONE = CONSTANTS["NONE"]
