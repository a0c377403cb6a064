"""What each panel says of a state, and that every panel draws every state."""

import copy
import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from imgui_bundle import imgui

from engine.frame.statistics import KINDS, Funnel, Queue
from engine.settings import FrameSettings, ViewMode
from engine.viewer import explain, freezing, picking
from engine.viewer.panels import (
    LogForwarder,
    camera,
    draw_all,
    funnel,
    keys_help,
    log,
    overlays,
    pick,
    queues,
    scene,
    status,
    style,
    timings,
    view_modes,
    widgets,
)
from engine.viewer.panels.layout import PANELS, TITLES
from engine.viewer.state import FrameSample
from tests.test_readme import README


class Lines:
    def lines(self):
        return [("cluster", "12 of 34"), ("path", "0 / 1 / 2")]


class FrozenFrame:
    """What panels read of a frozen frame."""

    def __init__(self, trace=None):
        self.trace = trace

    def status(self):
        return "" if self.trace else "culling is being traced"


class Counted:
    def counts(self):
        return np.array([[1, 2, 3, 4, 5], [1234, 20, 30, 40, 50], [5_000_000, 200, 300, 400, 500]])


def overflowed(statistics):
    statistics = copy.deepcopy(statistics)
    statistics.queues["nodes"] = Queue(3000, 1000, 1000)
    statistics.is_complete, statistics.is_aborted = False, True
    statistics.notes.append("nodes: 1000 places grow to 4000")
    return statistics


def huge(statistics):
    statistics = copy.deepcopy(statistics)
    number = 4_294_967_295
    culled = dict.fromkeys(("frustum", "detail", "size", "occlusion"), number)
    statistics.passes = {
        name: {kind: Funnel(5 * number, number, culled, {"software": number}) for kind in KINDS}
        for name in ("main", "post", "shadow")
    }
    statistics.memory_bytes = dict.fromkeys(statistics.memory_bytes, 2**40)
    return statistics


def set_up(window, kind):
    state = window.state
    if kind == "empty":
        state.scene = state.statistics = None
        state.history.clear()
    elif kind == "overflow":
        state.statistics = overflowed(state.statistics)
    elif kind == "huge":
        state.statistics = huge(state.statistics)
    elif kind == "frozen":
        state.frozen = FrozenFrame(Counted())
        state.boxes_shown, state.boxes_matching = 20000, 123456
        state.picked, state.explained = Lines(), Lines()


@pytest.mark.parametrize("panel", PANELS, ids=TITLES)
@pytest.mark.parametrize("kind", ["empty", "full", "overflow", "huge", "frozen"])
def test_every_panel_draws_every_state(full, panel, kind):
    set_up(full, kind)
    full.show_panel(panel)
    assert full.actions.calls == []  # nothing is asked for without a click


@pytest.mark.parametrize("kind", ["empty", "full", "overflow", "huge", "frozen"])
def test_all_panels_together(full, kind):
    set_up(full, kind)
    full.state.shows_help = True
    full.state.say("it is said")
    texts = full.show(lambda: draw_all(full.state, full.actions))
    assert "it is said" in texts and "turn around the target" in texts
    assert ("Drop a .mlith" in texts) == (kind == "empty")
    assert ("nodes overflowed: 3,000 requested, 1,000 places" in texts) == (kind == "overflow")
    assert ("CULLING FROZEN" in texts) == (kind == "frozen")
    full.state.shows_gui = full.state.shows_help = False
    texts = full.show(lambda: draw_all(full.state, full.actions))
    assert "it is said" in texts and "instances" not in texts


def test_an_error_in_a_panel_stands_in_its_place(full, monkeypatch):
    def draw(*_):
        imgui.begin_child("child")
        imgui.begin_table("table", 2)
        raise ValueError("no such panel today")

    monkeypatch.setattr(scene, "draw", draw)
    for _ in range(3):
        texts = full.show(lambda: draw_all(full.state, full.actions))
        assert "no such panel today" in texts and "instance_nodes" in texts


