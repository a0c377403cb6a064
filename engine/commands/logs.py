"""Logs, progress and the line about a failure, on standard error."""

import json
import logging
import os
import sys
import time
from collections.abc import Callable

from tqdm import tqdm

from engine.commands import interruption

LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}
UPDATE_SECONDS = 0.05  # between two lines of JsonProgress


class _AboveTheBar(logging.Handler):
    """Writes log lines above a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(f"microlith: {self.format(record)}", file=sys.stderr)


def start_logging(verbosity: int) -> None:
    """Send the log of the engine to standard error: -1 errors, 0 warnings, 1 information, 2 everything.

    Who sits at a terminal gets information without asking for it.
    """
    log = logging.getLogger("engine")
    level = LEVELS.get(verbosity, logging.DEBUG)
    log.setLevel(logging.INFO if verbosity == 0 and sys.stderr.isatty() else level)
    for handler in list(log.handlers):
        log.removeHandler(handler)
    log.addHandler(_AboveTheBar())
    log.propagate = False


class Progress:
    """Draws `(stage, done, total)` as one bar per stage; silent when quiet or not on a terminal.

    Raises KeyboardInterrupt when the user has asked to stop, and so does JsonProgress.
    """

    def __init__(self, verbosity: int) -> None:
        self._shown = verbosity >= 0 and sys.stderr.isatty()
        self._bar: tqdm | None = None

    def __call__(self, stage: str, done: float, total: float) -> None:
        interruption.check()
        if not self._shown:
            return
        if self._bar is None or self._bar.desc != stage:
            self.close()
            self._bar = tqdm(desc=stage, total=total, file=sys.stderr, leave=False, unit_scale=True)
            self._bar.desc = stage
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> Callable[[str, float, float], None]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class JsonProgress:
    """Writes `(stage, done, total)` as JSON, one line per update, for programs that draw a bar of their own.

    A new stage and the end of one are written at once, what lies between at most every UPDATE_SECONDS.
    """

    def __init__(self) -> None:
        self._written: tuple[str, float, float] = ("", 0, 0)
        self._written_at = 0.0

    def __call__(self, stage: str, done: float, total: float) -> None:
        interruption.check()
        is_due = time.monotonic() - self._written_at >= UPDATE_SECONDS
        if (stage, done, total) == self._written or not (is_due or stage != self._written[0] or done >= total):
            return
        sys.stderr.write(json.dumps({"stage": stage, "done": done, "total": total}) + "\n")
        sys.stderr.flush()
        self._written, self._written_at = (stage, done, total), time.monotonic()

    def __enter__(self) -> Callable[[str, float, float], None]:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def one_line(error: BaseException) -> str:
    """Return what to tell the user about an error, in one line."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    text = " ".join(str(error).split())
    if type(error).__name__ == "GPUOutOfMemoryError":  # of wgpu, which a failing command need not import
        return "out of GPU memory; use fewer or smaller assets" + (f" ({text})" if text else "")
    if text.endswith("device is lost"):  # likewise of wgpu, whatever the call was
        return "the graphics device was lost"
    if isinstance(error, MemoryError):
        return "out of memory" + (f": {text}" if text else "")
    if isinstance(error, (ValueError, OSError, RuntimeError)) and text:
        return text
    return f"internal error, please report it (-vv shows where): {type(error).__name__}: {text}"
