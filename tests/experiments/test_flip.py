"""FLIP as the package measures it is LDR-FLIP as its paper defines it (Andersson et al. 2020), written once more."""

import numpy as np
import pytest

from engine.experiments.image_error import flip, has_flip

PIXELS_PER_DEGREE = 0.7 * 3840 / 0.7 * np.pi / 180  # a 4K display, 0.7 m wide, at 0.7 m
TO_XYZ = np.array(
    [
        [10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794],
        [2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897],
        [1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382],
    ]
)
WHITE = TO_XYZ @ np.ones(3)
SENSITIVITY = ((1, 0.0047, 0, 1e-5), (1, 0.0053, 0, 1e-5), (34.1, 0.04, 13.5, 0.025))  # of luminance, red-green, blue


def to_linear(color: np.ndarray) -> np.ndarray:
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def to_opponents(linear: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(linear @ TO_XYZ.T / WHITE, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def from_opponents(opponents: np.ndarray) -> np.ndarray:
    y = (opponents[..., 0] + 16) / 116
    xyz = np.stack([opponents[..., 1] / 500 + y, y, y - opponents[..., 2] / 200], -1) * WHITE
    return np.clip(xyz @ np.linalg.inv(TO_XYZ).T, 0, 1)


def to_hunt_lab(linear: np.ndarray) -> np.ndarray:
    part = linear @ TO_XYZ.T / WHITE
    x, y, z = np.moveaxis(np.where(part > (6 / 29) ** 3, np.cbrt(part), part * (29 / 6) ** 2 / 3 + 4 / 29), -1, 0)
    lightness = 116 * y - 16
    return np.stack([lightness, 0.01 * lightness * 500 * (x - y), 0.01 * lightness * 200 * (y - z)], -1)


def hyab(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    difference = one - other
    return np.abs(difference[..., 0]) + np.hypot(difference[..., 1], difference[..., 2])


def filtered(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    reach, result = len(kernel) // 2, np.zeros_like(image)
    padded = np.pad(image, reach, mode="edge")
    for (i, j), weight in np.ndenumerate(kernel):
        result += weight * padded[i : i + image.shape[0], j : j + image.shape[1]]
    return result


def seen(color: np.ndarray) -> np.ndarray:
    """Return what an observer sees of sRGB, filtered by the sensitivity to contrast, in Hunt-adjusted L*a*b*."""
    reach = int(np.ceil(3 * np.sqrt(0.04 / (2 * np.pi**2)) * PIXELS_PER_DEGREE))
    degrees = np.arange(-reach, reach + 1) / PIXELS_PER_DEGREE
    square = -(np.pi**2) * (degrees[None] ** 2 + degrees[:, None] ** 2)
    channels = []
    for (a, b, c, d), channel in zip(SENSITIVITY, np.moveaxis(to_opponents(to_linear(color)), -1, 0)):
        kernel = a * np.sqrt(np.pi / b) * np.exp(square / b) + c * np.sqrt(np.pi / d) * np.exp(square / d)
        channels.append(filtered(channel, kernel / kernel.sum()))
    return to_hunt_lab(from_opponents(np.stack(channels, -1)))


def features(color: np.ndarray) -> list[np.ndarray]:
    """Return strength of edges and of points of the luminance of sRGB."""
    luminance, deviation = (to_opponents(to_linear(color))[..., 0] + 16) / 116, 0.5 * 0.082 * PIXELS_PER_DEGREE
    reach = int(np.ceil(3 * deviation))
    x, y = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1))
    gauss, found = np.exp(-(x**2 + y**2) / (2 * deviation**2)), []
    for kernel in (-x * gauss, (x**2 / deviation**2 - 1) * gauss):
        kernel = np.where(kernel > 0, kernel / kernel[kernel > 0].sum(), kernel / -kernel[kernel < 0].sum())
        found.append(np.hypot(filtered(luminance, kernel), filtered(luminance, kernel.T)))
    return found


def paper_flip(image: np.ndarray, reference: np.ndarray) -> float:
    green, blue = to_hunt_lab(np.array([0.0, 1.0, 0.0])), to_hunt_lab(np.array([0.0, 0.0, 1.0]))
    largest, color = hyab(green, blue) ** 0.7, hyab(seen(reference), seen(image)) ** 0.7
    knee = 0.4 * largest
    color = np.where(color < knee, 0.95 / knee * color, 0.95 + (color - knee) / (largest - knee) * 0.05)
    pairs = zip(features(reference), features(image))
    feature = np.sqrt(np.maximum.reduce([np.abs(one - other) for one, other in pairs]) / np.sqrt(2))
    return float((color ** (1 - feature)).mean())


@pytest.mark.skipif(not has_flip(), reason="flip-evaluator is not installed")
@pytest.mark.parametrize("noise", [5, 20, 80])
def test_it_is_that_of_the_paper(noise):
    generator = np.random.default_rng(noise)
    reference = (255 * (generator.normal(0.5, 0.2, (40, 50, 3)).cumsum(axis=1) % 1.0)).astype(np.uint8)
    change = generator.integers(-noise, noise + 1, reference.shape)
    image = np.clip(reference.astype(int) + change, 0, 255).astype(np.uint8)
    expected = paper_flip(image / 255, reference / 255)
    assert 0.02 < expected < 0.8
    assert flip(image, reference) == pytest.approx(expected, abs=1e-5)
