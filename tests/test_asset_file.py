"""The head of a .mlith file: whose it is, and which layout it was written with."""

import pytest

from engine import asset_file, layout
from engine.asset import open_asset


def test_other_files_are_refused_in_plain_words(sample_asset, tmp_path, monkeypatch):
    path = sample_asset("sphere")
    (tmp_path / "a.mlith").write_bytes(b"ply\nformat ascii 1.0\n" * 100)
    with pytest.raises(ValueError, match=r"is not a \.mlith asset"):
        open_asset(tmp_path / "a.mlith")
    with pytest.raises(ValueError, match="is a folder"):
        open_asset(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_asset(tmp_path / "missing.mlith")
    monkeypatch.setattr(layout, "FRAME_TEXT", layout.FRAME_TEXT + "struct More { field: u32, }")
    open_asset(path)  # what is only in memory may change
    monkeypatch.setattr(layout, "FILE_TEXT", "struct More { field: u32, }" + layout.FILE_TEXT)
    with pytest.raises(ValueError, match=r"another layout\.wgsl; build it again"):
        open_asset(path)
    version = asset_file.VERSION
    monkeypatch.setattr(asset_file, "VERSION", version + 1)
    with pytest.raises(ValueError, match=f"has format version {version}, this is version {version + 1}"):
        open_asset(path)


def test_the_layout_hash_ignores_comments(monkeypatch):
    before = asset_file.layout_hash()
    monkeypatch.setattr(layout, "FILE_TEXT", "// a comment\n" + layout.FILE_TEXT.replace("struct", "struct  "))
    assert asset_file.layout_hash() == before
