"""Pages: quantise the clusters of one mesh, order its groups by place, and pack them into pages and tables.

The streams are described at Cluster in layout.wgsl. Numbers of groups and clusters follow the pages: root groups
first, then levels by falling error, each in the order of its tree. Products therefore stand before the members they
were made from, and every dependency points to an earlier page (but see `split_large_groups`).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine import layout
from engine.builder import page_kernels as kernels
from engine.builder import page_order
from engine.builder.nodes import ROOT_ERROR, GroupBounds, make_nodes
from engine.builder.page_plan import Groups, Plan, plan_pages, split_large_groups
from engine.builder.threads import run_blocks
from engine.page_codec import DEEPEST
from engine.settings import BuildSettings

HEADER_WORDS, RECORD_WORDS = kernels.HEADER_WORDS, kernels.RECORD_WORDS
ROOT_PAGE_WORDS = int(layout.CONSTANTS["ROOT_PAGE_WORDS"])
MAX_TRIANGLES = int(layout.CONSTANTS["MAX_CLUSTER_TRIANGLES"])
STREAMS = ("headers", "records", "ranges", "triangles", "positions", "normals", "uvs", "colors")

_BLOCK = 256  # clusters that a thread takes at a time
_MAX_RANGES = 127  # seven bits of Cluster.bits
_UV_STEP = 2.0**-14  # an eighth of a texel of a 4096-pixel texture at worst
_UV_LIMIT = 2.0**23  # quanta from 0, so that sums are exact float32


@dataclass(frozen=True)
class Bases:
    """Numbers of the first things of a mesh in its asset."""

    mesh: int = 0
    node: int = 0
    group: int = 0
    cluster: int = 0
    page: int = 0
    material: int = 0  # added to the material numbers of the mesh's faces


@dataclass
class EncodedMesh:
    """One mesh as it goes into an asset; all numbers already count over the asset."""

    record: np.ndarray  # () layout.MESH
    nodes: np.ndarray  # (n,) layout.NODE
    groups: np.ndarray  # (g,) layout.GROUP
    words: np.ndarray  # uint32: all pages, one after the other
    page_word: np.ndarray  # (p + 1,) int64: where each page begins in `words`
    stream_bytes: dict[str, int]  # of the decoded pages, by name of STREAMS
    source_triangles: int  # triangles of level 0
    stored_triangles: int


@dataclass
class _Clusters:
    """What is known of the clusters of a mesh, in the order of the hierarchy, before they have a page."""

    walk: np.ndarray  # (f,) uint16: order of the faces within their clusters
    triangles: np.ndarray  # (f, 3) uint8
    facts: np.ndarray  # (c, FACTS) int32
    widths: np.ndarray  # (c, 5) int32: bits of one offset x y z u v
    flags: np.ndarray  # (c,) uint32
    triangle_count: np.ndarray  # (c,) int64
    stream_words: np.ndarray  # (c, 6) int64: ranges, triangles, positions, normals, UVs, colours
    columns: np.ndarray = field(default_factory=lambda: np.array([-1, -1]))  # attribute columns of UVs and colours
    uv_step: float = _UV_STEP

    @property
    def words(self) -> np.ndarray:
        """Words of record and streams of each cluster, (c,) int64."""
        return RECORD_WORDS + self.stream_words.sum(axis=1)


def encode_mesh(
    hierarchy: Any,
    step: float,
    origin: np.ndarray,
    material_flags: np.ndarray,
    settings: BuildSettings,
    bases: Bases = Bases(),
) -> EncodedMesh:
    """Return the tables and pages of one mesh.

    hierarchy: a `hierarchy.Hierarchy` with at least one triangle. step: lattice step, a power of two; origin: (3,)
    float64. material_flags: (j,) uint32, MATERIAL_* of each material of the asset. Raises ValueError where clusters
    or groups break a limit of layout.wgsl.
    """
    limit = settings.page_bytes // 4
    clusters = _measure(hierarchy, material_flags, bases)
    root_limit = min(limit, ROOT_PAGE_WORDS)
    groups = split_large_groups(hierarchy, clusters.words, limit, root_limit)
    bounds = _group_bounds(hierarchy, groups, clusters, step)
    nodes, order = make_nodes(bounds, settings.node_children)
    plan = plan_pages(groups, order, clusters.words, bounds.errors[:, 0] >= ROOT_ERROR, limit, root_limit)
    words = _write_pages(hierarchy, clusters, groups, plan, bases)
    leaf = nodes["child_count"] == layout.CONSTANTS["NODE_LEAF"]
    nodes["child"] += np.where(leaf, bases.group, bases.node).astype(np.uint32)
    level_0 = hierarchy.cluster_level == 0
    return EncodedMesh(
        record=_mesh_record(hierarchy, nodes, len(order), clusters, step, origin, bases),
        nodes=nodes,
        groups=_group_table(bounds, groups, plan, bases),
        words=words,
        page_word=plan.page_word,
        stream_bytes=_stream_bytes(clusters, len(words)),
        source_triangles=int(clusters.triangle_count[level_0].sum()),
        stored_triangles=int(clusters.triangle_count.sum()),
    )


def _measure(hierarchy: Any, material_flags: np.ndarray, bases: Bases) -> _Clusters:
    """Index the clusters and find the size of each stream."""
    count = len(hierarchy.cluster_first_face) - 1
    triangle_count = np.diff(hierarchy.cluster_first_face)
    if count == 0 or triangle_count.min() < 1 or triangle_count.max() > MAX_TRIANGLES:
        raise ValueError(f"clusters must hold 1 to {MAX_TRIANGLES} triangles; set cluster_triangles accordingly")
    width = hierarchy.attributes.shape[1]
    columns = np.array([3 if width in (5, 9) else -1, {7: 3, 9: 5}.get(width, -1)])
    uv_step = _uv_step(hierarchy.attributes[:, 3:5]) if columns[0] >= 0 else _UV_STEP
    walk = np.zeros(len(hierarchy.faces), np.uint16)
    triangles = np.zeros((len(hierarchy.faces), 3), np.uint8)
    facts = np.zeros((count, page_order.FACTS), np.int32)
    arrays = (hierarchy.faces, hierarchy.face_material, hierarchy.cluster_first_face, hierarchy.vertex_position)
    run_blocks(
        page_order.measure_clusters, count, _BLOCK,
        *arrays, hierarchy.lattice, hierarchy.attributes, columns[0], 1.0 / uv_step, DEEPEST, walk, triangles, facts,
    )  # fmt: skip
    vertices, ranges = facts[:, page_order.VERTICES].astype(np.int64), facts[:, page_order.RANGES].astype(np.int64)
    if vertices.max() > page_order.MAX_VERTICES:
        raise ValueError(f"a cluster has more than {page_order.MAX_VERTICES} vertices; lower cluster_vertices")
    if ranges.max() > _MAX_RANGES:
        raise ValueError(f"a cluster has more than {_MAX_RANGES} materials; lower cluster_triangles")
    extents = np.zeros((count, 5), np.int64)
    extents[:, :3] = facts[:, page_order.HIGH : page_order.HIGH + 3] - facts[:, page_order.LOW : page_order.LOW + 3]
    if columns[0] >= 0:
        extents[:, 3:] = facts[:, page_order.UV_HIGH :] - facts[:, page_order.UV_LOW : page_order.UV_HIGH]
    widths = np.frexp(extents.astype(np.float64))[1].astype(np.int32)  # bit length
    stream_words = np.zeros((count, 6), np.int64)
    stream_words[:, 0] = ranges
    stream_words[:, 1] = (3 * triangle_count + 3) // 4
    stream_words[:, 2] = (vertices * widths[:, :3].sum(axis=1) + 31) // 32
    stream_words[:, 3] = (vertices + 1) // 2
    if columns[0] >= 0:
        stream_words[:, 4] = 2 + (vertices * widths[:, 3:].sum(axis=1) + 31) // 32
    if columns[1] >= 0:
        stream_words[:, 5] = vertices
    flags = _cluster_flags(hierarchy, material_flags[bases.material :], columns)
    return _Clusters(walk, triangles, facts, widths, flags, triangle_count, stream_words, columns, uv_step)


def _uv_step(uvs: np.ndarray) -> float:
    """Return the quantum of UVs, a power of two: coarser than usual where a texture repeats thousands of times."""
    largest = float(np.abs(uvs).max(initial=0.0))
    step = _UV_STEP
    while largest > step * _UV_LIMIT:
        step *= 2.0
    return step


def _cluster_flags(hierarchy: Any, material_flags: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return CLUSTER_* of each cluster: masked or two-sided where any of its materials is."""
    constants = layout.CONSTANTS
    present = constants["CLUSTER_HAS_NORMALS"]
    present |= constants["CLUSTER_HAS_UVS"] * int(columns[0] >= 0) | constants["CLUSTER_HAS_COLORS"] * int(
        columns[1] >= 0
    )
    of_material = np.zeros(len(material_flags), np.uint32)
    for name in ("MASKED", "TWO_SIDED"):
        of_material[(material_flags & constants[f"MATERIAL_{name}"]) != 0] |= constants[f"CLUSTER_{name}"]
    starts = hierarchy.cluster_first_face[:-1]
    return np.bitwise_or.reduceat(of_material[hierarchy.face_material], starts) | np.uint32(present)


