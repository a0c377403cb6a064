"""Law 1 on a built asset: every cut of its hierarchy covers the surface exactly once.

A cut is right for every eye and every tau where each group's projected error is at least that of the groups that made
its members: then the decision "draw the members" is taken along every chain of groups down to one point, not beyond.
Growing errors and nested spheres give that; what a group hands on (the edges it shares with others) must be the same
in its members and in the clusters made from it. verify_surface.py looks at the triangles.
"""

from typing import Any

import numpy as np

from engine import layout, verify_surface
from engine.asset_pages import page_dependencies
from engine.page_loading import load_pages
from engine.reference import Tables, cluster_boxes, group_error_pixels, tables
from engine.verify_surface import Progress

ROOT_ERROR = layout.CONSTANTS["ROOT_ERROR"]
_EYES_PER_CUT = 4  # eyes on or near sphere surfaces, for each random one
_LEAF = layout.CONSTANTS["NODE_LEAF"]


def verify_asset(asset: Any, cuts: int = 8, seed: int = 0, progress: Progress | None = None) -> list[str]:
    """Return what is wrong with the hierarchy of an open asset, one line for each kind of problem; empty when right.

    `cuts` random cuts of each kind (uniform error, eye and tau, resident pages) are drawn and looked at. All tables
    and triangles are held in memory. `progress` is called with (stage, done, total); what it raises ends the check.
    """
    report = progress or (lambda stage, done, total: None)
    data = asset_tables(asset)
    checks = [check_members, check_errors, check_spheres, check_boxes, check_nodes]
    problems: list[str] = []
    for done, check in enumerate(checks):
        report("check hierarchy", done, len(checks))
        problems += check(data)
        if check is check_members and problems:  # the rest relies on who is whose
            return problems
    problems += check_triangles(data, asset.mesh_triangles)
    if problems:  # the rest relies on the tables
        return problems
    pages = load_pages(lambda page: page_dependencies(asset.page_words(page)).astype(np.int64), range(asset.page_count))
    dependencies = list(pages)
    problems += check_pages(data, dependencies)
    problems += check_decisions(data, cuts, seed)
    surface = verify_surface.read_surface(asset, data, report)
    problems += verify_surface.check_boxes(data, surface)
    problems += verify_surface.check_groups(data, surface, first_twins(data), report)
    decisions = sample_decisions(data, dependencies, cuts, seed)
    return problems + verify_surface.check_cuts(data, surface, decisions, report)


def asset_tables(asset: Any) -> Tables:
    """Return the Tables of an asset with one instance, unmoved, of each of its meshes."""
    instances = np.zeros(len(asset.meshes), layout.INSTANCE)
    instances["mesh"] = np.arange(len(asset.meshes))
    for axis, name in enumerate(("linear_x", "linear_y", "linear_z")):
        instances[name][:, axis] = 1.0
    instances["max_scale"] = 1.0
    return tables(np.array(asset.meshes), np.array(asset.nodes), np.array(asset.groups), asset.clusters(), instances)


