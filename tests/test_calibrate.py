"""Calibration: what it measures, what it chooses, what is kept, and what goes before it."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from engine import asset_file, asset_pages, calibrate, reference, thresholds
from engine.__main__ import run
from engine.asset_page_checks import check_page, page_tables
from engine.calibrate import Candidate, choose
from engine.calibration_scene import SIZE, calibration_scene, strip_asset
from engine.camera import view_record
from engine.renderer import Renderer
from engine.settings import FrameSettings
from engine.thresholds import Thresholds, default_thresholds, keep_thresholds, thresholds_file, thresholds_of

DEFAULT = Thresholds("persistent", 8, "default", "")


@pytest.fixture
def fresh(device, tmp_path, monkeypatch):
    """The device, without thresholds, in front of an empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(device, "caches", {key: value for key, value in device.caches.items() if key != "thresholds"})
    return device


def another_process(device):
    """Forget what was read."""
    device.caches.pop("thresholds", None)
    return device


@pytest.fixture
def warnings(monkeypatch, caplog):
    """The lines that the engine logs, also after a command line stopped their propagation."""
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    caplog.set_level(logging.WARNING, "engine")
    return caplog


# The scene


def test_the_strip_is_an_asset():
    strip = strip_asset()
    pages = np.zeros(1, asset_file.PAGE)
    check_page(strip.words, 0, page_tables(strip.meshes, strip.nodes, strip.groups, pages, 1))
    clusters = strip.clusters()
    assert len(clusters) == strip.meshes["cluster_count"][0] == 1365
    levels = clusters["counts"] >> 16 & 255
    length = np.array([4.0 * 4**level for level in levels])
    for cluster in range(0, len(clusters), 97):
        geometry = asset_pages.decode_cluster(strip.words, cluster, 1.0, 1.0)
        corners = geometry.positions - clusters["origin"][cluster]
        np.testing.assert_array_equal(corners, [(0, 0, 0), (length[cluster], 0, 0), (0, 4, 0), (length[cluster], 4, 0)])
        edges = geometry.positions[geometry.triangles]
        areas = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
        assert (areas == (0, 0, 4 * length[cluster])).all()
        assert (geometry.normals == (0, 0, 1)).all()
    made = clusters["made_by"] != 0xFFFFFFFF
    assert (made == (levels > 0)).all()
    maker = strip.groups[clusters["made_by"][made]]  # the group covers exactly what it made
    np.testing.assert_array_equal(maker["box_min"][:, 0], clusters["origin"][made][:, 0])
    np.testing.assert_array_equal(maker["box_max"][:, 0] - maker["box_min"][:, 0], length[made])
    own = strip.groups[clusters["group"]]
    assert (maker["geometric_error"] * 4 <= own["geometric_error"][made]).all()


@pytest.mark.parametrize("traversal", ["persistent", "levels"])
def test_the_scene_is_drawn_as_the_reference_says(fresh, traversal):
    scene, camera, settings = calibration_scene(64)
    settings = replace(settings, traversal=traversal)
    renderer = Renderer(fresh)
    statistics = renderer.render(scene, camera, settings, SIZE).statistics
    view = view_record(camera, SIZE, settings, bounds=scene.bounds())
    tables = reference.tables_of(scene)
    expected = reference.visible_set(tables, view)
    np.testing.assert_array_equal(renderer.read_visible_clusters(), expected.pairs)
    assert len(expected.pairs) == 64, "one cluster of each instance"
    assert len(np.unique(scene.clusters()["counts"][expected.pairs[:, 1]])) == 4, "of several levels"
    assert statistics.passes["main"]["nodes"].tested > 10 * 64
    for near in (0.75, 1.5):  # no decision is close to its threshold
        other = view_record(camera, SIZE, replace(settings, error_pixels=near), bounds=scene.bounds())
        np.testing.assert_array_equal(reference.visible_set(tables, other).pairs, expected.pairs)


# The measurement


