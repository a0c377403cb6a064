"""Readers of mesh files: every format, every awkward and malformed file."""

import contextlib
import json
import struct

import numpy as np
import pytest

from engine import layout
from engine.builder.meshfile import SUFFIXES, read_mesh_file, read_mesh_files
from engine.settings import BuildSettings
from tools import make_mesh

TWO_SIDED = layout.CONSTANTS["MATERIAL_TWO_SIDED"]
MASKED = layout.CONSTANTS["MATERIAL_MASKED"]
TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"
REFUSED = {"cray_right_fltmax.obj": "coordinates reach"}
TRIANGLES = {  # of files that other loaders are known to get wrong
    "box_utf16be.obj": 12,
    "negative_indices.obj": 12,
    "quads_inspired.off": 3676,
    "polygonfaces.obj": 3,
    "mode5_tristrip.gltf": 2786,
    "pirate_meshopt_quantized.glb": 5010,
    "forest_3000_instances.glb": 1310,
    "suzanne_split_normals.ply": 968,
    "counter_84k_soup.stl": 83750,
    "no_indices_3storybuilding.glb": 72,
    "cycloidal_100comps.ply": 43368,
}


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_obj_polygons_seams_and_materials(tmp_path):
    write(tmp_path, "a.mtl", "newmtl red\nKd 1 0 0\nd 0.5\nnewmtl glow\nKe 2 2 2\nmap_Kd t.png\n")
    (tmp_path / "t.png").write_bytes(b"\x89PNG data")
    text = "mtllib a.mtl\n" + TRIANGLE + "v 1 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 0 1\n"
    text += (
        "usemtl red\nf 1/1/1 2/2/1 4/3/1 3/4/1\nusemtl glow\nf -4/-4/-1 -3/-3/-1 \\\n -1/-2/-1\nusemtl lost\nf 1 2 3\n"
    )
    scene = read_mesh_file(write(tmp_path, "a.obj", text))
    mesh = scene.meshes[0]
    assert len(mesh.faces) == 4
    assert mesh.face_material.tolist() == [1, 1, 2, 3]
    assert scene.material_names == ["default", "red", "glow", "lost"]
    assert scene.materials["base_color"][1].tolist() == [1, 0, 0, 0.5]
    assert scene.materials["base_color_texture"].tolist() == [layout.NONE, layout.NONE, 0, layout.NONE]
    assert (scene.materials["flags"] & TWO_SIDED).all()
    assert scene.textures == [("image/png", b"\x89PNG data")]
    corner = mesh.faces[0, 2]
    assert mesh.positions[corner].tolist() == [1, 1, 0]
    assert mesh.uvs[corner].tolist() == [1, 0]
    assert mesh.normals[corner].tolist() == [0, 0, 1]
    assert mesh.normals[mesh.faces[3, 0]].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "number", ["1", "-1.5", "+2.", ".25", "1e3", "-1.25E-2", "3.4028234e38", "0.1", "123456789.123456789", "5e-324"]
)
def test_numbers_are_those_of_python(tmp_path, number):
    from engine.builder.textfile import number_lines

    data = np.frombuffer(f"# text\n\n  {number} 7 # end\n".encode(), np.uint8)
    values, here = number_lines(data, 0, 1, 2)
    assert here == len(data)
    assert values[0, 1] == 7
    assert values[0, 0] == pytest.approx(float(number), rel=3e-16, abs=0.0)


def test_obj_vertex_colors_become_linear(tmp_path):
    text = "v 0 0 0 1 0.5 0\nv 1 0 0 1 1 1\nv 0 1 0 0 0 0\nf 1 2 3\n"
    mesh = read_mesh_file(write(tmp_path, "c.obj", text)).meshes[0]
    assert mesh.colors.tolist() == [[255, 55, 0, 255], [255, 255, 255, 255], [0, 0, 0, 255]]


def test_bad_faces_are_dropped_and_counted(tmp_path):
    text = TRIANGLE + "v nan 0 0\nf 1 2 3\nf 1 2 4\nf 1 2 9\nf 0 1 2\nf 1 2\n"
    scene = read_mesh_file(write(tmp_path, "b.obj", text))
    assert len(scene.meshes[0].faces) == 1
    assert len(scene.meshes[0].positions) == 3
    assert scene.report == {"faces_too_few_corners": 1, "faces_index_out_of_range": 2, "faces_not_finite": 1}
    with pytest.raises(ValueError, match=r"n\.obj: holds no usable triangles .*not finite: 1"):
        read_mesh_file(write(tmp_path, "n.obj", TRIANGLE.replace("1", "inf") + "f 1 2 3"))


