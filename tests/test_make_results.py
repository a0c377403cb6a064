"""tools/make_results.py runs experiments into a folder, makes what they lack, and says what failed."""

import shutil
import signal
import subprocess
import sys

import pytest

from engine.experiments.experiment import read_experiment
from engine.experiments.results import ResultFile, read_results
from tests.conftest import ROOT
from tests.experiments.test_results import MANIFEST, RUNS, frame
from tools import make_results

PARENT = """
import signal, sys
sys.path.insert(0, {root!r})
from tools import make_results
signal.signal(signal.SIGTERM, make_results._interrupt)
make_results.run([{child!r}], stdout=None)
"""
CHILD = """
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    print("runs", flush=True)
    time.sleep(60)
finally:
    pathlib.Path(__file__).with_name("tidy").touch()
"""


@pytest.fixture
def experiment(tmp_path, sample_asset):
    """A function that writes an experiment on a small asset and returns its file."""

    def write(name: str, scene: str | None = None, **entries: object):
        scene = scene or str(sample_asset("sphere"))
        lines = [f"{key} = {value!r}" for key, value in {"scene": scene, **entries}.items()]
        file = tmp_path / f"{name}.toml"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file

    return write


def test_experiments_are_run_and_drawn(tmp_path, experiment, capsys):
    good, bad = experiment("good"), experiment("bad", scene="nowhere.mlith")
    folder = tmp_path / "results"
    assert make_results.main([str(folder), str(bad), str(good), "--", "--quick"]) == 1
    printed = capsys.readouterr()
    assert "bad: failed" in printed.out and "failed: bad" in printed.err
    assert "nowhere.mlith" in (folder / "bad.txt").read_text(encoding="utf-8")
    results = read_results(folder / "good.jsonl")
    assert len(results.frames) == 2
    assert "## good" in (folder / "results.md").read_text(encoding="utf-8")
    assert make_results.main([str(tmp_path / "bare"), "--no-figures", str(good), "--", "--quick"]) == 0
    assert {path.name for path in (tmp_path / "bare").iterdir()} == {"good.jsonl", "good.txt"}


def test_refused_runs_of_many_are_counted(tmp_path):
    path = tmp_path / "r.jsonl"
    with ResultFile(path, MANIFEST, RUNS) as file:
        file.refuse(1, 0, "too large")
        assert make_results.what_failed(path) == "failed"
        file.add(0, 0, [frame(0, 0, 0)])
    assert make_results.what_failed(path) == "1 of 2 runs refused"
    assert make_results.what_failed(tmp_path / "nowhere.jsonl") == "failed"


def test_an_unknown_experiment_is_one_line_and_nothing_is_run(tmp_path, capsys):
    folder = tmp_path / "results"
    assert make_results.main([str(folder), "tow"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "tow.toml" in line and "traversal" in line
    assert not folder.exists()


def test_what_is_missing_is_made_in_order(tmp_path, experiment, monkeypatch):
    """A recipe that needs the product of another one comes after it; what is there is left alone."""
    monkeypatch.setattr(make_results, "ROOT", tmp_path)
    shutil.copytree(make_results.EXPERIMENTS.parent.parent / "assets" / "scenes", tmp_path / "assets" / "scenes")
    crowd = experiment("crowd", scene="assets/scenes/bunnies_250000.toml")
    for path in (tmp_path / "assets" / "scenes").glob("*.mlith"):
        path.unlink()
    names = ["out/bunny_5k.ply", "assets/scenes/bunny_5k.mlith"]
    assert make_results.missing(read_experiment(crowd)) == names
    (tmp_path / "out").mkdir()
    (tmp_path / names[0]).touch()
    assert make_results.missing(read_experiment(crowd)) == names[1:]
    (tmp_path / names[1]).touch()
    assert make_results.missing(read_experiment(crowd)) == []


def test_a_recipe_makes_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(make_results, "RECIPES", {str(tmp_path / "made" / "x.ply"): ["tools/make_mesh.py", "sphere"]})
    make_results.make(str(tmp_path / "made" / "x.ply"))
    assert (tmp_path / "made" / "x.ply").read_bytes().startswith(b"ply")
    monkeypatch.setattr(make_results, "RECIPES", {"x.mlith": ["-m", "engine", "build", "nowhere.ply"]})
    with pytest.raises(ValueError, match=r"x\.mlith cannot be made: .*nowhere\.ply"):
        make_results.make("x.mlith")


def test_what_cannot_be_made_stops_nothing_else(tmp_path, experiment, monkeypatch, capsys):
    good, bad = experiment("good"), experiment("bad", scene=str(tmp_path / "x.ply"))
    monkeypatch.setattr(make_results, "RECIPES", {str(tmp_path / "x.ply"): ["tools/make_mesh.py", "cube"]})
    assert make_results.main([str(tmp_path / "out"), "--no-figures", str(bad), str(good), "--", "--quick"]) == 1
    printed = capsys.readouterr()
    assert "x.ply cannot be made: " in printed.err and "bad: failed" in printed.out and "good: done" in printed.out
    assert f"failed: {tmp_path / 'x.ply'}, bad\n" in printed.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interruption_reaches_what_runs(tmp_path, number):
    """Sent to make_results alone: nothing may go on writing, and what runs tidies up."""
    child, parent = tmp_path / "child.py", tmp_path / "parent.py"
    child.write_text(CHILD, encoding="utf-8")
    parent.write_text(PARENT.format(root=str(ROOT), child=str(child)), encoding="utf-8")
    with subprocess.Popen([sys.executable, str(parent)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == b"runs\n"
        one.send_signal(number)
        one.communicate(timeout=60)
    assert one.returncode != 0
    assert child.with_name("tidy").exists()


def test_a_recipe_that_ends_half_way_leaves_nothing(tmp_path, monkeypatch):
    """Else the next start would take the half for the whole."""
    script = tmp_path / "half.py"
    script.write_text("import sys\nopen(sys.argv[-1], 'w').write('half')\nsys.exit('stopped')\n", encoding="utf-8")
    name = str(tmp_path / "made" / "x.ply")
    monkeypatch.setattr(make_results, "RECIPES", {name: [str(script)]})
    with pytest.raises(ValueError, match=r"x\.ply cannot be made: stopped"):
        make_results.make(name)
    assert list((tmp_path / "made").iterdir()) == []
