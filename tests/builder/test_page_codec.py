"""Stored pages: they come back word for word, are small, and damage is a ValueError."""

import dataclasses

import numpy as np
import pytest
import zstandard

from engine import page_codec
from engine.asset_pages import page_clusters
from engine.asset_storage import decompress_page
from engine.builder.page_encoder import compress_page, encode_page
from engine.builder.pages import encode_mesh
from engine.page_codec import NAMES, decode_page
from engine.settings import BuildSettings
from tests import page_twin
from tests.builder.sample_hierarchy import STEP, sample_hierarchy

FLAGS = np.zeros(3, np.uint32)


def pages_of(hierarchy, settings: BuildSettings | None = None) -> tuple[list[np.ndarray], int]:
    mesh = encode_mesh(hierarchy, STEP, np.zeros(3), FLAGS, settings or BuildSettings())
    return [mesh.words[i:j] for i, j in zip(mesh.page_word[:-1], mesh.page_word[1:])], mesh.source_triangles


def content_of(page: np.ndarray) -> np.ndarray:
    return np.frombuffer(zstandard.ZstdDecompressor().decompress(compress_page(page, 3)), np.uint8)


def check_round_trip(pages: list[np.ndarray]) -> None:
    for page in pages:
        words = decompress_page(np.frombuffer(compress_page(page, 3), np.uint8), len(page))
        assert np.array_equal(words, page)
        assert not words.flags.writeable


@pytest.mark.parametrize("colors", [False, True])
@pytest.mark.parametrize("uvs", [False, True])
def test_pages_come_back(uvs, colors):
    check_round_trip(pages_of(sample_hierarchy(5, uvs=uvs, colors=colors))[0])


def test_pages_of_soups_come_back():
    hierarchy = sample_hierarchy(4, soup=True)
    first = hierarchy.cluster_first_face
    keep = np.arange(len(hierarchy.faces)) - np.repeat(first[:-1], np.diff(first)) < 80
    counts = np.minimum(np.diff(first), 80)
    fields = {"faces": hierarchy.faces[keep], "face_material": hierarchy.face_material[keep]}
    hierarchy = dataclasses.replace(hierarchy, **fields, cluster_first_face=np.append(0, np.cumsum(counts)))
    check_round_trip(pages_of(hierarchy)[0])


def test_faces_at_edges_of_three_and_faces_turned_over_come_back():
    hierarchy = sample_hierarchy(4)
    random = np.random.default_rng(3)
    turned = random.random(len(hierarchy.faces)) < 0.3
    hierarchy.faces[turned] = hierarchy.faces[turned][:, ::-1]
    hierarchy.faces[1::50] = hierarchy.faces[0::50][: len(hierarchy.faces[1::50])]
    check_round_trip(pages_of(hierarchy)[0])


def test_offsets_of_more_than_64_bits_come_back():
    hierarchy = sample_hierarchy(3)
    hierarchy.lattice[:] *= 2**13
    pages, _ = pages_of(hierarchy)
    bits = max(int((page_clusters(page)["bits"] & 31).max()) for page in pages)
    assert bits > 21
    check_round_trip(pages)


def test_trees_are_shallow_and_few():
    pages, _ = pages_of(sample_hierarchy(5))
    for page in pages:
        named = dict(zip(NAMES, encode_page(page)))
        trees = page_twin._grow(named["triangles"][0], int(named["trees"][0].sum()))
        assert len(trees.ends) <= page_codec.DEEPEST + 1
    assert trees.ends[0] < 0.06 * len(trees.tree)  # the last page is of level 0


def test_vertices_are_stored_once_in_a_page():
    page = pages_of(sample_hierarchy(5))[0][-1]
    vertices = int((page_clusters(page)["counts"] & 255).sum())
    streams = encode_page(page)
    copies, owned = len(streams[NAMES.index("copies")][0]), len(streams[len(NAMES)][0])
    assert copies + owned == vertices
    assert copies > 0.1 * vertices


def test_level_0_of_a_smooth_mesh_takes_few_bytes():
    page = pages_of(sample_hierarchy(5))[0][-1]
    triangles = int((page_clusters(page)["counts"] >> 8 & 255).sum())
    assert len(compress_page(page, 3)) < 3.0 * triangles


@pytest.mark.parametrize("level", [1, 9, 15, 16, 22])
def test_every_level_of_compression_comes_back(level):
    page = pages_of(sample_hierarchy(4))[0][0]
    stored = np.frombuffer(compress_page(page, level), np.uint8)
    assert np.array_equal(decompress_page(stored, len(page)), page)
    assert len(stored) < 0.6 * page.nbytes


def test_damage_is_a_value_error():
    page = pages_of(sample_hierarchy(4, uvs=True, colors=True))[0][-1]
    content = content_of(page)
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(3000):
        damaged = content.copy()
        where = random.integers(0, len(content) if random.random() < 0.5 else 400, random.integers(1, 4))
        damaged[where] = random.integers(0, 256, len(where))
        if random.random() < 0.1:
            damaged = damaged[: random.integers(0, len(damaged))]
        try:
            assert len(decode_page(damaged, len(page))) == len(page)
        except ValueError:
            refused += 1
    assert refused > 300


def test_what_is_no_page_is_refused():
    page = pages_of(sample_hierarchy(3))[0][0].copy()
    page_clusters(page)["data"][0] += 1
    with pytest.raises(ValueError, match="one after the other"):
        compress_page(page, 3)
