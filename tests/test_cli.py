"""The command line: usage, exit codes, one clear line for each failure. Ctrl-C: test_interruption.py."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine import __version__
from engine.__main__ import run
from engine.commands import frames, logs, scenes
from engine.commands.parser import AOV_NAMES, parse
from engine.settings import SHADOW_CASCADES, BuildSettings, FrameSettings

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def fails(capsys):
    """Return a function that runs a failing command line and returns its one line."""

    def check(*arguments) -> str:
        assert run([str(argument) for argument in arguments]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("microlith: ")
        assert captured.err.count("\n") == 1
        return captured.err

    return check


# Usage


@pytest.mark.parametrize(
    "line",
    [
        "",
        "fly",
        "build",
        "build a.ply",
        "build a.ply -o b.mlith --threads 0",
        "build a.ply -o b.mlith --scale -1",
        "render a.mlith",
        "render a.mlith -o b.png --size 0x10",
        "render a.mlith -o b.png --size 10",
        "render a.mlith -o b.png --eye 1,2",
        "render a.mlith -o b.png --eye 1,2,nan",
        "render a.mlith -o b.png --fov 180",
        "render a.mlith -o b.png --error-pixels -1",
        "render a.mlith -o b.png --traversal fast",
        "render a.mlith -o b.png --view pretty",
        "render a.mlith -o b.png --aov depth",
        "render a.mlith -o b.png --aov color=c.npy",
        "render a.mlith -o b.png --frames 0",
        "render a.mlith -o b.png --nothing",
        "info",
    ],
)
def test_wrong_usage_exits_with_2(line, capsys):
    with pytest.raises(SystemExit) as caught:
        run(line.split())
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage: microlith" in captured.err


def test_version_and_help_go_to_standard_output(capsys):
    for argument, words in (("--version", f"microlith {__version__}"), ("--help", "SCENE is an asset")):
        with pytest.raises(SystemExit) as caught:
            run([argument])
        assert caught.value.code == 0
        assert words in capsys.readouterr().out


def test_negative_coordinates_are_values():
    options = parse(["render", "a", "-o", "b.png", "--eye", "-1,-2.5,3e2", "--target", "-.5,0,0", "--up", "0,0,1"])
    assert options.eye == (-1.0, -2.5, 300.0)
    assert options.target == (-0.5, 0.0, 0.0)
    assert options.up == (0.0, 0.0, 1.0)


def test_aovs_may_be_given_together_and_apart():
    options = parse(["render", "a", "-o", "b.png", "--aov", "depth=d.npy", "normal=n.npy", "--aov", "level=l.npy"])
    assert options.aov == [("depth", "d.npy"), ("normal", "n.npy"), ("level", "l.npy")]


@pytest.mark.parametrize(
    ("line", "verbosity"), [("info a", 0), ("-v info a", 1), ("info a -vv", 2), ("-q info a", -1), ("info -q a", -1)]
)
def test_verbosity_before_and_after_the_command(line, verbosity):
    assert parse(line.split()).verbosity == verbosity


def test_adapter_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("MICROLITH_ADAPTER", "llvmpipe")
    assert parse(["device"]).adapter == "llvmpipe"
    assert parse(["device", "--adapter", "other"]).adapter == "other"


# Settings


def test_options_go_before_the_settings_file(tmp_path):
    path = tmp_path / "frame.toml"
    path.write_text('error_pixels = 3.0\nview = "levels"\nocclusion = true\n', encoding="utf-8")
    line = ["render", "a", "-o", "b.png", "--settings", str(path), "--view", "normals", "--no-occlusion"]
    settings = frames.frame_settings(parse(line))
    assert settings == FrameSettings(error_pixels=3.0, view="normals", occlusion=False)
    shadows = ["--shadows"]
    assert frames.given_settings(parse([*line, *shadows]))["shadow_cascades"] == SHADOW_CASCADES
    assert "shadow_cascades" not in frames.given_settings(parse([*line, *shadows]), {"shadow_cascades": 2})


def test_set_goes_before_every_other_option(tmp_path):
    path = tmp_path / "frame.toml"
    path.write_text("error_pixels = 3.0\nqueue_items = 77\n", encoding="utf-8")
    values = ["error_pixels=2", "view=levels", "materials=folder/sub", "light_direction=[-1, 2, 3]", "occlusion=false"]
    arguments = [argument for value in values for argument in ("--set", value)]
    for line in (["render", "a", "-o", "b.png"], ["view", "a"], ["bench", "a"]):
        settings = frames.frame_settings(parse([*line, "--settings", str(path), "--view", "depth", *arguments]))
        assert settings == FrameSettings(
            error_pixels=2.0,
            queue_items=77,
            view="levels",
            materials="folder/sub",
            light_direction=(-1.0, 2.0, 3.0),
            occlusion=False,
        )
    assert parse(["view", "a", "--set", "exposure=-1"]).set == [("exposure", -1)]
    assert frames.frame_settings(parse(["view", "a", "--shadows", "--set", "shadow_cascades=2"])).shadow_cascades == 2


@pytest.mark.parametrize("text", ["exposure", "=1", "exposure=", "light_direction=[1,2", "view=a b", "exposure=1\nb=2"])
def test_set_wants_a_name_and_a_value(text, capsys):
    with pytest.raises(SystemExit):
        parse(["view", "a", "--set", text])
    assert "--set" in capsys.readouterr().err
    with pytest.raises(ValueError, match="unknown setting 'exposures'"):
        frames.frame_settings(parse(["view", "a", "--set", "exposures=1"]))


@pytest.mark.parametrize("text", ["scene = 1", 'scene = "a"\nframe = 1', 'scene = "a"\nsize = [0, 1]', "scene ="])
def test_a_bad_experiment_is_named_in_one_line(tmp_path, text, fails):
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    assert "bad.toml: " in fails("bench", path)


# Failures


def test_what_cannot_be_read(tmp_path, fails):
    (tmp_path / "folder.ply").mkdir()
    (tmp_path / "text.ply").write_text("not a mesh", encoding="utf-8")
    (tmp_path / "text.mlith").write_text("not an asset", encoding="utf-8")
    (tmp_path / "text.toml").write_text("not = [toml", encoding="utf-8")
    image = tmp_path / "image.png"
    assert "no such file" in fails("render", tmp_path / "missing.mlith", "-o", image)
    assert "is a folder" in fails("render", tmp_path / "folder.ply", "-o", image)
    assert "must end in one of" in fails("render", tmp_path / "image.txt", "-o", image)
    assert "text.mlith" in fails("render", tmp_path / "text.mlith", "-o", image)
    assert "text.mlith" in fails("info", tmp_path / "text.mlith")
    assert "text.toml" in fails("render", tmp_path / "text.toml", "-o", image)
    assert "text.ply" in fails("build", tmp_path / "text.ply", "-o", tmp_path / "a.mlith")
    assert "missing.ply" in fails("build", tmp_path / "missing.ply", "-o", tmp_path / "a.mlith")
    assert not image.exists()
    assert not (tmp_path / "a.mlith").exists()


def test_what_cannot_be_written_is_refused_first(tmp_path, fails):
    assert "there is no folder" in fails("render", "missing.mlith", "-o", tmp_path / "none" / "a.png")
    assert "is a folder" in fails("build", "missing.ply", "-o", tmp_path)
    assert "must end in .mlith" in fails("build", "missing.ply", "-o", tmp_path / "a.png")
    assert "not an image format" in fails("render", "missing.mlith", "-o", tmp_path / "a.mlith")


def test_a_bad_camera_is_one_line(tmp_path, fails, sample_asset):
    asset = sample_asset("sphere")
    line = fails("render", asset, "-o", tmp_path / "a.png", "--eye", "1,1,1", "--target", "1,1,1")
    assert "eye and target are the same point" in line
    assert "not a camera" in fails("render", asset, "-o", tmp_path / "a.png", "--camera", "nonsense")


def test_a_camera_file_is_one_too(tmp_path):
    file = tmp_path / "a.camera"
    file.write_text("1,2,3; 0,0,0; 0,1,0; 30\n9,9,9; 0,0,0\n", encoding="utf-8")
    assert frames.read_camera(str(file)) == frames.read_camera("1,2,3; 0,0,0; 0,1,0; 30")
    file.write_text("nonsense", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.camera: not a camera"):
        frames.read_camera(str(file))


def test_an_unknown_adapter_is_one_line(fails):
    assert "no adapter matches 'none such'" in fails("device", "--adapter", "none such")


def test_a_bug_is_one_line_too(monkeypatch, fails):
    def broken(*_):
        raise KeyError("oops")

    monkeypatch.setattr("engine.commands.device.run", broken)
    assert "internal error" in fails("device")


def test_a_closed_pipe_is_silent():
    program = f"{sys.executable} -m engine device --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""


# Commands


def test_device(capsys, device):
    assert run(["device", "--json"]) == 0
    description = json.loads(capsys.readouterr().out)
    assert description["adapter"] == device.adapter_name
    assert run(["device"]) == 0
    assert "shader-int64-atomic-min-max" in capsys.readouterr().out


def test_build_writes_asset_and_report(tmp_path, sample_mesh, capsys):
    asset, report = tmp_path / "a.mlith", tmp_path / "report.json"
    assert run(["build", str(sample_mesh("sphere")), "-o", str(asset), "--report", str(report), "--threads", "1"]) == 0
    assert asset.stat().st_size > 0
    assert json.loads(report.read_text(encoding="utf-8"))
    assert capsys.readouterr().out == ""


def test_progress_as_json(tmp_path, sample_mesh, capfd):
    assert run(["build", str(sample_mesh("sphere")), "-o", str(tmp_path / "a.mlith"), "--progress-json"]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    updates = [json.loads(line) for line in err.splitlines()]
    assert all(set(update) == {"stage", "done", "total"} for update in updates)
    assert list(dict.fromkeys(update["stage"] for update in updates)) == ["read", "compile", "build", "write"]
    last = {update["stage"]: update for update in updates}
    assert last["build"]["done"] == last["build"]["total"] > 4000
    assert last["write"]["done"] == last["write"]["total"] == 1


def test_progress_as_json_is_limited(capfd, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: clock[0])
    with logs.JsonProgress() as progress:
        for step in range(1001):  # a second
            progress("one", step, 1000)
            progress("one", step, 1000)
            clock[0] += 0.001
        progress("two", 0, 5)
        progress("two", 1, 5)
        progress("two", 5, 5)
    updates = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert 19 <= sum(update["stage"] == "one" for update in updates) <= 22
    assert updates[-3:] == [
        {"stage": s, "done": d, "total": t} for s, d, t in (("one", 1000, 1000), ("two", 0, 5), ("two", 5, 5))
    ]


def test_a_failing_build_with_json_progress_is_one_line(tmp_path, capsys):
    assert run(["build", str(tmp_path / "missing.ply"), "-o", str(tmp_path / "a.mlith"), "--progress-json"]) == 1
    *updates, line = capsys.readouterr().err.splitlines()
    assert line.startswith("microlith: ") and "missing.ply: cannot be read" in line
    assert [json.loads(update)["stage"] for update in updates] == ["read"]


def test_info(capsys, sample_asset):
    asset = str(sample_asset("sphere"))
    assert run(["info", asset]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^source triangles +[45],\d\d\d$", text, re.MULTILINE)
    assert run(["info", asset, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["source_triangles"] == sum(level["triangles"] for level in values["levels"] if level["level"] == 0)
    assert sum(level["clusters"] for level in values["levels"]) == values["clusters"]
    assert values["file_bytes"] == os.path.getsize(asset)


def test_info_verify(capsys, sample_asset):
    assert run(["info", str(sample_asset("sphere")), "--verify"]) == 0
    assert "verified" in capsys.readouterr().out


def test_render_writes_image_arrays_and_statistics(tmp_path, sample_asset, device):
    line = [
        "render",
        str(sample_asset("sphere")),
        "-o",
        str(tmp_path / "image.png"),
        "--size",
        "97x55",
        "--frames",
        "2",
    ]
    line += ["--aov", *(f"{name}={tmp_path / name}.npy" for name in AOV_NAMES)]
    assert run([*line, "--statistics", str(tmp_path / "statistics.json")]) == 0
    image = np.asarray(Image.open(tmp_path / "image.png"))
    assert image.shape == (55, 97, 4)
    assert len(np.unique(image.reshape(-1, 4), axis=0)) > 10
    arrays = {name: np.load(tmp_path / f"{name}.npy") for name in AOV_NAMES}
    assert arrays["depth"].dtype == np.float32
    assert arrays["normal"].shape == (55, 97, 3)
    drawn = np.isfinite(arrays["depth"])
    assert 0.1 < drawn.mean() < 0.8
    assert drawn[27, 48]
    assert not drawn[0, 0]
    for name in ("instance", "cluster", "triangle", "level", "material"):
        assert arrays[name].dtype == np.uint32
        assert ((arrays[name] != 0xFFFFFFFF) == drawn).all()
    assert json.loads((tmp_path / "statistics.json").read_text(encoding="utf-8"))


def test_render_builds_a_mesh_into_the_cache_once(tmp_path, sample_mesh, device, cache_home):
    mesh = tmp_path / "mesh.ply"
    mesh.write_bytes(sample_mesh("sphere").read_bytes())
    line = ["render", str(mesh), "-o", str(tmp_path / "image.png"), "--size", "32x32"]
    assert run(line) == 0
    (asset,) = cache_home.rglob("mesh-*.mlith")
    stamp = asset.stat().st_mtime_ns
    assert run(line) == 0
    assert asset.stat().st_mtime_ns == stamp
    os.utime(mesh, ns=(1, 1))
    assert run(line) == 0
    assert len(list(cache_home.rglob("mesh-*.mlith"))) == 2


def test_the_place_in_the_cache_is_known_before_the_build(tmp_path, monkeypatch, sample_mesh):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    mesh = sample_mesh("sphere")
    asset, is_there = scenes.find_asset(mesh, BuildSettings())
    assert not is_there
    assert list(tmp_path.iterdir()) == []
    assert scenes.cached_asset(mesh, BuildSettings()) == asset
    assert scenes.find_asset(mesh, BuildSettings()) == (asset, True)


def test_cache_key_changes_with_the_settings(sample_mesh):
    mesh = sample_mesh("sphere")
    keys = {scenes._cache_key(mesh, settings) for settings in (BuildSettings(), BuildSettings(scale=2.0))}
    assert len(keys) == 2


def test_bench_writes_one_line_per_frame(tmp_path, sample_asset, capsys, device):
    out = tmp_path / "bench.jsonl"
    line = ["bench", str(sample_asset("sphere")), "--size", "64x36", "--frames", "3", "--warm-up", "1"]
    assert run([*line, "--json", str(out)]) == 0
    manifest, *lines = [json.loads(text) for text in out.read_text(encoding="utf-8").splitlines()]
    records = [line for line in lines if line["kind"] == "frame"]
    assert manifest["kind"] == "manifest"
    assert {"device", "commit", "versions", "settings", "experiment", "machine"} <= set(manifest)
    assert [record["frame"] for record in records] == [0, 1, 2]
    assert all(record["wall_ms"] > 0 and record["statistics"]["passes_ms"] for record in records)
    table = capsys.readouterr().out
    assert "median" in table
    assert re.search(r"^wall +\d", table, re.MULTILINE)
