"""Kernels of one level of the hierarchy: simplify groups of clusters, and put what comes out into the pools.

Every group writes to its own run of preallocated arrays, and new ids follow from prefix sums over the groups, so the
result does not depend on the number of threads.
"""

import numba
import numpy as np
from numba import njit

from engine.builder.clusters import cluster_group
from engine.builder.error import measure_group, vanished_parts
from engine.builder.samples import FEWEST_SURFACE_POINTS, SURFACE_POINTS, joined_samples
from engine.builder.silhouette import REFERENCE, match_silhouette
from engine.builder.simplify import HOLDING, LOOSE, STRICT
from engine.builder.thin import is_scattered, shrink_group, thin_group
from engine.builder.threads import run_blocks, run_tasks
from engine.builder.wedges import turn_normals

CLEARLY_BETTER = 0.9  # the least of several sampled errors is below its true one; see _badness
FEW_CLUSTERS = 4  # of a mesh, whose triangles are large beside its limbs
FEWEST_TRIANGLES = 6  # that one cluster may become; four can lie in a plane and vanish from the side
SILHOUETTE_OFF = 0.2  # at most, of what one cluster becomes
EVEN_CLUSTERS = 4  # of a target, from which on halves are rounded without bias
MOST_PINNED = 0.1  # of a group's positions, before loose collapses are tried, too
_BLOCK = 16  # groups or clusters of one task


@njit(nogil=True, error_model="numpy")
def _gather(pool, first_face, last_face, locked):
    """Copy the faces of some clusters with indices local to their group.

    Returns (vertices (v,) and places (p,): their ids in the pool, faces (m, 3), face_material (m,), positions (p, 3)
    float64 from `origin` (3,) int32, locked (p,), vertex_position (v,), attributes (v, k), origin).
    """
    pool_lattice, pool_vertex_position, pool_attributes, pool_faces, pool_material = pool
    count = 0
    for i in range(len(first_face)):
        count += last_face[i] - first_face[i]
    size = 64
    while size < 4 * count:
        size *= 2
    table = np.full(size, -1, np.int32)
    vertices = np.empty(3 * count, np.int32)
    faces = np.empty((count, 3), np.int32)
    face_material = np.empty(count, np.int32)
    face, vertex_count = 0, 0
    for i in range(len(first_face)):
        for source in range(first_face[i], last_face[i]):
            for k in range(3):
                vertex = pool_faces[source, k]
                slot = _slot(vertex, size)
                while table[slot] >= 0 and vertices[table[slot]] != vertex:
                    slot = (slot + 1) & (size - 1)
                if table[slot] < 0:
                    table[slot] = vertex_count
                    vertices[vertex_count] = vertex
                    vertex_count += 1
                faces[face, k] = table[slot]
            face_material[face] = pool_material[source]
            face += 1
    for slot in range(size):
        table[slot] = -1
    places = np.empty(vertex_count, np.int32)
    vertex_position = np.empty(vertex_count, np.int32)
    attributes = np.empty((vertex_count, pool_attributes.shape[1]), np.float32)
    place_count = 0
    for i in range(vertex_count):
        for k in range(attributes.shape[1]):
            attributes[i, k] = pool_attributes[vertices[i], k]
        place = pool_vertex_position[vertices[i]]
        slot = _slot(place, size)
        while table[slot] >= 0 and places[table[slot]] != place:
            slot = (slot + 1) & (size - 1)
        if table[slot] < 0:
            table[slot] = place_count
            places[place_count] = place
            place_count += 1
        vertex_position[i] = table[slot]
    places = places[:place_count]
    origin = np.empty(3, np.int32)
    for k in range(3):
        origin[k] = pool_lattice[places[0], k]
    positions = np.empty((place_count, 3), np.float64)
    group_locked = np.empty(place_count, np.bool_)
    for i in range(place_count):
        group_locked[i] = locked[places[i]]
        for k in range(3):
            positions[i, k] = pool_lattice[places[i], k] - origin[k]
    vertices = vertices[:vertex_count]
    return vertices, places, faces, face_material, positions, group_locked, vertex_position, attributes, origin


