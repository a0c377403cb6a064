"""tools/plot_results.py: the numbers behind the figures, which figures there are, and that each can be read."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from engine.__main__ import run
from engine.experiments.results import read_results
from engine.settings import BuildSettings, FrameSettings
from tools import plot_results, result_figures, result_series
from tools.result_figures import COLORS, FIGURES, HATCHES, LINES, MARKERS, STYLE

PASSES = {"cull": 0.5, "raster": 2.0, "tiny_a": 0.1}


def manifest(**experiment) -> dict:
    device = {"adapter": "card", "driver": "1.2", "backend": "Vulkan"}
    machine = {"system": "os", "processor": "cpu", "cores": 2, "memory_bytes": 2**33, "python": "3.11"}
    known = {"name": "made", "way": {"kind": "orbit"}, "frames": 3, "warm_up": 1, "repeats": 2, "image_error": None}
    return {
        "kind": "manifest",
        "microlith": "0",
        "commit": "abc",
        "time": "now",
        "machine": machine,
        "versions": {"wgpu": "1", "numba": None},
        "device": device,
        "experiment": known | experiment,
        "assets": {"f" * 64: {"name": "a.mlith", "bytes": 1234}},
    }


def run_line(number: int, label: str = "", **variant) -> dict:
    settings = asdict(FrameSettings(exposure=2.0)) | {k: v for k, v in variant.items() if k in vars(FrameSettings())}
    line = {"kind": "run", "run": number, "label": label or f"run {number}", "variant": variant, "scene": "a.mlith"}
    return line | {"size": variant.get("size", [64, 36]), "settings": settings, "build": asdict(BuildSettings())}


def frame_line(number: int, repeat: int, frame: int, milliseconds: float, triangles: int, timed: bool = True) -> dict:
    culled = {"frustum": 2, "detail": 3, "size": 0, "occlusion": 4}
    main = {"tested": 19, "kept": 10, "culled": culled, "rasters": {}}
    post = {"tested": 4, "kept": 1, "culled": {"frustum": 0, "detail": 1, "size": 0, "occlusion": 2}, "rasters": {}}
    passes_ms = {"frame": milliseconds} | (
        {name: milliseconds * ms / 4.0 for name, ms in PASSES.items()} if timed else {}
    )
    statistics = {
        "passes": {"main": {"clusters": main}, "post": {"clusters": post}},
        "triangles": {"software": triangles - 1, "hardware": 1},
        "clusters": {"software": 11},
        "passes_ms": passes_ms,
        "is_complete": True,
    }
    names = {"kind": "frame", "run": number, "repeat": repeat, "frame": frame, "wall_ms": milliseconds + 1.0}
    return names | {"statistics": statistics}


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Draw fewer pixels: it saves time."""
    monkeypatch.setitem(STYLE, "savefig.dpi", 50)


@pytest.fixture
def write(tmp_path):
    """Return `write(runs, errors, scenes, frames, timed) -> path of results`: run n takes 10 n + frame + 1 ms."""

    def to_file(runs, errors=(), scenes=(), frames=3, timed=True) -> Path:
        lines = [manifest(), *runs]
        for repeat in range(2):
            for one in runs:
                number = one["run"]
                many = 1000 * (number + 1)
                lines += [frame_line(number, repeat, f, 10.0 * number + f + 1.0, many, timed) for f in range(frames)]
                lines += [scene for scene in scenes if scene["run"] == number and repeat == 0]
                lines.append({"kind": "done", "run": number, "repeat": repeat})
        for number in dict.fromkeys(one["run"] for one in errors):
            lines += [one for one in errors if one["run"] == number]
            lines.append({"kind": "done", "run": number, "repeat": "image_error"})
        path = tmp_path / "made.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return path

    return to_file


def taus(*values) -> list[dict]:
    return [run_line(n, f"error_pixels {value}", error_pixels=value) for n, value in enumerate(values)]


def error_line(number: int, frame: int, psnr: float | None, flip: float) -> dict:
    return {"kind": "image_error", "run": number, "frame": frame, "reference_error_pixels": 0.0} | {
        "psnr_db": psnr,
        "flip": flip,
    }


