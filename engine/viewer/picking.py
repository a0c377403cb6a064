"""What a pixel shows, and why this and nothing finer or coarser is drawn there."""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from engine import asset_pages, layout, reference
from engine.camera import Camera, view_record
from engine.renderer import Renderer
from engine.scene import Scene
from engine.settings import FrameSettings
from engine.viewer.surface_point import SurfacePoint, surface_point
from engine.viewer.units import bytes_text, length_text, pixels_text, point_text

ROOT_ERROR = np.float32(layout.CONSTANTS["ROOT_ERROR"])
_parents_of_meshes: "WeakKeyDictionary[Scene, dict[int, np.ndarray]]" = WeakKeyDictionary()


@dataclass(frozen=True)
class GroupErrors:
    """A group and its errors under one instance: metres in the world, and pixels of the projected combined error.

    All are infinite for a root group, from which nothing was made.
    """

    group: int  # scene-wide
    level: int
    members: int
    geometric_metres: float
    attribute_metres: float
    combined_metres: float
    pixels: float

    def text(self) -> str:
        if not np.isfinite(self.pixels):
            return "infinite: a root, nothing coarser was made from it"
        parts = f"geometric {length_text(self.geometric_metres)}, attribute {length_text(self.attribute_metres)}"
        return f"{length_text(self.combined_metres)} ({parts}), {pixels_text(self.pixels)}"


@dataclass(frozen=True)
class PathNode:
    """A node of the hierarchy above the cluster. Pixels as reference.node_detail judges it by."""

    node: int  # scene-wide
    child_count: int  # 0: a leaf, of one group
    largest_error_pixels: float  # below
    least_made_by_pixels: float  # by which something below was made


@dataclass(frozen=True)
class Picked:
    """The point of a surface under a pixel. Numbers are scene-wide where the name does not say otherwise."""

    x: int
    y: int
    slot: int
    user_index: int
    asset_name: str
    mesh: int
    mesh_name: str
    material: int
    material_name: str
    cluster: int
    cluster_in_asset: int
    triangle: int
    level: int
    triangle_count: int
    vertex_count: int
    group: GroupErrors
    made_by: GroupErrors | None  # None: a cluster of the source
    tau_pixels: float
    page: int
    page_in_asset: int
    page_bytes: int
    stored_bytes: int
    is_root_page: bool
    path: tuple[PathNode, ...]  # from the mesh's root to the leaf
    point: SurfacePoint

    def reason(self) -> str:
        """Return why the cluster is drawn, as an inequality."""
        made_by = "0 px (source)" if self.made_by is None else pixels_text(self.made_by.pixels)
        return f"{made_by} <= tau = {self.tau_pixels:.3g} px < {pixels_text(self.group.pixels)}"

    def lines(self) -> list[tuple[str, str]]:
        """Return (label, value) pairs for a panel."""
        path = " > ".join(str(node.node) for node in self.path)
        made_by = "none: a cluster of the source" if self.made_by is None else self.made_by.text()
        return [
            ("pixel", f"{self.x}, {self.y}"),
            ("instance", f"slot {self.slot}, number {self.user_index} of the scene"),
            ("asset", self.asset_name),
            ("mesh", f"{self.mesh} {self.mesh_name}"),
            ("material", f"{self.material} {self.material_name}"),
            ("position", f"{point_text(self.point.position)} m"),
            ("distance", length_text(self.point.distance)),
            ("normal", point_text(self.point.normal)),
            ("cluster", f"{self.cluster} ({self.cluster_in_asset} of its asset)"),
            ("triangle", f"{self.triangle} of {self.triangle_count}, {self.vertex_count} vertices"),
            ("level", str(self.level)),
            ("drawn because", self.reason()),
            ("error it was made by", made_by),
            ("error of its group", self.group.text()),
            ("group", f"{self.group.group}, level {self.group.level}, {self.group.members} members"),
            ("page", f"{self.page} ({self.page_in_asset} of its asset){', root' if self.is_root_page else ''}"),
            ("page size", f"{bytes_text(self.page_bytes)}, {bytes_text(self.stored_bytes)} on disk"),
            ("nodes", f"{path} ({len(self.path)} levels)"),
            *((f"node {node.node}", _node_text(node)) for node in self.path),
        ]


