"""A textured quad of given materials, as a scene: for tests that know what every pixel must show."""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from engine.builder import build
from engine.camera import Camera
from engine.scene import Scene, load_scene
from tests.builder.sample_files import pack_glb
from tests.test_textures import encoded

FACING = Camera(eye=(0.0, 0.0, 4.0), target=(0.0, 0.0, 0.0), orthographic_height=2.0)


def quad_asset(
    folder: Path,
    materials: list[dict],
    images: list[np.ndarray] = (),
    sampler: dict | None = None,
    colors: np.ndarray | None = None,
) -> Path:
    """Build quads of 2 x 2 that face +z, side by side along x, one for each glTF material, and return the asset.

    UVs are those of an image: (0, 0) at the top left. `colors` (4, 4) are those of the corners top
    left, top right, bottom left, bottom right. Texture i shows images[i].
    """
    positions = np.array([[-1, 1, 0], [1, 1, 0], [-1, -1, 0], [1, -1, 0]], "<f4")
    arrays = [positions, np.array([2, 3, 0, 0, 3, 1], "<u2")]
    arrays.append(np.array([[0, 0], [1, 0], [0, 1], [1, 1]], "<f4"))
    attributes = {"POSITION": 0, "TEXCOORD_0": 2}
    if colors is not None:
        arrays.append(np.asarray(colors, "<f4"))
        attributes["COLOR_0"] = 3
    views, data = [], b""
    for array in arrays:
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": array.nbytes})
        data += array.tobytes() + bytes(-array.nbytes % 4)
    shapes = [("VEC3", 4, 5126), ("SCALAR", 6, 5123), ("VEC2", 4, 5126), ("VEC4", 4, 5126)]
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": list(range(len(materials)))}],
        "nodes": [{"mesh": i, "translation": [2 * i, 0, 0]} for i in range(len(materials))],
        "meshes": [
            {"primitives": [{"attributes": attributes, "indices": 1, "material": i}]} for i in range(len(materials))
        ],
        "materials": materials,
        "buffers": [{"byteLength": len(data)}],
        "bufferViews": views,
        "accessors": [
            {"bufferView": i, "componentType": component, "count": count, "type": shape}
            for i, (shape, count, component) in enumerate(shapes[: len(arrays)])
        ],
    }
    if len(images):
        document["samplers"] = [sampler or {}]
        document["textures"] = [{"source": i, "sampler": 0} for i in range(len(images))]
        document["images"] = [
            {"uri": "data:image/png;base64," + base64.b64encode(encoded(image)).decode()} for image in images
        ]
    source = folder / "quad.glb"
    source.write_bytes(pack_glb(document, data))
    build([source], folder / "quad.mlith")
    return folder / "quad.mlith"


def quad_scene(folder: Path, *arguments: Any, **options: Any) -> Scene:
    """Return `quad_asset` as a scene."""
    return load_scene(quad_asset(folder, *arguments, **options))
