"""Measures of image error on images made by hand, whose right answers are known."""

import sys

import numpy as np
import pytest

from engine.experiments import image_error
from engine.experiments.image_error import MEASURES, ImageErrors


def flat(value: int, shape=(6, 8)) -> np.ndarray:
    return np.full((*shape, 4), value, np.uint8)


def test_psnr_of_a_known_difference():
    assert image_error.psnr(flat(110), flat(100)) == pytest.approx(10 * np.log10(255**2 / 10**2))
    assert image_error.psnr(flat(0), flat(255)) == pytest.approx(0.0)
    one = flat(100)
    one[2, 3, 1] += 30
    assert image_error.psnr(one, flat(100)) == pytest.approx(10 * np.log10(255**2 * 6 * 8 * 3 / 30**2))
    assert image_error.psnr(flat(7), flat(7)) == float("inf")
    see_through = flat(7)
    see_through[..., 3] = 0
    assert image_error.psnr(see_through, flat(7)) == float("inf"), "alpha is no colour"


def test_flip_of_known_differences():
    """Published: it lies in [0, 1], and is 1 for pure blue against pure green, by which the scale is normalised."""
    blue, green = (np.zeros((64, 64, 4), np.uint8) for _ in range(2))
    blue[..., 2] = green[..., 1] = 255
    assert image_error.flip(green, green) == 0.0
    assert image_error.flip(blue, green) == pytest.approx(1.0, abs=1e-3)
    black = np.zeros((64, 64, 4), np.uint8)
    assert image_error.flip(black + np.uint8(255), black) == pytest.approx(0.967, abs=2e-3)
    near, far = (image_error.flip(flat(100 + change, (64, 64)), flat(100, (64, 64))) for change in (5, 50))
    assert 0.0 < near < far < 1.0


def test_depth_is_relative_and_of_what_both_show():
    reference = np.full((10, 10), 2.0, np.float32)
    depth = reference.copy()
    depth[:6] *= np.float32(1.01)
    depth[0, 0] = 3.0
    reference[9], depth[8] = np.inf, np.inf
    median, high = image_error.depth_error(depth, reference)
    assert median == pytest.approx(0.01, rel=1e-4)
    values = np.array([0.5] + 59 * [0.01] + 20 * [0.0])
    assert high == pytest.approx(np.quantile(values, 0.99), rel=1e-4)
    assert image_error.depth_error(reference, reference) == (0.0, 0.0)
    assert np.isnan(image_error.depth_error(reference + np.inf, reference)).all()


def disc(radius: float, size: int = 41, x: float = 20.0) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size]
    return np.hypot(rows - 20.0, columns - x) <= radius


def test_an_edge_that_moved():
    square = np.zeros((20, 30), bool)
    square[5:15, 10:20] = True
    assert image_error.silhouette_error(square, square) == (0.0, 0.0)
    wider = square.copy()
    wider[5:15, 20:23] = True
    assert image_error.silhouette_error(wider, square) == (pytest.approx(30 / 600), 3.0)
    assert image_error.silhouette_error(square, wider) == (pytest.approx(30 / 600), 3.0)
    apart = square.copy()
    apart[2, 6] = True  # 3 rows above and 4 columns beside the corner
    assert image_error.silhouette_error(apart, square) == (pytest.approx(1 / 600), 5.0)
    share, far = image_error.silhouette_error(disc(12.0), disc(9.0))
    assert share == pytest.approx((disc(12.0) ^ disc(9.0)).sum() / 41**2)
    assert 2.5 <= far <= 3.5


def test_without_a_silhouette_there_is_no_distance():
    nothing, something = np.zeros((4, 4), bool), np.eye(4, dtype=bool)
    assert image_error.silhouette_error(something, nothing) == (0.25, float("inf"))
    assert image_error.silhouette_error(nothing, ~nothing) == (1.0, float("inf"))


def test_distances_are_those_of_a_search_of_everything():
    generator = np.random.default_rng(0)
    for share in (0.002, 0.05, 0.4):
        for shape in ((17, 40), (40, 17), (1, 30)):
            reference, covered = generator.random(shape) < share, generator.random(shape) < 0.3
            reference[0, 0], reference[0, 1] = True, False
            expected = 0.0
            for wrong, target in ((covered & ~reference, reference), (~covered & reference, ~reference)):
                points, targets = np.argwhere(wrong), np.argwhere(target)
                gaps = np.linalg.norm(points[:, None] - targets[None], axis=2).min(axis=1)
                expected = max(expected, gaps.max(initial=0.0))
            assert image_error.silhouette_error(covered, reference)[1] == pytest.approx(expected)


def test_an_error_that_stays_does_not_flicker():
    generator = np.random.default_rng(1)
    before, now = generator.integers(50, 200, (2, 6, 8, 4), dtype=np.uint8)
    assert image_error.flicker(before, now, before, now) == 0.0
    assert image_error.flicker(before + np.uint8(20), now + np.uint8(20), before, now) == 0.0
    assert image_error.flicker(before, now + np.uint8(51), before, now) == pytest.approx(0.2)
    popping = now.copy()
    popping[0, 0, 0] += 51
    assert image_error.flicker(before, popping, before, now) == pytest.approx(0.2 / np.sqrt(6 * 8 * 3))
    assert image_error.flicker(now, now, before, before) == 0.0
    assert image_error.change(before, before + np.uint8(51)) == pytest.approx(0.2)


def test_the_entry_of_an_experiment():
    assert image_error.image_errors_from(False) is None
    assert image_error.image_errors_from(True) == ImageErrors(25, MEASURES)
    assert image_error.image_errors_from({"every": 3, "measures": ["psnr"]}) == ImageErrors(3, ("psnr",))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (3, "image_error is 3; use true, false or a table"),
        ({"each": 3}, "unknown image_error.each"),
        ({"every": 0}, "image_error.every is 0"),
        ({"every": True}, "image_error.every is True"),
        ({"measures": "psnr"}, "image_error.measures is 'psnr'"),
        ({"measures": []}, "image_error.measures has nothing"),
        ({"measures": ["ssim"]}, "image_error.measures has 'ssim'; some of: psnr, flip"),
    ],
)
def test_a_mistake_is_named(entry, message):
    with pytest.raises(ValueError) as caught:
        image_error.image_errors_from(entry)
    assert message in str(caught.value)


def test_without_the_package_flip_is_left_out_unless_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)
    monkeypatch.setattr(image_error.importlib.util, "find_spec", lambda name: None)
    assert image_error.image_errors_from(True) == ImageErrors(25, ("psnr", "depth", "silhouette", "flicker"))
    with pytest.raises(ValueError, match="'flip', which needs the package flip-evaluator"):
        image_error.image_errors_from({"measures": ["flip"]})
