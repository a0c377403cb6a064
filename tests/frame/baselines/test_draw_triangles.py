"""Baseline triangles_hardware: a depth test of the graphics pipeline shows what the engine shows at tau = 0.

Fixed-function units round coordinates and depth in their own way. So pixels on an edge may fall to the neighbour, and
depths are equal to a few thousandths; on llvmpipe no pixel falls to another triangle.
"""

import numpy as np
import pytest

from engine import layout
from engine.frame.baselines.cluster_lists import scene_clusters, source_clusters
from engine.frame.baselines.triangle_draws import sweep_order
from engine.scene import load_scene
from engine.scene_triangles import cluster_triangles
from engine.settings import FrameSettings
from tests.frame.baselines.crowds import CAMERAS, SIZE, baseline, draw, row
from tests.frame.test_rasterize_masked import floor, masked
from tests.frame.triangle_scene import triangle_scene

DEPTH_TOLERANCE = 5e-3  # relative
OTHER_TRIANGLES = 2e-3  # share of the image
OTHER_COVERAGE = 2e-4


@pytest.fixture(scope="module")
def hardware(device):
    return baseline(device, "triangles_hardware")


def assert_same_image(hardware, renderer, scene, camera) -> None:
    depth, names, statistics = draw(hardware, scene, camera, error_pixels=3.0)
    expected_depth, expected_names, _ = draw(renderer, scene, camera, error_pixels=0.0, raster="software")
    is_other = (names != expected_names).any(axis=0)
    assert np.count_nonzero(depth) > 200
    assert np.count_nonzero((depth > 0) != (expected_depth > 0)) <= OTHER_COVERAGE * depth.size
    assert np.count_nonzero(is_other) <= OTHER_TRIANGLES * depth.size
    is_same = (depth > 0) & ~is_other
    np.testing.assert_allclose(depth[is_same], expected_depth[is_same], rtol=DEPTH_TOLERANCE)
    assert statistics.clusters["hardware"] == sum(statistics.clusters.values()) > 0
    assert statistics.triangles["hardware"] == sum(statistics.triangles.values()) > 0
    labels = [label for label in statistics.passes_ms if label.startswith("main/")]
    assert labels == ["main/draw_triangles", "main/resolve_triangles"]
    assert statistics.memory_bytes["baseline"] > 24 * statistics.triangles["hardware"] / len(scene.live_slots)


@pytest.mark.parametrize("camera", CAMERAS)
def test_pixels_are_those_of_the_engine_at_tau_0(hardware, renderer, sample_asset, camera):
    assert_same_image(hardware, renderer, row(sample_asset("sphere")), camera)


def test_instances_may_move_come_and_go(hardware, renderer, sample_asset):
    scene = row(sample_asset("sphere"))
    draw(hardware, scene, CAMERAS[0])
    scene.remove_instances(np.array([0, 3]))
    scene.set_transforms(np.array([1]), np.eye(4)[None, :3] + 0.4)
    assert_same_image(hardware, renderer, scene, CAMERAS[0])


def test_faces_are_culled_where_they_have_one_side(tmp_path, hardware, renderer):
    generator = np.random.default_rng(4)
    triangles = generator.uniform(-1.0, 1.0, (400, 1, 3)) + generator.normal(0.0, 0.2, (400, 3, 3))
    materials = np.zeros(2, layout.MATERIAL)
    materials["base_color"] = 0.8
    materials["flags"] = [layout.CONSTANTS["MATERIAL_TWO_SIDED"], 0]
    for name in (name for name in materials.dtype.names if name.endswith("_texture")):
        materials[name] = layout.NONE
    faces, face_material = np.arange(1200).reshape(-1, 3), np.arange(400) // 64 % 2
    scene = triangle_scene(tmp_path, triangles.reshape(-1, 3), faces, materials=materials, face_material=face_material)
    scene.add_asset(0, np.diag([-1.0, 1.3, 0.8, 1.0])[None])
    counts = scene.clusters()["counts"] >> np.uint32(24)
    assert len(np.unique(counts & layout.CONSTANTS["CLUSTER_TWO_SIDED"])) == 2
    for camera in CAMERAS[:2]:
        assert_same_image(hardware, renderer, scene, camera)


def shaded_vertices(corners: np.ndarray, size: int) -> int:
    """Return how many vertices a GPU shades that keeps the last `size`, first in, first out."""
    shaded_as: dict[int, int] = {}
    count = 0
    for corner in corners.ravel().tolist():
        if count - shaded_as.get(corner, -size) >= size:
            shaded_as[corner] = count
            count += 1
    return count


def test_triangles_are_in_an_order_that_reuses_vertices(sample_asset):
    scene = load_scene(sample_asset("sphere", 20000))
    clusters = scene_clusters(scene)
    triangles = cluster_triangles(scene, source_clusters(scene, clusters)[0])
    order = sweep_order(triangles)
    assert (np.sort(order) == np.arange(len(order))).all()
    for first, end in zip(triangles.first_triangle, triangles.first_triangle[1:]):
        assert (np.sort(order[first:end]) == np.arange(first, end)).all(), "within their cluster"
    swept = triangles.corners[order]
    assert shaded_vertices(swept, 16) < 1.1 * len(order)
    assert shaded_vertices(swept, 32) < 0.8 * len(order)
    assert shaded_vertices(swept, 16) < 0.8 * shaded_vertices(triangles.corners, 16)


def test_what_it_cannot_draw_is_refused_in_one_line(tmp_path, device, hardware, sample_asset):
    with pytest.raises(ValueError, match=r"^baseline triangles_hardware does not count overdraw; choose another view$"):
        hardware.render(row(sample_asset("sphere")), CAMERAS[0], FrameSettings(view="overdraw"), SIZE)
    positions, faces, colors = floor(40, 1.5)
    scene = triangle_scene(tmp_path, positions, faces, extra=colors, materials=masked(alpha_cutoff=0.5))
    with pytest.raises(ValueError, match=r"^baseline triangles_hardware draws no alpha-tested materials"):
        baseline(device, "triangles_hardware").render(scene, scene.default_camera(), FrameSettings(), SIZE)