def _group_bounds(hierarchy: Any, groups: Groups, clusters: _Clusters, step: float) -> GroupBounds:
    """Return what the BVH needs; boxes are exact, being lattice points times a power of two."""
    errors = np.stack([hierarchy.group_geometric_error, hierarchy.group_attribute_error], axis=1).astype(np.float32)
    source_cluster = groups.made_by == kernels.NO_GROUP
    made_by_errors = errors[groups.source[groups.made_by]]
    made_by_errors[source_cluster] = 0
    starts, low, high = groups.first_cluster[:-1], page_order.LOW, page_order.HIGH
    box_min = np.minimum.reduceat(clusters.facts[:, low:high], starts).astype(np.float32) * np.float32(step)
    box_max = np.maximum.reduceat(clusters.facts[:, high : high + 3], starts).astype(np.float32) * np.float32(step)
    return GroupBounds(
        center=hierarchy.group_center[groups.source].astype(np.float32),
        radius=hierarchy.group_radius[groups.source].astype(np.float32),
        errors=errors[groups.source],
        made_by_errors=np.minimum.reduceat(made_by_errors, starts),
        box_min=box_min,
        box_max=box_max,
        level=hierarchy.group_level[groups.source],
    )


def _write_pages(hierarchy: Any, clusters: _Clusters, groups: Groups, plan: Plan, bases: Bases) -> np.ndarray:
    """Return the words of all pages of the mesh."""
    words = np.zeros(plan.page_word[-1], np.uint32)
    data_word = np.zeros(len(plan.data_word), np.int64)
    data_word[plan.cluster_order] = plan.data_word
    arrays = (hierarchy.faces, hierarchy.face_material, hierarchy.cluster_first_face, hierarchy.vertex_position)
    run_blocks(
        kernels.write_streams, len(data_word), _BLOCK,
        *arrays, hierarchy.lattice, hierarchy.attributes, clusters.columns,
        1.0 / clusters.uv_step, bases.material, clusters.walk, clusters.triangles, clusters.facts, clusters.widths,
        data_word, words,
    )  # fmt: skip
    records = _cluster_records(hierarchy, clusters, groups, plan, bases)
    words[plan.record_word[:, None] + np.arange(RECORD_WORDS)] = records.view(np.uint32).reshape(-1, RECORD_WORDS)
    _write_headers(words, plan, bases)
    return words


