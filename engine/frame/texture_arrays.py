"""The textures of a scene on the GPU: bind group 2 (shaders/textures.wgsl)."""

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import wgpu

from engine import layout
from engine.gpu.buffers import CapacityError, buffer_from
from engine.gpu.device import Device
from engine.gpu.shader import ShaderKernel
from engine.scene import Scene
from engine.textures import (
    COLOR,
    DATA,
    LARGEST_EDGE,
    TextureArray,
    TextureUse,
    decode_image,
    edge_of,
    image_size,
    mip_chain,
    pack_arrays,
    texture_places,
    texture_uses,
)

log = logging.getLogger("engine")
T = TypeVar("T")

_THREADS = min(4, os.cpu_count() or 1)  # each decodes one image, which takes up to a gigabyte at the largest edge
TEXTURE_GROUP = 2  # of bindings, as shaders/textures.wgsl has them
ARRAYS = layout.CONSTANTS["TEXTURE_ARRAYS"]


class TextureArrays:
    """Decodes and uploads what the materials of a scene use; `count` arrays hold something.

    An image that cannot be decoded is one warning; CapacityError says where the textures do not fit.
    """

    def __init__(self, device: Device, scene: Scene, progress: Callable[[str, int, int], None] | None = None):
        self._device, self._scene = device, scene
        self._progress = progress or (lambda *_: None)
        self._broken: set[int] = set()
        limits = device.limits
        largest = min(LARGEST_EDGE, limits["max-texture-dimension-2d"])
        sized = [(use, self._read(use.texture, image_size)) for use in texture_uses(scene.materials)]
        uses = [use for use, size in sized if size]
        edges = [edge_of(size, largest) for _, size in sized if size]
        try:
            arrays = pack_arrays(edges, [use.use for use in uses], ARRAYS, limits["max-texture-array-layers"])
        except ValueError as error:
            raise CapacityError(f"the scene's {error}; use fewer or smaller textures") from None
        self.count = len(arrays)
        self.data_count = sum(array.use == DATA for array in arrays)  # they come first
        self.memory_bytes = sum(array.memory_bytes for array in arrays)
        self._bind_group: wgpu.GPUBindGroup | None = None
        textures = []
        for number, array in enumerate(arrays):
            before = sum(len(other.members) for other in arrays[:number])
            textures.append(self._upload(number, array, uses, before))
        textures += [_create(device, self.count, 1, 1, COLOR)] * (ARRAYS - self.count)
        # Last: an image may turn out to be broken only when it is decoded.
        places = texture_places(len(scene.textures), uses, arrays, self._broken)
        self._resources: dict[str, object] = {
            "texture_places": buffer_from(device, "texture places", places),
            "texture_sampler": device.wgpu_device.create_sampler(
                label="textures",
                address_mode_u="repeat",
                address_mode_v="repeat",
                mag_filter="linear",
                min_filter="linear",
                mipmap_filter="linear",
            ),
        }
        for number, texture in enumerate(textures):
            self._resources[f"textures_{number}"] = texture.create_view(dimension="2d-array")

    def _read(self, texture: int, reader: Callable[[bytes], T]) -> T | None:
        """Return what `reader` makes of an encoded image; None, and one warning, where it is broken."""
        label = f"texture {texture}"
        try:
            label, data = self._scene.texture_image(texture)
            return reader(data)
        except ValueError as error:
            if texture not in self._broken:
                log.warning("%s cannot be used (%s); materials show their plain factors instead", label, error)
            self._broken.add(texture)
            return None

    def _upload(self, number: int, array: TextureArray, uses: list[TextureUse], before: int) -> wgpu.GPUTexture:
        """Decode the members of an array, a few at a time, and return the texture that holds them.

        `before`: how many members the arrays before it have.
        """
        texture = _create(self._device, number, array.edge, len(array.members), array.use)

        def levels(member: int) -> list[np.ndarray]:
            use = uses[member]
            image = self._read(use.texture, decode_image)
            return [] if image is None else mip_chain(image, array.edge, use.use, use.wraps, use.alpha_cutoff)

        for first in range(0, len(array.members), _THREADS):
            with ThreadPoolExecutor(_THREADS) as pool:
                for layer, chain in enumerate(pool.map(levels, array.members[first : first + _THREADS]), first):
                    _write_layer(self._device, texture, layer, chain)
                    self._progress("decode textures", before + layer + 1, len(uses))
        return texture

    @property
    def constants(self) -> dict[str, int]:
        """Pipeline constants of kernels that import textures.wgsl."""
        return {"texture_arrays": self.count, "data_arrays": self.data_count}

    def set_bind_group(
        self, encoder: wgpu.GPUComputePassEncoder | wgpu.GPURenderPassEncoder, kernel: ShaderKernel
    ) -> None:
        """Set bind group 2 if the kernel reads textures; those that import textures.wgsl share one layout."""
        if kernel.groups > TEXTURE_GROUP:
            encoder.set_bind_group(TEXTURE_GROUP, self.bind_group(kernel))

    def forget_bind_group(self) -> None:
        """Make the bind group anew when it is asked for."""
        self._bind_group = None

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
