"""Law 3: occlusion changes no pixel. Law 2: with both depth pyramids the reference finds the same set."""

import numpy as np
import pytest

from engine import layout, reference
from engine.camera import Camera, view_record
from engine.experiments.comparisons import image_of
from engine.experiments.verification import TIED_PIXELS, compare_images
from engine.instance_tree import first_level, morton_order, outward_boxes, tree_nodes
from engine.renderer import Renderer
from engine.scene import Scene, load_scene
from engine.screen_boxes import pyramid_of
from engine.settings import FrameSettings
from tests.frame.test_traversal import change_shader

SIZES = [(320, 180), (211, 97), (64, 1), (1, 33), (97, 130)]


def street(asset_path, rows: int = 6, gap: float = 3.0) -> Scene:
    """Return rows of instances one behind another, `gap` metres apart, the first ones large: they hide most others."""
    from engine.asset import open_asset

    scene = Scene([open_asset(asset_path)])
    low, high = scene.meshes["box_min"][0], scene.meshes["box_max"][0]
    scale = 2.0 / float((high - low).max())
    center = 0.5 * (low + high) + scene.mesh_origins[0]
    transforms = []
    for row in range(rows):
        for column in range(-4, 5):
            matrix = np.zeros((3, 4))
            matrix[:, :3] = np.eye(3) * scale * (1.6 if row == 0 else 1.0)
            matrix[:, 3] = np.array([1.7 * column + 0.4 * (row % 3), 0.0, -gap * row]) - matrix[:, :3] @ center
            transforms.append(matrix)
    scene.add_asset(0, np.stack(transforms))
    return scene


def path(steps: int) -> list[Camera]:
    """Return cameras that move and turn before the street, with a cut to its side and one to its back."""
    cameras = []
    for i in range(steps):
        eye = (0.5 * i - 2.0, 0.2 + 0.1 * i, 6.0 - 0.3 * i)
        cameras.append(Camera(eye, (0.3 * i, 0.0, -6.0), fov_degrees=60.0))
    side = Camera((14.0, 1.0, -8.0), (0.0, 0.0, -8.0), fov_degrees=60.0)
    back = Camera((0.5, 0.1, -24.0), (0.0, 0.0, 0.0), fov_degrees=70.0)
    flat = Camera((0.0, 0.3, 8.0), (0.0, 0.0, 0.0), orthographic_height=5.0)
    return [*cameras, side, side, back, *cameras[:2], flat, flat]


def assert_same_pixels(renderer_on: Renderer, renderer_off: Renderer) -> None:
    """Compare the frames drawn last: depth bits everywhere, identity but for ties."""
    found = compare_images(image_of(renderer_on), image_of(renderer_off), TIED_PIXELS["occlusion"])
    assert found.differences == 0, f"{found.differences} of {found.compared} pixels differ: {found.first}"


@pytest.mark.parametrize(
    "size", [(1, 1), (2, 1), (3, 5), (64, 64), (65, 63), (211, 97), (1, 513), (700, 3), (320, 180)]
)
def test_the_pyramid_holds_the_farthest_depth_of_each_cell(device, sample_asset, size):
    renderer = Renderer(device)
    scene = street(sample_asset("sphere", 5000))
    for camera in path(2)[:3]:
        renderer.render(scene, camera, FrameSettings(), size)
        expected = pyramid_of((renderer.read_visibility() >> np.uint64(32)).astype(np.uint32).view(np.float32))
        levels = renderer.read_depth_pyramid()
        assert len(levels) == len(expected) - 1
        for level, cells in zip(levels, expected[1:], strict=True):
            np.testing.assert_array_equal(level, cells)


@pytest.mark.parametrize("traversal", ["persistent", "levels"])
@pytest.mark.parametrize(("size", "gap"), [*((size, 3.0) for size in SIZES), ((211, 97), 0.4)])
def test_occlusion_changes_no_pixel(device, sample_asset, traversal, size, gap):
    scene = street(sample_asset("sphere", 20000), gap=gap)
    on, off = Renderer(device), Renderer(device)
    hidden, late = 0, 0
    for camera in path(5):
        settings = {"traversal": traversal, "error_pixels": 0.5}
        statistics = on.render(scene, camera, FrameSettings(**settings), size).statistics
        off.render(scene, camera, FrameSettings(**settings, occlusion=False), size)
        assert_same_pixels(on, off)
        post = statistics.passes["post"]
        hidden += sum(post[kind].culled["occlusion"] for kind in post)
        late += post["clusters"].kept
    if min(size) > 50:
        assert hidden > 10
        assert late > 0, "the cuts uncover something"


