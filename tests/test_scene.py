import math
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from engine import layout, scene
from engine.camera import frame_bounds
from engine.instances import from_matrices, largest_singular_value
from engine.scene import Scene, load_scene, scene_from_assets
from engine.scene_file import read_scene_file

NONE = layout.NONE
INSTANCE = np.dtype([("mesh", "<u4"), ("transform", "<f8", (3, 4))])
ROOT = Path(__file__).resolve().parent.parent


def stand_in(meshes: int = 2, origin=(100.0, 0.0, 0.0), textures: int = 1) -> SimpleNamespace:
    """Return what a Scene reads of an asset: each mesh has an inner node, two leaves, two groups and three clusters."""
    tables = {"meshes": layout.MESH, "nodes": layout.NODE, "groups": layout.GROUP, "materials": layout.MATERIAL}
    sizes = {"meshes": meshes, "nodes": 3 * meshes, "groups": 2 * meshes, "materials": 2}
    asset = SimpleNamespace(**{name: np.zeros(sizes[name], kind) for name, kind in tables.items()})
    number = np.arange(meshes)
    asset.meshes["root_node"] = 3 * number
    asset.meshes["cluster_count"] = 3
    asset.meshes["box_min"], asset.meshes["box_max"] = (-1, -2, -3), (1, 2, 5)
    asset.meshes["origin_high"] = origin
    asset.nodes["child_count"][::3] = 2
    asset.nodes["child"] = np.stack([3 * number + 1, 2 * number, 2 * number + 1], axis=1).ravel()
    asset.groups["page"] = np.arange(2 * meshes) // 2
    asset.groups["first_cluster"] = np.stack([3 * number, 3 * number + 2], axis=1).ravel()
    asset.groups["mesh"] = np.repeat(number, 2)
    for name in (name for name in layout.MATERIAL.names if name.endswith("_texture")):
        asset.materials[name] = NONE
    asset.materials["normal_texture"][0] = 0
    asset.page_count, asset.textures = meshes, [("image/png", b"")] * textures
    asset.material_names = ["skin", "fur"]
    asset.mesh_names = [f"part{i}" for i in range(meshes)]
    asset.instances = np.zeros(meshes, INSTANCE)
    asset.instances["mesh"] = number
    asset.instances["transform"][:, :, :3] = np.eye(3)
    asset.instances["transform"][:, 0, 3] = 10.0 * number
    asset.page_words = lambda page: np.array([id(asset) & 0xFFFF, page], np.uint32)
    asset.clusters = lambda: np.zeros(3 * meshes, layout.CLUSTER)
    return asset


def random_matrices(count: int, seed: int = 0) -> np.ndarray:
    matrices = np.tile(np.eye(4), (count, 1, 1))
    matrices[:, :3] = np.random.default_rng(seed).normal(size=(count, 3, 4))
    return matrices


