"""The depth between the passes of a frame is that of what its main pass drew."""

import numpy as np
import pytest

from engine import layout, reference
from engine.camera import Camera
from engine.experiments.two_pass import TwoPassRenderer, draw_after
from engine.experiments.verification import compare_with_reference
from engine.renderer import Renderer
from engine.screen_boxes import depth_of
from engine.settings import FrameSettings
from tests.frame.test_occlusion import draw_main_pass_only, path, street

SIZE = (211, 130)
SETTINGS = FrameSettings(error_pixels=0.5)


@pytest.fixture(scope="module")
def scene(sample_asset):
    return street(sample_asset("sphere", 20000))


def test_the_depth_is_that_of_the_main_pass_alone(device, scene, monkeypatch):
    two_pass, other = TwoPassRenderer(device), Renderer(device)
    before, now = path(4)[3], path(4)[4]  # a cut to the side
    for one in (two_pass, other):
        one.render(scene, before, SETTINGS, SIZE)
    expected = draw_main_pass_only(monkeypatch, other, scene, now, SETTINGS, SIZE)
    late = two_pass.render(scene, now, SETTINGS, SIZE).statistics.passes["post"]["clusters"].kept
    np.testing.assert_array_equal(two_pass.read_main_depth(), expected)
    assert late > 0 and (two_pass.read_main_depth() != depth_of(two_pass.read_visibility())).any()


def test_without_occlusion_there_is_none(device, scene):
    two_pass = TwoPassRenderer(device)
    two_pass.render(scene, path(1)[0], FrameSettings(occlusion=False), SIZE)
    with pytest.raises(ValueError, match="set occlusion"):
        two_pass.read_main_depth()


@pytest.mark.parametrize("traversal", ["persistent", "levels"])
def test_the_drawn_set_is_the_reference_set_along_a_way(device, scene, traversal):
    renderer, tables, cameras = TwoPassRenderer(device), reference.tables_of(scene), path(4)
    settings = FrameSettings(error_pixels=0.5, traversal=traversal)
    late = 0
    for pair in zip(cameras, cameras[1:]):
        view, occlusion = draw_after(renderer, scene, pair, settings, SIZE)
        found = compare_with_reference(tables, view, renderer.read_visible_clusters(), occlusion)
        assert found.compared > 20 and found.differences == 0, found
        still = reference.Occlusion(**{**vars(occlusion), "main": occlusion.post, "previous_view": view})
        late += len(reference.visible_set(tables, view, occlusion).pairs) - len(
            reference.visible_set(tables, view, still).pairs
        )
    assert late != 0, "what the last frame's pyramid does not hide makes a difference"


def test_queues_that_grow_are_no_last_frame(device, scene):
    small = FrameSettings(error_pixels=0.1, visible_clusters=4, hidden_clusters=4)
    far, renderer = Camera((0.0, 0.2, 300.0), (0.0, 0.0, 0.0), fov_degrees=60.0), TwoPassRenderer(device)
    view, occlusion = draw_after(renderer, scene, (far, path(1)[0]), small, SIZE)
    found = compare_with_reference(reference.tables_of(scene), view, renderer.read_visible_clusters(), occlusion)
    assert found.differences == 0 and found.compared > 50
    assert int(view["flags"]) & layout.CONSTANTS["VIEW_HAS_HISTORY"], "it was drawn again, after the far camera"
