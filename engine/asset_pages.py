"""Read decoded pages: turn their streams back into arrays.

The bit-exact host twin of shaders/decode.wgsl; the streams are described at Cluster in layout.wgsl.
"""

from typing import NamedTuple

import numpy as np

from engine import layout

HEADER_WORDS = int(layout.CONSTANTS["PAGE_HEADER_WORDS"])
RECORD_WORDS = int(layout.CONSTANTS["CLUSTER_WORDS"])
MAX_TRIANGLES = int(layout.CONSTANTS["MAX_CLUSTER_TRIANGLES"])
STREAMS = ("ranges", "triangles", "positions", "normals", "uvs", "colors")


class ClusterGeometry(NamedTuple):
    """One decoded cluster of v vertices and t triangles."""

    positions: np.ndarray  # (v, 3) float32, object space of the mesh
    triangles: np.ndarray  # (t, 3) uint8
    normals: np.ndarray | None  # (v, 3) float32, unit
    uvs: np.ndarray | None  # (v, 2) float32
    colors: np.ndarray | None  # (v, 4) uint8
    material: np.ndarray  # (t,) uint32, material of the asset


def page_header(words: np.ndarray) -> np.ndarray:
    """Return the () layout.PAGE_HEADER of a page (w,) uint32."""
    return words[:HEADER_WORDS].view(layout.PAGE_HEADER)[0]


def page_clusters(words: np.ndarray) -> np.ndarray:
    """Return the (c,) layout.CLUSTER records of a page (w,) uint32."""
    count = int(page_header(words)["cluster_count"])
    return words[HEADER_WORDS : HEADER_WORDS + count * RECORD_WORDS].view(layout.CLUSTER)


def page_dependencies(words: np.ndarray) -> np.ndarray:
    """Return the pages (d,) uint32 that must be resident before this one."""
    header = page_header(words)
    first = int(header["dependency_word"])
    return words[first : first + int(header["dependency_count"])]


def page_room(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return views of a page (w,) uint32: its header (1,) layout.PAGE_HEADER and, as layout.CLUSTER records, all that
    may be one. Raises ValueError where no record fits.
    """
    room = (len(words) - HEADER_WORDS) // RECORD_WORDS
    if room < 1:
        raise ValueError("has a wrong size")
    records = words[HEADER_WORDS : HEADER_WORDS + room * RECORD_WORDS]
    return words[:HEADER_WORDS].view(layout.PAGE_HEADER), records.view(layout.CLUSTER)


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a read-only view: kernels are compiled for one kind of array."""
    view = array.view()
    view.flags.writeable = False
    return view


def stream_words(clusters: np.ndarray) -> np.ndarray:
    """Return the words (c, 6) int64 of each stream of the records (c,), in the order of STREAMS."""
    vertices, triangles, flags, widths, ranges = unpack_records(clusters)
    constants = layout.CONSTANTS
    words = np.zeros((len(clusters), 6), np.int64)
    words[:, 0] = ranges
    words[:, 1] = (3 * triangles + 3) // 4
    words[:, 2] = (vertices * widths[:, :3].sum(axis=1) + 31) // 32
    words[:, 3] = np.where(flags & constants["CLUSTER_HAS_NORMALS"], (vertices + 1) // 2, 0)
    uvs = 2 + (vertices * widths[:, 3:].sum(axis=1) + 31) // 32
    words[:, 4] = np.where(flags & constants["CLUSTER_HAS_UVS"], uvs, 0)
    words[:, 5] = np.where(flags & constants["CLUSTER_HAS_COLORS"], vertices, 0)
    return words


def unpack_records(clusters: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return (vertices, triangles, flags, widths (c, 5), ranges) of layout.CLUSTER records (c,), int64."""
    counts, bits = clusters["counts"].astype(np.int64), clusters["bits"].astype(np.int64)
    widths = bits[:, None] >> np.array([0, 5, 10, 15, 20]) & 31
    return counts & 255, counts >> 8 & 255, counts >> 24, widths, bits >> 25


def read_bits(words: np.ndarray, first: int, count: int, widths: np.ndarray) -> np.ndarray:
    """Return (count, k) int64 values of the bit stream at words[first], each row holding k values of `widths` bits."""
    widths = np.asarray(widths, dtype=np.uint64)
    size = int(widths.sum())
    part = np.zeros((count * size + 31) // 32 + 1, np.uint64)
    part[:-1] = words[first : first + len(part) - 1]
    starts = np.cumsum(widths) - widths
    bit = np.arange(count, dtype=np.uint64)[:, None] * np.uint64(size) + starts
    word = np.minimum((bit >> np.uint64(5)).astype(np.int64), len(part) - 1)
    pair = part[word] | part[np.minimum(word + 1, len(part) - 1)] << np.uint64(32)
    return (pair >> (bit & np.uint64(31)) & ((np.uint64(1) << widths) - np.uint64(1))).astype(np.int64)


def decode_normals(packed: np.ndarray) -> np.ndarray:
    """Return (n, 3) float32 unit normals of octahedral pairs (n, 2) int8."""
    n = np.zeros((len(packed), 3))
    n[:, :2] = np.maximum(packed / 127.0, -1.0)
    n[:, 2] = 1.0 - np.abs(n[:, 0]) - np.abs(n[:, 1])
    fold = np.minimum(n[:, 2:], 0.0)
    n[:, :2] += np.where(n[:, :2] >= 0.0, fold, -fold)
    return (n / np.linalg.norm(n, axis=1, keepdims=True)).astype(np.float32)


def decode_cluster(words: np.ndarray, place: int, step: float, uv_step: float) -> ClusterGeometry:
    """Return the geometry of the cluster at `place` of a checked page (w,) uint32; the steps are the mesh's."""
    cluster = page_clusters(words)[place : place + 1]
    vertices, triangles, flags, widths, ranges = (part[0] for part in unpack_records(cluster))
    sizes = stream_words(cluster)[0]
    start = HEADER_WORDS + place * RECORD_WORDS + int(cluster["data"][0])
    starts = start + np.cumsum(sizes) - sizes
    material = _materials(words[start : start + ranges])
    indices = words.view(np.uint8)[4 * starts[1] : 4 * starts[1] + 3 * triangles].reshape(-1, 3)
    lattice = cluster["origin"] + read_bits(words, starts[2], vertices, widths[:3])
    positions = lattice.astype(np.float32) * np.float32(step)
    normals = uvs = colors = None
    constants = layout.CONSTANTS
    if flags & constants["CLUSTER_HAS_NORMALS"]:
        normals = decode_normals(words.view(np.int8)[4 * starts[3] :][: 2 * vertices].reshape(-1, 2))
    if flags & constants["CLUSTER_HAS_UVS"]:
        origin = words[starts[4] : starts[4] + 2].view(np.int32)
        uvs = (origin + read_bits(words, starts[4] + 2, vertices, widths[3:])).astype(np.float32) * np.float32(uv_step)
    if flags & constants["CLUSTER_HAS_COLORS"]:
        colors = words[starts[5] : starts[5] + vertices].view(np.uint8).reshape(-1, 4)
    return ClusterGeometry(positions, indices, normals, uvs, colors, material)


def _materials(ranges: np.ndarray) -> np.ndarray:
    """Return the material of each triangle from the range words."""
    ends = (ranges & 255).astype(np.int64)
    return np.repeat(ranges >> 8, np.diff(ends, prepend=0))
