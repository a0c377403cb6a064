"""Bring what the frame drawn last left on the GPU to the host; each function waits for it."""

import numpy as np

from engine import layout
from engine.frame.context import Context
from engine.frame.queues import PHASES
from engine.frame.view import PYRAMID_SHARED_LEVEL, pyramid_offsets, pyramid_sizes
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


def read_shadow_maps(context: Context) -> np.ndarray:
    """Return (cascades, size, size) float32 reverse-Z depth, 0: nothing; ValueError without shadows."""
    maps = context.shadow_maps
    if maps is None:
        raise ValueError("there are no shadow maps without shadows; set shadow_cascades")
    depths = read_buffer(context.device, maps.samples, np.dtype(np.float32), maps.cascades * maps.map_size**2)
    return depths.reshape(maps.cascades, maps.map_size, maps.map_size)
