"""The software rasteriser against an exact one, and where it must not break."""

import numpy as np
import pytest

from engine.camera import Camera, view_record
from engine.settings import FrameSettings
from tests.frame.triangle_scene import triangle_scene

NONE = 0xFFFFFFFF


def orthographic(height: float = 2.0, z: float = 4.0) -> Camera:
    return Camera(eye=(0.0, 0.0, z), target=(0.0, 0.0, 0.0), orthographic_height=height)


def grid(columns: int, rows: int, low: float = -1.0, high: float = 1.0, z: float = 0.0):
    """Return a plane of columns x rows quads that faces +z."""
    x, y = np.meshgrid(np.linspace(low, high, columns + 1), np.linspace(low, high, rows + 1))
    positions = np.stack([x.ravel(), y.ravel(), np.full(x.size, z)], axis=1)
    corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    quads = np.stack([corner, corner + 1, corner + columns + 2, corner + columns + 1], axis=1)
    return positions, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def overdraw_counts(renderer, scene, camera, size, **settings) -> np.ndarray:
    from engine.gpu.buffers import read_buffer

    renderer.render(scene, camera, FrameSettings(view="overdraw", **settings), size)
    buffer = renderer._context.view.resources["overdraw"]
    return read_buffer(renderer.device, buffer, np.dtype(np.uint32), size[0] * size[1]).reshape(size[1], size[0])


@pytest.mark.parametrize(("columns", "rows", "size"), [(16, 16, (64, 64)), (7, 5, (61, 37)), (40, 3, (320, 1))])
def test_shared_edges_are_drawn_exactly_once(tmp_path, renderer, columns, rows, size):
    positions, faces = grid(columns, rows)
    positions[:, 0] *= size[0] / size[1]
    half_pixel = 1.0 / size[1]
    # Shifted to the right and up by half a pixel, edges and corners meet pixel centres exactly; the first column
    # and the last row then lie on a left and a bottom edge, or outside.
    for shift in ([0.0, 0.0, 0.0], [half_pixel, half_pixel if size[1] > 1 else 0.0, 0.0]):
        scene = triangle_scene(tmp_path, positions + shift, faces, step=2.0**-14)  # coordinates below 2^23
        counts = overdraw_counts(renderer, scene, orthographic(), size)
        if shift[0]:
            counts = counts[: size[1] - 1 if size[1] > 1 else 1, 1:]
        assert (counts == 1).all(), np.unique(counts, return_counts=True)


def exact_winner(triangles: np.ndarray, camera: Camera, size: tuple[int, int]):
    """Return per pixel (triangle or -1, depth, margin) by ray casting in float64.

    `margin` is small where the answer hangs on rounding: near an edge of any triangle, or two depths alike.
    """
    view = view_record(camera, size, FrameSettings())
    axes = np.stack([view["right"], view["up"], view["forward"]]).astype(float)
    eye = view["eye_high"].astype(float) + view["eye_low"]
    corners = (triangles - eye) @ axes.T
    x = ((np.arange(size[0]) + 0.5) / size[0] * 2 - 1) / float(view["scale_x"])
    y = (1 - (np.arange(size[1]) + 0.5) / size[1] * 2) / float(view["scale_y"])
    rays = np.stack(np.broadcast_arrays(x[None, :], y[:, None], 1.0), axis=-1).reshape(-1, 3)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    weights = np.stack([rays @ np.cross(b, c).T, rays @ np.cross(c, a).T, rays @ np.cross(a, b).T])
    total = weights.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        barycentrics = weights / total
        depth = np.einsum("krt,kt->rt", barycentrics, corners[:, :, 2].T)
    inside = (barycentrics >= 0).all(axis=0) & (depth >= float(view["near"]))
    depth = np.where(inside, depth, np.inf)
    winner = np.where(inside.any(axis=1), depth.argmin(axis=1), -1)
    ordered = np.sort(depth, axis=1)
    with np.errstate(invalid="ignore"):
        gap = (ordered[:, 1] - ordered[:, 0]) / ordered[:, 0] if depth.shape[1] > 1 else np.full(len(depth), 1.0)
    return winner, ordered[:, 0], np.nan_to_num(gap, nan=1.0, posinf=1.0)


