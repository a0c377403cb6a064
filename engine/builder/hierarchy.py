"""Build the cluster hierarchy of one mesh: cluster, group, simplify, and again, until one cluster is left.

That cluster goes on alone, halved again and again down to a few triangles: instances of a crowd that are two pixels
high are drawn by thousands, and then each of its triangles counts.

After B. Karis, R. Stubbe, G. Wihlidal, A deep dive into Nanite virtualized geometry, 2021; quick-VDR (S. Yoon,
B. Salomon, R. Gayle, D. Manocha, 2004) and F. Ponchio, Multiresolution structures for interactive visualization of
very large 3D datasets, 2009, for why a cut of such a hierarchy has no cracks.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from engine.builder.attribute_weights import attribute_weights
from engine.builder.clusters import cluster_mesh
from engine.builder.groups import cluster_adjacency, partition_clusters, shared_positions
from engine.builder.level import copy_runs, group_outputs, simplify_groups, store_groups
from engine.builder.nearest import build_source_tree
from engine.builder.samples import SURFACE_POINTS, make_samples, samples_above, widened
from engine.builder.silhouette import REFERENCE, silhouette_reference
from engine.builder.spheres import cluster_spheres, merge_spheres
from engine.builder.weld import WeldedMesh
from engine.layout import CONSTANTS
from engine.settings import BuildSettings

LOGGER = logging.getLogger("engine")
Progress = Callable[[str, int, int], None]

ROOT_ERROR = CONSTANTS["ROOT_ERROR"]
GROWTH = 1.0 + 2.0**-20  # of an error from child to group, at least
_BATCH_GROUPS = 1024  # simplified before their results are stored: bounds the memory
_MOST_LEVELS = 240  # a level is a byte in the file
LEAST_TRIANGLES = 8  # of a mesh that is one cluster: at most so many are not simplified further
_TRIES = 2  # of a cluster in groups that do not shrink, before such a group is thinned


@dataclass
class Hierarchy:
    """All levels of one mesh. Lengths are in object space: lattice * step, relative to the mesh's origin.

    Products of group g are the clusters with cluster_made_by == g; a group from which nothing was made is a root group.
    """

    lattice: np.ndarray  # (P, 3) int32
    vertex_position: np.ndarray  # (V,) int32
    attributes: np.ndarray  # (V, k) float32
    faces: np.ndarray  # (F, 3) int32 into vertices, cluster after cluster
    face_material: np.ndarray  # (F,) int32, ascending within a cluster
    cluster_first_face: np.ndarray  # (C + 1,) int64
    cluster_group: np.ndarray  # (C,) int32: the group it is a member of
    cluster_made_by: np.ndarray  # (C,) int32; -1: source cluster
    cluster_level: np.ndarray  # (C,) int32; 0: source cluster
    group_first_cluster: np.ndarray  # (G + 1,) int32: the members of a group are contiguous
    group_center: np.ndarray  # (G, 3) float32
    group_radius: np.ndarray  # (G,) float32
    group_geometric_error: np.ndarray  # (G,) float32; root groups: ROOT_ERROR
    group_attribute_error: np.ndarray  # (G,) float32; likewise
    group_level: np.ndarray  # (G,) int32
    report: list[dict] = field(default_factory=list)


@dataclass
class _Build:
    """What grows level by level. Clusters are numbered as they are made; lengths are lattice units."""

    tree: tuple  # over the source triangles, to measure errors
    samples: tuple[np.ndarray, ...]  # position, attributes, weight, count of the clusters of this level, in their order
    pool: list[np.ndarray]  # lattice, vertex_position, attributes, faces, face_material, with room to grow
    used: list[int]  # rows of each that are filled
    faces: np.ndarray  # (C, 2) int64: first and last face of each cluster
    made_by: np.ndarray  # (C,) int32
    level: np.ndarray  # (C,) int32
    tries: np.ndarray  # (C,) int32: how often its group did not shrink
    source_center: np.ndarray  # (source clusters, 3) float32
    source_radius: np.ndarray  # (source clusters,) float32
    silhouette: np.ndarray = field(
        default_factory=lambda: np.zeros(REFERENCE)
    )  # see silhouette.py; of the first lone group
    out: tuple | None = None  # room for results, used again and again
    group_members: list[np.ndarray] = field(default_factory=list)  # clusters
    group_level: list[int] = field(default_factory=list)
    center: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.float32))  # of groups
    radius: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    geometric: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    attribute: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))


def build_hierarchy(mesh: WeldedMesh, settings: BuildSettings, progress: Progress | None = None) -> Hierarchy:
    """Return all levels of `mesh`; raise ValueError where it has no triangle.

    `progress(stage, done, total)` counts triangles. The result does not depend on the number of threads.
    """
    if len(mesh.faces) == 0:
        raise ValueError(
            f"mesh {mesh.name!r} has no triangle left after welding; check the file or use a smaller lattice"
        )
    report: list[dict] = []
    build = _source_level(mesh, settings)
    weights = attribute_weights(mesh, settings)
    alive = np.arange(len(build.faces))
    total, done, urgent, level = 2 * len(mesh.faces), 0, False, 0
    while level < _MOST_LEVELS and (len(alive) > 1 or np.diff(build.faces[alive]) > LEAST_TRIANGLES):
        alone = len(alive) == 1
        row, alive = _build_level(build, alive, level, weights, settings, urgent, mesh.step)
        is_last = (urgent or alone) and row["stuck"] == row["groups"]
        if is_last and alone:
            break  # the one cluster is the root
        report.append(row)
        LOGGER.debug("mesh %s level %d: %s", mesh.name, level, row)
        if is_last:
            break  # nothing shrinks, thinned or not: several roots
        urgent = 2 * row["stuck"] > row["groups"]
        done += row["triangles"]
        level += 1
        if progress is not None:
            progress("simplify", min(done, total - 1), total)
    _add_roots(build, alive, level, settings)
    hierarchy = _numbered(build, mesh.step, report)
    check_hierarchy(hierarchy)
    if progress is not None:
        progress("simplify", total, total)
    return hierarchy


def _source_level(mesh: WeldedMesh, settings: BuildSettings) -> _Build:
    order, first = cluster_mesh(
        mesh.lattice, mesh.vertex_position, mesh.faces, mesh.face_material,
        settings.cluster_triangles, settings.cluster_vertices,
    )  # fmt: skip
    source = [mesh.lattice, mesh.vertex_position, mesh.attributes, mesh.faces, mesh.face_material]
    used = [len(array) for array in source]
    pool = [np.empty((21 * len(array) // 10 + 1024, *array.shape[1:]), array.dtype) for array in source]
    for array, values in zip(pool[:3], source[:3], strict=True):
        array[: len(values)] = values
    for array, values in zip(pool[3:], source[3:], strict=True):
        np.take(values, order, axis=0, out=array[: len(values)])
    ranges = np.column_stack([first[:-1], first[1:]])
    center, radius = cluster_spheres(pool[0], pool[1], pool[3], ranges)
    faces = pool[3][: len(order)]
    tree = build_source_tree(mesh.lattice, mesh.vertex_position, faces, first)
    samples = make_samples(tree, mesh.attributes, faces, settings.error_samples)
    count = len(ranges)
    return _Build(
        tree, samples, pool, used, ranges, np.full(count, -1, np.int32), np.zeros(count, np.int32),
        np.zeros(count, np.int32), center, radius,
    )  # fmt: skip


def _build_level(
    build: _Build, alive: np.ndarray, level: int, weights: np.ndarray, settings: BuildSettings, urgent: bool,
    step: float,
) -> tuple[dict, np.ndarray]:  # fmt: skip
    """Group the clusters `alive`, simplify each group; return the report row and the clusters of the next level."""
    start = time.perf_counter()
    order, first_member, locked = _group_clusters(build, alive, settings)
    members = alive[order]
    if len(first_member) == 2 and build.silhouette[-1] == 0.0:
        build.silhouette = _silhouette(build, alive)
    grouped = time.perf_counter()
    groups = len(first_member) - 1
    stuck = np.maximum.reduceat(build.tries[members], first_member[:-1])
    thin = (stuck >= _TRIES) | urgent | (groups == 1)
    build.samples = tuple(array[order] for array in build.samples)
    first_group, next_alive, next_samples = len(build.group_members), [], []
    for low in range(0, groups, _BATCH_GROUPS):
        high = min(low + _BATCH_GROUPS, groups)
        following, samples = _build_batch(
            build, members, first_member[low : high + 1], locked, thin[low:high], level, weights, settings
        )
        next_alive.append(following)
        next_samples.append(samples)
    build.samples = tuple(np.concatenate(arrays) for arrays in zip(*next_samples, strict=True))
    errors = build.geometric[first_group:]
    return {
        "level": level,
        "clusters": len(alive),
        "fill": float(np.diff(build.faces[alive]).mean()),
        "triangles": int(np.diff(build.faces[alive]).sum()),
        "groups": groups,
        "stuck": groups - len(errors),
        "geometric_error_max": float(errors.max(initial=0.0)) * step,
        "geometric_error_median": float(np.median(errors)) * step if len(errors) else 0.0,
        "seconds_group": grouped - start,
        "seconds_simplify": time.perf_counter() - grouped,
        "seconds": time.perf_counter() - start,
    }, np.concatenate(next_alive)


def _silhouette(build: _Build, alive: np.ndarray) -> np.ndarray:
    lattice, vertex_position, _, faces, _ = build.pool
    return silhouette_reference(
        lattice, vertex_position, np.concatenate([faces[low:high] for low, high in build.faces[alive]])
    )


def _group_clusters(build: _Build, alive: np.ndarray, settings: BuildSettings) -> tuple[np.ndarray, ...]:
    """Return order (c,) and first (g + 1,) of the members of each group, and locked (P,) bool."""
    lattice, vertex_position, _, faces, _ = build.pool
    low, high = build.faces[alive, 0], build.faces[alive, 1]
    positions, first_user, users = shared_positions(faces, vertex_position, low, high, build.used[0])
    graph = cluster_adjacency(first_user, users, len(alive))
    middle = faces[(low + high) // 2, 0]
    group = partition_clusters(*graph, lattice[vertex_position[middle]].astype(np.float64), settings.group_clusters)
    locked = np.zeros(build.used[0], np.bool_)
    if len(positions):
        user_group = group[users]
        several = np.maximum.reduceat(user_group, first_user[:-1]) != np.minimum.reduceat(user_group, first_user[:-1])
        locked[positions[several]] = True
    return np.argsort(group, kind="stable"), np.append(0, np.cumsum(np.bincount(group))), locked


def _build_batch(
    build: _Build, members: np.ndarray, first_member: np.ndarray, locked: np.ndarray, thin: np.ndarray, level: int,
    weights: np.ndarray, settings: BuildSettings,
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:  # fmt: skip
    """Simplify some groups; return the clusters that go on, in the order of their groups, and their samples."""
    run, level_clusters = slice(first_member[0], first_member[-1]), len(members) // 2
    members, samples = members[run], tuple(array[run] for array in build.samples)
    first = first_member - first_member[0]
    ranges = build.faces[members]
    rows = _output_rows(ranges, first, settings)
    limits = (
        settings.cluster_triangles, settings.cluster_vertices, settings.reduction, settings.least_shrink,
        settings.error_percentile, SURFACE_POINTS, build.silhouette,
    )  # fmt: skip
    room = samples_above(samples[0].shape[1], level_clusters)
    build.out = out = group_outputs(len(thin), rows, room, weights.shape[1], build.out)
    simplify_groups(tuple(build.pool), build.tree, ranges, samples, first, locked, thin, weights, limits, rows, out)
    counts, errors = out[0], out[9] * [settings.error_margin, 1.0]
    if level_clusters == 0 and errors[0, 0] > _spheres(build, members)[1][0]:
        counts[:] = 0  # who may see so large an error sees no pixel of the mesh
    shrunk = counts[:, 0] > 0
    made = _store(build, out, rows, level)
    runs = np.split(members, first[1:-1])
    _add_groups(build, [runs[group] for group in np.flatnonzero(shrunk)], level, errors[shrunk])
    waits = np.repeat(~shrunk, np.diff(first))
    build.tries[members[waits]] += 1
    group_of_member = np.repeat(np.arange(len(thin)), np.diff(first))
    group_of_made = np.repeat(np.arange(len(thin)), counts[:, 1])
    order = np.argsort(np.concatenate([group_of_member[waits], group_of_made]), kind="stable")
    sample_rows = (
        rows[group_of_made, 2] + np.arange(len(made)) - (np.cumsum(counts[:, 1]) - counts[:, 1])[group_of_made]
    )
    going_on = (
        np.concatenate([widened(old[waits], new), new[sample_rows]])[order]
        for old, new in zip(samples, out[10:], strict=True)
    )
    return np.concatenate([members[waits], made])[order], tuple(going_on)


def _output_rows(ranges: np.ndarray, first: np.ndarray, settings: BuildSettings) -> np.ndarray:
    """Return (g + 1, 3) int64: where the results of each group begin among faces, vertices and clusters."""
    faces = np.add.reduceat(ranges[:, 1] - ranges[:, 0], first[:-1])
    clusters = np.diff(first)
    # A cluster that is halved for its vertices keeps at least a sixth of their limit in triangles.
    made = (6 * settings.cluster_triangles // settings.cluster_vertices + 2) * clusters + 2
    rows = np.zeros((len(first), 3), np.int64)
    rows[1:, 0] = np.cumsum(faces)
    rows[1:, 1] = np.cumsum(np.minimum(3 * faces, settings.cluster_vertices * clusters))
    rows[1:, 2] = np.cumsum(made)
    return rows


def _store(build: _Build, out: tuple, rows: np.ndarray, level: int) -> np.ndarray:
    """Put the results of `simplify_groups` into the pools; return the new clusters."""
    counts = out[0]
    new = {"faces": counts[:, 0], "vertices": counts[:, 3], "positions": counts[:, 5]}
    base_place, base_vertex, base_face = (
        build.used[i] + np.cumsum(new[name]) - new[name]
        for i, name in ((0, "positions"), (1, "vertices"), (3, "faces"))
    )
    added = [int(new[name].sum()) for name in ("positions", "vertices", "vertices", "faces", "faces")]
    if max(build.used[1] + added[1], build.used[0] + added[0]) >= 2**31:
        raise ValueError("the hierarchy has more than 2^31 vertices; split the mesh")
    build.pool = [
        _with_room(array, used, used + count) for array, used, count in zip(build.pool, build.used, added, strict=True)
    ]
    first_face = build.used[3]
    starts = np.zeros(added[3], np.uint8)
    store_groups(out, rows, tuple(build.pool), starts, base_face, first_face, base_vertex, base_place)
    build.used = [used + count for used, count in zip(build.used, added, strict=True)]
    lows = np.flatnonzero(starts) + first_face
    count = len(lows)
    numbers = len(build.group_members) + np.cumsum(counts[:, 0] > 0) - 1
    build.faces = np.concatenate([build.faces, np.column_stack([lows, np.append(lows[1:], build.used[3])[:count]])])
    build.made_by = np.concatenate([build.made_by, np.repeat(numbers, counts[:, 1]).astype(np.int32)])
    build.level = np.concatenate([build.level, np.full(count, level + 1, np.int32)])
    build.tries = np.concatenate([build.tries, np.zeros(count, np.int32)])
    return np.arange(len(build.faces) - count, len(build.faces))


def _with_room(array: np.ndarray, used: int, wanted: int) -> np.ndarray:
    """Return the array itself where it has `wanted` rows, or a copy that has, and half as many again."""
    if wanted <= len(array):
        return array
    result = np.empty((wanted + wanted // 2, *array.shape[1:]), array.dtype)
    result[:used] = array[:used]
    return result


def _add_groups(build: _Build, runs: list[np.ndarray], level: int, errors: np.ndarray) -> None:
    """Append groups with the clusters `runs`: merge spheres, make the measured errors (g, 2) float64 monotone."""
    if not runs:
        return
    first = np.append(0, np.cumsum([len(run) for run in runs]))
    members = np.concatenate(runs)
    made_by = build.made_by[members]
    is_source = made_by < 0
    group_center, group_radius = merge_spheres(*_spheres(build, members), first)
    children = [
        np.where(is_source, np.float32(0), _rows(values, made_by)) for values in (build.geometric, build.attribute)
    ]
    least = [np.maximum.reduceat(values, first[:-1]) for values in children]
    build.center = np.concatenate([build.center, group_center])
    build.radius = np.concatenate([build.radius, group_radius])
    build.geometric = np.concatenate([build.geometric, grown_error(np.maximum(errors[:, 0], 0.5), least[0])])
    build.attribute = np.concatenate([build.attribute, grown_error(errors[:, 1], least[1])])
    build.group_members += runs
    build.group_level += [level] * len(runs)


def _spheres(build: _Build, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return center (n, 3) and radius (n,) of what clusters were made from: source clusters, or groups."""
    made_by = build.made_by[members]
    source, is_source = np.minimum(members, len(build.source_radius) - 1), made_by < 0
    center = np.where(is_source[:, None], build.source_center[source], _rows(build.center, made_by))
    return center, np.where(is_source, build.source_radius[source], _rows(build.radius, made_by))


