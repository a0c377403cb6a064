"""A scene on the GPU: the buffers of bind group 0 (shaders/scene.wgsl)."""

from collections.abc import Callable

import numpy as np
import wgpu

from engine import layout
from engine.frame.queues import MAX_LEVELS
from engine.frame.texture_arrays import TextureArrays
from engine.gpu.buffers import UNIFORM, CapacityError, buffer_from, create_buffer, upload
from engine.gpu.device import Device
from engine.gpu.shader import Kernel
from engine.scene import Scene

POOL_BINDINGS = 4
Progress = Callable[[str, int, int], None]
_VIEWS_BYTES = layout.VIEW.itemsize * layout.CONSTANTS["MAX_VIEWS"]


class SceneBuffers:
    """Uploads a Scene; `constants` are the overrides that every kernel which reads it needs.

    Until streaming exists every page is resident, packed without gaps in the page pool.
    """

    def __init__(self, device: Device, scene: Scene, progress: Progress | None = None):
        self._device = device
        self.scene = scene
        self._instance_revision = -1
        self._instances_rest = True  # they are where they were in the frame before
        self._bind_groups: dict[str, wgpu.GPUBindGroup] = {}
        self._tables = {
            "meshes": buffer_from(device, "meshes", scene.meshes),
            "nodes": buffer_from(device, "nodes", scene.nodes),
            "groups": buffer_from(device, "groups", scene.groups),
            "materials": buffer_from(device, "materials", scene.materials),
            "views": create_buffer(device, "views", _VIEWS_BYTES, UNIFORM),
            "previous_views": create_buffer(device, "previous views", _VIEWS_BYTES, UNIFORM),
        }
        self._views: np.ndarray | None = None
        self.textures = TextureArrays(device, scene)
        self.depth = _depth(scene.nodes, scene.meshes["root_node"])
        if self.depth > MAX_LEVELS:
            raise ValueError(
                f"a hierarchy of the scene is {self.depth} levels deep, at most {MAX_LEVELS}; build it again"
            )
        self._upload_pages(progress)
        self.update_instances()

    @property
    def constants(self) -> dict[str, int]:
        return {
            "pool_shift": self._pool_shift,
            "pool_bindings": self._pool_bindings,
            "texture_arrays": self.textures.count,
        }

    @property
    def memory_bytes(self) -> dict[str, int]:
        """Size of each buffer of the scene."""
        return {name: buffer.size for name, buffer in self._tables.items()} | {"textures": self.textures.memory_bytes}

    def update_instances(self) -> None:
        """Upload the instance table if it changed, and keep that of the frame before."""
        records = self.scene.instances
        old = self._tables.get("instances")
        if old is None or old.size < records.nbytes:
            for name in ("instances", "previous_instances"):
                self._tables[name] = buffer_from(self._device, name, records)
            self._bind_groups.clear()
        elif not self._instances_rest:
            encoder = self._device.wgpu_device.create_command_encoder(label="previous instances")
            encoder.copy_buffer_to_buffer(old, 0, self._tables["previous_instances"], 0, old.size)
            self._device.wgpu_device.queue.submit([encoder.finish()])
            self._instances_rest = True
        if self._instance_revision != self.scene.revision:
            upload(self._device, self._tables["instances"], records)
            self._instance_revision, self._instances_rest = self.scene.revision, False

    def write_views(self, views: np.ndarray) -> None:
        """Upload layout.VIEW records (k,), k at most MAX_VIEWS, and keep those of the frame before."""
        before = views if self._views is None or len(self._views) != len(views) else self._views
        upload(self._device, self._tables["previous_views"], before)
        upload(self._device, self._tables["views"], views)
        self._views = views.copy()

    def cluster_index(self, addresses: np.ndarray) -> np.ndarray:
        """Return the scene-wide number (n,) uint32 of the clusters whose records lie at pool words `addresses`."""
        starts = self._addresses
        page = np.searchsorted(starts, addresses, side="right") - 1
        header, record = layout.CONSTANTS["PAGE_HEADER_WORDS"], layout.CONSTANTS["CLUSTER_WORDS"]
        return (self._first_cluster[page] + (addresses - starts[page] - header) // record).astype(np.uint32)

    def bind_group(self, kernel: Kernel) -> wgpu.GPUBindGroup:
        """Return bind group 0 for a kernel; kernels that import scene.wgsl share one layout."""
        if "scene" not in self._bind_groups:
            self._bind_groups["scene"] = kernel.bind(0, self._tables)
        return self._bind_groups["scene"]

    def _upload_pages(self, progress: Progress | None) -> None:
        limits = self._device.limits
        binding = min(limits["max-storage-buffer-binding-size"], limits["max-buffer-size"]) // 4
        self._pool_shift = min(binding.bit_length() - 1, 30)
        pages = [self.scene.page_words(page) for page in range(len(self.scene.pages))]
        addresses = _place_pages(np.array([len(words) for words in pages], np.int64), 1 << self._pool_shift)
        end = int(addresses[-1] + len(pages[-1])) if pages else 0
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
        for number, (address, words) in enumerate(zip(addresses.tolist(), pages, strict=True)):
            binding_index, place = address >> self._pool_shift, address & ((1 << self._pool_shift) - 1)
            upload(self._device, self._tables[f"pool_{binding_index}"], words, 4 * place)
            if progress:
                progress("upload pages", number + 1, len(pages))
        self._addresses = addresses
        self._first_cluster = np.full(len(pages), layout.NONE, np.int64)
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
