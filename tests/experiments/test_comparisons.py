"""--verify: nothing is found where all is right, and each comparison finds what it is there for."""

from dataclasses import replace

import numpy as np
import pytest

from engine.__main__ import run
from engine.camera import Camera
from engine.experiments import verification
from engine.experiments.comparisons import compare_along
from engine.experiments.experiment import read_experiment
from engine.experiments.results import read_results
from engine.experiments.scenes import Scenes
from engine.frame.baselines import triangles_software
from tests.experiments.test_runner import TEXT
from tests.frame.test_traversal import change_shader

NAMES = [
    "engine",
    "levels",
    "no_occlusion",
    "clusters_frustum",
    "discrete_lods",
    "triangles_software",
    "triangles_hardware",
]
ASIDE = Camera((0.0, 0.3, 8.0), (6.0, 0.3, 0.0))  # some instances are out of view


@pytest.fixture(scope="module")
def experiment(tmp_path_factory, sample_asset):
    path = tmp_path_factory.mktemp("experiment") / "e.toml"
    path.write_text(TEXT.format(asset=sample_asset("sphere")), encoding="utf-8")
    return path


@pytest.fixture
def compared(experiment, device):
    """Return `compared(baseline, **settings) -> records` of all frames of the way, and of one more."""

    def compare(baseline: str, **settings) -> list[dict]:
        read = read_experiment(experiment)
        one = read.runs()[0]
        scene = Scenes(-1).open(one)
        cameras = [*read.way.cameras(scene, 4, one.size), ASIDE]
        one = replace(one, baseline=baseline, frame=replace(one.frame, **settings))
        return list(compare_along(device, one, scene, cameras, 1))

    return compare


@pytest.mark.parametrize("baseline", NAMES)
def test_nothing_is_found_where_all_is_right(compared, baseline):
    found = [one for one in compared(baseline) if "skipped" not in one]
    assert {one["frame"] for one in found} == {0, 1, 2, 3, 4}
    assert all(one["compared"] > 0 and one["differences"] == 0 for one in found), found
    for name in {one["comparison"] for one in found}:
        some = [one for one in found if one["comparison"] == name]
        units = {one["unit"] for one in some}
        is_pixels = name in ("occlusion", "traversal", "raster", "baseline")
        assert units == ({"pixels"} if is_pixels else {"clusters"}) | ({"clusters"} if name == "traversal" else set())
        assert sum(one["ties"] for one in some) < 10, name


def test_occlusion_hides_some_of_what_is_compared(compared):
    found = {(one["comparison"], one["frame"]): one["compared"] for one in compared("engine") if "skipped" not in one}
    for name in OF_OCCLUSION:
        assert 0 < found[name, 2] < found["reference", 2]


OF_OCCLUSION = "reference_occlusion", "reference_still"
MUTATIONS = {
    "engine: a cut at twice tau": (
        "engine",
        ("traversal", "largest) <= view.error_pixels", "largest) <= 2.0 * view.error_pixels"),
        {"reference", *OF_OCCLUSION},
    ),
    "engine: hides less than it could": (
        "engine",
        ("occlusion", "const DEPTH_MARGIN: f32 = 1.0 + 1.0 / 524288.0;", "const DEPTH_MARGIN: f32 = 1.05;"),
        {*OF_OCCLUSION},
    ),
    "engine: the last frame is seen as this one": (
        "engine",
        ("traversal", "(view.flags & (VIEW_MOVED | VIEW_INSTANCES_MOVED)) != 0u", "false"),
        {"reference_occlusion"},
    ),
    "engine: what is hidden first is forgotten": (
        "engine",
        ("cluster_cull", "append_hidden(outcome == OUTCOME_OCCLUSION", "append_hidden(false"),
        {"reference_occlusion", "occlusion"},
    ),
    "engine: a child that is lost": (
        "engine",
        (
            "persistent_cull",
            "store_item(phase, slot, visit.view_instance, visit.target_item, ALL_CHILDREN)",
            "store_item(phase, slot, visit.view_instance, visit.target_item, 0x7fu)",
        ),
        {"reference", *OF_OCCLUSION, "traversal"},
    ),
    "engine: samples beside the centre": (
        "engine",
        ("rasterize_hardware", "pixel * 256 + 128", "pixel * 256 + 120"),
        {"raster"},
    ),
    "clusters_frustum: a cut at twice tau": (
        "clusters_frustum",
        ("flat_clusters", "error) > view.error_pixels", "error) > 2.0 * view.error_pixels"),
        {"reference", "baseline"},
    ),
    "clusters_frustum: lists what is not drawn": (
        "clusters_frustum",
        ("flat_clusters", "size_raster_passes(PHASE_MAIN, bin_ends);", ""),
        {"baseline"},
    ),
    "discrete_lods: half of tau": (
        "discrete_lods",
        ("flat_instances", "error) <= view.error_pixels", "error) <= 0.5 * view.error_pixels"),
        {"discrete_levels"},
    ),
    "discrete_lods: also what is out of view": (
        "discrete_lods",
        ("flat_instances", "if (outcome != OUTCOME_KEPT)", "if (outcome == OUTCOME_NONE)"),
        {"discrete_levels"},
    ),
    "triangles_hardware: a wider lens": (
        "triangles_hardware",
        ("draw_triangles", "p.x * view.scale_x", "1.02 * p.x * view.scale_x"),
        {"baseline"},
    ),
    "triangles_hardware: names of other triangles": (
        "triangles_hardware",
        ("resolve_triangles", "(triangle & ((1u << TRIANGLE_BITS) - 1u))", "(triangle & ((1u << TRIANGLE_BITS) - 2u))"),
        {"baseline"},
    ),
}


