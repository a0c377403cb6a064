"""Camera and frame settings from the options that `render`, `view` and `bench` share."""

import argparse
import dataclasses
import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.settings import SHADOW_CASCADES, FrameSettings, load_settings, settings_from

if TYPE_CHECKING:
    from engine.camera import Camera
    from engine.scene import Scene


CAMERA_SUFFIX = ".camera"  # of files that hold a camera, or a path of several


def frame_settings(options: argparse.Namespace) -> FrameSettings:
    """Return the defaults, overlaid by the settings file, then by the options given, and last by --set."""
    return settings_from(FrameSettings, given_settings(options))


def given_settings(options: argparse.Namespace, values: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return by name what the settings file says, over it the options, over them --set.

    `values` are what they go over, and decide whether --shadows must choose a number of cascades.
    """
    given: dict[str, Any] = {}
    if options.settings:
        load_settings(FrameSettings, options.settings)  # names the file in its errors
        given |= tomllib.loads(Path(options.settings).read_text(encoding="utf-8"))
    names = ("error_pixels", "traversal", "raster", "view", "materials")
    given |= {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.no_occlusion:
        given["occlusion"] = False
    given |= dict(options.set)
    if options.shadows and not ((values or {}) | given).get("shadow_cascades"):
        given["shadow_cascades"] = SHADOW_CASCADES
    return given


def choose_camera(options: Any, scene: "Scene", size: tuple[int, int]) -> "Camera":
    """Return the camera of the options; what they leave open comes from the scene or sees all of it."""
    from engine.camera import frame_bounds

    given = {"eye": options.eye, "target": options.target, "up": options.up, "fov_degrees": options.fov}
    given = {name: value for name, value in given.items() if value is not None}
    if options.camera:
        camera = read_camera(options.camera)
    elif scene.camera is not None:
        camera = scene.camera
    else:
        low, high = (corner.tolist() for corner in scene.bounds())
        camera = frame_bounds(low, high, fov_degrees=given.get("fov_degrees", 45.0), aspect=size[0] / size[1])
        if "target" in given and "eye" not in given:  # look at it from the same side, as far away
            moved = np.subtract(given["target"], camera.target)
            camera = dataclasses.replace(camera, eye=tuple(camera.eye + moved), target=given["target"])
    return dataclasses.replace(camera, **given)


def read_camera(text: str) -> "Camera":
    """Return the camera of a text form, or of a file that holds one and ends in .camera (of a path: its first one)."""
    from engine.camera import parse_camera, parse_path

    if not text.endswith(CAMERA_SUFFIX):
        return parse_camera(text)
    try:
        return parse_path(Path(text).read_text(encoding="utf-8")).keyframes[0]
    except UnicodeDecodeError:
        raise ValueError(f"{text}: is not UTF-8 text") from None
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from None


def check_output(path: str | Path) -> Path:
    """Return `path`; raise ValueError where nothing can be written there, before work is spent on it."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError(f"{path}: may not be written")
    return path


def write_json(path: str | Path, data: Any) -> None:
    """Write `data` as indented JSON."""
    Path(path).write_text(to_json(data, indent=2) + "\n", encoding="utf-8")


def to_json(data: Any, indent: int | None = None) -> str:
    """Return `data` as JSON; numpy scalars and arrays, paths and sets are converted.

    NaN and infinities, which JSON does not know, become null.
    """
    try:
        return json.dumps(data, indent=indent, default=_plain, allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(data, default=_plain), parse_constant=lambda name: None)
        return json.dumps(finite, indent=indent)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