@pytest.mark.parametrize("encoding", ["<", ">", "ascii"])
def test_ply_lists_of_any_length(tmp_path, encoding):
    names = {"<": "binary_little_endian", ">": "binary_big_endian", "ascii": "ascii"}
    header = f"ply\nformat {names[encoding]} 1.0\nelement vertex 5\nproperty double x\nproperty double y\n"
    header += "property double z\nelement face 2\nproperty uchar flags\nproperty list uchar uint vertex_indices\n"
    header += "property float quality\nend_header\n"
    points = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (4600000.125, 0, 0)]
    polygons = [(0, 1, 2, 3), (1, 4, 2)]
    if encoding == "ascii":
        body = "".join(f"{x} {y} {z}\n" for x, y, z in points)
        body += "".join(f"7 {len(p)} {' '.join(map(str, p))} 0.5\n" for p in polygons)
        data = (header + body).encode()
    else:
        data = header.encode() + b"".join(struct.pack(encoding + "3d", *point) for point in points)
        data += b"".join(struct.pack(f"{encoding}BB{len(p)}If", 7, len(p), *p, 0.5) for p in polygons)
    mesh = read_mesh_file(write(tmp_path, "p.ply", data)).meshes[0]
    assert mesh.positions.tolist() == [list(map(float, point)) for point in points]
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [1, 4, 2]]
    with pytest.raises(ValueError, match="truncated"):
        read_mesh_file(write(tmp_path, "q.ply", data[:-9]))


def test_text_stl_and_off(tmp_path):
    facet = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n"
    mesh = read_mesh_file(write(tmp_path, "t.stl", f"solid a\n{facet}endsolid a\n")).meshes[0]
    assert mesh.positions.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    off = "COFF # comment\n# more\n4 2 0\n0 0 0 255 0 0\n1 0 0 9 9 9\n1 1 0 1 1 1\n0 1 0 1 1 1\n"
    off += "4 0 1 2 3 255 0 0\n3 0 1 2\n"
    assert read_mesh_file(write(tmp_path, "t.off", off)).meshes[0].faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]


def test_up_axis_and_scale(tmp_path):
    path = tmp_path / "s.glb"
    make_mesh.write_glb(path, np.array([[0, 0, 0], [1, 0, 0], [0, 0, 2.0]]), np.array([[0, 1, 2]]))
    _edit_json(path, lambda document: document["nodes"][0].update(translation=[0, 0, 3], scale=[1, 2, 1]))
    plain = read_mesh_file(path)
    turned = read_mesh_file(path, BuildSettings(up="z", scale=0.5))
    turn = 0.5 * np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    assert np.allclose(_placed(turned), _placed(plain) @ turn.T)
    assert turned.meshes[0].positions[2].tolist() == [0, 1, 0]


def _placed(scene) -> np.ndarray:
    matrix = scene.instance_transform[0]
    return scene.meshes[scene.instance_mesh[0]].positions @ matrix[:3, :3].T + matrix[:3, 3]


def _edit_json(path, edit) -> None:
    data = path.read_bytes()
    size = struct.unpack_from("<I", data, 12)[0]
    document = json.loads(data[20 : 20 + size])
    edit(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + size :]
    path.write_bytes(struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON") + text + rest)


def test_gltf_materials_instances_and_merging(tmp_path):
    path = tmp_path / "m.glb"
    make_mesh.write_glb(path, *make_mesh.foliage(40))

    def edit(document):
        document["materials"] = [
            {
                "name": "leaf",
                "alphaMode": "MASK",
                "alphaCutoff": 0.3,
                "doubleSided": True,
                "normalTexture": {"index": 0},
            },
            {
                "emissiveFactor": [1, 0.5, 0],
                "extensions": {
                    "KHR_materials_emissive_strength": {"emissiveStrength": 4},
                    "KHR_materials_pbrSpecularGlossiness": {
                        "diffuseFactor": [0.5, 0.25, 0.1, 1],
                        "specularFactor": [0.04, 0.04, 0.04],
                        "glossinessFactor": 0.25,
                    },
                },
            },
        ]
        document["textures"] = [{"source": 0, "sampler": 0}]
        document["samplers"] = [{"wrapS": 33071, "wrapT": 33648, "magFilter": 9728}]
        document["images"] = [{"uri": "data:image/png;base64,iVBORw0KGgo="}]
        document["meshes"] *= 3
        for mesh, material in zip(range(3), (0, 1, None), strict=True):
            primitive = dict(document["meshes"][mesh]["primitives"][0])
            primitive.pop("material")
            document["meshes"][mesh] = {
                "primitives": [primitive | ({"material": material} if material is not None else {})]
            }
        document["meshes"][2]["primitives"].append({"attributes": {"POSITION": 0}, "mode": 0})
        document["nodes"] = [
            {"children": [1, 2, 3, 4], "translation": [0, 1, 0]},
            {"mesh": 0},
            {"mesh": 1},
            {"mesh": 2, "scale": [-1, 1, 1]},
            {"mesh": 2, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 5, 6, 7, 1]},
        ]

    _edit_json(path, edit)
    scene = read_mesh_file(path)
    assert [len(mesh.faces) for mesh in scene.meshes] == [80, 40]  # meshes 0 and 1 share all their places
    assert scene.meshes[0].face_material.tolist() == [0] * 40 + [1] * 40
    assert scene.instance_mesh.tolist() == [0, 1, 1]
    assert scene.instance_transform[:, :3, 3].tolist() == [[0, 1, 0], [0, 1, 0], [5, 7, 7]]
    assert np.linalg.det(scene.instance_transform[:, :3, :3]).tolist() == [1, -1, 1]
    leaf, glossy, plain = scene.materials
    assert leaf["flags"] == TWO_SIDED | MASKED
    assert leaf["alpha_cutoff"] == np.float32(0.3)
    assert leaf["normal_texture"] == 0
    assert leaf["base_color_texture"] == layout.NONE
    assert leaf["sampler"] == 1 | 2 << 4 | 1 << 8
    assert glossy["metallic"] == pytest.approx(0.0, abs=1e-6)
    assert glossy["roughness"] == 0.75
    assert np.allclose(glossy["base_color"], [0.5, 0.25, 0.1, 1], atol=1e-6)
    assert np.allclose(glossy["emissive"], [4, 2, 0])
    assert plain["flags"] == 0
    assert scene.material_names == ["leaf", "material 1", "default"]
    assert scene.textures == [("image/png", b"\x89PNG\r\n\x1a\n")]
    assert scene.report["points_or_lines"] == 1