def differing(records: list[dict]) -> set[str]:
    return {one["comparison"] for one in records if one.get("differences")}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_each_comparison_finds_what_it_is_there_for(compared, device, monkeypatch, tmp_path, mutation):
    baseline, change, expected = MUTATIONS[mutation]
    change_shader(monkeypatch, device, tmp_path, *change)
    assert differing(compared(baseline, traversal="persistent")) == expected


def test_a_list_of_triangles_that_lacks_some_is_found(compared, monkeypatch):
    whole = triangles_software.source_clusters
    monkeypatch.setattr(triangles_software, "source_clusters", lambda *given: [one[:-1] for one in whole(*given)])
    assert differing(compared("triangles_software")) == {"baseline"}


def test_a_frame_that_cannot_be_finished_is_left_out_with_its_reason(compared, monkeypatch):
    from engine.experiments import two_pass

    monkeypatch.setattr(two_pass, "_HAS_HISTORY", 0)
    skipped = [one for one in compared("engine") if "skipped" in one]
    assert [(one["frame"], one["comparison"]) for one in skipped] == [(n, "reference_occlusion") for n in range(5)]
    assert skipped[0]["skipped"] == "in none of 4 attempts a frame follows that of the camera before"


def test_any_other_error_is_not_passed_over(bench, compared, monkeypatch):
    """A comparison that breaks is no comparison that was left out: bench must not end well."""

    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(verification, "compare_sets", broken)
    with pytest.raises(RuntimeError, match="broken"):
        compared("no_occlusion")
    refused = bench("--verify", code=1).refused
    assert {(one["repeat"], one["reason"]) for one in refused} == {("verification", "broken")}


@pytest.fixture
def bench(tmp_path, experiment, device):
    """Return `bench(*options, code) -> Results` of the experiment."""

    def measure(*options: str, code: int = 0):
        assert run(["bench", str(experiment), "--json", str(tmp_path / "r.jsonl"), *options]) == code
        return read_results(tmp_path / "r.jsonl")

    return measure


def test_verify_says_what_it_looked_at(bench, capsys):
    results = bench("--verify")
    everywhere = {"reference", "traversal", "raster"}
    of_occlusion = {*OF_OCCLUSION, "occlusion"}
    found = {(one["run"], one["comparison"]) for one in results.verifications if "skipped" not in one}
    assert found == {(0, name) for name in everywhere | of_occlusion} | {(1, name) for name in everywhere}
    assert len(results.verifications) == 2 * (7 + 4) + 3
    lines = capsys.readouterr().out.splitlines()
    assert "occlusion: 2 frames, 10,368 pixels, 0 ties, 0 differences" in lines
    assert "traversal: 4 frames, 20,736 pixels, 0 ties, 0 differences" in lines
    [sets] = [line for line in lines if line.startswith("traversal: 4 frames") and "clusters" in line]
    assert sets.endswith(" clusters, 0 ties, 0 differences")
    names = "reference_occlusion, reference_still, occlusion"
    assert f"occlusion false: not compared, the run draws without occlusion: {names}" in lines
    assert bench("--verify").verifications == results.verifications, "not done again"


def test_verify_fails_where_something_differs(bench, device, monkeypatch, tmp_path, capsys):
    change_shader(monkeypatch, device, tmp_path, *MUTATIONS["engine: a cut at twice tau"][1])
    results = bench("--verify", "--quick", code=1)
    wrong = [one for one in results.verifications if one.get("differences")]
    assert "reference" in {one["comparison"] for one in wrong}
    lines = capsys.readouterr().out.splitlines()
    for one in wrong:
        label = results.runs[one["run"]]["label"]
        counts = f"{one['differences']:,} of {one['compared']:,} clusters"
        start = f"{label}, frame {one['frame']}, {one['comparison']}: {counts} differ: "
        assert any(line.startswith(start) and len(line) > len(start) for line in lines)
    np.testing.assert_array_equal([one["unit"] for one in wrong], "clusters")
