"""The folder of compiled kernels: one for each state of their sources, so that no kernel runs an old callee.

numba keys a compiled kernel on the source file of that kernel alone, and callees are compiled into their callers:
after an edit or an upgrade a caller in another file would run the old code. Here the sources of all kernels, and the
constants compiled in, name the folder. Importing this module sets numba's folder; modules with kernels import it first.

Folders lie in NUMBA_CACHE_DIR, where that is set, or in `microlith/kernels` of the user's cache folder.
"""

import atexit
import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path

import numba

from engine import layout
from engine.user_cache import cache_folder

LOGGER = logging.getLogger("engine")
_PREFIX = "microlith-"
_NEWEST = 4  # folders that are never removed
_UNUSED_SECONDS = 2 * 86400.0  # others may be in use by a running process


def kernel_sources(package: Path) -> list[Path]:
    """Return the modules of the package `engine` that hold kernels, and bvh.py, whose constants they use."""
    modules = sorted((package / "builder").glob("*.py"))
    return [package / "bvh.py", package / "bvh_kernel.py", *(path for path in modules if b"njit" in path.read_bytes())]


def source_key(paths: list[Path]) -> str:
    """Return 16 hex digits that change with the text of the files, the layout's constants and numba's version."""
    digest = hashlib.sha256(repr((numba.__version__, sorted(layout.CONSTANTS.items()))).encode())
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def base_folder() -> Path:
    """Return where the folders of all states are kept."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    return Path(chosen) if chosen else cache_folder("kernels")


def open_folder(base: Path, key: str) -> Path:
    """Return the folder of this key, made and marked as used; a temporary one where `base` cannot be written."""
    folder = base / f"{_PREFIX}{key}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        os.utime(folder)
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix="microlith-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        LOGGER.warning("%s cannot be written (%s): kernels are compiled anew each time", base, error.strerror)
    return folder


def remove_unused(base: Path, now: float) -> None:
    """Remove the folders of other states, but the newest few and what was used in the days before `now` (seconds)."""
    used = []
    with contextlib.suppress(OSError):
        used = sorted(((path.stat().st_mtime, path) for path in base.glob(f"{_PREFIX}*")), reverse=True)
    for last, path in used[_NEWEST:]:
        if now - last > _UNUSED_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


FOLDER = open_folder(base_folder(), source_key(kernel_sources(Path(__file__).parent)))
remove_unused(FOLDER.parent, time.time())
numba.config.CACHE_DIR = str(FOLDER)