def plot(path: Path, folder: Path) -> tuple[set[str], str]:
    """Plot; return the names of the figures, each of which is a picture with something on it, and results.md."""
    assert plot_results.main([str(path), "-o", str(folder)]) == 0
    names = {file.stem.removeprefix("made_") for file in folder.glob("*.png")}
    assert {file.stem.removeprefix("made_") for file in folder.glob("*.svg")} == names
    for file in folder.glob("*.png"):
        image = np.asarray(Image.open(file).convert("RGB"))
        assert min(image.shape[:2]) > 60
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 20
        assert (image == 255).all(axis=2).mean() > 0.2
    return names, (folder / "results.md").read_text(encoding="utf-8")


def drawn(kind: str, path: Path) -> Figure:
    figure = FIGURES[kind](read_results(path))
    assert isinstance(figure, Figure)
    return figure


def words(svg: Path) -> str:
    """Return the comments of an SVG, in which matplotlib keeps the texts that it draws."""
    ElementTree.parse(svg)
    return svg.read_text(encoding="utf-8")


def test_curves_hold_medians_and_spreads(write):
    results = read_results(write(taus(2.0, 0.0, 1)))
    [curve] = result_series.curves(results, "ms", "error_pixels")
    assert curve.x == [0.0, 1.0, 2.0], "ascending"
    assert (curve.median, curve.low, curve.high) == ([12.0, 22.0, 2.0], [11.0, 21.0, 1.0], [13.0, 23.0, 3.0])
    [curve] = result_series.curves(results, "triangles", "error_pixels")
    assert curve.median == [2000.0, 3000.0, 1000.0]


def test_other_fields_make_curves_of_their_own(write):
    pairs = [(1, "levels"), (1, "persistent"), (10, "levels"), (10, "persistent")]
    runs = [run_line(n, instances=count, traversal=kind) for n, (count, kind) in enumerate(pairs)]
    results = read_results(write(runs))
    assert result_series.numeric_fields(results) == ["instances"]
    found = result_series.curves(results, "ms", "instances")
    assert [(curve.label, curve.x, curve.median) for curve in found] == [
        ("traversal levels", [1.0, 10.0], [2.0, 22.0]),
        ("traversal persistent", [1.0, 10.0], [12.0, 32.0]),
    ]


def test_fields_as_numbers():
    assert result_series.number_of("size", [2000, 1000]) == 2.0
    assert result_series.number_of("instances", [2, 1, 3]) == 6.0
    assert result_series.number_of("error_pixels", 0) == 0.0
    assert result_series.number_of("occlusion", True) is None
    assert result_series.number_of("raster", "auto") is None


def test_what_becomes_of_clusters_is_counted_once(write):
    results = read_results(write(taus(1)))
    counts = result_series.funnel(results, 0)
    assert list(counts) == ["clusters"]
    assert counts["clusters"] == {"kept": 11.0, "frustum": 2.0, "detail": 4.0, "size": 0.0, "occlusion": 2.0}


def test_pass_times_are_medians_of_the_repeats(write):
    numbers, times = result_series.pass_times(read_results(write(taus(1, 2))), 1)
    assert numbers == [0, 1, 2]
    np.testing.assert_allclose(times["frame"], [11.0, 12.0, 13.0])
    np.testing.assert_allclose(times["raster"], [5.5, 6.0, 6.5])


def test_labels_of_runs_with_other_passes_stay_in_order():
    software, hardware = ["cull", "software", "pyramid", "light"], ["cull", "hardware", "pyramid", "light"]
    assert result_series.in_order([software, hardware])[0] == "cull"
    assert result_series.in_order([software, hardware])[-2:] == ["pyramid", "light"]
    assert result_series.in_order([software]) == software


def test_equal_images_have_no_place_on_a_curve(write):
    errors = [error_line(0, 0, None, 0.0), error_line(1, 0, 40.0, 0.1), error_line(1, 1, None, 0.2)]
    results = read_results(write(taus(0, 1), errors))
    [curve] = result_series.curves(results, "flip", "error_pixels")
    assert (curve.x, curve.median) == ([0.0, 1.0], [0.0, pytest.approx(0.15)])
    assert result_series.curves(results, "psnr_db", "error_pixels") == [], "the median of run 1 is infinite, too"


