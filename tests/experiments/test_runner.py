"""An experiment on a tiny scene: every sample is there, a rerun agrees, and what is finished is not done again."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.__main__ import run
from engine.camera import Camera
from engine.experiments import runner
from engine.experiments.experiment import read_experiment
from engine.experiments.results import SUMMARY, read_results
from engine.experiments.scenes import Scenes
from engine.experiments.summary import frame_ms
from engine.renderer import Renderer
from engine.scene import load_scene
from engine.settings import FrameSettings

ROOT = Path(__file__).resolve().parents[2]
TEXT = """
scene = "{asset}"
instances = [3, 1, 6]
frames = 4
warm_up = 1
repeats = 2
size = [96, 54]
check_every = 2
[[keyframes]]
eye = [0.0, 0.3, 12.0]
target = [0.0, 0.0, 0.0]
[[keyframes]]
eye = [0.1, 0.3, 12.0]
target = [0.0, 0.0, 0.0]
[[keyframes]]
eye = [0.2, 0.3, 12.0]
target = [0.0, 0.0, 0.0]
[[keyframes]]
eye = [11.0, 0.4, -3.0]
target = [0.0, 0.0, 0.0]
[settings]
error_pixels = 0.1
[sweep]
occlusion = [true, false]
"""


@pytest.fixture
def experiment(tmp_path, sample_asset):
    path = tmp_path / "e.toml"
    path.write_text(TEXT.format(asset=sample_asset("sphere")), encoding="utf-8")
    return path


@pytest.fixture
def bench(tmp_path, experiment, device):
    """Return `bench(*options, name) -> Results` of the experiment."""

    def measure(*options: str, name: str = "r.jsonl", code: int = 0):
        assert run(["bench", str(experiment), "--json", str(tmp_path / name), *options]) == code
        return read_results(tmp_path / name)

    return measure


def test_every_sample_is_there(bench, tmp_path, capsys):
    results = bench("--csv", str(tmp_path / "r.csv"))
    samples = [(one["repeat"], one["run"], one["frame"]) for one in results.frames]
    assert samples == [(r, v, f) for r in range(2) for v in range(2) for f in range(4)], "runs take turns"
    assert all(one["wall_ms"] > 0 and one["statistics"]["passes_ms"]["frame"] > 0 for one in results.frames)
    assert [(one["run"], one["frame"]) for one in results.sets] == [(0, 0), (0, 2), (1, 0), (1, 2)]
    assert [one["run"] for one in results.summaries] == [0, 1]
    first_ms, time_of = np.zeros(0), frame_ms(results)
    for one in results.summaries:
        frames = [frame for frame in results.frames if frame["run"] == one["run"]]
        assert one["frames"] == len(frames) == 8
        assert one["wall_ms"]["median"] == np.median([frame["wall_ms"] for frame in frames])
        gpu_ms = [frame["statistics"]["passes_ms"]["frame"] for frame in frames]
        assert one["passes_ms"]["frame"]["mean"] == pytest.approx(np.mean(gpu_ms))
        times_ms = np.array([time_of(frame) for frame in frames]).reshape(2, 4)  # by repeat
        first_ms = times_ms if one["run"] == 0 else first_ms
        assert one["ratio"]["to"] == 0
        assert one["ratio"]["median"] == pytest.approx(np.median(np.median(times_ms, 0) / np.median(first_ms, 0)))
        assert one["ratio"]["repeats"] == pytest.approx(np.median(times_ms / np.median(first_ms, 0), 1).tolist())
    assert [one["settings"]["occlusion"] for one in results.runs] == [True, False]
    assert results.runs[0]["settings"]["error_pixels"] == 0.1
    assert len((tmp_path / "r.csv").read_text(encoding="utf-8").splitlines()) == 17
    table = capsys.readouterr().out.splitlines()
    assert len([line for line in table if line.startswith("occlusion")]) == 2


def test_a_rerun_of_the_same_manifest_has_the_same_sets(bench):
    first, second = bench(name="a.jsonl"), bench(name="b.jsonl")
    assert first.manifest | {"time": ""} == second.manifest | {"time": ""}
    assert first.sets == second.sets
    sets = {(one["run"], one["frame"]): one for one in first.sets}
    assert sets[0, 0]["sha256"] != sets[0, 2]["sha256"]
    assert sets[1, 2]["clusters"] > sets[0, 2]["clusters"] > 0, "occlusion hides some"


def test_sets_do_not_hang_on_what_was_drawn_before(device, experiment):
    read = read_experiment(experiment)
    one = read.runs()[0]
    scene = Scenes(-1).open(one)
    cameras = read.way.cameras(scene, 4, one.size)
    arguments = scene, cameras, one.frame, one.size, 1
    clean = list(runner.visible_sets(Renderer(device), *arguments))
    used = Renderer(device)
    used.render(scene, Camera((0.0, 50.0, 0.1), (0.0, 0.0, 0.0)), one.frame, one.size)
    assert list(runner.visible_sets(used, *arguments)) == clean


def test_sets_do_not_hang_on_queues_that_had_to_grow(device, experiment):
    read = read_experiment(experiment)
    one = read.runs()[0]
    scene = Scenes(-1).open(one)
    cameras = [Camera((0.0, 0.3, z), (0.0, 0.0, 0.0)) for z in (12.0, 9.0)]
    clean = runner.drawn_clusters(Renderer(device), scene, cameras, 1, one.frame, one.size)
    fitting = replace(one.frame, visible_clusters=80)  # for the first camera, not for the second
    grown = runner.drawn_clusters(Renderer(device), scene, cameras, 1, fitting, one.size)
    assert runner.set_hash(grown) == runner.set_hash(clean)


def test_what_is_finished_is_not_measured_again(bench, tmp_path, monkeypatch, capsys):
    path, whole, calls = tmp_path / "r.jsonl", runner.measure, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(runner, "measure", interrupted)
    results = bench(code=130)
    assert results.done == {(0, 0), (1, 0)}
    kept = path.read_bytes()
    capsys.readouterr()
    results = bench()
    assert len(calls) == 5, "two parts were left"
    assert path.read_bytes().startswith(kept)
    assert results.done == {(run, part) for run in (0, 1) for part in (0, 1, SUMMARY)}
    assert "goes on after 2 finished parts" in capsys.readouterr().err
    assert bench().frames == results.frames
    assert len(calls) == 5


def test_ctrl_c_leaves_a_file_that_is_continued(tmp_path, experiment, device):
    """The real signal, in a process of its own, wherever it is then."""
    path = tmp_path / "r.jsonl"
    text = experiment.read_text(encoding="utf-8").replace("repeats = 2", "repeats = 12")
    experiment.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "engine", "bench", str(experiment), "--json", str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (path.exists() and len(read_results(path).done) >= 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "\nmicrolith: interrupted\n")
    before = read_results(path)
    assert 3 <= len(before.done) < 24
    assert len(before.frames) == 4 * len(before.done)
    assert not list(tmp_path.glob("*.partial"))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    after = read_results(path)
    assert len(after.done) == 24 + 2, "and the statistics of both runs"
    assert after.frames[: len(before.frames)] == before.frames


def test_the_python_call_reports_its_progress(tmp_path, device, experiment):
    calls = []
    read = replace(read_experiment(experiment), repeats=1)
    results = runner.run_experiment(device, read, tmp_path / "r.jsonl", lambda *call: calls.append(call), verify=True)
    assert len(results.frames) == 8
    assert [call[1:] for call in calls if call[0] == "measure"] == [(number, 8) for number in range(1, 9)]
    verified = [call for call in calls if call[0] == "verify run 2 of 2"]
    assert [call[1:] for call in verified] == [(number, 6) for number in range(1, 7)]


def test_another_experiment_does_not_continue_the_file(bench, tmp_path, experiment, capsys):
    bench("--quick")
    before = (tmp_path / "r.jsonl").read_bytes()
    assert run(["bench", str(experiment), "--json", str(tmp_path / "r.jsonl")]) == 1
    error = capsys.readouterr().err
    assert "experiment.check_every is 2 here and 1 there" in error
    assert error.count("\n") == 1
    assert (tmp_path / "r.jsonl").read_bytes() == before


def test_the_manifest_names_no_folder(bench, tmp_path, sample_asset):
    results = bench("--quick")
    text = (tmp_path / "r.jsonl").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    assert str(sample_asset("sphere").parent) not in text
    [digest] = results.runs[0]["files"]
    assert results.manifest["assets"][digest]["name"] == sample_asset("sphere").name
    assert results.manifest["assets"][digest]["bytes"] == sample_asset("sphere").stat().st_size
    assert {"commit", "machine", "versions", "device", "thresholds", "settings", "build"} <= set(results.manifest)
    assert {"python", "processor", "cores", "memory_bytes"} <= set(results.manifest["machine"])


def test_frames_that_outgrew_the_queues_are_measured_again(device, sample_asset):
    scene = load_scene(sample_asset("sphere"))
    low, high = scene.bounds()
    far = Camera(tuple(high + 200.0 * (high - low)), tuple(high), fov_degrees=10.0)
    cameras = [far, scene.default_camera(), far, scene.default_camera(), far]
    settings = FrameSettings(error_pixels=0.2, visible_clusters=4, candidate_groups=4, queue_items=4)
    records = list(runner.measure(Renderer(device), scene, cameras, settings, (64, 36), 0))
    assert sorted(record["frame"] for record in records) == [0, 1, 2, 3, 4]
    assert all(record["statistics"].is_complete for record in records)
    assert [record["frame"] for record in records if record.get("again")]


def test_no_camera_jumps_to_the_beginning_of_an_open_way(bench):
    """A jump hides nothing behind the last frame's pyramid, so that frame 0 would draw what no other frame does."""
    results = bench()
    kept = {(one["run"], one["frame"]): sum(one["statistics"]["clusters"].values()) for one in results.frames}
    assert {(one["run"], one["frame"]): one["clusters"] for one in results.sets}.items() <= kept.items()


