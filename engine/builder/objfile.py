"""OBJ files with their MTL materials, parsed from bytes by numba.

Wavefront, "Advanced Visualizer manual", appendix B1. Polygons become fans of triangles.
"""

import os
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from numba import njit

from engine import layout, materials
from engine.builder.source import SourceMesh, SourceScene, single_mesh_scene, unique_rows
from engine.builder.textfile import (
    next_content,
    next_line,
    parse_integer,
    parse_number,
    read_bytes,
    skip_blanks,
    skip_word,
)

_IMAGE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_LARGEST = 1e15  # of a material's factor: finite in float32


@njit(nogil=True, cache=True)
def _count_obj(data):
    """Return the numbers of v, vt, vn, triangle and usemtl/mtllib lines (upper bounds), and of other elements."""
    counts = np.zeros(7, np.int64)  # v, vt, vn, triangles, names, points and lines, bad faces
    here = 0
    while True:
        here = next_content(data, here)
        if here < 0:
            return counts
        kind = data[here]
        after = data[here + 1] if here + 1 < len(data) else 10
        blank = after <= 32 and after != 10
        if kind == 118 and blank:
            counts[0] += 1
        elif kind == 118 and (after == 116 or after == 110):
            counts[1 if after == 116 else 2] += 1
        elif kind == 102 and blank:
            words = 0
            here = skip_blanks(data, here + 1)
            while here < len(data) and data[here] != 10 and data[here] != 35:
                words += 1
                here = skip_blanks(data, skip_word(data, here))
            counts[3] += max(words - 2, 0)
            counts[6] += words < 3
        elif kind == 117 or kind == 109:
            counts[4] += 1
        elif (kind == 112 or kind == 108) and blank:
            counts[5] += 1
        here = next_line(data, here)


@njit(nogil=True, cache=True)
def _parse_obj(data, counts, vertex_columns):
    """Return vertices (v, columns), texture (t, 2), normals (n, 3), corners (3 m, 3) int32, names (k, 2)."""
    vertices = np.full((counts[0], vertex_columns), np.nan, np.float64)
    textures = np.zeros((counts[1], 2), np.float32)
    normals = np.zeros((counts[2], 3), np.float32)
    corners = np.full((3 * counts[3], 3), -1, np.int32)
    names = np.zeros((counts[4], 2), np.int64)  # first byte of a usemtl or mtllib line, triangles before it
    at = np.zeros(5, np.int64)
    current = np.zeros(3, np.int64)
    first, before = np.zeros(3, np.int64), np.zeros(3, np.int64)
    here = 0
    while True:
        here = next_content(data, here)
        if here < 0:
            break
        kind = data[here]
        after = data[here + 1] if here + 1 < len(data) else 10
        blank = after <= 32 and after != 10
        if kind == 118 and (blank or after == 116 or after == 110):
            table = 0 if blank else (1 if after == 116 else 2)
            here += 1 if blank else 2
            columns = vertex_columns if table == 0 else (2 if table == 1 else 3)
            for column in range(columns):
                here = skip_blanks(data, here)
                if here >= len(data) or data[here] == 10:
                    break
                value, here = parse_number(data, here)
                if table == 0:
                    vertices[at[0], column] = value
                elif table == 1:
                    textures[at[1], column] = value
                else:
                    normals[at[2], column] = value
            at[table] += 1
        elif kind == 102 and blank:
            here = skip_blanks(data, here + 1)
            corner = 0
            while here < len(data) and data[here] != 10 and data[here] != 35:
                end = skip_word(data, here)
                for part in range(3):
                    current[part] = -1
                for part in range(3):
                    index, here, good = parse_integer(data, here)
                    if good:
                        index = index - 1 if index > 0 else (at[part] + index if index < 0 else -2)
                        current[part] = index if -1 <= index <= 2147483647 else -2
                    elif part == 0:
                        current[0] = -2
                    if here >= end or data[here] != 47:
                        break
                    here += 1
                if corner >= 2:
                    for part in range(3):
                        corners[3 * at[3], part] = first[part]
                        corners[3 * at[3] + 1, part] = before[part]
                        corners[3 * at[3] + 2, part] = current[part]
                    at[3] += 1
                for part in range(3):
                    if corner == 0:
                        first[part] = current[part]
                    before[part] = current[part]
                corner += 1
                here = skip_blanks(data, end)
        elif kind == 117 or kind == 109:
            names[at[4], 0], names[at[4], 1] = here, at[3]
            at[4] += 1
        here = next_line(data, here)
    return vertices, textures, normals, corners[: 3 * at[3]], names[: at[4]]


def read_obj(path: Path, report: dict) -> SourceScene:
    """Return the scene of an OBJ file: one mesh, the materials of its MTL files where they are found."""
    data = read_bytes(path)
    text = data.tobytes()
    if b"\\" in text:
        text = re.sub(rb"\\\r?\n", b" ", text)
        data = np.frombuffer(bytearray(text), np.uint8)
    counts = _count_obj(data)
    first = re.search(rb"^[ \t]*v[ \t]+([^\n#]*)", text, re.MULTILINE)
    colored = first is not None and len(first[1].split()) in (6, 7)
    vertices, textures, normals, corners, names = _parse_obj(data, counts, 6 if colored else 3)
    for key, place in (("points_or_lines", 5), ("faces_too_few_corners", 6)):
        if counts[place]:
            report[key] = int(counts[place])
    mesh = _obj_mesh(path.stem, vertices, textures, normals, corners)
    scene = single_mesh_scene(mesh, report)
    _apply_materials(scene, path, text, names, report)
    return scene


