"""Dynamic resolution against adapters of known speed."""

import pytest

from engine.viewer.resolution import SCALES, DynamicResolution, image_size


def drawn(resolution: DynamicResolution, milliseconds_of, frames: int = 30) -> list[float]:
    """Return the scales of `frames` frames on an adapter that takes milliseconds_of(scale)."""
    scales = []
    for number in range(frames):
        scales.append(resolution.choose(True, number * 0.05))
        resolution.note(milliseconds_of(scales[-1]), scales[-1])
    return scales


@pytest.mark.parametrize("full_ms", [5.0, 49.0, 120.0, 400.0])
@pytest.mark.parametrize("fixed", [0.0, 0.25, 0.6])
@pytest.mark.parametrize("start", SCALES)
def test_it_settles_at_a_size_that_keeps_up(full_ms, fixed, start):
    def milliseconds_of(scale: float) -> float:
        return full_ms * (fixed + (1 - fixed) * scale * scale)

    scales = drawn(DynamicResolution(scale=start), milliseconds_of)
    assert len(set(scales[-10:])) == 1, "it does not swing between sizes"
    last = scales[-1]
    assert milliseconds_of(last) <= 50.0 or last == SCALES[-1]
    if milliseconds_of(1.0) <= 0.7 * 50.0:
        assert last == 1.0


def test_a_single_slow_frame_after_a_change_of_size_does_not_count():
    resolution = DynamicResolution()
    resolution.note(10.0, 1.0)
    resolution.note(100.0, 1.0)
    assert resolution.scale < 1.0
    first = resolution.scale
    resolution.note(500.0, first)  # its buffers were made anew
    assert resolution.scale == first
    resolution.note(500.0, first)
    assert resolution.scale < first


def test_at_rest_the_image_is_whole():
    resolution = DynamicResolution(scale=0.5)
    assert resolution.choose(False, 0.0) == 1.0
    assert resolution.choose(True, 1.0) == 0.5
    assert resolution.choose(False, 1.1) == 0.5
    assert resolution.is_settling(1.1)
    assert resolution.choose(False, 1.3) == 1.0
    assert not resolution.is_settling(1.3)
    resolution.is_enabled = False
    assert resolution.choose(True, 2.0) == 1.0


def test_an_image_has_at_least_a_pixel():
    assert image_size((1280, 721), 0.5) == (640, 360)
    assert image_size((1, 1), 0.25) == (1, 1)
