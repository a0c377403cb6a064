"""glTF 2.0 scenes: nodes become instances, primitives become meshes, materials and images are kept."""

from pathlib import Path
from typing import Any

import numpy as np

from engine import layout, materials
from engine.builder.gltf import Document, normalized
from engine.builder.gltfcheck import LARGEST_NUMBER
from engine.builder.source import SourceMesh, SourceScene, join_meshes

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_SIGNATURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp", b"\xabKTX": "image/ktx2"}
_READABLE = ("image/png", "image/jpeg", "image/webp")
_LONGEST_NAME = 256
_INSTANCE_WIDTHS = {"TRANSLATION": 3, "ROTATION": 4, "SCALE": 3}


def read_gltf(path: Path, report: dict) -> SourceScene:
    """Return the scene of a .gltf or .glb file; ValueError where it is malformed."""
    document = Document(path)
    placements = _placements(document, report)
    if not placements:
        raise ValueError("holds no triangles (no mesh in the scene)")
    textures = _Textures(document, report)
    sources = document.items("materials")
    records = [materials.material_from_gltf(source, textures.number) for source in sources]
    names = [_name(source, f"material {index}") for index, source in enumerate(sources)]
    meshes, instance_mesh, transforms = [], [], []
    plain_used = False
    for mesh_indices, matrices in _same_places(placements):
        parts = []
        for mesh_index in mesh_indices:
            parts += _primitives(document, mesh_index, len(sources), report)
        if parts:
            plain_used |= any(int(part.face_material[0]) == len(sources) for part in parts if len(part.faces))
            instance_mesh += [len(meshes)] * len(matrices)
            transforms.append(matrices)
            meshes.append(join_meshes(parts[0].name, parts))
    if plain_used or not records:
        records.append(materials.material())
        names.append("default")
    if not meshes:
        raise ValueError("holds no triangles")
    return SourceScene(
        meshes,
        np.array(instance_mesh, np.int32),
        np.concatenate(transforms),
        np.array(records),
        names,
        textures.images,
        report,
    )


def _name(source: dict, default: str) -> str:
    return str(source.get("name", default))[:_LONGEST_NAME]


def _placements(document: Document, report: dict) -> dict[int, np.ndarray]:
    """Return for each placed mesh of the scene its world transforms (k, 4, 4) float64."""
    nodes = document.items("nodes")
    local = _local_transforms(nodes)
    found: dict[int, list[np.ndarray]] = {}
    visited: set[int] = set()
    stack = [(index, np.eye(4)) for index in reversed(_roots(document, nodes))]
    while stack:
        index, parent = stack.pop()
        node = document.item("nodes", index)
        if index in visited:
            raise ValueError(f"glTF node {index} has two parents, or is its own ancestor")
        visited.add(index)
        world = parent @ local[index]
        if not (np.abs(world) <= LARGEST_NUMBER).all():
            raise ValueError(f"the transform of glTF node {index} is not finite, or beyond {LARGEST_NUMBER:.0e}")
        if "mesh" in node:
            document.item("meshes", node["mesh"])
            if "skin" in node:
                report["skins_ignored"] = report.get("skins_ignored", 0) + 1
            found.setdefault(node["mesh"], []).append(world @ _gpu_instances(document, node))
        stack += [(child, world) for child in reversed(node.get("children", []))]
    if not nodes:
        return {index: np.eye(4)[None] for index in range(len(document.items("meshes")))}
    return {index: np.concatenate(matrices) for index, matrices in found.items()}


def _roots(document: Document, nodes: list[dict]) -> list[int]:
    scenes = document.items("scenes")
    if scenes:
        return list(document.item("scenes", document.json.get("scene", 0)).get("nodes", []))
    children = {child for node in nodes for child in node.get("children", [])}
    return [index for index in range(len(nodes)) if index not in children]


def _local_transforms(nodes: list[dict]) -> np.ndarray:
    """Return the transforms (k, 4, 4) float64 of nodes relative to their parents."""
    if not nodes:
        return np.zeros((0, 4, 4))
    matrices = _compose(
        np.array([node.get("translation", (0.0, 0.0, 0.0)) for node in nodes], np.float64),
        np.array([node.get("rotation", (0.0, 0.0, 0.0, 1.0)) for node in nodes], np.float64),
        np.array([node.get("scale", (1.0, 1.0, 1.0)) for node in nodes], np.float64),
    )
    for index, node in enumerate(nodes):
        if "matrix" in node:
            matrices[index] = np.array(node["matrix"], np.float64).reshape(4, 4).T
            matrices[index, 3] = (0.0, 0.0, 0.0, 1.0)  # whatever it holds: nodes do not project
    return matrices


