"""What the tables of an asset must keep, checked in full when it is opened: nothing in a file is believed.

Checksums only find accidents; a file may also have been made to mislead. What the GPU or numpy indexes with stays in
its table, nodes form one tree per mesh, no deeper than traversal follows, and a node bounds what is below it, so that
no part of a mesh disappears. engine/asset_page_checks.py checks the pages, when they are decoded.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine import asset_file, layout

LARGEST_LENGTH = 1e18  # squares of lengths, and sums of them, stay finite in float32
LARGEST_MATRIX = 1e30
LARGEST_DEPTH = int(layout.CONSTANTS["MAX_LEVELS"])  # levels of nodes below a root: as far as traversal goes
ROOT_ERROR = np.float32(layout.CONSTANTS["ROOT_ERROR"])
BOUNDS = ("center", "radius", "geometric_error", "attribute_error", "box_min", "box_max")
_LATTICE_LIMIT = 2.0**24  # integers of float32
_LEAF = layout.CONSTANTS["NODE_LEAF"]
_TEXTURE_FIELDS = [name for name in layout.MATERIAL.names or () if name.endswith("_texture")]
_MATERIAL_FLAGS = sum(layout.CONSTANTS[f"MATERIAL_{name}"] for name in ("MASKED", "TWO_SIDED", "BLENDED"))


def check_tables(asset: Any, textures: np.ndarray, image_bytes: int, pages_end: int) -> None:
    """Raise ValueError ("has wrong ...") at the first entry of an Asset's tables that breaks a rule.

    textures (t,) asset_file.TEXTURE; image_bytes: of all images; pages_end: byte of the file where pages must end.
    """
    with np.errstate(all="ignore"):
        for good, what in _checks(asset, textures, image_bytes, pages_end):
            if not good:
                raise ValueError(f"has wrong {what}")


def member_counts(groups: np.ndarray) -> np.ndarray:
    """Return the number of clusters (g,) int64 of layout.GROUP records (g,)."""
    return groups["place"].astype(np.int64) >> 16 & 255


def _checks(asset: Any, textures: np.ndarray, image_bytes: int, pages_end: int) -> Iterator[tuple[bool, str]]:
    """Yield (good, what) of each rule; a rule may rely on those before it."""
    meshes, nodes, groups, pages = asset.meshes, asset.nodes, asset.groups, asset.page_table
    names = (asset.mesh_names, meshes, "mesh"), (asset.material_names, asset.materials, "material")
    for texts, table, kind in names:
        yield _are_names(texts, len(table)), f"names: not one for each {kind}"
    yield len(meshes) > 0 and _mesh_ranges_fit(asset), "meshes: their nodes, groups or clusters are not those there are"
    yield _meshes_fit(meshes), "meshes: a box, sphere, step or origin cannot be"
    yield _triangles_fit(asset), "meshes: a number of triangles cannot be"
    yield _pages_fit(pages, len(meshes), pages_end), "pages: an entry is out of range"
    yield _groups_fit(groups, pages), "groups: they do not fill the pages one after the other"
    yield (
        _bounds_fit(groups) and bool((groups["geometric_error"] > 0).all()),
        "groups: a box, sphere or error cannot be",
    )
    yield _inside(groups, meshes[groups["mesh"]]), "groups: a box reaches out of its mesh"
    yield _nodes_fit(meshes, nodes), "nodes: they are not a tree for each mesh"
    yield _is_shallow(meshes, nodes), f"nodes: more than {LARGEST_DEPTH} levels"
    yield _leaves_fit(nodes, groups, meshes), "nodes: a leaf is not a group's, or differs from its group"
    yield _bounds_fit(nodes) and _parents_bound(nodes), "nodes: one does not bound what is below it"
    roots = nodes[meshes["root_node"]]
    yield _same(roots, meshes, ("box_min", "box_max")), "meshes: a box is not that of the root node"
    yield _materials_fit(asset.materials, len(textures)), "materials: an entry is out of range"
    yield _instances_fit(asset.instances, len(meshes)), "instances: an entry is out of range"
    yield _textures_fit(textures, image_bytes), "textures: an entry is out of range"


def _are_names(texts: Any, count: int) -> bool:
    if not isinstance(texts, list) or len(texts) != count or not all(isinstance(text, str) for text in texts):
        return False
    return not any("\ud800" <= letter <= "\udfff" for text in texts for letter in text)  # halves that nothing can write


def _mesh_ranges_fit(asset: Any) -> bool:
    """Whether the meshes divide nodes, groups and clusters among them, one after the other."""
    meshes, groups = asset.meshes, asset.groups
    counts = {name: meshes[f"{name}_count"].astype(np.int64) for name in ("node", "group", "cluster")}
    members = member_counts(groups)
    if counts["node"].sum() != len(asset.nodes) or counts["group"].sum() != len(groups):
        return False
    if min(count.min() for count in counts.values()) < 1:
        return False
    before = np.cumsum(members) - members
    of_mesh = np.repeat(np.arange(len(meshes)), counts["group"])
    return bool(
        (meshes["root_node"] == np.cumsum(counts["node"]) - counts["node"]).all()
        and (groups["first_cluster"] == before).all()
        and ((members > 0) & (members <= layout.CONSTANTS["MAX_GROUP_CLUSTERS"])).all()
        and (groups["mesh"] == of_mesh).all()
        and (np.bincount(of_mesh, members, len(meshes)) == counts["cluster"]).all()
        and (meshes["group_base"] == 0).all()
        and (meshes["material_base"] == 0).all()
    )


def _meshes_fit(meshes: np.ndarray) -> bool:
    low, high, step = meshes["box_min"].astype(float), meshes["box_max"].astype(float), meshes["step"].astype(float)
    half = 0.5 * (high - low).max(axis=1)
    return bool(
        _powers_of_two(meshes["step"])
        and _powers_of_two(meshes["uv_step"])
        and (meshes["uv_step"] < 1e18).all()
        and all(_are_lengths(meshes[name]) for name in ("center", "radius", "origin_high", "origin_low"))
        and _are_lengths(low)
        and _are_lengths(high)
        and (low <= high).all()
        and (np.maximum(np.abs(low), np.abs(high)).max(axis=1) <= step * _LATTICE_LIMIT).all()
        and (meshes["radius"] >= half * (1.0 - 1e-5)).all()
    )


def _triangles_fit(asset: Any) -> bool:
    triangles, clusters = asset.mesh_triangles, asset.meshes["cluster_count"].astype(np.uint64)
    if len(triangles) != len(asset.meshes):
        return False
    source, stored = triangles["source"], triangles["stored"]
    most = clusters * np.uint64(layout.CONSTANTS["MAX_CLUSTER_TRIANGLES"])
    return bool(((source > 0) & (source <= stored) & (stored >= clusters) & (stored <= most)).all())


def _pages_fit(pages: np.ndarray, mesh_count: int, pages_end: int) -> bool:
    """Whether the pages lie one after the other, and none is decoded to more than a page holds."""
    least = layout.CONSTANTS["PAGE_HEADER_WORDS"] + layout.CONSTANTS["CLUSTER_WORDS"]
    offset, stored = pages["offset"], pages["stored_bytes"].astype(np.uint64)
    if not (offset <= pages_end).all():
        return False
    starts = np.append(offset, np.uint64(pages_end))
    return bool(
        len(pages) > 0
        and offset[0] >= asset_file.HEADER.itemsize
        and (offset + stored <= starts[1:]).all()
        and ((pages["word_count"] >= least) & (pages["word_count"] <= layout.CONSTANTS["PAGE_WORDS"])).all()
        and (pages["mesh"] < mesh_count).all()
    )


def _groups_fit(groups: np.ndarray, pages: np.ndarray) -> bool:
    page = groups["page"].astype(np.int64)
    if page[0] != 0 or page[-1] != len(pages) - 1 or not np.isin(np.diff(page), (0, 1)).all():
        return False
    first = np.searchsorted(page, page)  # of the page
    place = groups["first_cluster"].astype(np.int64) - groups["first_cluster"][first]
    is_root = groups["geometric_error"][first] >= ROOT_ERROR
    return bool(
        (groups["place"] & 0xFFFF == place).all()
        and (pages["mesh"][page] == groups["mesh"]).all()
        and (pages["word_count"][page[is_root]] <= layout.CONSTANTS["ROOT_PAGE_WORDS"]).all()
    )


def _bounds_fit(records: np.ndarray) -> bool:
    """Whether spheres and boxes of nodes or groups are finite, and errors are at least 0 and at most a root's."""
    errors = [records[name] for name in records.dtype.names or () if name.endswith("_error")]
    return bool(
        all(_are_lengths(records[name]) for name in ("center", "radius", "box_min", "box_max"))
        and (records["radius"] >= 0).all()
        and (records["box_min"] <= records["box_max"]).all()
        and all(((error >= 0) & (error <= ROOT_ERROR)).all() for error in errors)
    )


