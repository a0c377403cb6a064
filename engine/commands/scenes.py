"""Open what a command line calls SCENE: an asset, a scene file, or a mesh file that is built into a cache first."""

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from engine import __version__, layout
from engine.commands.logs import Progress
from engine.settings import BuildSettings, settings_toml
from engine.user_cache import cache_folder

if TYPE_CHECKING:
    from engine.scene import Scene

log = logging.getLogger("engine")

SCENE_SUFFIXES = (".mlith", ".toml")
MESH_SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".off")
# Files of these kinds beside a mesh file may be parts of it.
_PART_SUFFIXES = (".bin", ".mtl", ".png", ".jpg", ".jpeg")


def open_scene(path: str, verbosity: int = 0) -> "Scene":
    """Return the scene of an asset, a scene file or a mesh file; raise ValueError or OSError in one line."""
    from engine.scene import load_scene

    return load_scene(scene_file(path, verbosity))


def scene_file(path: str, verbosity: int = 0) -> Path:
    """Return the asset or scene file to load for `path`; a mesh file is built unless the cache has it."""
    file = checked_file(path)
    return cached_asset(file, BuildSettings(), verbosity) if is_mesh_file(file) else file


def checked_file(path: str | Path) -> Path:
    """Return `path` as a Path; raise ValueError in one line where it is no file of a kind that can be opened."""
    file = Path(path)
    if file.suffix.lower() not in SCENE_SUFFIXES + MESH_SUFFIXES:
        known = ", ".join(SCENE_SUFFIXES + MESH_SUFFIXES)
        raise ValueError(f"{path}: not a scene; its name must end in one of: {known}")
    if not file.is_file():
        raise ValueError(f"{path}: " + ("is a folder" if file.is_dir() else "no such file"))
    return file


def is_mesh_file(file: Path) -> bool:
    """Return whether a file is built before it can be loaded, by its name."""
    return file.suffix.lower() in MESH_SUFFIXES


def find_asset(mesh: Path, settings: BuildSettings) -> tuple[Path, bool]:
    """Return where the user's cache folder keeps the asset of a mesh file, and whether it is there."""
    asset = cache_folder("assets") / f"{mesh.stem}-{_cache_key(mesh, settings)}.mlith"
    return asset, asset.is_file()


def cached_asset(mesh: Path, settings: BuildSettings, verbosity: int = 0) -> Path:
    """Return the asset of a mesh file, built into the user's cache folder if it is not there yet."""
    asset, is_there = find_asset(mesh, settings)
    if is_there:
        log.info("%s: using %s", mesh, asset)
        return asset
    from engine.builder import build

    asset.parent.mkdir(parents=True, exist_ok=True)
    log.info("%s: building %s", mesh, asset)
    with Progress(verbosity) as progress:
        build([mesh], asset, settings, threads=None, progress=progress)
    return asset


def _cache_key(mesh: Path, settings: BuildSettings) -> str:
    """Return 16 hex digits that change with the file, its parts, the settings and the format."""
    files = [mesh.resolve()]
    if mesh.suffix.lower() in (".gltf", ".obj"):
        files += sorted(other for other in files[0].parent.iterdir() if other.suffix.lower() in _PART_SUFFIXES)
    stamps = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    text = repr((__version__, layout.LAYOUT_TEXT, settings_toml(settings), stamps))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