def test_indices_are_moved_to_scene_wide_tables():
    joined = Scene([stand_in(2), stand_in(3, textures=2), stand_in(1)])
    assert len(joined.meshes) == 6
    assert joined.meshes["root_node"].tolist() == [0, 3, 6, 9, 12, 15]
    assert joined.meshes["group_base"].tolist() == [0, 0, 4, 4, 4, 10]
    assert joined.meshes["material_base"].tolist() == [0, 0, 2, 2, 2, 4]
    assert joined.mesh_cluster_base.tolist() == [0, 0, 6, 6, 6, 15]
    leaf = joined.nodes["child_count"] == 0
    assert joined.nodes["child"][leaf].tolist() == list(range(12))
    assert joined.nodes["child"][~leaf].tolist() == [1, 4, 7, 10, 13, 16]
    assert joined.groups["first_cluster"].tolist() == [0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17]
    assert joined.groups["mesh"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert joined.groups["page"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert joined.pages.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [1, 2], [2, 0]]
    assert joined.textures.tolist() == [[0, 0], [1, 0], [1, 1], [2, 0]]
    assert joined.materials["normal_texture"].tolist() == [0, NONE, 1, NONE, 3, NONE]
    assert joined.materials["emissive_texture"].tolist() == [NONE] * 6
    assert joined.page_words(4).tolist() == joined.assets[1].page_words(2).tolist()
    assert len(joined.clusters()) == 18


def test_the_tables_of_the_asset_stay_as_they_were():
    second = stand_in()
    before = second.nodes.copy()
    Scene([stand_in(), second])
    assert np.array_equal(second.nodes, before)


def test_instances_put_points_where_the_matrices_do():
    matrices = random_matrices(50)
    matrices[:, :3, 3] *= 1e6
    origin = np.array([1000.5, -7.25, 3e5])
    records = from_matrices(0, origin, matrices)
    local = np.random.default_rng(1).normal(size=3).astype(np.float32).astype(float)
    linear = np.stack([records[n].astype(float) for n in ("linear_x", "linear_y", "linear_z")], axis=2)
    found = linear @ local + records["translation_high"].astype(float) + records["translation_low"]
    expected = matrices[:, :3, :3] @ (local + origin) + matrices[:, :3, 3]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_max_scale_is_the_largest_singular_value_rounded_up():
    matrices = random_matrices(500)
    matrices[:3, :3, :3] = np.eye(3), np.diag([2.0, 2.0, 1e-5]), np.diag([1e-6, 1e-6, 1e-6])
    for i in range(3, 200):  # nearly equal singular values are the hard case
        u, _, v = np.linalg.svd(matrices[i, :3, :3])
        matrices[i, :3, :3] = u @ np.diag(1.0 + np.random.rand(3) * 10.0 ** -np.random.randint(3, 16)) @ v
    records = from_matrices(0, np.zeros(3), matrices)
    linear = np.stack([records[n].astype(float) for n in ("linear_x", "linear_y", "linear_z")], axis=2)
    exact = np.linalg.svd(linear, compute_uv=False)[:, 0]
    assert (records["max_scale"] >= exact).all()
    assert (records["max_scale"] <= exact * (1 + 1e-6)).all()
    columns = [np.ascontiguousarray(matrices[:, :3, i]) for i in range(3)]
    np.testing.assert_allclose(
        largest_singular_value(*columns), np.linalg.svd(matrices[:, :3, :3], compute_uv=False)[:, 0], rtol=1e-7
    )


def test_mirrored_instances_are_flagged():
    matrices = np.tile(np.eye(4), (3, 1, 1))
    matrices[1, 0, 0] = -2.0
    matrices[2, :2, :2] = -np.eye(2)
    assert from_matrices(0, np.zeros(3), matrices)["flags"].tolist() == [0, layout.CONSTANTS["INSTANCE_MIRRORED"], 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.__setitem__((1, 0, 0), math.nan), "instance 1 is not finite"),
        (lambda m: m.__setitem__((1, 2, 3), math.inf), "instance 1 is not finite"),
        (lambda m: m.__setitem__((1, 2, 3), 1e35), "instance 1 moves"),
        (lambda m: m.__setitem__((1, 1), (1, 0, 0, 0)), "instance 1 is singular"),
        (lambda m: m.__setitem__((1, slice(3), slice(3)), 0.0), "instance 1 is singular"),
        (lambda m: m.__setitem__((1, 3), (0, 0, 1, 1)), "last row"),
        (lambda m: m.__setitem__((1, 0, 0), 1e20), "instance 1 scales"),
        (lambda m: m.__setitem__((1, slice(3), slice(3)), np.eye(3) * 1e-18), "instance 1 scales"),
    ],
)
def test_bad_matrices_are_refused_and_change_nothing(change, words):
    joined = Scene([stand_in()])
    matrices = np.tile(np.eye(4), (3, 1, 1))
    change(matrices)
    with pytest.raises(ValueError, match=words):
        joined.add_instances(0, matrices)
    assert joined.instance_count == 0
    assert len(joined.live_slots) == 0


