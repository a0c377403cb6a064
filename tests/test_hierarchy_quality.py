"""tools/hierarchy_quality.py: distances and claims whose right answer is known."""

import json

import numpy as np
import pytest

from engine.builder import build
from engine.settings import BuildSettings
from tools import hierarchy_quality, make_mesh
from tools.surface_samples import distances, make_surface, spread_points


def square(height, size=1.0):
    corners = np.array([[0, 0, height], [size, 0, height], [size, size, height], [0, size, height]], float)
    return corners[[[0, 1, 2], [0, 2, 3]]]


def grid_file(path, height, side=60):
    """Write a flat square of 2 side^2 triangles with its diagonal 1."""
    faces = make_mesh._grid_faces(side, side)
    x, y = np.meshgrid(np.linspace(0, 1, side + 1), np.linspace(0, 1, side + 1), indexing="ij")
    positions = np.stack([x, y, np.full_like(x, height)], axis=-1).reshape(-1, 3) / np.sqrt(2.0)
    lines = [f"v {a:.9g} {b:.9g} {c:.9g}" for a, b, c in positions] + ["f {} {} {}".format(*f) for f in faces + 1]
    path.write_text("\n".join(lines))
    return path


def test_distances_are_exact_and_name_the_nearest_triangle():
    generator = np.random.default_rng(0)
    corners = generator.uniform(-100, 100, (700, 1, 3)) + generator.uniform(-5, 5, (700, 3, 3))
    surface = make_surface(corners)
    assert np.array_equal(surface.corners, corners[surface.order])
    points = generator.uniform(-120, 120, (50, 3))
    found, nearest = distances(surface, points)
    grid = np.array([(a, b, 60 - a - b) for a in range(61) for b in range(61 - a)]) / 60.0
    dense = np.einsum("gk,tkx->tgx", grid, surface.corners)
    for point, distance, triangle in zip(points, found, nearest, strict=True):
        every = np.linalg.norm(dense - point, axis=2).min(axis=1)
        assert every.min() - 0.2 <= distance <= every.min() + 1e-3
        assert every[triangle] <= distance + 0.2


def test_points_spread_by_area():
    surface = make_surface(np.concatenate([square(0.0), square(5.0, 3.0)]))
    points, place = spread_points(surface, 1000, np.random.default_rng(0))
    assert np.count_nonzero(points[:, 2] > 2.5) == pytest.approx(900, abs=2)
    assert np.allclose(points[:, 2], surface.corners[place, 0, 2])
    assert (spread_points(make_surface(np.ones((3, 3, 3))), 9, np.random.default_rng(0))[0] == 1.0).all()


def test_claims_against_known_distances():
    distance = np.concatenate([np.arange(1, 1001) / 1000.0, np.arange(1, 1001) / 500.0])
    group = np.repeat([0, 1], 1000)
    waiting = np.array([5.0, 5.0]), np.array([-1, -1])
    ways = tuple(np.concatenate(pair) for pair in zip((distance, group), waiting, strict=True))
    result = hierarchy_quality.claim_measures((ways[0],) * 2, (ways[1],) * 2, np.array([1.5 * 0.995, 1.8, 9.0]))
    assert result["within_from_source"] == pytest.approx(95.0)
    assert result["groups"] == 2
    assert result["below_p99"] == result["below_p99.5"] == pytest.approx(50.0)
    assert result["claimed_to_true"] == pytest.approx((1.5 + 1.8 / 1.99) / 2)
    assert result["worst"] == pytest.approx(1.8 / 1.99)


