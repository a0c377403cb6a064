"""Explanations: their numbers are those of the reference, their words those of the numbers."""

from dataclasses import replace

import numpy as np
import pytest

from engine import reference
from engine.reference_trace import KINDS, OUTCOMES, object_boxes
from engine.settings import FrameSettings
from engine.viewer.explain import PLANES, Explanation, distance_of, explain
from engine.viewer.freezing import Frozen, freeze
from tests.frame.test_occlusion import path, street

SIZE = (211, 130)
FLAT = path(1)[-1]  # an orthographic camera


@pytest.fixture(scope="module")
def scene(sample_asset):
    """A street, two instances so far away that they cover no pixel, and one out of view."""
    made = street(sample_asset("sphere", 20000), gap=1.2)
    far = np.tile(np.eye(3, 4), (3, 1, 1)) * 0.05
    far[:, :, 3] = [(0.0, 2.0, -300.0), (1.0, 2.5, -300.0), (40.0, 0.0, 0.0)]
    made.add_asset(0, far)
    return made


@pytest.fixture(scope="module", params=["perspective", "orthographic", "late"])
def frozen(request, renderer, scene) -> Frozen:
    """A frozen frame; "late" as if its main pass had drawn nothing, so that all that it left is decided again."""
    camera = FLAT if request.param == "orthographic" else path(1)[0]
    made = freeze(renderer, scene, camera, FrameSettings(error_pixels=0.1, view="clusters"), SIZE)
    if request.param == "late":
        assert made.occlusion.main
        made.occlusion = replace(made.occlusion, post=[np.zeros_like(level) for level in made.occlusion.main])
    assert made.poll(wait=True)
    return made


def some_of(frozen: Frozen, kind: str, outcome: str) -> list[Explanation]:
    """Return the explanations of up to 25 records of a kind and an outcome."""
    records = frozen.trace.records
    chosen = (records["kind"] == KINDS.index(kind)) & (records["outcome"] == OUTCOMES.index(outcome))
    chosen = np.random.default_rng(1).permutation(np.flatnonzero(chosen))[:25]
    return [explain(frozen, number) for number in chosen.tolist()]


