"""The system's file dialog, without waiting for it."""

import os
import shutil
import sys
from pathlib import Path

from imgui_bundle import portable_file_dialogs

from engine.commands.scenes import MESH_SUFFIXES, SCENE_SUFFIXES

_PROGRAMS = ("zenity", "kdialog", "qarma", "matedialog")  # that show it on Linux


class OpenDialog:
    """Asks for files; `is_ready` says whether the answer is in `paths` (empty: nothing was chosen).

    Raises RuntimeError where the system has no such dialog.
    """

    def __init__(self, add: bool, for_settings: bool = False):
        if sys.platform == "linux" and not any(map(shutil.which, _PROGRAMS)):
            raise RuntimeError("there is no file dialog (install zenity or kdialog); drop files, or type a path")
        self.add, self.for_settings = add, for_settings
        self.paths: list[Path] = []
        kinds = ["*.toml"] if for_settings else [f"*{suffix}" for suffix in (*SCENE_SUFFIXES, *MESH_SUFFIXES)]
        title, name = ("Settings", "settings") if for_settings else ("Open", "scenes and meshes")
        options = portable_file_dialogs.opt.none if for_settings else portable_file_dialogs.opt.multiselect
        self._dialog = portable_file_dialogs.open_file(title, "", [name, " ".join(kinds)], options)

    def is_ready(self) -> bool:
        """Return whether the dialog was closed; `paths` then holds its answer."""
        if not self._dialog.ready(0):
            return False
        self.paths = [Path(path) for path in self._dialog.result()]
        return True


def is_writable(file: Path) -> bool:
    """Return whether a file can be written: it, or the folder it would be made in."""
    return os.access(file if file.exists() else file.parent, os.W_OK)
