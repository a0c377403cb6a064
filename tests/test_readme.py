"""The commands and the code of README.md work, on a tiny mesh."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from engine import __main__ as main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALLER = {"render": ["--size", "160x90"], "bench": ["--size", "160x90", "--frames", "3", "--warm-up", "1"]}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    lines = "".join(blocks("sh")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def run(program: list[str], folder: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *program], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path, sample_mesh):
    """A folder with the files that the README starts from."""
    (tmp_path / "statue.ply").write_bytes(sample_mesh("sphere", 5000).read_bytes())
    (tmp_path / "shaders").mkdir()
    for text in [*blocks("toml"), *blocks("wgsl")]:
        (tmp_path / re.sub("^(#|//) ", "", text.splitlines()[0])).write_text(text, encoding="utf-8")
    return tmp_path


def test_commands(folder, device, quick_calibration, monkeypatch):
    monkeypatch.chdir(folder)
    lines = [line for line in commands() if line[0] == "microlith"]
    assert {line[1] for line in lines} >= {"build", "info", "render", "view", "bench", "device"}
    for _, command, *arguments in lines:
        if command == "view":  # tests/viewer/test_window.py opens windows, and closes them
            continue
        assert main.run([command, *arguments, *SMALLER.get(command, [])]) == 0, command
        for argument in arguments:
            if argument.endswith((".png", ".json", ".jsonl", ".mlith")):
                assert (folder / argument).stat().st_size > 0
    for _, script, *arguments in [line for line in commands() if line[0] == "python"]:
        run([str(ROOT / script), *arguments], folder)
    assert (folder / "figures" / "results.md").is_file()
    assert (folder / "depth.npy").is_file()


def test_python(folder, device):
    for text in blocks("python"):
        run(["-c", text], folder)


def test_scripts_exist():
    scripts = [line[0] for line in commands() if line[0] not in ("microlith", "python")]
    assert set(scripts) == {"tools/demo", "tools/test"}
    for script in [*scripts, ".ci/run", "tools/setup.sh"]:
        subprocess.run(["bash", "-n", ROOT / script], check=True)
        assert os.access(ROOT / script, os.X_OK) or script.endswith(".sh")


def test_links_and_pictures_exist():
    for target in re.findall(r"!?\[[^\]]*\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(pictures) >= 2 and all((ROOT / picture).is_file() for picture in pictures)


def test_no_placeholder_is_left():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        assert not re.findall(r"@[A-Z]\w*", page.read_text(encoding="utf-8")), page.name