def test_an_error_outside_of_panels_leaves_imgui_ready_for_the_next_frame(window):
    def fail():
        with widgets.balanced():
            imgui.begin("window")
            imgui.begin_child("child")
            raise ValueError("it failed")

    def content():
        with pytest.raises(ValueError, match="it failed"):
            fail()
        imgui.text_unformatted("goes on")

    assert "goes on" in window.show(content)


def test_a_message_leaves_after_a_while(window):
    window.state.say("old")
    window.state.messages[0] = replace(window.state.messages[0], seconds=-1e9)
    assert "old" not in window.show(lambda: draw_all(replace(window.state, hidden_panels=set(TITLES)), window.actions))


@pytest.mark.parametrize("fraction", [None, 0.25])
def test_a_job_is_shown_and_cancelled(window, fraction):
    window.state.job = type("Job", (), {"description": "building statue.ply", "fraction": fraction})
    texts = window.show(lambda: draw_all(window.state, window.actions))
    assert "building statue.ply" in texts and ("25%" in texts) == (fraction is not None)
    window.click("Cancel")
    assert window.actions.calls == [("cancel_job",)]


def test_funnel_shows_the_numbers_of_each_pass(full):
    main, post = (full.state.statistics.passes[name]["clusters"] for name in ("main", "post"))
    main.tested, main.kept, main.culled["frustum"], post.kept = 1_234_567, 7_654_321, 1111, 22
    texts = full.show_panel(funnel)
    for text in ("main", "post", "1,234,567", "7,654,321", "1,111", "22", "occlusion", "small"):
        assert text in texts
    assert f"{7_654_321 + 22:,}" in texts  # what both passes kept
    assert set(funnel.KIND_TEXTS) == set(KINDS)
    assert set(funnel.OUTCOME_TEXTS) == {"kept", *main.culled}
    assert set(funnel.RASTER_TEXTS) == set(main.rasters)


def test_queues_warn_of_what_was_dropped(full):
    assert queues.warnings(full.state.statistics) == []
    assert "nothing was dropped" in full.show_panel(queues)
    full.state.statistics = overflowed(full.state.statistics)
    texts = full.show_panel(queues)
    for text in ("nodes overflowed: 3,000 requested, 1,000 places", "gave up", "1000 places grow", "all buffers"):
        assert text in texts
    assert "nothing was dropped" not in texts


def test_timings_name_the_passes_that_matter(full):
    times = {f"pass_{i}": float(i) for i in range(12)}
    full.state.history.clear()
    full.state.history.extend(FrameSample(n, {**times, "frame": 99.0}, 3.0, 80.0, 1.0) for n in range(3))
    labels, passes_ms = timings.pass_matrix(full.state.history)
    assert labels == list(times) and passes_ms.shape == (3, 12)
    series = timings.significant(labels, passes_ms)
    assert list(series) == [f"pass_{i}" for i in range(11, 3, -1)] + [timings.REST]
    assert series[timings.REST].tolist() == [0 + 1 + 2 + 3] * 3
    rows = timings.median_rows(list(full.state.history), labels, passes_ms, np.array([[80.0, 3.0]] * 3))
    assert [(label, value) for label, value, _ in rows[:4]] == [
        ("frame interval", 80.0),
        ("CPU frame", 3.0),
        ("GPU frame", 99.0),
        ("pass_11", 11.0),
    ]
    texts = full.show_panel(timings)
    assert "pass_11" in texts and "measures no GPU times" not in texts
    full.state.history.clear()
    full.state.history.append(FrameSample(1, {}, 3.0, 80.0, 1.0))
    assert "measures no GPU times" in full.show_panel(timings)


def test_a_rest_is_no_slow_frame(full):
    full.state.history.append(FrameSample(9, {}, 2.0, math.nan, 1.0))
    assert status.parts(full.state)[0][0] == "50.0 fps (20.0 ms)"
    assert "20.0" in full.show_panel(timings)
    full.state.history.clear()
    full.state.history.append(FrameSample(9, {}, 2.0, math.nan, 1.0))
    full.show_panel(timings)
    assert "fps" not in status.parts(full.state)[0][0]


