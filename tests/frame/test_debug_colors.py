"""Every debug view shows the colours of what AOVs and buffers say is there, with both passes at work."""

import numpy as np
import pytest

from engine import layout
from engine.calibration_grid import grid_scene
from engine.camera import Camera
from engine.frame.queues import BIN_NAMES, PHASES
from engine.gpu.buffers import read_buffer
from engine.renderer import Renderer
from engine.settings import FrameSettings
from tests.frame import debug_colors as colors
from tests.frame.quad_scene import quad_scene
from tests.frame.test_base_pass import WIDE
from tests.frame.test_occlusion import draw_main_pass_only, path, street

SIZE = (160, 90)
AOVS = ("instance", "cluster", "triangle", "level", "normal", "depth")
BEFORE, NOW = path(5)[4], path(5)[5]  # the cut to the side of the street uncovers most of it


def settings_of(view: str) -> FrameSettings:
    """Return settings that draw several raster classes, or several groups of several clusters."""
    return FrameSettings(view=view, error_pixels=0.02 if view == "groups" else 0.6, hardware_pixels=20.0)


def two_frames(renderer: Renderer, scene, view: str):
    """Return the second frame, whose main pass is guided by the first one."""
    settings = settings_of(view)
    renderer.render(scene, BEFORE, settings, SIZE)
    return renderer.render(scene, NOW, settings, SIZE, AOVS)


def places(renderer: Renderer) -> np.ndarray:
    """Return the place (height, width) in the list of visible clusters of what each pixel shows."""
    low = renderer.read_visibility().astype(np.uint32)
    return (low >> np.uint32(7)) & np.uint32((1 << layout.CONSTANTS["PLACE_BITS"]) - 1)


def raster_colors(renderer: Renderer) -> np.ndarray:
    """Return the colour of the raster class from whose bin each pixel was drawn."""
    queues = renderer._context.queues
    bins = read_buffer(renderer.device, queues.resources["raster_arguments"], layout.RASTER_BIN, 2 * len(BIN_NAMES))
    entries = read_buffer(
        renderer.device, queues.resources["raster_bins"], layout.BIN_ENTRY, len(BIN_NAMES) * queues.capacities.clusters
    )["place"]
    counts = bins["count"].reshape(len(PHASES), len(BIN_NAMES)).sum(axis=0)
    table = np.full((int(counts.sum()), 3), np.nan)
    for name, count, region in zip(BIN_NAMES, counts, entries.reshape(len(BIN_NAMES), -1), strict=True):
        table[region[:count]] = colors.RASTERS[name]
    return table[np.minimum(places(renderer), len(table) - 1)]


def overdraw_colors(renderer: Renderer) -> np.ndarray:
    counts = read_buffer(
        renderer.device, renderer._context.view.resources["overdraw"], np.dtype(np.uint32), SIZE[0] * SIZE[1]
    )
    return colors.ramp_color(np.log2(counts.reshape(SIZE[::-1]).clip(1)) / 6.0)


def pass_colors(renderer: Renderer, scene, aovs, monkeypatch) -> np.ndarray:
    """Return the colour of the pass that drew each pixel, found by leaving the post pass out."""
    other, settings = Renderer(renderer.device), settings_of("occlusion")
    other.render(scene, BEFORE, settings, SIZE)
    draw_main_pass_only(monkeypatch, other, scene, NOW, settings, SIZE)
    main = set(map(tuple, other.read_visible_clusters().tolist()))
    pairs = np.stack([aovs["instance"], aovs["cluster"]], axis=-1).reshape(-1, 2)
    is_main = np.array([tuple(pair) in main for pair in pairs.tolist()]).reshape(SIZE[::-1])
    return np.where(is_main[..., None], colors.BLUE, colors.ORANGE)


