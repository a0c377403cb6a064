"""The camera of each frame of an experiment: an orbit, one camera, or a Catmull-Rom way through keyframes."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.camera import Camera, CameraPath, format_camera, format_path, orbit, parse_path
from engine.commands.frames import CAMERA_SUFFIX, choose_camera, read_camera

if TYPE_CHECKING:
    from engine.scene import Scene

KINDS = ("orbit", "still")
UNITS = ("metres", "bounds")
_CAMERA_KEYS = {one.name for one in dataclasses.fields(Camera)}
_POINTS = ("eye", "target", "up")
_OPTIONS = ("camera", "eye", "target", "up", "fov")  # of the command line, which describe one camera


@dataclass(frozen=True)
class Way:
    """Where the camera goes. `kind`: one of KINDS, "" (still where a camera is named, else orbit) or "keyframes".

    `options` are those of the command line that describe one camera; `keyframes` count in `units`.
    """

    kind: str = ""
    keyframes: CameraPath | None = None
    units: str = "metres"
    options: dict[str, Any] = field(default_factory=dict)

    def cameras(self, scene: "Scene", frames: int, size: tuple[int, int]) -> list[Camera]:
        """Return one camera for each frame; the same arguments give the same cameras."""
        if self.keyframes is not None:
            return _in_units(self.keyframes, self.units, scene).sample(frames)
        options = SimpleNamespace(**dict.fromkeys(_OPTIONS) | self.options)
        is_named = bool(options.camera or options.eye or options.target or scene.camera)
        if (self.kind or ("still" if is_named else "orbit")) == "still":
            return [choose_camera(options, scene, size)] * frames
        return orbit(scene.bounds(), frames, fov_degrees=options.fov or 45.0, aspect=size[0] / size[1])

    def describe(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        keyframes = format_path(self.keyframes).splitlines() if self.keyframes else []
        options = dict(self.options)
        if "camera" in options:  # a file is told by what it holds
            options["camera"] = format_camera(read_camera(options["camera"]))
        return {"kind": self.kind, "units": self.units, "keyframes": keyframes, "options": options}


def read_way(entries: dict[str, Any], file: Path) -> Way:
    """Return the Way of an experiment's entries path, closed, units and keyframes; raise ValueError that names one."""
    path, keyframes = entries.get("path", ""), entries.get("keyframes")
    units = entries.get("units", "metres")
    if units not in UNITS:
        raise ValueError(f"units is {units!r}; one of: {', '.join(UNITS)}")
    if keyframes is not None:
        if "path" in entries:
            raise ValueError("there are both path and [[keyframes]]; remove one of them")
        if not isinstance(entries.get("closed", False), bool):
            raise ValueError(f"closed is {entries['closed']!r}; use true or false")
        return Way("keyframes", CameraPath(tuple(_keyframes(keyframes)), entries.get("closed", False)), units)
    for name in ("closed", "units"):
        if name in entries and not str(path).endswith(CAMERA_SUFFIX):
            raise ValueError(f"{name} is of [[keyframes]], of which there are none")
    if path in ("", *KINDS):
        return Way(path)
    if not isinstance(path, str) or not path.endswith(CAMERA_SUFFIX):
        raise ValueError(f"path is {path!r}; one of: {', '.join(KINDS)}, or a file that ends in {CAMERA_SUFFIX}")
    if "closed" in entries:
        raise ValueError(f"closed is of [[keyframes]]; the first line of {path} says it")
    try:
        way = parse_path((file.parent / path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"path is {path!r}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"path is {path!r}: {error}") from None
    return Way("keyframes", way, units)


def _keyframes(tables: Any) -> list[Camera]:
    if not isinstance(tables, list) or not tables:
        raise ValueError("keyframes must be [[keyframes]] tables, one or more")
    cameras = []
    for number, table in enumerate(tables):
        if not isinstance(table, dict):
            raise ValueError(f"keyframes has {table!r}; write [[keyframes]] tables")
        if unknown := sorted(set(table) - _CAMERA_KEYS):
            raise ValueError(f"[[keyframes]] {number}: unknown key {unknown[0]!r}; one of: {sorted(_CAMERA_KEYS)}")
        if not {"eye", "target"} <= set(table):
            raise ValueError(f"[[keyframes]] {number} needs eye and target")
        for name, value in table.items():
            is_list = isinstance(value, list)
            numbers = value if is_list else [value]
            if is_list != (name in _POINTS) or not all(type(one) in (int, float) for one in numbers):
                expected = "three numbers" if name in _POINTS else "a number"
                raise ValueError(f"[[keyframes]] {number}: {name} is {value!r}; use {expected}")
        try:
            cameras.append(Camera(**table))
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"[[keyframes]] {number}: {error}") from None
    return cameras


def _in_units(path: CameraPath, units: str, scene: "Scene") -> CameraPath:
    """Return the path in metres."""
    if units == "metres":
        return path
    low, high = scene.bounds()
    middle, half = 0.5 * (low + high), 0.5 * float(np.linalg.norm(high - low))
    placed = []
    for camera in path.keyframes:
        eye, target = (tuple(middle + half * np.asarray(point)) for point in (camera.eye, camera.target))
        lengths = {"near": camera.near, "orthographic_height": camera.orthographic_height}
        scaled = {name: length and half * length for name, length in lengths.items()}
        placed.append(dataclasses.replace(camera, eye=eye, target=target, **scaled))
    return CameraPath(tuple(placed), path.closed)
