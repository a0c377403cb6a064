"""What a mesh file holds, whatever its format, and the checks that every reader's result passes."""

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from engine import materials

LARGEST_COORDINATE = 1e15  # squares of local lengths must stay finite in float32, with room
SMALLEST_EXTENT = 1e-12
LARGEST_UV = 1e9  # likewise


@dataclass
class SourceMesh:
    """One mesh in its own frame; a vertex is one combination of position and attributes."""

    name: str
    positions: np.ndarray  # (n, 3) float64, file units after scale and up axis; finite
    faces: np.ndarray  # (m, 3) int32 into the vertices; every vertex is used
    normals: np.ndarray | None  # (n, 3) float32; may hold zeros or NaN, which welding replaces
    uvs: np.ndarray | None  # (n, 2) float32, v down (glTF)
    colors: np.ndarray | None  # (n, 4) uint8, linear
    face_material: np.ndarray  # (m,) int32 into SourceScene.materials


@dataclass
class SourceScene:
    """Everything that was read: meshes, where they are placed, materials and encoded textures."""

    meshes: list[SourceMesh]
    instance_mesh: np.ndarray  # (k,) int32
    instance_transform: np.ndarray  # (k, 4, 4) float64, p' = M @ p
    materials: np.ndarray  # (j,) layout.MATERIAL, at least one
    material_names: list[str]
    textures: list[tuple[str, bytes]]  # (media type, encoded image)
    report: dict = field(default_factory=dict)  # what was skipped or dropped, by reason: counts


def single_mesh_scene(mesh: SourceMesh, report: dict | None = None) -> SourceScene:
    """Return the scene of one mesh in a file without materials: placed once, two-sided."""
    record = materials.default_material(colored=mesh.colors is not None)
    return SourceScene(
        [mesh], np.zeros(1, np.int32), np.eye(4)[None], np.array([record]), ["default"], [], dict(report or {})
    )


def join_meshes(name: str, meshes: list[SourceMesh]) -> SourceMesh:
    """Return one mesh of several that share a frame; an attribute that only some have is filled.

    Missing normals become zero, which welding computes; missing UVs zero; missing colours white.
    """
    if len(meshes) == 1:
        return meshes[0]
    offsets = np.cumsum([0] + [len(mesh.positions) for mesh in meshes[:-1]])
    if offsets[-1] + len(meshes[-1].positions) >= 2**31:
        raise ValueError(f"mesh {name!r} has more than 2^31 vertices; split the file")
    return SourceMesh(
        name,
        np.concatenate([mesh.positions for mesh in meshes]),
        np.concatenate([mesh.faces + np.int32(offset) for mesh, offset in zip(meshes, offsets, strict=True)]),
        _join(meshes, "normals", (3,), np.float32, 0),
        _join(meshes, "uvs", (2,), np.float32, 0),
        _join(meshes, "colors", (4,), np.uint8, 255),
        np.concatenate([mesh.face_material for mesh in meshes]),
    )


def _join(meshes: list[SourceMesh], attribute: str, shape: tuple, dtype: type, value: int) -> np.ndarray | None:
    columns = [getattr(mesh, attribute) for mesh in meshes]
    if all(column is None for column in columns):
        return None
    return np.concatenate(
        [
            np.full((len(mesh.positions), *shape), value, dtype) if column is None else column
            for mesh, column in zip(meshes, columns, strict=True)
        ]
    )


def clean_mesh(mesh: SourceMesh, report: dict) -> SourceMesh | None:
    """Return the mesh without bad faces and unused vertices, or None where no face is left.

    Bad faces have an index out of range or a vertex that is not finite; UVs that are not finite, or beyond
    LARGEST_UV, become zero. Both are counted in `report`.
    """
    count = len(mesh.positions)
    faces = mesh.faces
    if len(faces) == 0:
        return None
    if faces.min() < 0 or faces.max() >= count:
        good = np.asarray(((faces >= 0) & (faces < count)).all(axis=1))
        _add(report, "faces_index_out_of_range", int((~good).sum()))
        mesh = keep_faces(mesh, good)
    if not np.isfinite(mesh.positions).all():
        good = np.asarray(np.isfinite(mesh.positions).all(axis=1))[mesh.faces].all(axis=1)
        _add(report, "faces_not_finite", int((~good).sum()))
        mesh = keep_faces(mesh, good)
    if len(mesh.faces) == 0:
        return None
    used = used_vertices(mesh.faces, count)
    if not used.all():
        mesh = _drop_unused(mesh, used)
    _check_size(mesh)
    return _without_wild_uvs(mesh, report)


