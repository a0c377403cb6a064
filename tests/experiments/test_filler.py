"""Work between measured frames."""

import pytest

from engine.experiments.experiment import Experiment
from engine.experiments.filler import Filler
from engine.experiments.runner import measure
from engine.gpu.buffers import read_buffer
from engine.renderer import Renderer
from engine.scene import load_scene
from engine.settings import FrameSettings

SIZE = (48, 32)


def test_it_runs_and_leaves_nothing(device):
    filler = Filler(device, milliseconds=1.0)
    filler.submit()
    assert read_buffer(device, filler._results, "f4", 1)[0] == 0.0
    assert Filler(device, milliseconds=50.0)._turns > filler._turns >= 1


def test_it_goes_before_every_frame(device, sample_asset):
    scene, sent = load_scene(sample_asset("sphere", 5000)), []

    class Counted:
        def submit(self) -> None:
            sent.append(renderer._submitted)

    renderer = Renderer(device)
    cameras = [scene.default_camera()] * 5
    records = list(measure(renderer, scene, cameras, FrameSettings(), SIZE, 3, Counted()))
    assert [record["frame"] for record in records] == [0, 1, 2, 3, 4]
    assert len(sent) == 8
    assert sent == sorted(set(sent))


@pytest.mark.parametrize("value", [-1.0, "2", 1e9, True])
def test_its_length_is_checked(value):
    with pytest.raises(ValueError, match="filler_ms is"):
        Experiment("a", "a.mlith", filler_ms=value)
