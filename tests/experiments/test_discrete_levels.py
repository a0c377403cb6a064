"""What discrete_lods draws is judged by the reference's maths: every instance draws one level, the right one."""

from dataclasses import replace

import numpy as np
import pytest

from engine import reference
from engine.camera import view_record
from engine.experiments.discrete_levels import compare_with_levels, levels_of
from engine.settings import FrameSettings
from engine.ties import error_margins
from tests.frame.baselines.crowds import CAMERAS, SIZE, baseline, mixed, row


@pytest.fixture
def drawn(device, sample_asset):
    """Tables, view, levels and what the baseline draws of six instances, of which one is behind the eye."""
    scene, settings = row(sample_asset("sphere")), FrameSettings(error_pixels=0.7)
    discrete = baseline(device, "discrete_lods")
    discrete.render(scene, CAMERAS[0], settings, SIZE)
    tables, view = reference.tables_of(scene), view_record(CAMERAS[0], SIZE, settings, bounds=scene.bounds())
    return tables, view, levels_of(scene), discrete.read_visible_clusters().astype(np.int64)


def test_every_instance_draws_its_level(device, sample_asset, drawn):
    found = compare_with_levels(*drawn)
    assert (found.unit, found.compared, found.ties, found.differences) == ("clusters", len(drawn[3]), 0, 0)
    assert set(drawn[3][:, 0].tolist()) == {0, 1, 2, 3, 4}
    scene, discrete = mixed(sample_asset("sphere"), sample_asset("terrain")), baseline(device, "discrete_lods")
    for camera in CAMERAS:
        for tau in (0.0, 0.3, 2.0):
            settings = FrameSettings(error_pixels=tau, attribute_weight=0.3)
            discrete.render(scene, camera, settings, SIZE)
            view = view_record(camera, SIZE, settings, bounds=scene.bounds())
            clusters = discrete.read_visible_clusters()
            found = compare_with_levels(reference.tables_of(scene), view, levels_of(scene), clusters)
            assert (found.compared, found.differences) == (len(clusters), 0)


def test_what_covers_no_pixel_draws_nothing(device, sample_asset):
    scene, settings, discrete = row(sample_asset("sphere")), FrameSettings(), baseline(device, "discrete_lods")
    far = np.tile(np.eye(3, 4) * 0.01, (20, 1, 1))
    far[:, :, 3] = np.stack([np.linspace(-3.0, 7.0, 20), np.linspace(0.1, 0.9, 20), np.full(20, -400.0)], axis=1)
    scene.add_asset(0, far)
    discrete.render(scene, CAMERAS[0], settings, SIZE)
    view = view_record(CAMERAS[0], SIZE, settings, bounds=scene.bounds())
    drawn = discrete.read_visible_clusters()
    assert len(set(drawn[:, 0].tolist())) < 15, "most of the far ones lie between pixels"
    assert compare_with_levels(reference.tables_of(scene), view, levels_of(scene), drawn).differences == 0


def test_what_is_missing_too_much_or_of_another_level_is_found(drawn):
    tables, view, levels, pairs = drawn
    own = pairs[pairs[:, 0] == 1, 1]
    finer = next(one for one in levels.clusters if len(one) > len(own))
    swapped = np.concatenate([pairs[pairs[:, 0] != 1], np.stack([np.full(len(finer), 1), finer], axis=1)])
    behind = np.concatenate([pairs, np.stack([np.full(len(own), 5), own], axis=1)])
    expected = {
        "missing": (pairs[1:], 1, int(pairs[0, 0])),
        "too much": (np.concatenate([pairs, [[1, int(finer[0])]]]), 1, 1),
        "another level": (swapped, len(set(own) ^ set(finer)), 1),
        "out of view": (behind, len(own), 5),
    }
    for kind, (wrong, differences, slot) in expected.items():
        found = compare_with_levels(tables, view, levels, wrong)
        assert (found.ties, found.differences) == (0, differences), kind
        assert found.first == f"instance {slot} does not draw its level"


def test_an_instance_at_its_threshold_may_draw_either_level(drawn):
    """tau is what a level of instance 1 claims, seen from the eye: float32 may accept it or not."""
    tables, view, levels, _ = drawn
    number = 2
    instance = tables.instances[1:2]
    mesh = tables.meshes[instance["mesh"].astype(int)]
    makers = tables.cluster_made_by[levels.clusters[number]]
    error = reference.combined_error(tables.groups[makers[makers >= 0]], view).max()
    view = view.copy()
    view["error_pixels"] = reference.projected_error_pixels(
        mesh["center"], mesh["radius"], np.array([error]), instance, view
    )[0]
    assert abs(error_margins(mesh, np.array([error]), instance, view)[0]) < 1.0

    chosen = []
    for slot in (0, 2, 3, 4):
        every = [np.stack([np.full(len(one), slot), one], axis=1) for one in levels.clusters]
        alone = [compare_with_levels(single(tables, slot), view, levels, pairs).differences for pairs in every]
        chosen.append(every[alone.index(0)])
    found = {}
    for one in range(number - 1, number + 3):
        own = np.stack([np.full(len(levels.clusters[one]), 1), levels.clusters[one]], axis=1)
        found[one] = compare_with_levels(tables, view, levels, np.concatenate([*chosen, own]))
    assert [found[one].differences == 0 for one in found] == [False, True, True, False]
    assert sorted(found[one].ties > 0 for one in (number, number + 1)) == [False, True]


def single(tables: reference.Tables, slot: int) -> reference.Tables:
    """Return tables in which only one instance is left."""
    instances = tables.instances.copy()
    instances["mesh"][np.arange(len(instances)) != slot] = 0xFFFFFFFF
    return replace(tables, instances=instances)