def _without_wild_uvs(mesh: SourceMesh, report: dict) -> SourceMesh:
    if mesh.uvs is None or np.abs(mesh.uvs).max() <= LARGEST_UV:
        return mesh
    wild = ~(np.abs(mesh.uvs) <= LARGEST_UV).all(axis=1)
    _add(report, "uvs_not_finite", int(wild.sum()))
    return dataclasses.replace(mesh, uvs=np.where(wild[:, None], np.float32(0.0), mesh.uvs))


def keep_faces(mesh: SourceMesh, keep: np.ndarray) -> SourceMesh:
    """Return the mesh with the faces where `keep` (m,) bool is set."""
    return SourceMesh(
        mesh.name, mesh.positions, mesh.faces[keep], mesh.normals, mesh.uvs, mesh.colors, mesh.face_material[keep]
    )


def _drop_unused(mesh: SourceMesh, used: np.ndarray) -> SourceMesh:
    new_index = (np.cumsum(used) - 1).astype(np.int32)
    columns = [None if column is None else column[used] for column in (mesh.normals, mesh.uvs, mesh.colors)]
    return SourceMesh(mesh.name, mesh.positions[used], new_index[mesh.faces], *columns, mesh.face_material)


def _check_size(mesh: SourceMesh) -> None:
    low, high = bounds(mesh.positions)
    largest = max(float(np.abs(low).max()), float(np.abs(high).max()))
    if largest > LARGEST_COORDINATE:
        raise ValueError(
            f"coordinates reach {largest:.3g}, more than {LARGEST_COORDINATE:.0e} (float32); use a smaller scale"
        )
    extent = float((high - low).max())
    if 0.0 < extent < SMALLEST_EXTENT:
        raise ValueError(f"the mesh spans only {extent:.3g}, too small for float32; use a larger scale")


def _add(report: dict, key: str, count: int) -> None:
    if count:
        report[key] = report.get(key, 0) + count


def bounds(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest corner (3,) float64 of (n, 3) float64 positions, n >= 1."""
    return _bounds(np.ascontiguousarray(positions, np.float64))


@njit(nogil=True, cache=True, error_model="numpy")
def _bounds(positions):
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for row in range(len(positions)):
        for axis in range(3):
            low[axis] = min(low[axis], positions[row, axis])
            high[axis] = max(high[axis], positions[row, axis])
    return low, high


@njit(nogil=True, cache=True, error_model="numpy")
def used_vertices(faces, count):
    """Return (count,) bool: vertices that a face of (m, 3) int32 uses."""
    used = np.zeros(count, np.bool_)
    for face in range(len(faces)):
        used[faces[face, 0]] = True
        used[faces[face, 1]] = True
        used[faces[face, 2]] = True
    return used


@njit(nogil=True, cache=True, error_model="numpy")
def unique_rows(rows):
    """Number equal rows alike, in the order of their first appearance.

    rows (n, k) int32. Returns the number of each row (n,) int32 and the first row of each number (u,) int32.
    Open addressing with linear probing; serial, so the numbering does not depend on threads.
    """
    count, width = rows.shape
    size = 16
    while size < 2 * count:
        size *= 2
    mask = np.uint64(size - 1)
    table = np.full(size, -1, np.int32)
    number = np.empty(count, np.int32)
    first = np.empty(count, np.int32)
    found = 0
    for row in range(count):
        key = np.uint64(0x9E3779B97F4A7C15)
        for column in range(width):
            key = (key ^ np.uint64(np.uint32(rows[row, column]))) * np.uint64(0xBF58476D1CE4E5B9)
            key ^= key >> np.uint64(29)
        slot = (key ^ (key >> np.uint64(32))) & mask
        while True:
            candidate = table[slot]
            if candidate < 0:
                table[slot] = found
                first[found] = row
                number[row] = found
                found += 1
                break
            other = first[candidate]
            equal = True
            for column in range(width):
                if rows[other, column] != rows[row, column]:
                    equal = False
                    break
            if equal:
                number[row] = candidate
                break
            slot = (slot + np.uint64(1)) & mask
    return number, first[:found].copy()


@njit(nogil=True, error_model="numpy")
def sort_pairs(keys, values, count):
    """Sort the first `count` of keys int64 and values int32 in place, by key, then by value (heap sort)."""
    start, end = count // 2, count
    while end > 1:
        if start > 0:
            start -= 1
        else:
            end -= 1
            keys[0], keys[end] = keys[end], keys[0]
            values[0], values[end] = values[end], values[0]
        root = start
        while 2 * root + 1 < end:
            child = 2 * root + 1
            if child + 1 < end and (
                keys[child] < keys[child + 1] or (keys[child] == keys[child + 1] and values[child] < values[child + 1])
            ):
                child += 1
            if keys[root] > keys[child] or (keys[root] == keys[child] and values[root] >= values[child]):
                break
            keys[root], keys[child] = keys[child], keys[root]
            values[root], values[child] = values[child], values[root]
            root = child