def _compose(translation: np.ndarray, rotation: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return (k, 4, 4) of translations (k, 3), quaternions x y z w (k, 4) and scales (k, 3)."""
    length = np.linalg.norm(rotation, axis=1, keepdims=True)
    x, y, z, w = (rotation / np.where(length > 0.0, length, 1.0)).T
    matrices = np.zeros((len(translation), 4, 4))
    matrices[:, 0, :3] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], axis=1)
    matrices[:, 1, :3] = np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], axis=1)
    matrices[:, 2, :3] = np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=1)
    matrices[:, :3, :3] *= scale[:, None, :]
    matrices[:, :3, 3] = translation
    matrices[:, 3, 3] = 1.0
    return matrices


def _gpu_instances(document: Document, node: dict) -> np.ndarray:
    """Return the transforms of EXT_mesh_gpu_instancing (k, 4, 4), or one identity."""
    source = node.get("extensions", {}).get("EXT_mesh_gpu_instancing")
    if source is None:
        return np.eye(4)[None]
    columns, count = {}, None
    for name, index in source["attributes"].items():
        if name in _INSTANCE_WIDTHS:
            values = document.accessor(index)
            if values.shape[1] != _INSTANCE_WIDTHS[name] or count not in (None, len(values)):
                raise ValueError(f"the instance attribute {name} of a glTF node has a wrong size")
            columns[name], count = values.astype(np.float64), len(values)
    if count is None:
        return np.eye(4)[None]
    document.use("instances", count)
    matrices = _compose(
        columns.get("TRANSLATION", np.zeros((count, 3))),
        columns.get("ROTATION", np.tile((0.0, 0.0, 0.0, 1.0), (count, 1))),
        columns.get("SCALE", np.ones((count, 3))),
    )
    if not (np.abs(matrices) <= LARGEST_NUMBER).all():
        raise ValueError(f"the instance transforms of a glTF node are not finite, or beyond {LARGEST_NUMBER:.0e}")
    return matrices


def _same_places(placements: dict[int, np.ndarray]) -> list[tuple[list[int], np.ndarray]]:
    """Join meshes that are placed by exactly the same transforms, so that no crack can open between them."""
    groups: dict[bytes, tuple[list[int], np.ndarray]] = {}
    for mesh, matrices in placements.items():
        groups.setdefault(matrices.tobytes(), ([], matrices))[0].append(mesh)
    return list(groups.values())


def _primitives(document: Document, mesh_index: int, default: int, report: dict) -> list[SourceMesh]:
    mesh = document.item("meshes", mesh_index)
    name = _name(mesh, f"mesh {mesh_index}")
    parts = []
    for primitive in mesh.get("primitives", []):
        mode = primitive.get("mode", _TRIANGLES)
        if mode not in (_TRIANGLES, _STRIP, _FAN):
            report["points_or_lines"] = report.get("points_or_lines", 0) + 1
            continue
        if "POSITION" not in primitive.get("attributes", {}):
            report["primitives_without_positions"] = report.get("primitives_without_positions", 0) + 1
            continue
        if primitive.get("targets"):
            report["morph_targets_ignored"] = report.get("morph_targets_ignored", 0) + 1
        material = default
        if "material" in primitive:
            document.item("materials", primitive["material"])
            material = primitive["material"]
        parts.append(_primitive(document, primitive, name, mode, material))
    return parts


def _primitive(document: Document, primitive: dict, name: str, mode: int, material: int) -> SourceMesh:
    packed = primitive.get("extensions", {}).get("KHR_draco_mesh_compression")
    decoded: dict[str, np.ndarray] = {}
    faces = None
    if packed is not None:
        faces, decoded = document.draco(packed)

    def column(attribute: str, width: int) -> np.ndarray | None:
        if attribute not in primitive["attributes"]:
            return None
        index = primitive["attributes"][attribute]
        accessor = document.item("accessors", index)
        if attribute in decoded:
            values = normalized(decoded[attribute]) if accessor.get("normalized") else decoded[attribute]
        else:
            values = document.accessor(index)
        if values.shape[1] < width or len(values) != (count or len(values)):
            raise ValueError(f"the glTF attribute {attribute} of mesh {name!r} has a wrong size")
        return values if used is None else values[used]

    count, used = None, None
    points = column("POSITION", 3)
    assert points is not None
    count = len(points)
    if faces is None:
        faces, used = _used_part(_faces(document, primitive, count, mode), count)
        points = points if used is None else points[used]
    document.use("vertices", len(points))
    document.use("triangles", len(faces))
    normals, uvs = column("NORMAL", 3), column("TEXCOORD_0", 2)
    return SourceMesh(
        name,
        np.ascontiguousarray(points[:, :3], np.float64),
        np.ascontiguousarray(faces, np.int32),
        None if normals is None else normals_of(normals),
        None if uvs is None else np.ascontiguousarray(uvs[:, :2], np.float32),
        _colors(column("COLOR_0", 3)),
        np.full(len(faces), material, np.int32),
    )


def _used_part(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return faces into the rows `used`, and these; None where they are more than a half of `count`.

    Exporters let many primitives share all vertices, and each would else read all of them.
    """
    if 2 * faces.size > count:
        return faces, None
    good = (faces >= 0) & (faces < count)
    used = np.unique(faces[good])
    return np.where(good, np.searchsorted(used, faces), -1).astype(np.int32), used


def normals_of(values: np.ndarray) -> np.ndarray:
    """Return float32 unit normals (n, 3) of floats or of integers of any scale; zero where there is none."""
    normals = np.ascontiguousarray(values[:, :3], np.float32)
    if values.dtype.kind == "f" and np.abs((normals * normals).sum(axis=1) - 1.0).max(initial=0.0) < 1e-5:
        return normals
    with np.errstate(all="ignore"):
        length = np.sqrt((normals.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
        unit = np.where((length > 0.0) & np.isfinite(length), normals / length, 0.0)
    return unit.astype(np.float32)


def _faces(document: Document, primitive: dict, vertex_count: int, mode: int) -> np.ndarray:
    if "indices" in primitive:
        indices = document.accessor(primitive["indices"])[:, 0]
        if indices.dtype.kind != "u":
            raise ValueError("glTF indices must be unsigned integers")
        indices = indices.astype(np.uint32).view(np.int32)  # beyond 2^31 becomes negative: out of range
    else:
        indices = np.arange(vertex_count, dtype=np.int32)
    if mode == _TRIANGLES:
        return indices[: len(indices) // 3 * 3].reshape(-1, 3)
    if len(indices) < 3:
        return np.zeros((0, 3), np.int32)
    if mode == _FAN:
        return np.stack([np.broadcast_to(indices[:1], len(indices) - 2), indices[1:-1], indices[2:]], axis=1)
    faces = np.stack([indices[:-2], indices[1:-1], indices[2:]], axis=1)
    faces[1::2] = faces[1::2, [1, 0, 2]]
    return faces


def _colors(values: np.ndarray | None) -> np.ndarray | None:
    if values is None:
        return None
    colors = np.full((len(values), 4), 255, np.uint8)
    scaled = np.clip(np.nan_to_num(normalized(values)[:, :4]), 0.0, 1.0).astype(np.float64) * 255.0
    colors[:, : scaled.shape[1]] = np.rint(scaled)
    return colors


class _Textures:
    """Collects the images that materials use; `images` becomes SourceScene.textures."""

    def __init__(self, document: Document, report: dict) -> None:
        self.images: list[tuple[str, bytes]] = []
        self._document = document
        self._report = report
        self._numbers: dict[tuple[int | None, str | None], int] = {}
        self._by_content: dict[bytes, int] = {}

    def number(self, info: Any) -> tuple[int, int]:
        """Return (number in `images` or NONE, sampler bits) of a glTF textureInfo."""
        if info is None:
            return layout.NONE, 0
        transform = info.get("extensions", {}).get("KHR_texture_transform")
        if transform is not None:
            self._count("texture_transforms_ignored")
        # Only counted, so whatever an ignored extension holds is no reason to refuse the file.
        own_set = transform.get("texCoord") if isinstance(transform, dict) else None
        if (own_set if isinstance(own_set, int) else info.get("texCoord", 0)) > 0:
            self._count("second_uv_sets_ignored")
        texture = self._document.item("textures", info["index"])
        sampler = self._document.item("samplers", texture["sampler"]) if "sampler" in texture else {}
        webp = texture.get("extensions", {}).get("EXT_texture_webp", {}).get("source")
        source = webp if webp is not None else texture.get("source")
        if source is None:
            self._missing()
            return layout.NONE, 0
        image = self._document.item("images", source)
        place = image.get("bufferView"), image.get("uri")
        if place not in self._numbers:
            self._numbers[place] = self._load(*place)
        return self._numbers[place], materials.sampler_bits(sampler)

    def _load(self, view: int | None, uri: str | None) -> int:
        try:
            if view is not None:
                data = self._document.view(view).tobytes()
                self._document.use("decoded bytes", len(data))
            else:
                data = self._document.resource(uri or "")
        except (ValueError, OSError):
            return self._missing()
        media = next((kind for signature, kind in _SIGNATURES.items() if data.startswith(signature)), "")
        if media not in _READABLE:
            return self._missing()
        if data not in self._by_content:
            self._by_content[data] = len(self.images)
            self.images.append((media, data))
        return self._by_content[data]

    def _count(self, what: str) -> None:
        self._report[what] = self._report.get(what, 0) + 1

    def _missing(self) -> int:
        self._count("textures_missing")
        return layout.NONE
