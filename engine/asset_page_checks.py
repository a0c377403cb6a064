"""What a decoded page must keep: checked before anything in it is used, driven by the records of layout.wgsl.

Together with engine/asset_tables.py this is all that stands between a file and the GPU: whatever is indexed later stays
in the page or in its table, and no cluster can be judged in a way that leaves a hole.
"""

from typing import NamedTuple

import numpy as np

from engine import layout
from engine.asset_pages import (
    HEADER_WORDS,
    MAX_TRIANGLES,
    RECORD_WORDS,
    page_clusters,
    page_dependencies,
    page_header,
    stream_words,
    unpack_records,
)
from engine.asset_tables import ROOT_ERROR, member_counts

_C = layout.CONSTANTS
_FLAGS = sum(_C[f"CLUSTER_{name}"] for name in ("MASKED", "TWO_SIDED", "HAS_NORMALS", "HAS_UVS", "HAS_COLORS"))
_ERRORS = ("geometric_error", "attribute_error")


class PageTables(NamedTuple):
    """What the pages of an asset are checked against; all tables are checked already."""

    meshes: np.ndarray  # (m,) layout.MESH
    groups: np.ndarray  # (g,) layout.GROUP
    first_group: np.ndarray  # (p + 1,) int64: of each page
    page_mesh: np.ndarray  # (p,) uint32
    made_by_errors: np.ndarray  # (g, 2) float32: of the leaf of each group
    materials: int  # how many there are


def page_tables(
    meshes: np.ndarray, nodes: np.ndarray, groups: np.ndarray, pages: np.ndarray, materials: int
) -> PageTables:
    """Return the PageTables of checked tables."""
    leaf = nodes[nodes["child_count"] == _C["NODE_LEAF"]]
    errors = np.zeros((len(groups), 2), np.float32)
    for column, name in enumerate(_ERRORS):
        errors[leaf["child"], column] = leaf[f"made_by_{name}"]
    first_group = np.searchsorted(groups["page"], np.arange(len(pages) + 1))
    return PageTables(meshes, groups, first_group, pages["mesh"], errors, materials)


def check_page(words: np.ndarray, page: int, tables: PageTables) -> None:
    """Raise ValueError ("page 3 has ...") at the first rule that the words (w,) uint32 of a page break."""
    first = int(tables.first_group[page])
    groups = tables.groups[first : int(tables.first_group[page + 1])]
    data_start = _check_header(words, page, first, groups, tables)
    clusters = page_clusters(words)
    owner = np.repeat(np.arange(len(groups)), member_counts(groups))
    mesh = tables.meshes[tables.page_mesh[page]]
    with np.errstate(all="ignore"):
        if not _are_numbered(clusters, groups, first, owner):
            raise ValueError(f"page {page} names a cluster or group that does not exist")
        if not _are_made_by_finer(clusters, groups, owner, tables):
            raise ValueError(f"page {page} has a cluster made by a group that cannot have")
        if not _boxes_fit(clusters, groups, owner, float(mesh["step"])):
            raise ValueError(f"page {page} has a cluster that sticks out of its group")
    _check_streams(words, page, clusters, data_start, tables.materials)


def _check_header(words: np.ndarray, page: int, first_group: int, groups: np.ndarray, tables: PageTables) -> int:
    """Check header and dependencies; return the word where the streams begin."""
    header = page_header(words)
    is_root = groups["geometric_error"][0] >= ROOT_ERROR
    last = groups[-1]
    first_cluster = int(groups["first_cluster"][0])
    end_cluster = int(last["first_cluster"]) + (int(last["place"]) >> 16 & 255)
    expected = {
        "cluster_count": end_cluster - first_cluster,
        "first_cluster": first_cluster,
        "first_group": first_group,
        "group_count": len(groups),
        "word_count": len(words),
        "flags": _C["PAGE_ROOT"] if is_root else 0,
    }
    for name, value in expected.items():
        if header[name] != value:
            raise ValueError(f"page {page} and the tables disagree ({name})")
    start, count = int(header["dependency_word"]), int(header["dependency_count"])
    if start != HEADER_WORDS + expected["cluster_count"] * RECORD_WORDS or start + count > len(words):
        raise ValueError(f"page {page} has a wrong list of dependencies")
    needed = page_dependencies(words).astype(np.int64)
    if len(needed) and (
        needed[-1] >= len(tables.page_mesh)
        or (np.diff(needed) <= 0).any()
        or (needed == page).any()
        or (tables.page_mesh[needed] != tables.page_mesh[page]).any()
    ):
        raise ValueError(f"page {page} has a wrong list of dependencies")
    return start + count


