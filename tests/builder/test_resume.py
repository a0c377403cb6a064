"""An interrupted build of many meshes leaves nothing beside its output, and goes on where it was."""

import base64
import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.__main__ import run
from engine.asset import open_asset
from engine.builder import build, resume
from engine.settings import BuildSettings
from engine.user_cache import cache_folder, remove_unused
from tests.builder.sample_hierarchy import sphere

ROOT = Path(__file__).resolve().parent.parent.parent
MESHES = 50


def write_gltf(path: Path, mesh_count: int, subdivisions: int) -> Path:
    """Write a scene of bumpy spheres, all different, beside one another."""
    points, faces = sphere(subdivisions)
    documents: dict[str, list] = {name: [] for name in ("meshes", "nodes", "accessors", "bufferViews")}
    content = b""
    for number in range(mesh_count):
        bumpy = (points * (1.0 + 0.1 * np.sin((3 + number % 7) * points[:, :1] + number))).astype(np.float32)
        for array, kind, component in ((bumpy, "VEC3", 5126), (faces.astype(np.uint32).ravel(), "SCALAR", 5125)):
            accessor = {"bufferView": len(documents["bufferViews"]), "componentType": component, "count": len(array)}
            accessor["type"] = kind
            if kind == "VEC3":
                accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
            documents["accessors"].append(accessor)
            documents["bufferViews"].append({"buffer": 0, "byteOffset": len(content), "byteLength": array.nbytes})
            content += array.tobytes()
        last = len(documents["accessors"]) - 1
        primitive = {"attributes": {"POSITION": last - 1}, "indices": last}
        documents["meshes"].append({"name": f"sphere {number}", "primitives": [primitive]})
        documents["nodes"].append({"mesh": number, "translation": [2.5 * (number % 10), 0.0, 2.5 * (number // 10)]})
    uri = "data:application/octet-stream;base64," + base64.b64encode(content).decode()
    scene = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": list(range(mesh_count))}]}
    path.write_text(json.dumps({**scene, **documents, "buffers": [{"byteLength": len(content), "uri": uri}]}))
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gltf(tmp_path_factory.mktemp("scene") / "spheres.gltf", MESHES, 2)


@pytest.fixture(scope="module")
def whole(scene: Path) -> bytes:
    """The bytes of a build that nobody interrupted."""
    build([scene], scene.with_name("whole.mlith"))
    return scene.with_name("whole.mlith").read_bytes()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder("builds")


class Stop:
    """Progress that interrupts the build when so much of it is done."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage == "build" and done >= self.share * total:
            raise KeyboardInterrupt


def interrupt(scene: Path, output: Path, share: float, settings: BuildSettings | None = None) -> None:
    with pytest.raises(KeyboardInterrupt):
        build([scene], output, settings, progress=Stop(share))


def continued(caplog) -> list[str]:
    return [record.message for record in caplog.records if "continuing" in record.message]


@pytest.fixture
def log(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    caplog.set_level(logging.INFO, "engine")
    return caplog


def test_a_build_goes_on_and_gives_the_same_bytes(scene, whole, cache, tmp_path, log):
    output = tmp_path / "out" / "a.mlith"
    output.parent.mkdir()
    interrupt(scene, output, 0.4)
    assert list(output.parent.iterdir()) == []
    assert len(list(cache.iterdir())) == 1
    interrupt(scene, output, 0.7)
    report = build([scene], output)
    assert output.read_bytes() == whole
    done = [int(line.split()[1]) for line in continued(log)]
    assert len(done) == 2
    assert 0.4 * MESHES <= done[0] + 1 <= 0.4 * MESHES + 2
    assert 0.7 * MESHES <= done[1] + 1 <= 0.7 * MESHES + 2
    assert list(output.parent.iterdir()) == [output]
    assert not any(cache.iterdir())
    assert report["source_triangles"] == open_asset(output).source_triangles
    assert len(report["meshes"]) == MESHES
    json.dumps(report)


def test_a_build_that_only_had_to_be_written_is_written(scene, whole, cache, tmp_path, log, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr("engine.builder._finish", full)
        with pytest.raises(OSError, match="no space left"):
            build([scene], tmp_path / "a.mlith")
    assert not (tmp_path / "a.mlith").exists()
    build([scene], tmp_path / "a.mlith")
    assert (tmp_path / "a.mlith").read_bytes() == whole
    assert continued(log) == [f"continuing: all {MESHES} meshes are done"]


def test_other_settings_outputs_and_inputs_begin_anew(scene, whole, cache, tmp_path, log):
    output = tmp_path / "a.mlith"
    interrupt(scene, output, 0.2)
    interrupt(scene, output, 0.1, BuildSettings(cluster_triangles=64))
    interrupt(scene, tmp_path / "b.mlith", 0.1)
    changed = json.loads(scene.read_text())
    changed["meshes"][0]["name"] = "another"
    (tmp_path / "changed.gltf").write_text(json.dumps(changed))
    with pytest.raises(KeyboardInterrupt):
        build([tmp_path / "changed.gltf"], output, progress=Stop(0.01))
    assert continued(log) == []
    build([scene], output)
    assert len(continued(log)) == 1
    assert output.read_bytes() == whole


def test_damaged_kept_meshes_are_built_again(scene, whole, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "KEEP_SECONDS", 1e9)  # all in one file
    output = tmp_path / "a.mlith"
    interrupt(scene, output, 0.3)
    [file] = cache.glob("*/*.npz")
    for damage in (lambda data: data[: len(data) // 2], lambda data: data[:-3000] + bytes(100) + data[-2900:]):
        file.write_bytes(damage(file.read_bytes()))
        build([scene], output)
        assert output.read_bytes() == whole
        interrupt(scene, output, 0.3)
        [file] = cache.glob("*/*.npz")
    stored = bytearray(file.read_bytes())
    stored[len(stored) // 2] ^= 1
    file.write_bytes(stored)
    build([scene], output)
    assert output.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_no_error(scene, whole, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(resume, "KEEP_SECONDS", 0.0)
    build([scene], tmp_path / "a.mlith")
    assert (tmp_path / "a.mlith").read_bytes() == whole


def test_many_files_of_kept_meshes(scene, whole, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "KEEP_SECONDS", 0.0)
    interrupt(scene, tmp_path / "a.mlith", 0.5)
    files = sorted(cache.glob("*/*.npz"))
    assert len(files) > 0.4 * MESHES
    for file in files[3:9]:
        file.unlink()  # those are built among those that are taken
    build([scene], tmp_path / "a.mlith")
    assert (tmp_path / "a.mlith").read_bytes() == whole


def test_one_mesh_keeps_nothing(cache, tmp_path):
    scene = write_gltf(tmp_path / "one.gltf", 1, 4)
    interrupt(scene, tmp_path / "a.mlith", 0.1)
    assert not cache.exists()


def test_old_unfinished_builds_are_removed(tmp_path):
    for number in range(8):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "file").touch()
        os.utime(tmp_path / str(number), (1e9 + number, 1e9 + number) if number < 7 else None)
    remove_unused(tmp_path, "*", 3, 86400.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["5", "6", "7"]
    remove_unused(tmp_path / "missing", "*", 3, 86400.0)


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to send")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_nothing_and_the_same_command_goes_on(scene, whole, cache, tmp_path, capsys, number):
    output = tmp_path / "out" / "a.mlith"
    output.parent.mkdir()
    program = "from engine.builder import resume; resume.KEEP_SECONDS = 0.02; from engine.__main__ import main; main()"
    command = ["build", str(scene), "-o", str(output), "-v"]
    with subprocess.Popen([sys.executable, "-c", program, *command], cwd=ROOT, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not list(cache.glob("*/*.npz")):
            assert process.poll() is None, "the build was done before it could be interrupted"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        _, error = process.communicate(timeout=30)
    assert b"Traceback" not in error
    if number == signal.SIGKILL:
        assert process.returncode == -number
        assert {path.name for path in output.parent.iterdir()} == {"a.mlith.partial"}
    else:
        assert process.returncode == 128 + number
        assert list(output.parent.iterdir()) == []
    assert run(command) == 0
    assert f" of {MESHES} meshes are done" in capsys.readouterr().err
    assert output.read_bytes() == whole
    assert list(output.parent.iterdir()) == [output]