def test_tau_with_image_error(write, tmp_path, capsys):
    errors = [error_line(n, f, 40.0 - 5.0 * n - f if n else None, 0.01 * n) for n in range(4) for f in range(2)]
    names, text = plot(write(taus(0, 0.5, 1, 8), errors), tmp_path / "out")
    assert names == {"passes", "funnel", "tau", "image_error"}
    tau = words(tmp_path / "out" / "made_tau.svg")
    assert all(word in tau for word in ("tau (pixels)", "triangles drawn", "GPU time (ms)", "mean FLIP (0 to 1)"))
    errors = words(tmp_path / "out" / "made_image_error.svg")
    assert "PSNR (dB)" in errors and "infinite where the images are equal" in errors
    passes = words(tmp_path / "out" / "made_passes.svg")
    assert "GPU time (ms)" in passes and "medians of the repeats" in passes
    left_out = capsys.readouterr().out.splitlines()
    assert left_out == [f"made: {line[2:]}" for line in text.splitlines() if line.startswith("- no figure")]
    assert "made: no figure scaling_instances: all scenes have the same number of instances" in left_out
    assert {line.split(":")[1].split()[-1] for line in left_out} | names == set(FIGURES)
    assert "| error_pixels 8 | 4,000 | 32.000 (31.000 to 33.000) | 16.000 (11.000 to 31.000) |" in text
    assert "| scene | a.mlith |" in text and "| image | 64x36 |" in text, "what all runs share"
    assert "| inf | 0 |" in text
    assert "| settings | exposure = 2.0 |" in text, "what differs from the defaults and is not varied"
    assert "| adapter | card, 1.2, Vulkan |" in text
    assert "a.mlith (1,234 bytes, ffffffffffff)" in text
    for stem in names:
        assert f"](made_{stem}.png)" in text


def test_scaling_is_log_log(write, tmp_path):
    runs = [run_line(n, instances=10**n) for n in range(4)]
    scenes = [{"kind": "scene", "run": n, "instances": 10**n, "triangles": 5 * 10**n} for n in range(4)]
    names, text = plot(write(runs, scenes=scenes), tmp_path / "out")
    assert names == {"passes", "funnel", "scaling_instances"}
    assert "no figure scaling_triangles: the triangles of the scenes grow with their instances alone" in text
    assert "proportional" in words(tmp_path / "out" / "made_scaling_instances.svg")
    figure = drawn("scaling_instances", tmp_path / "made.jsonl")
    assert all((axis.get_xscale(), axis.get_yscale()) == ("log", "log") for axis in figure.axes)
    runs = [run_line(n, scene=f"mesh_{n}.ply") for n in range(3)]
    scenes = [{"kind": "scene", "run": n, "instances": 1, "triangles": 7 * 100**n} for n in range(3)]
    names, _ = plot(write(runs, scenes=scenes), tmp_path / "other")
    assert names == {"passes", "funnel", "sweep", "scaling_triangles"}


def test_words_are_rows(write, tmp_path):
    runs = [run_line(0, "occlusion true", occlusion=True), run_line(1, "occlusion false", occlusion=False)]
    errors = [error_line(n, 0, 30.0, 0.1) for n in range(2)]
    names, _ = plot(write(runs, errors), tmp_path / "out")
    assert names == {"passes", "funnel", "sweep", "image_error"}
    assert "occlusion false" in words(tmp_path / "out" / "made_sweep.svg")
    figure = drawn("image_error", write(runs, [error_line(0, 0, 30.0, 0.1), error_line(1, 0, None, 9.0)]))
    psnr, flip = figure.axes
    assert (psnr.get_xscale(), flip.get_xscale()) == ("linear", "log"), "an infinite PSNR is no wide range"
    assert psnr.get_title() == "infinite where the images are equal"


