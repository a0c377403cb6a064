"""Pages: what is decoded is what was encoded, within the quantum; limits, order and dependencies hold."""

import dataclasses

import numpy as np
import pytest

from engine import asset_file, layout
from engine.asset_page_checks import PageTables, check_page, page_tables
from engine.asset_pages import decode_cluster, decode_normals, page_clusters, page_dependencies, page_header
from engine.asset_storage import decompress_page
from engine.builder.page_encoder import compress_page
from engine.builder.page_kernels import octahedral
from engine.builder.pages import ROOT_PAGE_WORDS, STREAMS, Bases, EncodedMesh, encode_mesh
from engine.builder.threads import limited_threads
from engine.settings import BuildSettings
from tests.builder.sample_hierarchy import ROOT_ERROR, STEP, sample_hierarchy

FLAGS = np.array([0, layout.CONSTANTS["MATERIAL_TWO_SIDED"], layout.CONSTANTS["MATERIAL_MASKED"]], np.uint32)
DEFAULTS, FIRST = BuildSettings(), Bases()
SMALL_PAGES = BuildSettings(page_bytes=8192)


def encoded(settings: BuildSettings = DEFAULTS, bases: Bases = FIRST, **options: bool) -> EncodedMesh:
    flags = np.concatenate([np.zeros(bases.material, np.uint32), FLAGS])
    return encode_mesh(sample_hierarchy(**options), STEP, np.array([1.0, 2.0, 3.0]), flags, settings, bases)


def pages_of(mesh: EncodedMesh) -> list[np.ndarray]:
    return [mesh.words[start:end] for start, end in zip(mesh.page_word[:-1], mesh.page_word[1:])]


def tables_of(mesh: EncodedMesh) -> PageTables:
    """Return what the pages are checked against, as if the mesh were alone in its asset."""
    pages = np.zeros(len(mesh.page_word) - 1, asset_file.PAGE)
    return page_tables(np.array([mesh.record]), mesh.nodes, mesh.groups, pages, 3)


def clusters_of(mesh: EncodedMesh) -> np.ndarray:
    return np.concatenate([page_clusters(page) for page in pages_of(mesh)])


def source_clusters(mesh: EncodedMesh, hierarchy) -> np.ndarray:
    """Return the cluster of the hierarchy of each encoded cluster; the made-up sphere centres tell groups apart."""
    found = []
    for group in mesh.groups:
        source = np.flatnonzero((hierarchy.group_center == group["center"]).all(axis=1))
        assert len(source) == 1
        found += range(hierarchy.group_first_cluster[source[0]], hierarchy.group_first_cluster[source[0] + 1])
    return np.array(found)


def turned(triangles: np.ndarray) -> np.ndarray:
    """Return triangles (t, 3, k) each turned so that its least corner is first, in a fixed order."""
    rows = [min(tuple(map(tuple, np.roll(t, shift, axis=0))) for shift in range(3)) for t in triangles]
    return np.array(sorted(rows))


@pytest.mark.parametrize(("uvs", "colors"), [(False, False), (True, False), (False, True), (True, True)])
def test_round_trip(uvs, colors):
    hierarchy = sample_hierarchy(uvs=uvs, colors=colors)
    mesh = encode_mesh(hierarchy, STEP, np.zeros(3), FLAGS, BuildSettings())
    pages, uv_step = pages_of(mesh), float(mesh.record["uv_step"])
    source = iter(source_clusters(mesh, hierarchy))
    for page in pages:
        for place in range(len(page_clusters(page))):
            check_cluster(decode_cluster(page, place, STEP, uv_step), hierarchy, next(source), uv_step)
    assert next(source, None) is None


def check_cluster(geometry, hierarchy, cluster, uv_step):
    """Compare triangle by triangle: exact positions and materials, attributes within the quantum."""
    faces = slice(*hierarchy.cluster_first_face[cluster : cluster + 2])
    corners = hierarchy.faces[faces]
    lattice = hierarchy.lattice[hierarchy.vertex_position[corners]].astype(np.float64)
    attributes = hierarchy.attributes[corners]
    materials = np.repeat(hierarchy.face_material[faces][:, None, None], 3, axis=1)
    wanted = turned(np.concatenate([lattice * STEP, materials, attributes], axis=2))
    triangles = geometry.triangles
    found = [geometry.positions[triangles], np.repeat(geometry.material[:, None, None], 3, axis=1)]
    found += [geometry.normals[triangles]]
    found += [] if geometry.uvs is None else [geometry.uvs[triangles]]
    found += [] if geometry.colors is None else [geometry.colors[triangles] / 255.0]
    found = turned(np.concatenate(found, axis=2))
    assert found.shape == wanted.shape
    assert np.array_equal(found[..., :4], wanted[..., :4])
    cosine = (found[..., 4:7] * wanted[..., 4:7]).sum(axis=2)
    assert np.degrees(np.arccos(np.minimum(cosine, 1.0))).max() < 1.0
    rest = np.abs(found[..., 7:] - wanted[..., 7:])
    if geometry.uvs is not None:
        assert rest[..., :2].max() <= 0.5001 * uv_step
    if geometry.colors is not None:
        assert rest[..., -4:].max() <= 0.5001 / 255


