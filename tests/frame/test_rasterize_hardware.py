"""Law 3: the hardware rasteriser draws the samples of the software one, to the last bit, and no seam between them."""

import numpy as np
import pytest

from engine.camera import Camera
from engine.experiments.verification import TIED_PIXELS, Image, compare_images
from engine.scene import load_scene
from engine.settings import FrameSettings
from tests.frame.triangle_scene import triangle_scene


def samples(renderer, scene, camera, size, **settings) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict]:
    """Return depth bits, scene-wide cluster and triangle of each pixel, and how many clusters each raster drew."""
    frame = renderer.render(scene, camera, FrameSettings(**settings), size, aovs=("cluster", "triangle"))
    depth = (renderer.read_visibility() >> np.uint64(32)).astype(np.uint32)
    return depth, frame.aovs["cluster"], frame.aovs["triangle"], frame.statistics.clusters


def assert_same_samples(renderer, scene, camera, size, least_hardware: int = 1, **settings) -> None:
    """Compare both rasters. Identities may differ where two triangles have the same depth: places differ."""
    expected = samples(renderer, scene, camera, size, raster="software", **settings)
    drawn = samples(renderer, scene, camera, size, raster="hardware", **settings)
    assert expected[3]["hardware"] == 0
    assert drawn[3]["hardware"] >= least_hardware
    assert sum(drawn[3].values()) == sum(expected[3].values())
    one, other = (
        Image(depth.astype(np.uint64) << np.uint64(32), np.stack(ids)) for depth, *ids, _ in (drawn, expected)
    )
    found = compare_images(one, other, TIED_PIXELS["raster"])
    assert found.differences == 0, f"{found.differences} of {found.compared} pixels differ: {found.first}"


def soup(count: int, extent: float, seed: int = 7) -> np.ndarray:
    """Return triangles (count, 3, 3) in front of the camera of `view_of_soup`."""
    generator = np.random.default_rng(seed)
    triangles = generator.uniform(-1.0, 1.0, (count, 1, 3)) + generator.normal(0.0, extent, (count, 3, 3))
    return np.rint(triangles * 2.0**12) * 2.0**-12


def view_of_soup(**fields) -> Camera:
    return Camera(**({"eye": (0.1, 0.2, 4.0), "target": (0.0, 0.0, -3.0), "fov_degrees": 60.0, "near": 0.05} | fields))


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("size", [(160, 90), (97, 61), (48, 2), (1, 33), (64, 1)])
def test_both_rasters_draw_the_same_samples(tmp_path, renderer, size, two_sided):
    for count, extent in ((600, 0.05), (300, 0.3)):
        triangles = soup(count, extent)
        faces = np.arange(3 * count).reshape(-1, 3)
        scene = triangle_scene(tmp_path, triangles.reshape(-1, 3), faces, two_sided)
        # An image of one row would show the soup smaller than a pixel.
        assert_same_samples(renderer, scene, view_of_soup(fov_degrees=60.0 if size[1] > 1 else 4.0), size)
        mirrored = np.diag([-1.0, 1.3, 0.8, 1.0])
        scene.set_transforms(np.array([0]), mirrored[None])
        height = 2.5 if size[1] > 1 else 0.5  # a pixel of 2.5 m has nothing at its centre
        assert_same_samples(renderer, scene, view_of_soup(orthographic_height=height), size)


def test_clusters_that_must_be_clipped_stay_in_software(tmp_path, renderer):
    triangles = soup(400, 0.3)
    triangles[:64] *= 1000.0  # a cluster holds 64 triangles: beyond the guard band
    triangles[64:128] += [0.0, 0.0, 4.0]  # across the near plane
    scene = triangle_scene(tmp_path, triangles.reshape(-1, 3), np.arange(1200).reshape(-1, 3))
    assert_same_samples(renderer, scene, view_of_soup(), (97, 61), least_hardware=5)
    *_, clusters = samples(renderer, scene, view_of_soup(), (97, 61), raster="hardware")
    assert clusters["hardware"] == 5
    assert clusters["software"] == 2


def test_a_cluster_that_the_near_plane_cuts_stays_in_software(tmp_path, renderer):
    triangles = soup(64, 0.3)
    scene = triangle_scene(tmp_path, triangles.reshape(-1, 3), np.arange(192).reshape(-1, 3))
    cut = view_of_soup(near=3.9)  # through the middle; no corner is behind the eye
    assert_same_samples(renderer, scene, cut, (97, 61), least_hardware=0)
    assert samples(renderer, scene, cut, (97, 61), raster="hardware")[3]["hardware"] == 0
    assert samples(renderer, scene, view_of_soup(), (97, 61), raster="hardware")[3]["hardware"] == 1


