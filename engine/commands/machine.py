"""What a measurement was run with: machine, versions, commit, adapter."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import __version__, settings

if TYPE_CHECKING:
    from engine.gpu.device import Device

_PACKAGES = ("wgpu", "numpy", "numba", "zstandard")


def describe_run(device: "Device", experiment: dict[str, Any], frame: settings.FrameSettings) -> dict[str, Any]:
    """Return the first line of a measurement file: everything that its numbers depend on."""
    from engine.thresholds import thresholds_of

    return {
        "kind": "manifest",
        "microlith": __version__,
        "commit": commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv[1:],
        "machine": machine(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "device": device.describe(),
        "thresholds": thresholds_of(device),
        "experiment": {**experiment, "scene": str(experiment["scene"])},
        "settings": frame,
    }


def machine() -> dict[str, Any]:
    """Return system, processor, cores that may be used, memory in bytes and Python."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": usable,
        "memory_bytes": pages,
        "python": platform.python_version(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # drawing needs none of the builder's packages
        return None


def commit() -> str | None:
    """Return the commit of the clone this runs from, with `+` if files differ from it; None in an installed wheel."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        name = _git(root, "rev-parse", "HEAD")
        return name + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
