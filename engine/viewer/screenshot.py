"""Pictures of the window: the image alone, or with everything that is drawn over it."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import wgpu

from engine.gpu.device import Device

if TYPE_CHECKING:
    from engine.viewer.app import Window

_ROW_BYTES = 256  # rows of a copied texture begin at multiples of this


def window_image(window: "Window") -> np.ndarray:
    """Return what the window shows, panels included, (height, width, 4) uint8 sRGB."""
    size, live = window.state.window_size, window.live
    usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
    target = window.device.wgpu_device.create_texture(
        label="screenshot", size=(*size, 1), format=live.format, usage=usage
    )
    live.show(target)
    window.draw_overlays(target)
    window.gui.draw_again(target)
    return read_texture(window.device, target)


def read_texture(device: Device, texture: wgpu.GPUTexture) -> np.ndarray:
    """Return a texture of four 8-bit channels, (height, width, 4) uint8, red first and opaque; waits for the GPU."""
    width, height, _ = texture.size
    row_bytes = -(-4 * width // _ROW_BYTES) * _ROW_BYTES
    layout = {"bytes_per_row": row_bytes, "rows_per_image": height}
    data = device.wgpu_device.queue.read_texture({"texture": texture}, layout, (width, height, 1))
    rows = np.frombuffer(data, np.uint8).reshape(height, row_bytes)[:, : 4 * width]
    pixels = rows.reshape(height, width, 4)[..., [2, 1, 0, 3] if texture.format.startswith("bgra") else slice(None)]
    pixels = pixels.copy()
    pixels[..., 3] = 255
    return pixels


def save_image(path: Path, pixels: np.ndarray) -> None:
    """Write (height, width, 4) uint8 `pixels` as a PNG."""
    from PIL import Image

    Image.fromarray(pixels).save(path)
