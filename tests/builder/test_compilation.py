"""The kernels that every build needs are compiled at once, by two processes."""

import subprocess
import sys

import numba
import numpy as np
import pytest

from engine.builder import compilation, level
from engine.builder.hierarchy import build_hierarchy
from engine.builder.source import SourceMesh
from engine.builder.weld import choose_lattice, weld
from engine.settings import BuildSettings
from tools import make_mesh


class Recorder:
    """Stands for a kernel: keeps the types it is called with, or compiled for."""

    def __init__(self):
        self.called, self.compiled = set(), set()

    def __call__(self, *arguments):
        self.called.add(tuple(numba.typeof(argument) for argument in arguments))

    def compile(self, signature):
        self.compiled.add(signature)


def test_what_the_second_process_compiles_is_what_a_build_calls(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(level, "_simplify_one", recorder)
    positions, faces = make_mesh.sphere(10000)
    mesh = SourceMesh("", positions, faces, None, None, None, np.zeros(len(faces), np.int32))
    step, origins = choose_lattice([mesh], BuildSettings())
    build_hierarchy(weld(mesh, step, origins[0], BuildSettings()), BuildSettings())
    level.compile_simplification()
    assert recorder.called == recorder.compiled and len(recorder.called) == 1


def test_kept_kernels_start_no_process(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    monkeypatch.setattr(compilation.kernel_cache, "is_kept", lambda _: True)
    compilation.compile_kernels()


def test_a_process_that_cannot_start_is_no_error(monkeypatch):
    def refuse(*_, **__):
        raise OSError

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(compilation.kernel_cache, "is_kept", lambda _: False)
    compilation.compile_kernels()


def test_an_error_ends_the_second_process(monkeypatch):
    started, real = [], subprocess.Popen

    def sleep(_, **options):
        started.append(real([sys.executable, "-c", "import time; time.sleep(60)"], **options))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", sleep)
    with pytest.raises(KeyboardInterrupt), compilation._second_process():
        raise KeyboardInterrupt
    assert started[0].poll() is not None
