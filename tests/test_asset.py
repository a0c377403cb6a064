"""The .mlith file: what is written is read, damage is one clear error, and writing is all or nothing."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from engine import asset_file, asset_tables, layout
from engine.asset import Asset, open_asset
from engine.builder.asset_writer import AssetWriter
from engine.builder.pages import Bases, EncodedMesh, encode_mesh
from engine.frame import queues
from engine.materials import default_material
from engine.settings import BuildSettings
from tests.builder.sample_hierarchy import STEP, sample_hierarchy

TEXTURES = [("image/png", b"not really a picture"), ("image/jpeg", bytes(range(256)))]
ORIGINS = np.array([[10.0, 0.0, 0.0], [0.0, -5.0, 0.0]])


def sample_meshes() -> list[EncodedMesh]:
    first = encode_mesh(sample_hierarchy(4, uvs=True), STEP, ORIGINS[0], np.zeros(3, np.uint32), BuildSettings())
    bases = Bases(1, len(first.nodes), len(first.groups), int(first.record["cluster_count"]), len(first.page_word) - 1)
    second = encode_mesh(
        sample_hierarchy(2, colors=True), STEP, ORIGINS[1], np.zeros(3, np.uint32), BuildSettings(), bases
    )
    return [first, second]


def sample_tables(meshes: list[EncodedMesh]) -> dict[str, np.ndarray]:
    materials = np.array([default_material()] * 3, layout.MATERIAL)
    materials["base_color_texture"] = [0, 1, layout.NONE]
    instances = np.zeros(3, asset_file.INSTANCE)
    instances["mesh"] = [0, 1, 1]
    instances["transform"][:, :, :3] = np.eye(3) * np.array([1.0, 2.0, -1.0])[:, None, None]
    instances["transform"][2, :, 3] = [0.0, 0.0, 1e6]
    return {
        "meshes": np.array([mesh.record for mesh in meshes], layout.MESH),
        "nodes": np.concatenate([mesh.nodes for mesh in meshes]),
        "groups": np.concatenate([mesh.groups for mesh in meshes]),
        "materials": materials,
        "instances": instances,
        "triangles": np.array([(m.source_triangles, m.stored_triangles) for m in meshes], asset_file.TRIANGLES),
    }


def write(path: Path, meshes: list[EncodedMesh], threads: int = 2, tables: dict | None = None) -> int:
    with AssetWriter(path, threads=threads) as writer:
        for number, mesh in enumerate(meshes):
            writer.add_pages(mesh.words, mesh.page_word, number)
        metadata = {"sources": ["a.obj"], "note": "é"}
        names = ["sphere", "small sphere"], ["red", "green", "blue"]
        return writer.finish(sample_tables(meshes) | (tables or {}), TEXTURES, *names, metadata)


@pytest.fixture(scope="module")
def meshes() -> list[EncodedMesh]:
    return sample_meshes()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, meshes: list[EncodedMesh]) -> Path:
    path = tmp_path_factory.mktemp("asset") / "sample.mlith"
    write(path, meshes)
    return path


def read_everything(asset: Asset) -> bytes:
    """Return all that an asset holds as bytes; whatever is damaged must be seen on the way."""
    tables = (asset.meshes, asset.nodes, asset.groups, asset.materials, asset.instances, asset.mesh_triangles)
    pages = [asset.page_words(page) for page in range(asset.page_count)]
    texts = repr((asset.mesh_names, asset.material_names, asset.metadata, asset.textures))
    return b"".join([*(table.tobytes() for table in (*tables, *pages, asset.clusters())), texts.encode()])


def test_what_is_written_is_read(path, meshes):
    asset = open_asset(path)
    for name, table in sample_tables(meshes).items():
        read = asset.mesh_triangles if name == "triangles" else getattr(asset, name)
        assert read.dtype == table.dtype
        assert read.tobytes() == table.tobytes(), name
        assert not read.flags.writeable
    words = np.concatenate([asset.page_words(page) for page in range(asset.page_count)])
    assert np.array_equal(words, np.concatenate([mesh.words for mesh in meshes]))
    assert asset.textures == TEXTURES
    assert asset.mesh_names == ["sphere", "small sphere"]
    assert asset.material_names == ["red", "green", "blue"]
    assert asset.metadata == {"sources": ["a.obj"], "note": "é"}
    assert np.array_equal(asset.mesh_origins, ORIGINS)
    assert asset.source_triangles == 8 * 4**4 + 8 * 4**2
    assert asset.instanced_triangles == 8 * 4**4 + 2 * 8 * 4**2


def test_clusters_and_their_geometry(path, meshes):
    asset = open_asset(path)
    clusters = asset.clusters()
    assert np.array_equal(clusters["index"], np.arange(asset.meshes["cluster_count"].sum()))
    area = np.zeros(2)
    for number, cluster in enumerate(clusters):
        geometry = asset.cluster_geometry(number)
        assert len(geometry.positions) == cluster["counts"] & 255
        mesh = asset.groups[cluster["group"]]["mesh"]
        assert (geometry.uvs is None) == (mesh == 1)
        assert (geometry.colors is None) == (mesh == 0)
        if cluster["made_by"] == layout.NONE:
            corners = geometry.positions[geometry.triangles].astype(np.float64)
            normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            area[mesh] += np.linalg.norm(normal, axis=1).sum() / 2
            outside = corners.mean(axis=1) + normal * 1e-6
            assert (np.linalg.norm(outside, axis=1) > np.linalg.norm(corners.mean(axis=1), axis=1)).all()
    assert np.allclose(area, 4 * np.pi, rtol=0.1)
    for wrong in (-1, len(clusters)):
        with pytest.raises(IndexError):
            asset.cluster_geometry(wrong)


def test_bounds_and_bytes(path):
    asset = open_asset(path)
    low, high = asset.bounds()
    assert np.allclose(low, [-2, -12, -2], atol=0.01)
    assert np.allclose(high, [11, 6, 1e6 + 1], atol=0.01)
    streams = asset.stream_bytes()
    assert sum(streams.values()) == 4 * asset.page_table["word_count"].sum()
    assert streams["uvs"] > 0
    assert streams["colors"] > 0


def test_the_same_bytes_with_any_number_of_threads(path, meshes, tmp_path):
    write(tmp_path / "one.mlith", meshes, threads=1)
    assert (tmp_path / "one.mlith").read_bytes() == path.read_bytes()


def test_every_cut_short_file_is_refused(path, tmp_path):
    data = path.read_bytes()
    random = np.random.default_rng(0)
    cuts = {0, 1, 8, asset_file.HEADER.itemsize, len(data) - 1, *random.integers(0, len(data), 40).tolist()}
    for cut in cuts:
        (tmp_path / "cut.mlith").write_bytes(data[:cut])
        with pytest.raises(ValueError, match=r"cut\.mlith: "):
            open_asset(tmp_path / "cut.mlith")
    (tmp_path / "cut.mlith").write_bytes(data + b"\0")
    with pytest.raises(ValueError, match="appended"):
        open_asset(tmp_path / "cut.mlith")


def test_a_file_that_is_cut_short_while_open_is_an_error(path, tmp_path):
    file = tmp_path / "copy.mlith"
    file.write_bytes(path.read_bytes())
    asset = open_asset(file)
    asset.page_words(0)
    names = ("meshes", "nodes", "groups", "materials", "instances", "mesh_triangles", "page_table")
    tables = [getattr(asset, name).tobytes() for name in names]
    os.truncate(file, asset_file.HEADER.itemsize)  # the mapped bytes are gone: to touch them is SIGBUS
    for read in (asset.page_words, asset.texture):
        with pytest.raises(ValueError, match=r"copy\.mlith: was cut short after it was opened"):
            read(0)
    assert tables == [getattr(asset, name).tobytes() for name in names]


def test_damaged_bytes_are_an_error_or_change_nothing(path):
    data = np.frombuffer(path.read_bytes(), np.uint8)
    whole, random = read_everything(open_asset(path)), np.random.default_rng(0)
    messages: list[str] = []
    starts = np.concatenate(
        [random.integers(0, len(data), 150), random.integers(0, 72, 25), len(data) - 1 - np.arange(25)]
    )
    for start in starts:
        damaged = data.copy()
        damaged[start : start + random.integers(1, 9)] ^= np.uint8(1 << random.integers(0, 8))
        try:
            assert read_everything(Asset(path, damaged)) == whole
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 150
    assert not any("\n" in message for message in messages)


@pytest.mark.parametrize("seed", range(6))
def test_damage_behind_right_checksums_is_refused_or_harmless(path, seed):
    """Tables and pages that lie: every checksum is made right again, so only the checks of indices are left."""
    random = np.random.default_rng(seed)
    messages: list[str] = []
    data = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(40):
        damaged = data.copy()
        entry = sections(damaged)[random.integers(0, len(asset_file.SECTIONS))]
        if entry["bytes"]:
            damaged[int(entry["offset"]) + random.integers(0, int(entry["bytes"]))] = random.integers(0, 256)
        seal(damaged)
        try:
            asset = Asset(path, damaged)
            read_everything(asset)
            for cluster in range(0, len(asset.clusters()), 7):
                asset.cluster_geometry(cluster)
        except ValueError as error:
            messages.append(str(error))
    assert not any("\n" in message for message in messages)


def sections(data: np.ndarray) -> np.ndarray:
    header = data[: asset_file.HEADER.itemsize].view(asset_file.HEADER)[0]
    return data[int(header["table_offset"]) :].view(asset_file.SECTION)


def seal(data: np.ndarray) -> None:
    """Make the checksums of sections, table and header right."""
    header, entries = data[: asset_file.HEADER.itemsize].view(asset_file.HEADER), sections(data)
    for entry in entries:
        entry["checksum"] = zlib.crc32(data[int(entry["offset"]) : int(entry["offset"]) + int(entry["bytes"])])
    header["table_checksum"] = zlib.crc32(entries.tobytes())
    header["header_checksum"] = zlib.crc32(data[: asset_file.HEADER.itemsize - 4])


def first_inner(nodes: np.ndarray) -> int:
    return int(np.flatnonzero(nodes["child_count"] > 0)[0])


def spoiled(meshes: list[EncodedMesh], table: str, field: str, row: int, value: object) -> np.ndarray:
    changed = sample_tables(meshes)[table].copy()
    changed[field][row] = value
    return changed


@pytest.mark.parametrize(
    ("table", "field", "row", "value"),
    [
        ("nodes", "child", 0, 0),
        ("nodes", "child", 0, 1 << 31),
        ("nodes", "child_count", 0, 9),
        ("nodes", "child", -1, 1 << 20),
        ("groups", "page", 0, 1000),
        ("groups", "mesh", -1, 2),
        ("groups", "first_cluster", 1, 0),
        ("groups", "place", 0, 0),
        ("meshes", "root_node", 1, 0),
        ("meshes", "node_count", 0, 0),
        ("meshes", "cluster_count", 0, 1),
        ("meshes", "step", 0, 0.0),
        ("meshes", "step", 0, np.nan),
        ("meshes", "uv_step", 1, 0.3),
        ("meshes", "group_base", 1, 5),
        ("materials", "normal_texture", 0, 2),
        ("instances", "mesh", 0, 2),
        ("instances", "transform", 0, np.inf),
        ("nodes", "box_max", 0, -1e3),
        ("nodes", "radius", 0, 1e-3),
        ("nodes", "geometric_error", -1, 1e-9),
        ("nodes", "made_by_geometric_error", 0, 1e9),
        ("nodes", "center", 0, np.nan),
        ("groups", "geometric_error", 0, np.nan),
        ("groups", "radius", -1, np.inf),
        ("groups", "box_min", 0, -1e3),
        ("groups", "place", 1, 33 << 16),
        ("meshes", "box_max", 0, 1e9),
        ("meshes", "radius", 0, 1e-3),
        ("meshes", "origin_high", 1, np.nan),
        ("materials", "shader", 0, 1),
        ("materials", "flags", 1, 8),
        ("materials", "sampler", 1, 3),
        ("materials", "base_color", 2, np.nan),
        ("triangles", "source", 0, 0),
        ("triangles", "stored", 1, 1 << 62),
    ],
)
def test_an_index_out_of_range_is_refused(tmp_path, meshes, table, field, row, value):
    write(tmp_path / "wrong.mlith", meshes, tables={table: spoiled(meshes, table, field, row, value)})
    with pytest.raises(ValueError, match=r"wrong\.mlith: has wrong \w+"):
        open_asset(tmp_path / "wrong.mlith")


def test_nodes_with_two_parents_are_refused(tmp_path, meshes):
    """Each such node doubles the work: a few dozen of them would keep a traversal busy for ever."""
    nodes = sample_tables(meshes)["nodes"].copy()
    first, second = np.flatnonzero(nodes["child_count"][: len(meshes[0].nodes)] > 0)[-2:]
    assert nodes["child_count"][first] >= 2
    nodes["child"][first] = nodes["child"][second]
    nodes["child_count"][first] = nodes["child_count"][second]
    write(tmp_path / "wrong.mlith", meshes, tables={"nodes": nodes})
    with pytest.raises(ValueError, match="not a tree"):
        open_asset(tmp_path / "wrong.mlith")


def test_nodes_deeper_than_traversal_goes_are_refused(tmp_path, meshes):
    assert asset_tables.LARGEST_DEPTH == queues.MAX_LEVELS
    for more, good in ((asset_tables.LARGEST_DEPTH - 8, True), (asset_tables.LARGEST_DEPTH + 1, False)):
        tables = {name: table.copy() for name, table in sample_tables(meshes).items()}
        root = int(tables["meshes"]["root_node"][1])
        nodes = tables["nodes"]
        nodes["child"][root:][nodes["child_count"][root:] > 0] += more
        chain = np.repeat(nodes[root : root + 1], more)
        chain["child"], chain["child_count"] = root + 1 + np.arange(more), 1
        tables["nodes"] = np.concatenate([nodes[:root], chain, nodes[root:]])
        tables["meshes"]["node_count"][1] += more
        write(tmp_path / "deep.mlith", meshes, tables=tables)
        if good:
            read_everything(open_asset(tmp_path / "deep.mlith"))
        else:
            with pytest.raises(ValueError, match="more than 64 levels"):
                open_asset(tmp_path / "deep.mlith")


def test_damaged_texture_and_page_are_named(path, meshes):
    data = np.fromfile(path, np.uint8)
    images = next(entry for entry in sections(data) if entry["name"] == b"images")
    data[int(images["offset"]) + 3] ^= 1
    asset = Asset(path, data)
    with pytest.raises(ValueError, match="texture 0 is damaged"):
        _ = asset.textures
    data[int(asset.page_table["offset"][1]) + 10] ^= 1
    assert len(asset.page_words(0))
    with pytest.raises(ValueError, match="page 1 is damaged"):
        asset.page_words(1)


def write_and_raise(path: Path, mesh: EncodedMesh, error: type[BaseException]) -> None:
    with AssetWriter(path) as writer:
        writer.add_pages(mesh.words, mesh.page_word, 0)
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_what_was_there(tmp_path, meshes, error):
    path = tmp_path / "a.mlith"
    for before in (None, b"the old asset"):
        if before:
            path.write_bytes(before)
        with pytest.raises(error):
            write_and_raise(path, meshes[0], error)
        assert [file.read_bytes() for file in tmp_path.iterdir()] == ([before] if before else [])


def test_a_left_over_partial_file_is_taken_over(tmp_path, meshes):
    path = tmp_path / "a.mlith"
    (tmp_path / "a.mlith.partial").write_bytes(bytes(1 << 20))
    size = write(path, meshes)
    assert path.stat().st_size == size
    assert list(tmp_path.iterdir()) == [path]
    open_asset(path)


def test_two_writers_of_one_asset_are_told_apart(tmp_path, meshes):
    path = tmp_path / "a.mlith"
    with AssetWriter(path):
        with pytest.raises(ValueError, match="another build is writing"):
            AssetWriter(path)
        assert path.with_name("a.mlith.partial").exists()
    write(path, meshes)
    open_asset(path)


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="cannot be written"):
        AssetWriter(tmp_path / "missing" / "a.mlith")
    with pytest.raises(ValueError, match="is a folder"):
        AssetWriter(tmp_path)


WRITE_FOREVER = """
    import sys
    from pathlib import Path
    from tests.test_asset import sample_meshes, write
    meshes, path = sample_meshes(), Path(sys.argv[1])
    while True:
        write(path, meshes)
        print(flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_kill_at_any_moment_leaves_a_whole_asset(tmp_path, path):
    whole, target = path.read_bytes(), tmp_path / "a.mlith"
    for delay in (0.0, 0.004, 0.011):
        arguments = [sys.executable, "-c", textwrap.dedent(WRITE_FOREVER), str(target)]
        root = Path(__file__).resolve().parent.parent
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=root) as process:
            assert process.stdout.readline()
            time.sleep(delay)
            os.kill(process.pid, signal.SIGKILL)
        assert target.read_bytes() == whole
        assert {file.name for file in tmp_path.iterdir()} <= {"a.mlith", "a.mlith.partial"}
    write(target, sample_meshes())
    assert {file.name for file in tmp_path.iterdir()} == {"a.mlith"}
