"""What numbers depend on: commit, machine, versions, adapter, assets and settings. No user names, no folders."""

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import __version__, layout
from engine.commands.scenes import MESH_SUFFIXES
from engine.experiments.experiment import Experiment, Run, without_folders
from engine.experiments.image_error import FLIP_PACKAGE, ImageErrors
from engine.experiments.refusal import refusal_of
from engine.experiments.scenes import Scenes, file_hash, material_files, scene_files
from engine.scene import Scene
from engine.settings import BuildSettings, FrameSettings, settings_from

if TYPE_CHECKING:
    from engine.gpu.device import Device

_PACKAGES = ("wgpu", "numpy", "numba", "zstandard")
_CHANGING = ("time", "assets")  # entries that need not agree: the lines of the runs name the assets by their hashes


def describe(device: "Device", experiment: Experiment, assets: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the first line of a result file; `assets` is what `describe_assets` found."""
    from engine.thresholds import thresholds_of

    return {
        "kind": "manifest",
        "microlith": __version__,
        "commit": commit(),
        "source": source_hash(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "device": device.describe(),
        "thresholds": thresholds_of(device),
        "experiment": {
            "name": experiment.name,
            "way": experiment.way.describe(),
            "frames": experiment.frames,
            "warm_up": experiment.warm_up,
            "repeats": experiment.repeats,
            "check_every": experiment.check_every,
            "filler_ms": experiment.filler_ms,
            "image_error": _image_error(experiment.image_error),
        },
        "settings": _plain(settings_from(FrameSettings, experiment.settings)),
        "build": settings_from(BuildSettings, experiment.build),
        "assets": assets,
    }


def describe_run(run: Run, hashes: Sequence[str]) -> dict[str, Any]:
    """Return the line of a run; `hashes` are those of the files its scene is made of."""
    named = {"scene": run.scene_name, "materials": without_folders(run.frame.materials)}
    return {
        "kind": "run",
        "run": run.number,
        "label": run.label,
        "variant": run.variant | {name: value for name, value in named.items() if name in run.variant},
        "scene": run.scene_name,
        "files": list(hashes),
        "instances": run.instances,
        "spacing": run.spacing,
        "size": run.size,
        "baseline": run.baseline,
        "settings": _plain(run.frame),
        "build": run.build,
    }


def _image_error(errors: ImageErrors | None) -> dict[str, Any] | None:
    """Return what is measured of the image error, and by which version of the package that measures FLIP."""
    return None if errors is None else asdict(errors) | {"flip_evaluator": _version(FLIP_PACKAGE)}


def describe_scene(scene: Scene) -> dict[str, int]:
    """Return how many instances a scene has, and how many triangles their source meshes have together."""
    triangles = np.concatenate([asset.mesh_triangles["source"] for asset in scene.assets]).astype(np.int64)
    live = scene.instances["mesh"][scene.live_slots]
    return {"instances": scene.instance_count, "triangles": int(triangles[live].sum())}


@dataclass(frozen=True)
class RunFiles:
    """The SHA-256 of each file of a run's scene, or why they cannot be had."""

    hashes: tuple[str, ...] = ()
    refusal: str = ""


def describe_assets(scenes: Scenes, runs: list[Run]) -> tuple[dict[str, dict[str, Any]], list[RunFiles]]:
    """Return what each file is by its SHA-256, and the files of each run; builds what is missing.

    A file is `name` and `bytes`; what was built is called by its mesh, with `mesh_bytes` and `mesh_sha256` of that.
    """
    assets: dict[str, dict[str, Any]] = {}
    found: dict[tuple, RunFiles] = {}  # a build that fails takes its time once
    for run in runs:
        key = run.file, run.build, run.frame.materials
        if key not in found:
            try:
                described = _described_files(scenes, run)
                assets |= dict(described)
                found[key] = RunFiles(tuple(digest for digest, _ in described))
            except Exception as error:
                found[key] = RunFiles(refusal=refusal_of(error))
    return assets, [found[run.file, run.build, run.frame.materials] for run in runs]


def run_files(scenes: Scenes, run: Run) -> list[Path]:
    """Return the files that a run draws; ValueError names a missing one."""
    files = scene_files(scenes.file(run))
    if missing := next((file for file in files if not file.is_file()), None):
        raise ValueError(f"{run.scene}: its asset {missing.name} is missing; the scene file says how to build it")
    return files + material_files(Path(run.frame.materials) if run.frame.materials else None)


def _described_files(scenes: Scenes, run: Run) -> list[tuple[str, dict[str, Any]]]:
    described = []
    for file in run_files(scenes, run):
        entry: dict[str, Any] = {"name": file.name, "bytes": file.stat().st_size}
        if run.file.suffix.lower() in MESH_SUFFIXES and file.suffix == ".mlith":
            # The cache's own name changes with the machine.
            entry["name"] = run.file.name
            entry |= {"mesh_bytes": run.file.stat().st_size, "mesh_sha256": file_hash(run.file)}
        described.append((file_hash(file), entry))
    return described


def difference(ours: Any, theirs: Any, name: str = "") -> str | None:
    """Return the first entry in which two manifests or run lines differ, with both values, or None."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs} - set(_CHANGING)):
            missing = "nothing"
            found = difference(ours.get(key, missing), theirs.get(key, missing), f"{name}.{key}" if name else key)
            if found:
                return found
        return None
    return None if ours == theirs else f"{name} is {_short(ours)} here and {_short(theirs)} there"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _plain(settings: FrameSettings) -> dict[str, Any]:
    return asdict(settings) | {"materials": without_folders(settings.materials)}


def machine() -> dict[str, Any]:
    """Return system, processor, cores that may be used, memory in bytes and Python."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None
    return {
        "system": f"{platform.system()} {_release()}",
        "processor": _processor(),
        "cores": usable,
        "memory_bytes": pages,
        "python": platform.python_version(),
    }


def _release() -> str:
    """Return the version of the system's kernel without what a distributor adds."""
    numbers = re.match(r"[\d.]*\d", platform.release())
    return numbers[0] if numbers else platform.release()


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


def source_hash() -> str:
    """Return the SHA-256 of the engine's Python and shader files, which says more of changed files than a commit."""
    package, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    for folder, pattern in ((package, "*.py"), (layout.shader_folder(), "*.wgsl")):
        for file in sorted(folder.rglob(pattern)):
            digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