def test_one_run_that_is_not_timed(write, tmp_path):
    names, text = plot(write([run_line(0, "one run")], timed=False), tmp_path / "out")
    assert names == {"funnel"}
    assert "no figure passes: passes were not timed" in text
    assert "no figure sweep: nothing is varied" in text
    names, text = plot(write([run_line(0, "one run")], frames=1), tmp_path / "out_1")
    assert "no figure passes: one frame is no path" in text


def test_runs_with_and_without_pass_times(write, tmp_path):
    """Only those whose passes were timed are in the figure of passes; the sweep has all."""
    path = write([run_line(n, f"pass_times {n == 0}", pass_times=n == 0) for n in range(2)])
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if line["kind"] == "frame" and line["run"] == 1:
            line["statistics"]["passes_ms"] = {"frame": line["statistics"]["passes_ms"]["frame"]}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    names, _ = plot(path, tmp_path / "out")
    assert names == {"passes", "funnel", "sweep"}
    assert "pass_times False" not in words(tmp_path / "out" / "made_passes.svg")
    assert "pass_times false" in words(tmp_path / "out" / "made_sweep.svg").lower()


def test_more_runs_than_panels_say_so(write, tmp_path):
    plot(write(taus(*range(10))), tmp_path / "out")
    assert "8 of 10 runs are shown" in words(tmp_path / "out" / "made_funnel.svg")


def test_panels_of_passes_show_all_of_every_run(write):
    """Run n takes 10 n + 1 to 10 n + 3 ms: the first panel must not set the scale of the others."""
    axes = drawn("passes", write(taus(0, 1, 2))).axes
    assert [axis.get_ylim()[1] > 23.0 for axis in axes] == [True] * 3
    wide = drawn("passes", write(taus(*range(9)))).axes
    assert wide[0].get_ylim()[1] < 10.0 < 83.0 < wide[-1].get_ylim()[1], "each has a scale of its own"


@pytest.mark.parametrize(("low", "high"), [(3.0, 27.0), (4e3, 25e3), (1.0, 900.0), (2.0, 7.0), (1100.0, 1900.0)])
def test_a_logarithmic_axis_has_a_few_labels_that_do_not_collide(low, high):
    figure, [axis] = result_figures._panels(1)
    axis.plot([1, 2], [low, high])
    axis.set(yscale="log")
    result_figures._plain_log(axis, "triangles")
    figure.draw_without_rendering()
    low, high = axis.get_ylim()
    ticks = [*axis.yaxis.get_major_ticks(), *axis.yaxis.get_minor_ticks()]
    labels = [tick.label1 for tick in ticks if low <= tick.get_loc() <= high and tick.label1.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    bottoms = sorted((box.y0, box.y1) for box in boxes if box.height)
    assert 2 <= len(bottoms) <= 10
    assert all(one[1] <= other[0] for one, other in zip(bottoms, bottoms[1:]))


def test_long_paths_make_no_large_files(write, tmp_path):
    plot(write(taus(*range(8)), frames=250), tmp_path / "out")
    for file in (tmp_path / "out").glob("*.svg"):
        assert file.stat().st_size < 400_000, file.name
    assert "a point is the mean of 3 frames" in words(tmp_path / "out" / "made_passes.svg")


def test_thinned_times_are_means():
    numbers, times = result_series.thinned([0, 1, 2, 3, 4], {"a": np.array([1.0, 3.0, 5.0, 9.0, 4.0])}, 2)
    assert numbers == [0, 2, 4]
    np.testing.assert_array_equal(times["a"], [2.0, 7.0, 4.0])
    assert result_series.thinned([0, 1], {"a": np.array([1.0, 2.0])}, 1)[0] == [0, 1]


def test_refused_runs_are_rows_without_numbers_and_not_drawn(write, tmp_path):
    path = write(taus(0, 1, 2))
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not (json.loads(line).get("run") == 1 and json.loads(line)["kind"] != "run")]
    kept.append(json.dumps({"kind": "refused", "run": 1, "repeat": 0, "reason": "too | large"}))
    path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    names, text = plot(path, tmp_path / "out")
    assert names == {"passes", "funnel", "tau"}
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| error_pixels")]
    assert rows == ["| error_pixels 0", "| error_pixels 1", "| error_pixels 2"]
    assert "| error_pixels 1 | refused |  |  |  |" in text
    assert "- error_pixels 1: refused: too | large" in text
    assert len(drawn("passes", path).axes) == 2


