"""A hierarchy made by hand: the structure of a real one over a sphere, with made-up levels and errors."""

import numpy as np

from engine import layout
from engine.builder.hierarchy import Hierarchy

STEP = 2.0**-10
CLUSTER_TRIANGLES = 100
GROUP_CLUSTERS = 8
ROOT_ERROR = layout.CONSTANTS["ROOT_ERROR"]


def sphere(subdivisions: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vertices (n, 3) and faces (8 * 4^subdivisions, 3) of a subdivided octahedron."""
    points = [np.array(p, float) for p in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))]
    faces = [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    for _ in range(subdivisions):
        middles: dict[tuple[int, int], int] = {}

        def middle(a: int, b: int, middles: dict = middles) -> int:
            key = (min(a, b), max(a, b))
            if key not in middles:
                middles[key] = len(points)
                point = points[a] + points[b]
                points.append(point / np.linalg.norm(point))
            return middles[key]

        split = []
        for a, b, c in faces:
            ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
            split += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        faces = split
    return np.array(points), np.array(faces, np.int32)


def sample_hierarchy(
    subdivisions: int = 4, uvs: bool = False, colors: bool = False, soup: bool = False, roots: int = GROUP_CLUSTERS
) -> Hierarchy:
    """Return levels of ever fewer faces of a sphere in 3 materials; a level of at most `roots` clusters is the last.

    soup: no two faces share a vertex.
    """
    points, faces = sphere(subdivisions)
    if soup:
        points, faces = points[faces.ravel()], np.arange(3 * len(faces), dtype=np.int32).reshape(-1, 3)
    columns = [points]
    if uvs:
        columns.append(points[:, :2] * 1.5 - 0.25)
    if colors:
        columns.append(np.abs(np.column_stack([points, points[:, 0]])))
    of_face = np.arange(len(faces)) * 7 // len(faces) % 3
    clusters = [(run, -1, 0) for run in _runs(np.arange(len(faces)), of_face)]
    done: list[tuple[np.ndarray, int, int]] = []
    group_of, group_first, group_level = [], [0], []
    level = 0
    while clusters:
        count = max(len(clusters) // GROUP_CLUSTERS, 1)
        parts = np.array_split(np.arange(len(clusters)), count)
        last = len(clusters) <= roots
        following = []
        for part in parts:
            group = len(group_level)
            done += [clusters[i] for i in part]
            group_of += [group] * len(part)
            group_first.append(len(done))
            group_level.append(level)
            if not last:
                kept = np.concatenate([clusters[i][0] for i in part])[::2]
                following += [(run, group, level + 1) for run in _runs(kept, of_face)]
        clusters, level = following, level + 1
    levels = np.array(group_level)
    root = levels == levels.max()
    centers = np.array([points[faces[done[first][0]]].mean(axis=(0, 1)) for first in group_first[:-1]])
    lattice = np.rint(points / STEP).astype(np.int32)
    return Hierarchy(
        lattice=lattice,
        vertex_position=np.arange(len(points), dtype=np.int32),
        attributes=np.concatenate(columns, axis=1).astype(np.float32),
        faces=faces[np.concatenate([run for run, _, _ in done])],
        face_material=of_face[np.concatenate([run for run, _, _ in done])].astype(np.int32),
        cluster_first_face=np.cumsum([0] + [len(run) for run, _, _ in done]),
        cluster_group=np.array(group_of, np.int32),
        cluster_made_by=np.array([made_by for _, made_by, _ in done], np.int32),
        cluster_level=np.array([level for _, _, level in done], np.int32),
        group_first_cluster=np.array(group_first, np.int32),
        group_center=centers.astype(np.float32),
        group_radius=(0.5 + 2.5 * levels).astype(np.float32),  # centres lie on the unit sphere: they nest
        group_geometric_error=np.where(root, ROOT_ERROR, 0.001 * 2.0**levels + 1e-5 * np.arange(len(levels))).astype(
            "f4"
        ),
        group_attribute_error=np.where(root, ROOT_ERROR, 0.0005 * 2.0**levels).astype(np.float32),
        group_level=levels.astype(np.int32),
        report=[{"level": int(i), "clusters": int((levels == i).sum())} for i in range(levels.max() + 1)],
    )


def _runs(faces: np.ndarray, of_face: np.ndarray) -> list[np.ndarray]:
    """Return runs of at most CLUSTER_TRIANGLES faces, each sorted by material."""
    parts = np.array_split(faces, -(-len(faces) // CLUSTER_TRIANGLES))
    return [part[np.argsort(of_face[part], kind="stable")] for part in parts]
