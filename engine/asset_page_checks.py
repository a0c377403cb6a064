"""What a decoded page must keep: checked before anything in it is used, driven by the records of layout.wgsl.

Together with engine/asset_tables.py this is all that stands between a file and the GPU: whatever is indexed later stays
in the page or in its table, and no cluster can be judged in a way that leaves a hole. page_check_kernel.py holds the
compiled loops; numba is imported with the first page.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from engine import layout
from engine.asset_pages import page_room, read_only

_C = layout.CONSTANTS
KNOWN_FLAGS = sum(
    int(_C[f"CLUSTER_{name}"]) for name in ("MASKED", "TWO_SIDED", "HAS_NORMALS", "HAS_UVS", "HAS_COLORS")
)
_ERRORS = ("geometric_error", "attribute_error")

# What can be wrong with a page, by the number that the kernels return.
PROBLEMS = (
    "",
    "and the tables disagree (cluster_count)",
    "and the tables disagree (first_cluster)",
    "and the tables disagree (first_group)",
    "and the tables disagree (group_count)",
    "and the tables disagree (word_count)",
    "and the tables disagree (flags)",
    "has a wrong list of dependencies",
    "names a cluster or group that does not exist",
    "has a cluster made by a group that cannot have",
    "has a cluster that sticks out of its group",
    "has a cluster outside the page",
    "has an empty or too large cluster",
    "has a cluster with unknown flags",
    "has a triangle with a vertex that does not exist",
    "has wrong material ranges",
)
(
    FINE,
    CLUSTER_COUNT,
    FIRST_CLUSTER,
    FIRST_GROUP,
    GROUP_COUNT,
    WORD_COUNT,
    FLAGS,
    DEPENDENCIES,
    NUMBERS,
    MADE_BY,
    BOX,
    OUTSIDE,
    CLUSTER_SIZE,
    UNKNOWN_FLAGS,
    CORNER,
    RANGES,
) = range(len(PROBLEMS))


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
    first_group = np.searchsorted(groups["page"], np.arange(len(pages) + 1)).astype(np.int64)
    tables = np.ascontiguousarray(meshes), np.ascontiguousarray(groups), first_group, pages["mesh"].copy(), errors
    return PageTables(*map(read_only, tables), materials)


def check_page(words: np.ndarray, page: int, tables: PageTables) -> None:
    """Raise ValueError ("page 3 has ...") at the first rule that the words (w,) uint32 of a page break."""
    words = read_only(words)
    try:
        problem = _kernel()(words, *page_room(words), page, *tables)
    except ValueError as error:
        raise ValueError(f"page {page} {error}") from None
    if problem:
        raise ValueError(f"page {page} {PROBLEMS[problem]}")


@cache
def _kernel() -> Any:
    """Compile the checks; a function, so that importing this module stays cheap."""
    from engine import page_check_kernel

    return page_check_kernel.check
