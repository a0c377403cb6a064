"""Points spread over triangles, and their exact distance to the nearest triangle of another surface."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from engine.builder.nearest import build_tree, nearest_triangles

LEAF_RUN = 128  # triangles below one node of the tree's row of runs
BLOCK_POINTS = 4096  # of one task


@dataclass(frozen=True)
class Surface:
    """Triangles sorted along a space-filling curve, with the tree over them."""

    corners: np.ndarray  # (t, 3, 3) float64, sorted
    order: np.ndarray  # (t,) int64: the number of each before sorting
    tree: tuple  # of engine.builder.nearest.build_tree


def make_surface(corners: np.ndarray) -> Surface:
    """Return the Surface of triangles (t, 3, 3) float64, t > 0; those without area are left out, unless all are."""
    numbers = np.flatnonzero(areas(corners) > 0.0)
    if len(numbers) == 0:
        numbers = np.arange(len(corners))
    order = numbers[np.argsort(_morton(corners[numbers].mean(axis=1)), kind="stable")]
    sorted_corners = np.ascontiguousarray(corners[order])
    count = len(order)
    first = np.append(np.arange(0, count, LEAF_RUN), count)
    vertices = np.arange(3 * count, dtype=np.int32)
    tree = build_tree(sorted_corners.reshape(-1, 3), vertices, vertices.reshape(-1, 3), first)
    return Surface(sorted_corners, order, tree)


def areas(corners: np.ndarray) -> np.ndarray:
    """Return the areas (t,) of triangles (t, 3, 3)."""
    edges = corners[:, 1:] - corners[:, :1]
    return 0.5 * np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)


def _morton(points: np.ndarray) -> np.ndarray:
    """Return the place (n,) uint64 of each point on a Z curve of 21 bits an axis (G. M. Morton, 1966)."""
    low, high = points.min(axis=0), points.max(axis=0)
    cells = ((points - low) * ((2**21 - 1) / max(float((high - low).max()), 1e-300))).astype(np.uint64)
    code = np.zeros(len(points), np.uint64)
    for axis in range(3):
        spread = cells[:, axis]
        for shift, mask in (
            (32, 0x1F00000000FFFF),
            (16, 0x1F0000FF0000FF),
            (8, 0x100F00F00F00F00F),
            (4, 0x10C30C30C30C30C3),
            (2, 0x1249249249249249),
        ):
            spread = (spread | spread << np.uint64(shift)) & np.uint64(mask)
        code |= spread << np.uint64(axis)
    return code


def spread_points(surface: Surface, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return `count` points (count, 3), one in each equal share of the area, and their places among the triangles."""
    area = areas(surface.corners)
    total = np.cumsum(area if area.any() else np.ones(len(area)))
    targets = (np.arange(count) + generator.random(count)) * (total[-1] / count)
    place = np.minimum(np.searchsorted(total, targets, side="right"), len(total) - 1)
    root, split = np.sqrt(generator.random(count))[:, None], generator.random(count)[:, None]
    a, b, c = surface.corners[place].transpose(1, 0, 2)
    return (1.0 - root) * a + root * (1.0 - split) * b + root * split * c, place


def distances(surface: Surface, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for points (n, 3) the distance (n,) to the surface and the place (n,) of the nearest triangle."""
    squared, nearest = np.empty(len(points)), np.empty(len(points), np.int64)

    def work(low: int) -> None:
        block = slice(low, low + BLOCK_POINTS)
        nearest_triangles(surface.tree, points[block], 0.0, squared[block], nearest[block])

    with ThreadPoolExecutor() as executor:
        list(executor.map(work, range(0, len(points), BLOCK_POINTS)))
    return np.sqrt(squared), nearest
