"""A screen of its own (Xvfb) and a viewer on it that is used as a person would: by pointer, keys and dropped files."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import ImageGrab

from engine.user_cache import cache_folder

ROOT = Path(__file__).resolve().parent.parent.parent
SIZE = (1280, 720)
TIMEOUT_SECONDS = 60.0
LEFT, MIDDLE, RIGHT, WHEEL_UP, WHEEL_DOWN = 1, 2, 3, 4, 5


def has_desktop() -> bool:
    """Whether this machine can show a window nobody sees."""
    return all(map(shutil.which, ("Xvfb", "xdotool")))


def share_kernels(cache: Path) -> None:
    """Let the compiled kernels of the builder be those of this process: to compile them takes a minute."""
    shared, own = cache_folder("kernels"), cache / "microlith" / "kernels"
    own.parent.mkdir(parents=True, exist_ok=True)
    shared.mkdir(parents=True, exist_ok=True)
    if not own.exists():
        own.symlink_to(shared)


class Desktop:
    """An X server without a screen; `name` is what DISPLAY calls it."""

    def __init__(self, size: tuple[int, int] = SIZE):
        read, write = os.pipe()
        screen = f"{size[0]}x{size[1]}x24"
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", screen, "-nolisten", "tcp", "-noreset"]
        self._server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as numbers:
            self.name = f":{numbers.readline().strip()}"

    def image(self) -> np.ndarray:
        """Return what the screen shows, (height, width, 3) uint8."""
        return np.asarray(ImageGrab.grab(xdisplay=self.name).convert("RGB"))

    def close(self) -> None:
        self._server.terminate()
        self._server.wait()


class Viewer:
    """`microlith view` on a Desktop; files are written to `folder`, the cache lies in `cache`."""

    def __init__(self, desktop: Desktop, arguments: Sequence[str | Path], folder: Path, cache: Path):
        self.desktop, self.folder = desktop, folder
        share_kernels(cache)
        environment = {**os.environ, "DISPLAY": desktop.name, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(ROOT)}
        environment.pop("WAYLAND_DISPLAY", None)
        environment.setdefault("XDG_RUNTIME_DIR", "/tmp")
        self._log = (folder / "viewer.log").open("w+")
        command = [sys.executable, "-m", "engine", "view", "-v", *map(str, arguments)]
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=self._log, stderr=self._log)
        self.window = self.wait_for(self._find_window, "the window")
        self.tool("windowfocus", self.window)

    def _find_window(self) -> int:
        found = self.tool("search", "--onlyvisible", "--pid", self.process.pid, check=False).split()
        return int(found[-1]) if found else 0

    def tool(self, *words: object, check: bool = True) -> str:
        """Run xdotool and return what it says."""
        environment = {**os.environ, "DISPLAY": self.desktop.name}
        done = subprocess.run(
            ["xdotool", *map(str, words)], env=environment, check=check, capture_output=True, text=True, timeout=30
        )
        return done.stdout

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = TIMEOUT_SECONDS) -> object:
        """Return what `condition` gives as soon as that is true; fail when the viewer ends or time is up."""
        end = time.monotonic() + seconds
        while True:
            if value := condition():
                return value
            assert self.process.poll() is None, f"the viewer ended while waiting for {what}:\n{self.log()}"
            assert time.monotonic() < end, f"waited in vain for {what}:\n{self.log()}"
            time.sleep(0.05)

    def log(self) -> str:
        """Return what the viewer has written to its terminal."""
        return (self.folder / "viewer.log").read_text()

    def title(self) -> str:
        return self.tool("getwindowname", self.window).strip()

    def key(self, *names: str) -> None:
        """Press and release keys, one after the other, as xdotool names them."""
        for name in names:
            self.tool("key", "--delay", 60, name)

    def hold(self, name: str, seconds: float) -> None:
        """Hold a key for a while."""
        self.tool("keydown", name)
        time.sleep(seconds)
        self.tool("keyup", name)

    def click(self, x: int, y: int, button: int = LEFT, count: int = 1) -> None:
        """Click at a place of the screen."""
        self.tool("mousemove", x, y)
        time.sleep(0.1)
        self.tool("click", "--repeat", count, "--delay", 60, button)

    def drag(self, start: tuple[int, int], end: tuple[int, int], button: int = LEFT, steps: int = 8) -> None:
        """Press at `start`, move to `end` in steps, release."""
        self.tool("mousemove", *start)
        time.sleep(0.1)
        self.tool("mousedown", button)
        for step in range(1, steps + 1):
            place = [round(a + (b - a) * step / steps) for a, b in zip(start, end)]
            self.tool("mousemove", *place)
            time.sleep(0.03)
        self.tool("mouseup", button)

    def resize(self, width: int, height: int) -> None:
        self.tool("windowsize", self.window, width, height)

    def drop(self, paths: Sequence[Path], x: int, y: int) -> None:
        """Drop files at a place of the screen."""
        command = [sys.executable, "-m", "tests.viewer.drop_source", self.desktop.name, self.window, x, y, *paths]
        done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def still_image(self, seconds: float = TIMEOUT_SECONDS) -> np.ndarray:
        """Return what the screen shows once it no longer changes."""
        images = [self.desktop.image()]

        def is_still() -> bool:
            time.sleep(0.4)
            images.append(self.desktop.image())
            return bool((images[-1] == images[-2]).all())

        self.wait_for(is_still, "a still picture", seconds)
        return images[-1]

    def written(self, pattern: str) -> Path:
        """Return the newest file of the folder that fits, once there is one and it is complete."""

        def newest() -> Path | None:
            files = sorted(self.folder.glob(pattern))
            return files[-1] if files and files[-1].stat().st_size else None

        file = self.wait_for(newest, pattern)
        assert isinstance(file, Path)
        size = -1
        while size != file.stat().st_size:
            size = file.stat().st_size
            time.sleep(0.1)
        return file

    def close(self) -> int:
        """Close the window as its frame's button does, and return the exit code."""
        if self.process.poll() is None:
            self.tool("key", "--window", self.window, "ctrl+q", check=False)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
        self._log.close()
        return self.process.returncode

    def errors(self) -> list[str]:
        """Return lines of the terminal that tell of something that went wrong inside."""
        return [line for line in self.log().splitlines() if re.search(r"Traceback|error|panicked", line, re.IGNORECASE)]
