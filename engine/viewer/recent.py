"""The files opened last, kept from one window to the next."""

import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.user_cache import cache_folder

log = logging.getLogger("engine")

LARGEST_COUNT = 12


def recent_files() -> list[Path]:
    """Return the files opened last that are still there, the latest first."""
    return [path for path in _read() if _is_there(path)]


def add_recent(paths: Sequence[str | Path]) -> list[Path]:
    """Put `paths` at the front of the list, the first of them foremost, keep the list, and return what is shown.

    Trouble with the file is logged, and is never an error.
    """
    full = [Path(os.path.abspath(path)) for path in paths]
    files = list(dict.fromkeys([*full, *_read()]))[:LARGEST_COUNT]
    try:
        _write(files)
    except OSError as error:
        log.warning("%s: the list of recent files is not kept (%s)", _file(), error.strerror or error)
    return [path for path in files if _is_there(path)]


def _file() -> Path:
    return cache_folder("viewer") / "recent.json"


def _is_there(path: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return path.is_file()
    return False


def _read() -> list[Path]:
    """Return the list as it was kept; empty, with a warning, where the file is damaged."""
    try:
        names = json.loads(_file().read_text(encoding="utf-8"))
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("not a list of names")
        return list(dict.fromkeys(map(Path, names)))[:LARGEST_COUNT]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        log.warning("%s: the list of recent files cannot be read and begins anew (%s)", _file(), reason)
        return []


def _write(files: Iterable[Path]) -> None:
    """Replace the file at once, so that two windows that close together never leave half of a list."""
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=file.parent, prefix="recent-", suffix=".json")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as stream:
            # A name that is no Unicode text is kept with escapes, which read back as the same name.
            json.dump([str(path) for path in files], stream, indent=1)
        os.replace(name, file)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