def test_calibration_chooses_among_what_it_measured(fresh):
    seen = []
    result = calibrate.calibrate(
        fresh, instances=32, workgroups=(1, 3), frames=2, progress=lambda _, done, total: seen.append((done, total))
    )
    assert [(one.traversal, one.workgroups) for one in result.candidates] == [
        ("levels", 0), ("persistent", 1), ("persistent", 3)
    ]  # fmt: skip
    assert all(len(one.frames_ms) == 2 and one.milliseconds > 0 and not one.failure for one in result.candidates)
    assert result.clusters == 32
    assert result.thresholds.traversal in ("levels", "persistent")
    assert result.thresholds.persistent_workgroups in (1, 3)
    assert result.thresholds.source == "calibrated"
    assert seen == [(done, 9) for done in range(1, 10)]
    assert json.loads(json.dumps(result.to_dict()))["candidates"][0]["milliseconds"] > 0


def test_without_timestamps_and_64_bit_counters(fresh):
    plain = replace(fresh, features=fresh.features - {"timestamp-query", "shader-int64-atomic-all-ops"}, caches={})
    result = calibrate.calibrate(plain, instances=16, frames=1)
    assert "wall clock" in result.clock
    assert [one.traversal for one in result.candidates] == ["levels"]
    assert result.candidates[0].milliseconds > 0
    assert result.thresholds.traversal == "levels"
    assert result.thresholds.persistent_workgroups == default_thresholds(plain).persistent_workgroups


@pytest.mark.parametrize("lie", ["is_aborted", "another set", "another count"])
def test_what_fails_is_not_chosen(fresh, monkeypatch, lie):
    collect, read = Renderer.collect, Renderer.read_visible_clusters

    def lying(self, wait=False):
        results = collect(self, wait)
        for _, seen in results:
            if seen.traversal == "persistent" and lie == "is_aborted":
                seen.is_aborted, seen.is_complete = True, False
            if seen.traversal == "persistent" and lie == "another count":
                seen.clusters["software"] -= 1
            self.last_traversal = seen.traversal
        return results

    def turned(self):
        pairs = read(self)
        return pairs[::-1] if lie == "another set" and self.last_traversal == "persistent" else pairs

    monkeypatch.setattr(Renderer, "collect", lying)
    monkeypatch.setattr(Renderer, "read_visible_clusters", turned)
    result = calibrate.calibrate(fresh, instances=16, workgroups=(2, 4), frames=1)
    assert result.thresholds.traversal == "levels"
    failure = "stood still" if lie == "is_aborted" else "another set"
    assert failure in result.thresholds.reason
    assert failure in result.candidates[1].failure
    assert result.candidates[1].milliseconds is None
    assert result.candidates[2].milliseconds is None, "a traversal that failed is not tried again"


@pytest.mark.parametrize(
    ("levels", "persistent", "expected"),
    [
        (3.0, {4: 2.0, 8: 2.5}, ("persistent", 4)),
        (3.0, {4: 2.0, 8: 2.05}, ("persistent", 8)),  # hardly slower: the default stays
        (1.0, {4: 2.0, 8: 2.5}, ("levels", 4)),
        (1.98, {4: 2.0, 8: 2.5}, ("persistent", 4)),
        (2.0, {16: 1.0}, ("persistent", 16)),
    ],
)
def test_the_fastest_is_chosen_and_chance_is_not(levels, persistent, expected):
    candidates = [Candidate("levels", 0, [levels + 5.0, levels])]
    candidates += [Candidate("persistent", count, [ms, ms + 5.0]) for count, ms in persistent.items()]
    chosen = choose(candidates, DEFAULT)
    assert (chosen.traversal, chosen.persistent_workgroups) == expected


def test_one_failure_among_several_counts_is_enough():
    candidates = [
        Candidate("levels", 0, [9.0]),
        Candidate("persistent", 4, [1.0]),
        Candidate("persistent", 8, [1.0], "stood still"),
    ]
    assert choose(candidates, DEFAULT).traversal == "levels"


# The cache


