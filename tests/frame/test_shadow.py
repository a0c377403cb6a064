"""Shadows: lit and dark against rays cast in float64, no acne, masks cast holes, nothing where they are off."""

from dataclasses import replace

import numpy as np
import pytest

from engine import layout
from engine.camera import Camera, view_record
from engine.frame.cascades import cascade_views
from engine.materials import material
from engine.scene import Scene, load_scene
from engine.settings import FrameSettings
from tests.builder.sample_hierarchy import sphere
from tests.frame.triangle_scene import triangle_scene

SIZE = (160, 90)
PLAIN = FrameSettings(tonemap="none", sky_intensity=0.0, light_intensity=0.6, light_direction=(0.5, 0.8, 0.3))
SHADOWED = replace(PLAIN, shadow_cascades=3, shadow_size=512)
TO_LIGHT = np.array(PLAIN.light_direction) / np.linalg.norm(PLAIN.light_direction)
BALL, RADIUS = np.array([0.0, 0.7, 0.0]), 0.5
BOX_MIN, BOX_MAX = np.array([-1.2, 0.0, -0.9]), np.array([-0.7, 0.6, -0.2])  # it stands on the ground
BOX_FACES = [
    (0, 1, 3),
    (0, 3, 2),
    (4, 6, 7),
    (4, 7, 5),
    (0, 4, 5),
    (0, 5, 1),
    (2, 3, 7),
    (2, 7, 6),
    (0, 2, 6),
    (0, 6, 4),
    (1, 5, 7),
    (1, 7, 3),
]
CAMERAS = {
    "perspective": Camera((-1.8, 2.2, 2.6), (-0.3, 0.2, -0.2), fov_degrees=50.0),
    "close": Camera((-1.1, 0.5, 0.9), (-0.6, 0.1, -0.3), fov_degrees=60.0),
    "orthographic": Camera((-1.8, 2.2, 2.6), (-0.3, 0.2, -0.2), orthographic_height=3.0),
}


def quad(half: float, y: float, turn: bool = False) -> tuple[np.ndarray, np.ndarray]:
    positions = half * np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]], float) + [0.0, y, 0.0]
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    return positions, faces[:, ::-1] if turn else faces


