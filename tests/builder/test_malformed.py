"""Malformed and hostile files, built the way a user does: exit 0 or 1, one clear line, no traceback, nothing left."""

import base64
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.__main__ import run
from engine.builder.meshfile import read_mesh_file
from tests.builder.sample_files import gltf_parts, pack_glb

ROOT = Path(__file__).resolve().parents[2]
MESHES = Path(os.environ.get("MICROLITH_MESHES") or ROOT.parent / "shared" / "meshes")
MALFORMED = sorted(path for path in (MESHES / "malformed").glob("*") if path.suffix != ".tsv")
IN_A_CHILD = ("derived_ply_huge_face_count.ply", "BoxWithInfinites.glb", "malformed.obj")
LARGEST_SECONDS, LARGEST_MEMORY = 20.0, 2 << 30
TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"
BUILT = {  # whatever is wrong with them: triangles are left
    "IndexOutOfRange.gltf",
    "derived_obj_zero_area_only.obj",
    "issue-140-zero-face-idx.obj",
    "leading-decimal-dot-issue-201.obj",
    "malformed.obj",
    "meshopt_fuzz_seed.glb",
    "missing_bin.gltf",  # the file is there
    "missing_material_file.obj",
    "scthe_invalid_mesh.obj",
    "skin-weight.obj",
    "stl_empty_solid.stl",
    "test-nan.obj",
    "tm_busted.STL",
    "tm_notenoughindices.obj",
    "wrongTypes_badExtension.gltf",
}


def check_outcome(path, code, lines, folder):
    """Check an exit code, the lines on standard error, and that only a finished asset is in the folder."""
    assert code in (0, 1), (path.name, lines)
    assert code == (0 if path.name in BUILT else 1), (path.name, lines)
    assert not any("Traceback" in line or "internal error" in line for line in lines), lines
    assert [entry.name for entry in folder.iterdir()] == (["out.mlith"] if code == 0 else []), path.name
    if code:
        assert lines[-1].startswith(f"microlith: {path}: "), lines
        assert "is malformed (" not in lines[-1], lines
        assert len(lines) <= 2, lines  # what is left out, and why nothing is left
        assert len(lines[-1]) < len(str(path)) + 400


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.name)
def test_malformed_file(path, tmp_path, capsys):
    code = run(["build", str(path), "-o", str(tmp_path / "out.mlith")])
    check_outcome(path, code, capsys.readouterr().err.splitlines(), tmp_path)


@pytest.mark.parametrize("name", IN_A_CHILD)
def test_malformed_file_in_a_child(name, tmp_path):
    if not MALFORMED:
        pytest.skip("real meshes are missing")
    _check_in_a_child(MESHES / "malformed" / name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.name)
def test_every_malformed_file_in_a_child(path, tmp_path):
    _check_in_a_child(path, tmp_path)


