"""Decode stored pages: from what zstandard gives back to the words that the GPU reads.

A stored page says nothing twice. Its streams, each of bytes, large numbers split into planes from the low byte up:

    sizes       of the streams below, uint32 each
    header      page header and list of dependencies, as in the page
    records     per cluster: made_by and group (differences, 4 planes each), level, flags, material ranges
    materials   per range: difference from the one before, 4 planes
    trees       per range: trees
    triangles   has left child | has right child << 1 | code of the third corner << 2
    far         distances of the corners whose code is FAR
    roots       codes of the first and second corner of each root, 2 planes
    copies      per copied vertex: difference from the one before, 2 planes: which owned vertex of the page
    columns     of the owned vertices: x, y, z, then normal, UV, colour as far as there: what prediction missed

Triangles. Those of a material range stand in trees, across edges, breadth first. A triangle (a, b, c) was entered by
its edge ab; its children are entered by cb (left) and ac (right). All trees of a page are stored together, roots
first, then wave by wave: the flags alone tell who is whose child (level-order unary degree sequence; Jacobson,
"Space-efficient static trees and graphs", 1989). Vertices are numbered by first use in their cluster; a corner is a
code: OWNED and COPIED are new vertices, others count back from the newest (as in Gumhold and Strasser, "Real time
compression of triangle mesh connectivity", 1998, without a border to replay). Codes and the numbers of vertices go
tree by tree.

Vertices. A copied vertex is the same in all columns as an owned one before it, mostly of another cluster. An owned one
differs from the parallelogram over the edge it was reached by (Touma and Gotsman, "Triangle mesh compression", 1998),
as far as owned vertices of earlier waves span it; else from one of those, else from the last owned vertex of its root
or of the roots before. Owned vertices of roots differ from one another. Columns hold those of roots first, then wave
by wave. Boxes, widths and places of clusters follow from the vertices.

page_decoder.py and page_words.py are the compiled loops; numba is imported with the first page.
"""

import threading
from functools import cache
from typing import Any

import numpy as np

from engine import layout
from engine.asset_pages import page_room, read_only

NAMES = ("header", "records", "materials", "trees", "triangles", "far", "roots", "copies")
HEADER, RECORDS, MATERIALS, TREES, TRIANGLES, DISTANCES, ROOTS, COPIES, COLUMNS = range(
    len(NAMES) + 1
)  # of the streams
_NORMALS, _UVS, _COLORS = (int(layout.CONSTANTS[f"CLUSTER_HAS_{name}"]) for name in ("NORMALS", "UVS", "COLORS"))
HAS_COLUMNS = _NORMALS | _UVS | _COLORS
COLUMN_FLAGS = (0, 0, 0, _NORMALS, _NORMALS, _UVS, _UVS, _COLORS, _COLORS, _COLORS, _COLORS)  # clusters that have it
WIDE = (True, True, True, False, False, True, True, False, False, False, False)  # columns of more than 8 bits
COLUMN_LIMIT = len(COLUMN_FLAGS)
STREAM_COUNT = len(NAMES) + COLUMN_LIMIT
RECORD_PLANES = 11
OWNED, COPIED = 0, 1  # codes of new vertices; others are 1 + how far to count back
FAR = 63  # code of a third corner whose distance stands in `far`
DEEPEST = 20  # triangles from the root of a tree to a leaf, as the builder makes them: a longer way predicts no better

# What can be wrong with a page, by the number that the kernels return.
PROBLEMS = (
    "",
    "is too short",
    "has streams of a wrong size",
    "has a wrong header",
    "has clusters of different kinds",
    "has triangles that no tree holds",
    "has wrong material ranges",
    "has an empty or too large cluster",
    "has a triangle with a vertex that is not there",
    "has a copy of a vertex that is not there",
    "has a wrong size",
)
(
    FINE,
    TOO_SHORT,
    STREAM_SIZES,
    WRONG_HEADER,
    MIXED_KINDS,
    LOOSE_TRIANGLES,
    WRONG_RANGES,
    CLUSTER_SIZE,
    WRONG_VERTEX,
    WRONG_COPY,
    WRONG_SIZE,
) = range(len(PROBLEMS))


def column_numbers(flags: int) -> list[int]:
    """Return which of the COLUMN_LIMIT columns clusters of these CLUSTER_* flags have."""
    return [number for number, needed in enumerate(COLUMN_FLAGS) if flags & needed == needed]


class _Scratch(threading.local):
    """What one thread decodes in, page after page: memory that is new each time would cost a third as much again."""

    def __init__(self) -> None:
        self.room = np.empty(0, np.uint32)


_SCRATCH = _Scratch()


def decode_page(content: np.ndarray, word_count: int) -> np.ndarray:
    """Return the words (w,) uint32 of the page in `content` (n,) uint8, read-only; raises ValueError."""
    words = np.zeros(word_count, np.uint32)
    arguments, kernel = (read_only(content), words, *page_room(words)), _kernel()
    problem = kernel(*arguments, _SCRATCH.room)
    if problem < 0:
        _SCRATCH.room = np.empty(-problem, np.uint32)
        words[:] = 0
        problem = kernel(*arguments, _SCRATCH.room)
    if problem:
        raise ValueError(PROBLEMS[problem])
    words.flags.writeable = False
    return words


@cache
def _kernel() -> Any:
    """Compile the decoder; a function, so that importing this module stays cheap."""
    from engine import kernel_cache, page_decoder

    kernel_cache.log_compilation(page_decoder.decode, "reads assets")
    return page_decoder.decode