def _cluster_records(hierarchy: Any, clusters: _Clusters, groups: Groups, plan: Plan, bases: Bases) -> np.ndarray:
    """Return (c,) layout.CLUSTER by place."""
    chosen = plan.cluster_order
    facts, widths = clusters.facts[chosen], clusters.widths[chosen].astype(np.uint32)
    rank = np.zeros(len(plan.order), np.int64)
    rank[plan.order] = np.arange(len(plan.order))
    made_by = groups.made_by[chosen]
    records = np.zeros(len(chosen), layout.CLUSTER)
    records["origin"] = facts[:, page_order.LOW : page_order.HIGH]
    records["extent"] = facts[:, page_order.HIGH : page_order.HIGH + 3] - facts[:, page_order.LOW : page_order.HIGH]
    records["made_by"] = np.where(made_by == kernels.NO_GROUP, layout.NONE, rank[made_by] + bases.group)
    records["group"] = rank[groups.member_of[chosen]] + bases.group
    counts = facts[:, page_order.VERTICES] | clusters.triangle_count[chosen] << 8
    level = hierarchy.cluster_level[chosen].astype(np.uint32)
    records["counts"] = counts.astype(np.uint32) | level << 16 | clusters.flags[chosen] << 24
    shifts = np.array([0, 5, 10, 15, 20], np.uint32)
    ranges = facts[:, page_order.RANGES].astype(np.uint32) << 25
    records["bits"] = np.bitwise_or.reduce(widths << shifts, axis=1) | ranges
    records["data"] = plan.data_word - plan.record_word
    records["index"] = np.arange(len(chosen)) + bases.cluster
    return records