def _nodes_fit(meshes: np.ndarray, nodes: np.ndarray) -> bool:
    """Whether children follow their parents within their mesh, each below one parent only: a tree."""
    child, count = nodes["child"].astype(np.int64), nodes["child_count"].astype(np.int64)
    inner = np.flatnonzero(count != _LEAF)
    child, count = child[inner], count[inner]
    mesh_end = np.cumsum(meshes["node_count"].astype(np.int64))
    end = mesh_end[np.searchsorted(mesh_end, inner, side="right")]
    if not ((count <= layout.CONSTANTS["BVH_WIDTH"]) & (child > inner) & (child + count <= end)).all():
        return False
    change = np.bincount(child, minlength=len(nodes) + 1) - np.bincount(child + count, minlength=len(nodes) + 1)
    parents = np.cumsum(change)[:-1]
    expected = np.ones(len(nodes), np.int64)
    expected[meshes["root_node"]] = 0
    return bool((parents == expected).all())


def _is_shallow(meshes: np.ndarray, nodes: np.ndarray) -> bool:
    frontier = meshes["root_node"].astype(np.int64)
    for _ in range(LARGEST_DEPTH + 1):
        count = nodes["child_count"][frontier].astype(np.int64)
        first = nodes["child"][frontier].astype(np.int64)[count > 0]
        count = count[count > 0]
        if not len(count):
            return True
        frontier = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(count.sum())
    return False


