"""A run that cannot be had is written down with the reason, the others are measured, and it is tried again later."""

import json

import pytest

from engine.__main__ import run
from engine.experiments import runner
from engine.experiments.results import SUMMARY, read_results
from engine.gpu.buffers import CapacityError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "r.jsonl"


@pytest.fixture
def bench(tmp_path, path, device):
    """Return `bench(text, *options, code) -> Results` of an experiment with that text and tiny frames."""

    def measure(text: str, *options: str, code: int = 0):
        experiment = tmp_path / "e.toml"
        size = "" if "\nsize = " in text else "size = [64, 36]\n"
        experiment.write_text(f"frames = 2\nwarm_up = 0\n{size}{text}", encoding="utf-8")
        assert run(["bench", str(experiment), "--json", str(path), *options]) == code
        return read_results(path) if path.exists() else None

    return measure


BASELINES = 'scene = "{}"\nrepeats = 2\n[sweep]\nbaseline = ["engine", "triangles_software", "no_occlusion"]\n'


@pytest.fixture
def baselines(sample_asset):
    return BASELINES.format(sample_asset("sphere"))


@pytest.fixture
def too_many(monkeypatch):
    """Let the triangle baseline refuse every scene; call it to let it draw again."""
    from engine.frame.baselines import triangles_software

    def refuse(*_):
        raise CapacityError("too many clusters")

    monkeypatch.setattr(triangles_software.TrianglesSoftware, "_classified", refuse)
    return monkeypatch.undo


def test_the_other_runs_are_measured_and_the_table_says_why(bench, baselines, too_many, path, capsys):
    results = bench(baselines, code=1)
    assert results.done == {(run, part) for run in (0, 2) for part in (0, 1, SUMMARY)}
    [line] = results.refused
    assert (line["run"], line["repeat"]) == (1, 0)
    assert "too many clusters" in line["reason"]
    kinds = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    ends = [one for one in kinds if one["kind"] in ("done", "refused")]
    order = [(one["run"], "refused" if one["kind"] == "refused" else one["repeat"]) for one in ends]
    assert order == [(0, 0), (1, "refused"), (2, 0), (0, 1), (2, 1), (0, SUMMARY), (2, SUMMARY)], "once, at its turn"
    out, error = capsys.readouterr()
    rows = [row.split("  ")[0] for row in out.splitlines()[2:5]]
    assert rows == ["baseline engine", "baseline triangles_software", "baseline no_occlusion"]
    assert out.splitlines()[3].split()[-1] == "refused"
    assert out.splitlines()[5] == "baseline triangles_software: refused: too many clusters"
    assert "baseline triangles_software: refused: too many clusters" in error, "at once"


def test_it_is_tried_again(bench, baselines, too_many, capsys):
    first = bench(baselines, code=1)
    too_many()
    second = bench(baselines)
    assert second.refused == []
    assert len(second.done) == 9
    assert second.frames[: len(first.frames)] == first.frames
    assert "refused" not in capsys.readouterr().out.splitlines()[-1]


def test_a_drawer_is_made_anew_after_an_error(bench, sample_asset, monkeypatch):
    """The large image fails half way; the small ones before and after it are drawn by the same baseline."""
    whole = runner.measure

    def failing(drawer, scene, cameras, settings, size, *more):
        for number, record in enumerate(whole(drawer, scene, cameras, settings, size, *more)):
            if size == (80, 45) and number == 1:
                raise RuntimeError("broken")
            yield record

    monkeypatch.setattr(runner, "measure", failing)
    text = f'scene = "{sample_asset("sphere")}"\n[sweep]\nsize = [[64, 36], [80, 45], [32, 18]]\n'
    results = bench(text, code=1)
    assert [one["run"] for one in results.frames] == [0, 0, 2, 2]
    assert [one["reason"] for one in results.refused] == ["broken"]


@pytest.mark.parametrize("size", ["[200000, 90]", "[64, 1000000000000]"])
def test_a_size_beyond_the_adapter_is_refused(bench, sample_asset, size):
    results = bench(f'scene = "{sample_asset("sphere")}"\n[sweep]\nsize = [{size}, [64, 36]]\n', code=1)
    assert [one["run"] for one in results.frames] == [1, 1]
    [line] = results.refused
    assert line["run"] == 0
    assert "each side must be 1 to 16384 pixels" in line["reason"]


