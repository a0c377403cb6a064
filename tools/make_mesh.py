#!/usr/bin/env python3
"""Write test meshes of any size: sphere, terrain, parts, foliage, or a subdivided or decimated mesh file.

    python tools/make_mesh.py sphere --triangles 20000 -o sphere.ply
    python tools/make_mesh.py subdivide model.ply --times 2 --displacement 0.1 -o model_16x.ply
    python tools/make_mesh.py decimate model.ply --triangles 5000 -o model_5k.ply

Every maker returns (positions (n, 3) float64, faces (m, 3) int32); `foliage` also (n, 2) UVs. All are seeded.
"""

import argparse
import json
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def sphere(triangles: int, radius: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return a closed sphere of about `triangles` triangles: a cube grid pushed out, poles without slivers."""
    side = max(round((triangles / 12) ** 0.5), 1)
    u, v = np.meshgrid(np.arange(side + 1), np.arange(side + 1), indexing="ij")
    points, faces = [], []
    for axis in range(3):
        for sign in (0, side):
            grid = np.zeros((side + 1, side + 1, 3), np.int64)
            grid[..., axis], grid[..., (axis + 1) % 3], grid[..., (axis + 2) % 3] = sign, u, v
            cells = _grid_faces(side, side) + len(points) * (side + 1) ** 2
            points.append(grid.reshape(-1, 3))
            faces.append(cells if sign else cells[:, ::-1])
    # Equal integer points on the edges of the cube are one vertex.
    unique, number = np.unique(np.concatenate(points), axis=0, return_inverse=True)
    angles = np.tan((unique / side - 0.5) * (np.pi / 2.0))
    positions = radius * angles / np.linalg.norm(angles, axis=1, keepdims=True)
    return positions, number.ravel()[np.concatenate(faces)].astype(np.int32)


def _grid_faces(width: int, height: int) -> np.ndarray:
    """Return the triangles (2 width height, 3) of a grid of (width + 1) x (height + 1) vertices, first axis slow."""
    first = (np.arange(width)[:, None] * (height + 1) + np.arange(height)).ravel()
    corner = np.stack([first, first + height + 1, first + height + 2, first + 1], axis=1)
    return np.concatenate([corner[:, [0, 1, 2]], corner[:, [0, 2, 3]]], axis=1).reshape(-1, 3).astype(np.int32)


def terrain(
    triangles: int, size: float = 100.0, roughness: float = 0.5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return a height field of about `triangles` triangles on a square of edge `size`, +Y up, with an open border.

    Midpoint displacement in octaves (Fournier, Fussell, Carpenter 1982), amplitude halving by `roughness`.
    """
    side = max(round((triangles / 2) ** 0.5), 1)
    random = np.random.default_rng(seed)
    heights = np.zeros((side + 1, side + 1))
    cells, amplitude = 2, size * 0.15
    while cells <= side:
        heights += amplitude * _resample(random.standard_normal((cells + 1, cells + 1)), side + 1)
        cells, amplitude = cells * 2, amplitude * roughness
    x, z = np.meshgrid(np.linspace(0, size, side + 1), np.linspace(0, size, side + 1), indexing="ij")
    return np.stack([x, heights, z], axis=2).reshape(-1, 3), _grid_faces(side, side)[:, ::-1].copy()


def _resample(grid: np.ndarray, count: int) -> np.ndarray:
    """Return a square grid, cubic-eased between its points, on count x count points."""
    place = np.linspace(0, len(grid) - 1, count)
    low = np.minimum(place.astype(int), len(grid) - 2)
    share = place - low
    share = share * share * (3.0 - 2.0 * share)
    rows = grid[low] * (1.0 - share[:, None]) + grid[low + 1] * share[:, None]
    return rows[:, low] * (1.0 - share) + rows[:, low + 1] * share


def parts(triangles: int, part_triangles: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return about `triangles` in disjoint closed parts like a CAD assembly: boxes and prisms of many sizes."""
    count = max(round(triangles / ((16 + 2 * 4 * (part_triangles // 4)) / 3)), 1)  # every third is a box of 16
    random = np.random.default_rng(seed)
    edge = count ** (1.0 / 3.0)
    positions, faces, offset = [], [], 0
    for index in range(count):
        sides = 4 if index % 3 == 0 else max(part_triangles // 4, 3)
        points, cells = _prism(sides)
        scale = np.exp(random.normal(-1.2, 0.5, 3)) * 0.8
        points = (points * scale) @ _random_rotation(random).T + random.uniform(0.0, edge, 3)
        positions.append(points)
        faces.append(cells + offset)
        offset += len(points)
    return np.concatenate(positions), np.concatenate(faces).astype(np.int32)


def _prism(sides: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a closed prism: 2 sides + 2 vertices, 4 sides triangles."""
    up = np.array([0.0, 1.0, 0.0])
    angle = np.arange(sides) * (2.0 * np.pi / sides)
    ring = np.stack([np.cos(angle), np.zeros(sides), np.sin(angle)], axis=1)
    points = np.concatenate([ring - up, ring + up, [-up, up]])
    a = np.arange(sides)
    b = (a + 1) % sides
    bottom, top = np.full(sides, 2 * sides), np.full(sides, 2 * sides + 1)
    quads = [(a, a + sides, b), (b, a + sides, b + sides), (a, b, bottom), (b + sides, a + sides, top)]
    return points, np.concatenate([np.stack(quad, axis=1) for quad in quads])


def _random_rotation(random: np.random.Generator) -> np.ndarray:
    rotation, upper = np.linalg.qr(random.standard_normal((3, 3)))
    rotation *= np.sign(np.diag(upper))
    return rotation * np.sign(np.linalg.det(rotation))


def foliage(triangles: int, card: float = 0.15, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return about `triangles` as leaf cards (quads, two triangles each) in a crown, and their UVs (n, 2)."""
    count = max(triangles // 2, 1)
    random = np.random.default_rng(seed)
    direction = random.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    center = direction * (random.uniform(0.3, 1.0, (count, 1)) ** (1.0 / 3.0)) * (1.0, 1.4, 1.0) + (0.0, 2.0, 0.0)
    along = random.standard_normal((count, 3))
    across = np.cross(direction + 0.5 * along, along)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    along = np.cross(across, direction)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    offsets = corners[:, 0, None] * across[:, None] + corners[:, 1, None] * along[:, None]
    positions = (center[:, None] + 0.5 * card * offsets).reshape(-1, 3)
    faces = (np.array([(0, 1, 2), (0, 2, 3)]) + 4 * np.arange(count)[:, None, None]).reshape(-1, 3)
    return positions, faces.astype(np.int32), np.tile(corners * (0.5, -0.5) + 0.5, (count, 1))


def subdivide(
    positions: np.ndarray, faces: np.ndarray, times: int = 1, displacement: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mesh with every triangle split into four at the midpoints of its edges, `times` times.

    New vertices move along their normal by up to `displacement` edge lengths, halving each time. The two faces at
    an edge share its midpoint, so that closed stays closed; vertices at one place are joined first.
    """
    positions, number = np.unique(np.asarray(positions, np.float64), axis=0, return_inverse=True)
    faces = number.ravel().astype(np.int32)[faces]
    random = np.random.default_rng(seed)
    for _ in range(times):
        low, high, edge_of_corner = _edges(faces)
        if len(positions) + len(low) >= 2**31:
            raise ValueError("more than 2^31 vertices; subdivide fewer times")
        middle = (positions[low] + positions[high]) * 0.5
        if displacement > 0.0:
            length = np.linalg.norm(positions[high] - positions[low], axis=1)
            amount = displacement * length * random.uniform(-1.0, 1.0, len(low))
            normals = _vertex_normals(positions, faces)
            normal = normals[low] + normals[high]
            scale = amount / np.maximum(np.linalg.norm(normal, axis=1), 1e-30)
            middle += normal * scale[:, None]
        inner = (edge_of_corner + len(positions)).astype(np.int32)
        a, b, c = faces.T
        ab, bc, ca = inner.T
        split = np.empty((len(faces), 4, 3), np.int32)
        for place, corners in enumerate(((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))):
            split[:, place] = np.stack(corners, axis=1)
        faces = split.reshape(-1, 3)
        positions = np.concatenate([positions, middle])
        displacement *= 0.5
    return positions, faces


def _edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ends of each edge (e,) twice, and the edge from each corner to the next (m, 3)."""
    after = np.roll(faces, -1, axis=1)
    keys = (np.minimum(faces, after).astype(np.int64) << 32) | np.maximum(faces, after)
    unique, number = np.unique(keys.ravel(), return_inverse=True)
    return (unique >> 32).astype(np.int32), (unique & 0xFFFFFFFF).astype(np.int32), number.reshape(-1, 3)


def _vertex_normals(positions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = positions[faces[:, 0]], positions[faces[:, 1]], positions[faces[:, 2]]
    normal = np.cross(b - a, c - a)
    total = np.stack(
        [np.bincount(faces.ravel(), np.repeat(normal[:, axis], 3), minlength=len(positions)) for axis in range(3)],
        axis=1,
    )
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)


def write_ply(path: str | Path, positions: np.ndarray, faces: np.ndarray, uvs: np.ndarray | None = None) -> None:
    """Write a binary PLY file: float32 positions (and s, t), int32 triangles."""
    columns = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")] + ([("s", "<f4"), ("t", "<f4")] if uvs is not None else [])
    vertices = np.zeros(len(positions), columns)
    for axis, name in enumerate("xyz"):
        vertices[name] = positions[:, axis]
    if uvs is not None:
        vertices["s"], vertices["t"] = uvs[:, 0], 1.0 - uvs[:, 1]
    records = np.zeros(len(faces), [("count", "u1"), ("index", "<i4", 3)])
    records["count"], records["index"] = 3, faces
    properties = "".join(f"property float {name}\n" for name, _ in columns)
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n{properties}"
        f"element face {len(records)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    with open(path, "wb") as file:
        file.write(header.encode())
        vertices.tofile(file)
        records.tofile(file)


def write_glb(path: str | Path, positions: np.ndarray, faces: np.ndarray, uvs: np.ndarray | None = None) -> None:
    """Write a binary glTF 2.0 file with one mesh in a two-sided grey material."""
    arrays = [positions.astype("<f4"), faces.astype("<u4").reshape(-1)] + (
        [uvs.astype("<f4")] if uvs is not None else []
    )
    views, offset = [], 0
    for array in arrays:
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": array.nbytes})
        offset += array.nbytes
    accessors = [
        {
            "bufferView": 0,
            "componentType": 5126,
            "count": len(positions),
            "type": "VEC3",
            "min": arrays[0].min(axis=0).tolist(),
            "max": arrays[0].max(axis=0).tolist(),
        },
        {"bufferView": 1, "componentType": 5125, "count": faces.size, "type": "SCALAR"},
    ]
    attributes = {"POSITION": 0}
    if uvs is not None:
        accessors.append({"bufferView": 2, "componentType": 5126, "count": len(uvs), "type": "VEC2"})
        attributes["TEXCOORD_0"] = 2
    base = {"baseColorFactor": [0.8, 0.8, 0.8, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.8}
    document = {
        "asset": {"version": "2.0", "generator": "microlith make_mesh"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": 1, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": base, "doubleSided": True}],
        "buffers": [{"byteLength": offset}],
        "bufferViews": views,
        "accessors": accessors,
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    with open(path, "wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 28 + len(text) + offset))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", offset, b"BIN\0"))
        for array in arrays:
            array.tofile(file)


def write_mesh(path: str | Path, positions: np.ndarray, faces: np.ndarray, uvs: np.ndarray | None = None) -> None:
    """Write a .ply or .glb file, by the suffix; ValueError for others."""
    writers = {".ply": write_ply, ".glb": write_glb}
    suffix = Path(path).suffix.lower()
    if suffix not in writers:
        raise ValueError(f"{path}: cannot write {suffix!r}; one of: .glb, .ply")
    writers[suffix](path, positions, faces, uvs)


def decimate(positions: np.ndarray, faces: np.ndarray, triangles: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mesh simplified to about `triangles` triangles (more where no legal collapse is left).

    All of it is one group to the builder's simplifier; vertices at one place are joined first, normals do not steer.
    """
    from engine.builder.simplify import STRICT, simplify_group
    from engine.builder.source import SourceMesh
    from engine.builder.weld import choose_lattice, weld
    from engine.settings import BuildSettings

    if triangles < 1:
        raise ValueError(f"{triangles} triangles; keep one at least")
    settings = BuildSettings()
    material = np.zeros(len(faces), np.int32)
    source = SourceMesh("mesh", positions.astype(np.float64), faces.astype(np.int32), None, None, None, material)
    step, origins = choose_lattice([source], settings)
    mesh = weld(source, step, origins[0], settings)
    count, kept, _, place, vertex_position, _, _, _, _ = simplify_group(
        mesh.lattice.astype(np.float64), np.zeros(len(mesh.lattice), np.bool_), mesh.vertex_position,
        mesh.attributes[:, :3].copy(), np.zeros(3, np.float32), mesh.faces, mesh.face_material, triangles, STRICT,
    )  # fmt: skip
    used, number = np.unique(vertex_position[kept[:count]], return_inverse=True)
    return place[used] * step + origins[0], number.reshape(-1, 3).astype(np.int32)


def _read(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and faces of all meshes of a file."""
    from engine.builder.meshfile import read_mesh_file

    meshes = read_mesh_file(path).meshes
    offsets = np.cumsum([0] + [len(mesh.positions) for mesh in meshes])
    positions = np.concatenate([mesh.positions for mesh in meshes])
    return positions, np.concatenate([mesh.faces + first for mesh, first in zip(meshes, offsets[:-1], strict=True)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("sphere", "terrain", "parts", "foliage", "subdivide", "decimate"):
        command = commands.add_parser(name)
        command.add_argument("-o", "--output", required=True, help=".ply or .glb file")
        command.add_argument("--seed", type=int, default=0)
        if name == "subdivide":
            command.add_argument("mesh", help="any mesh file")
            command.add_argument("--times", type=int, default=1, help="each makes four triangles of one")
            command.add_argument("--displacement", type=float, default=0.1, help="in edge lengths")
        elif name == "decimate":
            command.add_argument("mesh", help="any mesh file")
            command.add_argument("--triangles", type=int, default=5000)
        else:
            command.add_argument("--triangles", type=int, default=20000)
    options = parser.parse_args(arguments)
    try:
        if options.command == "subdivide":
            made = subdivide(*_read(options.mesh), options.times, options.displacement, options.seed)
        elif options.command == "decimate":
            made = decimate(*_read(options.mesh), options.triangles)
        elif options.command == "sphere":
            made = sphere(options.triangles)
        else:
            made = {"terrain": terrain, "parts": parts, "foliage": foliage}[options.command](
                options.triangles, seed=options.seed
            )
        write_mesh(options.output, *made)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"make_mesh: {error}\n")
        return 1
    sys.stderr.write(f"{options.output}: {len(made[1])} triangles\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
