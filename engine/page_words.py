"""Put the words of a page together, as the GPU reads them, from triangles and vertices that are already known.

Boxes, widths and places of the clusters are found here: they follow from the vertices.
"""

from typing import NamedTuple

import numpy as np

from engine import asset_pages, layout
from engine.asset_pages import HEADER_WORDS, RECORD_WORDS

WIDE = (True, True, True, False, False, True, True, False, False, False, False)  # columns of more than 8 bits
_MAX_VERTICES = int(layout.CONSTANTS["MAX_CLUSTER_VERTICES"])


class PageContent(NamedTuple):
    """A page of c clusters, t triangles and v vertices, in the order of the clusters.

    Columns of vertices are numbered: x, y, z; 3, 4: normal; 5, 6: UV; 7 to 10: colour. WIDE ones have more than 8 bits.
    """

    header: np.ndarray  # uint32: page header and list of dependencies
    records: np.ndarray  # (c,) layout.CLUSTER: made_by, group, counts, index, and bits.ranges
    ranges: np.ndarray  # (r,) uint32: material ranges
    corners: list[np.ndarray]  # three (t,) int32: vertices, numbered over the page
    columns: dict[int, np.ndarray]  # (v,) int32 each; of narrow ones the low byte counts
    first_vertex: np.ndarray  # (c + 1,) int64
    first_triangle: np.ndarray  # (c + 1,) int64


class _Field(NamedTuple):
    """A wide column: values (v,) and, by cluster, their least, their extent (c,) int32, the bits of that (c,) int64."""

    values: np.ndarray
    low: np.ndarray
    extent: np.ndarray
    width: np.ndarray


def write_page(page: PageContent, word_count: int) -> np.ndarray:
    """Return the words (w,) uint32; completes page.records. Raises ValueError where they are not as many as told."""
    header, records, columns = page.header, page.records, page.columns
    first, vertices = page.first_vertex[:-1], np.diff(page.first_vertex)
    fields = {number: _field(columns[number], first) for number in columns if WIDE[number]}
    records["origin"] = np.stack([fields[k].low for k in range(3)], axis=1)
    records["extent"] = np.stack([fields[k].extent for k in range(3)], axis=1)
    for place, field in enumerate(fields.values()):
        records["bits"] |= field.width.astype(np.uint32) << np.uint32(5 * place)
    sizes = asset_pages.stream_words(records)
    records_end = HEADER_WORDS + len(records) * RECORD_WORDS
    total = sizes.sum(axis=1)
    data = records_end + len(header) - HEADER_WORDS + np.cumsum(total) - total
    if data[-1] + total[-1] != word_count:
        raise ValueError("has a wrong size")
    records["data"] = data - HEADER_WORDS - np.arange(len(records)) * RECORD_WORDS
    words = np.zeros(word_count + 3, np.uint32)  # _or_bits may touch those behind
    words[:HEADER_WORDS] = header[:HEADER_WORDS]
    words[HEADER_WORDS:records_end] = records.view(np.uint32)
    words[records_end : data[0]] = header[HEADER_WORDS:]
    starts = (data[:, None] + np.cumsum(sizes, axis=1) - sizes).T
    words[runs(starts[0], sizes[:, 0])] = page.ranges
    _write_triangles(words, starts[1], page)
    _write_bits(words, starts[2], first, vertices, [fields[k] for k in range(3)])
    if 3 in columns:
        pairs = np.stack([columns[3], columns[4]], axis=1).astype(np.uint8).view(np.uint16)[:, 0]
        words.view(np.uint16)[runs(2 * starts[3], vertices)] = pairs
    if 5 in columns:
        words[starts[4]], words[starts[4] + 1] = fields[5].low.view(np.uint32), fields[6].low.view(np.uint32)
        _write_bits(words, starts[4] + 2, first, vertices, [fields[5], fields[6]])
    if 7 in columns:
        colors = np.stack([columns[k] for k in range(7, 11)], axis=1).astype(np.uint8).view(np.uint32)[:, 0]
        words[runs(starts[5], vertices)] = colors
    return words[:word_count]


def _field(values: np.ndarray, first: np.ndarray) -> _Field:
    low = np.minimum.reduceat(values, first)
    extent = np.maximum.reduceat(values, first) - low
    return _Field(values, low, extent, np.frexp(extent.astype(np.float64))[1].astype(np.int64))


def runs(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return starts[i] ... starts[i] + counts[i] - 1 of all i, one after the other."""
    return np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))


def _write_triangles(words: np.ndarray, starts: np.ndarray, page: PageContent) -> None:
    counts = np.diff(page.first_triangle)
    base = np.repeat(page.first_vertex[:-1].astype(np.int32), counts)
    place = 3 * np.arange(len(base)) + np.repeat(4 * starts - 3 * page.first_triangle[:-1], counts)
    octets = words.view(np.uint8)
    for corner in page.corners:
        local = corner - base
        if local.min() < 0 or local.max() > _MAX_VERTICES:
            raise ValueError("has a triangle with a vertex of another cluster")
        octets[place] = local.astype(np.uint8)
        place += 1


def _write_bits(
    words: np.ndarray, starts: np.ndarray, first: np.ndarray, vertices: np.ndarray, fields: list[_Field]
) -> None:
    """Write one bit stream for each cluster, a value of each field for each vertex."""
    size = sum(field.width for field in fields)
    place = np.arange(int(vertices.sum())) * np.repeat(size, vertices) + np.repeat(32 * starts - first * size, vertices)
    if size.max() > 63:
        for field in fields:
            _or_bits(words, place, field.values.astype(np.int64) - np.repeat(field.low, vertices), 32)
            place += np.repeat(field.width, vertices)
        return
    low, joined, shift = fields[0].low.astype(np.int64), fields[0].values.astype(np.int64), fields[0].width
    for field in fields[1:]:
        low += field.low.astype(np.int64) << shift
        joined += field.values.astype(np.int64) << np.repeat(shift, vertices)
        shift = shift + field.width
    _or_bits(words, place, joined - np.repeat(low, vertices), int(size.max()))


def _or_bits(words: np.ndarray, place: np.ndarray, values: np.ndarray, bits: int) -> None:
    """Add the values (v,) int64 of at most so many bits to the words, still zero there, from these bits on."""
    word, shift = place >> 5, (place & 31).view(np.uint64)
    half = np.uint64(32)
    low = (values & 0xFFFFFFFF).view(np.uint64) << shift
    high = (values.view(np.uint64) >> half) << shift
    np.add.at(words, word, low.astype(np.uint32))
    np.add.at(words, word + 1, ((low >> half) | high).astype(np.uint32))
    if bits > 33:
        np.add.at(words, word + 2, (high >> half).astype(np.uint32))
