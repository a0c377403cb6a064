"""Joining scenes: numbering, slots, sharing, names, material functions, and the picture."""

import numpy as np
import pytest

import engine
from engine import layout
from engine.camera import Camera
from engine.scene import Scene, load_scene, scene_from_assets
from engine.scene_join import join_scenes
from engine.settings import FrameSettings
from tests.frame.quad_scene import quad_asset
from tests.test_scene import random_matrices, stand_in

NONE = layout.NONE


def placed(asset, count: int, seed: int = 0, name: str = "thing") -> Scene:
    scene = Scene([asset], [name])
    scene.add_asset(0, random_matrices(count, seed))
    return scene


def plain(records: np.ndarray) -> np.ndarray:
    """Return instance records without what only says how often a slot was used."""
    records = records.copy()
    records["generation"] = 0
    return records


def test_tables_are_those_of_a_scene_of_all_assets():
    assets = [stand_in(2), stand_in(3, textures=2), stand_in(1)]
    joined = join_scenes([Scene(assets[:2], ["a", "b"]), Scene(assets[2:], ["c"])])
    whole = Scene(assets)
    for name in ("meshes", "nodes", "groups", "materials", "pages", "textures", "mesh_asset", "mesh_cluster_base"):
        assert np.array_equal(getattr(joined, name), getattr(whole, name)), name
    assert joined.asset_names == ["a", "b", "c"]
    assert joined.instance_count == 0


def test_instances_are_those_of_a_scene_of_all_assets():
    first, second = stand_in(2), stand_in(3)
    whole = Scene([first, second])
    whole.add_asset(0, random_matrices(4, 1))
    whole.add_asset(1, random_matrices(5, 2))
    joined = join_scenes([placed(first, 4, 1), placed(second, 5, 2)])
    assert np.array_equal(joined.instances, whole.instances)
    assert joined.instances["mesh"].tolist() == [*np.repeat([0, 1], 4), *np.repeat([2, 3, 4], 5)]
    assert joined.instances["user_index"].tolist() == list(range(8 + 15))
    low, high = joined.bounds()
    assert np.array_equal((low, high), whole.bounds())


def test_mirrored_instances_stay_mirrored():
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])[None]
    scene = Scene([stand_in(1)])
    scene.add_asset(0, mirror)
    joined = join_scenes([placed(stand_in(2), 1, 1), scene])
    flag = layout.CONSTANTS["INSTANCE_MIRRORED"]
    assert joined.instances["flags"][-1] & flag
    assert np.array_equal(plain(joined.instances[2:])["linear_x"], scene.instances["linear_x"])


def test_freed_slots_stay_freed_and_are_taken_first():
    first, second = placed(stand_in(2), 3, 1), placed(stand_in(1), 4, 2)
    first.remove_instances(np.array([1, 4]))
    second.remove_instances(np.array([2]))
    joined = join_scenes([first, second])
    assert (joined.instances["mesh"] == NONE).nonzero()[0].tolist() == [1, 4, 6 + 2]
    assert joined.instance_count == first.instance_count + second.instance_count == 7
    assert joined.live_slots.tolist() == [0, 2, 3, 5, 6, 7, 9]
    generations = joined.instances["generation"].copy()
    assert joined.add_instances(2, random_matrices(5, 3)).tolist() == [1, 4, 8, 10, 11]
    assert (joined.instances["generation"][[1, 4, 8]] == generations[[1, 4, 8]] + 1).all()
    joined.remove_instances(np.array([0]))
    assert first.instances["mesh"][0] == 0  # the scenes it was made of do not follow


def test_an_empty_slot_table_and_a_single_scene():
    scene = placed(stand_in(2), 3)
    joined = join_scenes([Scene([stand_in(1)]), scene])
    assert np.array_equal(joined.instances["mesh"], scene.instances["mesh"] + 1)
    alone = join_scenes([scene])
    assert alone is not scene
    assert np.array_equal(alone.instances, scene.instances)
    with pytest.raises(ValueError, match="no scenes"):
        join_scenes([])


def test_one_file_opened_twice_is_there_once(sample_asset, tmp_path):
    path = sample_asset("sphere")
    first, second = load_scene(path), load_scene(path)
    assert first.assets[0] is not second.assets[0]
    second.set_transforms(np.array([0]), random_matrices(1))
    joined = join_scenes([first, load_scene(sample_asset("parts")), second])
    assert len(joined.assets) == 2
    assert len(joined.pages) == len(first.pages) + joined.assets[1].page_count
    assert joined.instances["mesh"][-1] == joined.instances["mesh"][0] == 0
    assert np.array_equal(joined.instances["linear_x"][-1], second.instances["linear_x"][0])
    replaced = tmp_path / "a.mlith"
    replaced.write_bytes(path.read_bytes())
    before = load_scene(replaced)
    replaced.unlink()
    replaced.write_bytes(sample_asset("parts").read_bytes())
    assert len(join_scenes([before, load_scene(replaced)]).assets) == 2


def test_names_stay_unique():
    scenes = [Scene([stand_in(), stand_in()], ["a", "a_2"]), Scene([stand_in()], ["a"]), Scene([stand_in()], ["a"])]
    assert join_scenes(scenes).asset_names == ["a", "a_2", "a_3", "a_4"]


