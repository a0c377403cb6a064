"""Bring what the frame drawn last left on the GPU to the host; each function waits for it."""

from typing import NamedTuple

import numpy as np

from engine import layout
from engine.frame import init_context
from engine.frame.context import Context
from engine.frame.queues import PHASES
from engine.frame.view import PYRAMID_SHARED_LEVEL, ViewResources, pyramid_offsets, pyramid_sizes
from engine.gpu.buffers import read_buffer


def read_image(context: Context) -> np.ndarray:
    """Return the image, (height, width, 4) uint8 sRGB."""
    width, height = context.view.size
    words = read_buffer(context.device, context.view.resources["image"], np.dtype(np.uint32), width * height)
    return words.view(np.uint8).reshape(height, width, 4).copy()


def read_visibility(context: Context) -> np.ndarray:
    """Return the visibility buffer, (height, width) uint64: depth bits above identity."""
    width, height = context.view.size
    buffer = context.view.resources["visibility"]
    return read_buffer(context.device, buffer, np.dtype(np.uint64), width * height).reshape(height, width)


def read_depth_pyramid(context: Context) -> list[np.ndarray]:
    """Return the depth pyramid left for the next frame: float32 levels, from level 1 on.

    Level k has (ceil(height / 2^k), ceil(width / 2^k)) cells of the farthest reverse-Z depth. Raises ValueError if
    the frame was drawn without occlusion.
    """
    if not context.use_occlusion:
        raise ValueError("there is no depth pyramid without occlusion; set occlusion")
    size, buffer = context.view.size, context.view.resources["pyramid"]
    words = read_buffer(context.device, buffer, np.dtype(np.float32), buffer.size // 4)
    offsets, _ = pyramid_offsets(size)
    levels = []
    for level, (width, height) in enumerate(pyramid_sizes(size)[1:], start=1):
        start = int(offsets[level]) + (width * height if level >= PYRAMID_SHARED_LEVEL else 0)
        levels.append(words[start : start + width * height].reshape(height, width).copy())
    return levels


def read_visible_clusters(context: Context) -> np.ndarray:
    """Return what was drawn, sorted: (n, 2) uint32 of instance slot and scene-wide cluster."""
    resources = context.queues.resources
    states = read_buffer(context.device, resources["states"], layout.PASS_STATE, len(PHASES))
    count = min(int(states["visible_clusters"].sum()), context.queues.capacities.clusters)
    entries = read_buffer(context.device, resources["visible_clusters"], layout.VISIBLE_CLUSTER, count)
    instances = entries["view_instance"] & np.uint32((1 << layout.CONSTANTS["INSTANCE_BITS"]) - 1)
    pairs = np.stack([instances, context.scene_buffers.cluster_index(entries["address"])], axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


class InstanceTree(NamedTuple):
    """The tree that culling walks."""

    nodes: np.ndarray  # layout.NODE
    order: np.ndarray  # (instances,) int64: slots as the last nodes list them
    seeds: tuple[int, int]  # first and number of the nodes whose children are tested first


def instance_tree(context: Context) -> InstanceTree:
    """Return the instance tree and where the traversal of the camera's view begins."""
    return InstanceTree(*context.scene_buffers.instance_tree(), init_context.seeds(context))


def drawn_view(context: Context) -> np.ndarray:
    """Return the layout.VIEW record () that was drawn with, which says whether there was a depth pyramid before it."""
    assert isinstance(context.view, ViewResources), "the camera's, not shadow maps"
    return context.view.previous_view.copy()


class Sample(NamedTuple):
    """What a pixel shows."""

    slot: int  # of the instance
    cluster: int  # scene-wide
    triangle: int  # of the cluster
    depth: float  # reverse-Z: engine.camera says how to make a distance of it


def read_sample(context: Context, x: int, y: int) -> Sample | None:
    """Return what a pixel shows, or None where that is nothing; reads 16 bytes. ValueError outside the image."""
    width, height = context.view.size
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(f"pixel {x}, {y} lies outside an image of {width} x {height}")
    visibility, words = context.view.resources["visibility"], np.dtype(np.uint32)
    name, depth = read_buffer(context.device, visibility, words, 2, 8 * (y * width + x))
    if depth == 0:
        return None
    triangle_bits = (layout.CONSTANTS["MAX_CLUSTER_TRIANGLES"] - 1).bit_length()
    place = int(name) >> triangle_bits & ((1 << layout.CONSTANTS["PLACE_BITS"]) - 1)
    entries = context.queues.resources["visible_clusters"]
    offset = place * layout.VISIBLE_CLUSTER.itemsize
    [entry] = read_buffer(context.device, entries, layout.VISIBLE_CLUSTER, 1, offset)
    slot = int(entry["view_instance"]) & ((1 << layout.CONSTANTS["INSTANCE_BITS"]) - 1)
    [cluster] = context.scene_buffers.cluster_index(entry["address"].reshape(1))
    triangle = int(name) & ((1 << triangle_bits) - 1)
    return Sample(slot, int(cluster), triangle, float(depth.view(np.float32)))


def read_shadow_maps(context: Context) -> np.ndarray:
    """Return (cascades, size, size) float32 reverse-Z depth, 0: nothing; ValueError without shadows."""
    maps = context.shadow_maps
    if maps is None:
        raise ValueError("there are no shadow maps without shadows; set shadow_cascades")
    depths = read_buffer(context.device, maps.samples, np.dtype(np.float32), maps.cascades * maps.map_size**2)
    return depths.reshape(maps.cascades, maps.map_size, maps.map_size)
