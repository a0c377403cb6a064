"""Fixtures of all tests: seeded numbers, the GPU, real meshes, and small assets built once."""

import contextlib
import functools
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent

if "XDG_RUNTIME_DIR" not in os.environ:  # without it the Vulkan loader complains
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="microlith-test-")

# Compiled kernels stay in the user's cache folder, which the fixture below moves: compiling takes a minute. This must
# come before numba is imported: it reads all its settings again when it sees that a variable has changed.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("NUMBA_CACHE_DIR", str(CACHE / "microlith" / "kernels"))

# So do shaders that Mesa has compiled, in its own folder there: a first frame takes a third of the time then.
os.environ.setdefault("MESA_SHADER_CACHE_DIR", str(CACHE))


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Give every test the same random numbers each time."""
    np.random.seed(0)


@pytest.fixture(autouse=True, scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep the user's cache folder out of the tests."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def meshes() -> Path | None:
    """Folder of the real meshes (MICROLITH_MESHES), or None where it is missing."""
    folder = Path(os.environ.get("MICROLITH_MESHES") or ROOT.parent / "shared" / "meshes")
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def device():
    """The opened adapter. Fails where there is none: the tests of the GPU must never be left out silently."""
    from engine.gpu.device import open_device

    try:
        return open_device(os.environ.get("MICROLITH_ADAPTER"))
    except RuntimeError as error:
        pytest.fail(f"no adapter to test on: {error}", pytrace=False)


@pytest.fixture(scope="session")
def renderer(device):
    """One renderer for all tests."""
    from engine.renderer import Renderer

    return Renderer(device)


@pytest.fixture
def quick_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `device --calibrate` draw few instances, and clusters of two small sizes."""
    from engine import calibrate, calibrate_raster

    monkeypatch.setattr(calibrate, "SOFTWARE_INSTANCES", 16)
    monkeypatch.setattr(calibrate, "GPU_INSTANCES", 16)
    for name in ("SOFTWARE_IMAGE", "GPU_IMAGE"):
        monkeypatch.setattr(calibrate_raster, name, 64)
    some = functools.partial(calibrate_raster.calibrate_rasters, sizes=(16, 32))
    monkeypatch.setattr(calibrate_raster, "calibrate_rasters", some)


@pytest.fixture(scope="session")
def sample_mesh(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return `sample_mesh(kind, triangles) -> PLY file`, made once."""
    folder, made = tmp_path_factory.mktemp("meshes"), {}

    def make(kind: str, triangles: int = 5000) -> Path:
        if (kind, triangles) not in made:
            from tools import make_mesh

            path = folder / f"{kind}_{triangles}.ply"
            with contextlib.redirect_stderr(io.StringIO()):
                assert make_mesh.main([kind, "--triangles", str(triangles), "-o", str(path)]) == 0
            made[kind, triangles] = path
        return made[kind, triangles]

    return make


@pytest.fixture(scope="session")
def sample_asset(tmp_path_factory: pytest.TempPathFactory, sample_mesh: Callable[..., Path]) -> Callable[..., Path]:
    """Return `sample_asset(kind, triangles, **settings) -> .mlith file`, built once; the settings are of the build."""
    folder, built = tmp_path_factory.mktemp("assets"), {}

    def make(kind: str, triangles: int = 5000, **settings: Any) -> Path:
        name = "_".join(map(str, (kind, triangles, *(part for item in sorted(settings.items()) for part in item))))
        if name not in built:
            from engine.builder import build
            from engine.settings import BuildSettings

            path = folder / f"{name}.mlith"
            build([sample_mesh(kind, triangles)], path, BuildSettings(**settings), progress=lambda *_: None)
            built[name] = path
        return built[name]

    return make
