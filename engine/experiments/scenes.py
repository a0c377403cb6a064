"""The scenes of an experiment's runs: opened, built where the run changes how, repeated where it asks for that."""

import hashlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from engine.asset import open_asset
from engine.commands.scenes import MESH_SUFFIXES, cached_asset, scene_file
from engine.experiments.experiment import Run
from engine.scene import Scene, load_scene, scene_from_assets
from engine.scene_file import grid_transforms, read_scene_file
from engine.settings import BuildSettings
from engine.user_cache import cache_folder

KEPT_SCENES = 4  # opened at once; runs take turns
WIDTHS_APART = 1.2  # of copies that no spacing is given for


class Scenes:
    """Opens the scene of each run and keeps the last few: runs that share one, share the object."""

    def __init__(self, verbosity: int = 0) -> None:
        self._verbosity = verbosity
        self._opened: dict[tuple, Scene] = {}
        self._built: dict[tuple[Path, BuildSettings], Path] = {}

    def file(self, run: Run) -> Path:
        """Return the asset or scene file of a run; a mesh is built unless the cache has it."""
        key = run.file, run.build
        if key in self._built:  # said once, not for every part of a run
            return self._built[key]
        if run.file.suffix.lower() in MESH_SUFFIXES and run.file.is_file():
            self._built[key] = cached_asset(run.file, run.build, self._verbosity)
            return self._built[key]
        return scene_file(str(run.file), self._verbosity)

    def open(self, run: Run) -> Scene:
        """Return the scene of a run."""
        key = run.file, run.build, run.instances, run.spacing
        scene = self._opened.pop(key, None)
        if scene is None:
            scene = open_scene(self.file(run), run.instances, run.spacing)
        while len(self._opened) >= KEPT_SCENES:
            del self._opened[next(iter(self._opened))]
        self._opened[key] = scene
        return scene


def open_scene(
    file: Path,
    instances: int | tuple[int, int, int] | None = None,
    spacing: tuple[float, float, float] | None = None,
) -> Scene:
    """Return the scene of a file, or `instances` copies of an asset on a grid about the origin."""
    if instances is None:
        return load_scene(file)
    asset = open_asset(file)
    low, high = scene_from_assets([asset], [file.stem]).bounds()
    width = WIDTHS_APART * float((high - low)[[0, 2]].max())
    scene = Scene([asset], [file.stem])
    scene.add_asset(0, copies(instances, spacing or (width, width, width)))
    return scene


def copies(instances: int | tuple[int, int, int], spacing: tuple[float, float, float]) -> np.ndarray:
    """Return transforms (k, 3, 4) float64 of a grid; a single number of instances makes a square on the ground."""
    if isinstance(instances, tuple):
        return grid_transforms(np.eye(3, 4), list(instances), np.asarray(spacing))
    side = int(np.ceil(np.sqrt(instances)))
    return grid_transforms(np.eye(3, 4), [side, 1, -(-instances // side)], np.asarray(spacing))[:instances]


def scene_files(file: Path) -> list[Path]:
    """Return the files that a scene is made of: itself and, of a scene file, its assets and material functions."""
    if file.suffix.lower() != ".toml":
        return [file]
    scene = read_scene_file(file)
    return [file, *dict.fromkeys(scene.asset_paths), *material_files(scene.material_folder)]


def material_files(folder: Path | None) -> list[Path]:
    """Return the material functions of a folder."""
    return sorted(folder.glob("*.wgsl")) if folder else []


def file_hash(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; kept in the user's cache folder while its dates and size stay.

    The date of the last change of its entry is one of them: a copy that keeps the date of its bytes has another.
    """
    stamp = file.stat()
    key = repr((str(file.resolve()), stamp.st_ino, stamp.st_mtime_ns, stamp.st_ctime_ns, stamp.st_size))
    kept = cache_folder("hashes") / hashlib.sha256(key.encode()).hexdigest()[:24]
    try:
        text = kept.read_text(encoding="ascii")
        if len(text) == 64:
            return text
    except (OSError, ValueError):
        pass
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    with suppress(OSError):  # where the folder may not be written, it is read again next time
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(found, encoding="ascii")
    return found
