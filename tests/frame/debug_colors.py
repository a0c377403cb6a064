"""The colours of the debug views in numpy: what shaders/debug_view.wgsl must show of given AOVs."""

import numpy as np

from engine.frame.lighting import light_direction
from engine.settings import FrameSettings

BLUE, CYAN, GREEN, ORANGE = (0.2, 0.4, 0.9), (0.15, 0.75, 0.8), (0.25, 0.7, 0.2), (0.95, 0.45, 0.1)
RASTERS = {"software": BLUE, "small": CYAN, "masked": GREEN, "hardware": ORANGE}


def tie_hash(first, second) -> np.ndarray:
    """Return the hash (uint32) of two numbers, or arrays of them."""
    first, second = (np.atleast_1d(np.asarray(values, np.int64).astype(np.uint32)) for values in (first, second))
    h = first * np.uint32(0x9E3779B1) ^ second * np.uint32(0x85EBCA77)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x2C1B3C6D)
    return h ^ h >> np.uint32(13)


def hash_color(h: np.ndarray) -> np.ndarray:
    """Return a linear colour (..., 3) for each hash."""
    hue = (h & np.uint32(0xFFFF)) / 65536.0 * 6.0
    value = 0.55 + 0.45 * (h >> np.uint32(16) & np.uint32(255)) / 255.0
    saturation = 0.45 + 0.4 * (h >> np.uint32(24)) / 255.0
    pure = np.stack([abs(hue - 3.0) - 1.0, 2.0 - abs(hue - 2.0), 2.0 - abs(hue - 4.0)], axis=-1).clip(0.0, 1.0)
    return value[..., None] * (1.0 + saturation[..., None] * (pure - 1.0))


def ramp_color(t: np.ndarray) -> np.ndarray:
    """Return the colours (..., 3) of the ramp from dark blue (0) to yellow (1)."""
    color = np.array([0.05, 0.03, 0.35])
    for low, high, end in (
        (0.0, 0.4, (0.1, 0.45, 0.55)),
        (0.3, 0.65, (0.35, 0.75, 0.3)),
        (0.6, 1.0, (1.0, 0.85, 0.15)),
    ):
        x = ((np.clip(t, 0.0, 1.0) - low) / (high - low)).clip(0.0, 1.0)[..., None]
        share = x * x * (3.0 - 2.0 * x)
        color = color * (1.0 - share) + np.array(end) * share
    return color


def grey(distance: np.ndarray, scale: float) -> np.ndarray:
    """Return the grey (..., 3) of a distance in the views of depth."""
    return np.repeat((1.0 / (1.0 + (distance / scale) ** 5))[..., None], 3, axis=-1)


def shape(normal: np.ndarray) -> np.ndarray:
    """Return the light (..., 1) that keeps the shape readable."""
    return 0.45 + 0.55 * (normal @ light_direction(FrameSettings())).clip(0.0)[..., None]


def encoded(linear: np.ndarray) -> np.ndarray:
    """Return 8-bit sRGB values, float64."""
    linear = np.clip(linear, 0.0, 1.0)
    return 255.0 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
