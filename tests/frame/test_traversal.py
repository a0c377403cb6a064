"""Law 2: what the GPU draws is what the reference draws, with both traversals, whatever the queues hold."""

import numpy as np
import pytest

from engine import reference
from engine.camera import Camera, view_record
from engine.experiments import verification
from engine.scene import Scene, load_scene
from engine.settings import FrameSettings

SIZES = [(320, 180), (211, 97), (64, 1)]


def crowd(asset_path, count: int, seed: int) -> Scene:
    """Return a scene with `count` instances: turned, scaled unevenly, some mirrored, near and far."""
    from engine.asset import open_asset

    generator = np.random.default_rng(seed)
    scene = Scene([open_asset(asset_path)])
    turn, _ = np.linalg.qr(generator.normal(size=(count, 3, 3)))
    transforms = np.zeros((count, 3, 4))
    transforms[:, :, :3] = turn * np.exp(generator.uniform(-1.5, 1.5, (count, 1, 3)))
    transforms[:, :, 0] *= generator.choice([-1.0, 1.0], (count, 1))  # mirrored or not
    transforms[:, :, 3] = generator.uniform(-20.0, 20.0, (count, 3))
    scene.add_asset(0, transforms)
    assert 0 < ((scene.instances["flags"] & 1) == 1).sum() < count, "some instances are mirrored, some are not"
    return scene


def random_camera(generator, bounds, orthographic: bool) -> Camera:
    low, high = bounds
    eye = generator.uniform(low - 0.2 * (high - low), high + 0.2 * (high - low))
    target = generator.uniform(low, high)
    height = float(generator.uniform(0.1, 1.0) * np.linalg.norm(high - low)) if orthographic else None
    return Camera(tuple(eye), tuple(target), fov_degrees=float(generator.uniform(20, 100)), orthographic_height=height)


def assert_same_set(scene, view, drawn: np.ndarray, tables) -> int:
    """Compare a drawn set with the reference's; return its size. Differences must be ties, and few."""
    found = verification.compare_with_reference(tables, view, drawn)
    assert found.differences == 0, f"{found.differences} of {found.compared} clusters differ: {found.first}"
    return found.compared


