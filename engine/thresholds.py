"""What only a measurement can tell of an adapter: defaults, and what `microlith device --calibrate` found and kept.

A frame setting that names a value goes before either.
"""

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from engine import __version__, layout
from engine.gpu.device import Device
from engine.settings import FrameSettings, Traversal
from engine.user_cache import cache_folder

log = logging.getLogger("engine")

LARGEST_WORKGROUPS = 65535  # of one dispatch dimension, on every adapter
SOFTWARE_WORKGROUPS = 8  # a CPU plays the GPU: few, long-lived workgroups suit it
GPU_WORKGROUPS = 1056  # eight on each multiprocessor of an NVIDIA H200

NO_HARDWARE_PIXELS: float = layout.CONSTANTS["NO_HARDWARE_PIXELS"]


@dataclass(frozen=True)
class Thresholds:
    """Choices for one adapter."""

    traversal: str  # "persistent" or "levels": what the setting `auto` stands for
    persistent_workgroups: int  # of 64 threads; also where `levels` is the choice and a setting asks for persistent
    source: str  # "calibrated" or "default"
    reason: str
    hardware_pixels: float = NO_HARDWARE_PIXELS  # size on the screen from which clusters go to the hardware raster


def thresholds_of(device: Device) -> Thresholds:
    """Return the calibrated thresholds of an adapter, or its defaults; read once for each opened device."""
    if "thresholds" not in device.caches:
        device.caches["thresholds"] = _calibrated(device) or default_thresholds(device)
    return device.caches["thresholds"]


def hardware_pixels(device: Device, settings: FrameSettings) -> float:
    """Return the size on the screen from which clusters go to the hardware raster."""
    if settings.raster != "auto":
        return 0.0 if settings.raster == "hardware" else NO_HARDWARE_PIXELS
    return settings.hardware_pixels or thresholds_of(device).hardware_pixels


def is_persistent(device: Device, settings: FrameSettings, has_stood_still: bool = False) -> bool:
    """Return whether the persistent traversal is asked for, or is what `auto` stands for and never stood still.

    Raises RuntimeError where the adapter cannot run it.
    """
    if settings.traversal == "auto":
        return thresholds_of(device).traversal == "persistent" and not has_stood_still
    if settings.traversal == "persistent" and "shader-int64-atomic-all-ops" not in device.features:
        raise RuntimeError(
            f"{device.adapter_name} lacks shader-int64-atomic-all-ops, which the persistent traversal needs;"
            " use --traversal levels"
        )
    return settings.traversal == "persistent"


def default_thresholds(device: Device) -> Thresholds:
    """Return what is chosen without a measurement."""
    is_persistent, reason = _persistent_verdict(device)
    workgroups = SOFTWARE_WORKGROUPS if device.is_software else GPU_WORKGROUPS
    # Software everywhere until measured: a CPU has no graphics units, and an NVIDIA H200 few.
    return Thresholds("persistent" if is_persistent else "levels", workgroups, "default", reason)


def _persistent_verdict(device: Device) -> tuple[bool, str]:
    """Return (whether the persistent traversal is the default of an uncalibrated adapter, why).

    Its lanes wait for one another, which no specification promises to work; adapters are named here
    once the queue was seen to give the right set on them.
    """
    if "shader-int64-atomic-all-ops" not in device.features:
        return False, "the adapter lacks shader-int64-atomic-all-ops"
    known = ("llvmpipe", "NVIDIA")
    if any(name in device.adapter_name for name in known):
        return True, "seen to work on this family of adapters"
    return False, f"not yet tried on this adapter (tried: {', '.join(known)}); --traversal persistent asks for it"


def keep_thresholds(device: Device, thresholds: Thresholds) -> Path:
    """Use calibrated thresholds from now on, also in later processes; return their file. Raises OSError."""
    device.caches["thresholds"] = thresholds
    path = thresholds_file(device)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {**_identity(device), **asdict(thresholds)}
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path


def thresholds_file(device: Device) -> Path:
    """Return where the calibration of this adapter, driver and version of Microlith is kept."""
    key = hashlib.sha256(repr(_identity(device)).encode()).hexdigest()[:16]
    return cache_folder("thresholds") / f"{key}.json"


def _identity(device: Device) -> dict[str, str]:
    driver = str(device.adapter.info["description"])
    return {"adapter": device.adapter_name, "driver": driver, "microlith": __version__}


def _calibrated(device: Device) -> Thresholds | None:
    path = thresholds_file(device)
    try:
        return _checked(json.loads(path.read_text(encoding="utf-8")), device)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning(
            "%s is no calibration (%s); defaults are used; write it anew with `microlith device --calibrate`",
            path,
            str(error).splitlines()[0],
        )
        return None


def _checked(content: object, device: Device) -> Thresholds:
    """Return the thresholds in a file's content; raise ValueError where it does not hold any for this adapter."""
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    traversal, workgroups = content.get("traversal"), content.get("persistent_workgroups")
    if not isinstance(traversal, str) or traversal not in get_args(Traversal) or traversal == "auto":
        raise ValueError(f"traversal is {traversal!r}")
    if traversal == "persistent" and "shader-int64-atomic-all-ops" not in device.features:
        raise ValueError("the adapter cannot run its traversal")
    if type(workgroups) is not int or not 1 <= workgroups <= LARGEST_WORKGROUPS:
        raise ValueError(f"persistent_workgroups is {workgroups!r}")
    hardware_pixels = content.get("hardware_pixels")
    if not isinstance(hardware_pixels, (int, float)) or not 0 < hardware_pixels <= NO_HARDWARE_PIXELS:
        raise ValueError(f"hardware_pixels is {hardware_pixels!r}")
    return Thresholds(traversal, workgroups, "calibrated", str(content.get("reason", "")), float(hardware_pixels))