def test_what_is_kept_is_read_by_the_next_process(fresh):
    assert thresholds_of(fresh) == default_thresholds(fresh)
    kept = Thresholds("levels", 3, "calibrated", "levels took 1.000 ms, persistent 2.000 ms")
    path = keep_thresholds(fresh, kept)
    assert thresholds_of(fresh) == kept
    assert thresholds_of(another_process(fresh)) == kept
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_file_is_of_one_adapter_driver_and_version(fresh, monkeypatch):
    path = thresholds_file(fresh)
    for name in ("device", "description"):
        other = replace(fresh, adapter=type("Adapter", (), {"info": {**fresh.adapter.info, name: "another"}})())
        assert thresholds_file(other) != path
    monkeypatch.setattr(thresholds, "__version__", "0.0.0")
    assert thresholds_file(fresh) != path


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"[]",
        b"{}",
        b'{"traversal": "auto", "persistent_workgroups": 8}',
        b'{"traversal": ["levels"], "persistent_workgroups": 8}',
        b'{"traversal": "levels", "persistent_workgroups": 0}',
        b'{"traversal": "levels", "persistent_workgroups": true}',
        b'{"traversal": "levels", "persistent_workgroups": 1e9}',
    ],
)
def test_a_damaged_file_costs_one_line(fresh, warnings, content):
    path = thresholds_file(fresh)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert thresholds_of(fresh) == default_thresholds(fresh)
    thresholds_of(fresh)
    [record] = warnings.records
    assert record.levelname == "WARNING"
    assert str(path) in record.getMessage() and "--calibrate" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_a_file_that_asks_for_what_the_adapter_lacks_is_damaged(fresh, warnings):
    keep_thresholds(fresh, Thresholds("persistent", 4, "calibrated", ""))
    plain = replace(fresh, features=fresh.features - {"shader-int64-atomic-all-ops"}, caches={})
    assert thresholds_of(plain).traversal == "levels"
    assert len(warnings.records) == 1


# The renderer and the command line


def test_settings_go_before_the_calibration(fresh):
    scene, camera, settings = calibration_scene(8)
    keep_thresholds(fresh, Thresholds("levels", 3, "calibrated", ""))
    renderer = Renderer(fresh)

    def drawn_with(settings: FrameSettings) -> tuple[str, int]:
        traversal = renderer.render(scene, camera, settings, SIZE).statistics.traversal
        return traversal, renderer._context.persistent_workgroups

    assert drawn_with(settings) == ("levels", 3)
    persistent = replace(settings, traversal="persistent")
    assert drawn_with(persistent) == ("persistent", 3)
    passes = renderer._passes
    assert drawn_with(replace(persistent, persistent_workgroups=5)) == ("persistent", 5)
    assert drawn_with(persistent) == ("persistent", 3)
    assert renderer._passes is passes, "another number of workgroups compiles nothing"
    keep_thresholds(fresh, Thresholds("persistent", 2, "calibrated", ""))
    assert drawn_with(settings) == ("persistent", 2)
    assert drawn_with(replace(settings, traversal="levels"))[0] == "levels"


def test_the_command_measures_keeps_and_tells(fresh, quick_calibration, monkeypatch, capsys):
    monkeypatch.setattr("engine.gpu.device.open_device", lambda *_, **__: another_process(fresh))
    assert run(["device", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["thresholds"]["source"] == "default"
    thresholds_file(fresh).parent.mkdir(parents=True)
    thresholds_file(fresh).write_text("damaged")
    assert run(["device", "--calibrate"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "", "a damaged file is replaced without a word"
    lines = captured.out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["traversal", "levels", "persistent"]
    assert lines[-1].startswith("chosen: ")
    assert thresholds_file(fresh).is_file()
    assert run(["device"]) == 0
    assert "calibrated" in capsys.readouterr().out
    assert run(["device", "--calibrate", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["thresholds"] == values["calibration"]["thresholds"]
    assert values["thresholds"]["source"] == "calibrated"
    assert len(values["calibration"]["candidates"]) > 2


def test_a_cache_that_cannot_be_written_is_one_clear_line(fresh, quick_calibration, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("engine.gpu.device.open_device", lambda *_, **__: another_process(fresh))
    (tmp_path / "microlith").touch()
    assert run(["device", "--calibrate"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and "cannot be kept" in captured.err
