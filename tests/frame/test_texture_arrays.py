"""Texture lookups on the GPU against numpy: filters, mips, wraps."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from engine.frame.texture_arrays import TextureArrays
from engine.materials import material, srgb_to_linear
from engine.textures import CLAMP, COLOR, DATA, MIRROR, REPEAT, mip_chain
from tests.gpu.probe import run_probe
from tests.test_textures import encoded, noise

NEAREST = 0x100
PROBE = """
import package::textures::{TexturePoint, sample_color, sample_data};

struct Point {
    uv: vec2f,
    dx: vec2f,
    dy: vec2f,
    texture: u32,
    bits: u32,
}
@group(1) @binding(1) var<storage, read> points: array<Point>;

fn value(i: u32) -> array<f32, 4> {
    let p = points[i];
    let point = TexturePoint(p.uv, p.dx, p.dy, p.bits & 0xffffu);
    let missing = vec4f(9.0);
    let texture = select(p.texture, 0xffffffffu, p.texture == 99u);
    let data = sample_data(texture, point, missing);
    let color = sample_color(texture, point, missing);
    let result = select(data, color, (p.bits >> 16u) == 1u);
    return array<f32, 4>(result.x, result.y, result.z, result.w);
}
"""
POINT = np.dtype([("uv", "f4", 2), ("dx", "f4", 2), ("dy", "f4", 2), ("texture", "u4"), ("bits", "u4")])
IMAGES = [noise(16, 16), noise(8, 4)[:, ::-1], noise(64, 64)]
CUT = encoded(noise(16, 16))[:300]  # a good header


@pytest.fixture(scope="module")
def lookup(device, tmp_path_factory):
    """Return lookup(points) -> (n, 4) float32 of IMAGES, each as data and as colour; 3 and 4 are broken."""
    fields = [{"base_color_texture": i, "normal_texture": i} for i in range(5)]
    data = [*map(encoded, IMAGES), b"nothing", CUT]
    scene = SimpleNamespace(
        materials=np.array([material(**values) for values in fields]),
        textures=np.zeros((5, 2)),
        texture_image=lambda texture: (f"texture {texture}", data[texture]),
    )
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("engine").addHandler(handler)
    arrays = TextureArrays(device, scene)
    logging.getLogger("engine").removeHandler(handler)
    folder = tmp_path_factory.mktemp("probe")

    def look(points: np.ndarray) -> np.ndarray:
        groups = {0: lambda kernel: kernel.bind(0, {}), 2: arrays.bind_group}
        return run_probe(device, folder, PROBE, {"points": points}, len(points), 4, groups, arrays.constants)

    look.arrays, look.messages = arrays, messages
    return look


def points_of(uv: np.ndarray, texture: int, use: int, sampler: int, width: float) -> np.ndarray:
    points = np.zeros(len(uv), POINT)
    points["uv"], points["texture"], points["bits"] = uv, texture, sampler | use << 16
    points["dx"][:, 0], points["dy"][:, 1] = width, 0.5 * width
    return points


def wrapped(index: np.ndarray, count: int, mode: int) -> np.ndarray:
    if mode == CLAMP:
        return np.clip(index, 0, count - 1)
    if mode == MIRROR:
        folded = index % (2 * count)
        return np.minimum(folded, 2 * count - 1 - folded)
    return index % count


def bilinear(level: np.ndarray, uv: np.ndarray, modes: tuple[int, int], nearest: bool) -> np.ndarray:
    edge = len(level)
    place = uv * edge - (0.0 if nearest else 0.5)
    first = np.floor(place).astype(int)
    part = np.zeros_like(place) if nearest else place - first
    result = np.zeros((len(uv), 4))
    for step_x, step_y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = np.abs(1 - step_x - part[:, 0]) * np.abs(1 - step_y - part[:, 1])
        x = wrapped(first[:, 0] + step_x, edge, modes[0])
        y = wrapped(first[:, 1] + step_y, edge, modes[1])
        result += weight[:, None] * level[y, x]
    return result


def expected(uv: np.ndarray, texture: int, use: int, sampler: int, width: float) -> np.ndarray:
    image = IMAGES[texture]
    edge = 1 << (max(image.shape[:2]) - 1).bit_length()
    levels = []
    for texels in mip_chain(image, edge, use):
        linear = texels / 255.0
        if use == COLOR:
            linear[..., :3] = srgb_to_linear(linear[..., :3])
        levels.append(linear)
    level = np.clip(np.log2(max(width * edge, 1e-9)), 0, len(levels) - 1)
    modes, nearest = (sampler & 15, sampler >> 4 & 15), bool(sampler & NEAREST)
    if nearest:
        return bilinear(levels[int(np.floor(level + 0.5))], uv, modes, True)
    low = int(np.floor(level))
    high, part = min(low + 1, len(levels) - 1), level - low
    return (1 - part) * bilinear(levels[low], uv, modes, False) + part * bilinear(levels[high], uv, modes, False)


@pytest.mark.parametrize("use", [DATA, COLOR])
@pytest.mark.parametrize("texture", [0, 1, 2])
@pytest.mark.parametrize(
    "sampler",
    [REPEAT, CLAMP | CLAMP << 4, MIRROR | MIRROR << 4, REPEAT | CLAMP << 4, NEAREST, NEAREST | CLAMP | MIRROR << 4],
)
def test_the_finest_level_is_filtered_and_wrapped_as_asked(lookup, texture, use, sampler):
    uv = np.random.default_rng(7).uniform(-1.7, 2.7, (400, 2)).astype(np.float32)
    seen = lookup(points_of(uv, texture, use, sampler, 1e-4))
    np.testing.assert_allclose(seen, expected(uv.astype(float), texture, use, sampler, 1e-4), atol=0.012)


@pytest.mark.parametrize("width", [1 / 16, 1 / 9, 0.3, 0.7, 5.0])
@pytest.mark.parametrize("sampler", [REPEAT, NEAREST])
def test_a_wide_pixel_reads_mips(lookup, width, sampler):
    uv = np.random.default_rng(8).uniform(0.0, 1.0, (300, 2)).astype(np.float32)
    seen = lookup(points_of(uv, 2, COLOR, sampler, width))
    np.testing.assert_allclose(seen, expected(uv.astype(float), 2, COLOR, sampler, width), atol=0.012)
    assert seen[:, 0].std() < 0.25 / max(1.0, 16 * width) + 0.02  # noise fades


def test_mips_of_a_clamped_texture_do_not_bleed_across(lookup):
    x = np.array([0.0, 1.0, -0.5, 1.5, 0.01, 0.99])
    uv = np.stack([x, np.full(len(x), 0.5)], axis=1).astype(np.float32)
    seen = lookup(points_of(uv, 2, DATA, CLAMP | CLAMP << 4, 2.0**-4))
    truth = bilinear(mip_chain(IMAGES[2], 64, DATA)[2] / 255.0, uv.astype(float), (CLAMP, CLAMP), False)
    np.testing.assert_allclose(seen, truth, atol=0.012)


def test_what_is_missing_or_broken_gives_the_plain_value(lookup):
    uv = np.zeros((1, 2), np.float32)
    for texture in (3, 4, 99):
        for use in (DATA, COLOR):
            assert (lookup(points_of(uv, texture, use, 0, 0.1)) == 9.0).all()
    assert [message.partition(" (")[0] for message in lookup.messages] == [
        "texture 3 cannot be used",
        "texture 4 cannot be used",
    ]


def test_memory_is_that_of_the_layers_with_mips(lookup):
    def chain(edge):
        return sum(4 * (edge >> level) ** 2 for level in range(edge.bit_length()))

    assert lookup.arrays.memory_bytes == 2 * (2 * chain(16) + chain(8) + chain(64))
