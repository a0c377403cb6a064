"""Open files in the background: build mesh files, load assets and scene files, join them, bring them to the GPU."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.commands.logs import one_line
from engine.commands.scenes import checked_file, find_asset, is_mesh_file
from engine.frame.scene_buffers import SceneBuffers
from engine.gpu.device import Device
from engine.scene import Scene, load_scene
from engine.scene_join import join_scenes
from engine.settings import BuildSettings
from engine.viewer.building import BuildProcess

log = logging.getLogger("engine")

CANCELLED = "opening was cancelled"
_POLL_SECONDS = 0.05
_turn = threading.Lock()  # of the job that works: one that was cancelled may still be ending its build of the same mesh
_END_SECONDS = 6.0  # that `cancel` waits: the child has 3 to end by itself


@dataclass(frozen=True)
class Opened:
    """What a finished job has made: a scene and its buffers on the GPU, for Renderer.load."""

    scene: Scene
    scene_buffers: SceneBuffers


class _Cancelled(Exception):  # noqa: N818 - no error
    pass


class OpenJob:
    """Opens files in a thread of its own, beginning at once; a mesh file is built in a child process unless the
    cache has its asset. With a `base_scene` the files are shown beside it: the result is a joined scene.

    `description` is a short line such as "building statue.ply: compile", `fraction` how far the stage named there
    has come (0..1, or None). Nothing here waits, but `cancel(wait=True)`.
    """

    def __init__(self, paths: Sequence[str | Path], device: Device, base_scene: Scene | None = None) -> None:
        self.paths = [Path(path) for path in paths]
        self.description, self.fraction = f"opening {_named(self.paths)}", None
        self._device, self._base_scene = device, base_scene
        self._result: Opened | str | None = None
        self._is_cancelled = threading.Event()
        # A daemon: a process that ends without `cancel` does not wait for it, and the child notices.
        self._thread = threading.Thread(target=self._run, name="opening", daemon=True)
        self._thread.start()

    def poll(self) -> Opened | str | None:
        """Return None while the job runs, then what it made, or one line about why it could not."""
        return self._result

    def cancel(self, wait: bool = False) -> None:
        """Stop the job soon; with `wait` only return when it and its child have ended (at most some seconds)."""
        self._is_cancelled.set()
        if wait:
            self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        try:
            with _turn:
                result: Opened | str = self._open()
        except _Cancelled:
            result = CANCELLED
        except Exception as error:
            log.debug("opening failed", exc_info=True)
            result = one_line(error)
        # A file that was opened although somebody wanted to stop that is not shown.
        self._result = CANCELLED if self._is_cancelled.is_set() else result

    def _open(self) -> Opened:
        if not self.paths:
            raise ValueError("there is no file to open")
        self._say(self.description, None)
        files = [checked_file(path) for path in self.paths]
        assets = [self._built(file) if is_mesh_file(file) else file for file in files]
        scenes = [self._base_scene] if self._base_scene is not None else []
        for file, asset in zip(files, assets):
            self._say(f"loading {file.name}", None)
            scenes.append(load_scene(asset))
            if asset is not file:  # what the cache calls it says nothing to the user
                scenes[-1].asset_names = [file.stem]
        self._say(f"loading {_named(files)}", None)
        scene = scenes[0] if len(scenes) == 1 else join_scenes(scenes)
        return Opened(scene, SceneBuffers(self._device, scene, self._progress))

    def _built(self, mesh: Path) -> Path:
        """Return the asset of a mesh file, from the cache or built now."""
        asset, is_there = find_asset(mesh, BuildSettings())
        if is_there:
            log.info("%s: using %s", mesh, asset)
            return asset
        log.info("%s: building %s", mesh, asset)
        asset.parent.mkdir(parents=True, exist_ok=True)
        process = BuildProcess(mesh, asset)
        try:
            while (outcome := process.wait(_POLL_SECONDS)) is None:
                self._say(f"building {mesh.name}: {process.progress.stage}", process.progress.fraction)
        finally:
            process.stop()
        if outcome:
            raise ValueError(outcome)
        return asset

    def _progress(self, stage: str, done: int, total: int) -> None:
        """Take the progress of SceneBuffers."""
        self._say(f"loading {_named(self.paths)}: {stage}", done / max(total, 1))

    def _say(self, description: str, fraction: float | None) -> None:
        if self._is_cancelled.is_set():
            raise _Cancelled
        self.description, self.fraction = description, fraction


def _named(paths: Sequence[Path]) -> str:
    """Return the name of the first path, and how many more there are."""
    return " and ".join([path.name for path in paths[:1]] + [f"{len(paths) - 1} more"] * (len(paths) > 1))
