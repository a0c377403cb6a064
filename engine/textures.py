"""Textures of a scene: decoded, resampled to squares of a power of two, with mips, packed into a few arrays.

Colour (base colour, emission) is coded in sRGB and stays so; it is filtered as linear light. Everything else is
data. The shader side is shaders/textures.wgsl.
"""

import io
import warnings
from collections.abc import Generator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import layout
from engine.materials import srgb_to_linear

LARGEST_EDGE = 4096  # texels; larger images are made smaller
COLOR_FIELDS = ("base_color_texture", "emissive_texture")
DATA_FIELDS = ("metallic_roughness_texture", "normal_texture", "occlusion_texture")
DATA, COLOR = 0, 1  # how a texture is used; texture_places holds both, one after the other
REPEAT, CLAMP, MIRROR = 0, 1, 2  # of Material.sampler
_SRGB_TO_LINEAR = srgb_to_linear(np.arange(256) / 255.0).astype(np.float32)


@dataclass
class TextureUse:
    """One image as materials use it: as colour or as data, with the wraps and the alpha cutoff of the first of them."""

    texture: int  # of the scene
    use: int  # DATA or COLOR
    wraps: tuple[int, int]  # of u and v
    alpha_cutoff: float | None  # of a masked material


def texture_uses(materials: np.ndarray) -> list[TextureUse]:
    """Return what the layout.MATERIAL records (m,) need, ordered by texture and use."""
    masked = (materials["flags"] & layout.CONSTANTS["MATERIAL_MASKED"]) != 0
    uses: dict[tuple[int, int], TextureUse] = {}
    for field in (*COLOR_FIELDS, *DATA_FIELDS):
        use = COLOR if field in COLOR_FIELDS else DATA
        for number in np.flatnonzero(materials[field] != layout.NONE):
            texture, sampler = int(materials[field][number]), int(materials["sampler"][number])
            cutoff = float(materials["alpha_cutoff"][number])
            is_mask = field == "base_color_texture" and masked[number]
            found = uses.setdefault((texture, use), TextureUse(texture, use, (sampler & 15, sampler >> 4 & 15), None))
            if is_mask and found.alpha_cutoff is None:
                found.alpha_cutoff = cutoff
    return [uses[key] for key in sorted(uses)]


def image_size(data: bytes) -> tuple[int, int]:
    """Return (height, width) of an encoded image from its header; raise ValueError where it is damaged or huge."""
    with warnings.catch_warnings():  # not in decode_image: it concerns all threads
        warnings.simplefilter("error")  # pillow's, of more than 89 million pixels
        with _opened(data) as image:
            return image.height, image.width


def decode_image(data: bytes) -> np.ndarray:
    """Return an encoded image as (height, width, 4) uint8, row 0 on top; raise ValueError where it is damaged."""
    with _opened(data) as image:
        if image.mode.startswith("I;16") or image.mode == "I":  # pillow would cut 16 bits off at 255
            grey = np.clip(np.asarray(image, np.int64) / 257.0 + 0.5, 0, 255).astype(np.uint8)
            return np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=-1)
        return np.asarray(image.convert("RGBA"))