def test_vertices_stand_in_order_of_first_use():
    mesh = encoded()
    for page in pages_of(mesh):
        for place in range(len(page_clusters(page))):
            corners = decode_cluster(page, place, STEP, 1.0).triangles.ravel().astype(int)
            before = np.concatenate([[-1], np.maximum.accumulate(corners)[:-1]])
            assert (corners <= before + 1).all()


def test_boxes_are_exact():
    mesh = encoded()
    low, high = np.full((len(mesh.groups), 3), np.inf), np.full((len(mesh.groups), 3), -np.inf)
    for page in pages_of(mesh):
        for place, cluster in enumerate(page_clusters(page)):
            positions = decode_cluster(page, place, STEP, 1.0).positions
            assert np.array_equal(positions.min(axis=0), cluster["origin"] * np.float32(STEP))
            assert np.array_equal(positions.max(axis=0), (cluster["origin"] + cluster["extent"]) * np.float32(STEP))
            low[cluster["group"]] = np.minimum(low[cluster["group"]], positions.min(axis=0))
            high[cluster["group"]] = np.maximum(high[cluster["group"]], positions.max(axis=0))
            assert (np.linalg.norm(positions - mesh.record["center"], axis=1) <= mesh.record["radius"]).all()
    assert np.array_equal(low, mesh.groups["box_min"])
    assert np.array_equal(high, mesh.groups["box_max"])
    assert np.array_equal(mesh.record["box_min"], low.min(axis=0).astype(np.float32))


@pytest.mark.parametrize("settings", [BuildSettings(), BuildSettings(page_bytes=32768), SMALL_PAGES])
def test_pages_keep_their_limits_and_name_what_they_need(settings):
    mesh = encoded(settings, subdivisions=5, uvs=True)
    pages = pages_of(mesh)
    clusters = clusters_of(mesh)
    page_of_cluster = np.repeat(np.arange(len(pages)), [len(page_clusters(page)) for page in pages])
    for number, page in enumerate(pages):
        check_page(page, number, tables_of(mesh))
        header = page_header(page)
        own = mesh.groups[header["first_group"] : header["first_group"] + header["group_count"]]
        has_root = (own["geometric_error"] == ROOT_ERROR).any()
        assert header["flags"] == (layout.CONSTANTS["PAGE_ROOT"] if has_root else 0)
        limit = settings.page_bytes // 4
        assert len(page) <= (min(limit, ROOT_PAGE_WORDS) if has_root else limit)
        products = np.isin(clusters["made_by"], np.arange(header["first_group"], header["first_group"] + len(own)))
        assert set(page_of_cluster[products]) - {number} <= set(page_dependencies(page).tolist())
        assert number not in page_dependencies(page)
    assert np.array_equal(clusters["index"], np.arange(len(clusters)))
    assert np.array_equal(mesh.groups["page"][clusters["group"]], page_of_cluster)


def test_dependencies_point_to_earlier_pages():
    mesh = encoded(BuildSettings(page_bytes=32768), subdivisions=5)
    pages = pages_of(mesh)
    assert len(pages) > 5
    assert sum(len(page_dependencies(page)) for page in pages) > 0
    for number, page in enumerate(pages):
        assert (page_dependencies(page) < number).all()


