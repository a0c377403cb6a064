"""The result file: whole at any time, continued only by the same experiment, and what is read from it."""

import csv
import json

import pytest

from engine.experiments import manifest, report
from engine.experiments.results import VERIFICATION, ResultFile, read_results

MANIFEST = {"kind": "manifest", "time": "now", "commit": "abc", "versions": {"wgpu": "1"}, "assets": {}}
MANIFEST |= {"experiment": {"name": "made"}, "device": {"adapter": "card"}}
RUNS = [
    {"kind": "run", "run": 0, "label": "size 2x1", "variant": {"size": [2, 1]}, "scene": "a", "size": [2, 1]},
    {"kind": "run", "run": 1, "label": "size 4x3", "variant": {"size": [4, 3]}, "scene": "a", "size": [4, 3]},
]
for line in RUNS:
    line["files"] = ["f" * 64]


def frame(run: int, repeat: int, number: int, wall_ms: float = 1.0, triangles: int = 7) -> dict:
    statistics = {"passes_ms": {"frame": wall_ms / 2.0, "raster": 0.25}, "triangles": {"software": triangles}}
    statistics |= {"clusters": {"software": 1, "hardware": 2}, "is_complete": True}
    return {
        "kind": "frame",
        "run": run,
        "repeat": repeat,
        "frame": number,
        "wall_ms": wall_ms,
        "statistics": statistics,
    }


@pytest.fixture
def begun(tmp_path):
    """A file with one finished part."""
    path = tmp_path / "r.jsonl"
    file = ResultFile(path, MANIFEST, RUNS)
    file.add(
        0, 0, [frame(0, 0, 0), frame(0, 0, 1), {"kind": "set", "run": 0, "frame": 0, "clusters": 3, "sha256": "f"}]
    )
    return path


def test_what_is_written_is_read(begun):
    results = read_results(begun)
    assert results.manifest == MANIFEST
    assert results.runs == RUNS
    assert [record["frame"] for record in results.frames] == [0, 1]
    assert results.sets[0]["sha256"] == "f"
    assert results.done == {(0, 0)}
    assert all(json.loads(line)["kind"] for line in begun.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("cut", range(1, 200, 7))
def test_a_file_that_was_cut_anywhere_is_continued_from_its_last_whole_part(begun, cut):
    whole = begun.read_bytes()
    ResultFile(begun, MANIFEST, RUNS, resumes=True).add(1, 0, [frame(1, 0, 0)])
    begun.write_bytes(begun.read_bytes()[:-cut])
    results = read_results(begun)
    assert results.done == {(0, 0)}
    assert len(results.frames) == 2
    again = ResultFile(begun, MANIFEST | {"time": "later"}, RUNS, resumes=True)
    assert again.done == {(0, 0)}
    assert begun.read_bytes() == whole
    again.add(1, 0, [frame(1, 0, 0)])
    again.add(1, VERIFICATION, [])
    assert read_results(begun).done == {(0, 0), (1, 0), (1, VERIFICATION)}


def test_without_resumption_it_begins_anew(begun):
    assert ResultFile(begun, MANIFEST, RUNS).done == set()
    assert read_results(begun).frames == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"commit": "abd"}, "commit is 'abd' here and 'abc' there"),
        ({"versions": {"wgpu": "2"}}, "versions.wgpu is '2' here and '1' there"),
        ({"versions": {"wgpu": "1", "numpy": "2"}}, "versions.numpy is '2' here and 'nothing' there"),
    ],
)
def test_another_manifest_is_refused_and_the_entry_named(begun, change, message):
    before = begun.read_bytes()
    with pytest.raises(ValueError) as caught:
        ResultFile(begun, MANIFEST | change, RUNS, resumes=True)
    assert "r.jsonl: holds another experiment" in str(caught.value)
    assert message in str(caught.value)
    assert "choose another output" in str(caught.value)
    assert begun.read_bytes() == before


def test_other_runs_are_refused(begun):
    with pytest.raises(ValueError, match="there are 1 runs here and 2 there"):
        ResultFile(begun, MANIFEST, RUNS[:1], resumes=True)
    with pytest.raises(ValueError, match=r"run 1\.scene is 'b' here and 'a' there"):
        ResultFile(begun, MANIFEST, [RUNS[0], RUNS[1] | {"scene": "b"}], resumes=True)


@pytest.mark.parametrize("text", ["nonsense\n", '{"kind": "frame"}\n', "[1]\n", '{"a": 1}\n'])
def test_a_foreign_file_is_not_overwritten(tmp_path, text):
    path = tmp_path / "r.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"r\.jsonl: .*choose another output"):
        ResultFile(path, MANIFEST, RUNS, resumes=True)
    assert path.read_text(encoding="utf-8") == text


def test_differences_of_equal_values_are_none():
    assert manifest.difference(MANIFEST, MANIFEST | {"time": "never"}) is None


def test_the_table_has_median_and_range_of_each_run(begun):
    file = ResultFile(begun, MANIFEST, RUNS)
    for run in (0, 1):
        file.add(run, 0, [frame(run, 0, number, wall_ms=number + 100.0 * run, triangles=1000) for number in range(101)])
    text = report.table(read_results(begun))
    rows = {line.split("  ")[0]: line.split()[-8:] for line in text.splitlines()[2:]}
    assert rows["size 2x1"] == ["50.000", "5.000", "95.000", "25.000", "2.500", "47.500", "1.000", "1,000"]
    assert rows["size 4x3"][:3] == ["150.000", "105.000", "195.000"]
    assert rows["size 4x3"][6] == "2.980", "frame by frame, not the ratio of the medians"


def test_the_table_says_how_far_repeats_lie_apart(begun):
    file = ResultFile(begun, MANIFEST, RUNS)
    for repeat, factor in enumerate((1.0, 1.02, 0.98)):
        for run in (0, 1):
            some = [frame(run, repeat, number, wall_ms=(run + 1) * factor * number) for number in range(1, 9)]
            file.add(run, repeat, some)
    title, *rows = report.table(read_results(begun)).splitlines()[1:4]
    assert title.split()[-2:] == ["repeats", "triangles"]
    assert [row.split()[-3:-1] for row in rows] == [["1.000", "0.980-1.020"], ["2.000", "1.960-2.040"]]


def test_the_csv_has_a_row_for_each_frame(begun, tmp_path):
    report.write_csv(tmp_path / "r.csv", read_results(begun))
    with open(tmp_path / "r.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2
    assert rows[1] == {
        "run": "0",
        "size": "2x1",
        "repeat": "0",
        "frame": "1",
        "wall_ms": "1.0",
        "frame_ms": "0.5",
        "raster_ms": "0.25",
        "triangles": "7",
        "clusters": "3",
        "is_complete": "1",
    }
