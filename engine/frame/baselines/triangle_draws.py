"""Which draws show all source triangles of a scene: pure functions over its tables."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine import layout
from engine.scene_triangles import Triangles

TRIANGLE_BITS = int(layout.CONSTANTS["MAX_CLUSTER_TRIANGLES"] - 1).bit_length()
_MIRRORED = layout.CONSTANTS["INSTANCE_MIRRORED"]


class Draw(NamedTuple):
    """One instanced, indexed draw; `faces` as engine.gpu.mesh_kernel calls them."""

    faces: str
    first_triangle: int
    triangle_count: int
    first_instance: int  # in the table of drawn instances
    instance_count: int


@dataclass(frozen=True)
class MeshTriangles:
    """Where the triangles of one mesh lie in the index buffer: those with one side, then those with two."""

    first_triangle: int
    one_sided: int
    two_sided: int


def draw_order(of_meshes: list[np.ndarray], records: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[MeshTriangles]]:
    """Return in which order the index buffer holds clusters, given those of each mesh (scene-wide numbers).

    Returns the clusters (c,) int64, the number (c,) int64 of each among those of its mesh, and MeshTriangles of each
    mesh. `records` are layout.CLUSTER (C,).
    """
    counts = records["counts"].astype(np.int64)
    is_two_sided = (counts >> 24 & layout.CONSTANTS["CLUSTER_TWO_SIDED"]) != 0
    triangles = counts >> 8 & 255
    ordered, numbers, meshes, first = [], [], [], 0
    for own in of_meshes:
        order = np.argsort(is_two_sided[own], kind="stable")
        ordered.append(own[order])
        numbers.append(order)
        two = int(triangles[own[is_two_sided[own]]].sum())
        one = int(triangles[own].sum()) - two
        meshes.append(MeshTriangles(first, one, two))
        first += one + two
    return np.concatenate(ordered), np.concatenate(numbers), meshes


def sweep_order(triangles: Triangles) -> np.ndarray:
    """Return the order, rows (t,) int64, that goes through each cluster along the longest axis of its box.

    What follows each other then shares corners, which a GPU's small cache shades once: about as often as with an order
    that is optimised for caches, 0.75 times a triangle with room for 32.
    """
    first = triangles.first_triangle[:-1]
    cluster = np.repeat(np.arange(len(first)), np.diff(triangles.first_triangle))
    centers = triangles.positions[triangles.corners].sum(axis=1)
    extent = np.maximum.reduceat(centers, first) - np.minimum.reduceat(centers, first)
    along = np.take_along_axis(centers, extent.argmax(axis=1)[cluster, None], axis=1)[:, 0]
    return np.lexsort((along, cluster))


def triangle_names(numbers: np.ndarray, first_triangle: np.ndarray) -> np.ndarray:
    """Return cluster number << 7 | triangle (t,) uint32 of the triangles of clusters that begin at `first_triangle`."""
    counts = np.diff(first_triangle)
    within = np.arange(first_triangle[-1]) - np.repeat(first_triangle[:-1], counts)
    return (np.repeat(numbers, counts) << TRIANGLE_BITS | within).astype(np.uint32)


def draws_of(
    instances: np.ndarray, slots: np.ndarray, first_place: np.ndarray, meshes: list[MeshTriangles]
) -> tuple[list[Draw], np.ndarray]:
    """Return the draws, by faces, and layout.DRAWN_INSTANCE records of the instances that they name.

    `slots` (k,) of layout.INSTANCE records hold an instance each, whose clusters begin at `first_place` (k,) of the
    list of visible clusters.
    """
    mesh = instances["mesh"][slots].astype(np.int64)
    is_mirrored = (instances["flags"][slots] & _MIRRORED) != 0
    order = np.lexsort((is_mirrored, mesh))
    keys = 2 * mesh[order] + is_mirrored[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    draws, parts, first_instance = [], [np.zeros(0, layout.DRAWN_INSTANCE)], 0
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(keys)]):
        own = meshes[keys[start] // 2]
        one_sided = ("mirrored" if keys[start] % 2 else "front", own.first_triangle, own.one_sided)
        for faces, first, count in (one_sided, ("both", own.first_triangle + own.one_sided, own.two_sided)):
            if not count:
                continue
            part = np.zeros(end - start, layout.DRAWN_INSTANCE)
            part["slot"], part["first_place"] = slots[order[start:end]], first_place[order[start:end]]
            part["first_triangle"] = first
            draws.append(Draw(faces, first, count, first_instance, end - start))
            parts.append(part)
            first_instance += end - start
    return sorted(draws, key=lambda draw: draw.faces), np.concatenate(parts)
