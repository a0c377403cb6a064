"""Each covered pixel lies in exactly one bin, that of its material function."""

import numpy as np
import pytest

from engine import layout
from engine.camera import Camera
from engine.frame.bin_pixels import ALL_BINS
from engine.gpu.buffers import read_buffer
from engine.scene import load_scene
from engine.settings import FrameSettings
from tests.frame.test_base_pass import user_scene  # noqa: F401
from tests.frame.test_emit_depth_targets import target


def bins_of(renderer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ranges (bins, 2), arguments (bins, 3) and the listed pixels (n, 2) of the frame drawn last."""
    bins = renderer._passes.material_passes._bins
    dtype = np.dtype(np.uint32)
    ranges = read_buffer(renderer.device, bins.resources["bin_ranges"], dtype, 2 * (ALL_BINS + 1)).reshape(-1, 2)
    arguments = read_buffer(renderer.device, bins.arguments, dtype, 3 * (ALL_BINS + 1)).reshape(-1, 3)
    words = read_buffer(renderer.device, bins.resources["binned_pixels"], dtype, int(ranges[ALL_BINS, 1]))
    return ranges, arguments, np.stack([words & 0xFFFF, words >> 16], axis=1)


@pytest.mark.parametrize("size", [(1, 1), (211, 97), (64, 1), (1, 70), (16, 16)])
@pytest.mark.parametrize("functions", [1, 2])
def test_every_covered_pixel_is_in_the_bin_of_its_function(renderer, user_scene, tmp_path, size, functions):  # noqa: F811
    scene = user_scene if functions == 2 else load_scene(tmp_path / "quad.mlith")
    camera = Camera((1.6, 0.5, 4.0), (1.0, 0.0, 0.0))
    for _ in range(2):  # what a frame leaves behind must not disturb the next
        frame = renderer.render(scene, camera, FrameSettings(), size, aovs=("material",))
    material = frame.aovs["material"]
    covered = material != layout.NONE
    if functions == 1 and not renderer.device.is_software:
        assert renderer._passes.material_passes._bins is None, "a GPU visits all pixels of the only function"
        return
    ranges, arguments, pixels = bins_of(renderer)
    assert ranges[ALL_BINS].tolist() == [0, covered.sum()]
    assert len({tuple(pixel) for pixel in pixels.tolist()}) == covered.sum()  # none twice
    shader = np.where(covered, scene.materials["shader"][np.where(covered, material, 0)], 99)
    end = 0
    for number in range(ALL_BINS):
        start, count = ranges[number]
        assert start == end
        end += count
        listed = pixels[start : start + count]
        assert (shader[listed[:, 1], listed[:, 0]] == number).all()
        assert arguments[number].tolist() == [-(-int(count) // 64), min(int(count), 1), 1]
    assert end == covered.sum()
    assert size == (1, 1) or covered.any()
    assert (frame.image[~covered] == [*frame.image[~covered][0][:3], 255]).all() if (~covered).any() else True
    assert (target(renderer, "material_target", np.uint32)[~covered] == 0).all()