def test_a_cluster_that_reaches_beyond_the_guard_band_stays_in_software(tmp_path, renderer):
    camera = view_of_soup(eye=(0.0, 0.0, 4.0), target=(0.0, 0.0, 0.0))
    triangles = soup(64, 0.3) * [200.0, 200.0, 1.0]
    scene = triangle_scene(tmp_path, triangles.reshape(-1, 3), np.arange(192).reshape(-1, 3))
    assert_same_samples(renderer, scene, camera, (97, 61), least_hardware=0)
    assert samples(renderer, scene, camera, (97, 61), raster="hardware")[3]["hardware"] == 0


def test_large_triangles_reach_far_beyond_the_image(tmp_path, renderer):
    triangles = soup(60, 3.0) + np.array([0.0, 0.0, -16.0])
    scene = triangle_scene(tmp_path, triangles.reshape(-1, 3), np.arange(180).reshape(-1, 3))
    camera = view_of_soup(eye=(0.1, 0.2, 0.0), target=(0.0, 0.0, -16.0), fov_degrees=20.0)
    assert_same_samples(renderer, scene, camera, (211, 97))


def test_shared_edges_are_drawn_exactly_once_by_both(tmp_path, renderer):
    from tests.frame.test_rasterize_software import grid, orthographic, overdraw_counts

    positions, faces = grid(16, 16)
    for shift in (0.0, 1.0 / 64):  # then edges and corners meet pixel centres
        scene = triangle_scene(tmp_path, positions + np.array([shift, shift, 0.0]), faces, step=2.0**-14)
        counts = overdraw_counts(renderer, scene, orthographic(), (64, 64), raster="hardware")
        counts = counts[:63, 1:] if shift else counts
        assert (counts == 1).all(), np.unique(counts, return_counts=True)


@pytest.mark.parametrize("hardware_pixels", [75.0, 90.0])
def test_no_background_is_seen_at_the_seam_of_the_rasters(renderer, sample_asset, hardware_pixels):
    scene = load_scene(sample_asset("sphere", 5000))
    inside = Camera(eye=(0.1, 0.05, -0.2), target=(1.0, 0.3, 0.4), fov_degrees=90.0)
    for error_pixels in (0.5, 1.0, 4.0):
        settings = {"hardware_pixels": hardware_pixels, "error_pixels": error_pixels}
        depth, *_, clusters = samples(renderer, scene, inside, (320, 180), **settings)
        assert clusters["hardware"] > 0
        assert (depth != 0).all()
    outside, fine = scene.default_camera(), {"error_pixels": 0.25}
    expected = samples(renderer, scene, outside, (320, 180), raster="software", **fine)
    mixed = samples(renderer, scene, outside, (320, 180), hardware_pixels=hardware_pixels, **fine)
    assert mixed[3]["hardware"] > 0
    assert mixed[3]["hardware"] < sum(mixed[3].values())
    np.testing.assert_array_equal(mixed[0], expected[0])


def test_the_view_of_overdraw_counts_both_rasters(renderer, sample_asset):
    from tests.frame.test_rasterize_software import overdraw_counts

    scene = load_scene(sample_asset("terrain", 20000))
    camera, size = scene.default_camera(), (160, 90)
    expected = overdraw_counts(renderer, scene, camera, size, raster="software")
    mixed = overdraw_counts(renderer, scene, camera, size, hardware_pixels=24.0)
    np.testing.assert_array_equal(mixed, expected)
    assert expected.max() > 0


def test_the_view_of_rasters_colours_each_class(tmp_path, renderer):
    triangles = soup(64 + 20, 0.1)
    triangles[64:, :, 0] += 1.2
    scene = triangle_scene(tmp_path, triangles.reshape(-1, 3), np.arange(252).reshape(-1, 3))
    seen = {}
    for raster in ("software", "hardware"):
        image = renderer.render(scene, view_of_soup(), FrameSettings(view="raster", raster=raster), (160, 90)).image
        colors = image[..., :3][renderer.read_visibility() != 0].astype(int)
        red, green, blue = colors.T
        # by their hues: software blue, small cyan, hardware orange
        seen[raster] = [(red > green).sum(), ((green > 1.8 * red) & (green > 0.8 * blue)).sum(), len(colors)]
    assert seen["software"][0] == 0
    assert 0 < seen["software"][1] < seen["software"][2]
    assert seen["hardware"][0] == seen["hardware"][2] == seen["software"][2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scans/bun_zipper_69k.ply", "scans/armadillo_86k.obj", "scans/skull_100k.obj"])
def test_real_meshes_are_the_same_in_both_rasters(tmp_path, renderer, meshes, name):
    from engine.builder import build

    assert meshes, "needs MICROLITH_MESHES"
    build([meshes / name], tmp_path / "mesh.mlith")
    scene = load_scene(tmp_path / "mesh.mlith")
    low, high = scene.bounds()
    reach = float(np.linalg.norm(high - low))
    for camera in (scene.default_camera(), Camera(tuple(0.5 * (low + high) + [0.0, 0.0, 0.45 * reach]), tuple(low))):
        for size in ((320, 180), (101, 67)):
            assert_same_samples(renderer, scene, camera, size)
