"""Welding: lattice, seams, bad faces, normals."""

import numpy as np
import pytest

from engine.builder.normals import _angle
from engine.builder.source import SourceMesh, sort_pairs, unique_rows
from engine.builder.threads import limited_threads
from engine.builder.weld import LATTICE_LIMIT, choose_lattice, weld
from engine.settings import BuildSettings
from tools import make_mesh

SETTINGS = BuildSettings()
CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
CUBE_FACES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
        [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ],
    np.int32,
)  # fmt: skip


def source(positions, faces, normals=None, uvs=None, colors=None, material=None) -> SourceMesh:
    faces = np.asarray(faces, np.int32)
    material = np.zeros(len(faces), np.int32) if material is None else np.asarray(material, np.int32)
    return SourceMesh("test", np.asarray(positions, float), faces, normals, uvs, colors, material)


def welded(mesh, settings=SETTINGS, two_sided=None):
    step, origins = choose_lattice([mesh], settings)
    return weld(mesh, step, origins[0], settings, two_sided)


def positions_of(result) -> np.ndarray:
    return result.lattice * result.step + result.origin


def border_edges(result) -> int:
    """Edges that an odd number of faces use."""
    faces = result.vertex_position[result.faces]
    edges = np.sort(np.stack([faces, np.roll(faces, -1, 1)], 2).reshape(-1, 2), axis=1)
    return int((np.unique(edges, axis=0, return_counts=True)[1] % 2).sum())


def test_unique_rows_numbers_in_order_of_appearance():
    rows = np.random.default_rng(1).integers(-3, 3, (2000, 3)).astype(np.int32)
    number, first = unique_rows(rows)
    assert np.array_equal(rows[first][number], rows)
    assert len(first) == len(np.unique(rows, axis=0))
    assert (np.diff(first) > 0).all()


def test_sort_pairs_sorts_by_key_then_value():
    random = np.random.default_rng(2)
    keys, values = random.integers(0, 20, 500), random.permutation(500).astype(np.int32)
    expected = sorted(zip(keys.tolist(), values.tolist(), strict=True))
    sort_pairs(keys, values, 500)
    assert list(zip(keys.tolist(), values.tolist(), strict=True)) == expected


def test_cube_gets_a_normal_for_each_side():
    result = welded(source(CUBE, CUBE_FACES))
    assert len(result.lattice) == 8
    assert len(result.vertex_position) == 24
    assert len(result.faces) == 12
    normals = result.attributes[result.faces][:, :, :3]
    corners = positions_of(result)[result.vertex_position[result.faces]]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.allclose(normals, (flat / np.linalg.norm(flat, axis=1)[:, None])[:, None])
    assert result.computed_normals


def test_angles_are_near_the_true_ones():
    angles = np.linspace(1e-6, np.pi - 1e-6, 1001)
    found = [_angle.py_func(3.0 * np.sin(angle), 3.0 * np.cos(angle)) for angle in angles]
    assert np.abs(found - angles).max() < 1e-7


def test_crease_angle_is_obeyed():
    smooth = welded(source(CUBE, CUBE_FACES), BuildSettings(crease_degrees=120.0))
    assert len(smooth.vertex_position) == 8
    assert np.allclose(smooth.attributes, (CUBE - 0.5)[_order(smooth)] / np.sqrt(0.75), atol=1e-6)


def _order(result) -> np.ndarray:
    return np.array([np.abs(CUBE - point).sum(1).argmin() for point in positions_of(result)[result.vertex_position]])


def test_sphere_is_smooth_and_within_half_a_step():
    positions, faces = make_mesh.sphere(5000)
    result = welded(source(positions, faces))
    assert len(result.vertex_position) == len(positions) == len(result.lattice)
    assert np.abs(positions_of(result) - positions).max() <= result.step * 0.5
    radial = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    assert ((result.attributes[:, :3] * radial[: len(result.attributes)]).sum(1) > 0.99).all()
    assert border_edges(result) == 0


def test_soup_of_separate_triangles_is_joined():
    positions, faces = make_mesh.sphere(3000)
    soup = source(positions[faces].reshape(-1, 3), np.arange(3 * len(faces)).reshape(-1, 3))
    result = welded(soup)
    assert len(result.lattice) == len(positions)
    assert len(result.faces) == len(faces)
    assert border_edges(result) == 0


def test_attribute_seams_keep_their_vertices():
    uvs = np.zeros((8, 2), np.float32)
    positions = np.concatenate([CUBE, CUBE])
    faces = CUBE_FACES.copy()
    faces[6:] += 8
    uvs = np.concatenate([uvs, uvs + 1])
    colors = np.full((16, 4), 255, np.uint8)
    normals = np.tile(np.array([0, 0, 2], np.float32), (16, 1))
    result = welded(source(positions, faces, normals, uvs, colors))
    assert len(result.lattice) == 8
    assert result.attributes.shape[1] == 9
    assert result.has_uvs
    assert result.has_colors
    used = set(faces.ravel().tolist())
    assert len(result.vertex_position) == len(used)
    assert np.allclose(result.attributes[:, :3], [0, 0, 1])
    assert set(result.attributes[:, 3]) == {0.0, 1.0}
    assert (result.attributes[:, 5:] == 1.0).all()
    same = welded(source(positions, faces, normals, np.zeros((16, 2), np.float32), colors))
    assert len(same.vertex_position) == 8


