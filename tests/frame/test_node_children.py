"""Law 2 for nodes of fewer children, and for hierarchies deeper than any that is built: the tree changes no set."""

import numpy as np
import pytest

from engine import reference
from engine.camera import view_record
from engine.frame.queues import MAX_LEVELS
from engine.frame.scene_buffers import SceneBuffers
from engine.scene import Scene
from engine.settings import FrameSettings
from tests.frame.test_traversal import assert_same_set, crowd, random_camera

SIZE = (211, 97)


@pytest.mark.parametrize("children", [2, 4])
@pytest.mark.parametrize("traversal", ["persistent", "levels"])
def test_the_drawn_set_is_the_reference_set_and_as_large_as_that_of_eight(renderer, sample_asset, traversal, children):
    of_children = {
        number: crowd(sample_asset("terrain", 20000, cluster_triangles=32, node_children=number), 40, seed=3)
        for number in (children, 8)
    }
    scene, other = of_children[children], of_children[8]
    assert 1 < scene.nodes["child_count"].max() == children
    tables, tables_of_eight = reference.tables_of(scene), reference.tables_of(other)
    generator, bounds, sizes = np.random.default_rng(11), scene.bounds(), []
    for i in range(8):
        camera = random_camera(generator, bounds, orthographic=i % 4 == 3)
        tau = [1.0, 0.25, 4.0, 0.0][i % 4]
        settings = FrameSettings(error_pixels=tau, traversal=traversal, occlusion=False)
        renderer.render(scene, camera, settings, SIZE)
        view = view_record(camera, SIZE, settings, bounds=bounds)
        sizes.append(assert_same_set(scene, view, renderer.read_visible_clusters(), tables))
        eight = reference.visible_set(tables_of_eight, view).counts
        assert abs(eight.clusters_kept - sizes[-1]) <= max(1, 1e-5 * sizes[-1]), "but for ties"
    assert max(sizes) > 2000


def below_a_chain(asset_path, length: int) -> Scene:
    """Return a crowd whose root node hangs below a chain of `length` nodes of one child each."""
    scene = crowd(asset_path, 12, seed=3)
    root, count = int(scene.meshes["root_node"][0]), len(scene.nodes)
    chain = np.repeat(scene.nodes[root : root + 1], length)
    chain["child"], chain["child_count"] = np.append(count + 1 + np.arange(length - 1), root), 1
    scene.nodes = np.concatenate([scene.nodes, chain])
    scene.meshes["root_node"][0] = count
    return scene


@pytest.mark.parametrize("traversal", ["persistent", "levels"])
def test_a_hierarchy_as_deep_as_can_be_is_walked_to_its_end(device, renderer, sample_asset, traversal):
    path = sample_asset("sphere", 5000)
    length = MAX_LEVELS - SceneBuffers(device, crowd(path, 12, seed=3)).depth
    scene = below_a_chain(path, length)
    camera, settings = scene.default_camera(), FrameSettings(error_pixels=0.1, traversal=traversal, occlusion=False)
    renderer.render(scene, camera, settings, SIZE)
    view = view_record(camera, SIZE, settings, bounds=scene.bounds())
    assert assert_same_set(scene, view, renderer.read_visible_clusters(), reference.tables_of(scene)) > 12
    with pytest.raises(ValueError, match=f"together at most {MAX_LEVELS}: build it again"):
        SceneBuffers(device, below_a_chain(path, length + 1))
