"""Opening files in the background: builds, the cache, failures, cancelling, and two threads on one device."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from engine.__main__ import run
from engine.commands.scenes import find_asset
from engine.frame.scene_buffers import SceneBuffers
from engine.gpu.buffers import CapacityError
from engine.renderer import Renderer
from engine.scene import load_scene
from engine.settings import BuildSettings, FrameSettings
from engine.user_cache import cache_folder
from engine.viewer import opening
from engine.viewer.opening import CANCELLED, Opened, OpenJob
from tests.frame.quad_scene import quad_asset
from tests.viewer.test_building import is_running, wait_until

SIZE = (96, 54)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache folder of this test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder("assets")


def finish(job: OpenJob) -> tuple[Opened | str, list[tuple[str, float | None]]]:
    """Return what a job made, and all that it said meanwhile."""
    said, end = [(job.description, job.fraction)], time.monotonic() + 120.0
    while (result := job.poll()) is None:
        assert time.monotonic() < end
        if (job.description, job.fraction) != said[-1]:
            said.append((job.description, job.fraction))
        time.sleep(0.0005)
    return result, said


def opened(job: OpenJob) -> Opened:
    result, _ = finish(job)
    assert isinstance(result, Opened), result
    return result


def picture(renderer: Renderer, result: Opened, camera=None) -> np.ndarray:
    renderer.load(result.scene, scene_buffers=result.scene_buffers)
    return renderer.render(result.scene, camera or result.scene.default_camera(), FrameSettings(), SIZE).image


def line_of(capsys, *arguments) -> str:
    """Return the line with which a command fails."""
    assert run([str(argument) for argument in arguments]) == 1
    return capsys.readouterr().err.removeprefix("microlith: ").rstrip("\n")


# What comes out


def test_an_asset_is_opened_and_drawn(device, renderer, sample_asset):
    path = sample_asset("sphere")
    result, said = finish(OpenJob([path], device))
    assert isinstance(result, Opened)
    scene = load_scene(path)
    expected = renderer.render(scene, scene.default_camera(), FrameSettings(), SIZE).image
    assert np.array_equal(picture(renderer, result), expected)
    assert renderer._scene_buffers is result.scene_buffers
    again = SceneBuffers(device, result.scene)
    renderer.load(result.scene, scene_buffers=again)
    assert renderer._scene_buffers is again
    renderer.load(result.scene)
    assert renderer._scene_buffers is again
    assert said[0][0].endswith(path.name)
    assert all(fraction is None or 0.0 <= fraction <= 1.0 for _, fraction in said)


def test_a_mesh_is_built_once(device, renderer, cache, sample_mesh):
    mesh = sample_mesh("terrain", 200_000)
    result, said = finish(OpenJob([mesh], device))
    assert isinstance(result, Opened)
    assert [path.name for path in cache.iterdir()] == [find_asset(mesh, BuildSettings())[0].name]
    descriptions = list(dict.fromkeys(description for description, _ in said))
    assert f"building {mesh.name}: build" in descriptions
    assert f"loading {mesh.name}: load pages" in descriptions
    for stage in ("building", "load pages"):
        fractions = [fraction for text, fraction in said if stage in text and fraction is not None]
        assert len(fractions) > 1
        assert fractions == sorted(fractions)
    assert fractions[-1] > 0.5
    assert picture(renderer, result).std() > 1.0
    _, said = finish(OpenJob([mesh], device))
    assert not [text for text, _ in said if "building" in text]


def test_several_files_and_a_base_scene(device, renderer, cache, sample_mesh, sample_asset):
    base = load_scene(sample_asset("sphere"))
    base.set_transforms(np.array([0]), np.diag([40.0, 40.0, 40.0, 1.0])[None])
    result = opened(OpenJob([sample_mesh("terrain"), sample_asset("parts")], device, base))
    assert result.scene.asset_names == [
        path.stem for path in (sample_asset("sphere"), sample_mesh("terrain"), sample_asset("parts"))
    ]
    assert len(result.scene.assets) == 3
    assert result.scene.instance_count == 2 + load_scene(sample_asset("parts")).instance_count
    assert base.instance_count == 1
    image = picture(renderer, result)
    alone = renderer.render(base, result.scene.default_camera(), FrameSettings(), SIZE).image
    assert not np.array_equal(image, alone)
    assert len(opened(OpenJob([sample_asset("sphere")], device, base)).scene.assets) == 1


def test_textures_say_how_far_they_are(device, tmp_path):
    materials = [
        {"pbrMetallicRoughness": {"baseColorTexture": {"index": i}}, "normalTexture": {"index": i}} for i in range(5)
    ]
    images = [np.full((8 << (i % 2), 8, 4), 40 * i, np.uint8) for i in range(5)]
    steps = []
    SceneBuffers(device, load_scene(quad_asset(tmp_path, materials, images)), lambda *step: steps.append(step))
    assert [step for step in steps if step[0] == "decode textures"] == [
        ("decode textures", i + 1, 10) for i in range(10)
    ]
    assert steps[-1][0] == "load pages" and steps[-1][1] == steps[-1][2]


# Failures


def test_what_cannot_be_opened_is_the_line_of_the_command_line(device, cache, tmp_path, capsys, sample_asset):
    (tmp_path / "folder.ply").mkdir()
    (tmp_path / "text.ply").write_text("not a mesh", encoding="utf-8")
    (tmp_path / "text.mlith").write_text("not an asset", encoding="utf-8")
    (tmp_path / "text.toml").write_text("not = [toml", encoding="utf-8")
    (tmp_path / "gone.toml").write_text("[[assets]]\npath = 'gone.mlith'\n", encoding="utf-8")
    damaged = bytearray(sample_asset("sphere").read_bytes())
    damaged[9000] ^= 255  # in a page
    (tmp_path / "damaged.mlith").write_bytes(damaged)
    names = ("image.txt", "missing.mlith", "folder.ply", "text.ply", "text.mlith", "text.toml", "gone.toml")
    for path in [tmp_path / name for name in (*names, "damaged.mlith")]:
        result, _ = finish(OpenJob([path], device))
        assert isinstance(result, str)
        assert result.count("\n") == 0
        assert result == line_of(capsys, "render", path, "-o", tmp_path / "a.png")
    assert list(cache.iterdir()) == []
    assert "no file" in finish(OpenJob([], device))[0]


def test_all_files_are_checked_before_one_is_built(device, cache, tmp_path, sample_mesh):
    result, said = finish(OpenJob([sample_mesh("terrain", 200_000), tmp_path / "missing.ply"], device))
    assert result == f"{tmp_path / 'missing.ply'}: no such file"
    assert not [text for text, _ in said if "building" in text]


def test_a_full_gpu_is_one_line(device, monkeypatch, sample_asset):
    import wgpu

    def full(error):
        def upload(*_):
            raise error

        monkeypatch.setattr(SceneBuffers, "_upload_pages", upload)
        return finish(OpenJob([sample_asset("sphere")], device))[0]

    assert full(CapacityError("the scene has 9 MiB of pages")) == "the scene has 9 MiB of pages"
    text = full(wgpu.GPUOutOfMemoryError("Not enough memory\nleft"))
    assert text == "out of GPU memory; use fewer or smaller assets (Not enough memory left)"
    assert full(MemoryError()) == "out of memory"
    assert "internal error" in full(KeyError("x"))


def test_more_pages_than_the_adapter_takes_are_refused_before_any_is_decoded(device, monkeypatch, sample_asset):
    scene = load_scene(sample_asset("sphere"))
    counts = np.full(len(scene.pages), 1 << 40)
    monkeypatch.setattr(type(scene), "page_word_counts", counts)
    monkeypatch.setattr(type(scene), "page_words", None)
    with pytest.raises(CapacityError, match="MiB of pages"):
        SceneBuffers(device, scene)


# Cancelling


@pytest.mark.parametrize("wait", [False, True])
def test_cancelling_a_build_leaves_nothing(device, cache, sample_mesh, monkeypatch, wait):
    processes = []
    started = opening.BuildProcess
    monkeypatch.setattr(opening, "BuildProcess", lambda *a: processes.append(started(*a)) or processes[-1])
    job = OpenJob([sample_mesh("terrain", 200_000)], device)
    wait_until(lambda: job.fraction)
    assert is_running(processes[0].pid)
    begin = time.monotonic()
    job.cancel(wait)
    if wait:
        assert job.poll() == CANCELLED
    else:
        assert time.monotonic() - begin < 0.05
        assert finish(job)[0] == CANCELLED
    assert not is_running(processes[0].pid)
    assert list(cache.iterdir()) == []


def test_a_mesh_is_opened_again_right_after_it_was_cancelled(device, cache, sample_mesh, monkeypatch):
    mesh, stop = sample_mesh("terrain", 200_000), opening.BuildProcess.stop

    def slow_stop(process):
        if process.poll() is not None:
            return
        os.kill(process.pid, signal.SIGSTOP)  # as one that is deep in a kernel, it still holds the file
        time.sleep(2.0)
        os.kill(process.pid, signal.SIGCONT)
        stop(process)

    monkeypatch.setattr(opening.BuildProcess, "stop", slow_stop)
    first = OpenJob([mesh], device)
    wait_until(lambda: first.fraction)
    first.cancel()
    second, third = OpenJob([mesh], device), OpenJob([mesh], device)
    second.cancel()
    assert isinstance(finish(third)[0], Opened)  # not "another build is writing this asset"
    assert (first.poll(), second.poll()) == (CANCELLED, CANCELLED)


def test_cancelling_while_pages_are_loaded(device, sample_asset, monkeypatch):
    page_words, held = type(load_scene(sample_asset("sphere"))).page_words, threading.Event()

    def slow(scene, page):
        held.wait(10.0)
        return page_words(scene, page)

    monkeypatch.setattr("engine.scene.Scene.page_words", slow)
    job = OpenJob([sample_asset("sphere")], device)
    wait_until(lambda: "loading" in job.description)
    job.cancel()
    assert job.poll() is None
    held.set()
    assert finish(job)[0] == CANCELLED
    job.cancel(wait=True)  # once more does no harm


def test_nothing_is_kept_of_a_job_that_failed(device, cache, tmp_path):
    before = threading.active_count()
    for _ in range(3):
        finish(OpenJob([tmp_path / "missing.ply"], device))
    wait_until(lambda: threading.active_count() <= before, 5.0)


# Two threads on one device


def test_buffers_are_made_while_another_thread_draws(device, sample_asset, tmp_path):
    """Frames stay right, and so does what was uploaded meanwhile."""
    texels = np.random.default_rng(0).integers(0, 255, (64, 64, 4)).astype(np.uint8)
    texels[..., 3] = 255
    quad = quad_asset(tmp_path, [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}], [texels])
    paths = [sample_asset("terrain", 50_000), quad, sample_asset("parts")]
    drawn = load_scene(sample_asset("sphere"))
    renderer, other = Renderer(device), Renderer(device)
    camera, settings = drawn.default_camera(), FrameSettings()
    expected = renderer.render(drawn, camera, settings, SIZE).image
    frames, jobs, interval = 0, [], sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that the threads meet in as many places as possible
    try:
        for _ in range(6):
            jobs.append(OpenJob(paths, device))
            while jobs[-1].poll() is None:
                assert np.array_equal(renderer.render(drawn, camera, settings, SIZE).image, expected)
                frames += 1
    finally:
        sys.setswitchinterval(interval)
    assert frames > 6
    results = [opened(job) for job in jobs]
    plain = other.render(results[0].scene, results[0].scene.default_camera(), settings, SIZE).image  # uploaded anew
    for result in results:
        assert np.array_equal(picture(renderer, result), plain)
    assert plain.std() > 1.0


def test_the_window_is_not_held_up_by_a_slow_file(device, sample_asset, monkeypatch):
    monkeypatch.setattr(opening, "load_scene", lambda path: time.sleep(0.5) or load_scene(path))
    begin = time.monotonic()
    job = OpenJob([sample_asset("sphere")], device)
    assert job.poll() is None
    assert time.monotonic() - begin < 0.2
    assert isinstance(finish(job)[0], Opened)