def _check_in_a_child(path, folder):
    start, before = time.perf_counter(), _largest_child()
    command = [sys.executable, "-m", "engine", "build", str(path), "-o", str(folder / "out.mlith")]
    child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        _, text = child.communicate(timeout=3 * LARGEST_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        raise
    assert time.perf_counter() - start < LARGEST_SECONDS
    assert _largest_child() < max(LARGEST_MEMORY, before + 1)
    check_outcome(path, child.returncode, text.splitlines(), folder)


def _largest_child() -> int:
    """Return the peak memory in bytes of the largest child so far."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path, match):
    """Check that reading ends with one line that matches."""
    with pytest.raises(ValueError, match=match) as caught:
        read_mesh_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "is malformed (" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".glb", ".gltf", ".obj", ".off", ".ply", ".stl"])
def test_what_is_no_file(tmp_path, suffix):
    refused(write(tmp_path, f"empty{suffix}", ""), "is empty")
    refused(tmp_path / f"missing{suffix}", "cannot be read")
    (tmp_path / f"folder{suffix}").mkdir()
    refused(tmp_path / f"folder{suffix}", "is a folder")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / f"pipe{suffix}")
        refused(tmp_path / f"pipe{suffix}", "is a pipe or a device")
        (tmp_path / f"device{suffix}").symlink_to("/dev/zero")
        refused(tmp_path / f"device{suffix}", "is a pipe or a device")
    for number, content in enumerate((b"\0" * 500, b"\xff\xfe", b"\xef\xbb\xbf", b"\n" * 500, b"\x0b", b"f \x0b")):
        refused(write(tmp_path, f"{number}{suffix}", content), ".")


@pytest.mark.parametrize("blank", ["\x00", "\x0b", "\x0c", "\x1f", "\r"])
def test_control_characters_are_blanks(tmp_path, blank):
    text = (TRIANGLE + "f 1 2 3\n").replace(" ", blank + " ").replace("\n", blank + "\n")
    assert len(read_mesh_file(write(tmp_path, "a.obj", text)).meshes[0].faces) == 1
    off = f"OFF\n3 1{blank} 0\n0{blank} 0 0\n1 0 0{blank}\n0 1 0\n3{blank} 0 1 2\n"
    assert len(read_mesh_file(write(tmp_path, "a.off", off)).meshes[0].faces) == 1


def test_text_stl(tmp_path):
    loop = "OUTER loop\nvertex 0 0 0\n VERTEX 1 0 0\nvertex 1 1 0\nvertex 0 1 0\nendloop\nendfacet\n"
    facet = f"facet normal 0 0 1\n{loop}"
    path = write(tmp_path, "a.stl", f"\n solid vertex 1\n{facet}endsolid\nsolid b\n{facet}endsolid b\n")
    scene = read_mesh_file(path)
    assert scene.meshes[0].faces.tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]]
    assert scene.meshes[0].positions[2].tolist() == [1, 1, 0]
    assert scene.report == {}
    cut = read_mesh_file(write(tmp_path, "b.stl", f"solid a\n{facet}{facet}"[:-40]))
    assert len(cut.meshes[0].faces) == 2
    assert cut.report == {"facets_skipped": 1, "file_ends_early": 1}


def edited(tmp_path, name, edit):
    """Write the sample scene with its JSON edited; return the path."""
    document, data = gltf_parts()
    edit(document)
    return write(tmp_path, name, pack_glb(document, data))


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda d: d["nodes"][2].update(children=[0]), "its own ancestor"),
        (lambda d: d["nodes"][0].update(translation=[1e300, 0, 0]), r"nodes\[0\].translation is 1e\+300, not a finite"),
        (lambda d: d["nodes"][0].update(children={}), r"nodes\[0\].children is an object, not an array"),
        (lambda d: d["nodes"][0].update(scale=[1]), r"nodes\[0\].scale is an array, not an array of 3 numbers"),
        (lambda d: d["accessors"][0].update(count=2**60), "count is 1152921504606846976, not a whole number"),
        (lambda d: d["accessors"][0].update(count=2**50), "reaches beyond its buffer view"),
        (lambda d: d["accessors"][0].update(count=2**50, byteOffset=2**52), "reaches beyond its buffer view"),
        (lambda d: d["accessors"][0].pop("type"), r"accessors\[0\] has no type"),
        (lambda d: d["accessors"][6]["sparse"].update(count=3), "reaches beyond its buffer view"),
        (lambda d: d["accessors"][6]["sparse"]["indices"].update(componentType=5126), "must be unsigned"),
        (lambda d: d["accessors"][6]["sparse"]["indices"].update(bufferView=3), "index out of range"),
        (lambda d: d["accessors"][4].update(type="VEC2"), "TRANSLATION of a glTF node has a wrong size"),
        (lambda d: d["buffers"][0].update(uri="data:;base64,A"), "not base64"),
        (lambda d: d["buffers"][0].update(uri="data:;base64,\u00e4"), "not base64"),
        (lambda d: d["buffers"][0].update(uri="../a.bin"), "only files beside it"),
        (lambda d: d["buffers"][0].update(uri="%2e%2e/a.bin"), "only files beside it"),
        (lambda d: d["buffers"][0].update(uri="%2Fetc%2Fpasswd"), "only files beside it"),
        (lambda d: d["buffers"][0].update(uri="/dev/zero"), "only files beside it"),
        (lambda d: d["buffers"][0].update(uri="C:\\a.bin"), "only files beside it"),
        (lambda d: d["buffers"][0].update(uri="zero"), "'zero', which is missing"),
        (lambda d: d["buffers"][0].update(uri="."), "which is missing"),
        (lambda d: d["buffers"][0].update(uri="a%00b"), "which is missing"),
        (lambda d: d["buffers"][0].update(uri="a" * 10000), "which is missing"),
        (lambda d: d.update(scene=[]), "scene is an array, not a whole number"),
        (lambda d: d["asset"].update(minVersion="2.1"), "is glTF version '2.1'"),
        (lambda d: d["meshes"][0].update(name="x" * 10000, primitives=[{}]), "has no attributes"),
    ],
)
def test_wrong_gltf(tmp_path, edit, match):
    (tmp_path / "zero").symlink_to("/dev/zero")
    refused(edited(tmp_path, "a.glb", edit), match)


def test_a_second_uv_set_is_reported(tmp_path):
    def edit(document):
        document["materials"][0]["normalTexture"]["texCoord"] = 1

    assert read_mesh_file(edited(tmp_path, "a.glb", edit)).report["second_uv_sets_ignored"] == 1


def test_what_gltf_may_hold(tmp_path):
    def edit(document):
        document["asset"]["version"] = "2.9"
        document["nodes"][0]["scale"] = [1.0, 2, 1]
        document["meshes"][0].update(name="x" * 10000, extras=[None])
        document["images"] = [{"uri": "%2Fdev%2Fzero"}]
        document["materials"][0]["normalTexture"]["texCoord"] = 0

    scene = read_mesh_file(edited(tmp_path, "a.glb", edit))
    assert len(scene.instance_mesh) == 3
    assert len(scene.meshes[0].name) == 256
    assert scene.report["textures_missing"] == 1
    assert scene.report["texture_transforms_ignored"] == 1
    assert "second_uv_sets_ignored" not in scene.report
    document, data = gltf_parts()
    document["buffers"][0]["uri"] = "data:;base64," + base64.b64encode(data).decode()
    path = write(tmp_path, "mark.gltf", b"\xef\xbb\xbf" + json.dumps(document).encode())
    assert len(read_mesh_file(path).meshes) == 2


def test_deep_gltf(tmp_path):
    refused(write(tmp_path, "a.gltf", "[" * 10**6), "nested too deeply")
    refused(write(tmp_path, "b.gltf", '{"asset":{"version":"2.0"},"nodes":' + "[" * 10**5), "nested too deeply")

    def edit(document):
        document["nodes"] += [{"children": [index + 4], "translation": [1, 0, 0]} for index in range(20000)]
        document["nodes"].append({"mesh": 1})
        document["nodes"][0]["children"].append(3)

    scene = read_mesh_file(edited(tmp_path, "deep.glb", edit))
    assert scene.instance_transform[:, 0, 3].max() == 20000


def test_small_gltf_cannot_demand_much(tmp_path):
    def instances(document):
        document["accessors"][4] = {"componentType": 5126, "type": "VEC3", "count": 40000}
        document["nodes"] += [dict(document["nodes"][1]) for _ in range(200)]
        document["scenes"][0]["nodes"] += list(range(3, 203))

    def zeros(document):
        document["accessors"][0] = {"componentType": 5126, "type": "VEC3", "count": 2**32}

    for edit in (instances, zeros):
        refused(edited(tmp_path, "a.glb", edit), "asks for .* out of")
    data = np.random.default_rng(0).random((3000, 3)).astype("<f4").tobytes()
    document = {
        "asset": {"version": "2.0"},
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}] * 2000}],
        "buffers": [{"byteLength": len(data)}],
        "bufferViews": [{"buffer": 0, "byteLength": len(data)}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3000, "type": "VEC3"}],
    }
    refused(write(tmp_path, "b.glb", pack_glb(document, data)), "asks for .* vertices out of")


def test_primitives_that_share_all_vertices_read_their_part(tmp_path):
    count = 30000
    points = np.random.default_rng(0).random((3 * count, 3)).astype("<f4")
    order = np.arange(3 * count, dtype="<u4")
    accessors = [{"bufferView": 0, "componentType": 5126, "count": 3 * count, "type": "VEC3"}]
    primitives, size = [], 9 * 4
    for index in range(0, count, 3):
        view = {
            "bufferView": 1,
            "byteOffset": 4 * 3 * index,
            "componentType": 5125,
            "count": size // 4,
            "type": "SCALAR",
        }
        primitives.append({"attributes": {"POSITION": 0}, "indices": len(accessors)})
        accessors.append(view)
    document = {
        "asset": {"version": "2.0"},
        "meshes": [{"primitives": primitives}],
        "buffers": [{"byteLength": points.nbytes + order.nbytes}],
        "bufferViews": [
            {"buffer": 0, "byteLength": points.nbytes},
            {"buffer": 0, "byteOffset": points.nbytes, "byteLength": order.nbytes},
        ],
        "accessors": accessors,
    }
    mesh = read_mesh_file(write(tmp_path, "a.glb", pack_glb(document, points.tobytes() + order.tobytes()))).meshes[0]
    assert np.array_equal(mesh.positions[mesh.faces].reshape(-1, 3), points.astype(float))


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ("element vertex 99999999999999999999999\nproperty float x\n", "cannot read the PLY header line"),
        ("element vertex 4294967295\nproperty float x\nelement face 1\nproperty list uchar int i\n", "announces"),
        ("element vertex 3\nproperty float x\nproperty float x\n", "two of one name"),
        ("element vertex 3\nelement face 1\nproperty list uchar int i\n", "has no property"),
        ("element vertex 3\nproperty list uchar int x\nelement face 1\nproperty list uchar int i\n", "list"),
        ("element vertex 1\nproperty float x\nelement face 1\nproperty float i\n", "list|no usable|no property"),
        ("element vertex 0\nproperty float x\nelement face 1\nproperty list uint int i\n", "truncated|ends"),
    ],
)
@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_wrong_ply(tmp_path, header, match, encoding):
    body = b"\xff" * 64 if encoding[0] == "b" else b"99999999 " * 8
    text = f"ply\nformat {encoding} 1.0\n{header}end_header\n".encode()
    refused(write(tmp_path, "a.ply", text + body), match)


def test_wrong_material_files_do_not_matter(tmp_path):
    write(tmp_path, "a.mtl", b"\0\xff\nnewmtl a\nKd 1.2.3 1e999 -\nNs .\nd 1e400\nKe 1e39\nmap_Kd zero.png\nnewmtl")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    path = write(tmp_path, "a.obj", f"mtllib a.mtl\nmtllib .\nmtllib {'x' * 5000}\n{TRIANGLE}usemtl a\nf 1 2 3\n")
    scene = read_mesh_file(path)
    assert scene.report == {"material_libraries_missing": 2, "textures_missing": 1}
    assert np.isfinite(scene.materials["base_color"]).all()
    assert np.isfinite(scene.materials["emissive"]).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", ["f " + " ".join(map(str, range(1, 10**6 + 1))), "f 1 2 3" + " 1 2 3" * 10**6, "f" + " 1" * 10**7]
)
def test_long_polygons(tmp_path, line):
    angles = np.linspace(0.0, 2.0 * np.pi, 10**6, endpoint=False)
    points = "".join(f"v {x:.7f} {y:.7f} 0\n" for x, y in zip(np.cos(angles), np.sin(angles), strict=True))
    path = write(tmp_path, "a.obj", points + line + "\n")
    start = time.perf_counter()
    run(["build", str(path), "-o", str(tmp_path / "out.mlith")])
    assert time.perf_counter() - start < LARGEST_SECONDS
