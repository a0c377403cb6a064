"""Mutations of valid files: each is built, or refused in one clear line that names it, and leaves nothing behind."""

import faulthandler
import resource
import sys
import time
import zlib

import numpy as np
import pytest

from engine.asset import open_asset
from engine.builder import build
from tests.builder.sample_files import FORMATS, mutated, sample_file

pytestmark = pytest.mark.filterwarnings("error")  # the user would see them
LONG, SHORT = 500, 40  # mutations of each format
LARGEST_SECONDS = 20.0
LARGEST_MEMORY = 2 << 30


@pytest.mark.parametrize("kind", FORMATS)
def test_mutations(kind, tmp_path, meshes):
    _check_mutations(kind, range(SHORT), tmp_path, meshes)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_many_mutations(kind, tmp_path, meshes):
    _check_mutations(kind, range(LONG), tmp_path, meshes)


def _check_mutations(kind, numbers, tmp_path, meshes):
    sample = sample_file(kind, meshes)
    if sample is None:
        pytest.skip("real meshes are missing")
    if kind == "draco":
        pytest.importorskip("DracoPy")
    data, suffix = sample
    path, output = tmp_path / f"mutated{suffix}", tmp_path / "out.mlith"
    path.write_bytes(data)
    build([path], output)  # the sample itself is valid; its kernels are compiled
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    output.unlink()
    built = 0
    for number in numbers:
        path.write_bytes(mutated(data, np.random.default_rng([zlib.crc32(kind.encode()), number])))
        faulthandler.dump_traceback_later(60.0, exit=True)  # a hang inside a kernel can be ended in no other way
        start = time.perf_counter()
        built += _build_or_refuse(path, output, f"{kind} {number}")
        assert time.perf_counter() - start < LARGEST_SECONDS, number
        faulthandler.cancel_dump_traceback_later()
    assert 0 < built < len(numbers)
    unit = 1 if sys.platform == "darwin" else 1024
    assert unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < max(LARGEST_MEMORY, unit * memory + 2**28)


def _build_or_refuse(path, output, label) -> bool:
    """Build; return whether there is an asset, which must then be sound."""
    try:
        build([path], output)
    except ValueError as error:
        reason = str(error)
        assert reason.startswith(f"{path}: "), f"{label}: {reason}"
        assert "\n" not in reason, label
        assert len(reason) < len(str(path)) + 400, label
        assert "is malformed (" not in reason, f"{label}: an error that no reader foresaw: {reason}"
        assert sorted(path.parent.iterdir()) == [path], label
        return False
    asset = open_asset(output)
    assert asset.source_triangles > 0, label
    output.unlink()
    assert sorted(path.parent.iterdir()) == [path], label
    return True
