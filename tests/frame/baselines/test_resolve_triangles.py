"""From the triangle of a draw to instance, cluster and triangle, also where a scene has several meshes."""

import numpy as np
import pytest

from tests.frame.baselines.crowds import ABOVE, baseline, draw, mixed
from tests.frame.baselines.test_draw_triangles import OTHER_TRIANGLES


@pytest.mark.parametrize("name", ["triangles_hardware", "triangles_software", "clusters_frustum", "discrete_lods"])
def test_every_pixel_names_its_triangle(device, renderer, sample_asset, name):
    scene = mixed(sample_asset("sphere"), sample_asset("terrain"))
    depth, names, _ = draw(baseline(device, name), scene, ABOVE, error_pixels=0.0)
    expected_depth, expected_names, _ = draw(renderer, scene, ABOVE, error_pixels=0.0, raster="software")
    assert len(np.unique(expected_names[0][expected_depth > 0])) == 4, "all instances are seen"
    assert len(np.unique(expected_names[1][expected_depth > 0])) > 20
    assert np.count_nonzero((names != expected_names).any(axis=0)) <= OTHER_TRIANGLES * depth.size
    if name != "triangles_hardware":
        np.testing.assert_array_equal(depth.view(np.uint32), expected_depth.view(np.uint32))
