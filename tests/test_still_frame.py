"""A still frame follows one of the same view, and its post pass draws nothing."""

from dataclasses import replace

import numpy as np
import pytest

from engine import reference, still_frame
from engine.renderer import Renderer
from engine.screen_boxes import depth_of, pyramid_of
from engine.settings import FrameSettings
from engine.still_frame import draw_still, read_pyramid
from tests.frame.test_occlusion import path, street

SIZE = (211, 130)
SETTINGS = FrameSettings(error_pixels=0.1, view="clusters")


@pytest.fixture(scope="module")
def scene(sample_asset):
    return street(sample_asset("sphere", 20000), gap=1.2)


def test_both_pyramids_are_those_of_the_view(device, scene):
    renderer = Renderer(device)
    renderer.render(scene, path(4)[-3], SETTINGS, SIZE)
    still = draw_still(renderer, scene, path(1)[0], SETTINGS, SIZE)
    np.testing.assert_array_equal(still.view["eye_high"], renderer.drawn_view()["eye_high"])
    assert still.statistics.passes["post"]["clusters"].kept == 0
    expected = pyramid_of(depth_of(renderer.read_visibility()))
    assert expected[0].any()
    for pyramid in (still.occlusion.main, still.occlusion.post, read_pyramid(renderer)):
        assert pyramid and len(pyramid) == len(expected)
        for level, cells in zip(pyramid, expected, strict=True):
            np.testing.assert_array_equal(level, cells)
    pairs = reference.visible_set(reference.tables_of(scene), still.view, still.occlusion).pairs
    np.testing.assert_array_equal(pairs, renderer.read_visible_clusters())


def test_without_occlusion_nothing_hides(renderer, scene):
    still = draw_still(renderer, scene, path(1)[0], replace(SETTINGS, occlusion=False), SIZE)
    assert (still.occlusion.main, still.occlusion.post) == (None, [])


def test_an_error_raised_on_the_way_needs_another_frame(renderer, scene, monkeypatch):
    """The frame in which it was raised was tested against a frame that was not complete."""
    monkeypatch.setattr(still_frame, "_is_still", lambda *_: True)
    whole, asked, raised = renderer.render, [], iter([0.2, 0.3, 0.3, 0.3])

    def render(scene, camera, settings, size):
        frame = whole(scene, camera, settings, size)
        frame.statistics.error_pixels = next(raised)
        asked.append(settings.error_pixels)
        return frame

    monkeypatch.setattr(renderer, "render", render)
    still = draw_still(renderer, scene, path(1)[0], replace(SETTINGS, error_pixels=0.2), SIZE)
    assert asked == [0.2, 0.2, 0.3]
    assert still.settings.error_pixels == 0.3


def test_it_says_where_no_frame_stands_still(renderer, scene, monkeypatch):
    monkeypatch.setattr(still_frame, "_is_still", lambda *_: False)
    with pytest.raises(RuntimeError, match=r"^no two of 6 frames of one view follow each other$"):
        draw_still(renderer, scene, path(1)[0], SETTINGS, SIZE)
