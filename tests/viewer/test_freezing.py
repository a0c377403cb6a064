"""A frozen frame: its trace is what the GPU tested, and what it drew."""

from dataclasses import replace

import numpy as np
import pytest

from engine import reference, still_frame
from engine.camera import Camera
from engine.reference_trace import KINDS, OUTCOMES
from engine.renderer import Renderer
from engine.settings import FrameSettings
from engine.viewer.freezing import freeze
from tests.frame.test_occlusion import path, street

SIZE = (211, 130)
# Too small for the GPU's shortcut past the nodes of a mesh, which the reference does not take.
SETTINGS = FrameSettings(error_pixels=0.1, view="clusters")


@pytest.fixture(scope="module")
def scene(sample_asset):
    return street(sample_asset("sphere", 20000), gap=1.2)


def gpu_counts(frozen, name: str) -> np.ndarray:
    """Return tested things of a pass by kind and outcome; what main leaves to post is counted there alone."""
    funnels = frozen.statistics.passes[name]
    table = [[funnels[kind].kept, *(funnels[kind].culled[reason] for reason in OUTCOMES[1:])] for kind in KINDS]
    counts = np.array(table)
    if name == "main":
        counts[:, OUTCOMES.index("occlusion")] = 0
    return counts


def assert_is_what_the_gpu_did(renderer, frozen) -> None:
    """Compare set and counts; what hangs on rounding may differ, which is hardly anything."""
    assert frozen.poll(wait=True)
    assert frozen.error == frozen.status() == ""
    arguments = frozen.tables, frozen.view, frozen.occlusion
    least, most = (set(map(tuple, reference.visible_set(*arguments, lean).pairs.tolist())) for lean in (-1, 1))
    drawn = set(map(tuple, renderer.read_visible_clusters().tolist()))
    assert least <= drawn <= most
    ties = len(most) - len(least)
    assert ties <= 0.01 * len(most)
    found = set(map(tuple, frozen.trace.kept_clusters().tolist()))
    assert len(found ^ drawn) <= ties
    assert len(drawn) > 50
    for name, in_post in (("main", False), ("post", True)):
        difference = np.abs(frozen.trace.counts(in_post) - gpu_counts(frozen, name))
        assert difference.sum() <= 4 * ties, (name, difference)


@pytest.mark.parametrize("number", range(len(path(4))))
@pytest.mark.parametrize("occlusion", [True, False])
def test_the_trace_is_what_the_gpu_did(renderer, scene, number, occlusion):
    camera, settings = path(4)[number], replace(SETTINGS, occlusion=occlusion)
    frozen = freeze(renderer, scene, camera, settings, SIZE)
    assert (frozen.camera, frozen.settings, frozen.size) == (camera, settings, SIZE)
    assert_is_what_the_gpu_did(renderer, frozen)
    hidden = frozen.trace.counts()[:, OUTCOMES.index("occlusion")]
    assert hidden.sum() > 20 if occlusion and number < 3 else occlusion or not hidden.any()


def test_every_outcome_occurs(renderer, sample_asset):
    scene = street(sample_asset("sphere", 20000), gap=1.2)
    far = np.tile(np.eye(3, 4), (3, 1, 1)) * 0.05
    far[:, :, 3] = [(0.0, 2.0, -300.0), (1.0, 2.5, -300.0), (40.0, 0.0, 0.0)]
    scene.add_asset(0, far)
    frozen = freeze(renderer, scene, path(1)[0], SETTINGS, SIZE)
    assert_is_what_the_gpu_did(renderer, frozen)
    counts = frozen.trace.counts()
    assert (counts.sum(axis=0) > 0).all(), "every outcome"
    assert (counts[KINDS.index("instances")] > 0).tolist() == [True, True, False, True, True]


def test_the_set_after_instances_moved(renderer, sample_asset):
    scene = street(sample_asset("sphere", 20000), gap=1.2)
    renderer.render(scene, path(1)[0], SETTINGS, SIZE)
    scene.remove_instances([3, 4])
    frozen = freeze(renderer, scene, path(1)[0], SETTINGS, SIZE)
    scene.remove_instances([5])  # the frozen frame keeps what it saw
    assert_is_what_the_gpu_did(renderer, frozen)
    slots = frozen.trace.records["slot"]
    assert 5 in slots
    assert not {3, 4} & set(slots.tolist())


def test_queues_that_grow_leave_the_last_frame_behind(device, scene):
    renderer = Renderer(device)
    settings = replace(SETTINGS, hidden_clusters=4, visible_clusters=100)
    frozen = freeze(renderer, scene, path(1)[0], settings, SIZE)
    assert_is_what_the_gpu_did(renderer, frozen)
    assert frozen.trace.counts(in_post=True).sum() > 0


def test_a_raised_error_is_that_of_the_frozen_frame(device, scene, monkeypatch):
    from engine.frame import queues

    monkeypatch.setattr(queues, "MAX_VISIBLE_CLUSTERS", 1024)
    renderer = Renderer(device)
    frozen = freeze(renderer, scene, path(1)[0], replace(SETTINGS, visible_clusters=1024, error_pixels=0.01), SIZE)
    assert frozen.settings.error_pixels == float(frozen.view["error_pixels"].round(6)) > 0.01
    frozen.poll(wait=True)
    assert len(frozen.trace.kept_clusters()) <= 1024


def test_an_orthographic_view(renderer, scene):
    camera = Camera((0.0, 0.3, 8.0), (0.0, 0.0, 0.0), orthographic_height=5.0)
    assert_is_what_the_gpu_did(renderer, freeze(renderer, scene, camera, SETTINGS, SIZE))


def test_what_is_left_out_is_said(renderer, scene):
    frozen = freeze(renderer, scene, path(1)[0], SETTINGS, SIZE)
    frozen.largest_trace = 50
    assert frozen.status() == "culling is being traced"
    assert frozen.poll(wait=True)
    assert len(frozen.trace.records) == 50
    assert frozen.status().startswith(f"50 of {50 + frozen.trace.left_out} tests are listed")


def test_a_damaged_page_is_one_line(renderer, scene, monkeypatch):
    frozen = freeze(renderer, scene, path(1)[0], SETTINGS, SIZE)

    def fail():
        raise ValueError("a.mlith: page 3 is damaged (wrong checksum)")

    monkeypatch.setattr(scene, "clusters", fail)
    assert frozen.poll(wait=True)
    assert frozen.trace is None
    assert "page 3 is damaged" in frozen.status()


def test_a_cancelled_trace_ends(renderer, scene):
    frozen = freeze(renderer, scene, path(1)[0], SETTINGS, SIZE)
    frozen.cancel()
    assert frozen.poll(wait=True)
    assert frozen.trace is None


def test_it_says_where_no_frame_stands_still(renderer, scene, monkeypatch):
    monkeypatch.setattr(still_frame, "_is_still", lambda *_: False)
    with pytest.raises(RuntimeError, match=r"^culling cannot be frozen: no two of 6 frames"):
        freeze(renderer, scene, path(1)[0], SETTINGS, SIZE)