def _obj_mesh(name, vertices, textures, normals, corners) -> SourceMesh:
    limits = (len(vertices), len(textures), len(normals))
    for part, missing in ((0, -3), (1, -1), (2, -1)):
        column = corners[:, part]
        column[(column >= limits[part]) | (column < -1)] = missing if part else -1
    if (corners[:, 1:] < 0).all():
        number, chosen, positions = corners[:, 0], corners[:0], vertices
    else:
        number, first = unique_rows(np.ascontiguousarray(corners))
        chosen = corners[first]
        positions = _gather(vertices, chosen[:, 0], np.nan)
    colors = None
    if vertices.shape[1] == 6:
        linear = materials.srgb_to_linear(np.clip(np.nan_to_num(positions[:, 3:]), 0.0, 1.0))
        colors = np.full((len(positions), 4), 255, np.uint8)
        colors[:, :3] = np.rint(linear * 255.0)
    uvs = _gather(textures, chosen[:, 1], 0.0) if (chosen[:, 1] >= 0).any() else None
    if uvs is not None:
        uvs[:, 1] = 1.0 - uvs[:, 1]
    vertex_normals = _gather(normals, chosen[:, 2], 0.0) if (chosen[:, 2] >= 0).any() else None
    faces = np.ascontiguousarray(number.reshape(-1, 3), np.int32)
    positions = np.ascontiguousarray(positions[:, :3])
    return SourceMesh(name, positions, faces, vertex_normals, uvs, colors, np.zeros(len(faces), np.int32))


def _gather(values: np.ndarray, index: np.ndarray, missing: float) -> np.ndarray:
    """Return values[index]; rows of a negative index hold `missing`."""
    if len(values) == 0:
        return np.full((len(index), values.shape[1]), missing, values.dtype)
    result = values[np.maximum(index, 0)]
    result[index < 0] = missing
    return result


def _apply_materials(scene: SourceScene, path: Path, text: bytes, names: np.ndarray, report: dict) -> None:
    """Give each face the material that the last usemtl line before it names; unknown names keep the default."""
    used: dict[str, int] = {}
    libraries: list[str] = []
    mesh = scene.meshes[0]
    starts, numbers = [0], [0]
    for begin, triangle in names:
        end = text.find(b"\n", begin)
        line = text[begin : end if end >= 0 else len(text)].decode("utf-8", "replace")
        keyword, _, rest = line.strip().partition(" ")
        if keyword == "mtllib":
            libraries.append(rest.strip())
        elif keyword == "usemtl":
            starts.append(int(triangle))
            numbers.append(used.setdefault(rest.strip(), len(used) + 1))
    if not used:
        return
    lengths = np.diff([*starts, len(mesh.faces)])
    mesh.face_material = np.repeat(np.array(numbers, np.int32), lengths)
    found = _read_libraries(path.parent, libraries, scene, report)
    default = scene.materials[0]
    scene.materials = np.array([default] + [found.get(name, default) for name in used])
    scene.material_names = ["default", *used]
    missing = [name for name in used if name not in found]
    if missing:
        report["materials_missing"] = len(missing)


def _read_libraries(folder: Path, libraries: list[str], scene: SourceScene, report: dict) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    images: dict[str, int] = {}
    for library in dict.fromkeys(libraries):
        content = _read_beside(folder, library)
        if content is None:
            report["material_libraries_missing"] = report.get("material_libraries_missing", 0) + 1
            continue
        name, values, image = None, {}, None
        for line in [*content.decode("utf-8", "replace").splitlines(), "newmtl"]:
            keyword, _, rest = line.strip().partition(" ")
            if keyword == "newmtl":
                if name is not None:
                    found[name] = materials.material_from_mtl(values, _load_image(folder, image, images, scene, report))
                name, values, image = rest.strip(), {}, None
            elif keyword == "map_Kd":
                image = rest.strip()
            elif keyword in ("Kd", "Ke", "Ns", "d", "Tr"):
                values[keyword] = [min(max(float(word), -_LARGEST), _LARGEST) for word in _NUMBER.findall(rest)]
    return found


def _load_image(folder: Path, name: str | None, images: dict[str, int], scene: SourceScene, report: dict) -> int:
    if name is None:
        return layout.NONE
    if name not in images:
        file = unquote(name.replace("\\", "/"))
        media = _IMAGE_TYPES.get(Path(file).suffix.lower())
        content = _read_beside(folder, file) if media else None
        if media is None or content is None:
            report["textures_missing"] = report.get("textures_missing", 0) + 1
            images[name] = layout.NONE
        else:
            images[name] = len(scene.textures)
            scene.textures.append((media, content))
    return images[name]


def _read_beside(folder: Path, name: str) -> bytes | None:
    """Return the content of a file, or None where it is missing, no regular file, or cannot be read."""
    file = folder / name
    try:
        return file.read_bytes() if os.path.isfile(file) else None
    except OSError:
        return None
