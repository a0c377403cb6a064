"""Pass present: the image on a colour target of any format and size."""

import numpy as np
import pytest
import wgpu

from engine.gpu.device import Device
from engine.scene import load_scene
from engine.settings import FrameSettings

SIZE = (64, 40)


def presented(renderer, size: tuple[int, int], target_format: str) -> np.ndarray:
    """Return what a target of `size` and `target_format` holds afterwards, (height, width, 4) uint8, red first."""
    device: Device = renderer.device
    usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
    target = device.wgpu_device.create_texture(size=(*size, 1), format=target_format, usage=usage)
    renderer.present(target)
    width, height = size
    row_bytes = -(-4 * width // 256) * 256
    source, place = {"texture": target}, {"bytes_per_row": row_bytes, "rows_per_image": height}
    data = device.wgpu_device.queue.read_texture(source, place, (width, height, 1))
    pixels = np.frombuffer(data, np.uint8).reshape(height, row_bytes)[:, : 4 * width].reshape(height, width, 4)
    return pixels[..., [2, 1, 0, 3]] if target_format.startswith("bgra") else pixels


def blended(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the image (height, width, k) scaled to `size` by blending the four nearest pixels."""
    height, width = image.shape[:2]
    place = [np.maximum((np.arange(n) + 0.5) * m / n - 0.5, 0.0) for n, m in zip(size, (width, height))]
    first = [np.floor(p).astype(int) for p in place]
    share_x, share_y = (p - f for p, f in zip(place, first))
    x, y = first
    next_x, next_y = np.minimum(x + 1, width - 1), np.minimum(y + 1, height - 1)
    share_x, share_y = share_x[None, :, None], share_y[:, None, None]
    above = image[y][:, x] * (1 - share_x) + image[y][:, next_x] * share_x
    below = image[next_y][:, x] * (1 - share_x) + image[next_y][:, next_x] * share_x
    return above * (1 - share_y) + below * share_y


@pytest.mark.parametrize("target_format", ["rgba8unorm", "bgra8unorm-srgb"])
@pytest.mark.parametrize("view", ["shaded", "clusters"])
def test_of_the_same_size_it_is_a_copy(renderer, sample_asset, target_format, view):
    scene = load_scene(sample_asset("sphere", 5000))
    image = renderer.render(scene, scene.default_camera(), FrameSettings(view=view), SIZE).image
    assert len(np.unique(image.reshape(-1, 4), axis=0)) > 20
    np.testing.assert_array_equal(presented(renderer, SIZE, target_format), image)


@pytest.mark.parametrize("size", [(128, 80), (97, 33), (65, 41)])
def test_of_another_size_it_is_blended(renderer, sample_asset, size):
    scene = load_scene(sample_asset("sphere", 5000))
    image = renderer.render(scene, scene.default_camera(), FrameSettings(view="normals"), SIZE).image
    found = presented(renderer, size, "rgba8unorm")
    assert np.abs(found.astype(float) - blended(image.astype(float), size)).max() <= 1.0
