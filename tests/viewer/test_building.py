"""Building in a child process: progress, failures in one line, and no child or file left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import engine
from engine.__main__ import run
from engine.viewer import building
from engine.viewer.building import BuildProcess, BuildProgress

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def large(sample_mesh) -> Path:
    """A mesh that takes a second or more to build."""
    return sample_mesh("terrain", 200_000)


def finish(process: BuildProcess) -> tuple[str, list[BuildProgress]]:
    """Return the outcome of a child and all the progress that was seen."""
    seen, end = [process.progress], time.monotonic() + 120.0
    while (outcome := process.wait(0.002)) is None:
        assert time.monotonic() < end
        if process.progress != seen[-1]:
            seen.append(process.progress)
    return outcome, seen


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_until(condition, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_asset_is_built_while_progress_rises(large, tmp_path, monkeypatch):
    (tmp_path / "engine").mkdir()  # the child must not take it for the engine
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit('wrong engine')")
    monkeypatch.chdir(tmp_path)
    process = BuildProcess(large, Path("terrain.mlith"))
    outcome, seen = finish(process)
    assert outcome == ""
    assert process.poll() == ""
    assert engine.open_asset(tmp_path / "terrain.mlith").source_triangles > 190_000
    assert not is_running(process.pid)
    stages = [progress.stage for progress in seen]
    assert stages == sorted(stages, key=["start", "read", "compile", "build", "write"].index)
    fractions = [progress.fraction for progress in seen if progress.stage == "build"]
    assert len(fractions) > 2
    assert fractions == sorted(fractions)
    assert 0.0 <= fractions[0] < fractions[-1] <= 1.0


def test_poll_does_not_wait(large, tmp_path):
    begin = time.perf_counter()
    process = BuildProcess(large, tmp_path / "a.mlith")
    for _ in range(1000):
        assert process.poll() is None
    assert time.perf_counter() - begin < 0.3
    process.stop()


@pytest.mark.parametrize("stage", ["start", "read", "build"])
def test_a_stopped_build_leaves_nothing(large, tmp_path, stage):
    process = BuildProcess(large, tmp_path / "a.mlith")
    if stage == "build":
        wait_until(lambda: process.progress.fraction)
    elif stage == "read":
        wait_until(lambda: process.progress.stage == "read")
    begin = time.monotonic()
    process.stop()
    assert time.monotonic() - begin < building.KILL_SECONDS + 1.0
    assert list(tmp_path.iterdir()) == []
    assert not is_running(process.pid)
    assert process.poll()  # it says that it was ended
    process.stop()  # once more does no harm


def test_a_child_that_does_not_listen_is_killed(large, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "KILL_SECONDS", 0.5)
    process = BuildProcess(large, tmp_path / "a.mlith")
    wait_until(lambda: process.progress.fraction)
    os.kill(process.pid, signal.SIGSTOP)  # SIGTERM has no effect now
    process.stop()
    assert not is_running(process.pid)
    assert list(tmp_path.iterdir()) == []
    assert process.poll() == "the build was ended by signal 9; is there enough memory?"


def test_the_child_ends_with_its_input(large, tmp_path):
    process = BuildProcess(large, tmp_path / "a.mlith")
    wait_until(lambda: process.progress.stage == "read")
    process._process.stdin.close()  # somebody still reads what it says: only this tells it to end
    assert finish(process)[0] == "interrupted"
    assert list(tmp_path.iterdir()) == []


def test_the_child_ends_when_this_process_dies(large, tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from engine.viewer.building import BuildProcess\n"
        f"p = BuildProcess(Path({str(large)!r}), Path({str(tmp_path / 'a.mlith')!r}))\n"
        "while not p.progress.fraction: time.sleep(0.001)\n"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    assert is_running(pid)
    assert list(tmp_path.iterdir()) != []
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_running(pid), 5.0)
    assert list(tmp_path.iterdir()) == []


def test_a_mesh_that_cannot_be_read_is_one_line(tmp_path, capsys):
    mesh = tmp_path / "text.ply"
    mesh.write_text("not a mesh", encoding="utf-8")
    outcome, _ = finish(BuildProcess(mesh, tmp_path / "out.mlith"))
    assert outcome.startswith(str(mesh))
    assert run(["build", str(mesh), "-o", str(tmp_path / "out.mlith")]) == 1
    assert capsys.readouterr().err == f"microlith: {outcome}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["text.ply"]


def test_what_else_the_child_says(tmp_path, caplog, monkeypatch):
    lines = ["microlith: a; it is left out", "{", '{"stage": 1}', '{"stage": "build", "done": 9, "total": 4}', "", "x"]
    program = f"import sys; sys.stderr.write(chr(10).join({lines!r})); sys.exit(int(sys.argv[1]))"
    for code, outcome in ((0, ""), (3, "the build failed with exit code 3: x")):
        if code:
            lines.pop(0)
            program = program.replace("microlith: a; it is left out", "")
        monkeypatch.setattr(building, "build_command", lambda *_, c=code, p=program: [sys.executable, "-c", p, str(c)])
        process = BuildProcess(tmp_path / "a.ply", tmp_path / "a.mlith")
        assert finish(process)[0] == outcome
        assert process.progress == BuildProgress("build", 1.0)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("WARNING", "a; it is left out")]


def test_an_output_that_cannot_be_written_is_one_line(sample_mesh, tmp_path):
    outcome, _ = finish(BuildProcess(sample_mesh("sphere"), tmp_path / "none" / "a.mlith"))
    assert "there is no folder" in outcome
    assert "\n" not in outcome


def test_a_child_that_dies_is_one_line(large, tmp_path):
    process = BuildProcess(large, tmp_path / "a.mlith")
    os.kill(process.pid, signal.SIGKILL)
    assert finish(process)[0] == "the build was ended by signal 9; is there enough memory?"


def test_the_child_finds_this_engine_first(monkeypatch, tmp_path):
    home = str(ROOT)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path)])
    assert building._module_path() == [home, str(tmp_path)]
    monkeypatch.setattr(sys, "path", [str(tmp_path), home])
    assert building._module_path() == [str(tmp_path), home]
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert building._module_path() == [home, str(tmp_path)]