def test_the_first_camera_wins():
    cameras = [Camera((0, 0, float(i)), (0, 0, 0)) for i in (1, 2)]
    scenes = [Scene([stand_in()]), *(Scene([stand_in()], camera=camera) for camera in cameras)]
    assert join_scenes(scenes).camera is cameras[0]
    assert join_scenes(scenes[:1]).camera is None


# Material functions


def shaded(asset, **shaders: str) -> Scene:
    scene = Scene([asset])
    for material, shader in shaders.items():
        scene.set_shader(0, material, shader)
    return scene


def functions(scene: Scene) -> list[str]:
    return [scene.material_shaders[number] for number in scene.materials["shader"]]


def test_material_functions_are_merged():
    first = shaded(stand_in(), skin="wax", fur="hair")
    second = shaded(stand_in(), skin="hair")
    joined = join_scenes([first, Scene([stand_in()]), second])
    assert functions(joined) == ["wax", "hair", "gltf", "gltf", "hair", "gltf"]
    assert joined.material_shaders == ["gltf", "wax", "hair"]


def test_a_file_that_is_shaded_in_two_ways_is_not_shared():
    asset = stand_in()
    joined = join_scenes([shaded(asset), shaded(asset, fur="hair"), shaded(asset)])
    assert len(joined.assets) == 2
    assert functions(joined) == ["gltf", "gltf", "gltf", "hair"]


def test_too_many_functions_are_one_line():
    most = layout.CONSTANTS["MAX_SHADERS"]
    assets = [stand_in() for _ in range(most)]
    scenes = [shaded(asset, skin=f"f{i}") for i, asset in enumerate(assets)]
    join_scenes(scenes[:-1])
    with pytest.raises(ValueError, match=f"have {most + 1} material functions together; a scene holds at most {most}"):
        join_scenes(scenes)


def test_folders_of_functions(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second, plain_scene = shaded(stand_in(), skin="wax"), Scene([stand_in()]), Scene([stand_in()])
    first.material_folder = tmp_path / "a"
    second.material_folder = tmp_path / "b" / ".." / "a"
    (tmp_path / "a" / "wax.wgsl").touch()
    assert join_scenes([plain_scene, first, second]).material_folder == tmp_path / "a"
    assert join_scenes([plain_scene]).material_folder is None
    second.material_folder = tmp_path / "b"
    with pytest.raises(ValueError, match="different folders of material functions"):
        join_scenes([first, second])
    (tmp_path / "a" / "gltf.wgsl").touch()  # it would change what the other scene looks like
    with pytest.raises(ValueError, match=r"the package's own gltf\.wgsl"):
        join_scenes([plain_scene, first])


# The picture


def test_the_picture_is_that_of_a_scene_file_with_both(tmp_path, sample_asset, renderer):
    (tmp_path / "quad").mkdir()
    texels = np.random.default_rng(0).integers(0, 255, (8, 8, 4)).astype(np.uint8)
    texels[..., 3] = 255
    material = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0}}
    paths = {"sphere": sample_asset("sphere"), "quad": quad_asset(tmp_path / "quad", [material], [texels])}
    assets = {name: f'[[assets]]\nname = "{name}"\npath = "{path}"\n' for name, path in paths.items()}
    places = {
        "sphere": '[[instances]]\nasset = "sphere"\n[instances.grid]\ncount = [3, 2, 2]\nspacing = 2.5\n',
        "quad": '[[instances]]\nasset = "quad"\ntranslate = [0.5, 1, 4]\nscale = [-1, 1, 1]\n',
    }
    camera = "[camera]\neye = [4, 3, 12]\ntarget = [0, 0, 0]\n"
    for name in paths:
        (tmp_path / f"{name}.toml").write_text(assets[name] + places[name] + (camera if name == "quad" else ""))
    (tmp_path / "both.toml").write_text("".join([*assets.values(), *places.values(), camera]))
    both = load_scene(tmp_path / "both.toml")
    joined = engine.join_scenes([load_scene(tmp_path / f"{name}.toml") for name in paths])
    assert np.array_equal(joined.instances, both.instances)
    frames = [renderer.render(s, s.default_camera(), FrameSettings(), (160, 90), ["instance"]) for s in (joined, both)]
    assert np.array_equal(frames[0].image, frames[1].image)
    assert np.array_equal(frames[0].aovs["instance"], frames[1].aovs["instance"])
    seen = set(np.unique(frames[0].aovs["instance"]).tolist())
    assert {0, 12} < seen  # a sphere and the quad
    alone = renderer.render(load_scene(tmp_path / "sphere.toml"), both.camera, FrameSettings(), (160, 90))
    assert not np.array_equal(alone.image, frames[0].image)


def test_asset_joins_like_any_other(sample_asset):
    scene = scene_from_assets([engine.open_asset(sample_asset("sphere"))], ["sphere"])
    joined = join_scenes([scene, load_scene(sample_asset("sphere"))])
    assert joined.asset_names == ["sphere"]
    assert joined.instance_count == 2
