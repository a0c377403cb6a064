"""The list of recent files: order, length, missing files, damage."""

import json
import os
import threading
from pathlib import Path

import pytest

from engine.user_cache import cache_folder
from engine.viewer import recent


@pytest.fixture
def files(tmp_path: Path, monkeypatch) -> list[Path]:
    """Twenty files, and an empty cache folder of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    paths = [tmp_path / f"{i}.mlith" for i in range(20)]
    for path in paths:
        path.touch()
    return paths


def test_the_latest_comes_first_and_once(files):
    assert recent.recent_files() == []
    recent.add_recent([files[0]])
    recent.add_recent([files[1], files[2]])
    assert recent.add_recent([files[0]]) == [files[0], files[1], files[2]]
    assert recent.recent_files() == [files[0], files[1], files[2]]


def test_relative_names_are_made_absolute(files, monkeypatch):
    monkeypatch.chdir(files[0].parent)
    assert recent.add_recent(["0.mlith", files[0], "./x/../1.mlith"]) == files[:2]


def test_at_most_twelve(files):
    for path in files:
        recent.add_recent([path])
    assert recent.recent_files() == files[:-13:-1]
    assert len(recent.recent_files()) == recent.LARGEST_COUNT == 12


def test_missing_files_are_not_shown_but_come_back(files):
    recent.add_recent(files[:3])
    files[1].unlink()
    assert recent.recent_files() == [files[0], files[2]]
    files[2].unlink()
    files[2].mkdir()
    assert recent.recent_files() == [files[0]]
    files[1].touch()
    assert recent.recent_files() == files[:2]


def test_a_name_that_is_not_text_survives(files):
    odd = Path(os.fsdecode(os.fsencode(files[0].parent) + b"/\xff\xe9.ply"))
    odd.touch()
    assert recent.add_recent([odd]) == [odd]
    assert recent.recent_files() == [odd]


@pytest.mark.parametrize("text", [b"", b"[", b"{}", b"[1]", b"\xff\xfe", b'"a"', b"[" * 100_000])
def test_a_damaged_file_is_an_empty_list_and_a_warning(files, text, caplog):
    recent.add_recent(files[:1])
    (cache_folder("viewer") / "recent.json").write_bytes(text)
    assert recent.recent_files() == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "recent.json" in caplog.text
    assert recent.add_recent(files[1:2]) == files[1:2]
    assert recent.recent_files() == files[1:2]


def test_names_no_system_can_have_are_not_shown(files):
    recent.add_recent(files[:1])
    (cache_folder("viewer") / "recent.json").write_text(json.dumps(["a\0b", "x" * 5000, str(files[0])]))
    assert recent.recent_files() == files[:1]


def test_a_folder_that_cannot_be_written_is_a_warning(files, monkeypatch, caplog):
    blocked = files[0].parent / "blocked"
    blocked.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert recent.add_recent(files[:1]) == files[:1]
    assert "is not kept" in caplog.text


def test_an_interrupted_write_leaves_the_old_list(files, monkeypatch, caplog):
    recent.add_recent(files[:1])

    def broken(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", broken)
        recent.add_recent(files[1:2])
    assert "No space left" in caplog.text
    assert recent.recent_files() == files[:1]
    assert [path.name for path in cache_folder("viewer").iterdir()] == ["recent.json"]


def test_two_windows_never_leave_half_a_list(files):
    def write(path):
        for _ in range(50):
            recent.add_recent([path])

    threads = [threading.Thread(target=write, args=(path,)) for path in files[:4]]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert set(recent.recent_files()) <= set(files[:4])
    assert set(recent.recent_files()) <= set(files[:4])
    assert [path.name for path in cache_folder("viewer").iterdir()] == ["recent.json"]