def test_several_files_make_one_scene(tmp_path):
    (tmp_path / "t.png").write_bytes(b"\x89PNG")
    write(tmp_path, "a.mtl", "newmtl a\nmap_Kd t.png\n")
    first = write(tmp_path, "a.obj", "mtllib a.mtl\nusemtl a\n" + TRIANGLE + "f 1 2 3\n")
    second = write(tmp_path, "b.obj", "mtllib a.mtl\nusemtl a\n" + TRIANGLE + "f 3 2 1\n")
    scene = read_mesh_files([first, second])
    assert len(scene.meshes) == 2
    assert scene.instance_mesh.tolist() == [0, 1]
    assert scene.materials["base_color_texture"].tolist() == [layout.NONE, 0, layout.NONE, 1]
    assert [mesh.face_material.tolist() for mesh in scene.meshes] == [[1], [3]]
    with pytest.raises(ValueError, match="no mesh file"):
        read_mesh_files([])


@pytest.mark.parametrize("name", ["x.ply", "x.fbx"])
def test_missing_and_unknown_files(tmp_path, name):
    with pytest.raises(ValueError, match=r"x\.(ply: cannot be read|fbx: unknown format)"):
        read_mesh_file(tmp_path / name)


def test_scans_scenes_and_awkward_files_load(meshes):
    if meshes is None:
        pytest.skip("real meshes are missing")
    files = [path for folder in ("scans", "scenes", "awkward") for path in sorted((meshes / folder).rglob("*"))]
    files = [path for path in files if path.suffix.lower() in SUFFIXES]
    assert len(files) == 60
    for path in files:
        if path.name in REFUSED:
            with pytest.raises(ValueError, match=REFUSED[path.name]):
                read_mesh_file(path)
            continue
        if path.name == "heart_draco.glb":
            pytest.importorskip("DracoPy")
        scene = read_mesh_file(path)
        triangles = sum(len(mesh.faces) for mesh in scene.meshes)
        assert triangles == TRIANGLES.get(path.name, triangles) > 0, path.name
        _check_scene(scene)


def _check_scene(scene):
    assert scene.instance_transform.shape == (len(scene.instance_mesh), 4, 4)
    assert np.isfinite(scene.instance_transform).all()
    assert len(scene.materials) == len(scene.material_names) > 0
    assert set(scene.instance_mesh.tolist()) == set(range(len(scene.meshes)))
    for record in scene.materials:
        for name in scene.materials.dtype.names:
            if name.endswith("_texture"):
                assert record[name] == layout.NONE or record[name] < len(scene.textures)
    for mesh in scene.meshes:
        count = len(mesh.positions)
        assert mesh.positions.dtype == np.float64
        assert mesh.faces.dtype == np.int32
        assert np.isfinite(mesh.positions).all()
        assert len(np.unique(mesh.faces)) == count
        assert mesh.faces.min() == 0
        assert mesh.faces.max() == count - 1
        assert mesh.face_material.shape == (len(mesh.faces),)
        assert mesh.face_material.max() < len(scene.materials)
        for values, shape, dtype in (
            (mesh.normals, (count, 3), np.float32),
            (mesh.uvs, (count, 2), np.float32),
            (mesh.colors, (count, 4), np.uint8),
        ):
            assert values is None or (values.shape == shape and values.dtype == dtype)