def test_slots_are_stable_and_reuse_is_visible():
    joined = Scene([stand_in()])
    slots = joined.add_instances(np.array([0, 1, 0, 1]), random_matrices(4))
    assert slots.tolist() == [0, 1, 2, 3]
    kept = joined.instances[[0, 3]].copy()
    joined.remove_instances([2, 1])
    assert joined.live_slots.tolist() == [0, 3]
    generations = joined.instances["generation"].copy()
    again = joined.add_instances(0, random_matrices(3, 1))
    assert again.tolist() == [1, 2, 4]
    assert np.array_equal(joined.instances[[0, 3]], kept)
    assert (joined.instances["generation"][[1, 2]] != generations[[1, 2]]).all()
    assert joined.instances["user_index"].tolist() == [0, 4, 5, 3, 6]
    assert joined.instance_count == 5
    for wrong in ([7], [-1], [0, 0]):
        with pytest.raises(ValueError):
            joined.remove_instances(wrong)
    joined.remove_instances([1])
    with pytest.raises(ValueError, match="slots"):
        joined.set_transforms([1], np.eye(4)[None])


def test_moving_keeps_the_generation_and_counts_a_revision():
    joined = Scene([stand_in()])
    slots = joined.add_instances(1, random_matrices(3))
    before, revision = joined.instances.copy(), joined.revision
    joined.set_transforms(slots[1:], random_matrices(2, 5))
    assert joined.revision > revision
    assert joined.instances[0] == before[0]
    assert np.array_equal(joined.instances["generation"], before["generation"])
    fresh = from_matrices(1, joined.mesh_origins[1], random_matrices(2, 5))
    assert np.array_equal(joined.instances["translation_high"][1:], fresh["translation_high"])
    assert np.array_equal(joined.instances["linear_x"][1:], fresh["linear_x"])


def test_unknown_meshes_are_refused():
    with pytest.raises(ValueError, match="is not one of 2 meshes"):
        Scene([stand_in()]).add_instances(2, np.eye(4)[None])


@pytest.mark.parametrize("copies", [1, 5])
def test_assets_are_placed_with_the_instances_of_their_file(copies):
    joined = Scene([stand_in(1), stand_in(3)])
    outer = random_matrices(copies)
    joined.add_asset(1, outer)
    assert joined.instance_count == 3 * copies
    inner = np.tile(np.eye(4), (3, 1, 1))
    inner[:, :3] = joined.assets[1].instances["transform"]
    both = (outer[:, None] @ inner[None]).reshape(-1, 4, 4)
    meshes = np.tile([1, 2, 3], copies)
    expected = from_matrices(meshes, joined.mesh_origins[meshes], both)
    names = ["mesh", "translation_high", "max_scale"]
    found = joined.instances
    for name in names:
        left = found[name][np.lexsort((found["translation_high"][:, 0], found["mesh"]))]
        right = expected[name][np.lexsort((expected["translation_high"][:, 0], expected["mesh"]))]
        np.testing.assert_allclose(left, right, rtol=1e-5)
    assert joined.add_asset(1, outer, "part2").shape == (copies,)
    assert (joined.instances["mesh"][-copies:] == 3).all()
    with pytest.raises(ValueError, match="no mesh 'part9'"):
        joined.add_asset(1, outer, "part9")


