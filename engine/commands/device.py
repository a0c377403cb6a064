"""`microlith device`: which adapter runs here, what it has, and what follows from that."""

import argparse
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from engine.commands.frames import to_json
from engine.commands.logs import Progress

if TYPE_CHECKING:
    from engine.calibrate import Calibration
    from engine.calibrate_raster import RasterCandidate
    from engine.gpu.device import Device


def run(options: argparse.Namespace) -> int:
    """Describe the adapter; with --calibrate, measure it first and keep what was found."""
    from engine.gpu.device import open_device
    from engine.thresholds import thresholds_of

    device = open_device(options.adapter)
    calibration, rasters = _calibrate(device, options.verbosity) if options.calibrate else (None, [])
    description = device.describe() | {"thresholds": asdict(thresholds_of(device))}
    if options.json:
        measured = {"calibration": calibration.to_dict() | {"rasters": rasters}} if calibration else {}
        print(to_json(description | measured, indent=2))
    else:
        print(_table(device.adapter_name, calibration, rasters) if calibration else _text(description))
    return 0


def _calibrate(device: "Device", verbosity: int) -> "tuple[Calibration, list[RasterCandidate]]":
    """Measure the adapter; keep the result for every later command."""
    from engine.calibrate import calibrate
    from engine.calibrate_raster import calibrate_rasters, choose_hardware_pixels
    from engine.thresholds import keep_thresholds, thresholds_file

    with Progress(verbosity) as progress:
        calibration = calibrate(device, progress=progress)
        rasters = calibrate_rasters(device, progress=progress)
    calibration.thresholds = replace(calibration.thresholds, hardware_pixels=choose_hardware_pixels(rasters))
    try:
        keep_thresholds(device, calibration.thresholds)
    except OSError as error:
        raise OSError(f"{thresholds_file(device)}: the calibration cannot be kept there ({error.strerror})") from None
    return calibration, rasters


def _table(adapter: str, calibration: "Calibration", rasters: "list[RasterCandidate]") -> str:
    """Return what was measured, one line a candidate, and what was chosen."""
    lines = [
        f"{adapter}: {calibration.instances:,} instances, {calibration.nodes:,} nodes tested,"
        f" {calibration.clusters:,} clusters drawn; milliseconds are those of {calibration.clock}",
        f"{'traversal':<12}{'workgroups':>10}{'milliseconds':>14}",
    ]
    for one in calibration.candidates:
        workgroups = f"{one.workgroups:,}" if one.workgroups else "-"
        milliseconds = "-" if one.milliseconds is None else f"{one.milliseconds:.3f}"
        note = f"  {one.failure}" if one.failure else ""
        lines.append(f"{one.traversal:<12}{workgroups:>10}{milliseconds:>14}{note}")
    chosen = calibration.thresholds
    lines.append(f"chosen: {chosen.traversal}, {chosen.persistent_workgroups:,} workgroups where it is persistent")
    lines.append(f"{'cluster pixels':<16}{'software ms':>12}{'hardware ms':>12}")
    for one in rasters:
        times = (one.milliseconds(raster) for raster in ("software", "hardware"))
        lines.append(
            f"{one.cluster_pixels:<16}" + "".join(f"{ms:>12.3f}" for ms in times) + f"  {one.failure}".rstrip()
        )
    lines.append(f"chosen: hardware raster {_hardware_range(chosen.hardware_pixels)}")
    return "\n".join(lines)


def _hardware_range(hardware_pixels: float) -> str:
    from engine.thresholds import NO_HARDWARE_PIXELS

    return "never" if hardware_pixels >= NO_HARDWARE_PIXELS else f"from {hardware_pixels:g} pixels on"


def _text(description: dict[str, Any]) -> str:
    """Return one aligned line per entry; a feature that is missing says what is lost."""
    from engine.gpu.device import OPTIONAL_FEATURES

    lines = []
    for name, value in description.items():
        if not isinstance(value, dict):
            lines.append(f"{_words(name):<20} {_shown(value)}")
            continue
        lines.append(f"{_words(name)}")
        for key, entry in value.items():
            note = f"  ({OPTIONAL_FEATURES[key]})" if entry is False and key in OPTIONAL_FEATURES else ""
            lines.append(f"  {_words(key) if name == 'thresholds' else key:<38} {_shown(entry)}{note}")
    return "\n".join(lines)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
