"""Logs and progress on standard error."""

import logging
import sys
from collections.abc import Callable

from tqdm import tqdm

LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}


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
    """Draws `(stage, done, total)` as one bar per stage; silent when quiet or not on a terminal."""

    def __init__(self, verbosity: int) -> None:
        self._shown = verbosity >= 0 and sys.stderr.isatty()
        self._bar: tqdm | None = None

    def __call__(self, stage: str, done: float, total: float) -> None:
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
