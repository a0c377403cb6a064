"""The bytes of a page on disk: its words sorted by stream, triangles as small numbers, one zstandard block a stream.

A triangle corner is stored as (vertices used before it) - (its vertex) in its cluster: 0 is a new vertex, because
vertices are numbered by first use, and neighbours give small numbers. What the GPU reads is put together again here.
"""

import numpy as np
import zstandard

from engine import asset_pages
from engine.asset_pages import HEADER_WORDS, RECORD_WORDS, STREAMS

_TRIANGLES = STREAMS.index("triangles")


def compress_page(words: np.ndarray, level: int) -> bytes:
    """Return the stored bytes of a page (w,) uint32 at this level of zstandard."""
    start = _data_start(words)
    places, sizes = _stream_order(words, start)
    parts = np.split(words[places], np.cumsum(sizes.sum(axis=0))[:-1])
    parts[_TRIANGLES] = _count_back(parts[_TRIANGLES].view(np.uint8), 4 * sizes[:, _TRIANGLES])
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=False).compressobj(size=words.nbytes)
    stored = []
    for part in (words[:start], *parts):
        if len(part):
            stored.append(compressor.compress(part.view(np.uint8).data))
            stored.append(compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))  # a table of its own
    stored.append(compressor.flush())
    return b"".join(stored)


def decompress_page(stored: np.ndarray, word_count: int) -> np.ndarray:
    """Return the words (w,) uint32 of a page, read-only; raise ValueError where the bytes cannot be a page."""
    try:
        if zstandard.frame_content_size(stored.data) != 4 * word_count:
            raise ValueError("has a wrong size")
        sorted_words = np.frombuffer(zstandard.ZstdDecompressor().decompress(stored.data), np.uint32)
    except zstandard.ZstdError as error:
        raise ValueError(f"is damaged ({error})") from None
    start = _data_start(sorted_words)
    places, sizes = _stream_order(sorted_words, start)
    first, end = sizes[:, :_TRIANGLES].sum(), sizes[:, : _TRIANGLES + 1].sum()
    words = np.empty_like(sorted_words)
    words[:start] = sorted_words[:start]
    words[places] = sorted_words[start:]
    corners = _count_forth(sorted_words[start + first : start + end].view(np.uint8), 4 * sizes[:, _TRIANGLES])
    words[places[first:end]] = corners
    words.flags.writeable = False
    return words


def _data_start(words: np.ndarray) -> int:
    """Return where the streams begin; header, records and dependencies before them stay in place."""
    if len(words) < HEADER_WORDS:
        raise ValueError("is too short")
    header = asset_pages.page_header(words)
    records_end = HEADER_WORDS + int(header["cluster_count"]) * RECORD_WORDS
    start = int(header["dependency_word"]) + int(header["dependency_count"])
    if int(header["dependency_word"]) != records_end or start > len(words) or header["cluster_count"] == 0:
        raise ValueError("has a wrong header")
    return start


def _stream_order(words: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (places, sizes): the words of the page from `start` on in stored order, and the words (c, 6) of streams.

    Needs the records only. Raises ValueError where the clusters do not fill the page one after the other.
    """
    clusters = asset_pages.page_clusters(words)
    sizes = asset_pages.stream_words(clusters)
    total = sizes.sum(axis=1)
    first = start + np.cumsum(total) - total
    data = clusters["data"].astype(np.int64) + HEADER_WORDS + np.arange(len(clusters)) * RECORD_WORDS
    if first[-1] + total[-1] != len(words) or (data != first).any():
        raise ValueError("has clusters that do not fill it")
    starts = (first[:, None] + np.cumsum(sizes, axis=1) - sizes).T.ravel()
    counts = sizes.T.ravel()
    before = np.cumsum(counts) - counts
    places = np.repeat(starts - before, counts) + np.arange(int(counts.sum()))
    return places, sizes


def _count_back(corners: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return corners (n,) uint8 as distances from the number of vertices used before them, as words."""
    cluster = np.repeat(np.arange(len(sizes), dtype=np.int32) << 8, sizes)
    used = np.maximum.accumulate(corners + cluster) + 1
    before = np.zeros(len(corners), np.uint8)
    before[1:] = used[:-1]
    before[np.cumsum(sizes) - sizes] = 0
    return (before - corners).view(np.uint32)


def _count_forth(distances: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the words of the corners that `_count_back` gave as `distances` (n,) uint8; all modulo 256."""
    new = (distances == 0).view(np.uint8)
    before = np.cumsum(new, dtype=np.uint8)
    before -= new
    before -= np.repeat(before[np.cumsum(sizes) - sizes], sizes)
    before -= distances
    return before.view(np.uint32)