def pick(
    renderer: Renderer,
    scene: Scene,
    camera: Camera,
    settings: FrameSettings,
    size: tuple[int, int],
    x: int,
    y: int,
    chosen_by: np.ndarray | None = None,
) -> Picked | None:
    """Return what pixel `x`, `y` (of the image, row 0 on top) of the frame drawn last shows; None: nothing.

    The frame was drawn of `scene` with `camera`, `settings` and `size`. `chosen_by` is the layout.VIEW record of the
    view that decided what is drawn, where that is another one (culling is frozen). Waits for the GPU and decodes one
    page. Raises ValueError for a pixel outside the image or a damaged page.
    """
    sample = renderer.read_sample(x, y)
    if sample is None:
        return None
    bounds = scene.bounds() if camera.orthographic_height else None
    view = view_record(camera, size, settings, bounds=bounds)
    instance = scene.instances[sample.slot]
    group = int(np.searchsorted(scene.groups["first_cluster"], sample.cluster, side="right")) - 1
    record = scene.groups[group]
    mesh, page = int(record["mesh"]), int(record["page"])
    mesh_record, asset_number = scene.meshes[mesh], int(scene.mesh_asset[mesh])
    asset, page_in_asset = scene.assets[asset_number], int(scene.pages[page, 1])
    words = scene.page_words(page)
    place = (int(record["place"]) & 0xFFFF) + sample.cluster - int(record["first_cluster"])
    cluster = asset_pages.page_clusters(words)[place]
    geometry = asset_pages.decode_cluster(words, place, float(mesh_record["step"]), float(mesh_record["uv_step"]))
    made_by, group_base = int(cluster["made_by"]), int(mesh_record["group_base"])
    material_in_asset = int(geometry.material[sample.triangle])
    judge = view if chosen_by is None else chosen_by
    errors = {
        number: group_errors(scene, number, instance, judge)
        for number in (group, *(() if made_by == layout.NONE else (group_base + made_by,)))
    }
    return Picked(
        x=x,
        y=y,
        slot=sample.slot,
        user_index=int(instance["user_index"]),
        asset_name=scene.asset_names[asset_number],
        mesh=mesh,
        mesh_name=asset.mesh_names[mesh - int(np.searchsorted(scene.mesh_asset, asset_number))],
        material=int(mesh_record["material_base"]) + material_in_asset,
        material_name=asset.material_names[material_in_asset],
        cluster=sample.cluster,
        cluster_in_asset=int(cluster["index"]),
        triangle=sample.triangle,
        level=int(cluster["counts"]) >> 16 & 0xFF,
        triangle_count=len(geometry.triangles),
        vertex_count=len(geometry.positions),
        group=errors[group],
        made_by=None if made_by == layout.NONE else errors[group_base + made_by],
        tau_pixels=float(judge["error_pixels"]),
        page=page,
        page_in_asset=page_in_asset,
        page_bytes=words.nbytes,
        stored_bytes=int(asset.page_table["stored_bytes"][page_in_asset]),
        is_root_page=bool(asset_pages.page_header(words)["flags"] & layout.CONSTANTS["PAGE_ROOT"]),
        path=_described(scene, node_path(scene, mesh, group), instance, judge),
        point=surface_point(view, instance, geometry, sample.triangle, x, y),
    )


def group_errors(scene: Scene, group: int, instance: np.ndarray, view: np.ndarray) -> GroupErrors:
    """Return the errors of a scene-wide group under an instance (layout.INSTANCE record) as `view` weighs them."""
    records, instances = scene.groups[group : group + 1], instance.reshape(1)
    [combined], [pixels] = (
        reference.combined_error(records, view),
        reference.group_error_pixels(records, instances, view),
    )
    record, scale = records[0], float(instance["max_scale"])
    geometric, attribute = float(record["geometric_error"]) * scale, float(record["attribute_error"]) * scale
    if record["geometric_error"] >= ROOT_ERROR:
        geometric = attribute = combined = pixels = np.inf
    place = int(record["place"])
    metres = geometric, attribute, float(combined) * scale
    return GroupErrors(group, place >> 24, place >> 16 & 0xFF, *metres, float(pixels))


def node_path(scene: Scene, mesh: int, group: int) -> list[int]:
    """Return the nodes from the root of a mesh to the leaf of a group; all scene-wide."""
    first, count = int(scene.meshes["root_node"][mesh]), int(scene.meshes["node_count"][mesh])
    nodes = scene.nodes[first : first + count]
    parents = _parents(scene, mesh, nodes, first)
    is_leaf = nodes["child_count"] == layout.CONSTANTS["NODE_LEAF"]
    path = [int(np.flatnonzero(is_leaf & (nodes["child"] == group))[0])]
    while path[-1] != 0:
        path.append(int(parents[path[-1]]))
    return [first + node for node in reversed(path)]


def _parents(scene: Scene, mesh: int, nodes: np.ndarray, first: int) -> np.ndarray:
    """Return the parent of each node (n,) int32 of a mesh, both counted from its root; kept as long as the scene."""
    kept = _parents_of_meshes.setdefault(scene, {})
    if mesh not in kept:
        parents = np.zeros(len(nodes), np.int32)
        inner = np.flatnonzero(nodes["child_count"] != layout.CONSTANTS["NODE_LEAF"])
        child, count = nodes["child"].astype(np.int64) - first, nodes["child_count"]
        for offset in range(layout.CONSTANTS["BVH_WIDTH"]):
            some = inner[count[inner] > offset]
            parents[child[some] + offset] = some
        kept[mesh] = parents
    return kept[mesh]


def _described(scene: Scene, path: Sequence[int], instance: np.ndarray, view: np.ndarray) -> tuple[PathNode, ...]:
    records = scene.nodes[list(path)]
    instances = np.broadcast_to(instance, len(path))
    largest, least = reference.node_error_pixels(records, instances, view)
    largest = np.where(records["geometric_error"] >= ROOT_ERROR, np.inf, largest)
    return tuple(
        PathNode(node, int(record["child_count"]), float(high), float(low))
        for node, record, high, low in zip(path, records, largest, least, strict=True)
    )


def _node_text(node: PathNode) -> str:
    kind = f"{node.child_count} children" if node.child_count else "leaf"
    errors = pixels_text(node.largest_error_pixels), pixels_text(node.least_made_by_pixels)
    return f"{kind}, largest error {errors[0]}, made by {errors[1]} at least"
