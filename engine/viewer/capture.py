"""What the viewer writes: statistics of frames as CSV, camera paths, and names that overwrite nothing."""

import csv
import math
from pathlib import Path
from typing import Any

from engine.camera import Camera, CameraPath, format_camera, format_path, parse_path
from engine.frame.statistics import FrameStatistics
from engine.viewer.state import FrameSample

KEYFRAME_SECONDS = 0.1
_ROUNDING = 1e-9


def free_path(folder: Path, stem: str, suffix: str) -> Path:
    """Return `folder/stem-NNN.suffix` with a number above all that are there, from 001 on."""
    taken = [path.stem.removeprefix(f"{stem}-") for path in folder.glob(f"{stem}-*.{suffix}")]
    largest = max((int(number) for number in taken if number.isascii() and number.isdigit()), default=0)
    return folder / f"{stem}-{largest + 1:03}.{suffix}"


class StatisticsCapture:
    """Rows of a CSV file: one for each frame, in the order they were added."""

    def __init__(self) -> None:
        """Begin without rows."""
        self.rows: list[dict[str, Any]] = []

    def begin(self) -> None:
        """Forget what was captured."""
        self.rows = []

    def add(self, frame_number: int, camera: Camera, statistics: FrameStatistics, sample: FrameSample) -> None:
        """Keep a frame: `camera` that it was drawn from, its statistics, and the times of the window around it."""
        row = {
            "frame": frame_number,
            "camera": format_camera(camera),
            "cpu_ms": sample.cpu_ms,
            "interval_ms": sample.interval_ms if math.isfinite(sample.interval_ms) else "",
            "render_scale": sample.render_scale,
        }
        self.rows.append(row | flattened(statistics.to_dict()))

    def write(self, path: Path) -> int:
        """Write the rows with a header and return how many; a cell is empty where its frame had no such value."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        return len(self.rows)


def flattened(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dictionaries as one, keys joined by dots.

    The image size becomes `width_pixels` and `height_pixels`, notes one text, truth 0 or 1.
    """
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{name}.")
        elif isinstance(value, tuple):
            flat |= {f"{prefix}width_pixels": value[0], f"{prefix}height_pixels": value[1]}
        elif isinstance(value, list):
            flat[prefix + name] = "; ".join(map(str, value))
        else:
            flat[prefix + name] = int(value) if isinstance(value, bool) else value
    return flat


class PathRecorder:
    """Keyframes of a moving camera at equal steps of time."""

    def __init__(self, step_seconds: float = KEYFRAME_SECONDS) -> None:
        """Begin without keyframes; the first camera added is the first keyframe."""
        if not step_seconds > 0.0:
            raise ValueError(f"a camera path needs a step above 0, not {step_seconds} s")
        self.step_seconds = step_seconds
        self.keyframes: list[Camera] = []
        self._start_seconds = 0.0
        self._last: tuple[float, Camera] | None = None

    def add(self, camera: Camera, time_seconds: float) -> int:
        """Take the camera of a frame; return how many keyframes this made: one for each step that has passed.

        Keyframes between two frames lie on the way from one camera to the other. Times must not fall.
        """
        if self._last is None:
            self._start_seconds, self._last = time_seconds, (time_seconds, camera)
        last_seconds, last = self._last
        made = 0
        while (due := self._start_seconds + len(self.keyframes) * self.step_seconds) <= time_seconds + _ROUNDING:
            part = (due - last_seconds) / max(time_seconds - last_seconds, _ROUNDING)
            self.keyframes.append(_between(last, camera, part) if part < 1.0 - _ROUNDING else camera)
            made += 1
        self._last = time_seconds, camera
        return made

    def path(self) -> CameraPath:
        """Return what was recorded; raises ValueError where that is nothing, or perspective mixed with orthographic."""
        return CameraPath(tuple(self.keyframes))


def _between(first: Camera, second: Camera, part: float) -> Camera:
    """Return the camera at `part` (0..1) of the way, or the second where no way leads from one to the other."""
    try:
        return CameraPath((first, second)).at(part)
    except ValueError:  # from perspective to orthographic, or through the target
        return second


class PathPlayer:
    """A camera that follows a path, `seconds_per_keyframe` from one keyframe to the next."""

    def __init__(
        self, path: CameraPath, seconds_per_keyframe: float = KEYFRAME_SECONDS, step_seconds: float | None = None
    ) -> None:
        """Follow `path`; with `step_seconds` each call of `advance` moves on by that, however long it took."""
        if not seconds_per_keyframe > 0.0 or (step_seconds is not None and not step_seconds > 0.0):
            raise ValueError("a camera path is played at steps above 0 s")
        spans = len(path.keyframes) - (not path.closed)
        self.path, self.duration_seconds = path, spans * seconds_per_keyframe
        self.step_seconds, self.time_seconds = step_seconds, 0.0

    def at(self, time_seconds: float) -> Camera:
        """Return the camera `time_seconds` after the start; a closed path goes round, an open one ends."""
        if self.duration_seconds == 0.0:
            return self.path.at(0.0)
        part = time_seconds / self.duration_seconds
        return self.path.at(part % 1.0 if self.path.closed else part)

    def advance(self, passed_seconds: float) -> Camera:
        """Return the camera now and move on by the fixed step, or by `passed_seconds` where there is none."""
        camera = self.at(self.time_seconds)
        self.time_seconds += passed_seconds if self.step_seconds is None else self.step_seconds
        return camera

    @property
    def is_finished(self) -> bool:
        """Whether the end of an open path was reached; a closed one never ends."""
        return not self.path.closed and self.time_seconds > self.duration_seconds


def write_path(path: CameraPath, file: Path) -> None:
    """Write the text form of a camera path."""
    file.write_text(format_path(path), encoding="utf-8")


def read_path(file: Path) -> CameraPath:
    """Read a camera path; raise ValueError with the file's name where it is none."""
    try:
        return parse_path(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{file}: {reason}") from None