def _write_headers(words: np.ndarray, plan: Plan, bases: Bases) -> None:
    """Write page headers and lists of dependencies."""
    pages = np.arange(len(plan.page_word) - 1)
    first_cluster = np.searchsorted(plan.page_of_cluster, np.append(pages, len(pages)))
    first_group = np.searchsorted(plan.page_of_group, np.append(pages, len(pages)))
    first_dependency = np.searchsorted(plan.dependencies[:, 0], np.append(pages, len(pages)))
    headers = np.zeros(len(pages), layout.PAGE_HEADER)
    headers["cluster_count"] = np.diff(first_cluster)
    headers["first_cluster"] = first_cluster[:-1] + bases.cluster
    headers["first_group"] = first_group[:-1] + bases.group
    headers["group_count"] = np.diff(first_group)
    headers["dependency_count"] = np.diff(first_dependency)
    headers["dependency_word"] = HEADER_WORDS + np.diff(first_cluster) * RECORD_WORDS
    headers["word_count"] = np.diff(plan.page_word)
    headers["flags"] = np.where(plan.root[first_group[:-1]], layout.CONSTANTS["PAGE_ROOT"], 0)
    words[plan.page_word[:-1, None] + np.arange(HEADER_WORDS)] = headers.view(np.uint32).reshape(-1, HEADER_WORDS)
    page = plan.dependencies[:, 0]
    place = np.arange(len(page)) - first_dependency[page]
    words[plan.page_word[page] + headers["dependency_word"][page] + place] = plan.dependencies[:, 1] + bases.page


def _group_table(bounds: GroupBounds, groups: Groups, plan: Plan, bases: Bases) -> np.ndarray:
    """Return (g,) layout.GROUP by place."""
    order = plan.order
    table = np.zeros(len(order), layout.GROUP)
    for name in ("center", "radius", "box_min", "box_max"):
        table[name] = getattr(bounds, name)[order]
    table["geometric_error"], table["attribute_error"] = bounds.errors[order].T
    table["page"] = plan.page_of_group + bases.page
    table["first_cluster"] = plan.first_cluster[:-1] + bases.cluster
    first_in_page = np.searchsorted(plan.page_of_cluster, plan.page_of_group)
    level = bounds.level[order].astype(np.uint32)
    count = np.diff(plan.first_cluster)
    table["place"] = plan.first_cluster[:-1] - first_in_page | count << 16 | level << 24
    table["mesh"] = bases.mesh
    return table


def _mesh_record(
    hierarchy: Any,
    nodes: np.ndarray,
    group_count: int,
    clusters: _Clusters,
    step: float,
    origin: np.ndarray,
    bases: Bases,
) -> np.ndarray:
    record = np.zeros((), layout.MESH)
    root = nodes[0]
    center = root["box_min"] * np.float32(0.5) + root["box_max"] * np.float32(0.5)
    radius = kernels.largest_distance(hierarchy.lattice, step, center.astype(np.float64))
    record["center"], record["radius"] = center, np.nextafter(np.float32(radius), np.float32(np.inf))
    record["box_min"], record["box_max"] = root["box_min"], root["box_max"]
    record["step"], record["uv_step"] = step, clusters.uv_step
    record["origin_high"] = np.asarray(origin, dtype=np.float64).astype(np.float32)
    record["origin_low"] = (np.asarray(origin, dtype=np.float64) - record["origin_high"]).astype(np.float32)
    record["root_node"] = bases.node
    record["node_count"], record["group_count"] = len(nodes), group_count
    record["cluster_count"] = len(clusters.facts)
    return record


def _stream_bytes(clusters: _Clusters, word_count: int) -> dict[str, int]:
    """Return decoded bytes by name of STREAMS; headers are what is left: page headers and dependencies."""
    words = clusters.stream_words.sum(axis=0)
    records = len(clusters.facts) * RECORD_WORDS
    headers = word_count - records - int(words.sum())
    return {name: 4 * int(count) for name, count in zip(STREAMS, (headers, records, *words))}