def test_a_moved_source_is_as_far_away_as_it_was_moved(tmp_path, capsys):
    path, moved = grid_file(tmp_path / "flat.obj", 0.0), grid_file(tmp_path / "moved.obj", 0.02 * np.sqrt(2.0))
    build([path], tmp_path / "flat.mlith", BuildSettings())
    for mesh, expected in ((path, 0.0), (moved, 2000.0)):
        arguments = [str(tmp_path / "flat.mlith"), str(mesh), "--json", "--samples", "20000"]
        assert hierarchy_quality.main(arguments) == 0
        rows = json.loads(capsys.readouterr().out)["rows"]
        assert rows[0]["triangles"] == 7200
        assert len({row["triangles"] for row in rows}) > 3
        for row in rows:
            away = [row[name] for name in ("mean", "rms_from_source", "rms_to_source", "p99", "max")]
            assert away == pytest.approx([expected] * 5, rel=0.01, abs=60.0), "a lattice cell is 27 long"
            if row["groups"]:
                within = [row["within_from_source"], row["within_to_source"]]
                assert within == pytest.approx([100.0 if expected == 0.0 else 0.0] * 2, abs=0.05)


def test_thresholds_draw_at_most_the_triangles_asked_for(sample_asset, sample_mesh, capsys):
    files = [str(sample_asset("terrain", 20000)), str(sample_mesh("terrain", 20000))]
    arguments = ["--thresholds", "--triangles", "9000,2500", "--samples", "20000", "--json"]
    assert hierarchy_quality.main(files + arguments) == 0
    fine, coarse = json.loads(capsys.readouterr().out)["rows"]
    assert 5000 < fine["triangles"] <= 9000
    assert 1000 < coarse["triangles"] <= 2500
    assert fine["rms"] < coarse["rms"]
    assert fine["claim_max"] - fine["threshold"] < 30.0, "a group is drawn where its claim is accepted"
    assert hierarchy_quality.main([*files, "--thresholds", "--threshold", "0", "--samples", "2000", "--markdown"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert len({line.count("|") for line in table}) == 1
    assert len(table) == 3


def test_meshes_with_fewer_levels_stay_in_every_cut(sample_mesh, tmp_path, capsys):
    files = [sample_mesh("sphere", 300), sample_mesh("sphere", 3000)]
    build(files, tmp_path / "two.mlith", BuildSettings())
    arguments = [str(tmp_path / "two.mlith"), *map(str, files), "--json", "--levels", "--samples", "2000"]
    assert hierarchy_quality.main(arguments) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) > 3
    large = [row for row in rows if row["triangles"] >= 256]  # of both; a few triangles are farther from a sphere
    assert len(large) > 2
    assert all(row["rms"] < 3000.0 for row in large), "both are measured, each against its own source"


def test_a_wrong_mesh_is_one_clear_line(sample_asset, tmp_path, capsys):
    assert hierarchy_quality.main([str(sample_asset("terrain", 5000)), str(tmp_path / "none.obj")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


# What meshoptimizer's clusterlod.h v1.2 draws without attributes at a uniform threshold: triangles and their rms.
YARDSTICK = {
    "happy_fused_1m.ply": {127057: 8.5, 58976: 19.0},
    "terrain_andes_720k.ply": {126999: 8.5, 41608: 17.0},
    "cave_595k.glb": {87806: 3.4, 15106: 15.0},
    "lucy_100k.ply": {28084: 17.0, 5602: 71.0},
    "armadillo_86k.obj": {42196: 13.0, 5392: 78.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", YARDSTICK)
def test_scans_are_nearer_than_the_yardstick_and_claims_are_true(name, meshes, tmp_path, capsys):
    if meshes is None:
        pytest.skip("no meshes")
    path, yardstick = meshes / "scans" / name, YARDSTICK[name]
    build([path], tmp_path / "scan.mlith", BuildSettings())
    triangles = ",".join(str(count) for count in yardstick)
    arguments = [str(tmp_path / "scan.mlith"), str(path), "--json", "--triangles", triangles]
    assert hierarchy_quality.main(arguments) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    for row, (count, rms) in zip(rows[-2:], yardstick.items(), strict=True):
        assert row["cut"] == f"{count} triangles"
        assert row["triangles"] <= count
        assert row["rms"] <= 0.8 * rms
    for row in rows[1:-2]:
        assert min(row["within_from_source"], row["within_to_source"]) >= 99.0, row["cut"]
        assert row["claimed_to_true"] is None or row["claimed_to_true"] <= 2.0, row["cut"]