@pytest.mark.parametrize(
    ("count", "places"), [(1, [0] * 8), (2, [1, 0, 1, 0, 1, 0, 1, 0]), (4, [1, 0, 1, 2, 3, 2, 1, 0])]
)
def test_warm_up_walks_the_way_backwards(count, places):
    assert [runner.place_of(-number, count) for number in range(7, -1, -1)] == places
    assert [runner.place_of(number, count) for number in range(count)] == list(range(count))


def test_a_set_is_known_by_its_hash():
    pairs = np.array([[0, 1], [2, 3]], np.uint32)
    assert runner.set_hash(pairs) == runner.set_hash(pairs[::-1]) == runner.set_hash(pairs.astype(np.int64))
    assert runner.set_hash(pairs) != runner.set_hash(pairs + 1)
    assert len(json.dumps(runner.set_hash(pairs))) == 66


def test_on_a_cpu_one_frame_is_drawn_at_a_time(device, sample_asset):
    scene, flights = load_scene(sample_asset("sphere")), []

    class Watched(Renderer):
        waiting = 0

        def submit(self, *arguments, **options) -> None:
            self.waiting += 1
            flights.append(self.waiting)
            super().submit(*arguments, **options)

        def collect(self, wait: bool = False):
            arrived = super().collect(wait)
            self.waiting -= len(arrived)
            return arrived

    drawer, cameras = Watched(device), [scene.default_camera()] * 6
    path = [(number, camera) for number, camera in enumerate(cameras)]
    arguments = drawer, scene, path, FrameSettings(), (64, 36), None
    assert [number for number, _, _ in runner._frames_in_flight(*arguments, waits=True)] == [0, 1, 2, 3, 4, 5]
    assert set(flights) == {1}
