"""The result file: JSON lines, whole at any time, to which a run adds what it measured when it is finished.

kind "manifest"      the first line: engine.experiments.manifest.describe
kind "run"           one line for each run: its number `run`, `label`, `variant` and all settings
kind "frame"         `run`, `repeat`, `frame`, `wall_ms` and `statistics` (docs/statistics.md), `passes_ms` among them
kind "set"           `run`, `frame`, `clusters` and `sha256` of the sorted visible clusters of one frame
kind "verification"  `run`, `frame`, `comparison`, and of what was `compared` (`unit`: clusters or pixels) the `ties`
                     and `differences`; or `skipped`, why it was not (--verify)
kind "scene"         `run`, `instances`, and `triangles`: of their source meshes, all instances together
kind "image_error"   `run`, `frame`, and what engine.experiments.image_comparison.errors_of measures of one frame
kind "done"          `run` and `repeat` (or `verification`, `image_error`): the lines about them before it are all
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.commands.frames import to_json
from engine.experiments import manifest as manifests

VERIFICATION = "verification"  # stands for the repeat of a finished verification
IMAGE_ERROR = "image_error"  # likewise, of finished comparisons with tau = 0


@dataclass
class Results:
    """A result file by kinds of lines, of finished runs only; `done` holds (run, repeat)."""

    manifest: dict[str, Any] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)
    sets: list[dict[str, Any]] = field(default_factory=list)
    verifications: list[dict[str, Any]] = field(default_factory=list)
    scenes: list[dict[str, Any]] = field(default_factory=list)
    image_errors: list[dict[str, Any]] = field(default_factory=list)
    done: set[tuple[int, int | str]] = field(default_factory=set)


def read_results(path: str | Path) -> Results:
    """Read a result file; what an interrupted run left is not in it. Raises ValueError where it is none."""
    results = Results()
    for line in _finished_lines(Path(path)):
        record = json.loads(line)
        kind = record["kind"]
        if kind == "manifest":
            results.manifest = record
        elif kind == "done":
            results.done.add((record["run"], record["repeat"]))
        else:
            getattr(results, f"{kind}s").append(record)
    results.runs.sort(key=lambda run: run["run"])
    return results


class ResultFile:
    """Appends to a result file. Every block of lines is written at once, outside of what is timed.

    With `resumes` a file of the same manifest is continued, else it begins anew. Raises ValueError where the file
    holds the results of something else.
    """

    def __init__(
        self, path: str | Path, manifest: dict[str, Any], runs: list[dict[str, Any]], resumes: bool = False
    ) -> None:
        self.path = Path(path)
        self.done: set[tuple[int, int | str]] = set()
        lines = [to_json(line) for line in (manifest, *runs)]
        if resumes and self.path.exists() and self.path.stat().st_size:
            self._check(manifest, runs)
            lines = list(_finished_lines(self.path))
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        partial.replace(self.path)

    def _check(self, manifest: dict[str, Any], runs: list[dict[str, Any]]) -> None:
        """Raise ValueError unless the file was begun with the same manifest and runs; remember what it finished."""
        there = read_results(self.path)
        found = manifests.difference(json.loads(to_json(manifest)), there.manifest)
        ours = json.loads(to_json(runs))
        if found is None and len(ours) != len(there.runs):
            found = f"there are {len(ours)} runs here and {len(there.runs)} there"
        for mine, other in zip(ours, there.runs):
            found = found or manifests.difference(mine, other, f"run {mine['run']}")
        if found:
            raise ValueError(f"{self.path}: holds another experiment ({found}); choose another output")
        self.done = there.done

    def add(self, run: int, repeat: int | str, records: list[dict[str, Any]]) -> None:
        """Append the finished lines of one repeat of a run."""
        lines = [to_json(record) for record in [*records, {"kind": "done", "run": run, "repeat": repeat}]]
        with self.path.open("ab", buffering=0) as out:
            out.write("".join(f"{line}\n" for line in lines).encode())
        self.done.add((run, repeat))


def _finished_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a result file up to the last block that was written to its end."""
    pending: list[str] = []
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream):
            try:
                kind = json.loads(line)["kind"] if line.endswith("\n") else None
            except (ValueError, KeyError, TypeError):
                raise ValueError(f"{path}: line {number + 1} is no result; choose another output") from None
            if number == 0 and kind != "manifest":
                raise ValueError(f"{path}: does not begin with a manifest; choose another output")
            if kind is None:  # cut where the writer was killed
                break
            pending.append(line.rstrip("\n"))
            if kind in ("manifest", "run", "done"):
                yield from pending
                pending = []