@njit(nogil=True, error_model="numpy")
def _slot(key, size):
    return (key * 2654435769 >> 7) & (size - 1)


@njit(nogil=True, cache=True, error_model="numpy")
def target_triangles(triangles, cluster_triangles, reduction, least_shrink):
    """Return how many triangles a group of `triangles` should keep: full clusters where that shrinks it enough."""
    wanted = triangles * reduction
    clusters = wanted / cluster_triangles
    if clusters >= EVEN_CLUSTERS:
        clusters = np.rint(clusters)  # halves go to even numbers: as often up as down
    target = max(1, int(np.floor(clusters + 0.5))) * cluster_triangles
    if target > (1.0 - least_shrink) * triangles:
        target = max(1, int(wanted))
    return target


def simplify_groups(
    pool: tuple, tree: tuple, members: np.ndarray, samples: tuple, first_member: np.ndarray, locked: np.ndarray,
    thin: np.ndarray, weights: np.ndarray, limits: tuple, rows: np.ndarray, out: tuple,
) -> None:  # fmt: skip
    """Simplify groups of clusters; group g consists of the members first_member[g]:first_member[g + 1].

    pool: (lattice (P, 3), vertex_position (V,), attributes (V, k), faces (F, 3), face_material (F,)); tree: of
    nearest.build_source_tree; members (n, 2) int64: first and last face; samples: (position (n, s, 3), attributes
    (n, s, k), weight (n, s), count (n,)) of each member; locked (P,) bool; thin (g,) bool: where collapses do not
    suffice, thin; weights (2, k) float32: those that steer and those that claim; limits: (cluster triangles, cluster
    vertices, reduction, least shrink, error percentile, points of each product that are compared with the source,
    the silhouette (8,) float64 of the mesh: see silhouette.py, where a cluster is the only one).
    Group g writes to `out` (see `group_outputs`): faces from rows[g, 0], vertices and positions from rows[g, 1],
    samples from rows[g, 2], and its counts and errors to row g; counts stay zero where it does not shrink enough.
    """

    def work(group: int) -> None:
        _simplify_one(
            group, pool, tree, members, samples, first_member[group], first_member[group + 1], locked, thin[group],
            weights, limits, rows[group : group + 2], out,
        )  # fmt: skip

    run_tasks(work, np.argsort(-np.diff(rows[:, 0]), kind="stable").tolist())  # the longest first


def empty_pool() -> tuple:
    """Return pools without rows, of normals alone."""
    triples, numbers = np.empty((0, 3), np.int32), np.empty(0, np.int32)
    return triples, numbers, np.empty((0, 3), np.float32), triples, numbers


def compile_simplification() -> None:
    """Compile what `simplify_groups` runs, without running it."""
    boxes, values = np.empty((0, 6), np.float32), np.empty((0, 3), np.float32)
    tree = (boxes, np.empty(0, np.int64), boxes, 0)
    samples = (
        np.empty((0, 1, 3)), np.empty((0, 1, 3), np.float32), np.empty((0, 1), np.float32), np.empty(0, np.int32)
    )  # fmt: skip
    limits = (128, 255, 0.5, 0.15, 99.5, SURFACE_POINTS, np.zeros(REFERENCE))
    rows = np.zeros((2, 3), np.int64)
    arguments = (
        0, empty_pool(), tree, np.empty((0, 2), np.int64), samples, np.int64(0), np.int64(0), np.empty(0, np.bool_),
        np.bool_(False), values, limits, rows, group_outputs(1, rows, 1, 3, None),
    )  # fmt: skip
    _simplify_one.compile(tuple(numba.typeof(argument) for argument in arguments))