def test_a_group_too_large_for_a_page_is_split_into_twins():
    options = {"soup": True, "uvs": True, "colors": True}
    hierarchy = sample_hierarchy(3, **options)
    hierarchy = dataclasses.replace(hierarchy, **thinner_clusters(hierarchy))
    mesh = encode_mesh(hierarchy, STEP, np.zeros(3), FLAGS, SMALL_PAGES)
    groups, clusters, pages = mesh.groups, clusters_of(mesh), pages_of(mesh)
    assert max(map(len, pages)) <= 2048
    assert len(groups) > len(hierarchy.group_level)
    first_twin = {}
    for number, group in enumerate(groups):
        first = first_twin.setdefault(group["center"].tobytes(), number)
        for name in ("radius", "geometric_error", "attribute_error"):
            assert groups[first][name].tobytes() == group[name].tobytes()
        if first != number and group["page"] != groups[first]["page"]:
            assert groups[first]["page"] in page_dependencies(pages[group["page"]])
            assert group["page"] in page_dependencies(pages[groups[first]["page"]])
    made_by = clusters["made_by"][clusters["made_by"] != layout.NONE]
    assert set(made_by.tolist()) <= set(first_twin.values())
    assert mesh.stored_triangles == len(hierarchy.faces)


def thinner_clusters(hierarchy) -> dict:
    """Return the fields that hold, with all clusters cut to 80 triangles: as many as a soup's vertices allow."""
    first = hierarchy.cluster_first_face
    keep = np.arange(len(hierarchy.faces)) - np.repeat(first[:-1], np.diff(first)) < 80
    counts = np.minimum(np.diff(first), 80)
    return {
        "faces": hierarchy.faces[keep],
        "face_material": hierarchy.face_material[keep],
        "cluster_first_face": np.concatenate([[0], np.cumsum(counts)]),
    }


def test_numbers_count_over_the_asset():
    plain, moved = encoded(), encoded(bases=Bases(mesh=3, node=100, group=200, cluster=300, page=400, material=7))
    clusters, other = clusters_of(plain), clusters_of(moved)
    made = clusters["made_by"] != layout.NONE
    assert np.array_equal(other["made_by"][made], clusters["made_by"][made] + 200)
    assert (other["made_by"][~made] == layout.NONE).all()
    assert np.array_equal(other["group"], clusters["group"] + 200)
    assert np.array_equal(other["index"], clusters["index"] + 300)
    leaf = plain.nodes["child_count"] == 0
    assert np.array_equal(moved.nodes["child"], plain.nodes["child"] + np.where(leaf, 200, 100))
    assert np.array_equal(moved.groups["page"], plain.groups["page"] + 400)
    assert np.array_equal(moved.groups["first_cluster"], plain.groups["first_cluster"] + 300)
    assert (moved.groups["mesh"] == 3).all()
    assert moved.record["root_node"] == 100
    for before, after in zip(pages_of(plain), pages_of(moved)):
        assert page_header(after)["first_group"] == page_header(before)["first_group"] + 200
        assert np.array_equal(page_dependencies(after), page_dependencies(before) + 400)
        first = decode_cluster(before, 0, STEP, 1.0).material
        assert np.array_equal(decode_cluster(after, 0, STEP, 1.0).material, first + 7)


def test_flags_levels_and_counts():
    hierarchy = sample_hierarchy(uvs=True)
    mesh = encode_mesh(hierarchy, STEP, np.zeros(3), FLAGS, BuildSettings())
    constants = layout.CONSTANTS
    for record, cluster in zip(clusters_of(mesh), source_clusters(mesh, hierarchy)):
        faces = slice(*hierarchy.cluster_first_face[cluster : cluster + 2])
        materials = set(hierarchy.face_material[faces].tolist())
        flags = int(record["counts"]) >> 24
        assert bool(flags & constants["CLUSTER_TWO_SIDED"]) == (1 in materials)
        assert bool(flags & constants["CLUSTER_MASKED"]) == (2 in materials)
        assert flags & constants["CLUSTER_HAS_NORMALS"]
        assert flags & constants["CLUSTER_HAS_UVS"]
        assert not flags & constants["CLUSTER_HAS_COLORS"]
        assert record["counts"] >> 16 & 255 == hierarchy.cluster_level[cluster]
        assert record["counts"] >> 8 & 255 == len(hierarchy.faces[faces])
        assert record["bits"] >> 25 == len(materials)


def test_bytes_of_streams_add_up():
    mesh = encoded(uvs=True, colors=True)
    assert tuple(mesh.stream_bytes) == STREAMS
    assert sum(mesh.stream_bytes.values()) == mesh.words.nbytes
    assert min(mesh.stream_bytes.values()) > 0
    assert mesh.source_triangles == 8 * 4**4


