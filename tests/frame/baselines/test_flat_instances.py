"""Baseline discrete_lods: each instance in view draws the coarsest level that claims no more than tau."""

import numpy as np
import pytest

from engine import reference
from engine.camera import Camera, view_record
from engine.experiments.discrete_levels import compare_with_levels, levels_of
from engine.frame.baselines.cluster_lists import level_lists, scene_clusters
from engine.scene import load_scene
from engine.screen_boxes import screen_boxes
from engine.settings import FrameSettings
from tests.frame.baselines.crowds import CAMERAS, SIZE, baseline, draw, row
from tests.frame.baselines.test_cluster_lists import listed
from tests.frame.test_traversal import crowd, random_camera


@pytest.fixture(scope="module")
def discrete(device):
    return baseline(device, "discrete_lods")


def expected_levels(scene, view, lists) -> tuple[np.ndarray, np.ndarray]:
    """Return the list (slots,) that each instance draws, -1 out of view, and which choices are too close."""
    records = scene.instances
    mesh = scene.meshes[records["mesh"]]
    first, count = lists.mesh_lists[0].tolist()
    claims = lists.lists[first : first + count]
    pixels = np.stack(
        [
            reference.projected_error_pixels(
                mesh["center"],
                mesh["radius"],
                np.full(len(records), reference.combined_error(claims[i], view)),
                records,
                view,
            )
            for i in range(count)
        ]
    )
    tau = float(view["error_pixels"])
    chosen = first + np.argmax(pixels <= tau, axis=0)
    box = mesh["box_min"], mesh["box_max"]
    planes = reference.plane_values(*box, records, view)
    is_seen = (planes >= 0.0).all(axis=1) & ~screen_boxes(*box, records, view).cover_no_pixel(view["size"])
    is_close = (np.abs(pixels - tau) < 1e-5 * tau).any(axis=0) | (np.abs(planes).min(axis=1) < 1e-4)
    return np.where(is_seen, chosen, -1), is_close


def test_every_instance_draws_its_level(discrete, sample_asset):
    scene = crowd(sample_asset("terrain", 20000), 150, seed=8)
    lists, generator = level_lists(scene, scene_clusters(scene)), np.random.default_rng(2)
    used = set()
    for i in range(8):
        camera = random_camera(generator, scene.bounds(), orthographic=i % 4 == 3)
        settings = FrameSettings(error_pixels=[1.0, 0.25, 4.0, 0.0][i % 4], attribute_weight=[1.0, 0.2][i % 2])
        statistics = discrete.render(scene, camera, settings, SIZE).statistics
        view = view_record(camera, SIZE, settings, bounds=scene.bounds())
        levels, is_close = expected_levels(scene, view, lists)
        assert is_close.sum() < 4
        drawn = discrete.read_visible_clusters().astype(np.int64)
        for slot in np.flatnonzero(~is_close).tolist():
            expected = listed(lists, levels[slot]) if levels[slot] >= 0 else np.zeros(0)
            np.testing.assert_array_equal(drawn[drawn[:, 0] == slot, 1], np.sort(expected))
        found = compare_with_levels(reference.tables_of(scene), view, levels_of(scene), drawn)
        assert found.differences == 0, found.first
        instances = statistics.passes["main"]["instances"]
        assert instances.tested == 150
        assert abs(instances.kept - np.count_nonzero(levels >= 0)) <= is_close.sum()
        used |= set(levels.tolist())
    assert len(used) > 5 and -1 in used


def test_tau_0_draws_the_source_triangles_in_view(renderer, discrete, sample_asset):
    scene = row(sample_asset("sphere"))
    for camera in CAMERAS:
        depth, *_ = draw(discrete, scene, camera, error_pixels=0.0)
        expected, *_ = draw(renderer, scene, camera, error_pixels=0.0, occlusion=False)
        np.testing.assert_array_equal(depth.view(np.uint32), expected.view(np.uint32))


def within(mask: np.ndarray, reach: int) -> np.ndarray:
    """Return which pixels have one of `mask` at most `reach` pixels away."""
    padded = np.pad(mask, reach)
    return np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, 2 * reach + 1)).any(axis=(2, 3))


@pytest.mark.parametrize("error_pixels", [1.0, 4.0])
def test_the_image_is_as_near_to_the_source_as_is_claimed(discrete, sample_asset, error_pixels):
    scene, size, height = load_scene(sample_asset("sphere", 20000)), (320, 180), 3.0
    camera = Camera(eye=(0.0, 0.0, 4.0), target=(0.0, 0.0, 0.0), orthographic_height=height)
    images = {}
    for tau in (0.0, error_pixels):
        *_, statistics = draw(discrete, scene, camera, size, error_pixels=tau)
        depth = discrete.read_aov("depth").astype(float)
        y, x = np.nonzero(np.isfinite(depth))
        pixel = height / size[1]
        points = np.stack([(x + 0.5 - 160) * pixel, (90 - y - 0.5) * pixel, 4.0 - depth[y, x]], axis=1)
        off_pixels = np.abs(np.linalg.norm(points, axis=1) - 1.0) / pixel  # the mesh is a sphere of radius 1
        images[tau] = np.isfinite(depth), sum(statistics.triangles.values()), off_pixels.max()
    (fine, many, fine_off), (coarse, few, coarse_off) = images[0.0], images[error_pixels]
    assert few < 0.2 * many
    assert fine_off < 0.06  # its triangles, and corners that are snapped
    assert 3.0 * fine_off < coarse_off <= error_pixels + fine_off
    reach = int(np.ceil(error_pixels)) + 1
    assert (fine != coarse).any()
    assert not (coarse & ~within(fine, reach)).any() and not (fine & ~within(coarse, reach)).any()