@contextmanager
def _opened(data: bytes) -> Generator[Any]:
    """Open an image with pillow, all of whose complaints become ValueError."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            yield image
    except Exception as error:  # pillow's decoders raise whatever they like on damaged files
        raise ValueError(str(error) or type(error).__name__) from None


def edge_of(size: tuple[int, int], largest: int = LARGEST_EDGE) -> int:
    """Return the edge of the square that holds an image of (height, width): the next power of two, to `largest`."""
    return min(1 << (max(size) - 1).bit_length(), largest)


def resample_axis(values: np.ndarray, edge: int, wrap: int) -> np.ndarray:
    """Return `values` (n, ...) float32 with `edge` samples along its first axis, filtered by a tent.

    What the tent reads beyond the ends follows the wrap (REPEAT, CLAMP or MIRROR).
    """
    count = len(values)
    if count == edge:
        return values
    scale = count / edge
    reach = max(scale, 1.0)
    centers = (np.arange(edge) + 0.5) * scale - 0.5
    first = np.floor(centers - reach).astype(np.int64) + 1
    result = np.zeros((edge, *values.shape[1:]), np.float32)
    total = np.zeros(edge, np.float32)
    for tap in range(int(np.ceil(2.0 * reach)) + 1):
        index = first + tap
        weight = np.maximum(1.0 - np.abs(index - centers) / reach, 0.0).astype(np.float32)
        result += values[_wrapped(index, count, wrap)] * weight.reshape(-1, *[1] * (values.ndim - 1))
        total += weight
    return result / total.reshape(-1, *[1] * (values.ndim - 1))


def _wrapped(index: np.ndarray, count: int, wrap: int) -> np.ndarray:
    if wrap == CLAMP:
        return np.clip(index, 0, count - 1)
    if wrap == MIRROR:
        folded = index % (2 * count)
        return np.where(folded < count, folded, 2 * count - 1 - folded)
    return index % count


def mip_chain(
    image: np.ndarray, edge: int, use: int, wraps: tuple[int, int] = (REPEAT, REPEAT), alpha_cutoff: float | None = None
) -> list[np.ndarray]:
    """Return the levels (edge, edge, 4), (edge / 2, edge / 2, 4), ... (1, 1, 4) uint8 of an image (h, w, 4) uint8.

    Levels are averages of 2 x 2 texels of linear light. With an alpha cutoff, colours are weighted by their alpha, and
    the alpha of each level is scaled so that as much of it passes the cutoff as of the finest (Castano, "Computing
    Alpha Mipmaps", 2010).
    """
    is_square = image.shape[:2] == (edge, edge)
    texels = _to_linear(image, use)
    is_masked = alpha_cutoff is not None
    if is_masked:
        texels[..., :3] *= np.maximum(texels[..., 3:], 1e-4)
    if not is_square:
        texels = resample_axis(texels, edge, wraps[1])
        texels = resample_axis(texels.swapaxes(0, 1), edge, wraps[0]).swapaxes(0, 1)
    levels = [image if is_square else _to_bytes(_plain(texels, is_masked), use)]
    coverage = float((levels[0][..., 3] >= 255.0 * alpha_cutoff).mean()) if alpha_cutoff is not None else 0.0
    while len(texels) > 1:
        texels = 0.25 * (texels[0::2, 0::2] + texels[1::2, 0::2] + texels[0::2, 1::2] + texels[1::2, 1::2])
        level = _plain(texels, is_masked)
        if alpha_cutoff is not None:
            level[..., 3] *= _alpha_scale(level[..., 3], alpha_cutoff, coverage)
        levels.append(_to_bytes(level, use))
    return levels


def _plain(texels: np.ndarray, is_masked: bool) -> np.ndarray:
    """Return texels whose colour is no longer weighted by alpha."""
    result = texels.copy()
    if is_masked:
        result[..., :3] /= np.maximum(texels[..., 3:], 1e-4)
    return result


def _alpha_scale(alpha: np.ndarray, cutoff: float, coverage: float) -> float:
    """Return the factor after which the share `coverage` of `alpha` reaches the cutoff."""
    threshold = float(np.quantile(alpha, 1.0 - coverage)) if 0.0 < coverage < 1.0 else 0.0
    return cutoff / threshold if threshold > 1e-3 else 1.0


def _to_linear(image: np.ndarray, use: int) -> np.ndarray:
    """Return (h, w, 4) float32 in 0..1; alpha is never coded."""
    result = image.astype(np.float32) * np.float32(1.0 / 255.0)
    if use == COLOR:
        result[..., :3] = _SRGB_TO_LINEAR[image[..., :3]]
    return result


def _to_bytes(texels: np.ndarray, use: int) -> np.ndarray:
    result = np.clip(texels, 0.0, 1.0)
    if use == COLOR:
        color = result[..., :3]
        result[..., :3] = np.where(color <= 0.0031308, 12.92 * color, 1.055 * color ** (1.0 / 2.4) - 0.055)
    return (result * 255.0 + 0.5).astype(np.uint8)


@dataclass
class TextureArray:
    """Layers of one size and one coding: `members` are numbers into the list of uses."""

    edge: int
    use: int
    members: list[int]

    @property
    def memory_bytes(self) -> int:
        """Bytes on the GPU, with mips."""
        return len(self.members) * sum(4 << 2 * level for level in range(self.edge.bit_length()))


def pack_arrays(
    edges: Sequence[int], uses: Sequence[int], most: int = layout.CONSTANTS["TEXTURE_ARRAYS"], layers: int = 256
) -> list[TextureArray]:
    """Return arrays that hold textures of `edges` texels, used as `uses`, at most `most` of them.

    Where sizes are too many, the smallest arrays are joined with the next larger of their use, at the least cost of
    memory. Raises ValueError where the textures do not fit into `most` arrays of `layers` layers.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for number, key in enumerate(zip(uses, edges)):
        groups.setdefault(key, []).append(number)
    arrays = [TextureArray(edge, use, members) for (use, edge), members in sorted(groups.items())]
    while sum(_parts(array, layers) for array in arrays) > most:
        pairs = [i for i in range(len(arrays) - 1) if arrays[i].use == arrays[i + 1].use]
        if not pairs:
            raise ValueError(f"{len(edges)} textures do not fit into {most} arrays of {layers} layers")
        cheapest = min(pairs, key=lambda i: len(arrays[i].members) * (arrays[i + 1].edge ** 2 - arrays[i].edge ** 2))
        arrays[cheapest + 1].members = sorted(arrays[cheapest].members + arrays[cheapest + 1].members)
        del arrays[cheapest]
    return [
        TextureArray(array.edge, array.use, array.members[start : start + layers])
        for array in arrays
        for start in range(0, len(array.members), layers)
    ]


def _parts(array: TextureArray, layers: int) -> int:
    return -(-len(array.members) // layers)


def texture_places(
    count: int, uses: Sequence[TextureUse], arrays: Sequence[TextureArray], broken: Set[int] = frozenset()
) -> np.ndarray:
    """Return texture_places (2 count,) uint32 of shaders/textures.wgsl; NONE for `broken` and what is in no array."""
    places = np.full(max(2 * count, 1), layout.NONE, np.uint32)
    for number, array in enumerate(arrays):
        for layer, member in enumerate(array.members):
            use = uses[member]
            if use.texture not in broken:
                word = layer | number << 16 | (array.edge.bit_length() - 1) << 24
                places[2 * use.texture + use.use] = word
    return places
