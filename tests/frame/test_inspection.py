"""What is read back of a drawn frame: single samples, the view, the instance tree."""

import numpy as np
import pytest

from engine import layout
from engine.camera import view_record
from engine.renderer import Renderer
from engine.settings import FrameSettings
from tests.frame.test_occlusion import path, street

SIZE = (97, 61)


@pytest.fixture
def scene(sample_asset):
    return street(sample_asset("sphere", 5000))


def test_a_sample_is_what_the_aovs_say(renderer, scene):
    aovs = renderer.render(scene, path(1)[0], FrameSettings(), SIZE, ("instance", "cluster", "triangle")).aovs
    depths = (renderer.read_visibility() >> np.uint64(32)).astype(np.uint32).view(np.float32)
    drawn = set(map(tuple, renderer.read_visible_clusters().tolist()))
    seen = 0
    for x, y in [(0, 0), (SIZE[0] - 1, SIZE[1] - 1), *((x, y) for x in range(2, 97, 7) for y in range(3, 61, 9))]:
        sample = renderer.read_sample(x, y)
        if depths[y, x] == 0.0:
            assert sample is None
            continue
        seen += 1
        found = tuple(int(aovs[name][y, x]) for name in ("instance", "cluster", "triangle"))
        assert sample == (*found, depths[y, x])
        assert sample[:2] in drawn
    assert 20 < seen < 90


def test_a_pixel_outside_is_refused(renderer, scene):
    renderer.render(scene, path(1)[0], FrameSettings(), SIZE)
    for x, y in ((-1, 0), (0, -1), (SIZE[0], 0), (0, SIZE[1])):
        with pytest.raises(ValueError, match="lies outside an image of 97 x 61"):
            renderer.read_sample(x, y)


def test_the_view_says_whether_there_was_a_frame_before(device, scene):
    renderer, settings = Renderer(device), FrameSettings(error_pixels=0.7)
    flags = []
    for camera in (path(1)[0], path(1)[0], path(2)[1]):
        renderer.render(scene, camera, settings, SIZE)
        view = renderer.drawn_view()
        flags.append(int(view["flags"]))
        expected = view_record(camera, SIZE, settings)
        for name in ("eye_high", "eye_low", "forward", "size", "error_pixels", "planes"):
            np.testing.assert_array_equal(view[name], expected[name])
    history, moved = layout.CONSTANTS["VIEW_HAS_HISTORY"], layout.CONSTANTS["VIEW_MOVED"]
    assert flags == [0, history, history | moved]
    renderer.drawn_view()["eye_high"] = 7.0  # a copy
    assert (renderer.drawn_view()["eye_high"] != 7.0).all()


def test_the_tree_holds_the_instances_where_they_are(device, scene):
    renderer = Renderer(device)
    moved = np.zeros((2, 3, 4))
    moved[:, :, :3] = np.eye(3)
    moved[:, 1, 3] = 40.0, 50.0
    changes = [
        lambda: None,
        lambda: scene.set_transforms(np.array([3, 7]), moved),
        lambda: scene.remove_instances(np.array([0, 9])),
        lambda: scene.add_instances(0, moved),
    ]
    for change in changes:
        change()
        renderer.render(scene, path(1)[0], FrameSettings(), SIZE)
        tree = renderer.instance_tree()
        assert np.array_equal(np.sort(tree.order), scene.live_slots)
        low, high = scene.instance_boxes(tree.order)
        first, count = tree.seeds
        assert first + count == len(tree.nodes), "so few instances are all tested"
        listed = 0
        for node in tree.nodes[first:]:
            children = int(node["child"]) + np.arange(node["child_count"] & 15)
            assert (node["box_min"] <= low[children]).all()
            assert (node["box_max"] >= high[children]).all()
            listed += len(children)
        assert listed == scene.instance_count