def compile_measures() -> None:
    """Compile how products are clustered and measured: what `compile_simplification` then finds kept.

    So that the two can run in two processes, this one must be done while the other is at the collapses.
    """
    points, attributes, faces = np.empty((0, 3)), np.empty((0, 3), np.float32), np.empty((0, 3), np.int32)
    numbers, weights = np.empty(0, np.int32), np.empty(0, np.float32)
    boxes = np.empty((0, 6), np.float32)
    out = (points[None], attributes[None], np.empty((0, 1), np.float32), numbers)
    measured = (
        (boxes, np.empty(0, np.int64), boxes, 0), np.empty(3), (points, attributes, weights), (points, np.empty(0)),
        points, numbers, attributes, faces, numbers, weights, 99.5, 1, out,
    )  # fmt: skip
    for kernel, arguments in (
        (measure_group, measured),
        (cluster_group, (points, numbers, faces, numbers, 128, 255)),
        (vanished_parts, (points, numbers, faces, numbers, faces)),
    ):
        kernel.compile(tuple(numba.typeof(argument) for argument in arguments))


def group_outputs(groups: int, rows: np.ndarray, samples: int, columns: int, again: tuple | None) -> tuple:
    """Return room for the results of `simplify_groups`; vertices and positions are numbered within their group.

    (counts (g, 6) int64: faces, clusters, vertices, new vertices, positions, new positions; faces (f, 3);
    face_material (f,); starts (f,) uint8: a cluster begins; vertices (v,): id in the pool or -1 where new;
    vertex_position (v,); attributes (v, k); positions (v,): id or -1; lattice (v, 3);
    errors (g, 2) float64: geometric, attribute, in lattice units; samples: position, attributes, weight, count)
    The result of an earlier call, `again`, is used where it is large enough: fresh memory costs time.
    """
    faces, vertices, clusters = rows[-1]
    if (
        again is None or faces > len(again[1]) or vertices > len(again[4]) or clusters > len(again[13])
        or samples != again[10].shape[1]
    ):  # fmt: skip
        again = (
            None, np.empty((faces, 3), np.int32), np.empty(faces, np.int32), np.empty(faces, np.uint8),
            np.empty(vertices, np.int32), np.empty(vertices, np.int32), np.empty((vertices, columns), np.float32),
            np.empty(vertices, np.int32), np.empty((vertices, 3), np.int32), None, np.empty((clusters, samples, 3)),
            np.empty((clusters, samples, columns), np.float32), np.empty((clusters, samples), np.float32),
            np.empty(clusters, np.int32),
        )  # fmt: skip
    return (np.zeros((groups, 6), np.int64), *again[1:9], np.zeros((groups, 2)), *again[10:])