def test_bounds_hold_every_transformed_corner_tightly():
    joined = scene_from_assets([stand_in(2)])
    joined.remove_instances(joined.live_slots)
    matrices = random_matrices(20)
    joined.add_instances(0, matrices)
    corners = np.array(np.meshgrid([99.0, 101.0], [-2.0, 2.0], [-3.0, 5.0])).reshape(3, 8).T
    world = np.einsum("kij,cj->kci", matrices[:, :3, :3], corners) + matrices[:, None, :3, 3]
    low, high = joined.bounds()
    np.testing.assert_allclose(low, world.min(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(high, world.max(axis=(0, 1)), rtol=1e-6)
    joined.remove_instances(joined.live_slots[1:])
    np.testing.assert_allclose(joined.bounds()[0], world[0].min(axis=0), rtol=1e-6)
    joined.remove_instances(joined.live_slots)
    with pytest.raises(ValueError, match="no instances"):
        joined.bounds()


def test_scenes_need_assets():
    with pytest.raises(ValueError, match="at least one asset"):
        Scene([])


@pytest.fixture
def description(tmp_path, monkeypatch):
    """Return a function that loads a scene TOML whose assets are stand-ins."""
    monkeypatch.setattr(scene, "open_asset", lambda path: stand_in(1, (0, 0, 0)))

    def load(text: str) -> Scene:
        path = tmp_path / "scene.toml"
        path.write_text(text, encoding="utf-8")
        return load_scene(path)

    return load


ASSET = '[[assets]]\npath = "models/ball.mlith"\n'


def translations(loaded: Scene) -> np.ndarray:
    return loaded.instances["translation_high"].astype(float) + loaded.instances["translation_low"]


def test_grids_are_centred_and_complete(description):
    text = (
        "[[instances]]\ntranslate=[1,2,3]\nscale=[1,2,4]\nrotate=[0,90,0]\n[instances.grid]\ncount=[3,1,2]\nspacing=2"
    )
    loaded = description(ASSET + text)
    assert loaded.instance_count == 6
    expected = {(x, 2.0, z) for x in (-1.0, 1.0, 3.0) for z in (2.0, 4.0)}
    assert {tuple(row) for row in translations(loaded).round(9).tolist()} == expected
    np.testing.assert_allclose(loaded.instances["linear_x"][0], [0, 0, -1], atol=1e-7)  # +x turns to -z
    np.testing.assert_allclose(loaded.instances["linear_z"][0], [4, 0, 0], atol=1e-7)
    np.testing.assert_allclose(loaded.instances["max_scale"], 4.0, rtol=1e-6)


@pytest.mark.parametrize(
    "turn", ["rotate = [0, 0, 90]", "rotate = [0, 0, 2, 90]", "quaternion = [0, 0, 0.70710678118, 0.70710678118]"]
)
def test_rotations_may_be_written_in_three_ways(description, turn):
    loaded = description(f"{ASSET}[[instances]]\n{turn}")
    np.testing.assert_allclose(loaded.instances["linear_x"][0], [0, 1, 0], atol=1e-7)


def test_matrices_are_written_row_after_row(description):
    loaded = description(f"{ASSET}[[instances]]\nmatrix = [1,0,0,5, 0,0,-1,6, 0,1,0,7, 0,0,0,1]")
    assert translations(loaded).tolist() == [[5, 6, 7]]
    assert loaded.instances["linear_y"].tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("rotation", ["none", "y", "any"])
def test_scatters_are_seeded_and_stay_in_their_box(description, rotation):
    text = f"""{ASSET}[[instances]]
    translate = [100, 0, 0]
    [instances.scatter]
    count = 500
    box = [10, 0, 4]
    seed = SEED
    scale = [0.5, 2]
    rotation = "{rotation}" """
    first, same, other = (description(text.replace("SEED", seed)).instances for seed in "113")
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    place = first["translation_high"]
    assert (np.abs(place - [100, 0, 0]) <= [5, 0, 2]).all()
    assert np.ptp(place, axis=0)[0] > 9.5
    scale = first["max_scale"]
    assert 0.5 <= scale.min() < 0.6
    assert 1.9 < scale.max() <= 2.00001
    assert (first["flags"] == 0).all()
    upright = np.abs(first["linear_y"] - scale[:, None] * np.array([0, 1, 0])).max() < 1e-5
    assert upright == (rotation != "any")


def test_paths_names_and_camera(description, tmp_path):
    camera = "[camera]\neye=[0,1,5]\ntarget=[0,0,0]\nfov_degrees=30"
    loaded = description(
        f'{ASSET}[[assets]]\npath="b.mlith"\nname="other"\n[[instances]]\nasset="other"\nmesh=0\n{camera}'
    )
    assert loaded.asset_names == ["ball", "other"]
    assert loaded.instances["mesh"].tolist() == [1]
    assert loaded.camera.fov_degrees == 30.0
    assert loaded.default_camera() is loaded.camera
    parsed = read_scene_file(tmp_path / "scene.toml")
    assert parsed.asset_paths == [tmp_path / "models/ball.mlith", tmp_path / "b.mlith"]
    assert description(ASSET).instance_count == 1
    plain = description(ASSET)
    assert plain.default_camera(aspect=2.0) == frame_bounds(*plain.bounds(), aspect=2.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "assets"),
        ("[[assets]]\nname='a'", "no path"),
        ("x = 1\n" + ASSET, "unknown key 'x'"),
        (ASSET + ASSET, "two assets"),
        (ASSET + "[[instances]]\nasset='none'", "not one of ball"),
        (ASSET + "[[instances]]\nscael=1", "unknown key 'scael'"),
        (ASSET + "[[instances]]\nscale=0", "singular"),
        (ASSET + "[[instances]]\nscale=[1,2]", "3 finite numbers"),
        (ASSET + "[[instances]]\ntranslate=[nan,0,0]", "finite"),
        (ASSET + "[[instances]]\nrotate=[0,0,0,9]", "axis"),
        (ASSET + "[[instances]]\nquaternion=[0,0,0,0]", "quaternion"),
        (ASSET + "[[instances]]\nmatrix=[1,2]", "16"),
        (ASSET + "[[instances]]\nscale=1\nmatrix=[1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1]", "either"),
        (ASSET + "[[instances]]\n[instances.grid]\ncount=[1,0,1]\nspacing=1", "positive integers"),
        (ASSET + "[[instances]]\n[instances.grid]\ncount=[1,1,1]", "'spacing' is missing"),
        (ASSET + "[[instances]]\n[instances.grid]\ncount=[10000,10000,10000]\nspacing=1", "1000000000000"),
        (ASSET + "[[instances]]\n[instances.scatter]\ncount=5\nbox=1\nrotation='z'", "rotation"),
        (ASSET + "[[instances]]\n[instances.scatter]\ncount=0\nbox=1", "0 instances"),
        (ASSET + "[[instances]]\nmesh='nose'", "no mesh 'nose'"),
        (ASSET + "shaders = 1", "name a material function"),
        (ASSET + "shaders = { a = 1 }", "name a material function"),
        (ASSET + "shaders = { fur = '../b' }", "'../b' is not the name of a material function"),
        (ASSET + "shaders = { nothing = 'b' }", "asset 'ball' has no material 'nothing'"),
        ("materials = 'nowhere'\n" + ASSET, "'nowhere', which is not a folder"),
        (ASSET + "[camera]\neye=[0,0,0]", "eye and target"),
        (ASSET + "[camera]\neye=[0,0,0]\ntarget=[0,0,0]", "same point"),
        ("[[assets]\n", "line 1"),
    ],
)
def test_bad_descriptions_are_refused_in_one_line(description, text, words):
    with pytest.raises(ValueError, match=words) as error:
        description(text)
    assert "scene.toml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", sorted((ROOT / "assets" / "scenes").glob("*.toml")), ids=lambda path: path.stem)
