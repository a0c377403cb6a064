"""Boxes and frustum over the picture, against plain arithmetic: one box, one corner at a time."""

import itertools
from typing import Any

import numpy as np
import pytest

from engine import layout
from engine.camera import Camera, view_record
from engine.reference import tables_of
from engine.reference_trace import KINDS, NO_LEVEL, OUTCOMES, TESTED, trace
from engine.scene import load_scene
from engine.settings import FrameSettings
from engine.viewer.overlay_colors import FRUSTUM_COLOR, KIND_COLORS, OUTCOME_COLORS, color_words, level_colors
from engine.viewer.overlays import boxes_of, frustum_end, frustum_lines, joined, seen_sizes
from engine.viewer.state import OverlayOptions
from tests.frame import debug_colors

SIZE = (320, 180)
CAMERA = Camera((1.0, 2.0, 9.0), (0.5, 0.0, 0.0), near=0.2)
FLAT = Camera((1.0, 2.0, 9.0), (0.5, 0.0, 0.0), near=0.2, orthographic_height=3.0)
FAR_AWAY = 3e6
ALL: dict[str, Any] = {"kinds": set(KINDS), "outcomes": set(OUTCOMES)}


def transforms() -> np.ndarray:
    """Return five matrices (5, 4, 4): turned, stretched, the last mirrored and far away."""
    rng = np.random.default_rng(11)
    matrices = np.tile(np.eye(4), (5, 1, 1))
    for matrix in matrices:
        matrix[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ np.diag(rng.uniform(0.4, 2.0, 3))
        matrix[:3, 3] = rng.uniform(-5.0, 5.0, 3)
    matrices[4, :3, 0] *= -1.0
    matrices[4, 0, 3] += FAR_AWAY + 0.1
    return matrices


@pytest.fixture(scope="module")
def scene(sample_asset):
    """A sphere, placed by the file and five times more."""
    loaded = load_scene(sample_asset("sphere", 5000))
    loaded.add_instances(0, transforms())
    return loaded


@pytest.fixture(scope="module")
def tables(scene):
    return tables_of(scene)


@pytest.fixture(scope="module")
def records(tables) -> np.ndarray:
    """Return records of every kind with every outcome at levels 0 to 5, of all slots, in no order."""
    rng = np.random.default_rng(2)
    made = np.zeros(600, TESTED)
    made["kind"] = rng.integers(len(KINDS), size=len(made))
    made["outcome"] = rng.integers(len(OUTCOMES), size=len(made))
    made["level"] = np.where(made["kind"] == 0, NO_LEVEL, rng.integers(6, size=len(made)))
    made["slot"] = rng.integers(len(tables.instances), size=len(made))
    counts = np.array([len(tables.meshes), len(tables.nodes), len(tables.clusters)])
    made["index"] = rng.integers(counts[made["kind"]])
    return made


@pytest.fixture(scope="module")
def view() -> np.ndarray:
    return view_record(CAMERA, SIZE, FrameSettings())


def corners_of(center: np.ndarray, axes: np.ndarray) -> np.ndarray:
    return np.array([center + np.array(signs) @ axes for signs in itertools.product((-1, 1), repeat=3)])


def expected_corners(scene, tables, record) -> np.ndarray:
    """Return the corners (8, 3) of one record's box: those of its table, through the matrix of its instance."""
    kind, index = KINDS[record["kind"]], record["index"]
    if kind == "clusters":
        cluster, step = tables.clusters[index], float(scene.meshes["step"][0])
        low = [int(value) * step for value in cluster["origin"]]
        high = [a + int(value) * step for a, value in zip(low, cluster["extent"])]
    else:
        table = scene.meshes if kind == "instances" else scene.nodes
        low, high = table["box_min"][index].astype(float), table["box_max"][index].astype(float)
    matrix = np.concatenate([np.eye(4)[None], transforms()])[record["slot"]]
    local = np.array(list(itertools.product(*zip(low, high))))
    return (local + scene.mesh_origins[0]) @ matrix[:3, :3].T + matrix[:3, 3]


def test_boxes_are_those_of_the_tables_in_the_world(scene, tables, records, view):
    found = boxes_of(tables, records, view, OverlayOptions(**ALL))
    assert found.matching_count == len(found.chosen) == len(records)
    assert sorted(found.chosen.tolist()) == list(range(len(records)))
    for center, axes, chosen in zip(found.centers, found.axes, found.chosen):
        expected = expected_corners(scene, tables, records[chosen])
        gaps = np.linalg.norm(corners_of(center, axes)[:, None] - expected, axis=2)
        assert (
            max(gaps.min(axis=0).max(), gaps.min(axis=1).max()) < 1e-5
        )  # also three thousand kilometres away: the matrices are float32, places are not


@pytest.mark.parametrize(
    "options",
    [
        {"kinds": {"nodes"}, "outcomes": {"kept"}},
        {"kinds": {"clusters", "instances"}, "outcomes": {"frustum", "occlusion"}, "first_level": 2, "last_level": 3},
        {**ALL, "first_level": 5},
        {**ALL, "kinds": set()},
        {**ALL, "outcomes": set()},
    ],
)
def test_kind_outcome_and_level_choose(tables, records, view, options):
    chosen = OverlayOptions(**options)
    wanted = [
        i
        for i, record in enumerate(records)
        if KINDS[record["kind"]] in chosen.kinds
        and OUTCOMES[record["outcome"]] in chosen.outcomes
        and (KINDS[record["kind"]] == "instances" or chosen.first_level <= record["level"] <= chosen.last_level)
    ]
    found = boxes_of(tables, records, view, chosen)
    assert sorted(found.chosen.tolist()) == wanted
    assert found.matching_count == len(wanted)
    assert found.axes.shape == (len(wanted), 3, 3)
    assert found.colors.shape == (len(wanted),)


@pytest.mark.parametrize("camera", [CAMERA, FLAT], ids=["perspective", "orthographic"])
def test_of_too_many_the_largest_on_the_screen_are_drawn_smaller_ones_on_top(scene, tables, records, camera):
    view = view_record(camera, SIZE, FrameSettings())
    found = boxes_of(tables, records, view, OverlayOptions(**ALL, largest_count=50))
    assert (found.matching_count, len(found.chosen)) == (len(records), 50)
    sizes = []
    for record in records:
        corners = expected_corners(scene, tables, record)
        radius = np.linalg.norm(corners[0] - corners[-1]) / 2.0
        distance = np.linalg.norm(corners.mean(axis=0) - camera.eye)
        sizes.append(radius if camera is FLAT else radius / distance)
    sizes = np.array(sizes)
    assert np.allclose(sizes[found.chosen], np.sort(sizes)[::-1][:50], rtol=1e-4)
    assert not len(boxes_of(tables, records, view, OverlayOptions(**ALL, largest_count=0)).chosen)
    for options in (OverlayOptions(**ALL, largest_count=50), OverlayOptions(kinds={"nodes"}, first_level=2)):
        again = boxes_of(tables, records, view, options, seen_sizes(tables, records, view))
        for one, other in zip(again, boxes_of(tables, records, view, options)):
            np.testing.assert_array_equal(one, other)


def test_a_box_around_the_eye_is_the_largest(tables, records):
    instance = tables.instances[int(records["slot"][0])]
    eye = tuple((instance["translation_high"].astype(float) + instance["translation_low"]).tolist())
    view = view_record(Camera(eye, (eye[0], eye[1], eye[2] - 1.0)), SIZE, FrameSettings())
    found = boxes_of(tables, records, view, OverlayOptions(kinds={"instances"}, largest_count=1))
    assert records["slot"][found.chosen[0]] == records["slot"][0]


def test_colours_by_outcome_level_and_kind(tables, records, view):
    for colors_by in ("outcome", "level", "kind"):
        found = boxes_of(tables, records, view, OverlayOptions(**ALL, colors_by=colors_by))
        for word, record in zip(found.colors.tolist(), records[found.chosen]):
            kind = KINDS[record["kind"]]
            color: tuple = KIND_COLORS[kind]
            if colors_by == "outcome":
                color = OUTCOME_COLORS[OUTCOMES[record["outcome"]]]
            elif colors_by == "level" and kind != "instances":
                color = tuple(debug_colors.encoded(debug_colors.ramp_color(np.array(record["level"] / 14.0))))
            assert np.abs(np.array([word & 255, word >> 8 & 255, word >> 16 & 255]) - color).max() <= 1.0
            assert word >> 24 == 255


def test_the_ramp_is_that_of_the_debug_view_of_levels():
    levels = np.arange(20)
    expected = debug_colors.encoded(debug_colors.ramp_color(levels / layout.CONSTANTS["LEVEL_RAMP_END"]))
    assert np.abs(level_colors(levels) - expected).max() <= 1.0
    assert len({tuple(color) for color in level_colors(levels).tolist()}) == 15


def test_colour_words_have_red_in_the_low_byte():
    assert color_words(np.array([[1, 2, 3], [255, 0, 128]])).tolist() == [0xFF030201, 0xFF8000FF]


@pytest.mark.parametrize("camera", [CAMERA, FLAT], ids=["perspective", "orthographic"])
def test_the_frustum_projects_to_the_corners_of_the_image(camera):
    found = frustum_lines(camera, SIZE, far_distance=12.0)
    assert (found.colors == color_words(np.array([FRUSTUM_COLOR]))).all()
    view = view_record(camera, SIZE, FrameSettings())
    axes_count = (found.axes != 0.0).any(axis=2).sum(axis=1)
    assert axes_count.tolist() == [2, 2, 1, 1, 1, 1], "two rectangles and four lines"
    ends = np.concatenate([corners_of(*box) for box in zip(found.centers, found.axes)]) - camera.eye
    x, y, depth = camera.axes() @ ends.T
    w = 1.0 if camera is FLAT else depth
    assert np.allclose(np.abs(x * float(view["scale_x"]) / w), 1.0, rtol=1e-6)
    assert np.allclose(np.abs(y * float(view["scale_y"]) / w), 1.0, rtol=1e-6)
    assert np.allclose(depth[:8], 0.2)
    assert np.allclose(depth[8:16], 12.0)
    places = {tuple(np.round([*np.sign([a, b]), c], 6)) for a, b, c in zip(x, y, depth)}
    assert len(places) == 8, "all corners of it"
    for line in range(2, 6):
        assert len({tuple(np.round(end, 6)) for end in corners_of(found.centers[line], found.axes[line])}) == 2


def test_the_frustum_ends_behind_the_scene():
    box = (-1.0, -2.0, -3.0), (4.0, 5.0, 6.0)
    corners = np.array(list(itertools.product(*zip(*box))))
    expected = ((corners - CAMERA.eye) @ CAMERA.axes()[2]).max()
    assert frustum_end(CAMERA, box) == pytest.approx(expected)
    away = Camera((0.0, 0.0, 50.0), (0.0, 0.0, 57.0))
    assert frustum_end(away, box) == pytest.approx(7.0)


def test_a_real_trace_is_drawn_with_its_frustum(scene, tables, view):
    traced = trace(tables, view)
    found = boxes_of(tables, traced.records, view, OverlayOptions(kinds={"clusters"}, outcomes={"kept"}))
    assert found.matching_count == len(traced.visible.pairs) > 0
    together = joined(found, frustum_lines(CAMERA, SIZE, 12.0))
    assert together.matching_count == found.matching_count + 6
    assert together.chosen.tolist() == [*found.chosen.tolist(), *[-1] * 6]
    assert together.centers.shape == (len(together.chosen), 3)
    assert together.axes.shape == (len(together.chosen), 3, 3)
