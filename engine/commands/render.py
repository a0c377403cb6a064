"""`microlith render`: a scene to an image, arrays and statistics."""

import argparse
from pathlib import Path

import numpy as np

from engine.commands.frames import check_output, choose_camera, frame_settings, write_json
from engine.commands.scenes import open_scene


def run(options: argparse.Namespace) -> int:
    """Draw `--frames` frames of one camera and write the last one."""
    from PIL import Image

    image_file = check_output(options.output)
    if image_file.suffix.lower() not in Image.registered_extensions():
        raise ValueError(f"{image_file}: not an image format; use .png")
    aovs = {name: check_output(path) for name, path in options.aov}
    if options.statistics:
        check_output(options.statistics)
    settings = frame_settings(options)
    scene = open_scene(options.scene, options.verbosity)
    camera = choose_camera(options, scene, options.size)

    from engine.gpu.device import open_device
    from engine.renderer import Renderer

    renderer = Renderer(open_device(options.adapter))
    for last in range(options.frames - 1, -1, -1):
        frame = renderer.render(scene, camera, settings, size=options.size, aovs=() if last else tuple(aovs))
    _save_image(image_file, frame.image)
    for name, path in aovs.items():
        np.save(path, frame.aovs[name])
    if options.statistics:
        write_json(options.statistics, frame.statistics.to_dict())
    return 0


def _save_image(path: Path, pixels: np.ndarray) -> None:
    """Write (height, width, 4) uint8 sRGB `pixels`; formats without transparency get three channels."""
    from PIL import Image

    keeps_alpha = path.suffix.lower() in (".png", ".webp", ".tif", ".tiff")
    Image.fromarray(pixels if keeps_alpha else np.ascontiguousarray(pixels[..., :3])).save(path)
