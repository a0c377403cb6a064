"""The compiled decoder: the words of its numpy twin, and no harm from bytes that no encoder wrote.

With NUMBA_BOUNDSCHECK=1, and a NUMBA_CACHE_DIR of its own, an index outside its array is an IndexError here.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import zstandard

from engine.asset import open_asset
from engine.builder.page_encoder import compress_page
from engine.builder.pages import encode_mesh
from engine.page_codec import COLUMN_LIMIT, NAMES, STREAM_COUNT, decode_page
from engine.settings import BuildSettings
from tests import page_twin
from tests.builder.sample_hierarchy import STEP, sample_hierarchy


def stored_pages(path: Path) -> list[tuple[np.ndarray, int]]:
    """Return (content, number of words) of every page of an asset."""
    asset, pages = open_asset(path), []
    for entry in asset.page_table:
        stored = asset._data[int(entry["offset"]) : int(entry["offset"]) + int(entry["stored_bytes"])]
        content = zstandard.ZstdDecompressor().decompress(stored.data)
        pages.append((np.frombuffer(content, np.uint8), int(entry["word_count"])))
    return pages


def small_pages() -> list[tuple[np.ndarray, int]]:
    """Return (content, number of words) of pages with and without every column, of several materials, and of soups."""
    found = []
    for level, options in ((4, {}), (4, {"uvs": True, "colors": True}), (3, {"uvs": True}), (3, {"colors": True})):
        mesh = encode_mesh(
            sample_hierarchy(level, **options), STEP, np.zeros(3), np.zeros(3, np.uint32), BuildSettings()
        )
        for first, end in zip(mesh.page_word[:-1], mesh.page_word[1:]):
            content = zstandard.ZstdDecompressor().decompress(compress_page(mesh.words[first:end], 3))
            found.append((np.frombuffer(content, np.uint8), int(end - first)))
    return found


def streams_of(content: np.ndarray) -> list[np.ndarray]:
    sizes = content[: 4 * STREAM_COUNT].view(np.uint32)
    ends = 4 * STREAM_COUNT + np.cumsum(sizes, dtype=np.int64)
    return [content[end - size : end].copy() for size, end in zip(sizes.tolist(), ends.tolist())]


def joined(streams: list[np.ndarray]) -> np.ndarray:
    sizes = np.array([len(stream) for stream in streams], np.uint32).view(np.uint8)
    return np.concatenate([sizes, *streams])


def mutate(content: np.ndarray, random: np.random.Generator) -> tuple[str, np.ndarray]:
    """Return (the stream that was changed, the bytes) of one lie or accident."""
    kind = random.choice(["bytes", "cut", "stream", "size", "extreme"], p=[0.1, 0.05, 0.5, 0.15, 0.2])
    if kind == "cut":
        return kind, content[: random.integers(len(content))]
    if kind == "bytes":
        changed = content.copy()
        changed[random.integers(len(content), size=random.integers(1, 6))] = random.integers(256)
        return kind, changed
    streams = streams_of(content)
    filled = [number for number, stream in enumerate(streams) if len(stream)]
    number = int(random.integers(STREAM_COUNT)) if kind == "size" else int(random.choice(filled))
    stream = streams[number]
    if kind == "size":
        more = random.integers(0, 256, random.integers(1, 9)).astype(np.uint8)
        streams[number] = random.choice(np.array([stream[: -random.integers(1, 9)], np.append(stream, more)], object))
    elif kind == "extreme":
        first = int(random.integers(len(stream)))
        stream[first : first + int(2 ** random.uniform(0, 8))] = random.choice([0, 1, 63 << 2, 127, 128, 255])
    else:
        for place in random.integers(len(stream), size=random.integers(1, 4)):
            stream[place] = random.choice(
                [random.integers(256), int(stream[place]) ^ (1 << random.integers(8)), 0, 255]
            )
    return (*NAMES, *["column"] * COLUMN_LIMIT)[number], joined(streams).astype(np.uint8)


def fuzz(seeds: range) -> Counter:
    """Decode a mutated page for each seed with both decoders; return how often each (stream, outcome) occurred."""
    pages, counts = small_pages(), Counter()
    for seed in seeds:
        random = np.random.default_rng(seed)
        content, word_count = pages[random.integers(len(pages))]
        name, changed = mutate(content, random)
        words = twin = None
        try:
            words = decode_page(changed, word_count)
        except ValueError as error:
            assert "damaged" not in str(error)
        with np.errstate(all="ignore"):
            try:
                twin = page_twin.decode_page(changed, word_count)
            except ValueError:
                twin = None
        assert words is None or np.array_equal(words, twin), f"seed {seed}: {name}"
        counts[name, "taken" if words is not None else "refused" if twin is None else "refused by one"] += 1
    return counts


@pytest.mark.parametrize("name", ["sphere", "terrain", "parts"])
def test_the_words_of_the_twin(name, sample_asset):
    for content, word_count in stored_pages(sample_asset(name)):
        words = decode_page(content, word_count)
        assert not words.flags.writeable
        assert np.array_equal(words, page_twin.decode_page(content, word_count))


def test_the_words_of_the_twin_with_every_column():
    pages = small_pages()
    assert len({len(streams_of(content)[-1]) > 0 for content, _ in pages}) == 2
    for content, word_count in pages:
        assert np.array_equal(decode_page(content, word_count), page_twin.decode_page(content, word_count))


def test_mutated_streams():
    counts = fuzz(range(1500))
    by_outcome = Counter(outcome for (_, outcome), count in counts.items() for _ in range(count))
    assert by_outcome["refused"] > 300
    assert by_outcome["taken"] > 100
    assert by_outcome["refused by one"] < 0.1 * by_outcome.total()


@pytest.mark.slow
def test_many_mutated_streams():
    counts = fuzz(range(10_000, 60_000))
    assert {name for name, outcome in counts if outcome == "refused"} >= {*NAMES, "column", "cut", "bytes"}


def test_a_wrong_number_of_words_is_refused():
    content, word_count = small_pages()[0]
    for wrong in (0, 7, 19, 20, word_count - 1, word_count + 1, 3 * word_count):
        with pytest.raises(ValueError, match=r"has|is"):
            decode_page(content, wrong)


def test_damage_is_named():
    content, word_count = small_pages()[0]
    with pytest.raises(ValueError, match="is too short"):
        decode_page(content[:50], word_count)
    with pytest.raises(ValueError, match="streams of a wrong size"):
        decode_page(content[:-1], word_count)
    for number, damage, text in (
        (NAMES.index("header"), slice(0, 4), "wrong header"),
        (NAMES.index("trees"), slice(0, 1), "material ranges"),
        (NAMES.index("triangles"), slice(None), "no tree holds"),
        (NAMES.index("roots"), slice(0, 1), "vertex that is not there"),
    ):
        streams = streams_of(content)
        streams[number][damage] = 0 if text != "vertex that is not there" else 9
        with pytest.raises(ValueError, match=text):
            decode_page(joined(streams), word_count)
