"""The visible set of a frame, drawn again from elsewhere: what a viewer shows while culling is frozen."""

import numpy as np
import pytest

from engine.camera import Camera
from engine.renderer import Renderer
from engine.scene import load_scene
from engine.settings import FrameSettings
from tests.frame.test_occlusion import street

SIZE = (160, 90)


def redraw(renderer: Renderer, scene, camera: Camera, settings: FrameSettings, size=SIZE):
    """Draw the kept set and return the statistics."""
    renderer.submit(scene, camera, settings, size, keeps_set=True)
    [(_, statistics)] = renderer.collect(wait=True)
    return statistics


@pytest.mark.parametrize("occlusion", [True, False])
@pytest.mark.parametrize("shadow_cascades", [0, 2])
def test_the_same_camera_shows_the_same_samples(device, sample_asset, occlusion, shadow_cascades):
    scene, renderer = street(sample_asset("sphere", 5000)), Renderer(device)
    camera = Camera((0.0, 0.5, 6.0), (0.0, 0.0, -6.0))
    settings = FrameSettings(raster="software", occlusion=occlusion, shadow_cascades=shadow_cascades)
    for _ in range(2):
        first = renderer.render(scene, camera, settings, SIZE)
    before, drawn = renderer.read_visibility(), renderer.read_visible_clusters()
    statistics = redraw(renderer, scene, camera, settings)
    np.testing.assert_array_equal(renderer.read_visibility(), before)
    np.testing.assert_array_equal(renderer.read_visible_clusters(), drawn)
    np.testing.assert_array_equal(renderer.read_image(), first.image)
    assert statistics.passes["main"] == first.statistics.passes["main"]
    assert statistics.is_complete


def test_another_camera_sees_what_the_first_one_left_out(device, sample_asset):
    """All source clusters are kept: from anywhere, in any size, they look as in a frame without culling."""
    scene, kept, plain = load_scene(sample_asset("sphere", 5000)), Renderer(device), Renderer(device)
    everything = FrameSettings(raster="software", error_pixels=0.0, occlusion=False)
    kept.render(scene, scene.default_camera(), everything, SIZE)
    drawn = kept.read_visible_clusters()
    inside = Camera((0.0, 0.0, 0.9), (1.0, 0.2, 0.3))  # triangles cross the near plane: they must be clipped
    for camera, size in ((inside, (97, 61)), (scene.default_camera(), (33, 64))):
        redraw(kept, scene, camera, everything, size)
        plain.render(scene, camera, everything, size)
        np.testing.assert_array_equal(kept.read_visibility() >> np.uint64(32), plain.read_visibility() >> np.uint64(32))
        np.testing.assert_array_equal(kept.read_visible_clusters(), drawn)


def test_what_was_culled_stays_away(device, sample_asset):
    scene, renderer = street(sample_asset("sphere", 5000)), Renderer(device)
    settings = FrameSettings(raster="software")
    for _ in range(2):
        renderer.render(scene, Camera((0.0, 0.0, 6.0), (0.0, 0.0, -6.0), fov_degrees=20.0), settings, SIZE)
    drawn = {tuple(pair) for pair in renderer.read_visible_clusters().tolist()}
    above = Camera((0.0, 30.0, 0.0), (0.0, 0.0, -6.0))
    redraw(renderer, scene, above, settings)
    instance, cluster = renderer.read_aov("instance"), renderer.read_aov("cluster")
    shown = {pair for pair in zip(instance.ravel().tolist(), cluster.ravel().tolist()) if pair[0] != 0xFFFFFFFF}
    assert shown
    assert shown <= drawn
    assert len({slot for slot, _ in shown}) < scene.instance_count
    # culling goes on as if nothing had been: the next frame is complete and right
    renderer.render(scene, above, settings, SIZE)
    other = Renderer(device)
    other.render(scene, above, settings, SIZE)
    np.testing.assert_array_equal(renderer.read_visibility() >> np.uint64(32), other.read_visibility() >> np.uint64(32))


def test_without_a_set_there_is_nothing_to_keep(device, sample_asset):
    scene, renderer = load_scene(sample_asset("sphere", 5000)), Renderer(device)
    settings, camera = FrameSettings(raster="software"), scene.default_camera()
    with pytest.raises(ValueError, match="no visible set to keep"):
        renderer.submit(scene, camera, settings, SIZE, keeps_set=True)
    renderer.render(scene, camera, FrameSettings(raster="hardware"), SIZE)
    with pytest.raises(ValueError, match="raster 'software'"):
        renderer.submit(scene, camera, settings, SIZE, keeps_set=True)
    renderer.render(scene, camera, settings, SIZE)
    renderer.submit(scene, camera, settings, SIZE, keeps_set=True)
    with pytest.raises(ValueError, match="no visible set to keep"):
        renderer.submit(load_scene(sample_asset("sphere", 5000)), camera, settings, SIZE, keeps_set=True)
