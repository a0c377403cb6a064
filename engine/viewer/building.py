"""Build a mesh file in a child process, so that the window stays alive and a build can be stopped at any moment."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import engine

log = logging.getLogger("engine")

KILL_SECONDS = 3.0  # after SIGTERM
_PREFIX = "microlith: "  # of log lines and errors
_KEPT_LINES = 20  # of a child that fails, in case it cannot say in one line why


@dataclass(frozen=True)
class BuildProgress:
    """Where a build is: `fraction` of its stage (0..1), None where the stage says nothing of it."""

    stage: str = "start"
    fraction: float | None = None


class BuildProcess:
    """`microlith build MESH -o ASSET` in a child process. Nothing here waits, but `wait` and `stop`.

    The child ends when its standard input does: also where this process dies without a chance to stop it.
    """

    def __init__(self, mesh: Path, asset: Path) -> None:
        """Start to build; raise OSError where no process can be started."""
        self.asset = asset.absolute()
        self.progress = BuildProgress()
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)  # on standard error that are not progress
        self._outcome: str | None = None
        self._process = subprocess.Popen(
            build_command(mesh.absolute(), self.asset),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(_module_path())},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is for the window, which then stops the build
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        assert self._process.stderr
        name = f"build {mesh.name}"
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,), name=name, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process number of the child."""
        return self._process.pid

    def poll(self) -> str | None:
        """Return None while the child works, then "" where it made the asset, else one line about why not."""
        if self._outcome is None and (code := self._process.poll()) is not None:
            self._close()
            self._outcome = self._take_outcome(code)
        return self._outcome

    def wait(self, seconds: float) -> str | None:
        """Return what `poll` does, after the child ended or `seconds` passed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.poll()

    def stop(self) -> None:
        """End the child and wait for that; no unfinished file stays behind."""
        self._process.terminate()
        try:
            self._process.wait(KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode not in (0, 1):  # 1: it said why, and tidied up, or the file is another build's
            with contextlib.suppress(OSError):
                self.asset.with_name(self.asset.name + ".partial").unlink()
        self._close()

    def _take_outcome(self, code: int) -> str:
        """Return what `poll` says of an exit code, and log the warnings of the child."""
        said = [line.removeprefix(_PREFIX) for line in self._lines if line.startswith(_PREFIX)]
        outcome = ""
        if code < 0:  # the system ended it: it could not say why
            outcome = f"the build was ended by signal {-code}; is there enough memory?"
        elif code > 0:
            outcome = said.pop() if said else f"the build failed with exit code {code}: {' '.join(self._lines)}"
        for line in said:
            log.warning("%s", line)
        return outcome

    def _close(self) -> None:
        """Let the reader come to the end, and close the child's input."""
        self._reader.join(KILL_SECONDS)
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._take(line.strip())

    def _take(self, line: str) -> None:
        if not line.startswith("{"):
            if line:
                self._lines.append(line)
            return
        with contextlib.suppress(ValueError, KeyError, TypeError):
            values = json.loads(line)
            done, total = float(values["done"]), float(values["total"])
            is_known = total > 1.0  # 0 of 1 and 1 of 1 say only that the stage began or ended
            self.progress = BuildProgress(str(values["stage"]), min(done / total, 1.0) if is_known else None)


def build_command(mesh: Path, asset: Path) -> list[str]:
    """Return the command line of the child; _module_path says where it finds the engine."""
    options = ["--progress-json", "--end-with-input"]
    return [sys.executable, "-P", "-m", "engine", "build", str(mesh), "-o", str(asset), *options]


def _module_path() -> list[str]:
    """Return where the child looks for modules: where this process does, so that it is the same engine."""
    home = Path(engine.__file__).absolute().parent.parent
    folders = [str(Path(folder).absolute()) if folder else str(home) for folder in sys.path]
    return folders if str(home) in folders else [str(home), *folders]