def test_real_scenes_keep_instances_and_textures(meshes):
    if meshes is None:
        pytest.skip("real meshes are missing")
    forest = read_mesh_file(meshes / "awkward" / "forest_3000_instances.glb")
    assert len(forest.meshes) == 3
    assert len(forest.instance_mesh) == 3000
    helmet = read_mesh_file(meshes / "scenes" / "flight_helmet.glb")
    assert len(helmet.meshes) == 1
    assert len(helmet.materials) == 6
    assert len(helmet.textures) == 15
    assert all(data[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0") for _, data in helmet.textures)
    terrain = read_mesh_file(meshes / "awkward" / "terrain_ecef_double.ply").meshes[0].positions
    assert np.abs(terrain).max() > 4e6
    assert (terrain != terrain.astype(np.float32)).any()


def test_compressed_gltf_equals_the_plain_file(meshes):
    if meshes is None:
        pytest.skip("real meshes are missing")
    packed = read_mesh_file(meshes / "awkward" / "pirate_meshopt_quantized.glb")
    plain = read_mesh_file(meshes / "awkward" / "pirate.obj").meshes[0]
    areas = []
    for points, faces in ((_placed(packed), packed.meshes[0].faces), (plain.positions, plain.faces)):
        a, b, c = (points[faces[:, corner]] for corner in range(3))
        areas.append((np.linalg.norm(np.cross(b - a, c - a), axis=1).sum(), points.min(0), points.max(0)))
    assert areas[0][0] == pytest.approx(areas[1][0], rel=1e-4)
    assert np.allclose(areas[0][1:], areas[1][1:], atol=1e-4)


def test_draco_is_decoded(meshes):
    if meshes is None:
        pytest.skip("real meshes are missing")
    pytest.importorskip("DracoPy")
    mesh = read_mesh_file(meshes / "awkward" / "heart_draco.glb").meshes[0]
    a, b, c = (mesh.positions[mesh.faces[:, corner]] for corner in range(3))
    assert len(np.unique(mesh.positions, axis=0)) == 92
    assert ((np.cross(b - a, c - a) * mesh.normals[mesh.faces[:, 0]]).sum(axis=1) > 0).mean() > 0.95


def test_announced_sizes_are_not_believed(tmp_path):
    from engine.builder.meshopt import decode_view

    for mode in ("ATTRIBUTES", "TRIANGLES", "INDICES"):
        with pytest.raises(ValueError, match="meshopt"):
            decode_view(np.full(100, 0xA0, np.uint8), 3 << 30, 4, mode)
    path = tmp_path / "big.glb"
    make_mesh.write_glb(path, *make_mesh.sphere(12))

    def edit(document):
        document["accessors"][0].update(count=2**40)
        document["accessors"][0].pop("bufferView")

    _edit_json(path, edit)
    with pytest.raises(ValueError, match="decoded bytes out of"):
        read_mesh_file(path)


def test_malformed_files_are_refused_in_one_line(meshes):
    if meshes is None:
        pytest.skip("real meshes are missing")
    files = sorted((meshes / "malformed").iterdir())
    assert len(files) > 100
    for path in files:
        reason = _reason(path)
        assert reason is None or reason.startswith(f"{path}: "), path.name
        assert reason is None or ("\n" not in reason and len(reason) < 400), path.name


def _reason(path) -> str | None:
    try:
        _check_scene(read_mesh_file(path))
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("seed", range(3))
def test_cut_and_altered_files_never_crash(tmp_path, seed):
    random = np.random.default_rng(seed)
    path = tmp_path / "whole.glb"
    make_mesh.write_glb(path, *make_mesh.foliage(20))
    ply = tmp_path / "whole.ply"
    make_mesh.write_ply(ply, *make_mesh.sphere(48))
    for source_path in (path, ply):
        whole = source_path.read_bytes()
        for _ in range(60):
            data = bytearray(whole[: random.integers(1, len(whole) + 1)])
            for place in random.integers(0, len(data), 3):
                data[place] = random.integers(0, 256)
            with contextlib.suppress(ValueError):
                read_mesh_file(write(tmp_path, f"cut{source_path.suffix}", bytes(data)))


def test_what_is_left_out_is_said_once(tmp_path, caplog):
    text = TRIANGLE + "f 1 2 3\nf 1 2 9\n"
    assert len(read_mesh_file(write(tmp_path, "a.obj", text)).meshes[0].faces) == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'a.obj'}: not everything in it is used (faces index out of range: 1)"
    ]
    caplog.clear()
    read_mesh_file(write(tmp_path, "b.obj", TRIANGLE + "f 1 2 3\n"))
    assert not caplog.records
