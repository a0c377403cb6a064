"""The experiments of tools/experiments run, with small meshes in place of the scans and terrains that they name."""

import re
import shutil
from pathlib import Path

import pytest

from engine.__main__ import run
from engine.builder import build
from engine.experiments.experiment import read_experiment
from engine.experiments.results import read_results
from engine.scene_file import read_scene_file

ROOT = Path(__file__).resolve().parents[2]
READY = sorted((ROOT / "tools" / "experiments").glob("*.toml"))


@pytest.fixture
def clone(tmp_path, sample_mesh, monkeypatch) -> Path:
    """A copy of the experiments and scenes, with a small sphere for every mesh and asset."""
    for part in ("tools/experiments", "assets/scenes"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("*.mlith"))
    monkeypatch.setenv("MICROLITH_MESHES", str(tmp_path / "meshes"))
    for name in re.findall(r'"([^"]+\.ply)"', "".join(path.read_text(encoding="utf-8") for path in READY)):
        parts = name.replace("$MICROLITH_MESHES", "meshes").replace("../", "")
        (tmp_path / parts).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample_mesh("sphere"), tmp_path / parts)
    return tmp_path


def test_there_is_one_for_each_question():
    assert {path.stem for path in READY} == {
        "baselines",
        "baselines_billion",
        "baselines_terrain",
        "bevy_dragons",
        "bvh_arity",
        "group_size",
        "hardware_threshold",
        "instances",
        "nanite_webgpu",
        "occlusion",
        "pass_times",
        "resolution",
        "tau",
        "traversal",
        "triangles",
    }


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_it_can_be_read_and_says_how_it_is_run(path, monkeypatch):
    monkeypatch.setenv("MICROLITH_MESHES", "somewhere")
    experiment = read_experiment(path)
    assert experiment.name == path.stem
    assert experiment.repeats >= 3
    assert f"microlith bench tools/experiments/{path.name} --json {path.stem}.jsonl" in path.read_text(encoding="utf-8")


def test_a_variable_that_is_not_set_is_one_clear_line(monkeypatch, capsys):
    monkeypatch.delenv("MICROLITH_MESHES", raising=False)
    assert run(["bench", str(ROOT / "tools" / "experiments" / "tau.toml")]) == 1
    line = capsys.readouterr().err
    assert "tau.toml: scene is '$MICROLITH_MESHES/" in line
    assert "the environment variable MICROLITH_MESHES is not set" in line


def test_an_asset_that_was_not_built_is_one_clear_line(clone, capsys):
    assert run(["bench", str(clone / "tools" / "experiments" / "bevy_dragons.toml"), "--quick"]) == 1
    line = capsys.readouterr().err
    assert "crowd_130000.toml: its asset happy_fused_1m.mlith is missing; the scene file says how to build it" in line


def build_assets(clone: Path, mesh: Path) -> None:
    """Build the assets that the scenes of the experiments name, from one mesh."""
    text = "".join(path.read_text(encoding="utf-8") for path in READY)
    for name in re.findall(r"assets/scenes/(\w+\.toml)", text):
        for asset in read_scene_file(clone / "assets" / "scenes" / name).asset_paths:
            if not asset.is_file():
                build([mesh], asset, threads=None, progress=lambda *_: None)


@pytest.mark.slow
@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_it_runs(path, clone, sample_mesh, device, capsys):
    build_assets(clone, sample_mesh("sphere"))
    out = clone / "out.jsonl"
    verify = [] if path.stem in ("bevy_dragons", "nanite_webgpu") else ["--verify"]  # the reference walks all instances
    assert run(["bench", str(clone / "tools" / "experiments" / path.name), "--quick", "--json", str(out), *verify]) == 0
    results = read_results(out)
    numbers = [one["run"] for one in results.runs]
    assert [(one["run"], one["frame"]) for one in results.frames] == [(n, f) for n in numbers for f in range(2)]
    assert all(one["statistics"]["is_complete"] for one in results.frames)
    assert all(one["clusters"] > 0 for one in results.sets)
    assert len(capsys.readouterr().out.splitlines()) > len(numbers)
