"""A scene on the GPU: the buffers of bind group 0 (shaders/scene.wgsl)."""

from collections.abc import Callable
from contextlib import closing

import numpy as np
import wgpu

from engine import layout
from engine.frame.instance_buffers import InstanceBuffers
from engine.frame.queues import MAX_LEVELS
from engine.frame.texture_arrays import TextureArrays
from engine.gpu.buffers import UNIFORM, CapacityError, buffer_from, create_buffer, upload
from engine.gpu.device import Device
from engine.gpu.shader import ShaderKernel
from engine.instance_tree import first_level
from engine.page_loading import load_pages
from engine.scene import Scene

POOL_BINDINGS = 4
LARGEST_NODE_COUNT = 1 << layout.CONSTANTS["NODE_BITS"]
Progress = Callable[[str, int, int], None]
_BATCH_WORDS = 64 << 20  # handed to the GPU at once: until then the staging memory holds what was uploaded
_VIEWS_BYTES = layout.VIEW.itemsize * layout.CONSTANTS["MAX_VIEWS"]


class SceneBuffers:
    """Uploads a Scene; `constants` are the overrides that every kernel which reads it needs.

    Until streaming exists every page is resident, packed without gaps in the page pool.
    """

    def __init__(self, device: Device, scene: Scene, progress: Progress | None = None):
        self._device = device
        self.scene = scene
        self._bind_groups: dict[str, wgpu.GPUBindGroup] = {}
        if len(scene.nodes) >= LARGEST_NODE_COUNT:
            raise CapacityError(
                f"the scene has {len(scene.nodes)} nodes, at most {LARGEST_NODE_COUNT - 1}; use fewer assets"
            )
        self._instances = InstanceBuffers(device, scene)
        self._tables = {
            **self._instances.tables,
            "meshes": buffer_from(device, "meshes", scene.meshes),
            "mesh_roots": buffer_from(device, "mesh roots", mesh_roots(scene.meshes, scene.groups)),
            "nodes": buffer_from(device, "nodes", scene.nodes),
            "groups": buffer_from(device, "groups", scene.groups),
            "materials": buffer_from(device, "materials", scene.materials),
            "views": create_buffer(device, "views", _VIEWS_BYTES, UNIFORM),
            "previous_views": create_buffer(device, "previous views", _VIEWS_BYTES, UNIFORM),
        }
        self.textures = TextureArrays(device, scene, progress)
        self._mesh_depth = _depth(scene.nodes, scene.meshes["root_node"])
        if self.depth > MAX_LEVELS:
            raise ValueError(
                f"a hierarchy of the scene is {self._mesh_depth} levels deep, under an instance tree of"
                f" {self._instances.depth}; together at most {MAX_LEVELS}: build it again"
            )
        self._upload_pages(progress)

    @property
    def constants(self) -> dict[str, int]:
        return {
            "pool_shift": self._pool_shift,
            "pool_bindings": self._pool_bindings,
            **self.textures.constants,
        }

    @property
    def memory_bytes(self) -> dict[str, int]:
        """Size of each table of the scene by its shader variable, of all page pools together, and of the textures."""
        sizes = {"pages": 0}
        for name, buffer in self._tables.items():
            kind = "pages" if name.startswith("pool_") else name
            sizes[kind] = sizes.get(kind, 0) + buffer.size
        if self._tables["previous_instances"] is self._tables["instances"]:
            sizes["previous_instances"] = 0  # nothing has moved yet: one buffer is both
        return sizes | {"textures": self.textures.memory_bytes}

    @property
    def depth(self) -> int:
        """Levels of nodes below one another: of the instance tree and the deepest hierarchy."""
        return self._instances.depth + self._mesh_depth

    def seeds(self, limit: int) -> tuple[int, int]:
        """Return first and number of the instance tree's nodes that culling begins with, `limit` at most."""
        return first_level(self._instances.count, limit)

    def instance_tree(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the uploaded instance tree: layout.NODE records, and the slots (k,) int64 in its order."""
        return self._instances.tree()

    def update_instances(self) -> bool:
        """Upload what changed of the instances; return whether anything did since the last call."""
        if self._instances.update():
            self._tables |= self._instances.tables
            self._bind_groups.clear()
        return self._instances.moved

    def write_views(self, views: np.ndarray, previous_views: np.ndarray) -> None:
        """Upload layout.VIEW records (k,) of this frame and of the last one, k at most MAX_VIEWS."""
        upload(self._device, self._tables["views"], views)
        upload(self._device, self._tables["previous_views"], previous_views)

    def cluster_index(self, addresses: np.ndarray) -> np.ndarray:
        """Return the scene-wide number (n,) uint32 of the clusters whose records lie at pool words `addresses`."""
        starts = self._addresses
        page = np.searchsorted(starts, addresses, side="right") - 1
        header, record = layout.CONSTANTS["PAGE_HEADER_WORDS"], layout.CONSTANTS["CLUSTER_WORDS"]
        return (self._first_cluster[page] + (addresses - starts[page] - header) // record).astype(np.uint32)

    def cluster_addresses(self, clusters: np.ndarray) -> np.ndarray:
        """Return the pool words (n,) uint32 at which the records of scene-wide clusters (n,) lie."""
        pages = np.argsort(self._first_cluster)
        page = pages[np.searchsorted(self._first_cluster[pages], clusters, side="right") - 1]
        header, record = layout.CONSTANTS["PAGE_HEADER_WORDS"], layout.CONSTANTS["CLUSTER_WORDS"]
        return (self._addresses[page] + header + (clusters - self._first_cluster[page]) * record).astype(np.uint32)

    def bind_group(self, kernel: ShaderKernel) -> wgpu.GPUBindGroup:
        """Return bind group 0 for a kernel; kernels that import scene.wgsl share one layout."""
        if "scene" not in self._bind_groups:
            self._bind_groups["scene"] = kernel.bind(0, self._tables)
        return self._bind_groups["scene"]

    def forget_bind_groups(self) -> None:
        """Make the bind groups anew when they are asked for: the layouts of reloaded shaders may be others."""
        self._bind_groups.clear()
        self.textures.forget_bind_group()

    def _upload_pages(self, progress: Progress | None) -> None:
        limits = self._device.limits
        binding = min(limits["max-storage-buffer-binding-size"], limits["max-buffer-size"]) // 4
        self._pool_shift = min(binding.bit_length() - 1, 30)
        word_counts = self.scene.page_word_counts
        addresses = _place_pages(word_counts, 1 << self._pool_shift)
        end = int(addresses[-1] + word_counts[-1]) if len(word_counts) else 0
        pool_words = np.clip(end - (np.arange(POOL_BINDINGS) << self._pool_shift), 0, 1 << self._pool_shift)
        if end > POOL_BINDINGS << self._pool_shift:
            capacity = (POOL_BINDINGS << self._pool_shift) * 4 / 2**20
            raise CapacityError(
                f"the scene has {end * 4 / 2**20:.0f} MiB of pages, {self._device.adapter_name} takes"
                f" {capacity:.0f} MiB; use fewer or smaller assets (streaming is not part of this version)"
            )
        self._pool_bindings = max(1, int(np.count_nonzero(pool_words)))
        for i, words in enumerate(pool_words.tolist()):
            # A position is read from three words, of which two may lie behind the stream.
            spare = 8 if words < 1 << self._pool_shift else 0
            self._tables[f"pool_{i}"] = create_buffer(self._device, f"page pool {i}", 4 * words + spare)
        batch = np.cumsum(word_counts) // _BATCH_WORDS
        with closing(load_pages(self.scene.page_words, range(len(addresses)))) as pages:
            for page, (address, words) in enumerate(zip(addresses.tolist(), pages)):
                binding_index, place = address >> self._pool_shift, address & ((1 << self._pool_shift) - 1)
                upload(self._device, self._tables[f"pool_{binding_index}"], words, 4 * place)
                if page and batch[page] > batch[page - 1]:
                    self._device.wgpu_device.queue.submit([])
                if progress:
                    progress("load pages", page + 1, len(addresses))
        self._device.wgpu_device.queue.submit([])  # not with the first frame, which somebody waits for
        self._addresses = addresses
        self._first_cluster = np.full(len(addresses), layout.NONE, np.int64)
        np.minimum.at(self._first_cluster, self.scene.groups["page"], self.scene.groups["first_cluster"])
        self._tables["page_addresses"] = buffer_from(self._device, "page addresses", addresses.astype(np.uint32))


def _place_pages(word_counts: np.ndarray, binding_words: int) -> np.ndarray:
    """Return the word address (n,) int64 of each page: one after the other, none across two bindings."""
    addresses = np.cumsum(word_counts) - word_counts
    for binding in range(1, POOL_BINDINGS):
        border = binding * binding_words
        across = np.flatnonzero((addresses < border) & (addresses + word_counts > border))
        if across.size:
            addresses[across[0] :] += border - addresses[across[0]]
    return addresses


def mesh_roots(meshes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the layout.MESH_ROOT records (M,) of meshes.

    All other groups were made, directly or not, into members of the root group, whose sphere therefore contains theirs.
    """
    records = np.zeros(len(meshes), layout.MESH_ROOT)
    records["root_node"] = meshes["root_node"]
    is_root = groups["geometric_error"] >= np.float32(layout.CONSTANTS["ROOT_ERROR"])
    roots, mesh = np.flatnonzero(is_root), groups["mesh"]
    records["group"][mesh[roots]] = roots
    for name in ("center", "radius"):
        records[name][mesh[roots]] = groups[name][roots]
    records["group"][np.bincount(mesh[roots], minlength=len(meshes)) != 1] = layout.NONE
    for name in ("geometric_error", "attribute_error"):
        np.maximum.at(records[name], mesh[~is_root], groups[name][~is_root])
    return records


def _depth(nodes: np.ndarray, roots: np.ndarray) -> int:
    """Return how many levels of nodes lie below the deepest root."""
    depth, frontier = 0, roots.astype(np.int64)
    while True:
        counts = nodes["child_count"][frontier].astype(np.int64)
        first = nodes["child"][frontier].astype(np.int64)[counts > 0]
        counts = counts[counts > 0]
        if not counts.size:
            return depth
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        frontier = np.repeat(first, counts) + within
        depth += 1