def test_seams_and_creases_combine():
    uvs = CUBE[:, :2].astype(np.float32)
    result = welded(source(CUBE, CUBE_FACES, None, uvs))
    assert len(result.vertex_position) == 24
    assert np.allclose(result.attributes[:, 3:], positions_of(result)[result.vertex_position][:, :2])


def test_broken_normals_are_replaced():
    normals = np.tile(np.array([0, 1, 0], np.float32), (4, 1))
    normals[1] = np.nan
    normals[2] = 0
    flat = source([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]], normals)
    result = welded(flat)
    expected = [[0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0]]
    assert np.allclose(result.attributes, expected)
    assert not result.computed_normals


def test_degenerate_and_duplicate_faces_are_counted():
    faces = np.concatenate([CUBE_FACES, CUBE_FACES[:2, [1, 2, 0]], [[0, 0, 1]], CUBE_FACES[2:3, ::-1]])
    result = welded(source(CUBE, faces))
    assert result.dropped == {"degenerate": 1, "duplicate": 3}
    assert len(result.faces) == 12
    one_sided = welded(source(CUBE, faces), two_sided=np.array([False]))
    assert one_sided.dropped == {"degenerate": 1, "duplicate": 2}
    assert len(one_sided.faces) == len(one_sided.face_material) == 13


def test_large_fans_are_judged_alike():
    count = 300
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ring = np.stack([np.cos(angle), np.zeros(count), np.sin(angle)], 1)
    positions = np.concatenate([[[0, 0.2, 0]], ring])
    place = np.arange(count)
    faces = np.stack([np.zeros(count, int), 1 + (place + 1) % count, 1 + place], 1)
    result = welded(source(positions, np.concatenate([faces, faces[:50, [1, 2, 0]], faces[:20, ::-1]])))
    assert result.dropped == {"degenerate": 0, "duplicate": 70}
    assert len(result.vertex_position) == count + 1  # smooth everywhere, the tip included
    split = welded(source(positions, faces), BuildSettings(crease_degrees=0.5))
    assert len(split.vertex_position) > count + 1


def test_folded_thin_parts_stay_closed():
    """A closed flat part thinner than a step must neither vanish nor open."""
    thin = CUBE * [1, 1, 1e-4]
    positions = np.concatenate([CUBE + np.array([3.0, 0, 0]), thin])
    result = welded(source(positions, np.concatenate([CUBE_FACES, CUBE_FACES + 8])))
    assert border_edges(result) == 0
    assert len(result.faces) == 16


def test_unused_vertices_vanish_with_their_faces():
    positions = np.concatenate([CUBE, [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]])
    result = welded(source(positions, np.concatenate([CUBE_FACES, [[8, 9, 0]]])))
    assert len(result.lattice) == 8
    assert set(result.vertex_position.tolist()) == set(range(8))


def test_only_degenerate_faces_are_refused():
    with pytest.raises(ValueError, match="no triangle with an area"):
        welded(source([[0, 0, 0], [1, 0, 0], [0, 0, 0]], [[0, 1, 2]]))


def test_one_lattice_for_all_meshes():
    positions, faces = make_mesh.sphere(2000)
    small, large = source(positions * 0.01, faces), source(positions * 50 + [1e6, 2e6, -3e6], faces)
    step, origins = choose_lattice([small, large], SETTINGS)
    assert np.log2(step) == np.round(np.log2(step))
    edge = np.linalg.norm((small.positions[faces] - small.positions[np.roll(faces, 1, 1)]).reshape(-1, 3), axis=1)
    assert step <= np.median(edge) / 64 < 2 * step
    for mesh, origin in zip((small, large), origins, strict=True):
        assert np.array_equal(np.rint(origin / step) * step, origin)
        result = weld(mesh, step, origin, SETTINGS)
        assert np.abs(result.lattice).max() < LATTICE_LIMIT
        assert np.abs(positions_of(result)[result.vertex_position] - mesh.positions).max() <= 0.51 * step


def test_step_is_raised_for_what_is_too_large():
    positions, faces = make_mesh.sphere(2000)
    report = {}
    meshes = [source(positions * 1e-4, faces), source(positions * 1e6, faces)]
    step, origins = choose_lattice(meshes, SETTINGS, report)
    assert report["lattice_raised"]["step"] == step > report["lattice_raised"]["wanted"]
    assert np.abs(weld(meshes[1], step, origins[1], SETTINGS).lattice).max() < LATTICE_LIMIT


def test_number_of_threads_changes_nothing():
    positions, faces = make_mesh.parts(4000)
    mesh = source(positions, faces)
    several = welded(mesh)
    with limited_threads(1):
        one = welded(mesh)
    for name in ("lattice", "vertex_position", "attributes", "faces", "face_material"):
        assert np.array_equal(getattr(one, name), getattr(several, name))
