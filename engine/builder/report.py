"""Parts of the report of a build."""

import sys
from contextlib import suppress
from typing import Any

import numpy as np
import zstandard

from engine import __version__, asset_file


def merged_levels(rows: list[dict]) -> list[dict]:
    """Return the level reports of all meshes together: counts and seconds added, largest errors."""
    levels: list[dict] = []
    for row in rows:
        for level, report in enumerate(row["levels"]):
            if level == len(levels):
                levels.append(dict(report))
                continue
            total = levels[level]
            clusters = total["clusters"] + report["clusters"]
            for name, value in report.items():
                if name.endswith("_max"):
                    total[name] = max(total[name], value)
                elif name.endswith("_median") or name == "fill":
                    weighted = total[name] * total["clusters"] + value * report["clusters"]
                    total[name] = weighted / max(clusters, 1)
                elif name not in ("level", "clusters"):
                    total[name] += value
            total["clusters"] = clusters
    return levels


def without_seconds(level: dict) -> dict:
    """Return the level report without what differs from run to run."""
    return {name: value for name, value in level.items() if not name.startswith("seconds")}


def plain(value: Any) -> Any:
    """Return the value with numpy scalars and arrays as plain ones, for JSON."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value


def versions() -> dict[str, str]:
    """Return what the bytes of an asset depend on besides input and settings."""
    zstd = ".".join(map(str, zstandard.ZSTD_VERSION))
    return {"microlith": __version__, "format": str(asset_file.VERSION), "zstd": zstd}


def peak_memory_bytes() -> int:
    """Return the largest resident memory of this process so far; 0 where the system does not tell."""
    with suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
    return 0