def near_an_edge(winner: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return which pixels (h * w,) touch a pixel with another winner."""
    image = winner.reshape(size[1], size[0])
    padded = np.pad(image, 1, mode="edge")
    shifted = [padded[1 + dy : 1 + dy + size[1], 1 + dx : 1 + dx + size[0]] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return np.any([part != image for part in shifted], axis=0).ravel()


CASES = {
    "many small": (400, 0.15, 0.0),
    "large": (60, 1.5, 0.0),
    "across the near plane": (40, 6.0, 3.5),
    "huge": (6, 4000.0, 0.0),
}


@pytest.mark.parametrize("size", [(97, 61), (48, 2), (1, 33)])
@pytest.mark.parametrize("case", CASES)
def test_every_pixel_shows_what_a_ray_hits(tmp_path, renderer, case, size):
    count, extent, eye_shift = CASES[case]
    generator = np.random.default_rng(7)
    centers = generator.uniform(-1.0, 1.0, (count, 1, 3))
    triangles = centers + generator.normal(0.0, extent, (count, 3, 3))
    step = 2.0**-12 if extent < 100 else 2.0**-7
    triangles = np.rint(triangles / step) * step
    scene = triangle_scene(tmp_path, triangles.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3), step=step)
    camera = Camera(eye=(0.1, 0.2, 4.0 - eye_shift), target=(0.0, 0.0, -3.0), fov_degrees=60.0, near=0.05)
    frame = renderer.render(scene, camera, FrameSettings(), size, aovs=("cluster", "triangle", "depth"))
    winner, depth, gap = exact_winner(triangles, camera, size)
    drawn = frame.aovs["cluster"].astype(np.int64).ravel() * 128 + frame.aovs["triangle"].ravel()
    drawn[frame.aovs["cluster"].ravel() == NONE] = -1
    order = scene_order(scene, triangles)
    expected = np.where(winner >= 0, order[winner], -1)
    wrong = (drawn != expected) & (gap > 1e-4)
    # a sample may differ where the exact edge passes within the 1/256 pixel to which corners are snapped
    assert not (wrong & ~near_an_edge(winner, size)).any()
    assert wrong.sum() <= max(2, 0.02 * wrong.size)
    right = (drawn == expected) & (drawn >= 0)
    assert right.sum() >= 0.5 * (winner >= 0).sum()
    np.testing.assert_allclose(frame.aovs["depth"].ravel()[right], depth[right], rtol=2e-4)


def scene_order(scene, triangles: np.ndarray) -> np.ndarray:
    """Return cluster * 128 + triangle of each input triangle, as the asset has stored it."""
    asset = scene.assets[0]
    keys = {tuple(np.round(sorted(map(tuple, t)), 6).ravel()): i for i, t in enumerate(triangles)}
    order = np.full(len(triangles), -1)
    for cluster in range(len(asset.clusters())):
        geometry = asset.cluster_geometry(cluster)
        for number, corners in enumerate(geometry.positions[geometry.triangles].astype(float)):
            order[keys[tuple(np.round(sorted(map(tuple, corners)), 6).ravel())]] = cluster * 128 + number
    assert (order >= 0).all()
    return order


def test_one_sided_triangles_show_their_front_only(tmp_path, renderer):
    positions, faces = grid(2, 2, -0.5, 0.5)
    scene = triangle_scene(tmp_path, positions, faces, two_sided=False)
    size = (32, 32)
    front = Camera(eye=(0.0, 0.0, 2.0), target=(0.0, 0.0, 0.0))
    back = Camera(eye=(0.0, 0.0, -2.0), target=(0.0, 0.0, 0.0))
    hit = [
        (renderer.render(scene, camera, None, size, ("triangle",)).aovs["triangle"] != NONE) for camera in (front, back)
    ]
    assert hit[0].sum() > 100
    assert hit[1].sum() == 0
    mirrored = np.diag([-1.0, 1.0, 1.0, 1.0])
    scene.set_transforms(np.array([0]), mirrored[None])
    hit = [
        (renderer.render(scene, camera, None, size, ("triangle",)).aovs["triangle"] != NONE) for camera in (front, back)
    ]
    assert hit[0].sum() > 100, "a mirrored plane still faces the same way"
    assert hit[1].sum() == 0


def test_a_screen_filling_triangle_covers_every_pixel(tmp_path, renderer):
    positions = np.array([[-100.0, -80.0, 0.0], [120.0, -90.0, 0.5], [3.0, 150.0, -0.5]])
    scene = triangle_scene(tmp_path, positions, np.array([[0, 1, 2]]), step=2.0**-10)
    camera = Camera(eye=(0.0, 0.0, 1.5), target=(0.0, 0.0, 0.0), near=0.01)
    counts = overdraw_counts(renderer, scene, camera, (640, 401))
    assert (counts == 1).all()


def test_a_fan_that_reaches_far_beyond_the_guard_band_has_no_seam(tmp_path, renderer):
    # At 100 pixels a unit the apex lies 7,000 pixels to the left, inside the guard band, and the rim 20,000 or 30,000
    # to the right, beyond it: an edge that only one of its triangles cuts would be a seam across the image.
    crossing = np.linspace(-1.25, 1.25, 91) + 0.004 * np.sin(np.arange(91) * 2.4)  # y of each edge at x = 0
    rim = np.where(np.arange(len(crossing)) % 3 == 2, 300.0, 200.0)
    points = np.stack([rim, crossing * (rim + 70.0) / 70.0, np.zeros(len(rim))], axis=1)
    positions = np.concatenate([[[-70.0, 0.0, 0.0]], points])
    number = np.arange(len(rim) - 1)
    faces = np.stack([np.zeros(len(number), int), 1 + number, 2 + number], axis=1)
    scene = triangle_scene(tmp_path, positions, faces, step=2.0**-12)
    counts = overdraw_counts(renderer, scene, orthographic(height=2.0, z=4.0), (260, 200))
    assert (counts == 1).all(), np.unique(counts, return_counts=True)


def test_a_floor_that_crosses_the_near_plane_has_no_gap(tmp_path, renderer):
    positions, faces = grid(10, 10, -3.0, 3.0)
    floor = positions[:, [0, 2, 1]] * [1.0, 1.0, -1.0]  # y up
    scene = triangle_scene(tmp_path, floor, faces)
    camera = Camera(eye=(0.013, 0.07, 0.021), target=(0.6, -0.9, -0.2), near=0.05, fov_degrees=100.0)
    frame = renderer.render(scene, camera, None, (101, 57), ("triangle", "depth"))
    hit = frame.aovs["triangle"] != NONE
    winner, *_ = exact_winner((floor[faces] / 2.0**-12).round() * 2.0**-12, camera, (101, 57))
    expected = (winner >= 0).reshape(hit.shape)
    assert 0.2 < expected.mean() < 1.0
    assert (hit != expected).mean() < 0.003
    assert np.nanmin(np.where(hit, frame.aovs["depth"], np.nan)) >= 0.05 * 0.999
