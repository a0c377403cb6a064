"""simplify.py and thin.py: what a collapse must never break, on meshes made here."""

from collections import Counter

import numpy as np
import pytest

from engine.builder.simplify import LOOSE, STRICT, simplify_group
from engine.builder.thin import shrink_group, thin_group


def grid(size, step=64.0, bump=0.0):
    """Return positions (n, 3) and faces (m, 3) of a square of size x size cells in the plane z = 0, with bumps."""
    x, y = np.meshgrid(np.arange(size + 1), np.arange(size + 1), indexing="ij")
    z = bump * np.sin(0.7 * x) * np.cos(0.5 * y)
    positions = np.rint(np.stack([x * step, y * step, z], axis=-1).reshape(-1, 3))
    corner = (np.arange(size)[:, None] * (size + 1) + np.arange(size)).ravel()
    first = np.stack([corner, corner + size + 1, corner + 1], axis=1)
    second = np.stack([corner + 1, corner + size + 1, corner + size + 2], axis=1)
    return positions, np.concatenate([first, second]).astype(np.int32)


def sphere(rows=24, columns=32, radius=2000.0):
    """Return a closed sphere with two poles; lattice positions."""
    theta = np.pi * np.arange(1, rows) / rows
    phi = 2.0 * np.pi * np.arange(columns) / columns
    ring = np.stack(
        [
            np.outer(np.sin(theta), np.cos(phi)),
            np.outer(np.sin(theta), np.sin(phi)),
            np.outer(np.cos(theta), phi * 0 + 1),
        ],
        axis=-1,
    )
    positions = np.rint(radius * np.concatenate([ring.reshape(-1, 3), [[0, 0, 1], [0, 0, -1]]]))
    faces = []
    for i in range(rows - 1):
        for j in range(columns):
            a, b = i * columns + j, i * columns + (j + 1) % columns
            if i == 0:
                faces.append((len(positions) - 2, a, b))
            if i == rows - 2:
                faces.append((len(positions) - 1, b, a))
            else:
                faces += [(a, a + columns, b), (b, a + columns, b + columns)]
    return positions, np.array(faces, dtype=np.int32)


