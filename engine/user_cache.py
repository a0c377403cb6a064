"""The folder of what may be made again: `microlith` in the user's cache folder."""

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return the folder `name` of Microlith in the user's cache folder; it may not exist yet."""
    if root := os.environ.get("XDG_CACHE_HOME"):
        base = Path(root)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path.home() / ".cache"
    return base / "microlith" / name


def remove_unused(base: Path, pattern: str, newest: int, unused_seconds: float) -> None:
    """Remove folders of `base` that match `pattern`, but the `newest` ones and what changed in the last seconds."""
    used, now = [], time.time()
    with contextlib.suppress(OSError):
        used = sorted(((path.stat().st_mtime, path) for path in base.glob(pattern)), reverse=True)
    for last, path in used[newest:]:
        if now - last > unused_seconds:
            shutil.rmtree(path, ignore_errors=True)
