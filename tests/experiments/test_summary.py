"""Statistics of the frames of a run, and ratios between runs."""

import numpy as np
import pytest

from engine.experiments.results import Results
from engine.experiments.summary import (
    gpu_ms,
    has_gpu_times,
    paired_ratios,
    repeat_ratios,
    spread,
    summary,
    wall_ms,
)


def frame(number: int, gpu_ms: float | None, wall_ms: float = 1.0, repeat: int = 0, triangles: int = 7) -> dict:
    passes = {} if gpu_ms is None else {"frame": gpu_ms, "main/cluster_cull": gpu_ms / 4.0}
    statistics = {"passes_ms": passes, "triangles": {"software": triangles, "hardware": 1}, "clusters": {"software": 3}}
    return {"run": 0, "repeat": repeat, "frame": number, "wall_ms": wall_ms, "statistics": statistics}


def test_a_summary_is_what_numpy_says():
    times = np.random.default_rng(3).lognormal(size=101)
    found = summary([frame(number, time, 10.0 * time) for number, time in enumerate(times.tolist())])
    assert found["frames"] == 101
    for name, values in (("wall_ms", 10.0 * times), ("frame", times), ("main/cluster_cull", times / 4.0)):
        one = found["passes_ms"][name] if name in found["passes_ms"] else found[name]
        expected = [*np.quantile(values, [0.5, 0.05, 0.95]), values.mean(), values.std(ddof=1)]
        np.testing.assert_allclose([one[key] for key in ("median", "p05", "p95", "mean", "deviation")], expected)
        assert one["samples"] == 101
    assert found["triangles"]["median"] == 8 and found["clusters"]["mean"] == 3


def test_one_sample_has_no_deviation_and_none_has_nothing():
    assert summary([frame(0, 2.0)])["passes_ms"]["frame"]["deviation"] is None
    assert all(np.isnan(spread([])))
    assert summary([])["wall_ms"]["mean"] is None


def test_ratios_compare_the_same_frames():
    """A path on which times grow a hundredfold: the ratio is that of the runs, whatever the spread along the way."""
    slow = [frame(number, 2.0 * 10.0**number) for number in range(3)]
    fast = [frame(number, 10.0**number) for number in range(4)]
    assert paired_ratios(slow, fast, gpu_ms) == pytest.approx([2.0, 2.0, 2.0])
    assert paired_ratios(fast, fast, gpu_ms) == [1.0] * 4


def test_ratios_take_the_median_of_the_repeats():
    slow = [frame(0, time, repeat=repeat) for repeat, time in enumerate((3.0, 3.0, 90.0))]
    assert paired_ratios(slow, [frame(0, 1.0)], gpu_ms) == [3.0]


def test_each_repeat_has_a_ratio_of_its_own():
    """What the repeats of the first run lie apart by is the noise; frames that only one run has do not count."""
    first = [frame(n, 10.0**n * time, repeat=r) for r, time in enumerate((1.0, 0.98, 1.03)) for n in range(3)]
    other = [frame(n, 10.0**n * time, repeat=r) for r, time in enumerate((0.5, 0.52, 0.51)) for n in range(4)]
    assert repeat_ratios(first, first, gpu_ms) == pytest.approx([1.0, 0.98, 1.03])
    assert repeat_ratios(other[::-1], first, gpu_ms) == pytest.approx([0.5, 0.52, 0.51])


def test_the_times_of_a_cpu_are_wall_times():
    timed, bare = [frame(0, 1.0, 2.0)], [frame(0, None, 6.0)]
    gpu, cpu = {"device": {"kind": "DiscreteGPU"}}, {"device": {"kind": "CPU"}}
    assert has_gpu_times(Results(gpu, frames=timed))
    assert not has_gpu_times(Results(cpu, frames=timed)), "what its timestamps say is not the time"
    assert not has_gpu_times(Results(gpu, frames=timed + bare))
    assert paired_ratios(bare, timed, wall_ms) == [3.0]
