"""The result file: JSON lines, whole at any time, to which a run adds what it measured when it is finished.

kind "manifest"      the first line: engine.experiments.manifest.describe
kind "run"           one line for each run: its number `run`, `label`, `variant` and all settings
kind "frame"         `run`, `repeat`, `frame`, `wall_ms` and `statistics` (docs/statistics.md), `passes_ms` among them;
                     with `again` the queues were too small at first: it was drawn a second time, on its own
kind "set"           `run`, `frame`, `clusters` and `sha256` of the sorted visible clusters of one frame
kind "verification"  `run`, `frame`, `comparison`, and of what was `compared` (`unit`: clusters or pixels) the `ties`
                     and `differences`; or `skipped`, why it was not (--verify)
kind "scene"         `run`, `instances`, and `triangles`: of their source meshes, all instances together
kind "image_error"   `run`, `frame`, and what engine.experiments.image_comparison.errors_of measures of one frame
kind "summary"       `run`, and of all its frames, when all repeats are there, engine.experiments.summary.summary and
                     `ratio` (the function of that name), to the first run that was measured
kind "done"          `run`, `repeat` (or `summary`, `verification`, `image_error`) and `time`: the lines about them
                     before it are all
kind "refused"       `run`, `repeat` and the `reason` why there is nothing of them; whoever goes on tries again

JSON knows no NaN and no infinity: such a number is null.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from engine.commands.frames import to_json
from engine.experiments import manifest as manifests

try:
    import fcntl
except ImportError:  # Windows: two writers of one file are not noticed there
    fcntl = None

VERIFICATION = "verification"  # stands for the repeat of a finished verification
IMAGE_ERROR = "image_error"  # likewise, of finished comparisons with tau = 0
SUMMARY = "summary"  # likewise
_LISTS = {  # where Results keeps the lines of each kind
    "run": "runs",
    "frame": "frames",
    "set": "sets",
    "verification": "verifications",
    "scene": "scenes",
    "image_error": "image_errors",
    "summary": "summaries",
    "refused": "refused",
}
_KINDS = {"manifest", "done", *_LISTS}
_HEAD = ("manifest", "run")
_ENDS = (*_HEAD, "done", "refused")  # kinds that end a block

write_some = os.write  # returns how many bytes it took


@dataclass
class Results:
    """A result file by kinds of lines, of finished runs only; `done` holds (run, repeat).

    `refused` holds the last line about each (run, repeat) that was not measured later.
    """

    manifest: dict[str, Any] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)
    sets: list[dict[str, Any]] = field(default_factory=list)
    verifications: list[dict[str, Any]] = field(default_factory=list)
    scenes: list[dict[str, Any]] = field(default_factory=list)
    image_errors: list[dict[str, Any]] = field(default_factory=list)
    summaries: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    done: set[tuple[int, int | str]] = field(default_factory=set)


def read_results(path: str | Path) -> Results:
    """Read a result file; what an interrupted run left is not in it. Raises ValueError where it is none."""
    results = Results()
    for _, record in _finished_lines(Path(path)):
        kind = record["kind"]
        if kind == "manifest":
            results.manifest = record
        elif kind == "done":
            results.done.add((record["run"], record["repeat"]))
        else:
            getattr(results, _LISTS[kind]).append(record)
    results.runs.sort(key=lambda run: run["run"])
    last = {(one["run"], one["repeat"]): one for one in results.refused}
    results.refused = [one for part, one in last.items() if part not in results.done]
    return results


class ResultFile:
    """Appends to a result file. Every block of lines is written at once, outside of what is timed.

    With `resumes` a file of the same manifest is continued, else it begins anew. Raises ValueError where the file
    holds the results of something else, or another process writes to it.
    """

    def __init__(
        self, path: str | Path, manifest: dict[str, Any], runs: list[dict[str, Any]], resumes: bool = False
    ) -> None:
        self.path = Path(path)
        self.done: set[tuple[int, int | str]] = set()
        self._file = self.path.resolve()  # a link stays one
        lines = [to_json(line) for line in (manifest, *runs)]
        there = self._locked() if self._file.exists() else None
        try:
            if there and resumes and self._file.stat().st_size:
                head = self._joined(json.loads(to_json(manifest)), json.loads(to_json(runs)))
                rest = [text for text, record in _finished_lines(self._file) if record["kind"] not in _HEAD]
                lines = [*map(to_json, head), *rest]
            self._begin(lines)
            self._stream = self._locked()
        finally:
            if there:
                there.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others write to the file."""
        self._stream.close()

    def _locked(self) -> BinaryIO:
        """Open the file for this writer alone; ValueError where there is another."""
        stream = self._file.open("r+b", buffering=0)
        try:
            if fcntl:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise ValueError(f"{self.path}: another bench writes to it; choose another output") from None
        except OSError:  # not every file system knows locks
            pass
        return stream

    def _begin(self, lines: list[str]) -> None:
        partial = self._file.with_name(f"{self._file.name}.{os.getpid()}.partial")
        try:
            partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            partial.replace(self._file)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise OSError(error.errno, error.strerror, str(self.path)) from None

    def _joined(self, manifest: dict[str, Any], runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the first lines of a file that is continued, and remember what it finished.

        Raises ValueError unless it was begun with the same manifest and runs. Files that could not be had then, or
        cannot now, are no difference: those runs were refused, or will be.
        """
        try:
            there = read_results(self.path)
        except ValueError as error:
            raise ValueError(f"{error}; choose another output") from None
        found = manifests.difference(manifest, there.manifest)
        if found is None and len(runs) != len(there.runs):
            found = f"there are {len(runs)} runs here and {len(there.runs)} there"
        for mine, other in zip(runs, there.runs):
            found = found or _run_difference(mine, other)
            other["files"] = other["files"] or mine["files"]
        if found:
            raise ValueError(f"{self.path}: holds another experiment ({found}); choose another output")
        self.done = there.done
        there.manifest["assets"] |= manifest["assets"]
        return [there.manifest, *there.runs]

    def add(self, run: int, repeat: int | str, records: list[dict[str, Any]]) -> None:
        """Append the finished lines of one repeat of a run."""
        time = datetime.now(UTC).isoformat(timespec="seconds")
        self._append([*records, {"kind": "done", "run": run, "repeat": repeat, "time": time}])
        self.done.add((run, repeat))

    def refuse(self, run: int, repeat: int | str, reason: str) -> None:
        """Append why there will be nothing of one repeat of a run."""
        self._append([{"kind": "refused", "run": run, "repeat": repeat, "reason": reason}])

    def _append(self, records: list[dict[str, Any]]) -> None:
        """Write lines at the end, all or none. Raises OSError that names the file, ValueError where it has gone."""
        data = memoryview("".join(f"{to_json(record)}\n" for record in records).encode())
        if not self._is_there():
            raise ValueError(f"{self.path}: was moved, removed or replaced while it was written")
        end = self._stream.seek(0, os.SEEK_END)
        try:
            while data:
                data = data[write_some(self._stream.fileno(), data) :]
        except OSError as error:
            with suppress(OSError):
                self._stream.truncate(end)
            raise OSError(error.errno, error.strerror, str(self.path)) from None

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self._file.stat(), os.fstat(self._stream.fileno()))
        except FileNotFoundError:
            return False


def _run_difference(mine: dict[str, Any], other: dict[str, Any]) -> str | None:
    """Return in what two run lines differ, or None. Files that only one of them could have are no difference."""
    found = manifests.difference(mine | {"files": []}, other | {"files": []}, f"run {mine['run']}")
    if found is None and mine["files"] and other["files"] and mine["files"] != other["files"]:
        found = f"{mine['scene']} is not what was measured there"
    return found


def _finished_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the lines of a result file, as text and read, up to the last block that was written to its end.

    Of what is there twice, the first counts.
    """
    pending: list[tuple[str, dict[str, Any]]] = []
    done: set[tuple[int, int | str]] = set()
    with path.open("rb") as stream:
        for number, line in enumerate(stream):
            if not line.endswith(b"\n"):  # cut where the writer was killed
                if number == 0:
                    raise ValueError(f"{path}: does not begin with a manifest")
                break
            try:
                record = json.loads(line)
                kind = record["kind"]
                is_known = kind in _KINDS and (kind == "manifest" or "run" in record)
                if kind in ("done", "refused", "frame"):
                    is_known = is_known and "repeat" in record
            except (ValueError, KeyError, TypeError):
                is_known = False
            if not is_known:
                raise ValueError(f"{path}: line {number + 1} is no result")
            if number == 0 and kind != "manifest":
                raise ValueError(f"{path}: does not begin with a manifest")
            pending.append((line.decode().rstrip("\n"), record))
            if kind not in _ENDS:
                continue
            part = record.get("run"), record.get("repeat")
            if kind != "done" or part not in done:
                yield from pending
            if kind == "done":
                done.add(part)
            pending = []