def _rows(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return values[index], whatever where `values` is empty and every index is -1."""
    return values[index] if len(values) else np.zeros((len(index), *values.shape[1:]), values.dtype)


def grown_error(measured: np.ndarray, children: np.ndarray) -> np.ndarray:
    """Return (g,) float32 errors, at least `measured` (g,) float64 and GROWTH times `children` (g,) float32."""
    least = np.maximum(measured, children.astype(np.float64) * GROWTH)
    error = least.astype(np.float32)
    return np.where(error < least, np.nextafter(error, np.float32(np.inf)), error)


def _add_roots(build: _Build, alive: np.ndarray, level: int, settings: BuildSettings) -> None:
    """Put the clusters that are left into root groups."""
    order, first, _ = _group_clusters(build, alive, settings)
    first_root = len(build.group_members)
    _add_groups(build, np.split(alive[order], first[1:-1]), level, np.zeros((len(first) - 1, 2)))
    build.geometric[first_root:] = ROOT_ERROR
    build.attribute[first_root:] = ROOT_ERROR


def _numbered(build: _Build, step: float, report: list[dict]) -> Hierarchy:
    """Return the hierarchy with the members of each group contiguous, lengths in object space."""
    order = np.concatenate(build.group_members)
    sizes = np.array([len(run) for run in build.group_members])
    lattice, vertex_position, attributes, faces, face_material = (
        array[:used] for array, used in zip(build.pool, build.used, strict=True)
    )
    first_face = np.append(0, np.cumsum(build.faces[order, 1] - build.faces[order, 0]))
    faces, face_material = copy_runs(faces, face_material, build.faces[order, 0], first_face)
    is_root = build.geometric == np.float32(ROOT_ERROR)
    scale = np.where(is_root, np.float32(1), np.float32(step))
    return Hierarchy(
        lattice,
        vertex_position,
        attributes,
        faces,
        face_material,
        first_face,
        np.repeat(np.arange(len(sizes)), sizes).astype(np.int32),
        build.made_by[order],
        build.level[order],
        np.append(0, np.cumsum(sizes)).astype(np.int32),
        build.center * np.float32(step),
        build.radius * np.float32(step),
        build.geometric * scale,
        build.attribute * scale,
        np.array(build.group_level, np.int32),
        report,
    )


def check_hierarchy(hierarchy: Hierarchy) -> None:
    """Raise RuntimeError where errors do not grow or spheres are not nested from a group to the one above it."""
    products = np.flatnonzero(hierarchy.cluster_made_by >= 0)
    child, parent = hierarchy.cluster_made_by[products], hierarchy.cluster_group[products]
    geometric = hierarchy.group_geometric_error.astype(np.float64)
    attribute = hierarchy.group_attribute_error.astype(np.float64)
    center = hierarchy.group_center.astype(np.float64)
    radius = hierarchy.group_radius.astype(np.float64)
    gap = np.linalg.norm(center[child] - center[parent], axis=1) + radius[child] - radius[parent]
    if (geometric <= 0.0).any() or (geometric[parent] < geometric[child] * GROWTH).any():
        raise RuntimeError("geometric errors do not grow from each group to the one above it")
    if (attribute[parent] < attribute[child] * GROWTH).any():
        raise RuntimeError("attribute errors do not grow from each group to the one above it")
    if (gap > 0.0).any():
        raise RuntimeError("spheres are not nested from each group to the one above it")