@njit(nogil=True, cache=True, error_model="numpy")
def _simplify_one(
    group, pool, tree, members, samples, first_member, last_member, locked, thin, weights, limits, rows, out
):
    """Simplify one group, split the result into clusters and measure its error."""
    cluster_triangles, cluster_vertices, reduction, least_shrink, percentile, surface_points, silhouette = limits
    vertices, places, faces, face_material, positions, group_locked, vertex_position, attributes, origin = _gather(
        pool, members[first_member:last_member, 0], members[first_member:last_member, 1], locked
    )
    most = (1.0 - least_shrink) * len(faces)
    target = target_triangles(len(faces), cluster_triangles, reduction, least_shrink)
    carried = joined_samples(samples, first_member, last_member)
    mesh_origin = origin.astype(np.float64)
    may_vanish = is_scattered(positions, faces)
    result = shrink_group(
        positions, group_locked, vertex_position, attributes, weights[0], faces, face_material, target, thin
    )
    is_mesh = silhouette[-1] > 0.0 and last_member - first_member <= FEW_CLUSTERS
    fewest, most_off = 1, np.inf
    if last_member - first_member == 1:
        fewest, most_off = FEWEST_TRIANGLES, SILHOUETTE_OFF
    off = match_silhouette(positions, mesh_origin, silhouette, result) if is_mesh else 0.0
    is_found = fewest <= result[0] <= most and off <= most_off
    if thin or result[0] > target or result[8] > MOST_PINNED:  # legal edges ran out, or nearly: bad ones were taken
        before, best = (positions, vertex_position, faces), np.inf
        if is_found:
            best = _badness(tree, mesh_origin, carried, before, result, weights[1], limits)
        for manner in (STRICT, LOOSE, HOLDING):
            if manner == HOLDING and not is_mesh:
                continue  # triangles are small beside the limbs of the mesh
            if manner == STRICT and result[0] <= target and not may_vanish:
                continue  # it would be the same
            other = thin_group(
                positions, group_locked, vertex_position, attributes, weights[0], faces, face_material, target, manner
            )
            off = match_silhouette(positions, mesh_origin, silhouette, other) if is_mesh else 0.0
            if fewest <= other[0] <= most and off <= most_off:
                badness = _badness(tree, mesh_origin, carried, before, other, weights[1], limits)
                if badness < CLEARLY_BETTER * best:
                    best, result, may_vanish, is_found = badness, other, True, True
    if not is_found:
        return
    vanished = vanished_parts(positions, vertex_position, faces[: len(faces) * may_vanish], result[4], result[1])
    count, faces, face_material, positions, vertex_position, attributes, moved_place, moved_vertex, _ = result
    turn_normals(faces, positions, vertex_position, attributes, moved_vertex)
    order, first = cluster_group(
        positions, vertex_position, faces[:count], face_material, cluster_triangles, cluster_vertices
    )
    clusters = len(first) - 1
    low, high = rows[0, 2], rows[0, 2] + clusters
    if high > rows[1, 2]:
        return
    faces = faces[order]
    out[0][group, 0] = count
    out[0][group, 1] = clusters
    for i in range(count):
        out[2][rows[0, 0] + i] = face_material[order[i]]
        out[3][rows[0, 0] + i] = 0
    for i in range(clusters):
        out[3][rows[0, 0] + first[i]] = 1
    _compact(
        group, vertices, places, origin, faces, positions, vertex_position, attributes, moved_place, moved_vertex,
        rows[0, 0], rows[0, 1], out,
    )  # fmt: skip
    geometric, attribute = measure_group(
        tree, mesh_origin, carried, vanished, positions, vertex_position, attributes, faces, first, weights[1],
        percentile, max(surface_points * clusters, FEWEST_SURFACE_POINTS),
        (out[10][low:high], out[11][low:high], out[12][low:high], out[13][low:high]),
    )  # fmt: skip
    out[9][group, 0] = geometric
    out[9][group, 1] = attribute


@njit(nogil=True, error_model="numpy")
def _badness(tree, origin, samples, before, result, weights, limits):
    """Return how bad the result of a simplification is, to compare two with different numbers of triangles.

    The error of a surface is as one over their number, so it is the product of two errors times its square.
    before: positions, vertex_position, faces.
    """
    count, faces, face_material, positions, vertex_position, attributes, _, _, _ = result
    vanished = vanished_parts(before[0], before[1], before[2], vertex_position, faces)
    order, first = cluster_group(positions, vertex_position, faces[:count], face_material, limits[0], limits[1])
    clusters = len(first) - 1
    geometric, attribute = measure_group(
        tree, origin, samples, vanished, positions, vertex_position, attributes, faces[order], first, weights,
        limits[4], max(limits[5] * clusters, FEWEST_SURFACE_POINTS),
        (
            np.empty((clusters, 1, 3)), np.empty((clusters, 1, attributes.shape[1]), np.float32),
            np.empty((clusters, 1), np.float32), np.empty(clusters, np.int32),
        ),
    )  # fmt: skip
    return geometric * max(geometric, attribute) * count * count


