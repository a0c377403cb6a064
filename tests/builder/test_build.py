"""From mesh files to an asset: the report, the same bytes always, and one clear line for what cannot be built."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from engine import layout
from engine.asset import open_asset
from engine.builder import build
from engine.settings import BuildSettings
from tests.builder.sample_hierarchy import sphere


def write_obj(path: Path, points: np.ndarray, faces: np.ndarray, name: str = "shape") -> Path:
    lines = [f"o {name}", *(f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in points)]
    lines += [f"f {a} {b} {c}" for a, b, c in faces + 1]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    points, faces = sphere(5)
    bumps = points * (1.0 + 0.05 * np.sin(9 * points[:, :1]) * np.cos(7 * points[:, 1:2]))
    write_obj(folder / "bumps.obj", bumps, faces)
    write_obj(folder / "small.obj", points[:6] + 4.0, sphere(0)[1])
    write_obj(folder / "flat.obj", points[:6] * [0.0, 1.0, 1.0], np.array([[0, 1, 0], [0, 1, 1]]))
    return folder


@pytest.fixture(scope="module")
def built(folder: Path) -> tuple[Path, dict, list]:
    stages: list[tuple[str, int, int]] = []
    report = build([folder / "bumps.obj"], folder / "bumps.mlith", progress=lambda *step: stages.append(step))
    return folder / "bumps.mlith", report, stages


def test_the_asset_holds_the_mesh(built):
    asset = open_asset(built[0])
    assert asset.source_triangles == 8 * 4**5
    assert asset.mesh_triangles["stored"][0] > 1.5 * asset.source_triangles
    clusters = asset.clusters()
    source = clusters[clusters["made_by"] == layout.NONE]
    assert ((source["counts"] >> 8 & 255).sum()) == asset.source_triangles
    assert len(asset.instances) == 1
    low, high = asset.bounds()
    # levels of a few triangles may stand out by 4 % of the diagonal, the source clusters by a lattice step
    assert np.allclose(low, -1, atol=0.2)
    assert np.allclose(high, 1, atol=0.2)
    assert asset.metadata["sources"] == ["bumps.obj"]
    assert asset.metadata["settings"]["cluster_triangles"] == 128


def test_a_closed_mesh_ends_in_one_root_cluster(built):
    asset = open_asset(built[0])
    root = asset.groups[asset.groups["geometric_error"] >= np.float32(layout.CONSTANTS["ROOT_ERROR"])]
    assert (root["place"] >> 16 & 255).tolist() == [1]
    assert asset.groups["page"][0] == 0
    assert built[1]["root_clusters"] == 1


def test_positions_are_the_file_s_within_half_a_step(built, folder):
    asset = open_asset(built[0])
    points = np.loadtxt(folder / "bumps.obj", usecols=(1, 2, 3), skiprows=1, max_rows=4098)
    step = float(asset.meshes["step"][0])
    known = set(map(tuple, np.rint((points - asset.mesh_origins[0]) / step).astype(int).tolist()))
    for number in np.flatnonzero(asset.clusters()["made_by"] == layout.NONE)[::7]:
        positions = asset.cluster_geometry(int(number)).positions
        assert set(map(tuple, np.rint(positions / step).astype(int).tolist())) <= known


def test_report(built):
    path, report, stages = built
    json.dumps(report)
    assert report["file_bytes"] == path.stat().st_size
    assert report["bytes_per_triangle"]["file"] == pytest.approx(path.stat().st_size / report["source_triangles"])
    assert report["bytes_per_triangle"]["file"] < report["bytes_per_triangle"]["pages"] + 2
    assert report["dropped"] == {"degenerate": 0, "duplicate": 0}
    assert report["levels"][0]["triangles"] == report["source_triangles"]
    for level in report["levels"]:
        assert {"clusters", "fill", "triangles", "groups", "stuck", "geometric_error_max"} <= set(level)
    assert {"read", "weld", "hierarchy", "pages", "compress", "write"} <= set(report["seconds"])
    assert report["peak_memory_bytes"] > 1 << 20
    assert stages[-1][1] == stages[-1][2]
    assert all(0 <= done <= total for _, done, total in stages)


def test_the_same_bytes_with_any_number_of_threads(built, folder, tmp_path):
    build([folder / "bumps.obj"], tmp_path / "again.mlith", threads=1)
    assert (tmp_path / "again.mlith").read_bytes() == built[0].read_bytes()


def test_settings_change_the_asset(folder, tmp_path):
    settings = BuildSettings(cluster_triangles=64, page_bytes=16384, scale=0.5)
    report = build([folder / "bumps.obj"], tmp_path / "a.mlith", settings)
    asset = open_asset(tmp_path / "a.mlith")
    assert (asset.clusters()["counts"] >> 8 & 255).max() <= 64
    assert 4 * asset.page_table["word_count"].max() <= 16384
    assert report["pages"] > 10
    # coarse levels may stand out a little; the source clusters may not
    clusters = asset.clusters()
    source = clusters[clusters["made_by"] == layout.NONE]
    step = float(asset.meshes["step"][0])
    high = (source["origin"] + source["extent"].astype(np.int64)).max(axis=0) * step + asset.mesh_origins[0]
    lines = (line.split()[1:] for line in (folder / "bumps.obj").read_text().splitlines() if line.startswith("v "))
    assert np.allclose(high, 0.5 * np.array(list(lines), float).max(axis=0), atol=step)
    assert np.allclose(asset.bounds()[1], high, atol=0.08)


def test_several_files_keep_their_places(folder, tmp_path):
    report = build([folder / "small.obj", folder / "bumps.obj"], tmp_path / "both.mlith")
    asset = open_asset(tmp_path / "both.mlith")
    assert len(asset.meshes) == len(asset.instances) == 2
    assert asset.mesh_triangles["source"].tolist() == [8, 8 * 4**5]
    assert asset.nodes[asset.meshes["root_node"][0]]["child_count"] == 0
    assert np.allclose(asset.bounds()[1], 5.0, atol=0.01)
    assert np.unique(asset.meshes["step"]).size == 1
    assert len(report["meshes"]) == 2
    assert report["levels"][0]["triangles"] >= 8 * 4**5


def test_a_mesh_without_area_is_left_out_with_a_note(folder, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    report = build([folder / "flat.obj", folder / "small.obj"], tmp_path / "a.mlith")
    asset = open_asset(tmp_path / "a.mlith")
    assert len(asset.meshes) == 1
    assert asset.instances["mesh"].tolist() == [0]
    assert len(report["skipped"]) == 1
    assert asset.metadata["skipped"] == report["skipped"]
    assert [record.message for record in caplog.records] == [f"{report['skipped'][0]}; it is left out"]


def test_a_mesh_is_not_left_out_twice(folder, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    with pytest.raises(ValueError, match="no triangle with an area is left"):
        build([folder / "flat.obj"], tmp_path / "a.mlith")
    assert not caplog.records  # the error says it


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["flat.obj"], "flat.obj"),
        (["missing.obj"], "missing.obj"),
        (["bumps.obj", "missing.obj"], "missing.obj"),
        ([], "file"),
    ],
)
def test_what_cannot_be_built_leaves_the_old_asset(folder, tmp_path, inputs, message):
    output = tmp_path / "a.mlith"
    output.write_bytes(b"old")
    with pytest.raises(ValueError, match=message) as error:
        build([folder / name for name in inputs], output)
    assert "\n" not in str(error.value)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_an_error_of_progress_stops_the_build(folder, tmp_path):
    def stop(stage: str, done: int, total: int) -> None:
        if stage == "build":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build([folder / "bumps.obj"], tmp_path / "a.mlith", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_wrong_threads(folder, tmp_path):
    with pytest.raises(ValueError, match="threads is 0"):
        build([folder / "small.obj"], tmp_path / "a.mlith", threads=0)


def test_compiling_is_said_once(caplog, tmp_path, folder):
    from numba import njit

    from engine.builder import _first_compilation_logged

    with caplog.at_level(logging.INFO, logger="engine"), _first_compilation_logged():
        for _ in range(2):
            assert njit(lambda x: x + 1)(1) == 2
    assert sum("compiling" in record.message for record in caplog.records) == 1


@pytest.mark.slow
def test_a_scan_of_a_million_triangles(meshes, tmp_path):
    if meshes is None:
        pytest.skip("no real meshes; set MICROLITH_MESHES")
    report = build([meshes / "scans" / "happy_fused_1m.ply"], tmp_path / "happy.mlith")
    assert report["bytes_per_triangle"]["file"] <= 7.2
    assert report["root_clusters"] <= 2
    open_asset(tmp_path / "happy.mlith").clusters()
