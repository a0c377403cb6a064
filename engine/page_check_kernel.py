"""Compiled loops of asset_page_checks.py; see there. A kernel returns a number of its PROBLEMS, 0 for none.

A comparison of floats is written as what must hold: with what is not a number nothing does.
"""

import numpy as np
from numba import njit

from engine import asset_page_checks as checks
from engine import (
    kernel_cache,  # noqa: F401  names the folder of compiled kernels
    layout,
)
from engine.page_words import HEADER_WORDS, RECORD_WORDS, sizes_of_streams

_MAX_TRIANGLES = int(layout.CONSTANTS["MAX_CLUSTER_TRIANGLES"])
_NONE = int(layout.CONSTANTS["NONE"])
_PAGE_ROOT = int(layout.CONSTANTS["PAGE_ROOT"])
_ROOT_ERROR = np.float32(layout.CONSTANTS["ROOT_ERROR"])


@njit(nogil=True, cache=True, error_model="numpy")
def check(words, header, records, page, meshes, groups, first_group, page_mesh, made_by_errors, materials):
    """Return the problem of a page; words (w,) uint32 with its views of asset_pages.page_room, then PageTables."""
    first, end = first_group[page], first_group[page + 1]
    count = _cluster_count(groups, first, end)
    problem = _check_header(header[0], len(words), groups, first, end, count)
    if problem == checks.FINE and not _are_dependencies(words, header[0], count, page, page_mesh):
        problem = checks.DEPENDENCIES
    if problem != checks.FINE:
        return problem
    data_start = HEADER_WORDS + count * RECORD_WORDS + np.int64(header[0].dependency_count)
    first_cluster, step, cluster = np.int64(groups[first].first_cluster), meshes[page_mesh[page]].step, np.int64(0)
    for group in range(first, end):
        for _ in range(np.int64(groups[group].place) >> 16 & 255):
            if cluster >= count:
                return checks.NUMBERS
            record = records[cluster]
            if np.int64(record.index) != first_cluster + cluster or np.int64(record.group) != group:
                return checks.NUMBERS
            if not _is_made_by_finer(record, groups, group, made_by_errors):
                return checks.MADE_BY
            if not _fits_box(record, groups[group], np.float64(step)):
                return checks.BOX
            start = np.int64(record.data) + HEADER_WORDS + cluster * RECORD_WORDS
            problem = _check_streams(words, record, start, data_start, materials)
            if problem != checks.FINE:
                return problem
            cluster += 1
    return checks.FINE if cluster == count else checks.NUMBERS


@njit(nogil=True, error_model="numpy")
def _cluster_count(groups, first, end):
    last = groups[end - 1]
    return np.int64(last.first_cluster) + (np.int64(last.place) >> 16 & 255) - np.int64(groups[first].first_cluster)


@njit(nogil=True, error_model="numpy")
def _check_header(header, word_count, groups, first, end, count):
    """Whether the header says what the tables say."""
    flags = _PAGE_ROOT if groups[first].geometric_error >= _ROOT_ERROR else 0
    if np.int64(header.cluster_count) != count:
        return checks.CLUSTER_COUNT
    if header.first_cluster != groups[first].first_cluster:
        return checks.FIRST_CLUSTER
    if np.int64(header.first_group) != first:
        return checks.FIRST_GROUP
    if np.int64(header.group_count) != end - first:
        return checks.GROUP_COUNT
    if np.int64(header.word_count) != word_count:
        return checks.WORD_COUNT
    return checks.FINE if np.int64(header.flags) == flags else checks.FLAGS


@njit(nogil=True, error_model="numpy")
def _are_dependencies(words, header, count, page, page_mesh):
    """Whether a list of other pages of the mesh, ascending, stands behind the records, all in the page."""
    start, needed = np.int64(header.dependency_word), np.int64(header.dependency_count)
    if start != HEADER_WORDS + count * RECORD_WORDS or start + needed > len(words):
        return False
    before = np.int64(-1)
    for k in range(start, start + needed):
        other = np.int64(words[k])
        if other <= before or other >= len(page_mesh) or other == page or page_mesh[other] != page_mesh[page]:
            return False
        before = other
    return True


@njit(nogil=True, error_model="numpy")
def _is_made_by_finer(record, groups, group, made_by_errors):
    """Whether a cluster comes from a finer group of its mesh, whose errors and sphere nest in those of its own."""
    level, made_by = np.int64(record.counts) >> 16 & 255, np.int64(record.made_by)
    least_geometric, least_attribute = made_by_errors[group, 0], made_by_errors[group, 1]
    if level == 0 or made_by == _NONE:
        return level == 0 and made_by == _NONE and least_geometric == 0 and least_attribute == 0
    if made_by >= len(groups):
        return False
    finer, coarser = groups[made_by], groups[group]
    squares = np.float64(0.0)
    for axis in range(3):
        gap = np.float64(finer.center[axis]) - np.float64(coarser.center[axis])
        squares += gap * gap
    return (
        finer.mesh == coarser.mesh
        and np.int64(finer.place) >> 24 < level
        and level <= np.int64(coarser.place) >> 24
        and finer.geometric_error < coarser.geometric_error
        and (finer.attribute_error < coarser.attribute_error or coarser.attribute_error == 0)
        and finer.attribute_error <= coarser.attribute_error
        and np.sqrt(squares) + np.float64(finer.radius) <= np.float64(coarser.radius)
        and least_geometric <= finer.geometric_error
        and least_attribute <= finer.attribute_error
    )


@njit(nogil=True, error_model="numpy")
def _fits_box(record, group, step):
    """Whether the box of a cluster lies in its group's, and offsets have as many bits as it needs."""
    for axis in range(3):
        low, extent = np.int64(record.origin[axis]), np.int64(record.extent[axis])
        if not (low * step >= group.box_min[axis] and (low + extent) * step <= group.box_max[axis]):
            return False
        bits = np.int64(0)
        while extent >> bits:
            bits += 1
        if bits != np.int64(record.bits) >> (5 * axis) & 31:
            return False
    return True


@njit(nogil=True, error_model="numpy")
def _check_streams(words, record, start, data_start, materials):
    """Whether the streams of a cluster lie in the page, and its corners and material ranges name what is there."""
    counts, bits = np.int64(record.counts), np.int64(record.bits)
    vertices, triangles, ranges = counts & 255, counts >> 8 & 255, bits >> 25
    range_words, triangle_words, position_words, normal_words, uv_words, color_words = sizes_of_streams(counts, bits)
    size = range_words + triangle_words + position_words + normal_words + uv_words + color_words
    if start < data_start or start + size > len(words):
        return checks.OUTSIDE
    if vertices == 0 or ranges == 0 or triangles == 0 or triangles > _MAX_TRIANGLES:
        return checks.CLUSTER_SIZE
    if counts >> 24 & ~checks.KNOWN_FLAGS:
        return checks.UNKNOWN_FLAGS
    corners, largest = words[start + ranges : start + ranges + triangle_words].view(np.uint8), np.int64(0)
    for k in range(3 * triangles):
        largest = max(largest, np.int64(corners[k]))
    if largest >= vertices:
        return checks.CORNER
    before = np.int64(0)
    for k in range(ranges):
        entry = np.int64(words[start + k])
        if entry & 255 <= before or entry >> 8 >= materials:
            return checks.RANGES
        before = entry & 255
    return checks.FINE if before == triangles else checks.RANGES