@pytest.mark.parametrize("traversal", ["persistent", "levels"])
def test_the_drawn_set_is_the_reference_set(renderer, sample_asset, traversal):
    scene = crowd(sample_asset("terrain", 20000), 40, seed=3)
    tables, bounds = reference.tables_of(scene), scene.bounds()
    generator = np.random.default_rng(11)
    sizes = []
    for i in range(24):
        size = SIZES[i % len(SIZES)]
        camera = random_camera(generator, bounds, orthographic=i % 4 == 3)
        tau = [1.0, 0.25, 4.0, 0.0][i // 3 % 4]
        # Also without the compiler's checks: other code, which a driver once summed up wrongly.
        settings = FrameSettings(error_pixels=tau, traversal=traversal, runtime_checks=i < 12)
        statistics = renderer.render(scene, camera, settings, size).statistics
        assert statistics.traversal == traversal
        view = view_record(camera, size, settings, bounds=bounds)
        sizes.append(assert_same_set(scene, view, renderer.read_visible_clusters(), tables))
    assert np.count_nonzero(sizes) > 16, "most cameras see something"
    assert max(sizes) > 500


@pytest.mark.parametrize("traversal", ["persistent", "levels"])
def test_the_funnel_counts_what_the_reference_counts(renderer, sample_asset, traversal, monkeypatch):
    from engine.frame import init_context

    monkeypatch.setattr(init_context, "_SEEDS", 1)  # from the root of the instance tree
    scene = crowd(sample_asset("sphere", 5000), 200, seed=5)
    camera = Camera(eye=(0.0, 1.0, 0.0), target=(9.0, 0.0, 4.0))
    settings, size = FrameSettings(traversal=traversal, error_pixels=0.01, occlusion=False), (40, 23)
    funnel = renderer.render(scene, camera, settings, size).statistics
    expected = reference.visible_set(reference.tables_of(scene), view_record(camera, size, settings)).counts
    main, post = funnel.passes["main"], funnel.passes["post"]
    assert main["nodes"].tested == expected.nodes_tested, "tau is too small for the shortcut past the nodes"
    assert main["instances"].tested + main["instance_nodes"].tested > expected.instances_kept
    for kind in ("instances", "nodes", "clusters"):
        assert main[kind].kept == getattr(expected, f"{kind}_kept") > 0
        assert post[kind].tested == 0
    for kind in ("nodes", "clusters"):
        for reason, count in main[kind].culled.items():
            assert count == getattr(expected, f"{kind}_{reason}"), (kind, reason)
    assert main["instance_nodes"].culled["frustum"] > 0
    assert funnel.queues["groups"].requested == expected.groups
    assert main["clusters"].tested == expected.clusters_tested
    assert main["clusters"].kept == sum(funnel.clusters.values())
    assert sum(funnel.triangles.values()) == expected.triangles_kept


@pytest.mark.parametrize("traversal", ["persistent", "levels"])
def test_far_instances_are_drawn_without_a_visit_to_their_nodes(renderer, sample_asset, traversal):
    scene = crowd(sample_asset("sphere", 5000), 30, seed=5)
    camera = Camera(eye=(0.0, 0.0, 3000.0), target=(0.0, 0.0, 0.0), fov_degrees=1.5)
    settings = FrameSettings(traversal=traversal, error_pixels=50.0)
    statistics = renderer.render(scene, camera, settings, (320, 180)).statistics
    main = statistics.passes["main"]
    assert main["instances"].kept == 30
    assert main["nodes"].tested == 0
    assert statistics.queues["groups"].requested == 30
    view = view_record(camera, (320, 180), settings)
    assert assert_same_set(scene, view, renderer.read_visible_clusters(), reference.tables_of(scene)) == 30
    wide = Camera(eye=(0.0, 0.0, 3000.0), target=(0.0, 0.0, 0.0), fov_degrees=60.0)
    statistics = renderer.render(scene, wide, settings, (61, 37)).statistics
    assert 0 < statistics.passes["main"]["instances"].culled["size"] < 30
    view = view_record(wide, (61, 37), settings)
    assert_same_set(scene, view, renderer.read_visible_clusters(), reference.tables_of(scene))


@pytest.mark.parametrize("traversal", ["persistent", "levels"])
def test_an_overflow_grows_the_queues_and_loses_nothing(device, sample_asset, traversal):
    from engine.renderer import Renderer

    scene = crowd(sample_asset("terrain", 20000), 40, seed=3)
    camera = scene.default_camera()
    renderer = Renderer(device)
    whole = renderer.render(scene, camera, FrameSettings(traversal=traversal), (320, 180))
    assert whole.statistics.notes == []
    tiny = FrameSettings(traversal=traversal, queue_items=9, candidate_groups=3, visible_clusters=5, large_triangles=1)
    starved = Renderer(device)
    frame = starved.render(scene, camera, tiny, (320, 180))
    assert any("grown" in note for note in frame.statistics.notes)
    assert frame.statistics.is_complete
    for name, queue in frame.statistics.queues.items():
        assert queue.requested == queue.stored == whole.statistics.queues[name].requested
    np.testing.assert_array_equal(starved.read_visible_clusters(), renderer.read_visible_clusters())
    np.testing.assert_array_equal(
        starved.read_visibility() >> np.uint64(32), renderer.read_visibility() >> np.uint64(32)
    )


@pytest.mark.parametrize("queue_items", [1, 9, 50, 51, 52, 53])
def test_any_capacity_is_safe(device, sample_asset, queue_items):
    from engine.renderer import Renderer

    scene = load_scene(sample_asset("terrain", 20000))
    renderer = Renderer(device)
    settings = FrameSettings(queue_items=queue_items, traversal="persistent")
    statistics = renderer.render(scene, scene.default_camera(), settings, (64, 64)).statistics
    assert statistics.traversal == "persistent"
    assert not any("stood still" in note for note in statistics.notes)
    view = view_record(scene.default_camera(), (64, 64), settings)
    assert_same_set(scene, view, renderer.read_visible_clusters(), reference.tables_of(scene))


def test_when_queues_cannot_grow_tau_is_raised_and_said(device, sample_asset, monkeypatch):
    from engine.frame import queues
    from engine.renderer import Renderer

    scene = crowd(sample_asset("terrain", 20000), 40, seed=3)
    monkeypatch.setattr(queues, "MAX_VISIBLE_CLUSTERS", 64)
    frame = Renderer(device).render(scene, scene.default_camera(), FrameSettings(error_pixels=0.1), (320, 180))
    assert frame.statistics.is_complete
    assert frame.statistics.error_pixels > 0.1
    assert any("error_pixels raised" in note for note in frame.statistics.notes)
    assert 0 < frame.statistics.queues["clusters"].requested <= 64


@pytest.mark.parametrize("traversal", ["persistent", "levels"])
def test_freed_slots_and_a_grown_table(renderer, sample_asset, traversal):
    scene = crowd(sample_asset("terrain", 20000), 40, seed=3)
    settings, size = FrameSettings(traversal=traversal), (160, 90)
    camera = scene.default_camera()
    renderer.render(scene, camera, settings, size)
    scene.remove_instances(np.arange(3, 23))
    more = np.tile(np.eye(4)[:3], (60, 1, 1))
    more[:, :, 3] = np.random.default_rng(8).uniform(-15.0, 15.0, (60, 3))
    for change in (lambda: None, lambda: scene.add_asset(0, more), lambda: scene.remove_instances(np.array([0, 50]))):
        change()
        renderer.render(scene, camera, settings, size)
        drawn = renderer.read_visible_clusters()
        assert_same_set(scene, view_record(camera, size, settings), drawn, reference.tables_of(scene))
        assert set(drawn[:, 0]) <= set(scene.live_slots)


def test_the_cluster_aov_is_scene_wide(renderer, sample_asset):
    from engine.asset import open_asset

    assets = [open_asset(sample_asset("sphere", 5000)), open_asset(sample_asset("terrain", 20000))]
    scene = Scene(assets)
    for number in range(2):
        scene.add_asset(number, np.eye(4)[None, :3])
    frame = renderer.render(scene, scene.default_camera(), None, (160, 90), aovs=("cluster", "instance"))
    hit = frame.aovs["instance"] != 0xFFFFFFFF
    shown = set(zip(frame.aovs["instance"][hit].tolist(), frame.aovs["cluster"][hit].tolist(), strict=True))
    assert len({instance for instance, _ in shown}) == 2
    assert shown <= set(map(tuple, renderer.read_visible_clusters().tolist()))


def test_an_incomplete_frame_says_so(device, sample_asset):
    from engine.renderer import Renderer

    scene = crowd(sample_asset("terrain", 20000), 40, seed=3)
    renderer = Renderer(device)
    settings = FrameSettings(queue_items=8, candidate_groups=4, visible_clusters=4)
    renderer.submit(scene, scene.default_camera(), settings, (64, 64), tag="first")
    [(tag, statistics)] = renderer.collect(wait=True)
    assert tag == "first"
    assert not statistics.is_complete
    assert statistics.queues["nodes"].requested > statistics.queues["nodes"].stored == 8


def test_a_queue_that_stands_still_is_reported_and_drawn_with_levels(device, sample_asset, monkeypatch, tmp_path):
    """A lost item must end in a report, never in a hung device: here the shader forgets every 5th one."""
    from engine.renderer import Renderer

    change_shader(
        monkeypatch,
        device,
        tmp_path,
        "queue",
        "    if (slot < node_capacity()) {\n        atomicStore(&node_queue[item_word",
        "    if (slot < node_capacity() && (slot % 5u != 4u || !use_persistent)) {\n"
        "        atomicStore(&node_queue[item_word",
    )
    change_shader(monkeypatch, device, tmp_path, "persistent_cull", "1u << 21u", "1u << 10u")
    scene = crowd(sample_asset("terrain", 20000), 40, seed=3)
    frame = Renderer(device).render(scene, scene.default_camera(), FrameSettings(traversal="persistent"), (64, 64))
    assert frame.statistics.traversal == "levels"
    assert any("stood still" in note for note in frame.statistics.notes)
    view = view_record(scene.default_camera(), (64, 64), FrameSettings())
    assert sum(frame.statistics.clusters.values()) == len(reference.visible_set(reference.tables_of(scene), view).pairs)


def left_in_queue(renderer) -> int:
    """Return how many words of the node queue are not empty."""
    from engine.gpu.buffers import read_buffer

    buffer = renderer._queues.resources["node_queue"]
    return int((read_buffer(renderer.device, buffer, np.dtype(np.uint32), buffer.size // 4) != 0xFFFFFFFF).sum())


@pytest.mark.parametrize("collected", [True, False])
def test_an_aborted_frame_does_not_mislead_the_next(device, sample_asset, monkeypatch, tmp_path, collected):
    """Teams that give up after one item leave others in the queue, which another camera's frame must not meet."""
    from engine.renderer import Renderer

    scene = crowd(sample_asset("terrain", 20000), 40, seed=3)
    first = scene.default_camera()  # sees all, so that its leftovers lie behind what the second pushes at once
    second = Camera(eye=(0.0, 1.0, 0.0), target=(9.0, 0.0, 4.0), fov_degrees=30.0)
    settings = FrameSettings(traversal="persistent", persistent_workgroups=1)
    renderer = Renderer(device)
    with monkeypatch.context() as patch:
        done = "        if (is_ready) {\n            idle_turns = 0u;\n"
        enough = done + "            atomicStore(&states[phase].aborted, 1u);\n            is_over = true;\n"
        change_shader(patch, device, tmp_path, "persistent_cull", done, enough)
        change_shader(patch, device, tmp_path, "persistent_cull", "1u << 21u", "1u << 6u")
        for _ in range(2):
            renderer.submit(scene, first, settings, (64, 64))
        assert left_in_queue(renderer) > 0
        if collected:
            frames = [statistics for _, statistics in renderer.collect(wait=True)]
            assert frames[0].is_aborted
            assert not any(statistics.is_complete for statistics in frames), "the second met what the first had left"
            assert left_in_queue(renderer) == 0
    renderer._key = ()  # the shader is whole again
    statistics = renderer.render(scene, second, settings, (64, 64)).statistics
    assert statistics.is_complete
    assert statistics.traversal == "persistent"
    assert statistics.notes == []
    assert left_in_queue(renderer) == 0
    view = view_record(second, (64, 64), settings)
    expected = assert_same_set(scene, view, renderer.read_visible_clusters(), reference.tables_of(scene))
    assert expected > 10
    auto = renderer.render(scene, second, FrameSettings(), (64, 64)).statistics
    assert auto.traversal == "levels", "auto does not try again what stood still"


MUTATIONS = {
    "the scale is dropped": ("lod", "let size = error * instance.max_scale * view", "let size = error * view"),
    "the sphere is shrunk": ("lod", "fma(-radius, instance.max_scale, distance)", "distance"),
    "a plane test is turned": ("frustum", "+ plane.w + reach < 0.0", "+ plane.w - reach < 0.0"),
    "the made-by test is dropped": ("cluster_cull", "if (cluster.made_by == NONE)", "if (cluster.made_by != NONE)"),
    "tau is doubled": ("traversal", "largest) <= view.error_pixels", "largest) <= 2.0 * view.error_pixels"),
    "rectangles are cut": ("occlusion", "low = min(low, place);", "low = place;"),
    "a child is forgotten": (
        "persistent_cull",
        "store_item(phase, slot, visit.view_instance, visit.target_item, ALL_CHILDREN)",
        "store_item(phase, slot, visit.view_instance, visit.target_item, 0x7fu)",
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_law_can_fail(device, sample_asset, monkeypatch, tmp_path, mutation):
    from engine.renderer import Renderer

    change_shader(monkeypatch, device, tmp_path, *MUTATIONS[mutation])
    scene = crowd(sample_asset("terrain", 20000), 40, seed=3)
    camera = Camera(eye=(0.0, 1.0, 0.0), target=(9.0, 0.0, 4.0))  # many boxes cross the frustum
    renderer = Renderer(device)
    renderer.render(scene, camera, FrameSettings(), (320, 180))
    with pytest.raises(AssertionError):
        assert_same_set(
            scene,
            view_record(camera, (320, 180), FrameSettings()),
            renderer.read_visible_clusters(),
            reference.tables_of(scene),
        )


def change_shader(monkeypatch, device, folder, name: str, old: str, new: str) -> None:
    """Replace a piece of a shader for the rest of the test."""
    import shutil

    from engine.gpu import shader

    if not (folder / "shaders").is_dir():
        shutil.copytree(shader.shader_folder(), folder / "shaders")
        monkeypatch.setattr(shader, "shader_folder", lambda: folder / "shaders")
        monkeypatch.setattr(shader, "link", shader.link.__wrapped__)
    path = folder / "shaders" / f"{name}.wgsl"
    text = path.read_text()
    assert old in text, f"{name}.wgsl no longer reads {old!r}"
    path.write_text(text.replace(old, new))
