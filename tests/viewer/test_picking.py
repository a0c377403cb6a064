"""A picked pixel against the AOVs of the frame, and its errors, path and page against the tables."""

import numpy as np
import pytest

from engine import layout, reference
from engine.asset import open_asset
from engine.camera import Camera, view_record
from engine.renderer import Renderer
from engine.scene import Scene, scene_from_assets
from engine.settings import FrameSettings
from engine.viewer import picking
from engine.viewer.freezing import freeze
from engine.viewer.picking import pick
from tests.frame.quad_scene import FACING, quad_asset
from tests.frame.test_occlusion import path, street
from tests.frame.test_traversal import crowd

SIZE = (160, 90)
AOVS = ("instance", "cluster", "triangle", "level", "material", "depth", "normal")


def mixed_scene(sample_asset) -> Scene:
    """Return two assets in one scene, so that scene-wide numbers are not those of the asset; some are mirrored."""
    scene = Scene([open_asset(sample_asset("sphere", 5000)), open_asset(sample_asset("terrain", 20000))], ["a", "b"])
    scene.add_asset(1, np.eye(3, 4)[None] * np.array([1.0, 1.0, -1.0, 1.0]))
    crowd_of_a = crowd(sample_asset("sphere", 5000), 30, seed=2).instances
    transforms = np.stack([crowd_of_a[n] for n in ("linear_x", "linear_y", "linear_z", "translation_high")], axis=2)
    scene.add_asset(0, transforms)
    scene.remove_instances([5])
    return scene


CAMERAS = [
    Camera((20.0, 25.0, 30.0), (0.0, 0.0, 0.0)),
    Camera((-15.0, 12.0, 18.0), (0.0, 0.0, 0.0), fov_degrees=70.0),
    Camera((20.0, 25.0, 30.0), (0.0, 0.0, 0.0), orthographic_height=30.0),
]


def pixels(depth: np.ndarray) -> list[tuple[int, int]]:
    """Return 30 pixels that show something and some that show nothing, as (x, y), for an image of distances."""
    generator, seen = np.random.default_rng(4), np.isfinite(depth)
    rows = np.concatenate(
        [generator.permutation(np.argwhere(part))[:count] for part, count in ((seen, 30), (~seen, 5))]
    )
    assert len(rows) >= 30
    return [(x, y) for y, x in rows.tolist()]


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("tau", [0.3, 2.0])
def test_what_is_picked_is_what_the_aovs_say(renderer, sample_asset, camera, tau):
    scene, settings = mixed_scene(sample_asset), FrameSettings(error_pixels=tau)
    aovs = renderer.render(scene, camera, settings, SIZE, AOVS).aovs
    view = view_record(camera, SIZE, settings, bounds=scene.bounds())
    axes = np.stack([view["right"], view["up"], view["forward"]]).astype(float)
    slots = set()
    for x, y in pixels(aovs["depth"]):
        picked = pick(renderer, scene, camera, settings, SIZE, x, y)
        if not np.isfinite(aovs["depth"][y, x]):
            assert picked is None
            continue
        slots.add(picked.slot)
        found = picked.slot, picked.cluster, picked.triangle, picked.level, picked.material
        assert found == tuple(int(aovs[name][y, x]) for name in AOVS[:5])
        assert picked.point.depth == pytest.approx(float(aovs["depth"][y, x]), rel=2e-5)
        np.testing.assert_allclose(picked.point.normal, aovs["normal"][y, x], atol=2e-3)
        place = axes @ (picked.point.position - camera.eye)
        assert place[2] == pytest.approx(picked.point.depth, rel=1e-6)
        pixel = place[:2] * (view["scale_x"], -view["scale_y"]) / (1.0 if camera.orthographic_height else place[2])
        np.testing.assert_allclose((pixel + 1.0) / 2.0 * SIZE, (x + 0.5, y + 0.5), atol=0.02)
    assert len(slots) > 1


@pytest.mark.parametrize("tau", [1.0, 30.0])
def test_errors_and_path_are_those_that_the_cut_was_made_by(renderer, sample_asset, tau):
    scene, settings = mixed_scene(sample_asset), FrameSettings(error_pixels=tau)
    camera = CAMERAS[0]
    depth = renderer.render(scene, camera, settings, SIZE, ("depth",)).aovs["depth"]
    tables, view = reference.tables_of(scene), view_record(camera, SIZE, settings)
    roots, simplified = 0, 0
    for x, y in pixels(depth)[:30]:
        picked = pick(renderer, scene, camera, settings, SIZE, x, y)
        cluster = picked.cluster
        instance = scene.instances[picked.slot : picked.slot + 1]
        assert picked.group.group == tables.cluster_group[cluster]
        assert picked.group.pixels > picked.tau_pixels == tau
        for errors in filter(None, (picked.group, picked.made_by)):
            record = scene.groups[errors.group : errors.group + 1]
            if np.isfinite(errors.pixels):
                assert errors.pixels == reference.group_error_pixels(record, instance, view)[0]
                scale = float(instance["max_scale"][0])
                assert errors.geometric_metres == pytest.approx(float(record["geometric_error"][0]) * scale)
                assert errors.combined_metres >= errors.attribute_metres
            else:
                roots += 1
                assert record["geometric_error"][0] == np.float32(layout.CONSTANTS["ROOT_ERROR"])
        if picked.made_by:
            simplified += 1
            assert picked.made_by.group == tables.cluster_made_by[cluster]
            assert picked.made_by.pixels <= tau
        else:
            assert tables.cluster_made_by[cluster] == -1
        assert picked.triangle < picked.triangle_count == tables.clusters["counts"][cluster] >> 8 & 255
        assert scene.groups["page"][picked.group.group] == picked.page
        assert picked.cluster_in_asset == tables.clusters["index"][cluster]
        assert_is_path(scene, picked)
    assert (roots > 0) == (tau > 1.0)
    assert simplified > 10