@pytest.mark.parametrize("name", ["bun_zipper_69k.ply", "lucy_100k.ply"])
def test_occlusion_changes_no_pixel_of_scans(device, meshes, tmp_path, name):
    """Real meshes: open borders, uneven clusters, long diagonals; a moving camera, cuts, and instances that move."""
    from engine.builder import build
    from engine.settings import BuildSettings

    if meshes is None:
        pytest.skip("needs the real meshes (MICROLITH_MESHES)")
    build([meshes / "scans" / name], tmp_path / "scan.mlith", BuildSettings(), None, lambda *_: None)
    scene = street(tmp_path / "scan.mlith", gap=1.0)
    on, off = Renderer(device), Renderer(device)
    hidden, late, size = 0, 0, (211, 130)
    for number, camera in enumerate(path(4)):
        if number == 2:
            records = scene.instances[:5]
            moved = np.stack(
                [records[axis] for axis in ("linear_x", "linear_y", "linear_z", "translation_high")], axis=2
            )
            moved = moved.astype(float)
            moved[:, :, 3] -= moved[:, :, :3] @ scene.mesh_origins[0]
            moved[:, 1, 3] += 1.5
            scene.set_transforms(np.arange(5), moved)
        statistics = on.render(scene, camera, FrameSettings(error_pixels=0.5), size).statistics
        off.render(scene, camera, FrameSettings(error_pixels=0.5, occlusion=False), size)
        assert_same_pixels(on, off)
        post = statistics.passes["post"]
        hidden += sum(post[kind].culled["occlusion"] for kind in ("instances", "nodes", "clusters"))
        late += post["clusters"].kept
    assert hidden > 100
    assert late > 20


@pytest.mark.parametrize("traversal", ["persistent", "levels"])
def test_occlusion_changes_no_pixel_when_instances_move(device, sample_asset, traversal):
    scene = street(sample_asset("sphere", 5000))
    slots, size = scene.live_slots, (160, 90)
    matrices = np.zeros((len(slots), 3, 4))
    records = scene.instances[slots]
    for axis, name in enumerate(("linear_x", "linear_y", "linear_z")):
        matrices[:, :, axis] = records[name]
    matrices[:, :, 3] = records["translation_high"] - np.einsum("kij,j->ki", matrices[:, :, :3], scene.mesh_origins[0])
    on, off = Renderer(device), Renderer(device)
    generator = np.random.default_rng(2)
    camera = path(1)[0]
    hidden = 0
    for step in range(8):
        some = generator.choice(len(slots), 12, replace=False)
        matrices[some, 0, 3] += generator.uniform(-2.0, 2.0, 12)
        if step == 4:
            matrices[:9, 1, 3] += 30.0  # the front row is gone
        scene.set_transforms(slots[some] if step != 4 else slots, matrices[some] if step != 4 else matrices)
        if step == 6:
            scene.remove_instances(slots[20:24])
            scene.add_asset(0, matrices[:4] + np.eye(3, 4, 3))
            slots, matrices = np.delete(slots, range(20, 24)), np.delete(matrices, range(20, 24), axis=0)
        statistics = on.render(scene, camera, FrameSettings(traversal=traversal), size).statistics
        off.render(scene, camera, FrameSettings(traversal=traversal, occlusion=False), size)
        assert_same_pixels(on, off)
        hidden += statistics.passes["post"]["instances"].culled["occlusion"]
    assert hidden > 20


def draw_main_pass_only(monkeypatch, renderer, *arguments) -> np.ndarray:
    """Return the depths (height, width) float32 that a frame leaves when its post pass draws nothing."""
    from engine.frame.cull_rasterize import MAIN, CullRasterize

    whole = CullRasterize._encode_phase
    with monkeypatch.context() as patch:
        patch.setattr(
            CullRasterize, "_encode_phase", lambda self, c, phase: whole(self, c, phase) if phase == MAIN else None
        )
        renderer.render(*arguments)
    return (renderer.read_visibility() >> np.uint64(32)).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("children", [8, 2])
@pytest.mark.parametrize("traversal", ["persistent", "levels"])
def test_the_drawn_set_is_the_reference_set_with_both_pyramids(device, sample_asset, monkeypatch, traversal, children):
    scene = street(sample_asset("sphere", 20000, node_children=children))
    tables, slots = reference.tables_of(scene), scene.live_slots
    low, high = scene.instance_boxes()
    order = morton_order(low, high)
    tree = tree_nodes(*(values[order] for values in outward_boxes(low, high)))
    settings, size = FrameSettings(traversal=traversal, error_pixels=0.5), (211, 130)
    hidden = 0
    for before, now in zip(path(4), path(4)[1:], strict=False):
        renderer, other = Renderer(device), Renderer(device)
        for one in (renderer, other):
            one.render(scene, before, settings, size)
        depth_before = (renderer.read_visibility() >> np.uint64(32)).astype(np.uint32).view(np.float32)
        depth_main = draw_main_pass_only(monkeypatch, other, scene, now, settings, size)
        renderer.render(scene, now, settings, size)
        bounds = scene.bounds()
        views = [view_record(camera, size, settings, bounds=bounds) for camera in (before, now)]
        occlusion = reference.Occlusion(
            pyramid_of(depth_before), pyramid_of(depth_main), views[0], tables.instances, tree, slots[order]
        )
        least, most = (
            set(map(tuple, reference.visible_set(tables, views[1], occlusion, lean).pairs.tolist())) for lean in (-1, 1)
        )
        drawn = set(map(tuple, renderer.read_visible_clusters().tolist()))
        assert least <= drawn <= most
        assert len(most) - len(least) <= max(2, 0.02 * len(most)), "hardly anything hangs on rounding"
        counts = reference.visible_set(tables, views[1], occlusion).counts
        hidden += counts.instances_occlusion + counts.nodes_occlusion + counts.clusters_occlusion
    assert hidden > 50