def test_a_build_that_fails_and_a_scene_that_is_missing(bench, sample_asset, sample_mesh, tmp_path):
    (tmp_path / "bad.ply").write_bytes(b"ply\nnonsense")
    text = f'[sweep]\nscene = ["bad.ply", "{sample_asset("sphere")}", "later.ply"]\n'
    results = bench(text, code=1)
    assert [one["run"] for one in results.frames] == [1, 1]
    assert [(one["run"], one["repeat"]) for one in results.refused] == [(0, 0), (2, 0)]
    assert results.refused[1]["reason"] == "later.ply: no such file", "no folder"
    assert [len(one["files"]) for one in results.runs] == [0, 1, 0]
    (tmp_path / "later.ply").write_bytes(sample_mesh("sphere").read_bytes())
    results = bench(text, code=1)
    assert [one["run"] for one in results.frames] == [1, 1, 2, 2]
    assert [one["run"] for one in results.refused] == [0]
    [digest] = results.runs[2]["files"]
    assert results.manifest["assets"][digest]["name"] == "later.ply"
    (tmp_path / "later.ply").unlink()
    assert bench(text, code=1).frames == results.frames, "what was measured stays, though its scene has gone"


def test_a_scene_that_changes_on_the_way_is_refused(bench, sample_asset, tmp_path, monkeypatch):
    (tmp_path / "a.mlith").write_bytes(sample_asset("sphere").read_bytes())
    whole = runner.measure

    def changing(*arguments):
        yield from whole(*arguments)
        (tmp_path / "a.mlith").unlink()
        (tmp_path / "a.mlith").write_bytes(sample_asset("terrain").read_bytes())

    monkeypatch.setattr(runner, "measure", changing)
    results = bench('scene = "a.mlith"\n[sweep]\nerror_pixels = [0.5, 1]\n', code=1)
    assert [one["run"] for one in results.frames] == [0, 0]
    assert [one["reason"] for one in results.refused] == ["a.mlith: has changed since the experiment began"]


def test_another_asset_does_not_continue_the_file(bench, sample_asset, tmp_path, capsys):
    (tmp_path / "a.mlith").write_bytes(sample_asset("sphere").read_bytes())
    text = 'scene = "a.mlith"\n[sweep]\nerror_pixels = [0.5, 1]\n'
    bench(text)
    (tmp_path / "a.mlith").write_bytes(sample_asset("terrain").read_bytes())
    bench(text, code=1)
    assert "holds another experiment (a.mlith is not what was measured there)" in capsys.readouterr().err


def test_the_only_run_is_one_line(bench, sample_asset, path, capsys):
    bench(f'scene = "{sample_asset("sphere")}"\n', "--size", "99999x99999", code=1)
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert len(read_results(path).refused) == 1


def test_a_full_disk_ends_it(bench, baselines, monkeypatch, capsys):
    from engine.experiments import results

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results, "write_some", full)
    bench(baselines, code=1)
    out, error = capsys.readouterr()
    assert (out, error.splitlines()[-1].split(": ")[-1]) == ("", "No space left on device")
    assert "r.jsonl" in error


def test_drawers_share_what_is_uploaded(bench, baselines, monkeypatch):
    from engine import renderer

    made, whole = [], renderer.SceneBuffers
    monkeypatch.setattr(renderer, "SceneBuffers", lambda *arguments: made.append(1) or whole(*arguments))
    results = bench(baselines)
    assert len(results.frames) == 12
    assert len(made) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--json", "-"], "--json -: name a file"),
        (["--json", "/dev/null"], "--json /dev/null: name a file"),
        (["--json", "{0}/x.jsonl", "--csv", "{0}/x.jsonl"], "--csv {0}/x.jsonl: is what --json names as well"),
        (["--csv", "{0}/a.mlith"], "--csv {0}/a.mlith: is the scene as well"),
        (["--json", "{0}/link"], "--json {0}/link: is the scene as well"),
    ],
)
def test_an_output_that_would_destroy_something_is_refused(options, message, tmp_path, sample_asset, capsys):
    scene = tmp_path / "a.mlith"
    scene.write_bytes(sample_asset("sphere").read_bytes())
    (tmp_path / "link").symlink_to(scene)
    assert run(["bench", str(scene), *(option.format(tmp_path) for option in options)]) == 1
    assert message.format(tmp_path) in capsys.readouterr().err
    assert scene.read_bytes() == sample_asset("sphere").read_bytes()
