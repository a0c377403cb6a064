"""Clusters of few triangles share a workgroup, and draw the same samples as larger ones."""

import numpy as np
import pytest

from engine import layout
from engine.settings import FrameSettings
from tests.frame.test_rasterize_hardware import soup, view_of_soup
from tests.frame.triangle_scene import triangle_scene

SMALL = layout.CONSTANTS["SMALL_CLUSTER_TRIANGLES"]
SIZE = (97, 61)


def depth_bits(renderer, scene) -> tuple[np.ndarray, dict, dict, int]:
    statistics = renderer.render(scene, view_of_soup(), FrameSettings(raster="software"), SIZE).statistics
    too_small = statistics.passes["main"]["clusters"].culled["size"]
    return renderer.read_visibility() >> np.uint64(32), statistics.clusters, statistics.triangles, too_small


@pytest.mark.parametrize("cluster_triangles", [1, 5, SMALL, SMALL + 1])
@pytest.mark.parametrize("extent", [0.05, 0.8])
def test_small_clusters_draw_the_same_samples(tmp_path, renderer, cluster_triangles, extent):
    triangles = soup(330, extent)
    faces = np.arange(3 * len(triangles)).reshape(-1, 3)
    scenes = {}
    for count in (66, cluster_triangles):
        (tmp_path / str(count)).mkdir()
        scenes[count] = triangle_scene(tmp_path / str(count), triangles.reshape(-1, 3), faces, cluster_triangles=count)
    expected, clusters, _, _ = depth_bits(renderer, scenes[66])
    assert clusters["software"] == 5
    assert clusters["small"] == 0
    drawn, clusters, counted, too_small = depth_bits(renderer, scenes[cluster_triangles])
    np.testing.assert_array_equal(drawn, expected)
    assert (expected != 0).sum() > 100
    name = "small" if cluster_triangles <= SMALL else "software"
    assert clusters[name] + too_small == -(-len(triangles) // cluster_triangles)
    assert too_small == 0 or cluster_triangles == 1, "a single triangle may lie between pixel centres"
    assert counted[name] == sum(counted.values()) == len(triangles) - too_small


def test_a_mixture_is_divided_by_size(tmp_path, renderer):
    triangles = soup(64 * 3 + 7, 0.05)
    faces = np.arange(3 * len(triangles)).reshape(-1, 3)
    scene = triangle_scene(tmp_path, triangles.reshape(-1, 3), faces)
    _, clusters, counted, _ = depth_bits(renderer, scene)
    assert clusters == {"software": 3, "small": 1, "masked": 0, "hardware": 0}
    assert counted == {"software": 192, "small": 7, "masked": 0, "hardware": 0}
