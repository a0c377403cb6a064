"""Numbers as panels show them: with units that leave no zeros to count."""

import math

_LENGTHS = (("km", 1e3), ("m", 1.0), ("mm", 1e-3), ("µm", 1e-6), ("nm", 1e-9))
_BYTES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def length_text(metres: float) -> str:
    """Return a length with four digits, in the largest of km, m, mm, µm, nm of which there is at least one."""
    if metres == 0.0:
        return "0 m"
    if not math.isfinite(metres):
        return "infinite" if metres > 0.0 else "-infinite"
    name, unit = next((entry for entry in _LENGTHS if abs(metres) >= entry[1]), _LENGTHS[-1])
    return f"{metres / unit:.4g} {name}"


def pixels_text(pixels: float) -> str:
    """Return a length on the screen with three digits."""
    return f"{pixels:.3g} px" if math.isfinite(pixels) else "infinite"


def bytes_text(count: int) -> str:
    """Return a size in bytes, or in the largest of KiB, MiB, GiB of which there is at least one."""
    for name, unit in _BYTES:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def point_text(values) -> str:
    """Return a position or direction (3,) float64."""
    return ", ".join(f"{value:.6g}" for value in values)
