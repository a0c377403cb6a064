"""tools/result_figures.py: labels of axes do not collide, and a figure says what its numbers are not."""

from itertools import pairwise

import pytest
from matplotlib.figure import Figure

from engine.experiments.results import Results
from tests.test_plot_results import frame_line, manifest, run_line
from tools import result_figures


def x_labels(figure: Figure) -> list:
    """Return the texts of the ticks of the first x axis, from left to right, drawn."""
    figure.draw_without_rendering()
    axis = figure.axes[0]
    low, high = axis.get_xlim()
    ticks = [*axis.xaxis.get_major_ticks(), *axis.xaxis.get_minor_ticks()]
    shown = [tick for tick in ticks if low <= tick.get_loc() <= high and tick.label1.get_text()]
    return [tick.label1 for tick in sorted(shown, key=lambda tick: tick.get_loc())]


@pytest.mark.parametrize(
    ("places", "angle"),
    [
        ([0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0], 0.0),
        ([8.0, 16.0, 20.0, 32.0], 0.0),
        ([0.0, 16.0, 32.0, 64.0, 128.0, 256.0], 0.0),
        ([0.2304, 0.5184, 0.9216, 2.0736, 3.6864, 8.2944, 33.1776], 45.0),
        ([0.000104, 0.000228, 0.000405, 0.000880, 0.00159, 0.0036, 0.0144], 45.0),
        ([1.0, 1.01, 8.0], 45.0),
    ],
)
def test_labels_that_would_collide_are_turned(places, angle):
    figure, axes = result_figures._panels(2)
    result_figures._scale_x(axes[0], places)
    labels = x_labels(figure)
    assert [label.get_rotation() for label in labels] == [angle] * len(places)
    boxes = [label.get_window_extent() for label in labels]
    assert angle or all(one.x1 < other.x0 for one, other in pairwise(boxes))


def results(kind: str, *counts: int) -> Results:
    """Return results of a run for each number of instances, on a device of a kind."""
    made = Results(manifest=manifest(), runs=[run_line(n, instances=count) for n, count in enumerate(counts)])
    made.manifest["device"]["kind"] = kind
    made.frames = [frame_line(n, 0, frame, 1.0 + n, 100 + n) for n in range(len(counts)) for frame in range(3)]
    made.scenes = [{"run": n, "instances": count, "triangles": count} for n, count in enumerate(counts)]
    return made


@pytest.mark.parametrize("counts", [(970, 2000, 5000), (1, 1000), (3, 40, 100), (1, 10**6)])
def test_a_scaling_axis_has_plain_labels(counts):
    figure = result_figures.scaling_instances(results("DiscreteGPU", *counts))
    assert isinstance(figure, Figure)
    texts = [label.get_text() for label in x_labels(figure)]
    assert len(texts) >= 2
    assert not any("times" in text or "$" in text for text in texts), texts


def test_times_of_passes_on_a_cpu_are_called_in_question():
    for kind, says in (("CPU", True), ("DiscreteGPU", False)):
        figure = result_figures.passes(results(kind, 1, 2))
        assert isinstance(figure, Figure)
        assert ("a CPU plays the GPU" in figure.get_suptitle()) is says