def box_of(frozen: Frozen, one: Explanation) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Return the box in object space and the instance, as arrays of one."""
    record = frozen.trace.records[one.record_index : one.record_index + 1]
    assert (one.kind, one.outcome) == (KINDS[record["kind"][0]], OUTCOMES[record["outcome"][0]])
    assert (one.slot, one.index, one.in_post) == (record["slot"][0], record["index"][0], record["in_post"][0])
    return object_boxes(frozen.tables, record), frozen.tables.instances[record["slot"]]


def corners_in_view(frozen: Frozen, one: Explanation) -> np.ndarray:
    """Return the corners (8, 3) of the box: metres to the right, up and forward of the eye."""
    (low, high), instances = box_of(frozen, one)
    choice = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8).T
    corners = np.where(choice, high, low)
    view = frozen.view
    relative = reference.eye_relative(corners, np.repeat(instances, 8), view)
    return relative @ np.stack([view["right"], view["up"], view["forward"]]).astype(float).T


def test_every_outcome_is_explained(frozen):
    seen = {(kind, outcome): some_of(frozen, kind, outcome) for kind in KINDS for outcome in OUTCOMES}
    for (kind, outcome), found in seen.items():
        for one in found:
            lines = dict(one.lines())
            assert lines["why"] == one.sentence
            assert lines["outcome"].startswith(outcome)
            assert all(lines.values())
            assert len(lines) == len(one.lines())
            assert (one.detail is None) == (kind == "instances")
    hidden = [one for (_, outcome), found in seen.items() if outcome == "occlusion" for one in found]
    late = [one for found in seen.values() for one in found if one.in_post and one.outcome == "kept"]
    assert bool(hidden) != bool(late), "what the last frame hid is hidden, or all of it is drawn after all"
    for outcome in ("kept", "frustum", "detail", "size"):
        assert any(seen[kind, outcome] for kind in KINDS), outcome


def test_out_of_view(frozen):
    found = [one for kind in KINDS for one in some_of(frozen, kind, "frustum")]
    assert len(found) > 1
    for one in found:
        box, instances = box_of(frozen, one)
        values = reference.plane_values(*box, instances, frozen.view)[0]
        np.testing.assert_array_equal(one.planes_metres, values)
        corners = corners_in_view(frozen, one) @ np.eye(3)
        for name, value in zip(PLANES, values, strict=True):
            assert (f"outside the {name} plane" in one.sentence) == (value < 0.0)
        nearest = corners[:, 2].max() - float(frozen.view["near"])
        assert values[4] == pytest.approx(nearest, abs=1e-4), "the near plane, in metres"


def test_wrong_level_of_detail(frozen):
    tables, view, tau = frozen.tables, frozen.view, float(frozen.view["error_pixels"])
    words = set()
    for one in [*some_of(frozen, "nodes", "detail"), *some_of(frozen, "clusters", "detail")]:
        instances = tables.instances[one.slot : one.slot + 1]
        assert one.detail.tau_pixels == tau
        if one.kind == "nodes":
            record = tables.nodes[one.index : one.index + 1]
            assert reference.node_detail(record, instances, view)[0]
        else:
            group = tables.groups[tables.cluster_group[[one.index]]]
            assert one.detail.error_pixels in (np.inf, reference.group_error_pixels(group, instances, view)[0])
            made_by = tables.groups[tables.cluster_made_by[[one.index]]]
            assert one.detail.made_by_pixels == reference.group_error_pixels(made_by, instances, view)[0]
        is_coarse, is_fine = one.detail.made_by_pixels > tau, one.detail.error_pixels <= tau
        assert is_coarse != is_fine or (is_coarse and is_fine)
        assert one.sentence.startswith("too coarse" if is_coarse else "too fine")
        words.add(one.sentence[:8])
    assert words == {"too coar", "too fine"}


def test_no_pixel_is_covered(frozen):
    found = [one for kind in KINDS for one in some_of(frozen, kind, "size")]
    assert found
    for one in found:
        assert 0 in one.pixels
        left, top, right, bottom = one.rectangle_pixels
        corners = corners_in_view(frozen, one)
        scale = np.array([frozen.view["scale_x"], -frozen.view["scale_y"]], float)
        places = corners[:, :2] * scale / (1.0 if frozen.camera.orthographic_height else corners[:, 2:])
        places = (places + 1.0) / 2.0 * SIZE
        np.testing.assert_allclose([left, top], places.min(axis=0), atol=0.02)
        np.testing.assert_allclose([right, bottom], places.max(axis=0), atol=0.02)
        centres = np.stack(np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5), axis=-1)
        covered = ((centres >= (left, top)) & (centres <= (right, bottom))).all(axis=2)
        assert not covered.any()


def test_hidden(frozen):
    found = [one for kind in KINDS for one in some_of(frozen, kind, "occlusion")]
    depth = frozen.occlusion.post[0]
    for one in found:
        hidden = one.this_frame
        assert hidden.is_hidden
        assert one.in_post
        assert hidden.nearest_metres > hidden.farthest_metres
        assert hidden.nearest_metres == pytest.approx(corners_in_view(frozen, one)[:, 2].min(), rel=1e-4)
        left, top, right, bottom = one.rectangle_pixels
        first, end = np.ceil([left - 0.5, top - 0.5]).astype(int).clip(0), np.floor([right + 0.5, bottom + 0.5])
        seen = depth[first[1] : int(end[1]), first[0] : int(end[0])]
        assert seen.shape[::-1] == one.pixels
        distances = [distance_of(value, frozen.view) for value in seen.ravel().tolist()]
        assert max(distances) <= hidden.farthest_metres * (1 + 1e-6), "the cells hold the whole rectangle"
        cells = frozen.occlusion.post[hidden.level]
        (x0, y0), (x1, y1) = hidden.first_cell, hidden.last_cell
        assert max(x1 - x0, y1 - y0) < 4
        smallest = float(cells[y0 : y1 + 1, x0 : x1 + 1].min())
        assert hidden.farthest_metres == distance_of(smallest, frozen.view)
        assert "left to the post pass because the last frame hid it" in one.sentence or not one.last_frame.is_hidden


def test_kept(frozen):
    found = [one for kind in KINDS for one in some_of(frozen, kind, "kept")]
    assert len(found) > 50
    tau = float(frozen.view["error_pixels"])
    for one in found:
        assert (one.planes_metres >= 0.0).all()
        assert one.pixels is None or min(one.pixels) > 0
        assert one.detail is None or one.detail.made_by_pixels <= tau < one.detail.error_pixels
        assert one.this_frame is None or not one.this_frame.is_hidden
        assert one.in_post == ("post pass" in one.sentence)
        if one.this_frame is None and one.last_frame:
            assert not one.last_frame.is_hidden


def test_depths_are_distances(frozen):
    near = float(frozen.view["near"])
    assert distance_of(1.0, frozen.view) == pytest.approx(near)
    assert distance_of(0.0, frozen.view) == np.inf
    if frozen.camera.orthographic_height:
        assert distance_of(0.5, frozen.view) == pytest.approx(0.5 * (near + float(frozen.view["far"])))
    else:
        assert distance_of(0.25, frozen.view) == pytest.approx(4.0 * near)


def test_without_a_trace_it_says_so(renderer, scene):
    made = freeze(renderer, scene, path(1)[0], FrameSettings(), SIZE)
    with pytest.raises(ValueError, match="being traced"):
        explain(made, 0)


def test_without_occlusion(renderer, scene):
    made = freeze(renderer, scene, path(1)[0], FrameSettings(occlusion=False), SIZE)
    assert made.poll(wait=True)
    for kind in KINDS:
        for one in some_of(made, kind, "kept"):
            assert one.last_frame is one.this_frame is None
            assert one.sentence.startswith("kept: in view")
