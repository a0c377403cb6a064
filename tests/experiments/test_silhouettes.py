"""Silhouettes of closed meshes at any tau: no wrong pixel is as far from the true silhouette as a crack would be."""

import math

import numpy as np
import pytest

from engine.builder import build
from engine.camera import Camera, orbit
from engine.experiments.image_error import silhouette_error
from engine.scene import Scene, load_scene
from engine.settings import FrameSettings

CLOSED = ("armadillo_86k.obj", "lucy_100k.ply", "skull_100k.obj", "nefertiti_100k.obj", "bunny_144k.glb")
TAUS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
BETWEEN_CENTERS = math.sqrt(2.0)  # pixels that a distance between pixel centres may be longer than what an edge moved


def cameras_near(scene: Scene, count: int, size: tuple[int, int]) -> list[Camera]:
    """Return an orbit that sees all, and as many cameras close to the surface, most of which see its silhouette."""
    generator = np.random.default_rng(7)
    low, high = scene.bounds()
    middle, half = 0.5 * (low + high), 0.5 * float(np.linalg.norm(high - low))
    cameras = orbit(scene.bounds(), count, fov_degrees=45.0, aspect=size[0] / size[1])
    for _ in range(count):
        direction = generator.normal(size=3)
        eye = middle + half * generator.uniform(0.5, 1.2) * direction / np.linalg.norm(direction)
        target = middle + 0.3 * half * generator.normal(size=3)
        cameras.append(Camera(tuple(eye), tuple(target), near=1e-4 * half))
    return cameras


def check_silhouettes(renderer, scene: Scene, count: int, size: tuple[int, int]) -> None:
    seen, moved = 0, 0
    for camera in cameras_near(scene, count, size):
        covered = []
        for tau in (0.0, *TAUS):
            renderer.render(scene, camera, FrameSettings(error_pixels=tau), size)
            covered.append(np.isfinite(renderer.read_aov("depth")))
        if covered[0].all():
            continue
        seen += 1
        for tau, coverage in zip(TAUS, covered[1:]):
            share, pixels = silhouette_error(coverage, covered[0])
            assert pixels <= tau + BETWEEN_CENTERS, (camera, tau)
            moved += share > 0.0
    assert seen > count and moved > count, "the cut shows on the silhouettes"


def test_a_sphere(renderer, sample_asset):
    check_silhouettes(renderer, load_scene(sample_asset("sphere", 20000)), 4, (320, 180))


@pytest.mark.slow
@pytest.mark.parametrize("name", CLOSED)
def test_scans_without_holes(renderer, meshes, tmp_path, name):
    if meshes is None:
        pytest.skip("no real meshes")
    build([meshes / "scans" / name], tmp_path / "scan.mlith", progress=lambda *_: None)
    check_silhouettes(renderer, load_scene(tmp_path / "scan.mlith"), 8, (960, 540))
