"""The trace says of every test what visible_set counts, and of a rendered frame what the GPU counts."""

import dataclasses

import numpy as np
import pytest

from engine import layout, reference, reference_trace
from engine.camera import Camera, view_record
from engine.instance_tree import first_level, morton_order, outward_boxes, tree_nodes
from engine.reference_trace import KINDS, OUTCOMES, node_levels, trace
from engine.scene import load_scene
from engine.screen_boxes import pyramid_of
from engine.settings import FrameSettings
from tests.frame.test_occlusion import path, street

SIZE = (211, 130)


@pytest.fixture(scope="module")
def scene(sample_asset):
    return street(sample_asset("sphere", 20000))


@pytest.fixture(scope="module")
def tables(scene):
    return reference.tables_of(scene)


def wall(scene, tables, view, distance: float) -> reference.Occlusion:
    """Return an occlusion by a wall at `distance` over the left part of the image, as if nothing had moved."""
    image = np.zeros(SIZE[::-1], np.float32)
    image[:, : SIZE[0] * 2 // 3] = view["near"] / distance
    low, high = scene.instance_boxes()
    order = morton_order(low, high)
    nodes = tree_nodes(*(values[order] for values in outward_boxes(low, high)))
    seeds = first_level(len(order), len(nodes))
    levels = pyramid_of(image)
    return reference.Occlusion(levels, levels, view, tables.instances, nodes, scene.live_slots[order], seeds)


def assert_agrees(found: reference_trace.Trace, expected: reference.VisibleSet) -> None:
    """Compare a whole trace with the counts and pairs of visible_set."""
    counts, by_name = found.counts(), expected.counts.as_dict()
    for i, kind in enumerate(KINDS):
        assert counts[i].sum() == by_name[f"{kind}_tested"]
        for j, outcome in enumerate(OUTCOMES):
            assert counts[i, j] == by_name.get(f"{kind}_{outcome}", 0), (kind, outcome)
    assert found.left_out == 0
    assert np.array_equal(found.kept_clusters(), expected.pairs)
    assert np.array_equal(found.visible.pairs, expected.pairs)


@pytest.mark.parametrize("camera", path(3))
def test_the_trace_is_what_visible_set_counts(scene, tables, camera):
    view = view_record(camera, SIZE, FrameSettings(error_pixels=0.5), bounds=scene.bounds())
    assert_agrees(trace(tables, view), reference.visible_set(tables, view))


def test_the_trace_with_occlusion_is_what_visible_set_counts(scene, tables):
    view = view_record(path(1)[0], SIZE, FrameSettings(error_pixels=0.5))
    occlusion = wall(scene, tables, view, distance=6.0)
    found = trace(tables, view, occlusion)
    assert_agrees(found, reference.visible_set(tables, view, occlusion))
    post = found.records[found.records["in_post"]]
    assert set(post["outcome"].tolist()) == {OUTCOMES.index("occlusion")}, "what both pyramids hide is drawn by no pass"
    assert (found.counts()[:, OUTCOMES.index("occlusion")] > 0).all()


def test_what_only_the_last_frame_hid_is_decided_in_the_post_pass(scene, tables):
    view = view_record(path(1)[0], SIZE, FrameSettings(error_pixels=0.5))
    occlusion = wall(scene, tables, view, distance=6.0)
    open_sky = dataclasses.replace(occlusion, post=pyramid_of(np.zeros(SIZE[::-1], np.float32)))
    found = trace(tables, view, open_sky)
    assert np.array_equal(found.kept_clusters(), reference.visible_set(tables, view).pairs)
    assert found.counts(in_post=True)[:, OUTCOMES.index("kept")].min() > 0
    assert (found.counts(in_post=False) + found.counts(in_post=True) == found.counts()).all()
    assert found.counts()[:, OUTCOMES.index("occlusion")].sum() == 0


def test_each_thing_of_an_instance_is_recorded_once(scene, tables):
    view = view_record(path(1)[0], SIZE, FrameSettings(error_pixels=0.5))
    records = trace(tables, view).records
    assert len(np.unique(records[["kind", "slot", "index"]])) == len(records)
    instances = records[records["kind"] == 0]
    assert np.array_equal(np.sort(instances["slot"]), scene.live_slots)
    assert (instances["level"] == reference_trace.NO_LEVEL).all()


def test_levels_are_those_of_the_groups(tables):
    levels = node_levels(tables)
    of_group = tables.groups["place"] >> 24
    leaves = np.flatnonzero(tables.nodes["child_count"] == layout.CONSTANTS["NODE_LEAF"])
    assert np.array_equal(levels[leaves], of_group[tables.nodes["child"][leaves]])
    for inner in np.flatnonzero(tables.nodes["child_count"] != layout.CONSTANTS["NODE_LEAF"]).tolist():
        child, count = tables.nodes["child"][inner], tables.nodes["child_count"][inner]
        assert levels[inner] == levels[child : child + count].max()
    assert levels[tables.meshes["root_node"][0]] == of_group.max() > 2
    of_cluster = of_group[tables.cluster_group]
    view = view_record(path(1)[0], SIZE, FrameSettings(error_pixels=0.5))
    records = trace(tables, view).records
    clusters = records[records["kind"] == KINDS.index("clusters")]
    assert np.array_equal(clusters["level"], of_cluster[clusters["index"]])


@pytest.mark.parametrize("chunk", [3, 1 << 16])
def test_what_finds_no_room_is_counted(tables, monkeypatch, chunk):
    monkeypatch.setattr(reference, "CHUNK", chunk)
    view = view_record(path(1)[0], SIZE, FrameSettings(error_pixels=2.0))
    whole, part = trace(tables, view), trace(tables, view, largest_count=100)
    assert len(part.records) == 100
    assert part.left_out == len(whole.records) - 100 > 0
    assert np.array_equal(part.records, whole.records[:100])
    assert part.visible.counts == whole.visible.counts
    assert len(trace(tables, view, largest_count=0).records) == 0


def test_a_trace_can_be_cancelled(tables):
    view = view_record(path(1)[0], SIZE, FrameSettings())
    asked = []

    def is_cancelled() -> bool:
        asked.append(None)
        return len(asked) == 3

    with pytest.raises(reference_trace.TraceCancelledError):
        trace(tables, view, is_cancelled=is_cancelled)
    assert len(asked) == 3


def test_boxes_are_those_that_were_tested(scene, tables):
    view = view_record(Camera((0.0, 0.2, 6.0), (0.0, 0.0, 0.0)), SIZE, FrameSettings())
    records = trace(tables, view).records
    low, high = reference_trace.object_boxes(tables, records)
    outside = ~reference.in_frustum(low, high, tables.instances[records["slot"]], view)
    frustum = records["outcome"] == OUTCOMES.index("frustum")
    detail = records["outcome"] == OUTCOMES.index("detail")
    assert np.array_equal(outside[~detail], frustum[~detail])
    assert 0 < frustum.sum() < len(records)


def test_a_scene_without_instances_has_an_empty_trace(sample_asset):
    scene = load_scene(sample_asset("sphere", 5000))
    scene.remove_instances(scene.live_slots)
    tables = reference.tables_of(scene)
    found = trace(tables, view_record(path(1)[0], SIZE, FrameSettings()))
    assert len(found.records) == len(found.kept_clusters()) == found.left_out == 0