MUTATIONS = {
    "a rectangle that is too small": ("occlusion", "high = max(high, place);", "high = place;"),
    "the far side's depth": ("occlusion", "view.near / nearest", "view.near / (2.0 * center.z - nearest)"),
    "the nearest depth of a cell": (
        "depth_pyramid",
        "value = min(min(cells[corner],",
        "value = max(min(cells[corner],",
    ),
    "another cell": (
        "occlusion",
        "start + row * cells.x + column",
        "start + (row + cells.y / 2u) % cells.y * cells.x + column",
    ),
    "hidden children are forgotten": (
        "persistent_cull",
        "let is_left = is_leader && hidden != 0u;",
        "let is_left = false;",
    ),
    "hidden clusters are forgotten": (
        "cluster_cull",
        "append_hidden(outcome == OUTCOME_OCCLUSION",
        "append_hidden(false",
    ),
}


def flight() -> list[Camera]:
    """Return cameras low over the hills of a terrain of 100 m, which hide one another."""
    return [Camera((-40.0 + 6.0 * i, 22.0, 40.0 - 5.0 * i), (20.0, -8.0, -20.0), fov_degrees=50.0) for i in range(6)]


def flown_depths(device, sample_asset, occlusion: bool) -> list[np.ndarray]:
    """Return the depth bits of every frame along a street and over hills."""
    hills = load_scene(sample_asset("terrain", 20000))
    cases = [(street(sample_asset("sphere", 20000), gap=0.4), path(5)), (hills, flight())]
    settings = FrameSettings(traversal="persistent", error_pixels=0.1, occlusion=occlusion)
    found = []
    for scene, cameras in cases:
        renderer = Renderer(device)
        for camera in cameras:
            renderer.render(scene, camera, settings, (211, 97))
            found.append(renderer.read_visibility() >> np.uint64(32))
    return found


@pytest.fixture(scope="module")
def right_depths(device, sample_asset) -> list[np.ndarray]:
    """Depth bits without occlusion, which are those with it."""
    expected = flown_depths(device, sample_asset, occlusion=False)
    found = flown_depths(device, sample_asset, occlusion=True)
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    return expected


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_law_can_fail(device, sample_asset, monkeypatch, tmp_path, right_depths, mutation):
    change_shader(monkeypatch, device, tmp_path, *MUTATIONS[mutation])
    found = flown_depths(device, sample_asset, occlusion=True)
    assert not all(np.array_equal(*pair) for pair in zip(found, right_depths, strict=True))


def test_a_walk_begins_at_a_level_that_holds_everything():
    for count in (0, 1, 8, 9, 100, 4096, 5000, 130_000):
        low = np.zeros((count, 3), np.float32)
        nodes = tree_nodes(low, low + 1.0)
        for limit in (0, 1, 9, 512):
            first, number = first_level(count, limit)
            assert 1 <= number <= max(limit, 1)
            level = np.arange(first, first + number)
            while nodes["child_count"][level[0]] & layout.CONSTANTS["INSTANCE_CHILDREN"] == 0:
                level = np.concatenate([n["child"] + np.arange(n["child_count"]) for n in nodes[level]])
            assert (nodes["child_count"][level] & 15).sum() == count
            assert (
                limit < 1 or first + number == len(nodes) or nodes["child_count"][first : first + number].sum() > limit
            )


def test_the_tree_holds_every_instance_once():
    generator = np.random.default_rng(4)
    for count in (0, 1, 7, 8, 9, 64, 65, 1000):
        low = generator.uniform(-50.0, 50.0, (count, 3)) + 1e6
        high = low + generator.uniform(0.0, 3.0, (count, 3))
        order = morton_order(low, high)
        assert sorted(order.tolist()) == list(range(count))
        nodes = tree_nodes(*(values[order] for values in outward_boxes(low, high)))
        found = []

        def walk(index, nodes=nodes, found=found, low=low, high=high, order=order):
            node = nodes[index]
            children = node["child"] + np.arange(node["child_count"] & 15)
            for child in children.tolist():
                if node["child_count"] & layout.CONSTANTS["INSTANCE_CHILDREN"]:
                    found.append(child)
                    inner = low[order[child]], high[order[child]]
                else:
                    inner = nodes["box_min"][child], nodes["box_max"][child]
                    walk(child)
                assert (node["box_min"] <= inner[0]).all()
                assert (node["box_max"] >= inner[1]).all()

        walk(0)
        assert sorted(found) == list(range(count))
