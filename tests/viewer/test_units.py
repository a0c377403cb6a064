"""Numbers in panels."""

import numpy as np
import pytest

from engine.viewer.units import bytes_text, length_text, pixels_text, point_text


@pytest.mark.parametrize(
    ("metres", "text"),
    [
        (0.0, "0 m"),
        (1.0, "1 m"),
        (-0.25, "-250 mm"),
        (123.456, "123.5 m"),
        (1e3, "1 km"),
        (2.5e-6, "2.5 µm"),
        (3e-12, "0.003 nm"),
        (np.inf, "infinite"),
        (-np.inf, "-infinite"),
    ],
)
def test_lengths(metres, text):
    assert length_text(metres) == text


def test_others():
    assert [bytes_text(count) for count in (0, 1023, 1024, 131072, 3 << 20)] == [
        "0 bytes",
        "1023 bytes",
        "1.0 KiB",
        "128.0 KiB",
        "3.0 MiB",
    ]
    assert [pixels_text(pixels) for pixels in (0.0, 0.12345, 17.0, np.inf)] == ["0 px", "0.123 px", "17 px", "infinite"]
    assert point_text(np.array([1.0, -0.5, 1e-3])) == "1, -0.5, 0.001"
