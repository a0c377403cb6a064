"""Weld a mesh on an integer lattice: unique positions, attribute vertices, clean faces, a normal everywhere.

All meshes of a build share one power-of-two step, so positions of different clusters and levels are equal or
differ by whole steps, and no crack can open between them.
"""

import logging
import math
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from engine.builder.normals import corner_normals, face_geometry, replace_broken_normals
from engine.builder.source import SourceMesh, bounds, sort_pairs, unique_rows, used_vertices
from engine.builder.threads import run_blocks
from engine.settings import BuildSettings

logger = logging.getLogger("engine")

LATTICE_LIMIT = 1 << 23  # |lattice| stays below: float32 holds the integers, and sums of two, exactly
_BLOCK = 16384  # rows of one task
_SAMPLED_FACES = 65536
_SMALL_FAN = 32  # incident faces up to which all pairs are compared


@dataclass
class WeldedMesh:
    """A mesh on the lattice; position = lattice * step + origin."""

    name: str
    step: float
    origin: np.ndarray  # (3,) float64, a multiple of step
    lattice: np.ndarray  # (p, 3) int32, unique
    vertex_position: np.ndarray  # (v,) int32
    attributes: np.ndarray  # (v, k) float32: unit normal, then UV if has_uvs, then linear rgba if has_colors
    has_uvs: bool
    has_colors: bool
    faces: np.ndarray  # (m, 3) int32 into the vertices
    face_material: np.ndarray  # (m,) int32
    dropped: dict = field(default_factory=dict)  # {"degenerate": n, "duplicate": n}
    computed_normals: bool = False  # the file had none


def choose_lattice(
    meshes: list[SourceMesh], settings: BuildSettings, report: dict | None = None
) -> tuple[float, np.ndarray]:
    """Return the step of a build and the origin of each mesh (n, 3) float64, a multiple of the step.

    The step is a power of two, at most `lattice_fraction` of the smallest median edge length of the meshes,
    unless a mesh is too large for LATTICE_LIMIT steps either way; `report["lattice_raised"]` then says so.
    """
    boxes = [bounds(mesh.positions) for mesh in meshes]
    largest = max(float((high - low).max()) for low, high in boxes)
    edges = [edge for edge in (median_edge(mesh) for mesh in meshes) if edge > 0.0]
    wanted = settings.lattice_fraction * min(edges, default=largest if largest > 0.0 else 1.0)
    step = 2.0 ** math.floor(math.log2(wanted))
    # One step of slack on each side for rounding origin and positions.
    least = 2.0 ** math.ceil(math.log2(max(largest / (2.0 * (LATTICE_LIMIT - 4)), 2.0**-140)))
    if step < least:
        logger.info("the lattice step is raised from %.3g to %.3g: a mesh spans %.3g", step, least, largest)
        if report is not None:
            report["lattice_raised"] = {"wanted": step, "step": least, "extent": largest}
        step = least
    origins = np.array([np.rint((low + high) * 0.5 / step) * step for low, high in boxes])
    return step, origins


