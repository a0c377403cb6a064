"""Silhouettes on a grid, and results of simplifications that get theirs back."""

import numpy as np
import pytest

from engine.builder.silhouette import covered_cells, match_silhouette, silhouette_reference
from tests.builder.sample_hierarchy import sphere

SCALE = 1000.0


def cube(size: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return places (8, 3) in lattice units and faces (12, 3) of a closed cube of edge 2 * size."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return np.rint(SCALE * size * corners), np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)


def reference_of(place: np.ndarray, faces: np.ndarray) -> np.ndarray:
    return silhouette_reference(place.astype(np.int32), np.arange(len(place), dtype=np.int32), faces)


def result_of(place: np.ndarray, faces: np.ndarray) -> tuple:
    """Return what simplify_group returns, of a mesh that it left alone."""
    marks = np.zeros(len(place), np.bool_)
    material, vertices = np.zeros(len(faces), np.int32), np.arange(len(place), dtype=np.int32)
    normals = np.zeros((len(place), 3), np.float32)
    return len(faces), faces, material, place.copy(), vertices, normals, marks, marks.copy(), 0.0


def cells_of(result: tuple, reference: np.ndarray) -> float:
    return covered_cells(result[3], result[4], result[1], reference)


def test_the_silhouette_of_a_cube():
    place, faces = cube()
    reference = reference_of(place, faces)
    cell = 2.0 * reference[6] / 64
    assert reference[:3] == pytest.approx(0.0)
    assert reference[3:6] == pytest.approx(SCALE)
    assert reference[6] == pytest.approx(SCALE * np.sqrt(3.0))
    expected = (3 * 4.0 + 6 * 4.0 * np.sqrt(2.0)) / 9 * SCALE**2  # seen along an axis, and along a diagonal of a side
    assert reference[7] * cell**2 == pytest.approx(expected, rel=0.04)


def test_what_is_seen_twice_counts_once():
    place, faces = cube()
    both, twice = np.concatenate([place, place]), np.concatenate([faces, faces + 8]).astype(np.int32)
    assert reference_of(both, twice)[7] == reference_of(place, faces)[7]


@pytest.mark.parametrize("size", [0.8, 1.2])
def test_a_sphere_swells_and_shrinks_back(size):
    points, faces = sphere(2)
    place, faces = np.rint(SCALE * points), faces.astype(np.int32)
    reference, result = reference_of(place, faces), result_of(np.rint(size * place), faces)
    before = abs(cells_of(result, reference) / reference[7] - 1.0)
    off = match_silhouette(np.rint(size * place), np.zeros(3), reference, result)
    assert before > 0.3
    assert off < 0.03
    assert off == pytest.approx(abs(cells_of(result, reference) / reference[7] - 1.0))
    assert (result[3] == np.rint(result[3])).all()
    assert result[6].any()
    assert result[7].any()


def test_places_count_from_the_origin_of_the_group():
    place, faces = cube()
    reference, origin = reference_of(place + 5000.0, faces), np.full(3, 5000.0)
    assert match_silhouette(place, origin, reference, result_of(place, faces)) == 0.0


def test_flat_parts_grow_about_their_centres():
    sheet = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    place = np.rint(SCALE * np.concatenate([sheet, *(sheet + away for away in ([3, 0, 0], [0, 3, 0], [3, 3, 0]))]))
    faces = (np.array([[0, 1, 2], [0, 2, 3]]) + 4 * np.arange(4)[:, None, None]).reshape(-1, 3).astype(np.int32)
    reference = reference_of(place, faces)
    centers = place.reshape(4, 4, 3).mean(axis=1).repeat(4, axis=0)
    small = np.rint(centers + 0.85 * (place - centers))
    result = result_of(small, faces)
    assert match_silhouette(small, np.zeros(3), reference, result) < 0.08
    assert result[3] == pytest.approx(place, abs=0.06 * SCALE)


def test_nothing_grows_far_out_of_the_box():
    place, faces = cube()
    reference, long = reference_of(place, faces), place * [1.0, 1.0, 3.0]
    result = result_of(long, faces)
    match_silhouette(long, np.zeros(3), reference, result)
    assert np.abs(result[3]).max() <= SCALE * (1.0 + 0.08 * np.sqrt(3.0)) + 1.0