def _are_numbered(clusters: np.ndarray, groups: np.ndarray, first_group: int, owner: np.ndarray) -> bool:
    numbers = int(groups["first_cluster"][0]) + np.arange(len(clusters))
    return bool((clusters["index"] == numbers).all() and (clusters["group"] == first_group + owner).all())


def _are_made_by_finer(clusters: np.ndarray, groups: np.ndarray, owner: np.ndarray, tables: PageTables) -> bool:
    """Whether clusters come from finer groups of their mesh, whose errors and spheres nest in those of their own."""
    level, made_by = clusters["counts"] >> 16 & 255, clusters["made_by"]
    least = tables.made_by_errors[clusters["group"]]
    source = made_by == layout.NONE
    if ((level == 0) != source).any() or (least[source] != 0).any():
        return False
    made = np.flatnonzero(~source)
    if not len(made):
        return True
    if (made_by[made] >= len(tables.groups)).any():
        return False
    finer, coarser, least = tables.groups[made_by[made]], groups[owner[made]], least[made]
    gap = finer["center"].astype(float) - coarser["center"]
    return bool(
        (finer["mesh"] == coarser["mesh"]).all()
        and (finer["place"] >> 24 < level[made]).all()
        and (level[made] <= coarser["place"] >> 24).all()
        and (finer["geometric_error"] < coarser["geometric_error"]).all()
        and ((finer["attribute_error"] < coarser["attribute_error"]) | (coarser["attribute_error"] == 0)).all()
        and (finer["attribute_error"] <= coarser["attribute_error"]).all()
        and (np.sqrt((gap * gap).sum(axis=1)) + finer["radius"] <= coarser["radius"]).all()
        and all((least[:, column] <= finer[name]).all() for column, name in enumerate(_ERRORS))
    )


def _boxes_fit(clusters: np.ndarray, groups: np.ndarray, owner: np.ndarray, step: float) -> bool:
    """Whether the box of each cluster lies in its group's, and offsets have as many bits as it needs."""
    low = clusters["origin"].astype(np.int64)
    extent = clusters["extent"].astype(np.int64)
    widths = unpack_records(clusters)[3][:, :3]
    return bool(
        (low * step >= groups["box_min"][owner]).all()
        and ((low + extent) * step <= groups["box_max"][owner]).all()
        and (np.frexp(extent.astype(float))[1] == widths).all()
    )


def _check_streams(words: np.ndarray, page: int, clusters: np.ndarray, data_start: int, material_count: int) -> None:
    vertices, triangles, flags, _, ranges = unpack_records(clusters)
    start = clusters["data"].astype(np.int64) + HEADER_WORDS + np.arange(len(clusters)) * RECORD_WORDS
    sizes = stream_words(clusters)
    if (start < data_start).any() or (start + sizes.sum(axis=1) > len(words)).any():
        raise ValueError(f"page {page} has a cluster outside the page")
    if (vertices == 0).any() or (ranges == 0).any() or (triangles == 0).any() or (triangles > MAX_TRIANGLES).any():
        raise ValueError(f"page {page} has an empty or too large cluster")
    if (flags & ~_FLAGS).any():
        raise ValueError(f"page {page} has a cluster with unknown flags")
    corners = np.stack([4 * (start + ranges), 4 * (start + ranges) + 3 * triangles], axis=1).ravel()
    bytes_ = np.append(words.view(np.uint8), np.uint8(0))  # a corner run may end with the page
    if (np.maximum.reduceat(bytes_, corners)[::2] >= vertices).any():
        raise ValueError(f"page {page} has a triangle with a vertex that does not exist")
    owner = np.repeat(np.arange(len(clusters)), ranges)
    last = np.cumsum(ranges) - 1
    entry = words[start[owner] + np.arange(len(owner)) - (last + 1 - ranges)[owner]]
    ends = (entry & 255).astype(np.int64)
    rising = np.diff(ends, prepend=0) > 0
    rising[last[:-1] + 1] = ends[last[:-1] + 1] > 0
    if not rising.all() or (ends[last] != triangles).any() or (entry >> 8 >= material_count).any():
        raise ValueError(f"page {page} has wrong material ranges")
