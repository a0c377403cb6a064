"""docs/results.md says what the result files beside it say: summaries, counts, image errors and verifications."""

import re
from pathlib import Path
from typing import Any

import pytest

from engine.experiments.report import error_values, range_text, verification_lines
from engine.experiments.results import Results, read_results
from engine.experiments.summary import spread
from tests.conftest import ROOT
from tools.result_series import TABLE_ERRORS

TEXT = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
FOLDER = ROOT / "docs" / "results"


def tables() -> list[tuple[Path, list[list[str]]]]:
    """Return the result file behind each table, and its cells; experiments are named by headings or line beginnings."""
    found: list[tuple[Path, list[list[str]]]] = []
    machine, name, is_row = "h200", "", False
    for line in TEXT.splitlines():
        if heading := re.match(r"#+ (\w+)$|`(\w+)`", line):
            name = heading[1] or heading[2]
            machine = name if (FOLDER / name).is_dir() else machine
        if line.startswith("|"):
            if not is_row:
                found.append((FOLDER / machine / f"{name}.jsonl", []))
            found[-1][1].append([cell.strip() for cell in line.strip("|").split("|")])
        is_row = line.startswith("|")
    return found


def expected(results: Results, title: str, run: dict[str, Any]) -> str | None:
    """Return what a cell must say; None of ratios where the file, an older one, has none."""
    [statistics] = [one for one in results.summaries if one["run"] == run["run"]]
    [scene] = [one for one in results.scenes if one["run"] == run["run"]]
    errors = {title: name for name, title in TABLE_ERRORS.items()}
    times = {"GPU time of a frame (ms)": ("passes_ms", "frame"), "wall time of a frame (ms)": ("wall_ms",)}
    if path := (times | {"wall (ms)": ("wall_ms",)}).get(title):
        times_ms = statistics
        for key in path:
            times_ms = times_ms[key]
        return spread_text(times_ms)
    if title in errors:
        return f"{spread(error_values(results, run['run'], errors[title]))[0]:.4g}"
    others = {
        "run": run["label"],
        "drawn": f"{statistics['triangles']['median']:,.0f}",
        "scene": Path(run["scene"]).name,
        "image": "x".join(map(str, run["size"])),
        "instances in it": f"{scene['instances']:,}",
        "triangles in it": f"{scene['triangles']:,}",
        "ratio to the first run": None,
        "ratio of each repeat": "",
    }
    if "ratio" in statistics:
        others["ratio to the first run"] = spread_text(statistics["ratio"])
        others["ratio of each repeat"] = range_text(statistics["ratio"]["repeats"])
    return others[title]


def spread_text(found: dict[str, float]) -> str:
    return f"{found['median']:.3f} ({found['p05']:.3f} to {found['p95']:.3f})"


@pytest.mark.parametrize(("path", "cells"), tables(), ids=lambda one: one.stem if isinstance(one, Path) else "")
def test_every_cell_is_that_of_the_result_file(path, cells):
    results = read_results(path)
    titles, _, *rows = cells
    assert len(rows) == len(results.runs) == len(results.summaries)
    for row, run in zip(rows, results.runs):
        for title, cell in zip(titles, row, strict=True):
            words = expected(results, title, run)
            assert words is None or words == cell, (run["label"], title)


def test_every_result_file_is_in_the_document():
    named = {path for path, _ in tables()}
    files = {path for path in FOLDER.glob("*/*.jsonl") if not path.name.startswith(("verify_", "again_"))}
    assert named == files and len(named) > 15


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/verify_*.jsonl")), ids=lambda path: path.stem)
def test_what_was_verified_is_what_is_said(path):
    lines, wrong = verification_lines(read_results(path))
    section = TEXT[TEXT.index("## Verified") :]
    rest = section[section.index(f"\n`{path.stem.removeprefix('verify_')}` with") :]
    block = re.search(r"(^    .+\n)+", rest, re.MULTILINE)
    assert wrong == 0 and block is not None
    assert [line.strip() for line in block[0].splitlines()] == [
        line for line in lines if re.match(r"\w+: \d+ frames", line)
    ]


def test_the_same_frames_have_the_same_sets():
    once, again = (
        {(one["run"], one["frame"]): one["sha256"] for one in read_results(FOLDER / "h200" / name).sets}
        for name in ("occlusion.jsonl", "again_occlusion.jsonl")
    )
    assert once == again and len(once) == 16