def expected(view: str, renderer: Renderer, scene, aovs: dict[str, np.ndarray], monkeypatch) -> np.ndarray:
    instance, cluster = aovs["instance"], aovs["cluster"].astype(np.int64)
    shape = colors.shape(aovs["normal"])
    if view == "normals":
        return (0.5 + 0.5 * aovs["normal"]).clip(0.0) ** 2.2
    if view == "depth":
        return colors.grey(aovs["depth"], NOW.distance)
    if view == "overdraw":
        return overdraw_colors(renderer)
    if view == "raster":
        return shape * raster_colors(renderer)
    if view == "occlusion":
        return shape * pass_colors(renderer, scene, aovs, monkeypatch)
    if view == "levels":
        return shape * colors.ramp_color(aovs["level"] / 14.0)
    group = np.repeat(np.arange(len(scene.groups)), scene.groups["place"] >> 16 & 255)
    group = group[np.minimum(cluster, len(group) - 1)]
    hashes = {
        "clusters": (instance, cluster),
        "groups": (instance, 0x40000000 + group),
        "triangles": (cluster * 128 + aovs["triangle"], instance),
        "instances": (instance, 7),
    }
    return shape * colors.hash_color(colors.tie_hash(*hashes[view]))


@pytest.mark.parametrize(
    "view",
    ["normals", "clusters", "groups", "levels", "triangles", "instances", "depth", "overdraw", "raster", "occlusion"],
)
def test_the_colours_are_those_of_what_is_there(device, sample_asset, monkeypatch, view):
    renderer, scene = Renderer(device), street(sample_asset("sphere", 20000))
    frame = two_frames(renderer, scene, view)
    main, post = (frame.statistics.passes[name]["clusters"] for name in PHASES)
    assert min(main.kept, post.kept) > 5
    if view == "raster":
        assert sum(count > 0 for count in frame.statistics.clusters.values()) == 3, "software, small, hardware"
    covered = frame.aovs["instance"] != layout.NONE
    assert 0.1 < covered.mean() < 0.9
    linear = expected(view, renderer, scene, frame.aovs, monkeypatch)
    assert len(np.unique(linear[covered].round(3), axis=0)) > 3, "something to tell apart"
    difference = np.abs(frame.image[..., :3] - colors.encoded(linear)).max(axis=-1)
    # a normal is interpolated with other roundings where the AOV is written
    assert difference[covered].max() <= 3.0
    background = frame.image[~covered][0]
    assert (frame.image[~covered] == background).all()
    np.testing.assert_allclose(background[:3], colors.encoded(np.array(FrameSettings().background)), atol=0.51)


@pytest.mark.parametrize("raster", ["software", "hardware"])
def test_overdraw_counts_both_passes(device, raster):
    scene, camera = grid_scene(16, 64, 2)
    renderer, settings = Renderer(device), FrameSettings(view="overdraw", raster=raster)
    renderer.render(scene, camera, settings, (64, 64))
    near = np.arange(16, 32)
    scene.remove_instances(near[near % 4 < 2])  # the left half of the layer that hid the other
    for post_clusters in (8, 0):
        passes = renderer.render(scene, camera, settings, (64, 64)).statistics.passes
        assert passes["main"]["clusters"].kept == 16 - post_clusters
        assert passes["post"]["clusters"].kept == post_clusters
        counts = read_buffer(device, renderer._context.view.resources["overdraw"], np.dtype(np.uint32), 64 * 64)
        covered = renderer.read_visibility() != 0
        assert covered.mean() > 0.95
        np.testing.assert_array_equal(counts.reshape(64, 64), covered, "each pixel once")