def median_edge(mesh: SourceMesh) -> float:
    """Return the median length of the edges that have one, over at most 65536 evenly chosen faces."""
    faces = mesh.faces[:: max(len(mesh.faces) // _SAMPLED_FACES, 1)]
    corners = mesh.positions[faces]
    lengths = np.sqrt(((corners - np.roll(corners, -1, axis=1)) ** 2).sum(axis=2)).ravel()
    lengths = lengths[lengths > 0.0]
    return float(np.median(lengths)) if len(lengths) else 0.0


def weld(
    mesh: SourceMesh,
    step: float,
    origin: np.ndarray,
    settings: BuildSettings,
    two_sided: np.ndarray | None = None,
) -> WeldedMesh:
    """Return the mesh with equal positions and equal vertices joined, and without bad faces.

    `two_sided` (j,) bool tells for each material whether two opposite faces are one (default: all are).
    Raises ValueError where no face is left. The source must be finite and all its vertices used.
    """
    points = np.empty((len(mesh.positions), 3), np.int32)
    run_blocks(
        _quantize, len(points), _BLOCK, mesh.positions, np.asarray(origin, np.float64), np.float64(1.0 / step), points
    )
    position_of, first = unique_rows(points)
    snapped = _snapped_positions(mesh.positions, position_of, first)
    faces = np.ascontiguousarray(mesh.faces, np.int32)
    face_positions = _look_up(position_of, faces)
    keep = _not_degenerate(face_positions)
    degenerate = len(keep) - int(np.count_nonzero(keep))
    starts, corners = incident_corners(face_positions, keep, len(first))
    sides = np.ones(int(mesh.face_material.max(initial=0)) + 1, np.bool_)
    if two_sided is not None:
        sides[: len(two_sided)] = two_sided[: len(sides)]
    materials = np.ascontiguousarray(mesh.face_material, np.int32)
    arrays = (face_positions, starts, corners, materials, sides, snapped, keep)
    run_blocks(_mark_duplicates, len(first), _BLOCK, *arrays)
    kept = int(np.count_nonzero(keep))
    if kept == 0:
        raise ValueError(f"mesh {mesh.name!r} holds no triangle with an area; nothing is left to build")
    lattice = points[first]
    corner_vertex, vertex_position, attributes = _vertices(
        mesh, settings, faces, face_positions, keep, position_of, first, lattice, starts, corners
    )
    faces, vertex_position, attributes, lattice = _compact(
        corner_vertex, keep, kept, vertex_position, attributes, lattice
    )
    return WeldedMesh(
        mesh.name,
        step,
        np.asarray(origin, np.float64),
        np.ascontiguousarray(lattice, np.int32),
        np.ascontiguousarray(vertex_position, np.int32),
        np.ascontiguousarray(attributes, np.float32),
        mesh.uvs is not None,
        mesh.colors is not None,
        np.ascontiguousarray(faces, np.int32),
        materials if kept == len(keep) else materials[keep],
        {"degenerate": degenerate, "duplicate": len(keep) - degenerate - kept},
        mesh.normals is None,
    )


def _vertices(mesh, settings, faces, face_positions, keep, position_of, first, lattice, starts, corners):
    """Return the vertex of each corner (m, 3) int32, the position of each vertex, and the attributes."""
    columns = [None, mesh.uvs, mesh.colors]
    if mesh.normals is not None:
        columns[0] = replace_broken_normals(mesh.normals, lattice, faces, face_positions, keep)
    if any(column is not None for column in columns):
        source_vertex, representative = unique_rows(_row_words(position_of, columns))
    else:
        source_vertex, representative = position_of, first
    vertex_position = position_of[representative]
    rest = _attribute_table(columns[1:], representative)
    if columns[0] is not None:
        normals = columns[0][representative]
        return _look_up(source_vertex, faces), vertex_position, np.concatenate([normals, *rest], axis=1)
    normals_of_faces, angles = face_geometry(lattice, face_positions, keep)
    corner_normal, normals, normal_position = corner_normals(
        face_positions, starts, corners, normals_of_faces, angles, keep, np.float64(settings.crease_degrees)
    )
    if not rest:
        return corner_normal, normal_position, normals
    pairs = np.stack([_look_up(source_vertex, faces).ravel(), corner_normal.ravel()], axis=1)
    pairs[np.repeat(~keep, 3)] = 0
    pair_of, chosen = unique_rows(np.ascontiguousarray(pairs))
    vertex, normal = pairs[chosen].T
    attributes = np.concatenate([normals[normal], *[column[vertex] for column in rest]], axis=1)
    return pair_of.reshape(-1, 3), vertex_position[vertex], attributes


def _row_words(position_of: np.ndarray, columns: list) -> np.ndarray:
    """Return rows (n, w) int32 that are equal where position and attributes are equal bit for bit."""
    words = [position_of[:, None]]
    for column in columns:
        if column is not None and column.dtype == np.uint8:
            words.append(np.ascontiguousarray(column).view(np.int32))
        elif column is not None:
            words.append((np.ascontiguousarray(column, np.float32) + np.float32(0.0)).view(np.int32))  # -0 is 0
    return np.ascontiguousarray(np.concatenate(words, axis=1))


def _attribute_table(columns: list, rows: np.ndarray) -> list[np.ndarray]:
    """Return the UV and colour columns of some rows as float32; UVs that are not finite become 0."""
    uvs, colors = columns
    table = []
    if uvs is not None:
        table.append(np.nan_to_num(uvs[rows].astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0))
    if colors is not None:
        table.append(colors[rows].astype(np.float32) / np.float32(255.0))
    return table


def _compact(corner_vertex, keep, kept, vertex_position, attributes, lattice):
    """Return faces, vertex positions, attributes and lattice without what no kept face uses.

    The faces of a source use all its vertices, so nothing goes where all faces are kept.
    """
    if kept == len(keep):
        return corner_vertex, vertex_position, attributes, lattice
    faces = corner_vertex[keep]
    used = used_vertices(faces, len(vertex_position))
    if not used.all():
        faces = _look_up((np.cumsum(used) - 1).astype(np.int32), np.ascontiguousarray(faces))
        vertex_position, attributes = vertex_position[used], attributes[used]
    used = np.zeros(len(lattice), bool)
    used[vertex_position] = True
    if not used.all():
        vertex_position = (np.cumsum(used) - 1).astype(np.int32)[vertex_position]
        lattice = lattice[used]
    return faces, vertex_position, attributes, lattice


@njit(nogil=True, cache=True, error_model="numpy")
def _quantize(first, end, positions, origin, inverse_step, points):
    for row in range(first, end):
        for axis in range(3):
            points[row, axis] = np.int32(np.rint((positions[row, axis] - origin[axis]) * inverse_step))


@njit(nogil=True, cache=True, error_model="numpy")
def _snapped_positions(positions, position_of, first):
    """Return (p,) bool: positions where different points of the file came together."""
    snapped = np.zeros(len(first), np.bool_)
    for row in range(len(positions)):
        other = first[position_of[row]]
        for axis in range(3):
            if positions[row, axis] != positions[other, axis]:
                snapped[position_of[row]] = True
    return snapped


def _look_up(table: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return table[faces] (m, 3) int32."""
    result = np.empty((len(faces), 3), np.int32)
    run_blocks(_look_up_rows, len(faces), _BLOCK, table, faces, result)
    return result


@njit(nogil=True, cache=True, error_model="numpy")
def _look_up_rows(first, end, table, faces, result):
    for face in range(first, end):
        result[face, 0] = table[faces[face, 0]]
        result[face, 1] = table[faces[face, 1]]
        result[face, 2] = table[faces[face, 2]]


@njit(nogil=True, cache=True, error_model="numpy")
def _not_degenerate(faces):
    keep = np.empty(len(faces), np.bool_)
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        keep[face] = a != b and b != c and a != c
    return keep


@njit(nogil=True, cache=True, error_model="numpy")
def incident_corners(faces, keep, count):
    """Return for each of `count` positions its corners: starts (count + 1,) int64, corners int32 = 3 face + corner.

    Only faces with `keep` set count; the corners of a position are in the order of their faces.
    """
    starts = np.zeros(count + 1, np.int64)
    for face in range(len(faces)):
        if keep[face]:
            for corner in range(3):
                starts[faces[face, corner] + 1] += 1
    for position in range(count):
        starts[position + 1] += starts[position]
    corners = np.empty(starts[count], np.int32)
    cursor = starts[:count].copy()
    for face in range(len(faces)):
        if keep[face]:
            for corner in range(3):
                position = faces[face, corner]
                corners[cursor[position]] = 3 * face + corner
                cursor[position] += 1
    return starts, corners


@njit(nogil=True, cache=True, error_model="numpy")
def _mark_duplicates(first, end, faces, starts, corners, materials, two_sided, snapped, keep):
    """Clear `keep` of faces with the same three positions; each is judged at its lowest position, of first..end."""
    keys, members = np.empty(64, np.int64), np.empty(64, np.int32)
    for position in range(first, end):
        low, high = starts[position], starts[position + 1]
        if high - low > len(keys):
            keys, members = np.empty(2 * (high - low), np.int64), np.empty(2 * (high - low), np.int32)
        found = np.int64(0)  # not a constant, for which the callees would be compiled once more
        for i in range(low, high):
            face = corners[i] // 3
            a, b, c = np.int64(faces[face, 0]), np.int64(faces[face, 1]), np.int64(faces[face, 2])
            if a >= position and b >= position and c >= position:
                highest = max(a, max(b, c))
                keys[found] = (a + b + c - position - highest) << 32 | highest
                members[found] = face
                found += 1
        if found > _SMALL_FAN or _any_equal(keys, found):
            _mark_equal(faces, keys, members, found, materials, two_sided, snapped, keep)


@njit(nogil=True, error_model="numpy")
def _any_equal(keys, count):
    for index in range(1, count):
        for other in range(index):
            if keys[index] == keys[other]:
                return True
    return False


@njit(nogil=True, error_model="numpy")
def _mark_equal(faces, keys, members, count, materials, two_sided, snapped, keep):
    """Judge each run of equal keys of the faces `members`."""
    sort_pairs(keys, members, count)
    begin = np.int64(0)
    while begin < count:
        end = begin + 1
        while end < count and keys[end] == keys[begin]:
            end += 1
        if end > begin + 1:
            _judge_equal(faces, members, begin, end, materials, two_sided, snapped, keep)
        begin = end


@njit(nogil=True, error_model="numpy")
def _judge_equal(faces, members, begin, end, materials, two_sided, snapped, keep):
    """Keep of the faces members[begin:end], in ascending order and with the same positions, what the surface needs.

    Of copies turned alike the first stays. Opposite faces of a two-sided material are one, unless rounding to the
    lattice brought them together: both stay then, so that a thin closed part stays closed.
    """
    upward, downward = -1, -1  # the first face turned each way
    for index in range(begin, end):
        face = members[index]
        turned = _turned(faces, face)
        if turned and upward < 0:
            upward = face
        elif not turned and downward < 0:
            downward = face
        else:
            keep[face] = False
    if upward >= 0 and downward >= 0:
        face = min(upward, downward)
        folded = snapped[faces[face, 0]] or snapped[faces[face, 1]] or snapped[faces[face, 2]]
        if two_sided[materials[face]] and not folded:
            keep[max(upward, downward)] = False


@njit(nogil=True, error_model="numpy")
def _turned(faces, face):
    """Return whether the face runs through its positions upwards from its lowest."""
    a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
    if a < b and a < c:
        return b < c
    if b < a and b < c:
        return c < a
    return a < b