def joined(*parts: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    """Return positions, faces and normals of all parts, each triangle with corners of its own."""
    corners = np.concatenate([positions[faces] for positions, faces in parts])
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    faces = np.arange(3 * len(corners)).reshape(-1, 3)
    return {"positions": corners.reshape(-1, 3), "faces": faces, "normals": np.repeat(normals, 3, axis=0)}


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Scene:
    """A ball over a ground, and a box on it."""
    directions, faces = sphere(4)
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (BOX_MAX - BOX_MIN) + BOX_MIN
    parts = quad(3.0, 0.0), (BALL + RADIUS * directions, faces), (corners, np.array(BOX_FACES))
    return triangle_scene(tmp_path_factory.mktemp("stage"), **joined(*parts))


def linear(image: np.ndarray) -> np.ndarray:
    code = image[..., 1] / 255.0
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def light_share(renderer, scene: Scene, camera: Camera, settings: FrameSettings, size=SIZE) -> np.ndarray:
    """Return the share (height, width) of the directional light that arrives; NaN where too little is to be seen."""
    without = linear(renderer.render(scene, camera, replace(settings, shadow_cascades=0), size).image)
    light = linear(renderer.render(scene, camera, settings, size).image)
    return np.divide(light, without, out=np.full(light.shape, np.nan), where=without > 0.02)


def surface_points(camera: Camera, depth: np.ndarray) -> np.ndarray:
    """Return the points (height, width, 3) float64 that pixels see at depths along the view axis."""
    view = view_record(camera, depth.shape[::-1], PLAIN)
    height, width = depth.shape
    x = ((np.arange(width) + 0.5) / width * 2 - 1) / float(view["scale_x"])
    y = (1 - (np.arange(height) + 0.5) / height * 2) / float(view["scale_y"])
    x, y = np.meshgrid(x, y)
    scale = np.ones_like(depth) if camera.orthographic_height else depth
    right, up, forward = camera.axes()
    with np.errstate(invalid="ignore"):
        return camera.eye + (x * scale)[..., None] * right + (y * scale)[..., None] * up + depth[..., None] * forward


def is_dark(points: np.ndarray) -> np.ndarray:
    """Return which points (..., 3) the ball or the box keeps from the light, by rays in float64."""
    offset = points - BALL
    along = offset @ TO_LIGHT
    miss = np.linalg.norm(offset - along[..., None] * TO_LIGHT, axis=-1)
    by_ball = (miss < RADIUS) & (along < 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (BOX_MIN - points) / TO_LIGHT, (BOX_MAX - points) / TO_LIGHT
    enter, leave = np.minimum(first, second).max(axis=-1), np.maximum(first, second).min(axis=-1)
    return by_ball | ((leave > np.maximum(enter, 0.0)) & (leave > 1e-9))


@pytest.mark.parametrize("name", CAMERAS)
@pytest.mark.parametrize("error", [1.0, 4.0])
def test_what_is_lit_agrees_with_rays_away_from_borders(renderer, stage, name, error):
    camera, settings = CAMERAS[name], replace(SHADOWED, shadow_error_pixels=error)
    share = light_share(renderer, stage, camera, settings)
    frame = renderer.render(stage, camera, settings, SIZE, ("depth",))
    points = surface_points(camera, frame.aovs["depth"])
    is_ground = np.isfinite(share) & (np.abs(points[..., 1]) < 1e-3)
    assert is_ground.sum() > 3000
    texel = 1.0 / float(cascade_views(camera, SIZE, settings, stage.bounds())["lod_scale"].min())
    border = (6.0 + 2.0 * error) * texel
    around = [border * np.array([np.cos(a), 0.0, np.sin(a)]) + [0.0, 1e-6, 0.0] for a in np.linspace(0.0, 6.2, 16)]
    moved = [is_dark(points + step) for step in around]
    dark = moved[0]
    is_sure = is_ground & (np.all(moved, axis=0) | ~np.any(moved, axis=0))
    assert (is_sure & dark).sum() > 80 and (is_sure & ~dark).sum() > 2000
    np.testing.assert_allclose(share[is_sure & dark], 0.0, atol=0.01)
    np.testing.assert_allclose(share[is_sure & ~dark], 1.0, atol=0.02)


@pytest.mark.parametrize("light", [(0.5, 0.8, 0.3), (1.0, 0.05, 0.1), (0.0, 1.0, 0.0)])
def test_the_lit_half_of_a_ball_has_no_acne(renderer, sample_asset, light):
    """Caster and receiver are at levels of their own, several pixels coarse."""
    scene = load_scene(sample_asset("sphere", 20000))
    low, high = scene.bounds()
    to_light = np.array(light) / np.linalg.norm(light)
    eye = 0.5 * (low + high) + 2.2 * (high - low).max() * (to_light + np.array([0.1, 0.3, 0.9])) / 1.5
    camera = Camera(tuple(eye), tuple(0.5 * (low + high)), (0.3, 1.0, 0.2), fov_degrees=30.0)
    for error, error_pixels, size in ((1.0, 1.0, 256), (4.0, 1.0, 128), (1.0, 4.0, 512)):
        settings = replace(
            SHADOWED, light_direction=light, shadow_error_pixels=error, error_pixels=error_pixels, shadow_size=size
        )
        share = light_share(renderer, scene, camera, settings)
        normal = renderer.render(scene, camera, settings, SIZE, ("normal",)).aovs["normal"]
        lit = normal @ to_light > 0.15
        assert lit.sum() > 300
        assert np.nanmin(np.where(lit, share, np.nan)) > 0.97


def test_both_sides_of_an_open_surface_keep_the_light_out(renderer, tmp_path):
    for turn in (False, True):
        folder = tmp_path / str(turn)
        folder.mkdir()
        scene = triangle_scene(folder, **joined(quad(3.0, 0.0), quad(0.5, 1.0, turn)), two_sided=False)
        camera = Camera((0.0, 0.6, 4.0), (-0.6, 0.0, -0.4), fov_degrees=40.0)
        share = light_share(renderer, scene, camera, replace(SHADOWED, light_direction=(0.0, 1.0, 0.01)))
        points = surface_points(camera, renderer.render(scene, camera, SHADOWED, SIZE, ("depth",)).aovs["depth"])
        under = (np.abs(points[..., [0, 2]]) < 0.4).all(axis=-1) & (np.abs(points[..., 1]) < 1e-3)
        assert under.sum() > 50
        assert np.nanmax(share[under]) < 0.01, turn


def test_a_masked_caster_casts_its_holes(renderer, tmp_path):
    """A roof whose alpha falls along x: its far half is cut out."""
    parts = joined(quad(3.0, 0.0), quad(0.8, 1.0))
    colors = np.ones((12, 4))
    colors[6:, 3] = 0.5 - 0.5 * parts["positions"][6:, 0] / 0.8
    flags = layout.CONSTANTS["MATERIAL_TWO_SIDED"]
    materials = np.array(
        [material(flags=flags), material(flags=flags | layout.CONSTANTS["MATERIAL_MASKED"], alpha_cutoff=0.5)]
    )
    roof = np.array([0, 0, 1, 1])
    scene = triangle_scene(tmp_path, **parts, extra=colors, materials=materials, face_material=roof)
    camera = Camera((0.3, 0.7, 3.0), (0.0, 0.0, 0.0), fov_degrees=60.0)
    settings = replace(SHADOWED, light_direction=(0.0, 1.0, 0.0))
    share = light_share(renderer, scene, camera, settings)
    points = surface_points(camera, renderer.render(scene, camera, settings, SIZE, ("depth",)).aovs["depth"])
    is_ground = np.abs(points[..., 1]) < 1e-3
    x, z = points[..., 0], points[..., 2]
    dark = is_ground & (np.abs(z) < 0.75) & (x > -0.75) & (x < -0.05)
    hole = is_ground & (np.abs(z) < 0.75) & (x > 0.05) & (x < 0.75)
    assert dark.sum() > 100 and hole.sum() > 100
    assert np.nanmax(share[dark]) < 0.01
    assert np.nanmin(share[hole]) > 0.98


def test_no_seam_is_seen_where_cascades_meet(renderer, tmp_path):
    """On a bare ground, in the light as in the shadow of a wall that crosses all cascades."""
    wall = np.array([[-6, 0, 0], [6, 0, 0], [6, 2, 0], [-6, 2, 0]], float), np.array([[0, 1, 2], [0, 2, 3]])
    scene = triangle_scene(tmp_path, **joined(quad(6.0, 0.0), wall), step=2.0**-9)
    camera = Camera((-5.0, 1.0, -3.0), (0.0, 0.0, -1.6), fov_degrees=60.0, near=0.1)
    settings = replace(SHADOWED, shadow_cascades=4, light_direction=(0.0, 1.0, 1.0))
    share = light_share(renderer, scene, camera, settings)
    points = surface_points(camera, renderer.render(scene, camera, settings, SIZE, ("depth",)).aovs["depth"])
    views = cascade_views(camera, SIZE, settings, scene.bounds())
    assert len(views) == 4
    border = 8.0 / views["lod_scale"].min()
    is_ground = np.isfinite(share) & (np.abs(points[..., 1]) < 1e-3)
    z = points[..., 2]
    lit = is_ground & (z < -2.0 - border)
    dark = is_ground & (z > -2.0 + border) & (z < -border)
    assert lit.sum() > 1000 and dark.sum() > 1000
    np.testing.assert_allclose(share[lit], 1.0, atol=0.02)
    np.testing.assert_allclose(share[dark], 0.0, atol=0.02)


def test_frames_follow_camera_and_light_and_forget_the_last_one(renderer, stage):
    first, second = CAMERAS["perspective"], CAMERAS["close"]
    low_light = replace(SHADOWED, light_direction=(-0.3, 0.4, 0.5))
    images = [
        renderer.render(stage, camera, settings, SIZE).image
        for camera, settings in ((first, SHADOWED), (second, SHADOWED), (first, low_light), (first, SHADOWED))
    ]
    np.testing.assert_array_equal(images[0], images[3])
    assert (images[0] != images[2]).any()


def test_both_traversals_and_small_queues_draw_the_same_maps(renderer, stage):
    maps = {}
    small = dict.fromkeys(("queue_items", "candidate_groups", "visible_clusters", "large_triangles"), 4)
    for name, changes in {
        "levels": {"traversal": "levels"},
        "small": small,
        "persistent": {"traversal": "persistent"},
    }.items():
        frame = renderer.render(stage, CAMERAS["perspective"], replace(SHADOWED, **changes), SIZE)
        maps[name] = renderer.read_shadow_maps()
        queues = frame.statistics.queues
        assert queues["shadow_clusters"].requested == queues["shadow_clusters"].stored > 0
        assert any("shadow_" in note for note in frame.statistics.notes) == (name == "small")
    assert (maps["levels"] > 0).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(maps["levels"], maps["persistent"])
    np.testing.assert_array_equal(maps["levels"], maps["small"])


def test_statistics_and_timings_tell_of_shadows_only_where_there_are_any(renderer, stage):
    with_them = renderer.render(stage, CAMERAS["perspective"], SHADOWED, SIZE).statistics
    kept = with_them.passes["shadow"]["clusters"].kept
    assert kept == with_them.queues["shadow_clusters"].requested > 0
    assert with_them.memory_bytes["shadow_maps"] > 3 * 4 * 512 * 512
    without = renderer.render(stage, CAMERAS["perspective"], PLAIN, SIZE).statistics
    assert "shadow" not in without.passes and without.memory_bytes["shadow_maps"] == 0
    assert not any(name.startswith("shadow") for name in [*without.queues, *without.passes_ms])
    if with_them.passes_ms:
        assert {"shadow/init_context", "shadow/cluster_cull", "shadow/rasterize_software"} <= set(with_them.passes_ms)
    with pytest.raises(ValueError, match="set shadow_cascades"):
        renderer.read_shadow_maps()


def test_the_view_of_cascades_shows_them_and_their_shadows(renderer, stage):
    camera, settings = CAMERAS["close"], replace(SHADOWED, view="shadow_cascades")
    image = renderer.render(stage, camera, settings, SIZE).image.astype(int)
    depth = renderer.render(stage, camera, settings, SIZE, ("depth",)).aovs["depth"]
    points = surface_points(camera, depth)
    is_ground = np.abs(points[..., 1]) < 1e-3
    colors = np.unique(image[is_ground][:, :3], axis=0, return_counts=True)
    common = colors[0][np.argsort(colors[1])[::-1][:4]]
    assert len(common) == 4  # two cascades at least, lit and dark
    assert np.array_equal(
        renderer.render(stage, camera, replace(settings, shadow_cascades=0), SIZE).image.shape, image.shape
    )
