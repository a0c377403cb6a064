"""Law: the counts of both passes add up, and are those of what was drawn."""

import numpy as np
import pytest

from engine import reference
from engine.calibration_grid import grid_scene
from engine.camera import Camera
from engine.frame import init_context
from engine.frame.queues import PHASES
from engine.frame.statistics import KINDS, FrameStatistics
from engine.renderer import Renderer
from engine.settings import FrameSettings
from tests.frame.test_occlusion import path, street
from tests.frame.test_rasterize_masked import floor
from tests.frame.test_traversal import change_shader
from tests.frame.triangle_scene import triangle_scene

SIZE = (211, 97)
TRAVERSALS = ["persistent", "levels"]


def assert_sums(statistics: FrameStatistics) -> None:
    """Check what holds for every frame."""
    main, post = (statistics.passes[name] for name in PHASES)
    for funnels in (main, post):
        assert tuple(funnels) == KINDS
        for kind, funnel in funnels.items():
            assert funnel.tested == funnel.kept + sum(funnel.culled.values())
            if kind in ("clusters", "triangles"):
                assert funnel.kept == sum(funnel.rasters.values())
            else:
                assert funnel.rasters == {}
    for kind in KINDS:
        assert post[kind].tested >= main[kind].culled["occlusion"]
    for kind, total in (("clusters", statistics.clusters), ("triangles", statistics.triangles)):
        assert total == {name: main[kind].rasters[name] + post[kind].rasters[name] for name in total}
    assert main["clusters"].kept + post["clusters"].kept == statistics.queues["clusters"].requested
    assert main["clusters"].culled["occlusion"] == statistics.queues["hidden_clusters"].requested


@pytest.mark.parametrize("traversal", TRAVERSALS)
def test_what_is_kept_is_what_is_drawn(device, sample_asset, traversal):
    renderer, scene = Renderer(device), street(sample_asset("sphere", 20000))
    counts = reference.tables_of(scene).clusters["counts"] >> np.uint32(8) & np.uint32(255)
    late = 0
    for camera in path(5):
        settings = FrameSettings(traversal=traversal, error_pixels=0.6, hardware_pixels=20.0)
        statistics = renderer.render(scene, camera, settings, SIZE).statistics
        assert_sums(statistics)
        drawn = renderer.read_visible_clusters()
        assert sum(statistics.clusters.values()) == len(drawn)
        assert sum(statistics.triangles.values()) == counts[drawn[:, 1]].sum()
        late += statistics.passes["post"]["clusters"].kept
    assert late > 20


@pytest.mark.parametrize("traversal", TRAVERSALS)
def test_the_post_pass_tests_what_the_main_pass_left_and_no_more_when_nothing_moves(device, sample_asset, traversal):
    renderer, scene = Renderer(device), street(sample_asset("sphere", 20000), gap=1.2)
    settings = FrameSettings(traversal=traversal, error_pixels=0.1)
    for _ in range(3):
        statistics = renderer.render(scene, path(2)[1], settings, SIZE).statistics
    assert_sums(statistics)
    main, post = (statistics.passes[name] for name in PHASES)
    for kind in KINDS:
        assert post[kind].kept == 0
        assert post[kind].tested == post[kind].culled["occlusion"] == main[kind].culled["occlusion"]
        assert main[kind].culled["occlusion"] > 0 or kind == "instance_nodes"


def wall_and_grid(columns: int = 8):
    """Return 64 instances in full leaves of the instance tree, one cluster each, and cameras along one side of them."""
    scene, _ = grid_scene(8, 8 * columns, 1)
    side = 128.0  # of an instance, in metres; they tile a plane at z = -1
    scene.set_transforms(scene.live_slots, standing(columns, side))
    eyes = [(0.0, 0.0, 900.0), (450.0, 30.0, 700.0), (900.0, 30.0, -200.0), (-500.0, 0.0, 500.0), (-100.0, 20.0, 100.0)]
    return scene, [Camera(eye, (0.0, 0.0, -400.0), fov_degrees=50.0) for eye in eyes]