def normals_of(positions, faces):
    """Return the area-weighted vertex normals (n, 3) float32."""
    corners = positions[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(positions)
    for side in range(3):
        np.add.at(total, faces[:, side], cross)
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def run(
    kernel, positions, faces, target, locked=None, vertex_position=None, attributes=None, weight=0.0, material=None,
    manner=STRICT,
):  # fmt: skip
    """Call a kernel with everything that is not given filled in."""
    locked = np.zeros(len(positions), dtype=bool) if locked is None else locked
    if vertex_position is None:
        vertex_position = np.arange(len(positions), dtype=np.int32)
    attributes = normals_of(positions, faces) if attributes is None else attributes
    material = np.zeros(len(faces), dtype=np.int32) if material is None else material
    weights = np.full(attributes.shape[1], weight, dtype=np.float32)
    before = [a.copy() for a in (positions, vertex_position, attributes, faces, material)]
    result = kernel(positions, locked, vertex_position, attributes, weights, faces, material, target, manner)
    for given, copy in zip((positions, vertex_position, attributes, faces, material), before):
        assert np.array_equal(given, copy), "an input was changed"
    count, new_faces, new_material, new_positions, new_vertex_position, new_attributes, moved, moved_vertex, _ = result
    assert count == len(new_faces) == len(new_material)
    assert np.array_equal(new_positions, np.rint(new_positions))
    assert not (moved & locked).any()
    assert np.array_equal(moved, (new_positions != positions).any(axis=1))
    changed = (new_attributes != attributes).any(axis=1) | (new_vertex_position != vertex_position)
    assert not (changed & ~moved_vertex).any()
    return result


def edge_counts(faces):
    """Return how many faces each edge has."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    return Counter(map(tuple, edges.tolist()))


def boundary_chain(faces):
    """Return the signed border: directed edges that no opposite edge cancels."""
    chain = Counter()
    for face in faces.tolist():
        for a, b in zip(face, face[1:] + face[:1]):
            chain[min(a, b), max(a, b)] += 1 if a < b else -1
    return {edge: value for edge, value in chain.items() if value}


def euler(faces):
    return len(np.unique(faces)) - len(edge_counts(faces)) + len(faces)


def area_of(positions, faces):
    corners = positions[faces]
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2


@pytest.mark.parametrize("weight", [0.0, 100.0])
@pytest.mark.parametrize("part", [2, 8])
def test_closed_sphere_stays_closed_manifold_and_reaches_the_target(weight, part):
    positions, faces = sphere()
    target = len(faces) // part
    result = run(simplify_group, positions, faces, target, weight=weight)
    kept, moved = result[1], result[3]
    assert result[0] in (target, target - 1)
    assert set(edge_counts(kept).values()) == {2}
    assert euler(kept) == 2
    outward = np.cross(moved[kept[:, 1]] - moved[kept[:, 0]], moved[kept[:, 2]] - moved[kept[:, 0]])
    assert (np.einsum("ij,ij->i", outward, moved[kept].mean(axis=1)) > 0.0).all(), "a triangle has flipped"
    radius = np.linalg.norm(moved[np.unique(kept)], axis=1)
    assert np.abs(radius - 2000.0).max() < 60.0 * part
    assert np.linalg.norm(result[5][np.unique(kept)][:, :3], axis=1) == pytest.approx(1.0, abs=1e-4)


def test_a_sphere_never_becomes_less_than_a_tetrahedron():
    positions, faces = sphere(6, 6)
    result = run(simplify_group, positions, faces, 0)
    assert 4 <= result[0] <= 16
    assert set(edge_counts(result[1]).values()) == {2}


@pytest.mark.parametrize("with_uvs", [False, True])
def test_holes_of_three_edges_close(with_uvs):
    positions, faces = sphere()
    punched = np.delete(faces, np.arange(40, len(faces) - 40, 37), axis=0)  # single triangles, far from one another
    attributes = normals_of(positions, faces)
    if with_uvs:
        attributes = np.concatenate([attributes, attributes[:, :2]], axis=1)
    result = run(simplify_group, positions, punched, len(faces) // 8, attributes=attributes)
    counts = edge_counts(result[1])
    assert max(counts.values()) == 2
    before, after = (sum(value == 1 for value in c.values()) for c in (edge_counts(punched), counts))
    assert before > 100
    assert after <= 0.1 * before
    assert len(set(map(tuple, np.sort(result[1], axis=1).tolist()))) == len(result[1]), "no face twice"


def test_a_hole_between_locked_positions_stays_open():
    positions, faces = sphere()
    punched = np.delete(faces, 400, axis=0)
    locked = np.zeros(len(positions), dtype=bool)
    locked[faces[400]] = True  # a neighbour group's triangle
    result = run(simplify_group, positions, punched, len(faces) // 4, locked=locked)
    assert boundary_chain(result[1]) == boundary_chain(punched)


def test_locked_border_stays_exactly():
    positions, faces = grid(24, bump=60.0)
    locked = (positions[:, :2] == 0).any(axis=1) | (positions[:, :2] == 24 * 64).any(axis=1)
    result = run(simplify_group, positions, faces, len(faces) // 2, locked=locked)
    assert result[0] in (len(faces) // 2, len(faces) // 2 - 1)
    assert boundary_chain(result[1]) == boundary_chain(faces)
    assert np.array_equal(result[3][locked], positions[locked])
    both = np.array([edge for edge in edge_counts(result[1]) if locked[list(edge)].all()])
    known = {edge for edge in edge_counts(faces) if locked[list(edge)].all()}
    assert {tuple(edge) for edge in both.tolist()} <= known, "a new edge joins two locked positions"
    up = np.cross(
        result[3][result[1][:, 1]] - result[3][result[1][:, 0]], result[3][result[1][:, 2]] - result[3][result[1][:, 0]]
    )
    assert (up[:, 2] > 0.0).all()


def test_free_border_of_a_flat_square_keeps_its_outline():
    positions, faces = grid(20)
    result = run(simplify_group, positions, faces, 200)
    assert result[0] in (200, 199)
    assert area_of(result[3], result[1]) == pytest.approx(area_of(positions, faces), rel=1e-3)
    assert euler(result[1]) == 1
    assert (result[3][:, 2] == 0.0).all()


def test_seams_collapse_along_themselves_only():
    positions, faces = grid(20)
    right = positions[faces].mean(axis=1)[:, 0] > 10 * 64
    on_seam = np.nonzero(positions[:, 0] == 10 * 64)[0]
    twin = np.full(len(positions), -1)
    twin[on_seam] = len(positions) + np.arange(len(on_seam))
    faces = np.where(right[:, None] & (twin[faces] >= 0), twin[faces], faces).astype(np.int32)
    vertex_position = np.concatenate([np.arange(len(positions)), on_seam]).astype(np.int32)
    attributes = np.zeros((len(vertex_position), 5), dtype=np.float32)
    attributes[:, 2] = 1.0
    attributes[:, 3] = positions[vertex_position, 0] / 640.0
    used_right = np.unique(faces[right])
    attributes[used_right, 3] += 7.0
    result = run(simplify_group, positions, faces, 200, None, vertex_position, attributes, weight=64.0)
    kept, places, values = result[1], result[3], result[5]
    assert result[0] <= 200
    middle = places[vertex_position[kept]].mean(axis=1)[:, 0]
    sides = values[kept][:, :, 3] > 5.0
    assert (sides.all(axis=1) | ~sides.any(axis=1)).all(), "a triangle uses both sides of the seam"
    assert np.array_equal(sides[:, 0], middle > 10 * 64), "the seam has moved"
    u = values[np.unique(kept), 3]
    x = places[vertex_position[np.unique(kept)], 0] / 640.0
    assert np.abs(u - np.where(u > 5.0, x + 7.0, x)).max() < 0.05
    assert euler(vertex_position[kept]) == 1
    assert len(np.unique(kept[np.isin(vertex_position[kept], on_seam)])) < 2 * len(on_seam), "the seam did not shrink"


def test_seams_of_normals_alone_may_be_crossed():
    positions, faces = sphere()
    flat = np.arange(3 * len(faces), dtype=np.int32).reshape(-1, 3)  # every corner has its own vertex
    corners = positions[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.repeat(normals / np.linalg.norm(normals, axis=1, keepdims=True), 3, axis=0).astype(np.float32)
    result = run(simplify_group, positions, flat, 600, None, faces.ravel(), normals, weight=20.0)
    assert result[0] in (600, 599)
    kept = result[4][result[1]]
    assert set(edge_counts(kept).values()) == {2}
    outward = result[3][kept].mean(axis=1)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    cosine = np.einsum("ij,ikj->ik", outward, result[5][result[1]])
    assert np.median(cosine) > 0.98
    assert cosine.min() > 0.5


def test_material_border_stays_in_place():
    positions, faces = grid(16)
    material = (positions[faces].mean(axis=1)[:, 1] > 8 * 64).astype(np.int32)
    result = run(simplify_group, positions, faces, 100, material=material)
    assert result[0] <= 100
    middle = result[3][result[1]].mean(axis=1)[:, 1]
    assert np.array_equal(result[2] == 1, middle > 8 * 64)


def test_colour_edges_attract_vertices():
    positions, faces = grid(24)
    attributes = np.zeros((len(positions), 7), dtype=np.float32)
    attributes[:, 2] = 1.0
    inside = np.abs(positions[:, :2] - 12 * 64).max(axis=1) <= 6 * 64
    attributes[inside, 3:6] = 1.0
    result = run(simplify_group, positions, faces, 300, attributes=attributes, weight=64.0)
    used = np.unique(result[1])
    red = result[5][used, 3]
    assert ((red < 0.2) | (red > 0.8)).mean() > 0.9
    assert 0.1 < (red > 0.8).mean() < 0.9


@pytest.mark.parametrize("kernel", [simplify_group, thin_group])
@pytest.mark.parametrize("manner", [STRICT, LOOSE])
def test_awkward_input_does_no_harm(kernel, manner):
    positions, faces = grid(8)
    fin = np.array([[0, 1, 40], [0, 1, 70], [5, 5, 6], [3, 4, 4]], dtype=np.int32)
    double = faces[:10][:, ::-1]
    result = run(kernel, positions, np.concatenate([faces, fin, double, faces[:3]]).astype(np.int32), 40, manner=manner)
    assert 0 < result[0] < len(faces)
    kept = result[4][result[1]]
    assert (kept[:, 0] != kept[:, 1]).all()
    assert (kept[:, 1] != kept[:, 2]).all()
    empty = run(kernel, positions, np.zeros((0, 3), dtype=np.int32), 10, manner=manner)
    assert empty[0] == 0
    one = run(kernel, positions[:3], np.array([[0, 1, 2]], dtype=np.int32), 0, manner=manner)
    assert one[0] == 1


def test_same_bits_every_time():
    positions, faces = sphere()
    first, second = (run(simplify_group, positions, faces, 300, weight=50.0) for _ in range(2))
    for a, b in zip(first[1:8], second[1:8]):
        assert np.array_equal(a, b)


def test_soup_is_thinned_and_keeps_its_area():
    generator = np.random.default_rng(5)
    center = generator.integers(-5000, 5000, (1500, 1, 3))
    positions = (center + generator.integers(-100, 100, (1500, 3, 3))).reshape(-1, 3).astype(float)
    faces = np.arange(4500, dtype=np.int32).reshape(-1, 3)
    stuck = run(simplify_group, positions, faces, 750)
    assert stuck[0] == 1500
    result = run(thin_group, positions, faces, 750)
    assert 500 < result[0] <= 750
    assert area_of(result[3], result[1]) == pytest.approx(area_of(positions, faces), rel=0.1)


@pytest.mark.parametrize("kernel", [simplify_group, thin_group])
def test_loose_collapses_keep_locked_borders_closed(kernel):
    positions, faces = grid(20, bump=60.0)
    locked = (positions[:, :2] == 0).any(axis=1) | (positions[:, :2] == 20 * 64).any(axis=1)
    result = run(kernel, positions, faces, len(faces) // 4, locked=locked, manner=LOOSE)
    assert 0 < result[0] <= len(faces) // 4
    assert np.array_equal(result[3][locked], positions[locked])
    assert boundary_chain(result[4][result[1]]) == boundary_chain(faces)


def charted_sphere():
    """Return a sphere whose triangles are charts of two, with normals and UVs of their own."""
    positions, faces = sphere()
    flat = np.arange(3 * len(faces), dtype=np.int32).reshape(-1, 3)
    corners = positions[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.repeat(normals / np.linalg.norm(normals, axis=1, keepdims=True), 3, axis=0)
    uvs = positions[faces.ravel()][:, :2] / 4000.0 + 100.0 * np.repeat(np.arange(len(faces)) // 2, 3)[:, None]
    return positions, flat, faces, np.concatenate([normals, uvs], axis=1).astype(np.float32)


def test_normals_alone_are_no_seam_of_a_mesh_with_uvs():
    positions, faces = sphere()
    flat = np.arange(3 * len(faces), dtype=np.int32).reshape(-1, 3)
    corners = positions[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.repeat(normals / np.linalg.norm(normals, axis=1, keepdims=True), 3, axis=0)
    uvs = positions[faces.ravel()][:, :2] / 4000.0
    attributes = np.concatenate([normals, uvs], axis=1).astype(np.float32)
    result = run(simplify_group, positions, flat, 600, None, faces.ravel(), attributes, weight=200.0)
    assert result[0] in (600, 599)
    kept = result[1]
    assert set(edge_counts(result[4][kept]).values()) == {2}
    assert np.abs(result[5][kept][:, :, 3:] - result[3][result[4][kept]][:, :, :2] / 4000.0).max() < 0.05, "a UV jumps"
    for position in np.unique(result[4][kept]):
        vertices = np.unique(kept[result[4][kept] == position])
        assert len(np.unique(result[5][vertices, 3:], axis=0)) == 1, "a seam of UVs has opened"


def test_loose_collapses_cross_seams_and_keep_each_triangle_in_its_chart():
    positions, flat, faces, attributes = charted_sphere()
    stuck = run(simplify_group, positions, flat, 600, None, faces.ravel(), attributes, weight=200.0)
    assert stuck[0] > 0.9 * len(faces)
    assert stuck[8] > 0.9, "all positions are pinned"
    result = run(simplify_group, positions, flat, 600, None, faces.ravel(), attributes, weight=200.0, manner=LOOSE)
    assert result[0] <= 600
    chart = np.floor(result[5][result[1]][:, :, 3] / 100.0 + 0.5)
    assert (chart == chart[:, :1]).all(), "a triangle spans two charts"
    assert set(edge_counts(result[4][result[1]]).values()) == {2}
    assert area_of(result[3], result[4][result[1]]) == pytest.approx(area_of(positions, faces), rel=0.05)


def test_faces_of_tetrahedra_shrink():
    cell = np.array([[0, 1, 3, 7], [0, 1, 5, 7], [0, 2, 3, 7], [0, 2, 6, 7], [0, 4, 5, 7], [0, 4, 6, 7]])
    size = 6
    x, y, z = (a.ravel() for a in np.meshgrid(*[np.arange(size)] * 3, indexing="ij"))
    side = size + 1
    corner = [((x + (n & 1)) * side + y + (n >> 1 & 1)) * side + z + (n >> 2) for n in range(8)]
    tetrahedra = np.stack(corner, axis=1)[:, cell].reshape(-1, 4)
    faces = np.unique(
        np.sort(tetrahedra[:, [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]].reshape(-1, 3), axis=1), axis=0
    )
    number = np.arange(side**3)
    positions = np.stack([number // side**2, number // side % side, number % side], axis=1) * 64.0
    faces = faces.astype(np.int32)
    assert run(simplify_group, positions, faces, len(faces) // 2)[0] == len(faces)
    result = run(simplify_group, positions, faces, len(faces) // 4, manner=LOOSE)
    kept = result[4][result[1]]
    assert 0 < result[0] <= len(faces) // 4
    assert len(np.unique(np.sort(kept, axis=1), axis=0)) > 0.5 * len(kept)
    first = [np.roll(face, -int(np.argmin(face))).tolist() for face in kept]
    assert len(set(map(tuple, first))) == len(kept), "equal faces are left"


def test_cards_are_thinned_whole_and_keep_their_area():
    generator = np.random.default_rng(6)
    corners = generator.integers(-5000, 5000, (600, 1, 3)) + generator.integers(-100, 100, (600, 4, 3))
    positions = corners.reshape(-1, 3).astype(float)
    faces = (4 * np.arange(600)[:, None, None] + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3).astype(np.int32)
    locked, weights = np.zeros(len(positions), dtype=bool), np.zeros(3, dtype=np.float32)
    result = shrink_group(
        positions, locked, np.arange(2400, dtype=np.int32), normals_of(positions, faces), weights, faces,
        np.zeros(1200, dtype=np.int32), 600, False,
    )  # fmt: skip
    assert 550 < result[0] <= 600
    assert area_of(result[3], result[1]) == pytest.approx(area_of(positions, faces), rel=0.05)
    assert (np.bincount(result[1].ravel() // 4) % 6 == 0).all(), "half a card is left"


@pytest.mark.parametrize("flat", [False, True])
def test_parts_worn_down_swell_back_to_their_area(flat):
    positions, faces = grid(24, bump=0.0) if flat else sphere()
    if flat:
        faces = faces[np.linalg.norm(positions[faces].mean(axis=1)[:, :2] - 768, axis=1) < 700]
    locked, weights = np.zeros(len(positions), dtype=bool), np.zeros(3, dtype=np.float32)
    rest = (positions, locked, np.arange(len(positions), dtype=np.int32), normals_of(positions, faces), weights, faces,
            np.zeros(len(faces), dtype=np.int32), 3 if flat else 24)  # fmt: skip
    worn, swollen = simplify_group(*rest, STRICT), shrink_group(*rest, True)
    area = area_of(positions, faces)
    assert area_of(worn[3], worn[1]) < 0.95 * area
    assert area_of(swollen[3], swollen[1]) == pytest.approx(area, rel=0.04)
    assert np.array_equal(worn[1], swollen[1])
    assert np.abs(swollen[3] - worn[3]).max() < 250.0
