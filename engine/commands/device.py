"""`microlith device`: which adapter runs here, what it has, and what follows from that."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.commands.frames import to_json
from engine.commands.logs import Progress

if TYPE_CHECKING:
    from engine.calibrate import Calibration
    from engine.gpu.device import Device


def run(options: argparse.Namespace) -> int:
    """Describe the adapter; with --calibrate, measure it first and keep what was found."""
    from engine.gpu.device import open_device
    from engine.thresholds import thresholds_of

    device = open_device(options.adapter)
    calibration = _calibrate(device, options.verbosity) if options.calibrate else None
    description = device.describe() | {"thresholds": asdict(thresholds_of(device))}
    if options.json:
        print(to_json(description | ({"calibration": calibration.to_dict()} if calibration else {}), indent=2))
    else:
        print(_table(device.adapter_name, calibration) if calibration else _text(description))
    return 0


def _calibrate(device: "Device", verbosity: int) -> "Calibration":
    """Measure the adapter; keep the result for every later command."""
    from engine.calibrate import calibrate
    from engine.thresholds import keep_thresholds, thresholds_file

    with Progress(verbosity) as progress:
        calibration = calibrate(device, progress=progress)
    try:
        keep_thresholds(device, calibration.thresholds)
    except OSError as error:
        raise OSError(f"{thresholds_file(device)}: the calibration cannot be kept there ({error.strerror})") from None
    return calibration


def _table(adapter: str, calibration: "Calibration") -> str:
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
    return "\n".join(lines)


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
