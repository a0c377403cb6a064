"""Baselines in an experiment: each is measured as the engine is, and what they draw is what they say."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from engine.__main__ import run
from engine.experiments.baseline import BASELINES
from engine.experiments.results import read_results

ROOT = Path(__file__).resolve().parents[2]
NAMES = [
    "engine",
    "no_occlusion",
    "levels",
    "clusters_frustum",
    "discrete_lods",
    "triangles_software",
    "triangles_hardware",
]
TEXT = """
scene = "{asset}"
instances = [1, 1, 6]
frames = 2
warm_up = 1
size = [96, 54]
check_every = 1
[[keyframes]]
eye = [0.0, 0.1, 11.0]
target = [0.0, 0.0, 0.0]
[[keyframes]]
eye = [0.1, 0.1, 11.0]
target = [0.0, 0.0, 0.0]
[settings]
error_pixels = 0.2
[sweep]
baseline = {names}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory, sample_asset, device):
    folder = tmp_path_factory.mktemp("baselines")
    path = folder / "e.toml"
    path.write_text(TEXT.format(asset=sample_asset("sphere"), names=NAMES), encoding="utf-8")
    assert run(["bench", str(path), "--json", str(folder / "r.jsonl"), "--csv", str(folder / "r.csv")]) == 0
    with (folder / "r.csv").open(encoding="utf-8") as stream:
        return read_results(folder / "r.jsonl"), list(csv.DictReader(stream))


def test_every_baseline_is_measured(results):
    measured, rows = results
    assert set(BASELINES) == set(NAMES)
    assert [one["baseline"] for one in measured.runs] == NAMES
    assert [(one["run"], one["frame"]) for one in measured.frames] == [
        (n, f) for n in range(len(NAMES)) for f in (0, 1)
    ]
    for row in rows:
        assert float(row["frame_ms"]) > 0 and int(row["triangles"]) > 0 and row["is_complete"] == "1"
    passes = {row["baseline"]: {name for name in row if name.startswith("main/") and row[name]} for row in rows}
    culled = {"main/flat_instances_ms", "main/flat_clusters_ms"}
    assert culled <= passes["clusters_frustum"] and culled <= passes["discrete_lods"]
    assert passes["triangles_hardware"] == {"main/draw_triangles_ms", "main/resolve_triangles_ms"}
    assert not any("cull" in name for name in passes["triangles_software"])
    assert "main/levels_cull_ms" in passes["levels"] and "main/cluster_cull_ms" in passes["engine"]


def test_they_draw_what_they_say(results):
    measured, _ = results
    sets = {(NAMES[one["run"]], one["frame"]): one for one in measured.sets}
    triangles = {
        (NAMES[one["run"]], one["frame"]): sum(one["statistics"]["triangles"].values()) for one in measured.frames
    }
    for frame in (0, 1):
        assert sets["engine", frame]["sha256"] == sets["levels", frame]["sha256"]
        assert sets["no_occlusion", frame]["sha256"] == sets["clusters_frustum", frame]["sha256"]
        assert sets["triangles_software", frame]["sha256"] == sets["triangles_hardware", frame]["sha256"]
        assert triangles["engine", frame] < triangles["no_occlusion", frame], "some are hidden"
        assert triangles["no_occlusion", frame] == triangles["clusters_frustum", frame]
        assert triangles["triangles_software", frame] == triangles["triangles_hardware", frame]
        assert triangles["discrete_lods", frame] < triangles["triangles_software", frame] == 6 * 4800


def test_nothing_of_them_is_loaded_for_the_engine():
    code = (
        "import sys, engine.renderer, engine.experiments.runner\n"
        "sys.exit(any('baselines' in name or 'mesh_kernel' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
