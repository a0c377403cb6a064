"""Small valid files of every format, and seeded mutations of them."""

import base64
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tools import make_mesh

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
FORMATS = ("glb", "gltf", "meshopt", "draco", "obj", "ply_ascii", "ply_binary", "off", "stl_binary", "stl_text")
_REAL = {"meshopt": "awkward/pirate_meshopt_quantized.glb", "draco": "awkward/heart_draco.glb"}
_WORDS = (
    *("0", "-1", "1", "2", "3", "4", "255", "256", "65535", "2147483647", "2147483648", "4294967295", "1e400"),
    *("-1e-400", "1e38", "nan", "inf", "-inf", "", "x", "1" * 400, "1.2.3", "0x10", "--5", "99999999999999999999"),
)
_COUNTS = (0, 1, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 0x7F800000, 0x7FC00000, 0x7F7FFFFF)
_VALUES = (
    *(None, True, False, -1, 0, 1, 2, 3, 1.5, 2**31 - 1, 2**32 - 1, 2**53, 10**300, -1e308, 1e30, float("nan")),
    *(float("inf"), "", "x", "\ud800", [], {}, [[]], [0], {"index": 0}, [1e300] * 16, "data:,", "../../etc/passwd"),
)


def sample_file(kind: str, meshes: Path | None) -> tuple[bytes, str] | None:
    """Return the content and suffix of a valid file of one of FORMATS, or None where it is a missing real mesh."""
    if kind in _REAL:
        return ((meshes / _REAL[kind]).read_bytes(), ".glb") if meshes else None
    return _MAKERS[kind](), f".{kind.partition('_')[0]}"


