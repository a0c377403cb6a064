"""Image error along a path: none at tau = 0, more at a larger tau, and none of it in the timed part."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from engine.__main__ import run
from engine.camera import Camera
from engine.commands import bench
from engine.commands.parser import parse
from engine.experiments import image_comparison, report
from engine.experiments.experiment import Experiment, quick, read_experiment
from engine.experiments.image_comparison import SLOW_PIXELS, Shown, between, errors_of
from engine.experiments.image_error import MEASURES, ImageErrors
from engine.experiments.results import IMAGE_ERROR, SUMMARY, read_results
from engine.renderer import Renderer, UnfinishedFrameError
from engine.scene import load_scene

TEXT = """
scene = "{asset}"
frames = 4
warm_up = 1
repeats = 2
size = [96, 54]
check_every = 0
[[keyframes]]
eye = [0.0, 0.3, 4.0]
target = [0.0, 0.0, 0.0]
[[keyframes]]
eye = [2.0, 0.3, 3.0]
target = [0.0, 0.0, 0.0]
[image_error]
every = 3
[sweep]
error_pixels = [0, 1, 20]
"""


@pytest.fixture
def experiment(tmp_path, sample_asset):
    path = tmp_path / "e.toml"
    path.write_text(TEXT.format(asset=sample_asset("sphere")), encoding="utf-8")
    return path


@pytest.fixture
def measured(tmp_path, experiment, device, capsys):
    """The results of the experiment, what was printed, and the rows of its CSV file."""
    out = tmp_path / "r.jsonl", tmp_path / "r.csv"
    assert run(["bench", str(experiment), "--json", str(out[0]), "--csv", str(out[1])]) == 0
    with out[1].open(encoding="utf-8") as stream:
        return read_results(out[0]), capsys.readouterr().out, list(csv.DictReader(stream))


def test_there_is_none_at_tau_0_and_it_grows_with_tau(measured):
    results, text, rows = measured
    assert [(one["run"], one["frame"]) for one in results.image_errors] == [(r, f) for r in range(3) for f in (0, 3)]
    for one in results.image_errors:
        assert one["reference_error_pixels"] == 0.0
        assert 0.1 < one["covered_share"] < 0.9
        assert one["motion_pixels"] == pytest.approx(SLOW_PIXELS, rel=0.2)
        assert 0.0 < one["reference_change"] < 0.2
    names = [name for name in report.ERROR_UNITS if name != "psnr_db"]
    for one in results.image_errors[:2]:
        assert one["psnr_db"] is None, "equal images"
        assert [one[name] for name in names] == [0.0] * len(names)
    means = [[np.mean(report.error_values(results, number, name)) for number in range(3)] for name in names]
    assert all(nothing == 0.0 < little < much for nothing, little, much in means), means
    psnr = [min(report.error_values(results, number, "psnr_db")) for number in range(3)]
    assert psnr[0] == float("inf") > psnr[1] > psnr[2] > 10.0
    assert results.done == {(number, part) for number in range(3) for part in (0, 1, SUMMARY, IMAGE_ERROR)}
    assert "image error, medians of the compared frames" in text
    exact, _, _ = [line.split()[2:] for line in text.splitlines() if line.startswith("error_pixels")][3:]
    assert exact == ["inf", *["0"] * len(names)]
    filled = [row for row in rows if row["flip"]]
    assert len(rows) == 24 and len(filled) == 12, "the compared frames of both repeats"
    assert {row["frame"] for row in filled} == {"0", "3"}
    assert filled[0]["psnr_db"] == "" and float(filled[-1]["psnr_db"]) > 10.0


def test_what_was_compared_is_not_compared_again(measured, tmp_path, experiment, monkeypatch, device):
    results, _, _ = measured
    monkeypatch.setattr(image_comparison, "errors_along", None)
    assert run(["bench", str(experiment), "--json", str(tmp_path / "r.jsonl")]) == 0
    assert read_results(tmp_path / "r.jsonl").image_errors == results.image_errors


def test_scenes_are_counted(measured, sample_asset):
    results, _, _ = measured
    triangles = load_scene(sample_asset("sphere")).assets[0].instanced_triangles
    assert results.scenes == [
        {"kind": "scene", "run": number, "instances": 1, "triangles": triangles} for number in range(3)
    ]


def test_between_two_cameras():
    one, other = Camera((0, 0, 4), (0, 0, 0), fov_degrees=40.0), Camera((4, 0, 4), (0, 2, 0), fov_degrees=60.0)
    half = between(one, other, 0.5)
    assert (half.eye, half.target, half.fov_degrees) == ((2.0, 0.0, 4.0), (0.0, 1.0, 0.0), 50.0)
    assert between(one, other, 0.0) == one


def test_a_frame_that_cannot_be_drawn_exactly_says_why(device, experiment, monkeypatch):
    read = read_experiment(experiment)
    one = read.runs()[2]
    scene = load_scene(one.file)
    cameras = read.way.cameras(scene, 2, one.size)
    drawer, reference = Renderer(device), Renderer(device)

    def fails_with(error):
        def fails(*_):
            raise error

        return fails

    whole = reference.render
    arguments = drawer, reference, one, scene, cameras, ImageErrors(1)
    monkeypatch.setattr(reference, "render", fails_with(RuntimeError("a mistake")))
    with pytest.raises(RuntimeError, match="a mistake"):  # else it would pass for a frame that is too large
        list(image_comparison.errors_along(*arguments))
    monkeypatch.setattr(reference, "render", fails_with(UnfinishedFrameError("too large")))
    assert list(image_comparison.errors_along(*arguments)) == [
        {"frame": number, "skipped": "too large"} for number in range(2)
    ]

    def coarser(scene, camera, settings, size):
        return whole(scene, camera, replace(settings, error_pixels=0.5), size)

    monkeypatch.setattr(reference, "render", coarser)
    assert [record["reference_error_pixels"] for record in image_comparison.errors_along(*arguments)] == [0.5, 0.5]


def test_only_what_was_asked_for_is_measured():
    image = np.zeros((4, 4, 4), np.uint8)
    no_depth = Shown(image, image, None, 0.0)
    assert errors_of(no_depth, no_depth, ("psnr",)) == {"psnr_db": None}
    found = errors_of(no_depth, Shown(image, image, np.ones((4, 4), np.float32), 0.0), MEASURES)
    lacking = {name for name, value in found.items() if value is None}
    assert lacking == {"psnr_db", "depth_error_median", "depth_error_p99", "silhouette_share", "silhouette_pixels"}
    assert found["covered_share"] == 1.0


def test_it_is_off_unless_asked_for(experiment, tmp_path):
    assert Experiment("a", "a.ply").image_error is None
    assert read_experiment(experiment).image_error == ImageErrors(3)
    assert quick(read_experiment(experiment)).image_error == ImageErrors(1)
    chosen = bench.experiment_of(parse(["bench", str(experiment), "--image-error", "7"]))
    assert chosen.image_error == ImageErrors(7)
    assert bench.experiment_of(parse(["bench", "a.mlith", "--image-error", "7"])).image_error == ImageErrors(7)
    assert bench.experiment_of(parse(["bench", "a.mlith"])).image_error is None


def test_a_mistake_names_the_file(experiment):
    experiment.write_text(experiment.read_text(encoding="utf-8").replace("every = 3", "every = 0"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"e\.toml: image_error\.every is 0"):
        read_experiment(experiment)
