"""What is written: CSV of frames, camera paths, names that overwrite nothing."""

import csv
import math

import pytest

from engine.camera import Camera, CameraPath
from engine.frame.statistics import FrameStatistics, Funnel, Queue
from engine.viewer.capture import (
    PathPlayer,
    PathRecorder,
    StatisticsCapture,
    free_path,
    read_path,
    write_path,
)
from engine.viewer.state import FrameSample


def camera_at(x: float) -> Camera:
    return Camera((x, 0.0, 5.0), (x, 0.0, 0.0))


def statistics(passes=("main",), **passes_ms: float) -> FrameStatistics:
    funnel = Funnel(10, 7, {"frustum": 3, "detail": 0, "size": 0, "occlusion": 0}, {"software": 7})
    return FrameStatistics(
        size=(64, 36),
        adapter="an adapter",
        traversal="levels",
        error_pixels=1.0,
        passes={name: {"clusters": funnel} for name in passes},
        clusters={"software": 7},
        triangles={"software": 70},
        queues={"nodes": Queue(3, 2, 2)},
        memory_bytes={"pages": 1000},
        pages_resident=1,
        is_complete=False,
        is_aborted=False,
        notes=["first, with a comma", "second"],
        passes_ms=passes_ms,
    )


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_of_csv(tmp_path):
    capture, path = StatisticsCapture(), tmp_path / "capture.csv"
    capture.add(7, camera_at(0.0), statistics(), FrameSample(7, {}, 1.5, 16.0, 0.5))
    late = statistics(("main", "post"), **{"main/persistent_cull": 0.25})
    capture.add(8, camera_at(1.0), late, FrameSample(8, {}, 1.0, math.nan, 1.0))
    assert capture.write(path) == 2
    first, second = read(path)
    assert first["frame"] == "7" and first["camera"] == "0.0,0.0,5.0; 0.0,0.0,0.0; 0.0,1.0,0.0; 45.0"
    assert (first["width_pixels"], first["height_pixels"]) == ("64", "36")
    assert (first["cpu_ms"], first["interval_ms"], first["render_scale"]) == ("1.5", "16.0", "0.5")
    assert first["passes.main.clusters.kept"] == "7" and first["passes.main.clusters.culled.frustum"] == "3"
    assert first["passes.main.clusters.rasters.software"] == "7"
    assert first["queues.nodes.requested"] == "3" and first["memory_bytes.pages"] == "1000"
    assert first["is_complete"] == "0" and first["notes"] == "first, with a comma; second"
    # A column that the first frame did not have is there, and empty.
    assert first["passes_ms.main/persistent_cull"] == first["passes.post.clusters.kept"] == ""
    assert second["interval_ms"] == ""
    assert second["passes_ms.main/persistent_cull"] == "0.25" and second["passes.post.clusters.kept"] == "7"
    capture.begin()
    assert capture.write(path) == 0 and read(path) == []


def test_every_number_of_a_frame_is_in_the_csv(renderer, sample_asset, tmp_path):
    from engine.asset import open_asset
    from engine.scene import scene_from_assets

    scene = scene_from_assets([open_asset(sample_asset("sphere"))])
    frame = renderer.render(scene, scene.default_camera(), size=(64, 36))
    capture = StatisticsCapture()
    capture.add(0, scene.default_camera(), frame.statistics, FrameSample(0, {}, 1.0, 1.0, 1.0))
    capture.write(tmp_path / "capture.csv")
    (row,) = read(tmp_path / "capture.csv")
    assert not any(text.startswith(("{", "[")) for text in row.values())
    assert int(row["passes.main.triangles.kept"]) == frame.statistics.passes["main"]["triangles"].kept > 0


def test_a_recorder_keeps_the_time_of_slow_and_fast_frames():
    recorder = PathRecorder(0.1)
    made = [recorder.add(camera_at(10 * time), 3.0 + time) for time in (0.0, 0.03, 0.1, 0.17, 0.35, 0.4)]
    assert made == [1, 0, 1, 0, 2, 1]
    xs = [camera.eye[0] for camera in recorder.path().keyframes]
    assert xs == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0], abs=0.2)  # the way between two frames is smooth, not straight
    assert xs[1] == 1.0 and xs[4] == 4.0


def test_a_recorder_passes_over_cameras_that_no_way_joins():
    recorder = PathRecorder(0.1)
    recorder.add(camera_at(0.0), 0.0)
    flat = Camera((0.0, 0.0, 5.0), (0.0, 0.0, 0.0), orthographic_height=2.0)
    assert recorder.add(flat, 0.25) == 2
    with pytest.raises(ValueError, match="cannot mix"):
        recorder.path()
    with pytest.raises(ValueError, match="at least one"):
        PathRecorder().path()


def test_a_path_goes_through_its_file(tmp_path):
    path = CameraPath((camera_at(0.1), camera_at(1 / 3)), closed=True)
    write_path(path, tmp_path / "path-001.camera")
    assert read_path(tmp_path / "path-001.camera") == path
    (tmp_path / "bad.camera").write_text("1,2,3\n", encoding="utf-8")
    for name in ("bad.camera", "missing.camera"):
        with pytest.raises(ValueError, match=name) as caught:
            read_path(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_player_follows_time_or_a_fixed_step():
    path = CameraPath((camera_at(0.0), camera_at(1.0), camera_at(2.0)))
    player = PathPlayer(path, 0.5)
    assert player.duration_seconds == 1.0
    assert [player.at(time).eye[0] for time in (0.0, 0.5, 1.0, 9.0)] == [0.0, 1.0, 2.0, 2.0]
    xs = [player.advance(0.5).eye[0] for _ in range(3)]
    assert xs == [0.0, 1.0, 2.0] and player.is_finished
    fixed = PathPlayer(path, 0.5, step_seconds=0.25)
    xs = [fixed.advance(passed).eye[0] for passed in (9.0, 0.001, 3.0)]
    assert xs[0] == 0.0 and xs[2] == 1.0 and not fixed.is_finished
    ring = PathPlayer(CameraPath(path.keyframes, closed=True), 1.0)
    assert ring.duration_seconds == 3.0
    assert ring.at(4.0).eye[0] == pytest.approx(1.0) and not ring.is_finished
    still = PathPlayer(CameraPath((camera_at(0.0),)))
    assert still.at(1.0) == camera_at(0.0)


def test_steps_must_be_above_zero():
    for make in (
        lambda: PathRecorder(0.0),
        lambda: PathPlayer(CameraPath((camera_at(0.0),)), 0.0),
        lambda: PathPlayer(CameraPath((camera_at(0.0),)), 1.0, -1.0),
    ):
        with pytest.raises(ValueError):
            make()


def test_names_overwrite_nothing(tmp_path):
    assert free_path(tmp_path, "capture", "csv") == tmp_path / "capture-001.csv"
    for name in ("capture-001.csv", "capture-007.csv", "capture-x.csv", "path-009.csv", "capture-012.png"):
        (tmp_path / name).touch()
    assert free_path(tmp_path, "capture", "csv") == tmp_path / "capture-008.csv"
    (tmp_path / "capture-1000.csv").touch()
    assert free_path(tmp_path, "capture", "csv") == tmp_path / "capture-1001.csv"
