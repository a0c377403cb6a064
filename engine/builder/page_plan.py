"""Decide where the clusters of a mesh go: split groups that no page can hold, fill pages, find what pages need."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import layout
from engine.builder import page_kernels as kernels
from engine.builder.nodes import ROOT_ERROR

HEADER_WORDS, RECORD_WORDS = kernels.HEADER_WORDS, kernels.RECORD_WORDS
MAX_GROUP_CLUSTERS = int(layout.CONSTANTS["MAX_GROUP_CLUSTERS"])
_RESERVED_WORDS = 2 * MAX_GROUP_CLUSTERS  # of a page, for the dependencies of a group that fills it


@dataclass
class Groups:
    """Groups as they are stored: those of the hierarchy, save that large ones are split into twins."""

    source: np.ndarray  # (g,) int64: group of the hierarchy
    first_cluster: np.ndarray  # (g + 1,) int64
    made_by: np.ndarray  # (c,) int64: stored group that made a cluster, or NO_GROUP
    member_of: np.ndarray  # (c,) int64
    twins: np.ndarray  # (g,) int64: stored groups with the same source


def split_large_groups(hierarchy: Any, words: np.ndarray, limit: int, root_limit: int) -> Groups:
    """Split groups that no page of `limit` words (of a root group: `root_limit`) can hold into twins.

    Only soups with all attributes come to that. Twins have the same sphere and errors, so they are judged alike.
    Products name the first twin. Pages of twins depend on one another, so that they are resident together.
    """
    first = np.asarray(hierarchy.group_first_cluster, dtype=np.int64)
    counts = np.diff(first)
    if counts.min() < 1 or counts.max() > MAX_GROUP_CLUSTERS:
        raise ValueError(f"groups must hold 1 to {MAX_GROUP_CLUSTERS} clusters")
    limits = np.where(hierarchy.group_geometric_error >= ROOT_ERROR, root_limit, limit) - HEADER_WORDS - _RESERVED_WORDS
    cuts = [first[:-1]]
    for group in np.flatnonzero(np.add.reduceat(words, first[:-1]) > limits):
        used = 0
        for cluster in range(first[group], first[group + 1]):
            if used + words[cluster] > limits[group]:
                cuts.append(np.array([cluster]))
                used = 0
            used += words[cluster]
    starts = np.unique(np.concatenate(cuts))
    source = np.searchsorted(first, starts, side="right") - 1
    first_twin = np.searchsorted(source, np.arange(len(counts)))
    made_by = np.where(hierarchy.cluster_made_by >= 0, first_twin[hierarchy.cluster_made_by], kernels.NO_GROUP)
    first_cluster = np.append(starts, first[-1])
    member_of = np.repeat(np.arange(len(starts)), np.diff(first_cluster))
    return Groups(source, first_cluster, made_by, member_of, np.bincount(source)[source])


@dataclass
class Plan:
    """Where everything goes. Clusters and groups are numbered by place, within the mesh."""

    order: np.ndarray  # (g,) int32: stored group at each place
    cluster_order: np.ndarray  # (c,) int64: cluster of the hierarchy at each place
    page_of_group: np.ndarray  # (g,) int64, by place
    page_of_cluster: np.ndarray  # (c,) int64, by place
    first_cluster: np.ndarray  # (g + 1,) int64, by place
    root: np.ndarray  # (g,) bool, by place
    dependencies: np.ndarray  # (d, 2) int64: page, page it needs; sorted
    record_word: np.ndarray  # (c,) int64, by place, in all words of the mesh
    data_word: np.ndarray  # (c,) int64, by place
    page_word: np.ndarray  # (p + 1,) int64


def plan_pages(
    groups: Groups, order: np.ndarray, words: np.ndarray, root: np.ndarray, limit: int, root_limit: int
) -> Plan:
    """Return the plan for the groups in this order; words (c,) int64 of each cluster, root (g,) bool."""
    counts = np.diff(groups.first_cluster)[order]
    first_cluster = np.concatenate([[0], np.cumsum(counts)])
    offset = np.arange(first_cluster[-1]) - np.repeat(first_cluster[:-1], counts)
    cluster_order = np.repeat(groups.first_cluster[order], counts) + offset
    rank = np.zeros(len(order), np.int64)
    rank[order] = np.arange(len(order))
    made = np.flatnonzero(groups.made_by != kernels.NO_GROUP)
    maker, member = rank[groups.made_by[made]], rank[groups.member_of[made]]
    if (member >= maker).any():
        raise ValueError("a cluster is a member of a group of the level that made it or a finer one")
    edges = np.unique(np.stack([maker, member], axis=1), axis=0)
    first_product = np.searchsorted(edges[:, 0], np.arange(len(order) + 1))
    cluster_words = words[cluster_order]
    wanted = np.add.reduceat(cluster_words, first_cluster[:-1]) + np.where(groups.twins > 1, groups.twins, 0)[order]
    page_of_group = kernels.pack_groups(wanted, root[order], first_product, edges[:, 1], limit, root_limit).astype(
        np.int64
    )
    dependencies = _dependencies(page_of_group, edges, groups, order)
    page_count = int(page_of_group[-1]) + 1
    page_of_cluster = np.repeat(page_of_group, counts)
    lists = np.bincount(dependencies[:, 0], minlength=page_count)
    page_words = HEADER_WORDS + lists + np.bincount(page_of_cluster, cluster_words, page_count).astype(np.int64)
    if page_words.max() > limit:
        raise ValueError(f"a page needs {4 * page_words.max()} bytes; raise page_bytes")
    page_word = np.concatenate([[0], np.cumsum(page_words)])
    first_in_page = np.searchsorted(page_of_cluster, np.arange(page_count + 1))
    data = cluster_words - RECORD_WORDS
    before = np.cumsum(data) - data
    records = np.diff(first_in_page) * RECORD_WORDS
    data_start = page_word[:-1] + HEADER_WORDS + records + lists - before[first_in_page[:-1]]
    within = np.arange(len(cluster_order)) - first_in_page[page_of_cluster]
    return Plan(
        order=order,
        cluster_order=cluster_order,
        page_of_group=page_of_group,
        page_of_cluster=page_of_cluster,
        first_cluster=first_cluster,
        root=root[order],
        dependencies=dependencies,
        record_word=page_word[page_of_cluster] + HEADER_WORDS + within * RECORD_WORDS,
        data_word=data_start[page_of_cluster] + before,
        page_word=page_word,
    )


def _dependencies(page_of_group: np.ndarray, edges: np.ndarray, groups: Groups, order: np.ndarray) -> np.ndarray:
    """Return the pairs (page, page it needs), sorted: pages of products, and pages of twins mutually.

    Products name the first twin as their maker; the pages of all twins need them.
    """
    pairs = [page_of_group[edges]]
    twin = np.flatnonzero(groups.twins[order] > 1)
    first_place = {}
    for place in twin[np.argsort(order[twin])]:  # products name the first stored one, wherever it went
        first_place.setdefault(groups.source[order[place]], place)
    for place in twin:
        first = first_place[groups.source[order[place]]]
        products = edges[edges[:, 0] == first, 1]
        pairs.append(page_of_group[np.array([[first, place], [place, first]])])
        pairs.append(page_of_group[np.stack([np.full_like(products, place), products], axis=1)])
    pairs = np.concatenate(pairs)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
