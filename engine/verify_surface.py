"""Law 1 on the triangles: members and products of a group share its outline, and cuts of closed meshes are closed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import layout
from engine.reference import Tables, cluster_boxes

ROOT_ERROR = layout.CONSTANTS["ROOT_ERROR"]
Progress = Callable[[str, int, int], None]
LARGEST_AREA_GROWTH = 1.5  # of a cut, against the source
_CLUSTERS_A_REPORT = 512
LARGEST_BORDER_GROWTH = 2.0  # of the open border of one group, when it is simplified; most stay below 1.3


@dataclass(frozen=True)
class Surface:
    """All triangles of all clusters of an asset."""

    edge: np.ndarray  # (t, 3) int64: numbers of the edges of each triangle; alike where both ends are at one position
    cluster: np.ndarray  # (t,) int64
    area: np.ndarray  # (t,) float64, object space
    edge_mesh: np.ndarray  # (e,) int64: the mesh of each edge
    edge_length: np.ndarray  # (e,) float64, object space
    box: np.ndarray  # (c, 2, 3) float64, object space: lowest and highest corner of each cluster's vertices


def _no_progress(stage: str, done: int, total: int) -> None:
    pass


def read_surface(asset: Any, data: Tables, progress: Progress = _no_progress) -> Surface:
    """Decode the triangles of all clusters and number their edges by exact positions."""
    geometry, cluster_count = [], len(data.clusters)
    for number in range(cluster_count):
        if number % _CLUSTERS_A_REPORT == 0:
            progress("read triangles", number, cluster_count)
        geometry.append(asset.cluster_geometry(number))
    triangle_count = np.array([len(part.triangles) for part in geometry])
    vertex_count = np.array([len(part.positions) for part in geometry])
    first_vertex = np.repeat(np.cumsum(vertex_count) - vertex_count, triangle_count)
    positions = np.concatenate([part.positions for part in geometry]).astype(float)
    triangles = np.concatenate([part.triangles for part in geometry]).astype(np.int64) + first_vertex[:, None]
    corners = positions[triangles]
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    vertex_mesh = np.repeat(data.cluster_mesh, vertex_count)
    place = number_rows(np.column_stack([vertex_mesh, positions]))[triangles]
    ends = np.sort(np.stack([place, np.roll(place, -1, axis=1)], axis=-1), axis=-1)
    keys, edge = np.unique((ends[..., 0] << 32) | ends[..., 1], return_inverse=True)
    cluster = np.repeat(np.arange(len(geometry)), triangle_count)
    edge_mesh, edge_length = np.zeros(len(keys), np.int64), np.zeros(len(keys))
    edge = edge.reshape(-1, 3)
    edge_mesh[edge] = data.cluster_mesh[cluster][:, None]
    edge_length[edge] = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
    starts = np.cumsum(vertex_count) - vertex_count
    box = np.stack([np.minimum.reduceat(positions, starts), np.maximum.reduceat(positions, starts)], axis=1)
    return Surface(edge, cluster, area, edge_mesh, edge_length, box)


def check_boxes(data: Tables, surface: Surface) -> list[str]:
    """The vertices of each cluster fill the box that its record claims: what is outside would be culled wrongly."""
    low, high = cluster_boxes(data, np.arange(len(data.clusters)))
    wrong = (surface.box[:, 0] != low).any(axis=1) | (surface.box[:, 1] != high).any(axis=1)
    count = int(np.count_nonzero(wrong))
    text = f"{count} of {len(wrong)} clusters do not fill the box they claim (first: {int(wrong.argmax())})"
    return [text] if count else []


def number_rows(rows: np.ndarray) -> np.ndarray:
    """Return a number for each row (n, k), int64: equal for equal rows, counted from 0."""
    number = np.zeros(len(rows), np.int64)
    for column in rows.T:
        values = np.unique(column, return_inverse=True)[1].ravel().astype(np.int64)
        number = np.unique((number << 32) | values, return_inverse=True)[1].ravel().astype(np.int64)
    return number


def check_groups(data: Tables, surface: Surface, twins: np.ndarray, progress: Progress = _no_progress) -> list[str]:
    """Every group keeps its outline: the edges that its members share with others are those of its products.

    Only free edges (the open border of the surface, and edges of the group's own where more than two triangles meet)
    may change, and not grow: simplification maps the outline of a group onto that
    of its products, the shared part onto itself, so what is left over is the image of the open border. A crack or a
    hole is left over, too, and is long. The levels are replaced one after the other, so that each group is seen among
    the neighbours it had. `twins` names the first group of those that were simplified as one.
    """
    level = (data.groups["place"] >> np.uint32(24)).astype(np.int64)
    group = twins[data.cluster_group][surface.cluster]
    maker = data.cluster_made_by[surface.cluster]
    maker = np.where(maker >= 0, twins[maker], -1)
    replaced = data.groups["geometric_error"][group] < ROOT_ERROR
    present = maker < 0
    changed, grown = np.zeros((2, len(data.groups)), bool)
    for current in np.unique(level):
        progress("check outlines", int(current), int(level.max()) + 1)
        members = present & replaced & (level[group] == current)
        products = (maker >= 0) & (level[np.maximum(maker, 0)] == current)
        total = np.bincount(surface.edge[present].ravel(), minlength=len(surface.edge_mesh))
        border, left_over = _outline_lengths(surface, group, maker, members, products, total, len(data.groups))
        changed |= (border == 0.0) & (left_over > 0.0)
        grown |= (border > 0.0) & (left_over > LARGEST_BORDER_GROWTH * border)
        present = (present & ~members) | products
    texts = {"change the edges they share with others: cracks or holes": changed}
    texts["grow long new borders: cracks or holes"] = grown
    return [
        f"{np.count_nonzero(wrong)} of {wrong.size} groups {text} (first: {int(wrong.argmax())})"
        for text, wrong in texts.items()
        if wrong.any()
    ]


def _outline_lengths(
    surface: Surface,
    group: np.ndarray,
    maker: np.ndarray,
    members: np.ndarray,
    products: np.ndarray,
    total: np.ndarray,
    group_count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each group the length of its free edges, and of all outline that its products do not share with it.

    Free are the open border and edges of its own where more than two triangles meet; the latter count as no outline.
    """
    count = len(total)
    before, uses = _group_edges(group[members], surface.edge[members], count)
    after, after_uses = _group_edges(maker[products], surface.edge[products], count)
    outline = before[(uses == 1) & (total[before % count] == 2)]
    is_tangled = total[before % count] > 2
    tangled = before[is_tangled]
    outline_after = after[after_uses == 1]
    outline_after = outline_after[~np.isin(outline_after, tangled)]
    # An edge of more than two triangles, all of the group, may move like a border, and come apart.
    border = before[(total[before % count] == 1) | (is_tangled & (uses == total[before % count]))]
    lost = outline[~np.isin(outline, after)]
    new = outline_after[~np.isin(outline_after, outline)]
    lengths = [
        np.bincount(keys // count, weights=surface.edge_length[keys % count], minlength=group_count)
        for keys in (border, np.concatenate([lost, new]))
    ]
    return lengths[0], lengths[1]


def _group_edges(group: np.ndarray, edge: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted group * count + edge, each once, and how many triangles of the group use it."""
    return np.unique(group[:, None] * count + edge, return_counts=True)


def drawn_clusters(data: Tables, decision: np.ndarray) -> np.ndarray:
    """Return which clusters a cut draws, bool (C,); `decision` (G,) bool says whose members are to be drawn."""
    maker = data.cluster_made_by
    return decision[data.cluster_group] & ((maker < 0) | ~decision[np.maximum(maker, 0)])


def check_cuts(
    data: Tables, surface: Surface, decisions: list[np.ndarray], progress: Progress = _no_progress
) -> list[str]:
    """In cuts of closed meshes an even number of triangles meets at each edge; no cut has far more area, or nothing.

    Edges where folded parts of one group's products already meet in an odd number are left out.
    """
    edge_count, mesh_count = len(surface.edge_mesh), len(data.meshes)
    mesh = data.cluster_mesh[surface.cluster]
    source = (data.cluster_made_by < 0)[surface.cluster]
    uses = np.bincount(surface.edge[source].ravel(), minlength=edge_count)
    closed = np.bincount(surface.edge_mesh, weights=uses % 2, minlength=mesh_count) == 0
    area = np.bincount(mesh[source], weights=surface.area[source], minlength=mesh_count)
    keys, uses = _group_edges(data.cluster_made_by[surface.cluster][~source], surface.edge[~source], edge_count)
    folded = keys[(uses > 1) & (uses % 2 == 1)] % edge_count
    borders, overlaps, larger, empty = np.zeros((4, len(decisions)), np.int64)
    for i, decision in enumerate(decisions):
        progress("check cuts", i, len(decisions))
        drawn = drawn_clusters(data, decision)[surface.cluster]
        uses = np.bincount(surface.edge[drawn].ravel(), minlength=edge_count)
        uses *= closed[surface.edge_mesh]
        borders[i] = np.count_nonzero(uses == 1)
        uses[folded] = 0
        overlaps[i] = np.count_nonzero((uses > 1) & (uses % 2 == 1))
        cut_area = np.bincount(mesh[drawn], weights=surface.area[drawn], minlength=mesh_count)
        larger[i] = np.count_nonzero(cut_area > LARGEST_AREA_GROWTH * area)
        empty[i] = np.count_nonzero(np.bincount(mesh[drawn], minlength=mesh_count) == 0)
    texts = {
        "have border edges on closed meshes": borders,
        "have edges with three or more triangles, an odd number: overlaps": overlaps,
        "have far more area than the source": larger,
        "draw nothing of a mesh": empty,
    }
    return [
        f"{np.count_nonzero(counts)} of {len(decisions)} cuts {text} (at most {counts.max()} in one)"
        for text, counts in texts.items()
        if counts.any()
    ]
