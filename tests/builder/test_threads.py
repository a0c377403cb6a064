"""Kernels run over every row once, on the threads that are allowed."""

import threading
import time

import pytest

from engine.builder.threads import core_count, limited_threads, run_blocks, run_tasks, thread_count


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rows", [0, 1, 9, 10, 11, 1005])
def test_every_row_once(rows, threads, monkeypatch):
    monkeypatch.setattr("engine.builder.threads._limit", threads)
    seen = [0] * rows

    def kernel(first, end, add):
        assert 0 <= first < end <= rows
        for row in range(first, end):
            seen[row] += add

    run_blocks(kernel, rows, 10, 2)
    assert seen == [2] * rows


def test_threads_share_the_tasks(monkeypatch):
    monkeypatch.setattr("engine.builder.threads._limit", 2)
    names = set()
    both = threading.Barrier(2, timeout=20.0)

    def work(_):
        both.wait()
        names.add(threading.current_thread().name)

    run_tasks(work, range(2))
    assert len(names) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_ends_the_run(threads, monkeypatch):
    monkeypatch.setattr("engine.builder.threads._limit", threads)
    done = []

    def work(task):
        if task == 3:
            raise ValueError("no")
        time.sleep(0.001)
        done.append(task)

    with pytest.raises(ValueError, match="no"):
        run_tasks(work, range(1000))
    assert len(done) < 1000
    run_tasks(done.append, [-1])
    assert done[-1] == -1


def test_limits():
    with limited_threads(1) as count:
        assert count == thread_count() == 1
        with limited_threads(None) as inner:
            assert inner == core_count()
        assert thread_count() == 1
    assert thread_count() == core_count()
    with pytest.raises(ValueError, match="at least 1"), limited_threads(0):
        pass