def assert_is_path(scene: Scene, picked: picking.Picked) -> None:
    """Check that each node holds the next, from the mesh's root to the leaf of the group."""
    nodes = [node.node for node in picked.path]
    assert nodes[0] == scene.meshes["root_node"][picked.mesh]
    for node, below in zip(nodes, nodes[1:], strict=False):
        record = scene.nodes[node]
        assert 0 <= below - int(record["child"]) < record["child_count"]
    leaf = scene.nodes[nodes[-1]]
    assert leaf["child_count"] == picked.path[-1].child_count == 0
    assert leaf["child"] == picked.group.group
    assert len(nodes) > 1
    for node in picked.path:
        assert node.largest_error_pixels > picked.tau_pixels >= node.least_made_by_pixels


def test_names_and_pages_are_those_of_the_asset(renderer, tmp_path):
    red, blue = ({"name": name, "doubleSided": True} for name in ("red paint", "blue paint"))
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assets = [open_asset(quad_asset(tmp_path / "one", [blue])), open_asset(quad_asset(tmp_path / "two", [blue, red]))]
    scene = scene_from_assets(assets, ["first", "second"])
    scene.remove_instances([0])
    settings = FrameSettings()
    aovs = renderer.render(scene, FACING, settings, SIZE, ("material",)).aovs
    for x, y in ((40, 45), (80, 45), (158, 45)):
        picked = pick(renderer, scene, FACING, settings, SIZE, x, y)
        assert picked.asset_name == "second"
        assert picked.material == aovs["material"][y, x] >= 1
        assert picked.material_name == ["blue paint", "red paint"][picked.material - 1]
        assert picked.mesh_name == assets[1].mesh_names[picked.mesh - 1]
        assert picked.page == len(assets[0].page_table) + picked.page_in_asset
        assert picked.is_root_page
        assert picked.page_bytes == 4 * assets[1].page_table["word_count"][picked.page_in_asset]
        assert picked.stored_bytes == assets[1].page_table["stored_bytes"][picked.page_in_asset]


def test_one_page_is_decoded(device, sample_asset, monkeypatch):
    scene, settings = street(sample_asset("sphere", 20000)), FrameSettings(error_pixels=0.1)
    renderer = Renderer(device)
    renderer.render(scene, path(1)[0], settings, SIZE)
    decoded = []
    whole = scene.assets[0].page_words
    monkeypatch.setattr(scene.assets[0], "page_words", lambda page: decoded.append(page) or whole(page))
    picked = pick(renderer, scene, path(1)[0], settings, SIZE, SIZE[0] // 2, SIZE[1] // 2)
    assert decoded == [picked.page_in_asset]
    assert len(scene.pages) > 3


def test_the_lines_say_it(renderer, sample_asset):
    scene, settings = street(sample_asset("sphere", 20000)), FrameSettings(error_pixels=1.0)
    renderer.render(scene, path(1)[0], settings, SIZE)
    picked = pick(renderer, scene, path(1)[0], settings, SIZE, SIZE[0] // 2, SIZE[1] // 2)
    lines = dict(picked.lines())
    assert len(lines) == len(picked.lines()), "no label twice"
    made_by, group = picked.made_by.pixels, picked.group.pixels
    assert lines["drawn because"] == f"{made_by:.3g} px <= tau = 1 px < {group:.3g} px"
    assert lines["nodes"].startswith(" > ".join(str(node.node) for node in picked.path))
    assert lines["distance"].endswith(" m")
    assert all(text for line in lines.items() for text in line)


def test_the_view_that_chose_judges(renderer, sample_asset):
    scene, settings = street(sample_asset("sphere", 20000)), FrameSettings(error_pixels=1.0)
    frozen = freeze(renderer, scene, path(1)[0], settings, SIZE)
    x, y = SIZE[0] // 2, SIZE[1] // 2
    near = pick(renderer, scene, path(1)[0], settings, SIZE, x, y)
    far = Camera((-2.0, 0.2, 60.0), (0.0, 0.0, -6.0), fov_degrees=60.0)
    assert pick(renderer, scene, far, settings, SIZE, x, y).group.pixels < near.group.pixels
    assert pick(renderer, scene, far, settings, SIZE, x, y, chosen_by=frozen.view).group == near.group