def gltf_parts() -> tuple[dict, bytes]:
    """Return the JSON and the buffer of a scene with nodes, instances, strips, sparse values and textures."""
    points, faces, uvs = make_mesh.foliage(16)
    colors = np.full((len(points), 4), 200, np.uint8)
    offsets = np.array([[0, 0, 0], [3, 0, 0]])
    moved = points[:2] + 0.01
    arrays = [
        *(points.astype("<f4"), faces.astype("<u2").reshape(-1), uvs.astype("<f4"), colors, offsets.astype("<f4")),
        *(np.array([0, 3], "<u2"), moved.astype("<f4"), np.arange(24, dtype="u1")),
    ]
    views, data = [], b""
    for array in arrays:
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": array.nbytes})
        data += array.tobytes() + bytes(-array.nbytes % 4)

    def accessor(view: int, component: int, count: int, shape: str, **more: Any) -> dict:
        return {"bufferView": view, "componentType": component, "count": count, "type": shape, **more}

    sparse = {
        "count": 2,
        "indices": {"bufferView": 5, "byteOffset": 0, "componentType": 5123},
        "values": {"bufferView": 6, "byteOffset": 0},
    }
    attributes = {"POSITION": 0, "TEXCOORD_0": 2, "COLOR_0": 3}
    texture = {"index": 0, "texCoord": 0, "extensions": {"KHR_texture_transform": {"offset": [0, 0]}}}
    document = {
        "asset": {"version": "2.0"},
        "extensionsUsed": ["EXT_mesh_gpu_instancing"],
        "extensionsRequired": ["KHR_mesh_quantization"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [
            {"children": [1, 2], "translation": [0, 1, 0], "rotation": [0, 0, 0, 1], "scale": [1, 2, 1]},
            {"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 4}}}},
            {"mesh": 1, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 5, 6, 7, 1]},
        ],
        "meshes": [
            {"name": "leaves", "primitives": [{"attributes": attributes, "indices": 1, "material": 0, "mode": 4}]},
            {"primitives": [{"attributes": {"POSITION": 6}, "indices": 5, "mode": 5, "material": 1}]},
        ],
        "materials": [
            {
                "name": "leaf",
                "pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 1], "baseColorTexture": texture},
                "normalTexture": {"index": 0, "scale": 1.0},
                "alphaMode": "MASK",
                "alphaCutoff": 0.5,
                "doubleSided": True,
            },
            {
                "emissiveFactor": [1, 0.5, 0],
                "extensions": {
                    "KHR_materials_emissive_strength": {"emissiveStrength": 4},
                    "KHR_materials_pbrSpecularGlossiness": {"specularFactor": [0.04, 0.04, 0.04]},
                },
            },
        ],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [{"magFilter": 9728, "wrapS": 33071, "wrapT": 10497}],
        "images": [{"uri": "data:image/png;base64," + base64.b64encode(PNG).decode()}],
        "buffers": [{"byteLength": len(data)}],
        "bufferViews": views,
        "accessors": [
            accessor(0, 5126, len(points), "VEC3"),
            accessor(1, 5123, faces.size, "SCALAR"),
            accessor(2, 5126, len(uvs), "VEC2"),
            accessor(3, 5121, len(colors), "VEC4", normalized=True),
            accessor(4, 5126, 2, "VEC3"),
            accessor(7, 5121, 24, "SCALAR"),
            accessor(0, 5126, len(points), "VEC3", sparse=sparse),
        ],
    }
    return document, data


def pack_glb(document: Any, data: bytes) -> bytes:
    """Return a GLB file of a JSON value and a binary chunk."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _gltf() -> bytes:
    document, data = gltf_parts()
    document["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    return json.dumps(document).encode()


def _obj() -> bytes:
    points, faces = make_mesh.sphere(48)
    lines = ["mtllib none.mtl", "o sphere", "usemtl a", *(f"v {x:.4f} {y:.4f} {z:.4f} 1 0.5 0" for x, y, z in points)]
    lines += ["vt 0 0", "vt 1 0", "vt 0 1", "vn 0 0 1", "s off", *(f"f {a} {b} {c}" for a, b, c in faces[4:] + 1)]
    lines += ["usemtl b", "f 1/1/1 2/2/1 3/3/1 4/1/1", "f -1//1 -2//1 \\", " -3//1", "l 1 2", "# end"]
    return "\n".join(lines).encode() + b"\n"


def _ply_header(kind: str, points: int, faces: int, *columns: str) -> str:
    header = f"ply\nformat {kind} 1.0\ncomment made\nelement vertex {points}\n"
    header += "".join(f"property float {name}\n" for name in ("x", "y", "z"))
    header += "".join(f"property uchar {name}\n" for name in columns)
    return header + f"element face {faces}\nproperty list uchar int vertex_indices\nend_header\n"


def _ply_ascii() -> bytes:
    points, faces = make_mesh.sphere(48)
    text = _ply_header("ascii", len(points), len(faces) + 1, "red", "green", "blue")
    text += "".join(f"{x:.5f} {y:.5f} {z:.5f} 255 128 0\n" for x, y, z in points)
    return (text + "".join(f"3 {a} {b} {c}\n" for a, b, c in faces) + "4 0 1 2 3\n").encode()


def _ply_binary() -> bytes:
    points, faces = make_mesh.sphere(48)
    data = _ply_header("binary_little_endian", len(points), len(faces) + 1).encode() + points.astype("<f4").tobytes()
    return data + b"".join(struct.pack("<B3i", 3, *face) for face in faces) + struct.pack("<B5i", 5, 0, 1, 2, 3, 4)


def _off() -> bytes:
    points, faces = make_mesh.sphere(48)
    text = f"OFF\n# made\n{len(points)} {len(faces) + 1} 0\n" + "".join(
        f"{x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in points
    )
    return (text + "".join(f"3 {a} {b} {c}\n" for a, b, c in faces) + "4 0 1 2 3 255 0 0\n").encode()


def _stl_binary() -> bytes:
    points, faces = make_mesh.sphere(48)
    records = [struct.pack("<3f", 0, 0, 0) + points[face].astype("<f4").tobytes() + b"\0\0" for face in faces]
    return b"made".ljust(80) + struct.pack("<I", len(faces)) + b"".join(records)


def _stl_text() -> bytes:
    points, faces = make_mesh.sphere(48)
    text = "solid made\n"
    for face in faces:
        text += "  facet normal 0 0 1\n    outer loop\n"
        text += "".join(f"      vertex {x:.5e} {y:.5e} {z:.5e}\n" for x, y, z in points[face])
        text += "    endloop\n  endfacet\n"
    return (text + "endsolid made\n").encode()


_MAKERS: dict[str, Callable[[], bytes]] = {
    "glb": lambda: pack_glb(*gltf_parts()),
    "gltf": _gltf,
    "obj": _obj,
    "ply_ascii": _ply_ascii,
    "ply_binary": _ply_binary,
    "off": _off,
    "stl_binary": _stl_binary,
    "stl_text": _stl_text,
}


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """Return the bytes with one to three mistakes: in the JSON, in the numbers of the text, or anywhere."""
    for _ in range(random.integers(1, 4)):
        chance = random.random()
        if data[:4] == b"glTF" and chance < 0.9:
            data = _mutated_glb(data, random, alter_json=chance < 0.6)
        elif data[:1] == b"{" and chance < 0.9:
            data = _mutated_json(data, random)
        elif chance < 0.4:
            data = _mutated_numbers(data, random)
        else:
            data = _mutated_bytes(data, random)
    return data


def _place(length: int, random: np.random.Generator) -> int:
    """Return a place in 0..length, half of the time near the start, where headers are."""
    return int(random.integers(0, min(length, 200) + 1 if random.random() < 0.5 else length + 1))


def _mutated_bytes(data: bytes, random: np.random.Generator) -> bytes:
    here, size = _place(len(data), random), int(random.integers(1, 64))
    part, rest = data[here : here + size], data[here + size :]
    which = random.integers(0, 9)
    if which == 0:
        return data[:here]
    if which == 1:
        return data[:here] + rest
    if which == 2:
        return data[:here] + part + part + rest
    if which == 3:
        there = _place(len(rest), random)
        return data[:here] + rest[:there] + part + rest[there:]
    if which == 4:
        count = struct.pack("<I", _COUNTS[random.integers(0, len(_COUNTS))])
        here = here & ~3 if random.random() < 0.5 else here
        return data[:here] + count + data[here + 4 :]
    if which == 5:
        return data[:here] + bytes([random.integers(0, 32)]) * int(random.integers(1, 4)) + part + rest
    if not rest:
        return data
    flipped = data[here] ^ (1 << random.integers(0, 8))
    value = (flipped, 0, 255, int(random.integers(0, 256)))[random.integers(0, 4)]
    return data[:here] + bytes([value]) + data[here + 1 :]


def _mutated_numbers(data: bytes, random: np.random.Generator) -> bytes:
    """Replace a number of the text by another word, or the four bytes behind the first 80 by a count."""
    numbers = list(re.finditer(rb"[-+.0-9][-+.0-9eE]*", data))
    if not numbers:
        return data
    early = random.random() < 0.3
    chosen = numbers[random.integers(0, min(len(numbers), 6) if early else len(numbers))]
    word = _WORDS[random.integers(0, len(_WORDS))].encode()
    return data[: chosen.start()] + word + data[chosen.end() :]


def _mutated_json(data: bytes, random: np.random.Generator) -> bytes:
    try:
        document = json.loads(data)
    except ValueError:
        return _mutated_bytes(data, random)
    return json.dumps(alter(document, random)).encode()


def _mutated_glb(data: bytes, random: np.random.Generator, alter_json: bool) -> bytes:
    try:
        size = struct.unpack_from("<I", data, 12)[0]
        document, binary = json.loads(data[20 : 20 + size]), data[28 + size :]
    except (ValueError, struct.error):
        return _mutated_bytes(data, random)
    if alter_json:
        return pack_glb(alter(document, random), binary)
    return pack_glb(document, _mutated_bytes(binary, random))


def alter(value: Any, random: np.random.Generator) -> Any:
    """Return a JSON value in which one place holds something else, is gone, or is there twice."""
    if not isinstance(value, (dict, list)) or not value or random.random() < 0.03:
        return _VALUES[random.integers(0, len(_VALUES))]
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key, result = keys[random.integers(0, len(keys))], value.copy()
    chance = random.random()
    if chance < 0.03:
        del result[key]
    elif chance < 0.06:
        if isinstance(result, list):
            result.insert(key, value[keys[random.integers(0, len(keys))]])
        else:
            result[key] = value[keys[random.integers(0, len(keys))]]
    else:
        result[key] = alter(value[key], random)
    return result
