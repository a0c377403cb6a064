"""Work between measured frames."""

import pytest

from engine.experiments import filler
from engine.experiments.experiment import Experiment
from engine.experiments.filler import Filler
from engine.experiments.runner import measure
from engine.gpu.buffers import read_buffer
from engine.renderer import Renderer
from engine.scene import load_scene
from engine.settings import FrameSettings

SIZE = (48, 32)


@pytest.fixture(autouse=True)
def short_calibration(monkeypatch):
    """A CPU needs seconds for what a GPU is asked first."""
    monkeypatch.setattr(filler, "_FIRST_TURNS", 64)


def test_it_runs_and_leaves_nothing(device):
    short = Filler(device, milliseconds=1.0)
    short.submit()
    assert read_buffer(device, short._results, "f4", 1)[0] == 0.0
    assert Filler(device, milliseconds=50.0)._turns > short._turns >= 1


def test_it_goes_before_every_frame(device, sample_asset):
    scene, sent = load_scene(sample_asset("sphere", 5000)), []

    class Counted:
        def wake(self) -> None:
            sent.append(0)

        def submit(self) -> None:
            sent.append(renderer._submitted)

    renderer = Renderer(device)
    cameras = [scene.default_camera()] * 5
    records = list(measure(renderer, scene, cameras, FrameSettings(), SIZE, 3, Counted()))
    assert [record["frame"] for record in records] == [0, 1, 2, 3, 4]
    assert len(sent) == 1 + 8
    assert sent == sorted(set(sent))


def test_it_wakes_the_gpu_until_the_clocks_are_up(device, monkeypatch):
    """As long as it takes longer than at best, but not for ever."""
    now, times = [0.0], [0.004, 0.004, 0.0021, 0.0019, 0.002]

    def seconds(self) -> float:
        now[0] += 0.1
        return times.pop(0) if times else 0.004

    built = Filler(device, milliseconds=0.5)
    monkeypatch.setattr(filler.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(Filler, "_seconds", seconds)
    built._best_seconds = 0.002
    built.wake()
    assert times == [0.0019, 0.002], "5 % are chance"
    built.wake()
    assert built._best_seconds == 0.0019
    times.clear()
    before = now[0]
    built.wake()
    assert now[0] - before == pytest.approx(filler.WAKING_SECONDS)


@pytest.mark.parametrize("value", [-1.0, "2", 1e9, True])
def test_its_length_is_checked(value):
    with pytest.raises(ValueError, match="filler_ms is"):
        Experiment("a", "a.mlith", filler_ms=value)
