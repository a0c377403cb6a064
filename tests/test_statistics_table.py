"""docs/statistics.md names exactly the keys of the statistics, wherever they are written."""

import itertools
import json
import re

import pytest

from engine.__main__ import run
from engine.layout import shader_folder
from engine.scene import load_scene
from engine.settings import FrameSettings
from tests.conftest import ROOT
from tools.show_statistics import report

PAGE = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")


def words() -> dict[str, list[str]]:
    """Return the values of each word in capitals."""
    rows = re.findall(r"^\| ([A-Z]+) \| (.*) \|$", PAGE, re.MULTILINE)
    found = {name: re.findall(r"`([^`]+)`", text) for name, text in rows}
    found["DRAWN"] = [name for name in found["DRAWN"] if name != "rasters"]
    found["LABEL"] = list(itertools.chain(*(expanded(label, found) for label in found["LABEL"])))
    return found


def expanded(path: str, values: dict[str, list[str]]) -> list[str]:
    """Return the keys that a path stands for."""
    parts = [values[name] if name else [text] for name, text in re.findall(r"([A-Z]{2,})|([^A-Z]+)", path)]
    return ["".join(choice) for choice in itertools.product(*parts)]


def documented() -> set[str]:
    rows = re.findall(r"^\| (`[^|]+`) \|", PAGE, re.MULTILINE)
    paths = itertools.chain(*(re.findall(r"`([^`]+)`", row) for row in rows))
    return set(itertools.chain(*(expanded(path, words()) for path in paths)))


def keys(statistics: dict, prefix: str = "") -> set[str]:
    """Return the dotted paths of all leaves; an empty dictionary has none."""
    found = set()
    for name, value in statistics.items():
        found |= keys(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return found


def without_times(names: set[str]) -> set[str]:
    return {name for name in names if not name.startswith("passes_ms.")}


@pytest.fixture(scope="module")
def frames(device, sample_asset):
    """Statistics (dictionaries) of frames of several kinds."""
    from engine.renderer import Renderer

    scene = load_scene(sample_asset("sphere", 5000))
    renderer, camera = Renderer(device), scene.default_camera()
    several = [
        FrameSettings(traversal="levels", raster="hardware"),
        FrameSettings(view="levels"),
        FrameSettings(occlusion=False),
    ]
    return [renderer.render(scene, camera, settings, (64, 36)).statistics.to_dict() for settings in several]


def test_the_table_names_the_keys_of_every_frame(frames):
    for frame in frames:
        assert without_times(keys(frame)) == without_times(documented())
        assert keys(frame) <= documented()


def test_shadows_add_the_same_keys_under_their_name(device, sample_asset):
    from engine.renderer import Renderer

    scene = load_scene(sample_asset("sphere", 5000))
    settings = FrameSettings(shadow_cascades=1, shadow_size=64)
    statistics = Renderer(device).render(scene, scene.default_camera(), settings, (64, 36)).statistics.to_dict()
    added = without_times(keys(statistics)) - documented()
    for name in added:
        assert name.replace("passes.shadow.", "passes.main.").replace("queues.shadow_", "queues.") in documented()
    assert {"passes.shadow.clusters.kept", "queues.shadow_nodes.stored"} <= added
    labels = {name for name in keys(statistics) if name.startswith("passes_ms.shadow/")}
    assert {name.replace("/init_context", "").replace("shadow/", "main/") for name in labels} - {
        "passes_ms.shadow"
    } <= documented()


def test_labels_are_passes():
    labels = {label.rsplit("/", 1)[-1] for label in words()["LABEL"]} - {"frame"}
    modules = {path.stem for path in (ROOT / "engine" / "frame").rglob("*.py")}
    shaders = {path.stem for path in shader_folder().glob("*.wgsl")}
    assert labels <= modules & shaders
    # Not part of a frame, drawn after it was timed, or the other passes once more.
    others = {"aov", "present", "overlay_lines", "shadow"}
    assert labels == (modules & shaders) - others


def test_commands_write_the_same_keys(tmp_path, device, sample_asset):
    asset, file, lines = str(sample_asset("sphere", 5000)), tmp_path / "s.json", tmp_path / "b.jsonl"
    common = [asset, "--size", "64x36", "--view", "occlusion"]
    assert run(["render", *common, "-o", str(tmp_path / "i.png"), "--statistics", str(file)]) == 0
    assert run(["bench", *common, "--frames", "2", "--warm-up", "1", "--json", str(lines)]) == 0
    rendered = json.loads(file.read_text(encoding="utf-8"))
    measured = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    for statistics in (rendered, *(record["statistics"] for record in measured if record["kind"] == "frame")):
        assert without_times(keys(statistics)) == without_times(documented())
        assert keys(statistics) == keys(rendered)


def test_the_report_shows_every_value(frames):
    for frame in frames:
        number = itertools.count(1_000_001)

        def numbered(value, number=number):
            if isinstance(value, dict):
                return {name: numbered(part) for name, part in value.items()}
            return next(number) if isinstance(value, int) and not isinstance(value, bool) else value

        marked = numbered(frame)
        text = report(marked)
        for value in range(1_000_001, next(number)):
            assert f"{value:,}" in text, value
        for label, milliseconds in frame["passes_ms"].items():
            assert re.search(rf"^{label} +{milliseconds:,.3f}$", text, re.MULTILINE)
        assert frame["adapter"] in text
        assert f"traversal {frame['traversal']}" in text
        assert "NOT COMPLETE" not in text
    incomplete = report(frames[0] | {"is_complete": False, "notes": ["queues grown"]})
    assert "NOT COMPLETE" in incomplete
    assert "note: queues grown" in incomplete
