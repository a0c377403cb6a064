"""Hierarchies of small meshes: every law that needs no GPU."""

import dataclasses

import numpy as np
import pytest

from engine.builder.hierarchy import GROWTH, ROOT_ERROR, Hierarchy, build_hierarchy, check_hierarchy, grown_error
from engine.builder.silhouette import covered_cells, silhouette_reference
from engine.builder.spheres import merge_spheres
from engine.builder.threads import limited_threads
from engine.builder.weld import WeldedMesh
from engine.settings import BuildSettings

SETTINGS = BuildSettings()


def torus(columns: int, rows: int, center: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return vertices (v, 3) float64 and faces of a closed, bumpy torus."""
    u, v = np.meshgrid(np.arange(columns) * 2 * np.pi / columns, np.arange(rows) * 2 * np.pi / rows)
    radius = 1.0 + 0.05 * np.sin(9 * u) * np.cos(5 * v)
    ring = 3.0 + radius * np.cos(v)
    vertices = np.stack([ring * np.cos(u) + center, ring * np.sin(u), radius * np.sin(v)], axis=-1).reshape(-1, 3)
    j, i = (index.ravel() for index in np.mgrid[0:rows, 0:columns])
    right, up = (i + 1) % columns, (j + 1) % rows
    a, b, c, d = j * columns + i, j * columns + right, up * columns + right, up * columns + i
    return vertices, np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def sheet(count: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.arange(count + 1.0), np.arange(count + 1.0))
    corner = (np.arange(count)[:, None] * (count + 1) + np.arange(count)).ravel()
    lower = np.stack([corner, corner + 1, corner + count + 1], axis=1)
    upper = np.stack([corner + 1, corner + count + 2, corner + count + 1], axis=1)
    return np.stack([x, y, np.sin(x / 5) * np.cos(y / 6)], axis=-1).reshape(-1, 3), np.concatenate([lower, upper])


def soup(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    vertices = random.random((count, 1, 3)) + 0.05 * random.random((count, 3, 3))
    return vertices.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3)


def welded(vertices: np.ndarray, faces: np.ndarray) -> WeldedMesh:
    """Return the mesh on a lattice, with smooth normals; vertices must stay apart."""
    step = 2.0 ** np.floor(np.log2(np.linalg.norm(vertices[faces[:, 0]] - vertices[faces[:, 1]], axis=1).mean() / 64))
    lattice = np.rint(vertices / step).astype(np.int32)
    corners = lattice[faces].astype(np.float64)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(lattice), 3))
    for k in range(3):
        np.add.at(normals, faces[:, k], cross)
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    return WeldedMesh(
        "test", step, np.zeros(3), lattice, np.arange(len(lattice), dtype=np.int32), normals.astype(np.float32),
        False, False, faces.astype(np.int32), np.zeros(len(faces), np.int32), {},
    )  # fmt: skip


@pytest.fixture(scope="module")
def closed_mesh() -> WeldedMesh:
    return welded(*torus(140, 70))


@pytest.fixture(scope="module")
def closed(closed_mesh) -> Hierarchy:
    return build_hierarchy(closed_mesh, SETTINGS)


def cut_faces(hierarchy: Hierarchy, tau: float) -> np.ndarray:
    """Return the faces (m, 3), as positions, that are drawn at a uniform threshold."""
    error = hierarchy.group_geometric_error
    made_by = hierarchy.cluster_made_by
    drawn = (error[hierarchy.cluster_group] > tau) & ((made_by < 0) | (error[made_by] <= tau))
    face_drawn = np.repeat(drawn, np.diff(hierarchy.cluster_first_face))
    return hierarchy.vertex_position[hierarchy.faces[face_drawn]]


def half_edges(faces: np.ndarray) -> np.ndarray:
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)


def assert_closed(faces: np.ndarray) -> None:
    """Each directed edge must be matched by exactly as many opposite ones."""
    edges = half_edges(faces)
    forward, count = np.unique(edges[:, 0] << 32 | edges[:, 1], return_counts=True)
    backward, other = np.unique(edges[:, 1] << 32 | edges[:, 0], return_counts=True)
    assert np.array_equal(forward, backward) and np.array_equal(count, other)


def test_source_clusters_hold_each_triangle_once(closed_mesh, closed):
    source = np.repeat(closed.cluster_made_by < 0, np.diff(closed.cluster_first_face))
    faces = np.sort(closed.faces[source], axis=1)
    expected = np.sort(closed_mesh.faces, axis=1)
    assert np.array_equal(faces[np.lexsort(faces.T)], expected[np.lexsort(expected.T)])
    assert np.array_equal(closed.lattice[: len(closed_mesh.lattice)], closed_mesh.lattice)


def test_limits_and_numbering(closed):
    sizes = np.diff(closed.cluster_first_face)
    assert sizes.min() > 0 and sizes.max() <= 128 and closed.cluster_first_face[-1] == len(closed.faces)
    for first, last in zip(closed.cluster_first_face[:-1], closed.cluster_first_face[1:], strict=True):
        assert len(np.unique(closed.faces[first:last])) <= 255
    members = np.diff(closed.group_first_cluster)
    assert members.min() > 0 and members.max() <= 32
    assert np.array_equal(np.repeat(np.arange(len(members)), members), closed.cluster_group)
    assert (np.diff(closed.group_level) >= 0).all()
    assert (closed.cluster_made_by < closed.cluster_group).all()
    assert ((closed.cluster_level == 0) == (closed.cluster_made_by < 0)).all()
    made = closed.cluster_made_by >= 0
    assert (closed.group_level[closed.cluster_made_by[made]] + 1 == closed.cluster_level[made]).all()
    assert (closed.cluster_level <= closed.group_level[closed.cluster_group]).all()


def test_full_clusters(closed):
    sizes, source = np.diff(closed.cluster_first_face), closed.cluster_made_by < 0
    assert sizes[source].mean() >= 120 and sizes[~source].mean() >= 117


def test_closed_mesh_has_one_root_cluster(closed):
    roots = np.flatnonzero(closed.group_geometric_error == np.float32(ROOT_ERROR))
    assert len(roots) == 1 and closed.group_first_cluster[roots[0] + 1] - closed.group_first_cluster[roots[0]] == 1
    assert closed.group_attribute_error[roots[0]] == np.float32(ROOT_ERROR)
    assert set(np.setdiff1d(np.arange(len(closed.group_level)), closed.cluster_made_by)) == set(roots)


def test_one_cluster_is_halved_on_to_a_few_triangles(closed):
    sizes, members = np.diff(closed.cluster_first_face), np.diff(closed.group_first_cluster)
    alone = members[closed.cluster_group] == 1
    assert alone.sum() >= 4
    chain = sizes[alone][np.argsort(closed.cluster_level[alone])]
    assert chain[0] > 64
    assert (chain[1:] <= 0.85 * chain[:-1]).all()
    assert 6 <= chain[-1] <= 8
    last = closed.group_geometric_error[closed.cluster_made_by[closed.cluster_first_face.size - 2]]
    assert last < closed.group_radius[-1], "a larger error would be of no use"


def test_lone_clusters_keep_the_silhouette(closed):
    level = np.repeat(closed.cluster_level, np.diff(closed.cluster_first_face))
    source = silhouette_reference(closed.lattice, closed.vertex_position, closed.faces[level == 0])
    for number in range(1, level.max() + 1):
        faces = closed.faces[level == number]
        if len(faces) <= 512:
            cells = covered_cells(closed.lattice.astype(float), closed.vertex_position, faces, source)
            assert cells == pytest.approx(source[-1], rel=0.2), len(faces)


@pytest.mark.parametrize("count", [7, 8])
def test_a_few_triangles_are_left_as_they_are(count):
    hierarchy = build_hierarchy(welded(*soup(count)), SETTINGS)
    assert len(hierarchy.cluster_level) == 1
    assert len(hierarchy.faces) == count


def test_errors_grow_and_spheres_nest(closed):
    check_hierarchy(closed)
    assert (closed.group_geometric_error > 0).all()
    products = np.flatnonzero(closed.cluster_made_by >= 0)
    child, parent = closed.cluster_made_by[products], closed.cluster_group[products]
    assert (closed.group_geometric_error[parent] >= closed.group_geometric_error[child].astype(float) * GROWTH).all()


def test_spheres_contain_the_source(closed_mesh, closed):
    for cluster in np.flatnonzero(closed.cluster_made_by < 0):
        group = closed.cluster_group[cluster]
        faces = closed.faces[closed.cluster_first_face[cluster] : closed.cluster_first_face[cluster + 1]]
        points = closed.lattice[closed.vertex_position[faces.ravel()]] * closed_mesh.step
        assert np.linalg.norm(points - closed.group_center[group], axis=1).max() <= closed.group_radius[group]


@pytest.mark.parametrize("broken", ["geometric", "attribute", "radius", "center"])
def test_check_finds_what_is_broken(closed, broken):
    child = closed.cluster_made_by[-1]
    name = {"geometric": "group_geometric_error", "attribute": "group_attribute_error"}.get(broken, "group_" + broken)
    values = getattr(closed, name).copy()
    parent = closed.cluster_group[np.flatnonzero(closed.cluster_made_by == 0)[0]]
    if broken == "attribute":
        values[0] = values[parent] + 1
    elif broken == "geometric":
        values[parent] = values[0]
    elif broken == "radius":
        values[0] = values[parent] * 1.1
    else:
        values[child] += 100
    with pytest.raises(RuntimeError):
        check_hierarchy(dataclasses.replace(closed, **{name: values}))


def test_every_cut_of_a_closed_mesh_is_closed(closed_mesh, closed):
    errors = closed.group_geometric_error[closed.group_geometric_error < ROOT_ERROR]
    random = np.random.default_rng(4)
    counts = []
    for tau in [0.0, *np.unique(errors), *np.quantile(errors, random.random(20))]:
        faces = cut_faces(closed, tau)
        counts.append(len(faces))
        assert_closed(faces)
    assert counts[0] == len(closed_mesh.faces)
    assert (
        len(cut_faces(closed, errors.max()))
        == np.diff(closed.cluster_first_face)[closed.cluster_group == closed.group_level.size - 1].sum()
    )


def test_threads_do_not_matter(closed_mesh, closed):
    with limited_threads(1):
        again = build_hierarchy(closed_mesh, SETTINGS)
    for field in dataclasses.fields(Hierarchy):
        if field.name != "report":
            value, expected = getattr(again, field.name), getattr(closed, field.name)
            assert value.dtype == expected.dtype and value.tobytes() == expected.tobytes(), field.name


@pytest.mark.parametrize("count", [1, 86, 100, 3000])
def test_soup_gets_down_to_one_root(count):
    hierarchy = build_hierarchy(welded(*soup(count)), SETTINGS)
    assert (hierarchy.group_geometric_error == np.float32(ROOT_ERROR)).sum() == 1
    assert np.diff(hierarchy.cluster_first_face)[-1] <= 85
    assert len(cut_faces(hierarchy, 0.0)) == count


def test_open_sheet_gets_down_to_one_cluster():
    hierarchy = build_hierarchy(welded(*sheet(60)), SETTINGS)
    assert hierarchy.group_first_cluster[-1] - hierarchy.group_first_cluster[-2] == 1


def test_many_parts():
    parts = [torus(16, 8, 10.0 * i) for i in range(20)]
    vertices = np.concatenate([part[0] for part in parts])
    faces = np.concatenate([part[1] + i * 128 for i, part in enumerate(parts)])
    hierarchy = build_hierarchy(welded(vertices, faces), SETTINGS)
    assert hierarchy.group_first_cluster[-1] - hierarchy.group_first_cluster[-2] == 1
    assert_closed(cut_faces(hierarchy, 0.0))


def test_progress_ends():
    calls = []
    build_hierarchy(welded(*torus(60, 30)), SETTINGS, lambda *call: calls.append(call))
    assert calls[-1] == ("simplify", 7200, 7200)
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)


def test_empty_mesh_is_refused():
    mesh = welded(*torus(8, 8))
    with pytest.raises(ValueError, match="no triangle"):
        build_hierarchy(dataclasses.replace(mesh, faces=mesh.faces[:0]), SETTINGS)


def test_grown_error_is_exact():
    children = np.float32([1e-30, 1.0, 3.3333333, 1e20, 7.0])
    error = grown_error(np.array([0.0, 1.0, 3.0, 0.0, 9.0]), children)
    assert error.dtype == np.float32 and error[4] == 9
    assert (error.astype(np.float64) >= children.astype(np.float64) * GROWTH).all()


def test_merged_spheres_contain_and_are_tight():
    random = np.random.default_rng(5)
    centers, radii = random.random((200, 3)).astype(np.float32), (0.1 * random.random(200)).astype(np.float32)
    first = np.arange(0, 201, 20)
    merged, radius = merge_spheres(centers, radii, first)
    group = np.repeat(np.arange(10), 20)
    gap = np.linalg.norm(centers.astype(float) - merged[group], axis=1) + radii - radius[group]
    assert gap.max() <= 0 and radius.max() < 1.0
