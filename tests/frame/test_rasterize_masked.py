"""Alpha-masked clusters: what lies below the cutoff is not drawn, by any rasteriser, large or small, clipped or not."""

import numpy as np
import pytest

from engine import layout
from engine.camera import Camera, view_record
from engine.materials import material
from engine.settings import FrameSettings
from tests.frame.triangle_scene import triangle_scene

SIZE = (160, 90)
MASKED = layout.CONSTANTS["MATERIAL_MASKED"] | layout.CONSTANTS["MATERIAL_TWO_SIDED"]
TWO_SIDED = layout.CONSTANTS["MATERIAL_TWO_SIDED"]


def floor(cells: int, half: float):
    """Return positions, faces and colours of a floor whose alpha falls from 1 at x = -half to 0 at x = half."""
    x, z = (
        part.ravel() for part in np.meshgrid(np.linspace(-half, half, cells + 1), np.linspace(-half, half, cells + 1))
    )
    corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    quads = np.stack([corner, corner + cells + 1, corner + cells + 2, corner + 1], axis=1)
    colors = np.ones((len(x), 4))
    colors[:, 3] = 0.5 - 0.5 * x / half
    positions = np.stack([x, np.zeros(len(x)), z], axis=1)
    return positions, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]), colors


def masked(**fields) -> np.ndarray:
    return np.array([material(flags=MASKED, **fields)])


def floor_hits(camera: Camera, size: tuple[int, int], half: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (which pixels see the floor, x of the place they see), by ray casting."""
    view = view_record(camera, size, FrameSettings())
    x = ((np.arange(size[0]) + 0.5) / size[0] * 2 - 1) / float(view["scale_x"])
    y = (1 - (np.arange(size[1]) + 0.5) / size[1] * 2) / float(view["scale_y"])
    eye, right, up, forward = (np.asarray(v, float) for v in (camera.eye, view["right"], view["up"], view["forward"]))
    rays = x[None, :, None] * right + y[:, None, None] * up + forward
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = -eye[1] / rays[..., 1]
    place = eye + distance[..., None] * rays
    hit = (distance > float(view["near"])) & (np.abs(place[..., [0, 2]]) < half).all(axis=-1)
    return hit, place[..., 0]


CAMERAS = {
    "tilted": Camera((0.4, 1.1, 2.6), (0.0, 0.0, 0.0), fov_degrees=50.0, near=0.05),
    "across the near plane": Camera((0.05, 0.09, 0.3), (0.0, -0.3, -1.0), fov_degrees=90.0, near=0.2),
}


@pytest.mark.parametrize("raster", ["software", "hardware"])
@pytest.mark.parametrize("cells", [1, 40])
@pytest.mark.parametrize("camera", CAMERAS)
def test_half_of_a_floor_is_masked_out(tmp_path, renderer, camera, cells, raster):
    positions, faces, colors = floor(cells, 1.5)
    scene = triangle_scene(tmp_path, positions, faces, extra=colors, materials=masked(alpha_cutoff=0.5))
    frame = renderer.render(scene, CAMERAS[camera], FrameSettings(raster=raster), SIZE, ("triangle",))
    drawn = frame.aovs["triangle"] != layout.NONE
    hit, x = floor_hits(CAMERAS[camera], SIZE, 1.5)
    inner, _ = floor_hits(CAMERAS[camera], SIZE, 1.48)
    assert hit.mean() > 0.2
    assert drawn[inner & (x < -0.03)].all()
    assert not drawn[x > 0.03].any()
    assert not drawn[~hit].sum() > 0.01 * hit.sum()
    clusters = frame.statistics.clusters
    assert clusters["software"] == clusters["small"] == 0
    assert (clusters["hardware"] > 0) == (raster == "hardware" and (cells > 1 or camera == "tilted"))


def test_both_rasters_mask_the_same_samples(tmp_path, renderer):
    positions, faces, colors = floor(24, 1.5)
    colors[:, 3] = np.random.default_rng(3).random(len(colors))
    mirrored = np.diag([-1.0, 1.0, 1.2, 1.0])
    for transform in (np.eye(4), mirrored):
        scene = triangle_scene(tmp_path, positions, faces, extra=colors, materials=masked(alpha_cutoff=0.5))
        scene.set_transforms(np.array([0]), transform[None])
        drawn = {}
        for raster in ("software", "hardware"):
            renderer.render(scene, CAMERAS["tilted"], FrameSettings(raster=raster), SIZE)
            drawn[raster] = renderer.read_visibility() >> np.uint64(32)
        assert 0.1 < (drawn["software"] != 0).mean() < 0.7
        np.testing.assert_array_equal(drawn["hardware"], drawn["software"])


def test_cutoff_and_base_color_count_and_other_materials_stay_whole(tmp_path, renderer):
    positions, faces, colors = floor(8, 1.5)
    colors[:, 3] = 1.0
    hit, _ = floor_hits(CAMERAS["tilted"], SIZE, 1.5)
    for alpha, cutoff, flags, is_drawn in (
        (0.4, 0.5, MASKED, False),
        (0.4, 0.3, MASKED, True),
        (0.4, 0.5, TWO_SIDED, True),
    ):
        materials = np.array([material(base_color=(1, 1, 1, alpha), alpha_cutoff=cutoff, flags=flags)] * 2)
        materials[1]["flags"] = TWO_SIDED
        half = np.arange(len(faces)) % 2
        scene = triangle_scene(tmp_path, positions, faces, extra=colors, materials=materials, face_material=half)
        renderer.render(scene, CAMERAS["tilted"], None, SIZE)
        drawn = (renderer.read_visibility() != 0)[hit].mean()
        assert abs(drawn - (1.0 if is_drawn else 0.5)) < 0.05


def test_masked_clusters_are_counted_and_shown(tmp_path, renderer):
    positions, faces, colors = floor(8, 1.5)
    scene = triangle_scene(tmp_path, positions, faces, extra=colors, materials=masked())
    frame = renderer.render(scene, CAMERAS["tilted"], FrameSettings(view="raster", raster="software"), SIZE)
    assert frame.statistics.clusters == {"software": 0, "small": 0, "masked": 2, "hardware": 0}
    assert frame.statistics.triangles["masked"] == len(faces)
    red, green, blue = np.moveaxis(frame.image[..., :3][renderer.read_visibility() != 0].astype(int), -1, 0)
    assert (green > red).all()
    assert (green > blue).all()
