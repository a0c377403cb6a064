"""Why sets differ that were drawn with occlusion: what rounding hides or not is a tie, all else a mistake."""

import numpy as np
import pytest

from engine import reference, screen_boxes
from engine.reference import TIE_ULPS, visible_set
from engine.settings import FrameSettings
from engine.still_frame import draw_still
from engine.ties import explain_difference
from tests.frame.test_occlusion import path, street


@pytest.fixture(scope="module")
def frame(renderer, sample_asset):
    """Tables, view and Occlusion of a frame in which much is hidden."""
    scene = street(sample_asset("sphere", 20000), gap=1.2)
    still = draw_still(renderer, scene, path(1)[0], FrameSettings(error_pixels=0.1), (211, 130))
    return reference.tables_of(scene), still.view, still.occlusion


def rows_without(pairs: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the rows of `pairs` that are not among `others`."""
    known = set(map(tuple, others.tolist()))
    return np.array([row for row in pairs.tolist() if tuple(row) not in known])


def test_what_is_hidden_but_drawn_is_a_mistake(frame):
    tables, view, occlusion = frame
    drawn = visible_set(tables, view, occlusion).pairs
    hidden = rows_without(visible_set(tables, view).pairs, drawn)
    assert len(hidden) > 50
    found = explain_difference(tables, view, drawn, np.concatenate([drawn, hidden]), occlusion)
    assert found.extra.tolist() == hidden.tolist() and not len(found.missing)
    is_mistake = found.extra_ulps > TIE_ULPS
    assert np.isinf(found.extra_ulps[is_mistake]).all()
    assert is_mistake.sum() >= 0.99 * len(hidden)


def test_what_is_shown_but_not_drawn_is_a_mistake(frame):
    tables, view, occlusion = frame
    drawn = visible_set(tables, view, occlusion).pairs
    found = explain_difference(tables, view, drawn, drawn[:0], occlusion)
    assert found.missing.tolist() == drawn.tolist()
    assert (found.missing_ulps > TIE_ULPS).sum() >= 0.99 * len(drawn)


def test_what_rounding_hides_or_not_is_a_tie(frame, monkeypatch):
    tables, view, occlusion = frame
    drawn = visible_set(tables, view, occlusion).pairs
    monkeypatch.setattr(screen_boxes, "LEAN_DEPTH", 0.05)
    more, fewer = (visible_set(tables, view, occlusion, lean).pairs for lean in (1.0, -1.0))
    assert len(fewer) < len(drawn) < len(more)
    extra = explain_difference(tables, view, drawn, more, occlusion)
    assert not extra.extra_ulps.any() and len(extra.extra) == len(more) - len(drawn)
    missing = explain_difference(tables, view, drawn, fewer, occlusion)
    assert not missing.missing_ulps.any() and len(missing.missing) == len(drawn) - len(fewer)
    without = explain_difference(tables, view, drawn, more)
    assert (without.extra_ulps > TIE_ULPS).any(), "without the pyramids nothing explains them"


def test_a_cluster_of_another_level_is_a_mistake(frame):
    tables, view, occlusion = frame
    drawn = visible_set(tables, view, occlusion).pairs
    coarse = np.array([[int(drawn[0, 0]), len(tables.clusters) - 1]])
    found = explain_difference(tables, view, drawn, np.concatenate([drawn, coarse]), occlusion)
    assert found.mistakes.tolist() == coarse.tolist()
    assert np.isfinite(found.extra_ulps).all()
