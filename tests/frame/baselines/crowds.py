"""What the tests of the baselines draw: a few turned, scaled and mirrored instances, and cameras among them."""

import numpy as np

from engine import layout
from engine.asset import open_asset
from engine.camera import Camera
from engine.experiments.baseline import BASELINES
from engine.scene import Scene
from engine.settings import FrameSettings

SIZE = (211, 97)
CAMERAS = [
    Camera(eye=(1.5, 0.7, 3.5), target=(2.0, 0.0, -3.0)),
    Camera(eye=(1.5, 0.7, 3.5), target=(2.0, 0.0, -3.0), orthographic_height=6.0),
    Camera(eye=(0.0, 0.2, 0.9), target=(2.0, 0.0, -3.0), near=0.3),  # cuts an instance
    Camera(eye=(0.0, 0.0, 0.1), target=(2.0, 0.0, -3.0), fov_degrees=80.0),  # inside of one
]
ABOVE = Camera(eye=(1.2, 5.0, 4.0), target=(1.2, 0.0, -1.2))


def row(asset_path) -> Scene:
    """Return six instances that go away from the first cameras, one of them mirrored, one behind the eye."""
    scene = Scene([open_asset(asset_path)])
    transforms = np.zeros((6, 3, 4))
    transforms[:, :, :3] = np.eye(3)
    transforms[:, 0, 3], transforms[:, 2, 3] = 1.5 * np.arange(6), -4.0 * np.arange(6)
    transforms[2, :, 0] *= -1.0
    transforms[3, :, :3] *= [1.0, 1.7, 0.6]
    transforms[5, 2, 3] = 30.0
    scene.add_asset(0, transforms)
    return scene


def mixed(*asset_paths) -> Scene:
    """Return two instances of each asset, all 2 m wide and seen by ABOVE; those of an asset do not come together."""
    scene = Scene([open_asset(path) for path in asset_paths])
    for turn in range(2):
        for number, asset in enumerate(scene.assets):
            low, high = asset.bounds()
            transform = np.eye(3, 4) * (2.0 / (high - low).max())
            transform[:, 3] = -transform[:, :3] @ (0.5 * (low + high)) + [2.5 * number, 0.0, -2.5 * turn]
            scene.add_asset(number, transform[None])
    return scene


def baseline(device, name: str):
    """Return a renderer of a baseline."""
    return BASELINES[name](device)


def draw(renderer, scene, camera, size=SIZE, **settings) -> tuple[np.ndarray, np.ndarray, dict]:
    """Return depth (float32), instance, cluster and triangle (3, ...) of each pixel, and the statistics."""
    statistics = renderer.render(scene, camera, FrameSettings(**settings), size).statistics
    depth = (renderer.read_visibility() >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return depth, np.stack([renderer.read_aov(name) for name in ("instance", "cluster", "triangle")]), statistics


def source_pairs(scene: Scene, tables) -> np.ndarray:
    """Return slot and source cluster (k, 2) of all instances, sorted."""
    pairs = [
        np.stack(
            np.broadcast_arrays(slot, np.flatnonzero((tables.cluster_made_by < 0) & (tables.cluster_mesh == mesh)))
        )
        for slot, mesh in enumerate(scene.instances["mesh"].tolist())
        if mesh != layout.NONE
    ]
    return np.concatenate(pairs, axis=1).T
