"""Structure of whole hierarchies of real models: area, folds, fill, size and roots at every level."""

import numpy as np
import pytest

from engine import layout
from engine.builder.hierarchy import Hierarchy, build_hierarchy
from engine.builder.level import FEW_CLUSTERS
from engine.builder.meshfile import read_mesh_files
from engine.builder.silhouette import covered_cells, silhouette_reference
from engine.builder.weld import WeldedMesh, choose_lattice, weld
from engine.settings import BuildSettings
from tests.builder.test_models import MESHES

pytestmark = pytest.mark.slow
SETTINGS = BuildSettings()
FOLIAGE = ["soup_100.stl", "tree_lime.glb", "palm_tree.glb", "forest_3000_instances.glb"]


def hierarchies(path) -> list[tuple[WeldedMesh, Hierarchy]]:
    scene = read_mesh_files([path], SETTINGS)
    two_sided = (scene.materials["flags"] & layout.CONSTANTS["MATERIAL_TWO_SIDED"]) != 0
    step, origins = choose_lattice(scene.meshes, SETTINGS)
    meshes = [weld(mesh, step, origin, SETTINGS, two_sided) for mesh, origin in zip(scene.meshes, origins, strict=True)]
    return [(mesh, build_hierarchy(mesh, SETTINGS)) for mesh in meshes]


def clusters_of_level(hierarchy: Hierarchy, level: int) -> np.ndarray:
    """Return which clusters (c,) bool are drawn when all groups below `level` are replaced by what was made of them."""
    made_by = hierarchy.cluster_made_by
    below = np.where(made_by >= 0, hierarchy.group_level[made_by], -1) < level
    return below & (hierarchy.group_level[hierarchy.cluster_group] >= level)


def faces_of_level(hierarchy: Hierarchy, level: int) -> np.ndarray:
    """Return which faces (f,) bool the clusters of `clusters_of_level` have."""
    return np.repeat(clusters_of_level(hierarchy, level), np.diff(hierarchy.cluster_first_face))


def area_and_folded_share(hierarchy: Hierarchy, faces: np.ndarray) -> tuple[float, float]:
    """Return the area of faces (m, 3), and the share of it that turns its back on the normals stored with it."""
    corners = hierarchy.lattice[hierarchy.vertex_position[faces]].astype(float)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = 0.5 * np.linalg.norm(cross, axis=1)
    normal = hierarchy.attributes[faces][:, :, :3].sum(axis=1)
    return area.sum(), area[np.einsum("ij,ij->i", cross, normal) < 0.0].sum() / area.sum()


def root_clusters(hierarchy: Hierarchy) -> int:
    root = hierarchy.group_geometric_error == np.float32(layout.CONSTANTS["ROOT_ERROR"])
    return int(root[hierarchy.cluster_group].sum())


@pytest.mark.parametrize("name", FOLIAGE)
def test_foliage_keeps_its_area_and_few_clusters_their_silhouette(name):
    """Leaves of a crown hide each other, so what a few large ones are to keep is the silhouette."""
    for mesh, hierarchy in hierarchies(MESHES / "awkward" / name):
        areas, reference, members = [], None, FEW_CLUSTERS + 1  # the source counts by area
        for level in range(int(hierarchy.group_level.max()) + 1):
            faces = hierarchy.faces[faces_of_level(hierarchy, level)]
            area, folded = area_and_folded_share(hierarchy, faces)
            assert folded <= 0.01, (mesh.name, level)
            if members > FEW_CLUSTERS:
                areas.append(area)
            else:
                cells = covered_cells(hierarchy.lattice.astype(float), hierarchy.vertex_position, faces, reference)
                assert cells == pytest.approx(reference[-1], rel=0.25), (mesh.name, len(faces))
            members = int(clusters_of_level(hierarchy, level).sum())
            if members <= 32 and reference is None:
                reference = silhouette_reference(hierarchy.lattice, hierarchy.vertex_position, faces)
        assert np.array(areas) == pytest.approx(areas[0], rel=0.1), mesh.name
        assert root_clusters(hierarchy) == 1


@pytest.mark.parametrize("name", FOLIAGE)
def test_clusters_are_as_full_as_255_vertices_allow(name):
    for mesh, hierarchy in hierarchies(MESHES / "awkward" / name):
        sizes = np.diff(hierarchy.cluster_first_face)[hierarchy.cluster_level == 0]
        allowed = min(128.0, 255.0 * len(mesh.faces) / len(mesh.attributes))
        fewest = -(-len(mesh.faces) // int(allowed))  # clusters; small meshes do not come out even
        assert len(sizes) <= max(fewest, round(len(mesh.faces) / (0.94 * allowed))), mesh.name


def test_a_flat_shaded_tree_with_uvs_is_not_thinned():
    ((mesh, hierarchy),) = hierarchies(MESHES / "awkward" / "tree_lime.glb")
    diagonal = np.linalg.norm(np.ptp(mesh.lattice, axis=0)) * mesh.step
    first = hierarchy.group_level == 0
    assert hierarchy.group_geometric_error[first].max() < 0.02 * diagonal
    assert hierarchy.group_attribute_error[first].max() < 0.08 * diagonal


@pytest.mark.parametrize(
    ("name", "largest_error"),
    [("chair_nonmanifold.obj", 0.005), ("truck_nonmanifold.obj", 0.005), ("trumpet_nonmanifold.obj", 0.002)],
)
def test_non_manifold_meshes_shrink_well(name, largest_error):
    ((mesh, hierarchy),) = hierarchies(MESHES / "awkward" / name)
    diagonal = np.linalg.norm(np.ptp(mesh.lattice, axis=0)) * mesh.step
    assert hierarchy.group_geometric_error[hierarchy.group_level == 0].max() < largest_error * diagonal
    assert sum(level["stuck"] for level in hierarchy.report) == 0
    source = hierarchy.faces[faces_of_level(hierarchy, 0)]
    for level in range(4):
        area, folded = area_and_folded_share(hierarchy, hierarchy.faces[faces_of_level(hierarchy, level)])
        assert area == pytest.approx(area_and_folded_share(hierarchy, source)[0], rel=0.05)
        assert folded <= 0.01


@pytest.mark.parametrize(
    "name",
    ["scans/armadillo_86k.obj", "scans/bun_zipper_69k.ply", "scans/lucy_100k.ply", "scans/nefertiti_100k.obj",
     "scans/skull_100k.obj", "scans/turbineblade_199k.ply", "awkward/jinx_combined.obj",
     "awkward/cube_40k_tetfaces.obj"],
)  # fmt: skip
def test_fill_size_and_roots(name):
    for mesh, hierarchy in hierarchies(MESHES / name):
        sizes, source = np.diff(hierarchy.cluster_first_face), hierarchy.cluster_level == 0
        assert sizes[source].mean() >= 120.0 and sizes[~source].mean() >= 117.0
        assert sizes.sum() <= 2.05 * len(mesh.faces)
        assert root_clusters(hierarchy) == 1


def test_meshes_of_seams_fill_their_clusters():
    for mesh, hierarchy in hierarchies(MESHES / "scenes" / "japanese_garden.glb"):
        assert 1.8 * len(mesh.faces) < len(mesh.attributes)
        assert np.diff(hierarchy.cluster_first_face)[hierarchy.cluster_level == 0].mean() >= 110.0
