"""Scenes made of given triangles, without simplification: for tests that know what every pixel must show."""

from pathlib import Path

import numpy as np

from engine import asset_file, layout
from engine.builder.asset_writer import AssetWriter
from engine.builder.hierarchy import Hierarchy
from engine.builder.pages import encode_mesh
from engine.scene import Scene, load_scene

ROOT_ERROR = layout.CONSTANTS["ROOT_ERROR"]
STEP = 2.0**-12


def source_hierarchy(
    positions: np.ndarray,
    faces: np.ndarray,
    step: float,
    cluster_triangles: int,
    extra: np.ndarray | None,
    face_material: np.ndarray | None,
    normals: np.ndarray | None = None,
) -> Hierarchy:
    """Return one level of clusters of up to `cluster_triangles`, in root groups of up to 8 clusters.

    `extra` (n, 2, 4 or 6) are UVs, colours, or both of each vertex.
    """
    lattice = np.rint(np.asarray(positions) / step).astype(np.int32)
    first_face = np.unique(np.append(np.arange(0, len(faces), cluster_triangles), len(faces))).astype(np.int64)
    clusters = len(first_face) - 1
    first_cluster = np.unique(np.append(np.arange(0, clusters, 8), clusters)).astype(np.int32)
    groups = len(first_cluster) - 1
    corners = lattice * step
    center = np.tile(0.5 * (corners.min(axis=0) + corners.max(axis=0)), (groups, 1)).astype(np.float32)
    radius = np.float32(np.linalg.norm(corners.max(axis=0) - corners.min(axis=0)))
    if normals is None:
        normals = np.tile(np.array([[0.0, 0.0, 1.0]], np.float32), (len(lattice), 1))
    return Hierarchy(
        lattice=lattice,
        vertex_position=np.arange(len(lattice), dtype=np.int32),
        attributes=normals.astype(np.float32)
        if extra is None
        else np.concatenate([normals, extra], axis=1).astype(np.float32),
        faces=np.asarray(faces, np.int32),
        face_material=np.zeros(len(faces), np.int32) if face_material is None else face_material.astype(np.int32),
        cluster_first_face=first_face,
        cluster_group=np.repeat(np.arange(groups, dtype=np.int32), np.diff(first_cluster)),
        cluster_made_by=np.full(clusters, -1, np.int32),
        cluster_level=np.zeros(clusters, np.int32),
        group_first_cluster=first_cluster,
        group_center=center,
        group_radius=np.full(groups, radius, np.float32),
        group_geometric_error=np.full(groups, ROOT_ERROR, np.float32),
        group_attribute_error=np.full(groups, ROOT_ERROR, np.float32),
        group_level=np.zeros(groups, np.int32),
        report=[],
    )


def triangle_scene(
    folder: Path,
    positions: np.ndarray,
    faces: np.ndarray,
    two_sided: bool = True,
    step: float = STEP,
    cluster_triangles: int = 64,
    extra: np.ndarray | None = None,
    materials: np.ndarray | None = None,
    face_material: np.ndarray | None = None,
    normals: np.ndarray | None = None,
) -> Scene:
    """Return a scene with one instance of the triangles (positions (n, 3) are snapped to the lattice `step`).

    `normals` (n, 3) are +z where none are given. `extra` is that of `source_hierarchy`; `materials` (m,) are
    layout.MATERIAL, of which `face_material` (f,) chooses.
    """
    from engine.settings import BuildSettings

    if materials is None:
        materials = np.zeros(1, layout.MATERIAL)
        materials["base_color"] = 0.8
        materials["flags"] = layout.CONSTANTS["MATERIAL_TWO_SIDED"] if two_sided else 0
        for name in (name for name in materials.dtype.names if name.endswith("_texture")):
            materials[name] = layout.NONE
    hierarchy = source_hierarchy(positions, faces, step, cluster_triangles, extra, face_material, normals)
    mesh = encode_mesh(hierarchy, step, np.zeros(3), materials["flags"], BuildSettings())
    path = folder / "triangles.mlith"
    instances = np.zeros(1, asset_file.INSTANCE)
    instances["transform"] = np.eye(4)[:3]
    with AssetWriter(path) as writer:
        writer.add_pages(mesh.words, mesh.page_word, 0)
        tables = {
            "meshes": mesh.record.reshape(1),
            "nodes": mesh.nodes,
            "groups": mesh.groups,
            "materials": materials,
            "instances": instances,
            "triangles": np.array([(mesh.source_triangles, mesh.stored_triangles)], asset_file.TRIANGLES),
        }
        writer.finish(tables, [], ["triangles"], ["grey"] * len(materials), {})
    return load_scene(path)
