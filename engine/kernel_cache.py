"""Where compiled kernels are kept: a folder for each module and each state of what it is compiled from.

numba keys a compiled kernel on the source file of that kernel alone, and callees are compiled into their callers:
after an edit or an upgrade a caller in another file would run the old code. Here the sources of the kernel's module and
of every module with kernels that it imports, and the constants compiled in, name the folder. So an edit compiles only
the modules that it touches. Importing this module makes numba use these folders; modules with kernels import it first.
Processes may compile at the same time.

Folders lie in NUMBA_CACHE_DIR, where that is set, or in `microlith/kernels` of the user's cache folder.
"""

import atexit
import contextlib
import functools
import hashlib
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

try:
    import fcntl
except ImportError:  # not a POSIX system: two processes should not compile at once
    fcntl = None

from engine import layout
from engine.user_cache import cache_folder

LOGGER = logging.getLogger("engine")
PACKAGE = Path(__file__).parent
_LOG_LOCK = threading.Lock()
_logged: list[str] = []
_PREFIX = "microlith-"
_IMPORT = re.compile(rb"^\s*from ([\w.]+) import (\([^)]*\)|[^\n]*)", re.MULTILINE)
_NAME = re.compile(rb"\w+")
_READING = (
    *("bvh", "bvh_kernel", "page_codec", "page_decoder", "page_triangles", "page_words"),
    *("asset_page_checks", "page_check_kernel"),
)  # the modules with kernels beside the builder's
_NEWEST = 4  # folders of a module that are never removed
_UNUSED_SECONDS = 2 * 86400.0  # others may be in use by a running process


def kernel_modules(package: Path) -> dict[str, Path]:
    """Return by name the modules of the package `engine` that hold kernels, and those whose constants they use."""
    modules = [path for path in sorted((package / "builder").glob("*.py")) if b"njit" in path.read_bytes()]
    modules += [package / f"{name}.py" for name in _READING]
    return {".".join(("engine", *path.relative_to(package).with_suffix("").parts)): path for path in modules}


def compiled_from(module: str, modules: dict[str, Path]) -> list[str]:
    """Return the module and those of `modules` that it imports, directly or not, in alphabetical order."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for source, aliases in _IMPORT.findall(modules[name].read_bytes()):
            names = (source, *(source + b"." + alias for alias in _NAME.findall(aliases)))
            waiting += [other for other in map(bytes.decode, names) if other in modules]
    return sorted(found)


def source_key(paths: Iterable[Path]) -> str:
    """Return 16 hex digits that change with the text of the files, the layout's constants and numba's version."""
    digest = hashlib.sha256(repr((numba.__version__, sorted(layout.CONSTANTS.items()))).encode())
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def base_folder() -> Path:
    """Return where the folders of all modules are kept."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    return Path(chosen) if chosen else cache_folder("kernels")


def writable(base: Path) -> Path:
    """Return the folder `base`, made if need be; a temporary one where it cannot be written."""
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=base):
            return base
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix="microlith-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        LOGGER.warning("%s cannot be written (%s): kernels are compiled anew each time", base, error.strerror)
        return folder


def open_folder(base: Path, module: str, key: str) -> Path:
    """Return the folder of a module in one state, made and marked as used."""
    folder = base / f"{_PREFIX}{module.removeprefix('engine.')}-{key}"
    folder.mkdir(exist_ok=True)
    os.utime(folder)
    return folder


def remove_unused(base: Path, now: float) -> None:
    """Remove folders, but the newest few of each module and what was used in the days before `now` (seconds)."""
    used: dict[str, list[tuple[float, Path]]] = {}
    with contextlib.suppress(OSError):
        for path in base.glob(f"{_PREFIX}*"):
            used.setdefault(path.name.rpartition("-")[0], []).append((path.stat().st_mtime, path))
    for folders in used.values():
        for last, path in sorted(folders, reverse=True)[_NEWEST:]:
            if now - last > _UNUSED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


@functools.cache
def module_folder(path: str) -> Path | None:
    """Return the folder of the module at `path`; None where it is no module with kernels of this package."""
    modules, name = _package_modules()
    module = name.get(os.path.realpath(path))
    if module is None:
        return None
    return open_folder(FOLDER, module, source_key(modules[other] for other in compiled_from(module, modules)))


@functools.cache
def _package_modules() -> tuple[dict[str, Path], dict[str, str]]:
    """Return the paths of the modules with kernels by name, and the names by real path."""
    modules = kernel_modules(PACKAGE)
    return modules, {os.path.realpath(path): name for name, path in modules.items()}


def is_kept(kernel: Any) -> bool:
    """Return whether an earlier process compiled the kernel, a function of numba, from the same sources."""
    function = getattr(kernel, "py_func", None)
    if function is None:  # numba is switched off: there is nothing to compile
        return True
    folder = module_folder(function.__code__.co_filename)
    return folder is not None and any(folder.glob(f"*.{function.__name__}-*.nbi"))


def log_compilation(kernel: Any, purpose: str) -> None:
    """Say once in a process that compiling takes a while, where the kernel, a function of numba, is not kept."""
    with _LOG_LOCK:
        if not _logged and not is_kept(kernel):
            LOGGER.info("compiling the code that %s; this is done once and takes some seconds", purpose)
            _logged.append(purpose)


class KernelLocator(caching.UserProvidedCacheLocator):
    """Tells numba where the kernels of this package are kept; the folder's name is the state of their sources."""

    def get_cache_path(self) -> str:
        """Return the folder of the kernel's module."""
        return str(module_folder(self._py_file))

    def ensure_cache_path(self) -> None:
        """Do nothing: the folder was made, and tried once for all kernels."""

    def get_source_stamp(self) -> str:
        """Return the folder's name."""
        return Path(self.get_cache_path()).name

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> "KernelLocator | None":
        """Return the locator of a kernel of this package, None for others."""
        return cls(py_func, py_file) if Path(py_file).is_file() and module_folder(py_file) is not None else None


class LockedCacheFile(caching.IndexDataCacheFile):
    """The index of one kernel's compiled forms: two processes that add to it at once must not use the same name."""

    def save(self, key: Any, data: Any) -> None:
        """Add an entry."""
        with open(self._index_path + ".lock", "ab") as lock:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            super().save(key, data)


FOLDER = writable(base_folder())
remove_unused(FOLDER, time.time())
caching.CacheImpl._locator_classes.insert(0, KernelLocator)
caching.IndexDataCacheFile = LockedCacheFile
