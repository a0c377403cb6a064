"""Grids whose copies are turned at random, and the scenes of nanite-webgpu that need them."""

import numpy as np
import pytest

from engine.scene_file import read_scene_file
from tests.conftest import ROOT

TEXT = """
[[assets]]
path = "a.mlith"
[[instances]]
scale = [1, 2, -4]
[instances.grid]
count = [30, 1, 20]
spacing = 2
rotation = "{rotation}"
seed = {seed}
"""


def transforms(tmp_path, rotation: str, seed: int = 3) -> np.ndarray:
    path = tmp_path / "grid.toml"
    path.write_text(TEXT.format(rotation=rotation, seed=seed), encoding="utf-8")
    [placement] = read_scene_file(path).placements
    return placement.transforms()


def test_copies_are_turned_where_they_stand(tmp_path):
    still, about_y, any_way = (transforms(tmp_path, rotation) for rotation in ("none", "y", "any"))
    scale = np.diag([1.0, 2.0, -4.0])
    assert (still[:, :, :3] == scale).all()
    for turned in (about_y, any_way):
        np.testing.assert_array_equal(turned[:, :, 3], still[:, :, 3])
        rotations = turned[:, :, :3] @ np.linalg.inv(scale)
        np.testing.assert_allclose(
            rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (600, 3, 3)), atol=1e-12
        )
        np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
    np.testing.assert_allclose(about_y[:, :, 1], np.tile([0.0, 2.0, 0.0], (600, 1)), atol=1e-12)
    angles = np.arctan2(about_y[:, 0, 0], about_y[:, 2, 0])
    assert (np.histogram(angles, 4, (-np.pi, np.pi))[0] > 100).all(), "all ways alike"
    assert abs(any_way[:, 1, 1]).min() < 1.0


def test_the_same_seed_gives_the_same_scene(tmp_path):
    one = transforms(tmp_path, "y")
    np.testing.assert_array_equal(one, transforms(tmp_path, "y"))
    assert (one != transforms(tmp_path, "y", seed=4)).any()


@pytest.mark.parametrize(("rotation", "seed", "words"), [("z", 1, "grid rotation is 'z'"), ("y", -1, "grid seed must")])
def test_a_mistake_is_named(tmp_path, rotation, seed, words):
    with pytest.raises(ValueError, match=words):
        transforms(tmp_path, rotation, seed)


@pytest.mark.parametrize(("name", "side", "scale", "spacing"), [("bunnies", 500, 8.0, 0.8), ("lucys", 110, 1.0, 0.7)])
def test_the_scenes_of_nanite_webgpu_are_as_published(name, side, scale, spacing):
    file = read_scene_file(ROOT / "assets" / "scenes" / f"nanite_webgpu_{name}.toml")
    [placement] = file.placements
    placed = placement.transforms()
    steps = -spacing * np.arange(side)
    assert len(placed) == side * side
    for axis in (0, 2):
        np.testing.assert_allclose(np.unique(placed[:, axis, 3].round(6))[::-1], steps, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(placed[:, :, :3]), scale**3)
    assert len(np.unique(placed[:, 0, 0].round(9))) > 0.99 * side * side, "each is turned in its own way"
    assert file.camera is not None
    forward = np.subtract(file.camera.target, file.camera.eye)
    right_down = np.arctan2(forward[0], -forward[2]), np.arcsin(-forward[1] / np.linalg.norm(forward))
    np.testing.assert_allclose(right_down, [-0.6, 0.3], atol=1e-3)
    assert (file.camera.eye, file.camera.fov_degrees) == ((1.5, 1.9, 2.3), 45.0)