def test_the_same_bytes_with_any_number_of_threads():
    parts = []
    for threads in (1, 2):
        with limited_threads(threads):
            mesh = encoded(uvs=True, colors=True)
        parts.append([mesh.words.tobytes(), mesh.nodes.tobytes(), mesh.groups.tobytes(), mesh.record.tobytes()])
    assert parts[0] == parts[1]


def test_normals_within_a_degree_and_axes_exact():
    normals = np.random.default_rng(0).normal(size=(20000, 3))
    normals[:2000, 2] *= 1e-4
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    packed = np.array([octahedral(*normal) for normal in normals], np.uint16).view(np.int8).reshape(-1, 2)
    cosine = (decode_normals(packed).astype(np.float64) * normals).sum(axis=1)
    assert np.degrees(np.arccos(np.minimum(cosine, 1.0))).max() < 0.75
    for axis in np.concatenate([np.eye(3), -np.eye(3)]):
        packed = np.array([octahedral(*axis)], np.uint16).view(np.int8).reshape(-1, 2)
        assert np.array_equal(decode_normals(packed)[0], axis.astype(np.float32))
    assert octahedral(0.0, 0.0, 0.0) == 0


def test_repeating_textures_get_a_coarser_quantum():
    hierarchy = sample_hierarchy(3, uvs=True)
    hierarchy.attributes[:, 3:5] *= 100000
    mesh = encode_mesh(hierarchy, STEP, np.zeros(3), FLAGS, BuildSettings())
    step = float(mesh.record["uv_step"])
    assert step > 2.0**-14
    assert np.log2(step) % 1 == 0
    page = pages_of(mesh)[-1]
    geometry = decode_cluster(page, 0, STEP, step)
    reach = np.abs(hierarchy.attributes[:, 3:5]).max()
    assert np.abs(geometry.uvs).max() <= reach + step


def test_origin_is_kept_as_two_floats():
    origin = np.array([123456789.0, -4.6e6, 2.0**-10]) // STEP * STEP
    record = encode_mesh(sample_hierarchy(2), STEP, origin, FLAGS, BuildSettings()).record
    assert np.array_equal(record["origin_high"].astype(np.float64) + record["origin_low"], origin)


def test_refuses_what_breaks_a_limit():
    hierarchy = sample_hierarchy(4, soup=True)
    with pytest.raises(ValueError, match="more than 255 vertices"):
        encode_mesh(hierarchy, STEP, np.zeros(3), FLAGS, BuildSettings())
    hierarchy = sample_hierarchy(4)
    hierarchy.cluster_first_face = np.delete(hierarchy.cluster_first_face, 1)
    with pytest.raises(ValueError, match="1 to 128 triangles"):
        encode_mesh(hierarchy, STEP, np.zeros(3), FLAGS, BuildSettings())


@pytest.mark.parametrize("settings", [BuildSettings(), SMALL_PAGES])
def test_stored_pages_come_back_word_for_word(settings):
    mesh = encoded(settings, subdivisions=5, uvs=True, colors=True)
    for page in pages_of(mesh):
        stored = np.frombuffer(compress_page(page, 3), np.uint8)
        assert len(stored) < 0.95 * page.nbytes
        assert np.array_equal(decompress_page(stored, len(page)), page)


@pytest.mark.parametrize(
    "where", ["triangle", "material", "made_by", "data", "vertices", "group", "dependency", "index"]
)
def test_a_wrong_index_in_a_page_is_refused(where):
    mesh = encoded(BuildSettings(page_bytes=32768), subdivisions=5)
    number = next(i for i, page in enumerate(pages_of(mesh)) if len(page_dependencies(page)))
    page, count = pages_of(mesh)[number].copy(), len(mesh.page_word) - 1
    check_page(page, number, tables_of(mesh))
    records, streams = page_clusters(page), 8 + int(page_clusters(page)["data"][0])
    ranges = int(records["bits"][0]) >> 25
    if where == "triangle":
        page[streams + ranges + 3] |= 0xFF00
    elif where == "material":
        page[streams] += 3 << 8
    elif where == "made_by":
        records["made_by"][1] = len(mesh.groups)
    elif where == "data":
        records["data"][-1] += 1
    elif where == "vertices":
        records["counts"][2] &= 0xFFFFFF00
    elif where == "group":
        page.view(layout.PAGE_HEADER.fields["first_group"][0])[2] += 1
    elif where == "dependency":
        page[page_header(page)["dependency_word"]] = count
    else:
        records["index"][1] += 1
    with pytest.raises(ValueError, match=f"page {number} "):
        check_page(page, number, tables_of(mesh))
