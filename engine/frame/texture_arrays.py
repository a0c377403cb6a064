"""The textures of a scene on the GPU: bind group 2 (shaders/textures.wgsl)."""

import numpy as np
import wgpu

from engine import layout
from engine.gpu.buffers import CapacityError, buffer_from
from engine.gpu.device import Device
from engine.gpu.shader import ShaderKernel
from engine.scene import Scene
from engine.textures import (
    COLOR,
    LARGEST_EDGE,
    decode_uses,
    edge_of,
    mip_chain,
    pack_arrays,
    texture_places,
    texture_uses,
)

TEXTURE_GROUP = 2  # of bindings, as shaders/textures.wgsl has them
ARRAYS = layout.CONSTANTS["TEXTURE_ARRAYS"]


class TextureArrays:
    """Decodes and uploads what the materials of a scene use; `count` arrays hold something.

    An image that cannot be decoded is one warning; CapacityError says where the textures do not fit.
    """

    def __init__(self, device: Device, scene: Scene):
        limits = device.limits
        largest = min(LARGEST_EDGE, limits["max-texture-dimension-2d"])
        pairs = decode_uses(texture_uses(scene.materials), scene.texture_image)
        uses = [use for use, _ in pairs]
        edges = [edge_of(image.shape[:2], largest) for _, image in pairs]
        try:
            arrays = pack_arrays(edges, [use.use for use in uses], ARRAYS, limits["max-texture-array-layers"])
        except ValueError as error:
            raise CapacityError(f"the scene's {error}; use fewer or smaller textures") from None
        self.count = len(arrays)
        self.memory_bytes = sum(array.memory_bytes for array in arrays)
        self._bind_group: wgpu.GPUBindGroup | None = None
        self._resources: dict[str, object] = {
            "texture_places": buffer_from(device, "texture places", texture_places(len(scene.textures), uses, arrays)),
            "texture_sampler": device.wgpu_device.create_sampler(
                label="textures",
                address_mode_u="repeat",
                address_mode_v="repeat",
                mag_filter="linear",
                min_filter="linear",
                mipmap_filter="linear",
            ),
        }
        empty = None
        for number in range(ARRAYS):
            if number < self.count:
                texture = _create(device, number, arrays[number].edge, len(arrays[number].members), arrays[number].use)
                for layer, member in enumerate(arrays[number].members):
                    use, image = pairs[member]
                    chain = mip_chain(image, arrays[number].edge, use.use, use.wraps, use.alpha_cutoff)
                    _write_layer(device, texture, layer, chain)
            else:
                texture = empty = empty or _create(device, number, 1, 1, COLOR)
            self._resources[f"textures_{number}"] = texture.create_view(dimension="2d-array")

    def set_bind_group(
        self, encoder: wgpu.GPUComputePassEncoder | wgpu.GPURenderPassEncoder, kernel: ShaderKernel
    ) -> None:
        """Set bind group 2 if the kernel reads textures; those that import textures.wgsl share one layout."""
        if kernel.groups > TEXTURE_GROUP:
            encoder.set_bind_group(TEXTURE_GROUP, self.bind_group(kernel))

    def bind_group(self, kernel: ShaderKernel) -> wgpu.GPUBindGroup:
        """Return bind group 2 for a kernel that reads textures."""
        if self._bind_group is None:
            self._bind_group = kernel.bind(TEXTURE_GROUP, self._resources)
        return self._bind_group


def _create(device: Device, number: int, edge: int, layers: int, use: int) -> wgpu.GPUTexture:
    return device.wgpu_device.create_texture(
        label=f"textures {number}",
        size=(edge, edge, layers),
        mip_level_count=edge.bit_length(),
        format="rgba8unorm-srgb" if use == COLOR else "rgba8unorm",
        usage=wgpu.TextureUsage.TEXTURE_BINDING | wgpu.TextureUsage.COPY_DST,
    )


def _write_layer(device: Device, texture: wgpu.GPUTexture, layer: int, chain: list[np.ndarray]) -> None:
    for level, texels in enumerate(chain):
        edge = len(texels)
        device.wgpu_device.queue.write_texture(
            {"texture": texture, "mip_level": level, "origin": (0, 0, layer)},
            np.ascontiguousarray(texels),
            {"bytes_per_row": 4 * edge, "rows_per_image": edge},
            (edge, edge, 1),
        )
