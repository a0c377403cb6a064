"""The wheel works outside the clone."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the unpacked wheel, as an installation would leave it in site-packages."""
    pytest.importorskip("hatchling")
    folder, clone = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("clone")
    for part in ("engine", "shaders", "assets"):
        shutil.copytree(ROOT / part, clone / part, ignore=shutil.ignore_patterns("__pycache__", "*.mlith"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, clone)
    (clone / "assets" / "scenes" / "built.mlith").write_bytes(b"built beside its scene")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, folder], cwd=clone, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, folder: Path, *program: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, *program], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_holds_what_is_needed_and_no_more(installed):
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    for part in ("shaders", "assets"):
        for path in (ROOT / part).rglob("*"):
            if path.is_file() and path.suffix != ".mlith":
                assert f"engine/{part}/{path.relative_to(ROOT / part)}" in files
    assert {name.split("/")[0] for name in files} == {"engine", "microlith-0.1.0.dist-info"}
    assert not [name for name in files if name.endswith((".pyc", ".nbi", ".nbc", ".mlith"))]
    entry = (installed / "microlith-0.1.0.dist-info" / "entry_points.txt").read_text()
    assert "microlith = engine.__main__:main" in entry


def test_wheel_finds_itself_outside_the_clone(installed, tmp_path):
    code = "import engine; from engine import layout; print(engine.__file__); print(layout.shader_folder())"
    package, shaders = run(installed, tmp_path, "-c", code).splitlines()
    assert package.startswith(str(installed))
    assert shaders == str(installed / "engine" / "shaders")
    assert "microlith 0.1.0" in run(installed, tmp_path, "-m", "engine", "--version")


def test_wheel_renders_outside_the_clone(installed, tmp_path, sample_asset, device):
    asset = sample_asset("sphere", 5000)
    run(installed, tmp_path, "-m", "engine", "render", str(asset), "-o", "image.png", "--size", "64x36")
    assert (tmp_path / "image.png").stat().st_size > 0


@pytest.mark.slow
def test_wheel_builds_outside_the_clone(installed, tmp_path, sample_mesh):
    run(installed, tmp_path, "-m", "engine", "build", str(sample_mesh("sphere", 5000)), "-o", "sphere.mlith")
    assert (tmp_path / "sphere.mlith").stat().st_size > 0


@pytest.mark.slow
def test_the_viewer_of_the_wheel_builds_with_the_wheel(installed, tmp_path, sample_mesh):
    (tmp_path / "engine.py").write_text("raise SystemExit('wrong engine')")  # beside it, but not asked for
    code = (
        "import sys; sys.path.remove(''); from pathlib import Path; from engine.viewer.building import BuildProcess\n"
        f"process = BuildProcess(Path({str(sample_mesh('sphere', 5000))!r}), Path('sphere.mlith'))\n"
        "print(repr(process.wait(300)))"
    )
    assert run(installed, tmp_path, "-c", code) == "''\n"
    assert (tmp_path / "sphere.mlith").stat().st_size > 0
