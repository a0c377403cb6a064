"""The folder of what may be made again: `microlith` in the user's cache folder."""

import os
import sys
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