def test_the_time_axis_ends_at_round_numbers():
    assert [timings.highest_tick(value) for value in (0.1, 0.11, 1.0, 3.0, 51.0)] == pytest.approx(
        [0.1, 0.2, 1, 5, 100]
    )


def test_view_texts_are_those_of_the_readme():
    assert set(view_modes.VIEW_TEXTS) == set(get_args(ViewMode))
    readme = " ".join(README.split())
    for view, text in view_modes.VIEW_TEXTS.items():
        assert any(f"`{view}`" in row and text in row for row in README.splitlines() if row.startswith("|")), view
        assert text in readme


def test_scene_panel_counts_instances(full):
    texts = full.show_panel(scene)
    triangles = full.state.scene.assets[0].source_triangles
    assert f"{triangles:,} of source meshes" in texts and f"{triangles:,} in all instances" in texts
    full.state.scene.add_asset(0, np.eye(4)[None])
    assert f"{2 * triangles:,} in all instances" in full.show_panel(scene)
    full.state.scene.remove_instances(full.state.scene.live_slots[1:])
    assert f"{triangles:,} in all instances" in full.show_panel(scene)


def test_overlays_count_outcomes_of_a_frozen_frame(full):
    assert "1,234" not in full.show_panel(overlays)
    set_up(full, "frozen")
    texts = full.show_panel(overlays)
    assert "1,234" in texts and "20,000 of 123,456 boxes drawn" in texts
    assert "5,001,234" in full.click("clusters")
    assert full.state.overlay.kinds == {"nodes", "clusters"}
    full.click("frustum")
    assert "frustum" not in full.state.overlay.outcomes
    full.click("Let culling follow the camera")
    assert full.actions.calls == [("toggle_freeze",)]
    full.state.frozen = FrozenFrame()
    texts = full.show_panel(overlays)
    assert "culling is being traced" in texts and "boxes drawn" not in texts and "1,234" not in texts


def test_pick_shows_and_copies_lines(window):
    assert "Click on a surface" in window.show_panel(pick)
    window.state.picked = Lines()
    texts = window.show_panel(pick)
    assert "12 of 34" in texts and "Click on a surface" not in texts
    window.click("Copy all##Surface")
    assert window.actions.calls == [("copy_text", "cluster\t12 of 34\npath\t0 / 1 / 2\n")]


def test_what_was_really_picked_and_frozen(full, renderer, drawn_scene):
    scene, _ = drawn_scene
    camera, size, settings = scene.default_camera(), (64, 36), FrameSettings(raster="software")
    renderer.render(scene, camera, settings, size)
    full.state.picked = picked = picking.pick(renderer, scene, camera, settings, size, 32, 18)
    full.state.frozen = frozen = freezing.freeze(renderer, scene, camera, settings, size)
    assert frozen.poll(wait=True) and frozen.trace
    full.state.explained = explain.explain(frozen, len(frozen.trace.records) - 1)
    texts = full.show_panel(pick)
    assert picked.reason() in texts and full.state.explained.outcome in texts
    full.click(picked.asset_name)
    assert full.actions.calls == [("copy_text", picked.asset_name)]
    full.state.overlay.kinds = {"clusters"}
    counts = overlays.outcome_counts(full.state)
    assert counts["kept"] == len(frozen.trace.kept_clusters()) > 0
    assert sum(counts.values()) == (frozen.trace.records["kind"] == 2).sum()
    full.show_panel(overlays)


def test_fields_use_the_clipboard_of_the_system(window):
    window.show_panel(log)
    window.click("##filter")
    taken = []
    style.use_clipboard(lambda: "half full", taken.append)
    window.io.add_key_event(imgui.Key.mod_ctrl, True)
    for letter in (imgui.Key.v, imgui.Key.a, imgui.Key.x):
        for is_down in (True, False):
            window.io.add_key_event(letter, is_down)
            window.frame(is_logged=False)
        if letter == imgui.Key.v:
            assert window.state.inputs.log_filter == "half full"
    assert window.state.inputs.log_filter == "" and taken == ["half full"]