def test_the_same_results_give_the_same_figures(write, tmp_path):
    path = write(taus(0, 1))
    for folder in ("one", "two"):
        plot(path, tmp_path / folder)
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_figures_can_be_told_apart_without_colour():
    assert len(COLORS) == len(MARKERS) == len(LINES) == len(HATCHES) == len(set(HATCHES)) == len(set(map(str, LINES)))
    assert len(set(MARKERS)) == len(MARKERS)


@pytest.mark.parametrize("content", ["", "nonsense\n", json.dumps({"kind": "manifest"}) + "\n"])
def test_a_file_without_results_is_one_line(tmp_path, content, capsys):
    path = tmp_path / "bad.jsonl"
    path.write_text(content, encoding="utf-8")
    assert plot_results.main([str(path), "-o", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("plot_results: ") and "bad.jsonl" in error and error.count("\n") == 1


def test_files_of_one_name_do_not_overwrite_each_other():
    paths = [Path("a/x.jsonl"), Path("b/x.jsonl"), Path("y.jsonl")]
    assert plot_results.unique_names(paths) == ["x_1", "x_2", "y"]
    assert plot_results.unique_names([*paths, Path("x_1.jsonl")]) == ["x_2", "x_3", "y", "x_1"]


def test_one_bad_file_is_said_before_anything_is_drawn(write, tmp_path, capsys):
    good, bad = write(taus(0, 1)), tmp_path / "bad.jsonl"
    lines = [json.loads(line) for line in good.read_text(encoding="utf-8").splitlines()]
    without_samples = [line for line in lines if line["kind"] != "frame"]
    without_samples += [{"kind": "summary", "run": 0}, {"kind": "done", "run": 0, "repeat": "summary"}]
    older = [line | {"statistics": {}} if line["kind"] == "frame" else line for line in lines]
    headless = [line for line in lines if line["kind"] != "run"]
    for content, words in (
        (without_samples, "but statistics without the samples of single frames"),
        (older, "statistics lacks 'clusters': another version of bench wrote it"),
        (headless, "holds frames of run 0, which it does not describe"),
    ):
        bad.write_text("".join(json.dumps(line) + "\n" for line in content), encoding="utf-8")
        assert plot_results.main([str(good), str(bad), "-o", str(tmp_path / "out")]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"plot_results: {bad}: ") and words in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_scenes_of_one_name_stay_apart(write, tmp_path):
    scenes = ["old/a.ply", "new/a.ply"]
    runs = [run_line(n, f"{n}", error_pixels=n // 2, scene=scenes[n % 2]) | {"scene": scenes[n % 2]} for n in range(4)]
    path = write(runs)
    assert [curve.label for curve in result_series.curves(read_results(path), "ms", "error_pixels")] == [
        "scene old/a.ply",
        "scene new/a.ply",
    ]
    _, text = plot(path, tmp_path / "out")
    assert "| run | scene | drawn |" in text and "| 1 | new/a.ply | 2,000 |" in text


def test_what_bench_writes_is_plotted(tmp_path, sample_asset, device, capsys):
    experiment = tmp_path / "made.toml"
    experiment.write_text(
        f'scene = "{sample_asset("sphere")}"\nframes = 3\nwarm_up = 1\nsize = [64, 36]\nimage_error = true\n'
        "[sweep]\nerror_pixels = [0, 1, 8]\n",
        encoding="utf-8",
    )
    out = tmp_path / "made.jsonl"
    assert run(["bench", str(experiment), "--json", str(out), "--verify"]) == 0
    names, text = plot(out, tmp_path / "out")
    assert names == {"passes", "funnel", "tau", "image_error"}
    assert "What `--verify` compared:\n\n- reference: 3 frames" in text
    assert "llvmpipe" in text or read_results(out).manifest["device"]["adapter"] in text
