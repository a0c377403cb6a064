"""The maker of test meshes."""

import numpy as np
import pytest

from engine.builder.meshfile import read_mesh_file
from tools import make_mesh


def directed_edges(faces):
    return np.stack([faces, np.roll(faces, -1, 1)], 2).reshape(-1, 2)


def assert_closed(faces):
    """Every directed edge exists once, and so does its opposite."""
    edges = directed_edges(faces).astype(np.int64)
    keys, opposite = edges[:, 0] << 32 | edges[:, 1], edges[:, 1] << 32 | edges[:, 0]
    assert len(np.unique(keys)) == len(keys)
    assert np.array_equal(np.sort(keys), np.sort(opposite))


def volume(positions, faces):
    a, b, c = (positions[faces[:, corner]] for corner in range(3))
    return float((np.cross(a, b) * c).sum() / 6.0)


@pytest.mark.parametrize("triangles", [12, 300, 20000])
def test_sphere(triangles):
    positions, faces = make_mesh.sphere(triangles)
    assert abs(len(faces) - triangles) <= 0.1 * triangles
    assert np.allclose(np.linalg.norm(positions, axis=1), 1.0)
    assert_closed(faces)
    assert volume(positions, faces) > (4.0 if triangles > 100 else 1.0)


def test_terrain_faces_up_and_is_seeded():
    positions, faces = make_mesh.terrain(5000, seed=3)
    assert abs(len(faces) - 5000) < 200
    a, b, c = (positions[faces[:, corner]] for corner in range(3))
    assert (np.cross(b - a, c - a)[:, 1] > 0).all()
    assert np.ptp(positions[:, 1]) > 1.0
    assert np.array_equal(make_mesh.terrain(5000, seed=3)[0], positions)
    assert not np.array_equal(make_mesh.terrain(5000, seed=4)[0], positions)


def test_parts_are_closed_and_face_outwards():
    positions, faces = make_mesh.parts(6000)
    assert abs(len(faces) - 6000) < 600
    assert_closed(faces)
    assert volume(positions, faces) > 0


def test_foliage_is_cards():
    positions, faces, uvs = make_mesh.foliage(2000)
    assert faces.shape == (2000, 3)
    assert len(positions) == 4000 == len(uvs)
    assert uvs.min() == 0.0
    assert uvs.max() == 1.0
    sides = np.linalg.norm(np.diff(positions.reshape(-1, 4, 3), axis=1), axis=2)
    assert np.allclose(sides, 0.15)


def test_subdivide_keeps_closed_closed():
    positions, faces = make_mesh.sphere(300)
    soup = positions[faces].reshape(-1, 3), np.arange(3 * len(faces)).reshape(-1, 3)
    fine, fine_faces = make_mesh.subdivide(*soup, times=2, displacement=0.2)
    assert len(fine_faces) == 16 * len(faces)
    assert_closed(fine_faces)
    assert len(fine) == len(fine_faces) // 2 + 2
    flat, flat_faces = make_mesh.subdivide(positions, faces, times=1)
    assert np.isclose(volume(flat, flat_faces), volume(positions, faces))
    assert not np.isclose(volume(fine, fine_faces), volume(positions, faces), rtol=1e-6)


@pytest.mark.parametrize("triangles", [100, 500])
def test_decimate_keeps_closed_closed_and_the_shape(triangles):
    positions, faces = make_mesh.sphere(3000)
    soup = positions[faces].reshape(-1, 3) + 7.0, np.arange(3 * len(faces)).reshape(-1, 3)
    few, few_faces = make_mesh.decimate(*soup, triangles=triangles)
    assert triangles - 2 <= len(few_faces) <= triangles
    assert_closed(few_faces)
    assert len(few) == len(few_faces) // 2 + 2
    assert np.linalg.norm(few - 7.0, axis=1) == pytest.approx(1.0, abs=0.05)
    assert volume(few, few_faces) == pytest.approx(volume(positions, faces), rel=0.06)
    with pytest.raises(ValueError, match="one at least"):
        make_mesh.decimate(*soup, triangles=0)


@pytest.mark.parametrize("kind", ["sphere", "terrain", "parts", "foliage"])
@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_files_are_read_back(kind, suffix, tmp_path):
    path = tmp_path / f"{kind}{suffix}"
    assert make_mesh.main([kind, "--triangles", "800", "-o", str(path)]) == 0
    positions, faces, *uvs = getattr(make_mesh, kind)(800)
    scene = read_mesh_file(path)
    mesh = scene.meshes[0]
    assert np.array_equal(mesh.faces, faces)
    assert np.allclose(mesh.positions, positions, atol=1e-4)
    assert (mesh.uvs is not None) == bool(uvs)
    if uvs:
        assert np.allclose(mesh.uvs, uvs[0], atol=1e-6)


def test_subdivide_on_the_command_line(tmp_path, capsys):
    first, second = tmp_path / "a.glb", tmp_path / "b.ply"
    make_mesh.main(["sphere", "--triangles", "200", "-o", str(first)])
    assert make_mesh.main(["subdivide", str(first), "--times", "2", "-o", str(second)]) == 0
    assert len(read_mesh_file(second).meshes[0].faces) == 16 * len(read_mesh_file(first).meshes[0].faces)
    assert make_mesh.main(["decimate", str(second), "--triangles", "300", "-o", str(second)]) == 0
    assert 298 <= len(read_mesh_file(second).meshes[0].faces) <= 300
    assert make_mesh.main(["sphere", "-o", str(tmp_path / "a.xyz")]) == 1
    assert "cannot write" in capsys.readouterr().err
