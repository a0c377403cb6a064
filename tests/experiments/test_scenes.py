"""Copies on a grid, the cache of builds, and hashes of files."""

import os

import numpy as np
import pytest

from engine.experiments import scenes
from engine.experiments.experiment import Experiment


@pytest.mark.parametrize(("instances", "count"), [(1, 1), (5, 5), (9, 9), (1000, 1000), ((3, 2, 4), 24)])
def test_copies_stand_apart(instances, count):
    transforms = scenes.copies(instances, (2.0, 3.0, 4.0))
    assert transforms.shape == (count, 3, 4)
    assert (transforms[:, :, :3] == np.eye(3)).all()
    places = np.unique(transforms[:, :, 3], axis=0)
    assert len(places) == count
    steps = np.unique(np.diff(np.unique(places[:, 2])).round(9))
    assert set(steps) <= {4.0}
    if isinstance(instances, int):
        assert (places[:, 1] == 0.0).all()
        assert np.ptp(places[:, 0]) / 2.0 <= np.ceil(np.sqrt(count)) - 1


def test_copies_without_a_spacing_do_not_touch(sample_asset):
    one = scenes.open_scene(sample_asset("sphere"), 1)
    low, high = one.bounds()
    scene = scenes.open_scene(sample_asset("sphere"), 4)
    assert scene.instance_count == 4
    lows, highs = scene.instance_boxes()
    gaps = np.unique(lows[:, 0])[1] - np.unique(highs[:, 0])[0]
    width = (high - low)[[0, 2]].max()
    np.testing.assert_allclose(gaps, 1.2 * width - (high - low)[0], rtol=1e-3)


def test_runs_share_scenes_and_builds_differ(sample_mesh, tmp_path):
    variants = ({"group_clusters": 8}, {"error_pixels": 2.0}, {"group_clusters": 32}, {"error_pixels": 4.0})
    runs = Experiment("a", str(sample_mesh("sphere")), variants=variants).runs()
    opened = scenes.Scenes(-1)
    found = [opened.open(one) for one in runs]
    assert found[1] is found[3]
    assert len({id(scene) for scene in found}) == 3
    assert found[0].groups.tobytes() != found[2].groups.tobytes()
    files = [opened.file(one) for one in runs]
    assert len(set(files)) == 3
    assert len({scenes.file_hash(file) for file in files}) == 3


def test_only_the_last_scenes_are_kept(sample_mesh):
    variants = tuple({"instances": number} for number in range(1, 8))
    opened = scenes.Scenes(-1)
    for one in Experiment("a", str(sample_mesh("sphere")), variants=variants).runs():
        opened.open(one)
        assert len(opened._opened) <= scenes.KEPT_SCENES
    assert opened.open(one) is opened.open(one)


def test_a_hash_follows_the_bytes(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"one")
    first = scenes.file_hash(file)
    assert first == scenes.file_hash(file)
    file.write_bytes(b"two")
    os.utime(file, ns=(5, 5))
    assert scenes.file_hash(file) != first


def test_a_scene_file_is_hashed_with_its_assets(tmp_path, sample_asset):
    (tmp_path / "a.mlith").write_bytes(sample_asset("sphere").read_bytes())
    scene = tmp_path / "scene.toml"
    scene.write_text('[[assets]]\npath = "a.mlith"\nname = "x"\n[[assets]]\npath = "a.mlith"\nname = "y"\n')
    assert [file.name for file in scenes.scene_files(scene)] == ["scene.toml", "a.mlith"]


def test_a_mesh_is_said_to_be_used_once(sample_mesh, monkeypatch):
    calls, whole = [], scenes.cached_asset
    monkeypatch.setattr(scenes, "cached_asset", lambda *arguments: calls.append(1) or whole(*arguments))
    opened = scenes.Scenes(-1)
    [one] = Experiment("a", str(sample_mesh("sphere"))).runs()
    assert opened.file(one) == opened.file(one)
    assert opened.open(one).instance_count == 1
    assert len(calls) == 1
