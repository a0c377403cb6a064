"""The viewer as it is used: a real window on a screen of its own, with pointer, keys and dropped files."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.__main__ import run
from engine.frame.lighting import background_word
from engine.settings import FrameSettings
from tests.viewer.desktop import LEFT, RIGHT, ROOT, SIZE, WHEEL_UP, Desktop, Viewer, has_desktop

MIDDLE = (640, 260)  # of the picture between the panels


@pytest.fixture(scope="module")
def desktop():
    if not has_desktop():
        assert not os.environ.get("CI"), "install xvfb and xdotool"
        pytest.skip("needs Xvfb and xdotool")
    desktop = Desktop()
    yield desktop
    desktop.close()


@pytest.fixture
def viewer(desktop, tmp_path):
    """Return `viewer(*arguments)`, which starts one; all are closed at the end, and must have ended well."""
    started: list[Viewer] = []

    def start(*arguments: object) -> Viewer:
        folder = tmp_path / f"run{len(started)}"
        folder.mkdir()
        started.append(Viewer(desktop, [*map(str, arguments), "--size", f"{SIZE[0]}x{SIZE[1]}"], folder, tmp_path))
        return started[-1]

    yield start
    codes = [one.close() for one in started]
    assert [(one.log(), code) for one, code in zip(started, codes) if code != 0 or "Traceback" in one.log()] == []


def wait_drawn(viewer: Viewer, title: str) -> np.ndarray:
    """Wait until the scene of this title is drawn, and return the middle of the still picture."""
    viewer.wait_for(lambda: viewer.title().startswith(title), title)
    viewer.wait_for(lambda: f"{title.split(',')[0]}" in viewer.log() and ": drawn" in viewer.log(), "the first frame")
    return middle(viewer.still_image())


def middle(image: np.ndarray) -> np.ndarray:
    """Return the part of the screen that no panel covers in the default layout."""
    return image[120:380, 440:840]


def changed(viewer: Viewer, before: np.ndarray, share: float) -> np.ndarray:
    """Wait until more than `share` of the middle differs from what it was, and return it once it is still."""

    def differs() -> bool:
        return bool((middle(viewer.desktop.image()) != before).any(axis=2).mean() > share)

    viewer.wait_for(differs, "another picture")
    return middle(viewer.still_image())


def covered_share(image: np.ndarray) -> float:
    """Return how much of a picture is not its background."""
    background = background_word(FrameSettings())
    color = [background >> shift & 255 for shift in (0, 8, 16)]
    return float((np.abs(image.astype(int) - color) > 1).any(axis=2).mean())


def test_without_a_screen_it_says_so(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"}
    environment |= {"DISPLAY": ":no-screen", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "engine", "view"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no screen for a window" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_person_looks_around(viewer, sample_asset, tmp_path):
    scene = tmp_path / "scene.mlith"
    scene.symlink_to(sample_asset("sphere", 5000))
    window = viewer(scene)
    first = wait_drawn(window, "scene.mlith")
    assert covered_share(first) > 0.2

    window.drag(MIDDLE, (MIDDLE[0] + 130, MIDDLE[1] + 40))
    turned = changed(window, first, 0.02)
    for _ in range(3):
        window.click(*MIDDLE, WHEEL_UP)
    near = changed(window, turned, 0.02)
    assert covered_share(near) > covered_share(turned), "the wheel comes nearer"
    window.drag(MIDDLE, (MIDDLE[0] + 120, MIDDLE[1]), RIGHT)
    looked = changed(window, near, 0.02)
    window.hold("s", 0.4)
    flown = changed(window, looked, 0.02)
    window.key("f")
    framed = changed(window, flown, 0.02)
    assert covered_share(framed) == pytest.approx(covered_share(first), rel=0.2), "F frames the scene again"
    window.click(MIDDLE[0], MIDDLE[1], LEFT, count=2)
    assert covered_share(changed(window, framed, 0.02)) > covered_share(framed) + 0.1, "a double click comes near"

    window.key("p", "3", "F12")
    shot = np.asarray(Image.open(window.written("screenshot-*.png")))
    camera = window.wait_for(lambda: list(tmp_path.glob("scene.camera")), "the camera file")[0]
    assert shot.shape[:2] == (SIZE[1], SIZE[0])
    rendered = tmp_path / "again.png"
    arguments = ["render", scene, "-o", rendered, "--camera", camera, "--view", "clusters", "--size", "1280x720"]
    assert run(list(map(str, arguments))) == 0
    again = np.asarray(Image.open(rendered)).astype(int)
    assert np.abs(again - shot).max(axis=2).mean() < 0.5, "render draws what the window showed"

    window.resize(900, 500)
    window.wait_for(lambda: window.still_image()[:500, :900].any(), "a picture")
    window.key("shift+F12")
    window.wait_for(lambda: len(list(window.folder.glob("screenshot-*.png"))) == 2, "a second picture")
    with_panels = np.asarray(Image.open(window.written("screenshot-002.png")))
    assert with_panels.shape[:2] == (500, 900)
    assert len(np.unique(with_panels.reshape(-1, 4), axis=0)) > 100
    window.key("ctrl+q")
    assert window.process.wait(15) == 0


def test_culling_is_frozen_looked_at_and_explained(viewer, sample_asset):
    window = viewer(sample_asset("sphere", 20000), "--set", "error_pixels=0.3")
    wait_drawn(window, "sphere_20000.mlith")
    window.key("space")
    window.click(1180, 440)  # the pointer rests on a panel: nothing blinks
    frozen = middle(window.still_image())
    for _ in range(4):
        window.drag(MIDDLE, (MIDDLE[0] + 150, MIDDLE[1]))
    behind = changed(window, frozen, 0.05)
    before = window.still_image()[430:700, 980:]
    window.click(*MIDDLE)
    window.wait_for(lambda: (window.desktop.image()[430:700, 980:] != before).any(), "what was picked, in its panel")
    window.key("space")
    changed(window, behind, 0.02)  # culling follows the camera again


def test_files_are_built_dropped_added_and_refused(viewer, sample_mesh, sample_asset, tmp_path):
    window = viewer(sample_mesh("terrain", 3000))
    first = wait_drawn(window, "terrain_3000.ply")
    other = sample_asset("sphere", 5000)
    window.drop([other], *MIDDLE)
    window.wait_for(lambda: window.title().startswith("sphere_5000.mlith"), "the dropped file")
    second = changed(window, first, 0.05)
    bad = tmp_path / "notes.txt"
    bad.write_text("no mesh")
    window.drop([bad], *MIDDLE)
    time.sleep(0.5)
    assert window.title().startswith("sphere_5000.mlith"), "what cannot be opened changes nothing"
    np.testing.assert_array_equal(middle(window.still_image()), second)
    window.tool("keydown", "shift")
    window.drop([sample_mesh("terrain", 3000)], *MIDDLE)
    window.tool("keyup", "shift")
    window.wait_for(lambda: window.title().startswith("sphere_5000.mlith, terrain_3000.ply"), "both")
    window.key("f")
    changed(window, second, 0.05)


def test_a_window_that_closes_ends_the_build(viewer, sample_mesh, tmp_path):
    window = viewer(sample_mesh("terrain", 2_000_000))  # long enough to be closed in the middle

    def children() -> list[str]:
        found = subprocess.run(["pgrep", "-P", str(window.process.pid)], capture_output=True, text=True)
        return found.stdout.split()

    built = window.wait_for(children, "the build")
    time.sleep(0.5)
    assert window.close() == 0
    assert not any(Path(f"/proc/{number}").exists() for number in built)
    assert not list((tmp_path / "microlith" / "assets").glob("*"))


def test_a_broken_material_leaves_the_last_good_one(viewer, sample_asset, tmp_path):
    materials = tmp_path / "materials"
    materials.mkdir()
    text = """import package::surface::{Surface};
import package::gbuffer::{MaterialResult};

fn material(surface: Surface) -> MaterialResult {
    var result: MaterialResult;
    result.emissive = vec3f(COLOR);
    result.normal = surface.normal;
    return result;
}
"""
    file = materials / "gltf.wgsl"
    file.write_text(text.replace("COLOR", "1.0, 0.0, 0.0"))
    window = viewer(sample_asset("sphere", 5000), "--materials", materials)
    red = wait_drawn(window, "sphere_5000.mlith")[130, 200].astype(int)
    assert red[0] > 100
    assert red[2] < red[0] / 2
    file.write_text(text.replace("COLOR", "nothing_of_this_name"))
    window.key("r")
    window.wait_for(lambda: "gltf.wgsl:6" in window.log(), "file and line")
    np.testing.assert_array_equal(middle(window.still_image())[130, 200], red)
    file.write_text(text.replace("COLOR", "0.0, 0.0, 1.0"))
    window.key("r")

    def is_blue() -> bool:
        color = middle(window.desktop.image())[130, 200].astype(int)
        return bool(color[2] > 100 and color[0] < color[2] / 2)

    window.wait_for(is_blue, "the mended material")