@njit(nogil=True, error_model="numpy")
def _compact(
    group, vertices, places, origin, faces, positions, vertex_position, attributes, moved_place, moved_vertex,
    first_out, first_vertex_out, out,
):  # fmt: skip
    """Write the used vertices and positions, numbered by their first use, and the faces that use them."""
    out_counts, out_faces, _, _, out_vertex, out_vertex_position, out_attributes, out_place, out_lattice = out[:9]
    vertex_number = np.full(len(vertex_position), -1, np.int32)
    place_number = np.full(len(positions), -1, np.int32)
    vertex_count, new_vertices, place_count, new_places = 0, 0, 0, 0
    for i in range(len(faces)):
        for k in range(3):
            vertex = faces[i, k]
            if vertex_number[vertex] < 0:
                place = vertex_position[vertex]
                if place_number[place] < 0:
                    row = first_vertex_out + place_count
                    out_place[row] = -1 if moved_place[place] else places[place]
                    for axis in range(3):
                        out_lattice[row, axis] = np.int32(np.rint(positions[place, axis])) + origin[axis]
                    new_places += 1 if moved_place[place] else 0
                    place_number[place] = place_count
                    place_count += 1
                row = first_vertex_out + vertex_count
                moved = moved_vertex[vertex] or moved_place[place]
                out_vertex[row] = -1 if moved else vertices[vertex]
                out_vertex_position[row] = place_number[place]
                for column in range(attributes.shape[1]):
                    out_attributes[row, column] = attributes[vertex, column]
                new_vertices += 1 if moved else 0
                vertex_number[vertex] = vertex_count
                vertex_count += 1
            out_faces[first_out + i, k] = vertex_number[vertex]
    out_counts[group, 2] = vertex_count
    out_counts[group, 3] = new_vertices
    out_counts[group, 4] = place_count
    out_counts[group, 5] = new_places


def store_groups(
    out: tuple, rows: np.ndarray, pool: tuple, starts: np.ndarray, base_face: np.ndarray, first_face: int,
    base_vertex: np.ndarray, base_place: np.ndarray,
) -> None:  # fmt: skip
    """Copy the results of `simplify_groups` into the pools and give new vertices and positions their ids.

    base_face, base_vertex, base_place (g,) int64: where the faces and the new entries of each group go; starts (f,)
    uint8, for the faces from `first_face`, gets a 1 where a cluster begins. The pools must have room. In `out` the ids
    take the place of -1.
    """
    base = np.column_stack([base_face, base_vertex, base_place])
    run_blocks(_store_groups, len(rows) - 1, _BLOCK, out[:9], rows, pool, starts, base, np.int64(first_face))


@njit(nogil=True, cache=True, error_model="numpy")
def _store_groups(first_group, last_group, out, rows, pool, starts, base, first_face):
    counts, faces, materials, begins, vertices, vertex_position, attributes, places, lattice = out
    pool_lattice, pool_vertex_position, pool_attributes, pool_faces, pool_material = pool
    for group in range(first_group, last_group):
        low, face_low = rows[group, 1], rows[group, 0]
        new = base[group, 2]
        for i in range(low, low + counts[group, 4]):
            if places[i] < 0:
                places[i] = new
                for k in range(3):
                    pool_lattice[new, k] = lattice[i, k]
                new += 1
        new = base[group, 1]
        for i in range(low, low + counts[group, 2]):
            if vertices[i] < 0:
                vertices[i] = new
                pool_vertex_position[new] = places[low + vertex_position[i]]
                for k in range(attributes.shape[1]):
                    pool_attributes[new, k] = attributes[i, k]
                new += 1
        for i in range(counts[group, 0]):
            face, source = base[group, 0] + i, face_low + i
            for k in range(3):
                pool_faces[face, k] = vertices[low + faces[source, k]]
            pool_material[face] = materials[source]
            starts[face - first_face] = begins[source]


def copy_runs(
    faces: np.ndarray, face_material: np.ndarray, source: np.ndarray, first: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return faces and materials with run i, from row source[i], at rows first[i]:first[i + 1]."""
    faces_out, material_out = np.empty((first[-1], 3), np.int32), np.empty(first[-1], np.int32)
    run_blocks(_copy_runs, len(source), 64 * _BLOCK, faces, face_material, source, first, faces_out, material_out)
    return faces_out, material_out


@njit(nogil=True, cache=True, error_model="numpy")
def _copy_runs(first_run, last_run, faces, face_material, source, first, faces_out, material_out):
    for run in range(first_run, last_run):
        for i in range(first[run + 1] - first[run]):
            material_out[first[run] + i] = face_material[source[run] + i]
            for k in range(3):
                faces_out[first[run] + i, k] = faces[source[run] + i, k]