def edges(data: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Return (finer, coarser) groups, int64 (e,) each: a member of `coarser` was made from `finer`; no pair twice."""
    made = np.flatnonzero(data.cluster_made_by >= 0)
    pairs = np.unique(np.stack([data.cluster_made_by[made], data.cluster_group[made]]), axis=1)
    return pairs[0], pairs[1]


def first_twins(data: Tables) -> np.ndarray:
    """Return for each group the first one with the same record of level of detail, int64 (G,).

    The builder splits a group that no page can hold into twins; clusters made from it name one of them.
    """
    groups = data.groups
    names = "mesh", "center", "radius", "geometric_error", "attribute_error"
    keys = np.column_stack([groups["place"] >> np.uint32(24), *(groups[name] for name in names)])
    inverse = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    own = np.arange(len(groups))
    makers = np.unique(data.cluster_made_by[data.cluster_made_by >= 0])[::-1]
    first = np.full(len(groups), -1)
    first[inverse[makers]] = makers
    twins = np.where(first[inverse] >= 0, first[inverse], own)
    # What clusters are made from is no second twin: other groups may have the record, too, where members of theirs
    # were made by the same groups.
    twins[makers] = makers
    return np.where(groups["geometric_error"] >= ROOT_ERROR, own, twins)


def check_members(data: Tables) -> list[str]:
    """Each cluster is a member of one group of its mesh; it was made, if at all, by a group of a lower level."""
    mesh, clusters = data.cluster_mesh, data.clusters
    named = clusters["group"].astype(np.int64) + data.meshes["group_base"][mesh]
    problems = _problem(named != data.cluster_group, "clusters name another group than the one that lists them")
    made = np.flatnonzero(data.cluster_made_by >= 0)
    problems += _problem(data.cluster_made_by >= len(data.groups), "clusters were made by a group that does not exist")
    if problems:
        return problems
    level = data.groups["place"] >> np.uint32(24)
    finer, coarser = data.cluster_made_by[made], data.cluster_group[made]
    problems += _problem(
        level[finer] >= level[coarser], "clusters are members of a group not above the one they came from"
    )
    problems += _problem(data.groups["mesh"][finer] != mesh[made], "clusters were made by a group of another mesh")
    source = ((clusters["counts"] >> np.uint32(16)) & np.uint32(0xFF)) == 0
    problems += _problem(
        source != (data.cluster_made_by < 0), "clusters of level 0 are not exactly the source clusters"
    )
    counts = np.bincount(mesh, minlength=len(data.meshes)) != data.meshes["cluster_count"]
    return problems + _problem(counts, "meshes have another number of clusters than they say")


def check_triangles(data: Tables, mesh_triangles: np.ndarray) -> list[str]:
    """Source clusters hold all source triangles of their mesh, and all clusters what is stored."""
    triangles = (data.clusters["counts"] >> np.uint32(8)) & np.uint32(0xFF)
    weights = {"source": triangles * (data.cluster_made_by < 0), "stored": triangles}
    problems = []
    for name, weight in weights.items():
        count = np.bincount(data.cluster_mesh, weights=weight, minlength=len(data.meshes))
        problems += _problem(
            count != mesh_triangles[name], f"meshes hold another number of {name} triangles than they say"
        )
    return problems


def check_errors(data: Tables) -> list[str]:
    """Both errors grow strictly from group to group (attribute errors may stay 0); roots are what ends it."""
    finer, coarser = edges(data)
    geometric, attribute = data.groups["geometric_error"], data.groups["attribute_error"]
    problems = _problem(
        ~(np.isfinite(geometric) & (geometric > 0.0)), "groups have a geometric error that is not positive"
    )
    problems += _problem(~(np.isfinite(attribute) & (attribute >= 0.0)), "groups have an attribute error below 0")
    problems += _problem(geometric[finer] >= geometric[coarser], "geometric errors do not grow towards the root")
    still = (attribute[finer] >= attribute[coarser]) & ((attribute[coarser] > 0.0) | (attribute[finer] > 0.0))
    problems += _problem(still, "attribute errors do not grow towards the root")
    productive, twins = np.zeros(len(data.groups), bool), first_twins(data)
    productive[twins[finer]] = True
    wrong = productive[twins] == (geometric >= ROOT_ERROR)
    return problems + _problem(
        wrong, "groups have the error of a root though something was made from them, or the reverse"
    )


def check_spheres(data: Tables) -> list[str]:
    """The sphere of a group contains those of the groups that made its members."""
    finer, coarser = edges(data)
    center, radius = data.groups["center"].astype(float), data.groups["radius"].astype(float)
    reach = np.linalg.norm(center[finer] - center[coarser], axis=1) + radius[finer]
    return _problem(~(reach <= radius[coarser]), "spheres are not nested in the sphere of the group above")


def check_boxes(data: Tables) -> list[str]:
    """Boxes contain the clusters: those of groups, and those of meshes."""
    low, high = cluster_boxes(data, np.arange(len(data.clusters)))
    problems = []
    for name, records in (("groups", data.groups[data.cluster_group]), ("meshes", data.meshes[data.cluster_mesh])):
        inside = (records["box_min"] <= low).all(axis=1) & (records["box_max"] >= high).all(axis=1)
        problems += _problem(~inside, f"clusters stick out of the boxes of their {name}")
    return problems


def check_nodes(data: Tables) -> list[str]:
    """Each group has one leaf, equal to it bit for bit; every node above bounds it, and the root is its mesh's."""
    nodes, groups = data.nodes, data.groups
    parents = np.full(len(nodes), -1, np.int64)
    inner = np.flatnonzero(nodes["child_count"] != _LEAF)
    for offset in range(int(nodes["child_count"].max(initial=0))):
        some = inner[nodes["child_count"][inner] > offset]
        parents[nodes["child"][some].astype(np.int64) + offset] = some
    leaf = np.flatnonzero(nodes["child_count"] == _LEAF)
    group = nodes["child"][leaf].astype(np.int64)
    problems = _problem(np.bincount(group, minlength=len(groups)) != 1, "groups do not have exactly one leaf")
    if problems:
        return problems
    for name in ("center", "radius", "geometric_error", "attribute_error", "box_min", "box_max"):
        same = nodes[name][leaf].view(np.uint32) == groups[name][group].view(np.uint32)
        problems += _problem(~same.reshape(len(leaf), -1).all(axis=1), f"leaves differ from their groups in {name}")
    made_by = _least_made_by(data)[group]
    node, last = leaf, leaf
    while len(node):
        problems += _problem(
            ~_bounds_group(nodes[node], groups[group], made_by), "nodes do not bound a group below them"
        )
        last = node
        going = parents[node] >= 0
        ended = nodes_root(data, group[~going]) != last[~going]
        problems += _problem(ended, "groups are not below the root node of their mesh")
        node, group, made_by = parents[node[going]], group[going], made_by[going]
    return problems


def nodes_root(data: Tables, groups: np.ndarray) -> np.ndarray:
    """Return the root nodes of the meshes of `groups`, int64."""
    return data.meshes["root_node"][data.groups["mesh"][groups]].astype(np.int64)


def _least_made_by(data: Tables) -> np.ndarray:
    """Return for each group the smallest (geometric, attribute) errors by which its members were made, (G, 2)."""
    maker = data.groups[np.maximum(data.cluster_made_by, 0)]
    errors = np.column_stack([maker["geometric_error"], maker["attribute_error"]])
    errors[data.cluster_made_by < 0] = 0.0
    least = np.full((len(data.groups), 2), np.inf, np.float32)
    np.minimum.at(least, data.cluster_group, errors)
    return least


def _bounds_group(nodes: np.ndarray, groups: np.ndarray, made_by: np.ndarray) -> np.ndarray:
    gap = np.linalg.norm(nodes["center"].astype(float) - groups["center"], axis=1)
    good = gap + groups["radius"].astype(float) <= nodes["radius"]
    good &= (nodes["box_min"] <= groups["box_min"]).all(axis=1) & (nodes["box_max"] >= groups["box_max"]).all(axis=1)
    good &= nodes["geometric_error"] >= groups["geometric_error"]
    good &= nodes["attribute_error"] >= groups["attribute_error"]
    good &= nodes["made_by_geometric_error"] <= made_by[:, 0]
    return good & (nodes["made_by_attribute_error"] <= made_by[:, 1])


def check_pages(data: Tables, dependencies: list[np.ndarray]) -> list[str]:
    """Each page names all others with products of its groups; `dependencies` are the pages that each page names."""
    page = data.groups["page"].astype(np.int64)
    made = np.flatnonzero(data.cluster_made_by >= 0)
    twins = first_twins(data)
    order = np.argsort(twins, kind="stable")
    maker = twins[data.cluster_made_by[made]]
    twin_first = np.searchsorted(twins[order], maker)
    twin_count = np.bincount(twins, minlength=len(twins))[maker]
    product = np.repeat(made, twin_count)
    offsets = np.arange(len(product)) - np.repeat(np.cumsum(twin_count) - twin_count, twin_count)
    member_group = order[np.repeat(twin_first, twin_count) + offsets]
    needed = np.unique(np.stack([page[member_group], page[data.cluster_group[product]]]), axis=1)
    needed = needed[:, needed[0] != needed[1]]
    count = len(dependencies)
    named = np.concatenate([np.full(len(d), i) * count + d for i, d in enumerate(dependencies)])
    return _problem(~np.isin(needed[0] * count + needed[1], named), "pages do not name a page with products of theirs")


def check_decisions(data: Tables, cuts: int, seed: int) -> list[str]:
    """No eye sees a finer group with a larger projected error than a coarser one, in float64 and in float32."""
    generator = np.random.default_rng(seed)
    finer, coarser = edges(data)
    exact = rounded = np.zeros(0, bool)
    for _ in range(cuts):
        for eye in _eyes(data, generator):
            view, instances = _random_view(data, eye, generator)
            pixels = group_error_pixels(data.groups, instances, view)
            exact = np.append(exact, pixels[finer] > pixels[coarser])
            pixels = _float32_pixels(data, instances, view)
            rounded = np.append(rounded, pixels[finer] > pixels[coarser])
    problems = _problem(exact, "groups are projected larger than the group above: a hole for some eye")
    return problems + _problem(
        rounded, "groups are projected larger than the group above in float32: a hole for some eye"
    )


def sample_decisions(data: Tables, dependencies: list[np.ndarray], cuts: int, seed: int) -> list[np.ndarray]:
    """Return "draw the members" for all groups (bool, (G,)) in random cuts: uniform, by an eye, with pages missing."""
    generator = np.random.default_rng(seed)
    error = np.maximum(data.groups["geometric_error"], data.groups["attribute_error"]).astype(float)
    thresholds = np.unique(error)
    samples = [error > 0.0, error > thresholds[-1] * 0.5]
    samples += [error > t for t in generator.choice(thresholds, min(cuts, len(thresholds)), replace=False)[:cuts]]
    for _ in range(cuts):
        for eye in _eyes(data, generator)[:2]:
            view, instances = _random_view(data, eye, generator)
            pixels = group_error_pixels(data.groups, instances, view)
            inner = pixels[error < ROOT_ERROR]  # none where every mesh is a single group
            samples.append(pixels > (np.quantile(inner, generator.random()) if len(inner) else 0.0))
    for _ in range(cuts):
        samples.append(error > 0.0)
        samples[-1] &= _random_pages(data, dependencies, generator)[data.groups["page"]]
    roots = error >= ROOT_ERROR
    return [sample | roots for sample in samples]


def _random_pages(data: Tables, dependencies: list[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    """Return a random set of resident pages (bool) that holds all pages its members need, and the roots'."""
    resident = generator.random(len(dependencies)) < generator.random()
    resident[data.groups["page"][data.groups["geometric_error"] >= ROOT_ERROR]] = True
    waiting = np.flatnonzero(resident).tolist()
    while waiting:
        for page in dependencies[waiting.pop()].tolist():
            if not resident[page]:
                resident[page] = True
                waiting.append(page)
    return resident


def _eyes(data: Tables, generator: np.random.Generator) -> list[np.ndarray]:
    """Return a random eye about a random mesh, and eyes on (or very near) surfaces of random spheres, object space."""
    groups = data.groups[generator.integers(len(data.groups), size=_EYES_PER_CUT)]
    directions = generator.standard_normal((_EYES_PER_CUT + 1, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    reach = groups["radius"] * (1.0 + generator.choice([-1e-3, -1e-6, 0.0, 1e-6, 1e-3], _EYES_PER_CUT))
    mesh = data.meshes[groups["mesh"][0]]
    far = mesh["center"] + directions[-1] * mesh["radius"] * generator.uniform(0.0, 5.0)
    return [far, *(groups["center"] + directions[:-1] * reach[:, None])]


def _random_view(data: Tables, eye: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a view from `eye` and one instance record for each group: all alike, turned and scaled about the eye."""
    linear = generator.standard_normal((3, 3)) if generator.random() < 0.5 else np.eye(3)
    instances = np.zeros((), layout.INSTANCE)
    for axis, name in enumerate(("linear_x", "linear_y", "linear_z")):
        instances[name] = linear[:, axis]
    instances["max_scale"] = np.nextafter(np.float32(np.linalg.norm(linear, 2) * (1 + 1e-6)), np.float32(np.inf))
    view = np.zeros((), layout.VIEW)
    view["eye_high"] = linear @ eye
    view["eye_low"] = linear @ eye - view["eye_high"]
    view["near"] = 10.0 ** generator.uniform(-6, -2) * float(data.meshes["radius"].max())
    view["lod_scale"], view["error_pixels"], view["attribute_weight"] = 1000.0, 1.0, generator.choice([0.0, 0.5, 1.0])
    return view, np.broadcast_to(instances, len(data.groups))


def _float32_pixels(data: Tables, instances: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return group_error_pixels evaluated in float32, each operation rounded."""
    groups, one = data.groups, instances[0]
    middle = (one["translation_high"] - view["eye_high"]) + (one["translation_low"] - view["eye_low"])
    for axis, name in enumerate(("linear_x", "linear_y", "linear_z")):
        middle = middle + one[name] * groups["center"][:, axis, None]
    distance = np.sqrt((middle * middle).sum(axis=1, dtype=np.float32)) - groups["radius"] * one["max_scale"]
    error = np.maximum(groups["geometric_error"], view["attribute_weight"] * groups["attribute_error"])
    with np.errstate(over="ignore"):  # errors of roots become infinite, on the GPU as well
        return error * one["max_scale"] * view["lod_scale"] / np.maximum(view["near"], distance)


def _problem(wrong: np.ndarray, what: str) -> list[str]:
    """Return one line that counts where `wrong` holds and names the first place, or nothing."""
    count = int(np.count_nonzero(wrong))
    return [f"{count} of {wrong.size} {what} (first: {int(np.argmax(wrong))})"] if count else []