def test_the_example_scenes_are_right(path):
    assert read_scene_file(path).placements[0].transforms().shape[1:] == (3, 4)


def yardstick_seconds() -> float:
    """Return the processor seconds of fixed work on arrays of the size of a million matrices."""
    start = time.process_time()
    values = np.random.default_rng(0).standard_normal((1_000_000, 12))
    for _ in range(4):
        values = np.ascontiguousarray(values[:, ::-1]) * 0.5
    return time.process_time() - start


def test_a_million_instances_load_in_two_seconds(description):
    """Against a yardstick, since other work may run here: the ratio is 3 to 5 where loading takes 1.1 s undisturbed."""
    text = ASSET + "[[instances]]\n[instances.scatter]\ncount=1000000\nbox=[1000,0,1000]\nrotation='any'"
    ratios = []
    for _ in range(3):
        yardstick = yardstick_seconds()
        start = time.process_time()
        loaded = description(text)
        ratios.append((time.process_time() - start) / max(yardstick, 0.1))
        if ratios[-1] < 8.0:
            break
    assert loaded.instance_count == 1_000_000
    assert min(ratios) < 8.0, ratios


def test_materials_get_their_functions_by_name(description, tmp_path):
    (tmp_path / "own").mkdir()
    loaded = description('materials = "own"\n' + ASSET + 'shaders = { "*" = "fur" }')
    assert loaded.material_shaders == ["gltf", "fur"]
    assert (loaded.materials["shader"] == 1).all()
    assert loaded.material_folder == tmp_path / "own"
    loaded.set_shader(0, "*", "gltf")
    assert (loaded.materials["shader"] == 0).all()
    for number in range(layout.CONSTANTS["MAX_SHADERS"] - 2):
        loaded.set_shader(0, "*", f"function_{number}")
    with pytest.raises(ValueError, match="at most 64 material shaders"):
        loaded.set_shader(0, "*", "one_more")