def test_a_path_that_is_typed_is_opened(window):
    window.show_panel(scene)
    window.type_into("##path", " folder/a mesh.ply ")
    assert window.actions.calls == [("open", [Path("folder/a mesh.ply")])]
    assert window.state.inputs.path == ""
    window.type_into("##path", "  ")
    assert len(window.actions.calls) == 1


def test_log_filters_and_takes_what_the_engine_logs(window):
    logger = logging.Logger("engine.of_the_test", logging.DEBUG)
    logger.addHandler(LogForwarder(window.state))
    logger.debug("too much")
    logger.info("queues grow: %d", 7)
    logger.warning("half full")
    logger.error("100%s lost")
    messages = [(message.text, message.is_error) for message in window.state.messages]
    assert messages == [("queues grow: 7", False), ("warning: half full", False), ("100%s lost", True)]
    assert "100%s lost" in window.show_panel(log)
    window.state.inputs.log_filter = "HALF"
    texts = window.show_panel(log)
    assert "half full" in texts and "queues grow" not in texts
    window.click("Copy all")
    assert window.actions.calls == [("copy_text", "warning: half full\n")]


def test_camera_panel_changes_the_camera(full):
    full.show_panel(camera)
    full.drag("field of view", 60)
    name, changed = full.actions.calls[-1]
    assert name == "set_camera" and changed.fov_degrees > full.state.camera.fov_degrees
    assert changed.eye == full.state.camera.eye
    full.drag("speed", 60)
    name, speed = full.actions.calls[-1]
    assert name == "set_speed" and speed > 1.5
    full.click("Frame all")
    assert full.actions.calls[-1] == ("frame_all",)


def test_status_says_what_is_wrong_first(full):
    texts = [text for text, _ in status.parts(full.state)]
    assert texts[0] == "50.0 fps (20.0 ms)"
    assert f"{funnel.drawn(full.state.statistics, 'triangles'):,} triangles" in texts
    full.state.statistics, full.state.frozen = overflowed(full.state.statistics), FrozenFrame()
    full.state.render_scale, full.state.image_size = 0.5, (640, 360)
    texts = [text for text, _ in status.parts(full.state)]
    assert texts[:3] == [
        "CULLING FROZEN",
        "nodes overflowed: 3,000 requested, 1,000 places",
        "the persistent traversal gave up",
    ]
    assert "640 x 360 (scale 0.50)" in texts


def test_a_panel_closes_and_comes_back(full):
    full.state.hidden_panels = {"Culling funnel"}
    assert "instance_nodes" not in full.show(lambda: draw_all(full.state, full.actions))
    full.click("View")
    full.click("Culling funnel")
    assert full.state.hidden_panels == set()
    assert "instance_nodes" in full.frame()


def test_a_click_between_two_slow_frames_reaches_its_tab(full):
    full.show(lambda: draw_all(full.state, full.actions))
    for title, button in (("Light", "shadows"), ("Settings", "Copy as TOML"), ("Light", "shadows")):
        tab = imgui.internal.find_window_by_name(title).dc.dock_tab_item_rect
        for position in ((800, 300), (0.5 * (tab.min.x + tab.max.x), 0.5 * (tab.min.y + tab.max.y))):
            full.io.add_mouse_pos_event(*position)
            if position == (800, 300):
                full.frame()
        for is_down in (True, False):
            full.io.add_mouse_button_event(0, is_down)
        for _ in range(4):  # as many as the window draws after an event
            full.frame()
        assert button in full.items


def test_help_lists_every_key_once():
    rows = dict(keys_help.key_rows())
    assert rows["Space, Z"] == "freeze culling, or let it follow the camera"
    assert len(rows) == len(keys_help.key_rows())
