"""The result file against what goes wrong around it: a full disk, a second writer, a write that stops half way."""

import errno
import json
import os
import resource

import pytest

from engine.experiments.results import ResultFile, read_results
from tests.experiments.test_results import MANIFEST, RUNS, frame


@pytest.fixture
def path(tmp_path):
    return tmp_path / "r.jsonl"


@pytest.fixture
def limit_files():
    """Return `limit(bytes)`: no file may grow beyond it, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_and_the_file_stays_whole(path, limit_files):
    file = ResultFile(path, MANIFEST, RUNS)
    file.add(0, 0, [frame(0, 0, 0)])
    before = path.read_bytes()
    limit_files(len(before) + 100)
    with pytest.raises(OSError) as caught:
        file.add(1, 0, [frame(1, 0, number) for number in range(50)])
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert file.done == {(0, 0)}
    limit_files(1 << 20)
    file.add(1, 0, [frame(1, 0, 0)])
    assert read_results(path).done == {(0, 0), (1, 0)}


def test_a_write_that_takes_a_part_is_continued(path, monkeypatch):
    file = ResultFile(path, MANIFEST, RUNS)
    whole, write = [], os.write
    monkeypatch.setattr("engine.experiments.results.write_some", lambda number, data: write(number, bytes(data[:7])))
    file.add(0, 0, [frame(0, 0, 0)])
    monkeypatch.undo()
    whole = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["kind"] for line in whole] == ["manifest", "run", "run", "frame", "done"]


def test_a_second_writer_is_refused_and_the_first_goes_on(path):
    with ResultFile(path, MANIFEST, RUNS) as first:
        first.add(0, 0, [frame(0, 0, 0)])
        before = path.read_bytes()
        for resumes in (True, False):
            with pytest.raises(ValueError, match=r"r\.jsonl: another bench writes to it"):
                ResultFile(path, MANIFEST, RUNS, resumes)
        assert path.read_bytes() == before
        first.add(1, 0, [frame(1, 0, 0)])
    with ResultFile(path, MANIFEST, RUNS, resumes=True) as second:
        assert second.done == {(0, 0), (1, 0)}


def test_a_file_that_was_taken_away_is_noticed(path):
    file = ResultFile(path, MANIFEST, RUNS)
    path.unlink()
    with pytest.raises(ValueError, match=r"r\.jsonl: was moved, removed or replaced"):
        file.add(0, 0, [frame(0, 0, 0)])


def test_what_is_there_twice_counts_once(path):
    with ResultFile(path, MANIFEST, RUNS) as file:
        file.add(0, 0, [frame(0, 0, 0)])
        file.add(0, 0, [frame(0, 0, 0, wall_ms=9.0)])
    [one] = read_results(path).frames
    assert one["wall_ms"] == 1.0


def test_a_link_is_followed(path, tmp_path):
    (tmp_path / "far").mkdir()
    path.symlink_to(tmp_path / "far" / "r.jsonl")
    with ResultFile(path, MANIFEST, RUNS) as file:
        file.add(0, 0, [frame(0, 0, 0)])
    assert path.is_symlink()
    assert len(read_results(tmp_path / "far" / "r.jsonl").frames) == 1


def test_it_holds_strict_json_only(path):
    with ResultFile(path, MANIFEST, RUNS) as file:
        file.add(0, 0, [frame(0, 0, 0, wall_ms=float("nan")), frame(0, 0, 1, wall_ms=float("inf"))])

    def refuse(name: str) -> None:
        raise AssertionError(name)

    for line in path.read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=refuse)
    assert [one["wall_ms"] for one in read_results(path).frames] == [None, None]


@pytest.mark.parametrize("line", ['{"kind": "poem", "run": 0}', '{"kind": "done"}', '{"kind": "frame"}', "\x00\x01"])
def test_a_line_of_another_kind_is_named(path, line):
    with ResultFile(path, MANIFEST, RUNS) as file:
        file.add(0, 0, [frame(0, 0, 0)])
    with path.open("a", encoding="utf-8") as out:
        out.write(f"{line}\n" + json.dumps({"kind": "done", "run": 1, "repeat": 0}) + "\n")
    with pytest.raises(ValueError, match=r"r\.jsonl: line 6 is no result"):
        read_results(path)


def test_a_refused_run_is_there_until_it_was_measured(path):
    with ResultFile(path, MANIFEST, RUNS) as file:
        file.refuse(0, 0, "too large")
        file.add(1, 0, [frame(1, 0, 0)])
    assert [(one["run"], one["reason"]) for one in read_results(path).refused] == [(0, "too large")]
    assert read_results(path).done == {(1, 0)}
    with ResultFile(path, MANIFEST, RUNS, resumes=True) as file:
        assert file.done == {(1, 0)}
        file.refuse(0, 0, "still too large")
    assert [one["reason"] for one in read_results(path).refused] == ["still too large"]
    with ResultFile(path, MANIFEST, RUNS, resumes=True) as file:
        file.add(0, 0, [frame(0, 0, 0)])
    results = read_results(path)
    assert (results.refused, results.done) == ([], {(0, 0), (1, 0)})
