"""Decoding, resampling, mips and packing of textures, on the CPU."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from engine import layout
from engine.materials import material, srgb_to_linear
from engine.textures import (
    CLAMP,
    COLOR,
    DATA,
    MIRROR,
    REPEAT,
    decode_image,
    edge_of,
    image_size,
    mip_chain,
    pack_arrays,
    resample_axis,
    texture_places,
    texture_uses,
)


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (height, width, 4), np.uint8)


def test_images_of_every_mode_become_four_bytes():
    rgba = noise(3, 5)
    np.testing.assert_array_equal(decode_image(encoded(rgba)), rgba)
    np.testing.assert_array_equal(decode_image(encoded(rgba[..., :3]))[..., :3], rgba[..., :3])
    assert (decode_image(encoded(rgba[..., :3]))[..., 3] == 255).all()
    grey = decode_image(encoded(rgba[..., 0]))
    np.testing.assert_array_equal(grey, np.stack([*[rgba[..., 0]] * 3, np.full((3, 5), 255)], axis=-1))
    deep = decode_image(encoded(rgba[..., 0].astype(np.uint16) * 257))
    np.testing.assert_array_equal(deep[..., 0], rgba[..., 0])


def test_damaged_images_are_refused():
    good = encoded(noise(40, 40))
    assert image_size(good) == (40, 40)
    for data in (b"", b"\x89PNG broken", b"GIF89a"):
        with pytest.raises(ValueError, match=r"\w"):
            image_size(data)
        with pytest.raises(ValueError, match=r"\w"):
            decode_image(data)
    huge = bytearray(good)
    huge[16:24] = (20000).to_bytes(4, "big") * 2  # PNG: width and height
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    with pytest.raises(ValueError, match="decompression bomb"):
        image_size(bytes(huge))
    with pytest.raises(ValueError, match=r"\w"):
        decode_image(good[: len(good) // 2])


def test_one_image_used_as_colour_and_as_data_is_kept_twice():
    masked = layout.CONSTANTS["MATERIAL_MASKED"]
    records = np.array(
        [
            material(base_color_texture=3, occlusion_texture=3, sampler=CLAMP | MIRROR << 4),
            material(base_color_texture=3, flags=masked, alpha_cutoff=0.25),
        ]
    )
    uses = texture_uses(records)
    assert [(use.texture, use.use, use.wraps, use.alpha_cutoff) for use in uses] == [
        (3, DATA, (CLAMP, MIRROR), None),
        (3, COLOR, (CLAMP, MIRROR), 0.25),
    ]


def test_edges_are_the_next_power_of_two():
    assert [edge_of((height, 3)) for height in (1, 2, 4, 5, 511, 512, 513)] == [4, 4, 4, 8, 512, 512, 1024]
    assert edge_of((9000, 3)) == 4096
    assert edge_of((1, 1)) == 1


@pytest.mark.parametrize("count", [3, 5, 6, 12])
def test_resampling_keeps_a_periodic_function_across_the_wrap(count):
    """A cosine of one period has no seam: neither may its resampling, and the wraps must differ."""
    edge = 8
    values = np.cos(2 * np.pi * (np.arange(count) + 0.5) / count).astype(np.float32)
    repeated = resample_axis(values, edge, REPEAT)
    np.testing.assert_allclose(repeated, repeated[::-1], atol=1e-6)  # symmetric about both ends
    padded = resample_axis(np.tile(values, 3), 3 * edge, CLAMP)[edge : 2 * edge]
    np.testing.assert_allclose(repeated, padded, atol=1e-5)
    ramp = np.arange(count, dtype=np.float32)
    clamped, mirrored = resample_axis(ramp, edge, CLAMP), resample_axis(ramp, edge, MIRROR)
    assert (np.diff(clamped) > -1e-6).all() and (np.diff(mirrored) > -1e-6).all()
    assert resample_axis(ramp, edge, REPEAT)[0] > clamped[0] + 0.1  # the other end shines in


def test_resampling_keeps_constants_and_means():
    values = np.random.default_rng(1).random((10, 3)).astype(np.float32)
    np.testing.assert_allclose(resample_axis(np.full((7, 2), 0.3, np.float32), 16, MIRROR), 0.3, atol=1e-6)
    np.testing.assert_allclose(resample_axis(values, 5, REPEAT).mean(axis=0), values.mean(axis=0), atol=0.02)


def test_mips_average_light_not_codes():
    checker = np.zeros((4, 4, 4), np.uint8)
    checker[..., 3] = 255
    checker[::2, ::2, :3] = checker[1::2, 1::2, :3] = 255
    color, data = mip_chain(checker, 4, COLOR), mip_chain(checker, 4, DATA)
    assert [level.shape[0] for level in color] == [4, 2, 1]
    assert (data[1][..., :3] == 128).all()
    assert (color[1][..., :3] == 188).all()  # half the light
    np.testing.assert_allclose(srgb_to_linear(color[2][0, 0, 0] / 255.0), 0.5, atol=0.005)


def test_masked_mips_keep_coverage_and_the_colour_of_what_is_there():
    random = np.random.default_rng(2)
    image = np.zeros((64, 64, 4), np.uint8)
    image[..., :3] = (255, 0, 255)  # under what is transparent
    leaf = random.random((64, 64)) < 0.3
    image[leaf] = (20, 120, 20, 255)
    kept = mip_chain(image, 64, COLOR, alpha_cutoff=0.5)
    plain = mip_chain(image, 64, COLOR)
    coverage = [(level[..., 3] >= 128).mean() for level in kept[:5]]
    np.testing.assert_allclose(coverage, coverage[0], atol=0.13)
    assert (plain[3][..., 3] >= 128).mean() < 0.1  # it would vanish
    np.testing.assert_allclose(kept[2][..., 0], 20, atol=6)
    assert plain[2][..., 0].mean() > 100


def test_textures_are_packed_by_size_and_use():
    arrays = pack_arrays([4, 512, 512, 4, 512], [DATA, COLOR, DATA, DATA, COLOR], most=3)
    assert [(a.edge, a.use, a.members) for a in arrays] == [(4, DATA, [0, 3]), (512, DATA, [2]), (512, COLOR, [1, 4])]
    joined = pack_arrays([4, 512, 512, 4, 512], [DATA, COLOR, DATA, DATA, COLOR], most=2)
    assert [(a.edge, a.use, a.members) for a in joined] == [(512, DATA, [0, 2, 3]), (512, COLOR, [1, 4])]
    assert joined[1].memory_bytes == 2 * 1398100
    split = pack_arrays([8] * 5, [COLOR] * 5, most=3, layers=2)
    assert [a.members for a in split] == [[0, 1], [2, 3], [4]]
    with pytest.raises(ValueError, match="5 textures do not fit into 2 arrays of 2 layers"):
        pack_arrays([8] * 5, [COLOR] * 5, most=2, layers=2)


def test_places_name_array_layer_and_edge():
    uses = texture_uses(np.array([material(base_color_texture=2, normal_texture=0)]))
    arrays = pack_arrays([4, 512], [use.use for use in uses])
    places = texture_places(3, uses, arrays)
    numbers = {use.texture: i for i, use in enumerate(uses)}
    assert numbers == {0: 0, 2: 1}
    assert places[0] == 2 << 24 and places[5] == (1 << 16 | 9 << 24)
    assert (places[[1, 2, 3, 4]] == layout.NONE).all()
    assert texture_places(3, uses, arrays, {2})[[0, 5]].tolist() == [2 << 24, layout.NONE]
