"""The triangles of clusters as an ordinary vertex and index buffer: for drawing, and for checks, without pages."""

from typing import NamedTuple

import numpy as np

from engine import asset_pages, layout
from engine.scene import Scene


class Triangles(NamedTuple):
    """The triangles of c clusters, one cluster after the other; clusters share no vertices."""

    positions: np.ndarray  # (v, 3) float32, object space of the mesh
    corners: np.ndarray  # (t, 3) uint32, rows of positions
    first_triangle: np.ndarray  # (c + 1,) int64: of each cluster; the last is t


def cluster_triangles(scene: Scene, clusters: np.ndarray) -> Triangles:
    """Return the triangles of scene-wide `clusters` (c,), in their order; decodes their pages one by one."""
    groups = scene.groups
    first_cluster = np.full(len(scene.pages), len(groups) and layout.NONE, np.int64)
    np.minimum.at(first_cluster, groups["page"], groups["first_cluster"])
    by_first = np.argsort(first_cluster)
    page = by_first[np.searchsorted(first_cluster[by_first], clusters, side="right") - 1]
    step = np.zeros(len(scene.pages), np.float32)
    step[groups["page"]] = scene.meshes["step"][groups["mesh"]]  # a page holds clusters of one mesh
    positions: list[np.ndarray] = [np.zeros((0, 3), np.float32)] * len(clusters)
    corners: list[np.ndarray] = [np.zeros((0, 3), np.uint32)] * len(clusters)
    for number in np.unique(page).tolist():
        rows = np.flatnonzero(page == number)
        places = clusters[rows] - first_cluster[number]
        for row, part in zip(rows.tolist(), _page_triangles(scene.page_words(number), places, step[number])):
            positions[row], corners[row] = part
    vertices = np.array([len(part) for part in positions], np.int64)
    triangles = np.array([len(part) for part in corners], np.int64)
    first_vertex = np.repeat(np.cumsum(vertices) - vertices, triangles).astype(np.uint32)
    return Triangles(
        np.concatenate([np.zeros((0, 3), np.float32), *positions]),
        np.concatenate([np.zeros((0, 3), np.uint32), *corners]) + first_vertex[:, None],
        np.concatenate([[0], np.cumsum(triangles)]),
    )


def _page_triangles(words: np.ndarray, places: np.ndarray, step: np.float32) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return positions and local corners of the clusters at `places` of a page (w,) uint32."""
    records = asset_pages.page_clusters(words)[places]
    vertices, triangles, _, widths, ranges = asset_pages.unpack_records(records)
    start = asset_pages.HEADER_WORDS + places * asset_pages.RECORD_WORDS + records["data"] + ranges
    sizes = asset_pages.stream_words(records)
    octets, found = words.view(np.uint8), []
    for i in range(len(records)):
        first, second = int(start[i]), int(start[i] + sizes[i, 1])
        corners = octets[4 * first : 4 * first + 3 * int(triangles[i])].reshape(-1, 3).astype(np.uint32)
        lattice = records["origin"][i] + asset_pages.read_bits(words, second, int(vertices[i]), widths[i, :3])
        found.append((lattice.astype(np.float32) * step, corners))
    return found