def test_materials_and_their_bins(renderer, tmp_path):
    scene = quad_scene(tmp_path, [{"name": "left", "doubleSided": True}, {"name": "right", "doubleSided": True}])
    cases = [("materials", None, (0, 1), 11), ("material_bins", None, (0, 0), 13), ("material_bins", "own", (0, 1), 13)]
    for view, function, numbers, salt in cases:
        if function:
            scene.set_shader(0, "right", function)
            renderer = Renderer(renderer.device)  # a scene is uploaded once
        image = renderer.render(scene, WIDE, FrameSettings(view=view), (64, 32)).image[..., :3]
        light = colors.shape(np.array([0.0, 0.0, 1.0]))
        for number, part in zip(numbers, (image[4:-4, 4:28], image[4:-4, 36:60]), strict=True):
            color = colors.encoded(light * colors.hash_color(colors.tie_hash(number, salt))[0])
            np.testing.assert_allclose(part, np.broadcast_to(color, part.shape), atol=1.5)


def pyramid_picture(renderer: Renderer, camera: Camera, depth_of_bits) -> np.ndarray:
    """Return the picture (height, width, 3) of the pyramid left behind: NaN where no sample is."""
    depth = (renderer.read_visibility() >> np.uint64(32)).astype(np.uint32).view(np.float32)
    levels = [depth, *renderer.read_depth_pyramid()]
    height, width = depth.shape
    columns = int(np.ceil(np.sqrt(len(levels))))
    tile_width, tile_height = max(width // columns, 1), max(height // columns, 1)
    picture = np.zeros((height, width, 3))
    for number, level in enumerate(levels):
        top, left = number // columns * tile_height, number % columns * tile_width
        rows = (np.arange(tile_height) * height // tile_height) >> number
        columns_of_tile = (np.arange(tile_width) * width // tile_width) >> number
        values = level[np.ix_(rows, columns_of_tile)]
        tile = colors.encoded(colors.grey(depth_of_bits(values), camera.distance))
        tile[values == 0] = np.nan
        if min(tile_width, tile_height) >= 16:
            tile[-1], tile[:, -1] = 0, 0
        target = picture[top : top + tile_height, left : left + tile_width]
        target[:] = tile[: target.shape[0], : target.shape[1]]
    return picture


@pytest.mark.parametrize("size", [(200, 112), (161, 97), (37, 5), (300, 1)])
@pytest.mark.parametrize("is_orthographic", [False, True])
def test_the_view_of_the_pyramid(device, sample_asset, size, is_orthographic):
    from engine.camera import view_record

    renderer, scene = Renderer(device), street(sample_asset("sphere", 5000))
    settings = FrameSettings(view="pyramid")
    cameras = path(5)[-2:] if is_orthographic else [BEFORE, Camera((0.0, 0.2, 2.2), (0.0, 0.1, 1.2), fov_degrees=50.0)]
    for camera in cameras:
        frame = renderer.render(scene, camera, settings, size)
    view = view_record(cameras[-1], size, settings, bounds=scene.bounds())
    near, far = float(view["near"]), float(view["far"])

    def distance(depth: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return far - depth * (far - near) if is_orthographic else near / depth

    picture = pyramid_picture(renderer, cameras[-1], distance)
    is_background = np.isnan(picture)
    if min(size) > 50:
        assert is_background.any() == is_orthographic, "the other camera sees no sky: no cell of any level is empty"
        assert len(np.unique(picture[~is_background].round())) > 20
    background = colors.encoded(np.array(FrameSettings().background)).round()
    picture = np.where(is_background, background, picture)
    np.testing.assert_allclose(frame.image[..., :3], picture, atol=1.5)


def test_the_pyramid_needs_occlusion(renderer):
    with pytest.raises(ValueError, match="the view 'pyramid' shows what occlusion culling uses; set occlusion"):
        FrameSettings(view="pyramid", occlusion=False)


def test_without_occlusion_all_is_drawn_by_the_main_pass(device, sample_asset):
    renderer, scene = Renderer(device), street(sample_asset("sphere", 5000))
    for camera in (BEFORE, NOW):
        frame = renderer.render(scene, camera, FrameSettings(view="occlusion", occlusion=False), SIZE)
    red, _, blue = np.moveaxis(frame.image[..., :3][renderer.read_visibility() != 0].astype(int), -1, 0)
    assert (blue > red).all()
