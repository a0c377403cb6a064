"""Ctrl-C: a command ends with one line, leaves nothing half done, and is deaf at no time."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.asset import open_asset

ROOT = Path(__file__).resolve().parent.parent


def interrupted(arguments: list[str], seconds: float) -> subprocess.CompletedProcess:
    """Run a command line, interrupt it `seconds` after it listens, and return how it ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not listens(process.pid):  # before that, it is Python's own start
        time.sleep(0.002)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def listens(process_number: int) -> bool:
    """Return whether a process catches SIGTERM, which Python by itself does not."""
    status = Path(f"/proc/{process_number}/status").read_text(encoding="ascii")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.6, 1.2, 2.0])
def test_ctrl_c_during_a_build(tmp_path, seconds, sample_mesh):
    mesh, asset = sample_mesh("terrain", 200_000), tmp_path / "a.mlith"
    done = interrupted(["build", str(mesh), "-o", str(asset)], seconds)
    assert done.returncode in (0, 130)
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
    left = set(tmp_path.iterdir())
    assert left == set() if done.returncode == 130 and not asset.exists() else left == {asset} and is_whole(asset)


@pytest.mark.parametrize("stage", ["read", "compile", "build"])
def test_ctrl_c_before_the_asset_is_written_leaves_nothing(tmp_path, stage, sample_mesh):
    mesh, asset = sample_mesh("terrain", 200_000), tmp_path / "a.mlith"
    line = [sys.executable, "-m", "engine", "build", str(mesh), "-o", str(asset), "--progress-json"]
    with subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(f'"stage": "{stage}"' in said for said in process.stderr)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and err.endswith("\nmicrolith: interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("delay", [0, 0.002, 0.02])
def test_ctrl_c_once_the_asset_is_there_leaves_it_whole(tmp_path, delay, sample_mesh):
    mesh, asset = sample_mesh("terrain", 2_000), tmp_path / "a.mlith"
    line = [sys.executable, "-m", "engine", "build", str(mesh), "-o", str(asset), "--report", str(tmp_path / "r.json")]
    process = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while not asset.exists() and process.poll() is None:
        time.sleep(0.0005)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) in [(0, ""), (130, "\nmicrolith: interrupted\n")]
    assert is_whole(asset)
    assert set(tmp_path.iterdir()) <= {asset, tmp_path / "r.json"}


def is_whole(path: Path) -> bool:
    """Return whether an asset is there whose checksums are right."""
    asset = open_asset(path)
    return all(len(asset.page_words(page)) for page in range(asset.page_count))


def test_the_end_of_standard_input_ends_a_build_that_asks_for_it(tmp_path, sample_mesh):
    line = [sys.executable, "-m", "engine", "build", str(sample_mesh("terrain", 200_000)), "-o"]
    options = {"cwd": ROOT, "stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 60}
    done = subprocess.run([*line, tmp_path / "a.mlith", "--end-with-input"], **options)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "\nmicrolith: interrupted\n")
    assert list(tmp_path.iterdir()) == []
    assert subprocess.run([*line, tmp_path / "b.mlith"], **options).returncode == 0


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.5, 1.0])
def test_ctrl_c_while_drawing(seconds, sample_asset, device):
    done = interrupted(["bench", str(sample_asset("sphere")), "--frames", "1000"], seconds)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nmicrolith: interrupted\n")


@pytest.mark.parametrize("progress", ["Progress(0)", "JsonProgress()"])
def test_ctrl_c_that_a_finaliser_swallows_ends_long_work_at_its_next_step(progress):
    program = (
        "import os, signal; from engine.commands import interruption, logs; interruption.install()\n"
        "class Swallows:\n  def __del__(self): os.kill(os.getpid(), signal.SIGINT); [None for _ in range(10)]\n"
        f"with interruption.raising(), logs.{progress} as step:\n"
        "  step('build', 0, 2); one = Swallows(); del one; print('swallowed', flush=True)\n"
        "  try: step('build', 1, 2)\n"
        "  except KeyboardInterrupt: print('ended')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert done.stdout == "swallowed\nended\n"


def test_ctrl_c_at_the_very_end_changes_nothing():
    program = (
        "import os, signal; from engine.commands import interruption; interruption.install()\n"
        "class Last:\n  def __del__(self, kill=os.kill, own=os.getpid()): kill(own, 2); kill(own, 15)\n"
        "import engine; engine.last = Last()"
    )  # modules are emptied when the handlers are gone
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_ends_code_that_swallows_it():
    program = (
        "import time, sys; from engine.commands import interruption; interruption.install(); print(1, flush=True)\n"
        "while True:\n  try: time.sleep(10)\n  except BaseException: pass"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == b"\nmicrolith: interrupted\n"