def standing(columns: int, side: float) -> np.ndarray:
    """Return transforms (columns^2, 3, 4) of screens that stand in rows, one behind the other."""
    number = np.arange(columns * columns)
    transforms = np.zeros((len(number), 3, 4))
    transforms[:, :, :3] = np.eye(3)
    transforms[:, 0, 3] = side * (number % columns - columns / 2)
    transforms[:, 1, 3] = -side / 2
    transforms[:, 2, 3] = -0.8 * side * (number // columns)
    return transforms


def assert_children(statistics: FrameStatistics) -> tuple[int, int]:
    """Check that each kept thing has its children tested in the same pass; return what was left and drawn late."""
    main, post = (statistics.passes[name] for name in PHASES)
    assert main["instance_nodes"].tested == 8, "the root's children"
    assert main["instances"].tested == 8 * main["instance_nodes"].kept
    assert main["clusters"].tested == main["instances"].kept
    assert post["instance_nodes"].tested == main["instance_nodes"].culled["occlusion"]
    assert post["instances"].tested == main["instances"].culled["occlusion"] + 8 * post["instance_nodes"].kept
    assert post["clusters"].tested == main["clusters"].culled["occlusion"] + post["instances"].kept
    for funnels in (main, post):
        assert funnels["nodes"].tested == 0, "a mesh of one group is drawn from it at once"
    return sum(main[kind].culled["occlusion"] for kind in ("instance_nodes", "instances")), post["clusters"].kept


@pytest.mark.parametrize("traversal", TRAVERSALS)
def test_every_child_of_what_is_kept_is_tested_once(device, traversal, monkeypatch):
    monkeypatch.setattr(init_context, "_SEEDS", 1)  # from the root of the instance tree
    renderer, (scene, cameras) = Renderer(device), wall_and_grid()
    seen = []
    for camera in [*cameras, *cameras[::-1]]:
        statistics = renderer.render(scene, camera, FrameSettings(traversal=traversal), SIZE).statistics
        assert_sums(statistics)
        seen.append(assert_children(statistics))
    left, late = np.array(seen).sum(axis=0)
    assert left > 20
    assert late > 20


def triangles_by_reason(device, folder) -> tuple[dict[str, int], dict[str, int]]:
    """Return culled clusters and triangles of both passes: a screen before a taller one; 64 triangles a cluster."""
    positions, faces, _ = floor(40, 1.5)
    scene = triangle_scene(folder, positions[:, [0, 2, 1]], faces, cluster_triangles=64)
    scene.add_asset(0, np.array([[[1.3, 0, 0, 0], [0, 0.35, 0, 0], [0, 0, 1, 0.5]]]))
    renderer, camera = Renderer(device), Camera((0.0, 0.3, 2.0), (0.0, 0.3, 0.0), fov_degrees=50.0)
    for _ in range(2):
        statistics = renderer.render(scene, camera, FrameSettings(), SIZE).statistics
    assert_sums(statistics)
    funnels = [statistics.passes[name] for name in PHASES]
    return tuple(
        {reason: sum(one[kind].culled[reason] for one in funnels) for reason in funnels[0][kind].culled}
        for kind in ("clusters", "triangles")
    )


def test_culled_triangles_are_those_of_the_clusters(device, tmp_path, monkeypatch):
    clusters, triangles = triangles_by_reason(device, tmp_path)
    assert clusters["frustum"] > 0
    assert clusters["occlusion"] > 0
    assert triangles == {reason: 64 * count for reason, count in clusters.items()}
    (tmp_path / "mutated").mkdir()
    right, wrong = (f"count_culled_triangles(outcome, {text});" for text in ("triangle_count(cluster)", "1u"))
    change_shader(monkeypatch, device, tmp_path / "mutated", "cluster_cull", right, wrong)
    assert triangles_by_reason(device, tmp_path / "mutated")[1] != triangles


MUTATIONS = {
    "hidden children are forgotten": (
        "persistent_cull",
        "let is_left = is_leader && hidden != 0u;",
        "let is_left = false;",
    ),
    "all children of a node are tested again": (
        "persistent_cull",
        "store_item(PHASE_POST, slot, view_instance, item_node(node_word), hidden);",
        "store_item(PHASE_POST, slot, view_instance, item_node(node_word), 0xffu);",
    ),
    "kept clusters are not counted by their pass": (
        "tally",
        "atomicAdd(&states[phase].bin_clusters[lane - TALLY_SIZE], count);",
        "atomicAdd(&states[0u].bin_clusters[lane - TALLY_SIZE], count);",
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_law_can_fail(device, monkeypatch, tmp_path, mutation):
    scene, cameras = wall_and_grid()
    change_shader(monkeypatch, device, tmp_path, *MUTATIONS[mutation])
    renderer = Renderer(device)
    settings = FrameSettings(traversal="persistent")
    frames = [renderer.render(scene, camera, settings, SIZE).statistics for camera in [*cameras, *cameras[::-1]]]
    with pytest.raises(AssertionError):
        [(assert_sums(statistics), assert_children(statistics)) for statistics in frames]
