"""Measure from which size on the screen clusters go to the hardware raster: a part of `device --calibrate`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.calibrate import Progress
from engine.calibration_grid import grid_scene
from engine.gpu.device import Device
from engine.renderer import Renderer
from engine.settings import FrameSettings
from engine.thresholds import NO_HARDWARE_PIXELS

SIZES = (32, 64, 128, 256)  # pixels: the width of the clusters that are drawn
SOFTWARE_IMAGE, GPU_IMAGE = 256, 2048  # pixels: width and height
LAYERS = 4
FRAMES = 5  # measured of each raster and size, in turns
_MARGIN = 1.1  # the hardware raster must be faster by more than chance
# Nothing here depends on what an earlier calibration found, and the layers behind are drawn in every frame.
_COMMON: dict[str, Any] = {"traversal": "levels", "persistent_workgroups": 1, "occlusion": False}
SETTINGS = {
    "software": FrameSettings(raster="software", **_COMMON),
    "hardware": FrameSettings(raster="hardware", **_COMMON),
}


@dataclass
class RasterCandidate:
    """Clusters of one size and the milliseconds of each frame by raster; `failure` says why it may not be hardware."""

    cluster_pixels: int
    frames_ms: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in SETTINGS})
    failure: str = ""

    def milliseconds(self, raster: str) -> float:
        """Return the shortest frame of a raster."""
        return min(self.frames_ms[raster], default=np.inf)


def calibrate_rasters(
    device: Device,
    sizes: Sequence[int] = SIZES,
    frames: int = FRAMES,
    progress: Progress = lambda *_: None,
) -> list[RasterCandidate]:
    """Draw clusters of each size with both rasters; they must draw the same samples."""
    image = SOFTWARE_IMAGE if device.is_software else GPU_IMAGE
    candidates = []
    for number, pixels in enumerate(sizes):
        candidates.append(_measure(device, pixels, max(image, 2 * pixels), frames))
        progress("calibrate rasters", number + 1, len(sizes))
    return candidates


def choose_hardware_pixels(candidates: Sequence[RasterCandidate]) -> float:
    """Return the smallest size from which on the hardware raster was faster and right; NO_HARDWARE_PIXELS if none."""
    chosen = NO_HARDWARE_PIXELS
    for one in sorted(candidates, key=lambda one: -one.cluster_pixels):
        if one.failure or _MARGIN * one.milliseconds("hardware") >= one.milliseconds("software"):
            break
        chosen = float(one.cluster_pixels)
    return chosen


def _measure(device: Device, cluster_pixels: int, image_pixels: int, frames: int) -> RasterCandidate:
    scene, camera = grid_scene(cluster_pixels, image_pixels, LAYERS)
    renderers = {raster: Renderer(device) for raster in SETTINGS}
    candidate, drawn = RasterCandidate(cluster_pixels), {}
    for turn in range(frames + 1):  # the first one compiles and compares
        for raster, renderer in renderers.items():
            begin = time.perf_counter()
            renderer.submit(scene, camera, SETTINGS[raster], (image_pixels, image_pixels))
            [(_, seen)] = renderer.collect(wait=True)
            wall_ms = (time.perf_counter() - begin) * 1e3
            if turn == 0:
                drawn[raster] = renderer.read_visibility() >> np.uint64(32)
            else:
                # A CPU that plays the GPU takes its timestamps at the wrong moment where there is a render pass.
                raster_ms = [ms for label, ms in seen.passes_ms.items() if "rasterize_" in label]
                candidate.frames_ms[raster].append(wall_ms if device.is_software or not raster_ms else sum(raster_ms))
    if not np.array_equal(drawn["software"], drawn["hardware"]):
        candidate.failure = "drew other samples"
    return candidate
