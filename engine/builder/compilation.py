"""Compile the kernels of the builder before the first build: half of them in a second process, on a core of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Generator

import numpy as np

from engine import kernel_cache, layout
from engine.builder import level
from engine.builder.groups import LEAST_CLUSTERS, partition_clusters
from engine.builder.hierarchy import build_hierarchy
from engine.builder.page_encoder import compress_page
from engine.builder.pages import encode_mesh
from engine.builder.source import SourceMesh
from engine.builder.weld import choose_lattice, weld
from engine.settings import BuildSettings


def compile_kernels() -> None:
    """Compile what any build needs, unless an earlier process kept it."""
    if kernel_cache.is_kept(level._simplify_one):
        return
    with _second_process():
        level.compile_measures()
        build_tetrahedron()
        store_nothing()


def build_tetrahedron() -> None:
    """Build the smallest closed mesh: what it runs is compiled then."""
    positions = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float64)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    source, settings = SourceMesh("", positions, faces, None, None, None, np.zeros(4, np.int32)), BuildSettings()
    step, origins = choose_lattice([source], settings)
    hierarchy = build_hierarchy(weld(source, step, origins[0], settings, np.ones(1, np.bool_)), settings)
    mesh = encode_mesh(hierarchy, step, origins[0], np.zeros(1, layout.MATERIAL["flags"]), settings)
    compress_page(mesh.words, settings.compression_level)


def store_nothing() -> None:
    """Run the other kernels of a level on next to nothing."""
    counts = np.zeros(1, np.int64)
    ring = np.arange(4 * LEAST_CLUSTERS + 1, dtype=np.int32)
    neighbours = np.stack([np.roll(ring, 1), np.roll(ring, -1)], axis=1).ravel()
    first = np.arange(0, len(neighbours) + 1, 2, dtype=np.int32)
    partition_clusters(first, neighbours, np.ones(len(neighbours), np.int32), np.zeros((len(ring), 3)), LEAST_CLUSTERS)
    rows, pool = np.zeros((2, 3), np.int64), level.empty_pool()
    out = level.group_outputs(1, rows, 1, 3, None)
    level.store_groups(out, rows, pool, np.zeros(0, np.uint8), counts, 0, counts, counts)


@contextlib.contextmanager
def _second_process() -> Generator[None]:
    """Let a second process compile the simplification during the block, and wait for it.

    Where it cannot be started, or fails, the kernel is compiled when it is first needed.
    """
    paths = [str(kernel_cache.PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "NUMBA_CACHE_DIR": str(kernel_cache.FOLDER),
    }
    command = [sys.executable, "-c", "from engine.builder.level import compile_simplification as f; f()"]
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        yield
        return
    try:
        yield
        process.wait()
    finally:
        process.kill()
        process.wait()
