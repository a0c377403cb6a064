"""`microlith device`: which adapter runs here, what it has, and what follows from that."""

import argparse
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from engine.commands.frames import to_json


def run(options: argparse.Namespace) -> int:
    """Describe the adapter; with --calibrate, measure it first."""
    if options.calibrate and find_spec("engine.gpu.calibrate") is None:
        raise RuntimeError("calibration is not part of this version; the defaults are used on every adapter")
    from engine.gpu.device import open_device

    device = open_device(options.adapter)
    description = device.describe()
    if options.calibrate:
        description["calibration"] = import_module("engine.gpu.calibrate").calibrate(device)
    print(to_json(description, indent=2) if options.json else _text(description))
    return 0


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
            lines.append(f"  {key:<38} {_shown(entry)}{note}")
    return "\n".join(lines)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