def _leaves_fit(nodes: np.ndarray, groups: np.ndarray, meshes: np.ndarray) -> bool:
    """Whether each group has one leaf, in its own mesh, that is like it bit for bit."""
    leaf = np.flatnonzero(nodes["child_count"] == _LEAF)
    group = nodes["child"][leaf].astype(np.int64)
    if len(leaf) != len(groups) or not (np.sort(group) == np.arange(len(groups))).all():
        return False
    mesh_end = np.cumsum(meshes["node_count"].astype(np.int64))
    in_mesh = (np.searchsorted(mesh_end, leaf, side="right") == groups["mesh"][group]).all()
    return bool(in_mesh) and _same(nodes[leaf], groups[group], BOUNDS)


def _parents_bound(nodes: np.ndarray) -> bool:
    """Whether the sphere, box and errors of each inner node bound those of its children."""
    inner = np.flatnonzero(nodes["child_count"] != _LEAF)
    count = nodes["child_count"][inner].astype(np.int64)
    before = np.cumsum(count) - count
    parent = nodes[np.repeat(inner, count)]
    child = nodes[np.repeat(nodes["child"][inner].astype(np.int64) - before, count) + np.arange(count.sum())]
    return bool(
        _spheres_inside(child, parent).all()
        and _inside(child, parent)
        and all((parent[name] >= child[name]).all() for name in ("geometric_error", "attribute_error"))
        and all((parent[f"made_by_{name}"] <= child[f"made_by_{name}"]).all() for name in BOUNDS[2:4])
    )


def _spheres_inside(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Return (n,) bool: where the spheres of records (n,) lie in those of others (n,), in float64."""
    gap = np.linalg.norm(inner["center"].astype(float) - outer["center"].astype(float), axis=1)
    return gap + inner["radius"] <= outer["radius"]


def _inside(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Whether the boxes of records (n,) lie in those of others (n,)."""
    return bool((inner["box_min"] >= outer["box_min"]).all() and (inner["box_max"] <= outer["box_max"]).all())


def _same(first: np.ndarray, second: np.ndarray, names: tuple[str, ...]) -> bool:
    return all(
        bool(
            (
                np.ascontiguousarray(first[name]).view(np.uint32) == np.ascontiguousarray(second[name]).view(np.uint32)
            ).all()
        )
        for name in names
    )


def _materials_fit(materials: np.ndarray, texture_count: int) -> bool:
    sampler = materials["sampler"]
    numbers = [name for name in materials.dtype.names or () if materials.dtype[name].base.kind == "f"]
    textures = (materials[name] for name in _TEXTURE_FIELDS)
    return bool(
        len(materials) > 0
        and all(((texture < texture_count) | (texture == layout.NONE)).all() for texture in textures)
        and all(np.isfinite(materials[name]).all() for name in numbers)
        and (materials["shader"] == 0).all()
        and (materials["flags"] & ~np.uint32(_MATERIAL_FLAGS) == 0).all()
        and ((sampler & 15 <= 2) & (sampler >> 4 & 15 <= 2) & (sampler >> 8 <= 1)).all()
    )


def _instances_fit(instances: np.ndarray, mesh_count: int) -> bool:
    return bool((instances["mesh"] < mesh_count).all() and (np.abs(instances["transform"]) <= LARGEST_MATRIX).all())


def _textures_fit(textures: np.ndarray, image_bytes: int) -> bool:
    """Whether the images lie in their section, and their media types are words that can be printed."""
    first, count, end = textures["offset"], textures["bytes"], np.uint64(image_bytes)
    inside = (first <= end) & (count <= end - np.minimum(first, end))
    return bool(inside.all()) and all(
        mime.isascii() and mime.decode("ascii").isprintable() for mime in textures["mime"]
    )


def _powers_of_two(steps: np.ndarray) -> bool:
    return bool((np.isfinite(steps) & (steps > 0) & (np.frexp(steps)[0] == 0.5)).all())


def _are_lengths(values: np.ndarray) -> bool:
    return bool((np.abs(values) <= LARGEST_LENGTH).all())  # not so where there is a NaN
