"""Compiled kernels are never those of other sources."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from engine import kernel_cache

PACKAGE = Path(kernel_cache.__file__).parent


def test_another_source_gives_another_folder(tmp_path):
    package = tmp_path / "engine"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    key = kernel_cache.source_key(kernel_cache.kernel_sources(package))
    assert key == kernel_cache.source_key(kernel_cache.kernel_sources(PACKAGE))
    for name in ("builder/simplify.py", "bvh.py", "bvh_kernel.py"):
        path = package / name
        text = path.read_bytes()
        path.write_bytes(text + b"\n# changed\n")
        assert kernel_cache.source_key(kernel_cache.kernel_sources(package)) != key
        path.write_bytes(text)


def test_constants_name_the_folder(monkeypatch):
    sources = kernel_cache.kernel_sources(PACKAGE)
    key = kernel_cache.source_key(sources)
    monkeypatch.setitem(kernel_cache.layout.CONSTANTS, "MAX_CLUSTER_VERTICES", 7)
    assert kernel_cache.source_key(sources) != key


def test_all_that_kernels_use_is_in_the_key():
    sources = kernel_cache.kernel_sources(PACKAGE)
    known = {".".join(("engine", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in sources}
    known.add("engine.layout")  # its constants are
    for path in sources:
        tree, module_of = ast.parse(path.read_text(encoding="utf-8")), {}
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "engine":
                for alias in node.names:
                    module_of[alias.name] = f"engine.{alias.name}" if node.module == "engine" else node.module
        for node in tree.body:
            kernel = isinstance(node, ast.FunctionDef) and any("njit" in ast.unparse(d) for d in node.decorator_list)
            if kernel or isinstance(node, ast.Assign):
                used = {module_of.get(name.id) for name in ast.walk(node) if isinstance(name, ast.Name)} - {None}
                assert used <= known, f"{path.name}: line {node.lineno}"


@pytest.mark.parametrize("module", ["engine.builder.level", "engine.builder.plyfile", "engine.bvh_kernel"])
def test_kernels_are_kept_there(module, tmp_path):
    code = (
        f"import {module} as m; from engine.kernel_cache import FOLDER; from numba.core.dispatcher import Dispatcher\n"
        "kernels = [k for k in vars(m).values() if isinstance(k, Dispatcher)]\n"
        "print(FOLDER, len(kernels), {str(k.stats.cache_path).startswith(str(FOLDER)) for k in kernels})"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    folder, count, inside = done.stdout.split()
    assert Path(folder).parent == tmp_path
    assert int(count) > 0 and inside == "{True}"


def test_unused_folders_are_removed(tmp_path):
    now = 1e9
    for age in range(10):
        folder = kernel_cache.open_folder(tmp_path, f"{age:016x}")
        os.utime(folder, (now - age * 86400.0, now - age * 86400.0))
    (tmp_path / "other").mkdir()
    os.utime(tmp_path / "other", (0, 0))
    kernel_cache.remove_unused(tmp_path, now)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"microlith-{age:016x}" for age in range(4)] + ["other"]


def test_a_folder_that_cannot_be_written_is_replaced(tmp_path):
    (tmp_path / "file").touch()
    folder = kernel_cache.open_folder(tmp_path / "file", "0" * 16)
    assert folder.is_dir() and tmp_path not in folder.parents
    folder.rmdir()


def test_numba_uses_the_folder():
    assert str(kernel_cache.FOLDER) == numba.config.CACHE_DIR
