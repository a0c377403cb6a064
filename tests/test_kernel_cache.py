"""Compiled kernels are never those of other sources."""

import ast
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from numba.core import caching

from engine import kernel_cache
from engine.builder import spheres

PACKAGE = Path(kernel_cache.__file__).parent


def keys(package: Path) -> dict[str, str]:
    """Return the key of every module with kernels."""
    modules = kernel_cache.kernel_modules(package)
    return {
        name: kernel_cache.source_key(modules[other] for other in kernel_cache.compiled_from(name, modules))
        for name in modules
    }


def test_an_edit_gives_other_folders_to_what_is_compiled_from_it(tmp_path):
    package = tmp_path / "engine"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = keys(package)
    assert before == keys(PACKAGE)
    users = {
        "builder/quadric.py": {"quadric", "topology", "simplify", "level"},
        "builder/level.py": {"level"},
        "builder/source.py": {"source", "normals", "weld", "textfile", "plyfile", "objfile"},
        "bvh.py": {"bvh", "bvh_kernel"},
    }
    for name, least in users.items():
        path = package / name
        text = path.read_bytes()
        path.write_bytes(text + b"\n# changed\n")
        after = keys(package)
        changed = {module.rpartition(".")[2] for module in before if after[module] != before[module]}
        assert least & {module.rpartition(".")[2] for module in before} <= changed, name
        assert "page_kernels" not in changed
        path.write_bytes(text)


def test_constants_name_the_folder(monkeypatch):
    before = keys(PACKAGE)
    monkeypatch.setitem(kernel_cache.layout.CONSTANTS, "MAX_CLUSTER_VERTICES", 7)
    after = keys(PACKAGE)
    assert all(after[module] != before[module] for module in before)


def test_all_that_kernels_use_is_in_the_key():
    modules = kernel_cache.kernel_modules(PACKAGE)
    for module, path in modules.items():
        known = {*kernel_cache.compiled_from(module, modules), "engine.layout"}  # its constants are
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
        "kernels = [k for k in vars(m).values() if isinstance(k, Dispatcher) and k.py_func.__module__ == m.__name__]\n"
        "kernels = [k for k in kernels if k.stats.cache_path]  # others are compiled into their callers\n"
        f"name = 'microlith-{module.removeprefix('engine.')}-'\n"
        "print(FOLDER, len(kernels), {str(k.stats.cache_path).startswith(f'{FOLDER}/{name}') for k in kernels})"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    folder, count, inside = done.stdout.split()
    assert Path(folder) == tmp_path
    assert int(count) > 0 and inside == "{True}"


def test_unused_folders_are_removed(tmp_path):
    now = 1e9
    for age in range(10):
        folder = kernel_cache.open_folder(tmp_path, "engine.builder.weld", f"{age:016x}")
        os.utime(folder, (now - age * 86400.0, now - age * 86400.0))
    for name in ("other", "microlith-bvh-0123456789abcdef"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))
    kernel_cache.remove_unused(tmp_path, now)
    kept = [f"microlith-builder.weld-{age:016x}" for age in range(4)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*kept, "microlith-bvh-0123456789abcdef", "other"]


def test_a_folder_that_cannot_be_written_is_replaced(tmp_path):
    (tmp_path / "file").touch()
    folder = kernel_cache.writable(tmp_path / "file")
    assert folder.is_dir() and tmp_path not in folder.parents
    folder.rmdir()


def test_processes_that_compile_at_once_keep_what_each_made(tmp_path):
    def save(number):
        file = kernel_cache.LockedCacheFile(str(tmp_path), "kernel", "stamp")
        for part in range(20):
            file.save((number, part), f"code {number} {part}")

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(save, range(8)))
    file = kernel_cache.LockedCacheFile(str(tmp_path), "kernel", "stamp")
    for number in range(8):
        for part in range(20):
            assert file.load((number, part)) == f"code {number} {part}"


def test_numba_uses_the_lock():
    assert caching.IndexDataCacheFile is kernel_cache.LockedCacheFile


def test_what_an_earlier_process_compiled_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_cache, "FOLDER", tmp_path)
    kernel_cache.module_folder.cache_clear()
    try:
        assert not kernel_cache.is_kept(spheres.merge_spheres)
        folder = kernel_cache.module_folder(spheres.__file__)
        (folder / "spheres.merge_spheres-1.py311.nbi").touch()
        assert kernel_cache.is_kept(spheres.merge_spheres)
        assert not kernel_cache.is_kept(spheres._cluster_spheres)
    finally:
        kernel_cache.module_folder.cache_clear()
    assert kernel_cache.is_kept(len)


def test_compiling_is_said_once_where_nothing_is_kept(monkeypatch, caplog):
    monkeypatch.setattr(kernel_cache, "_logged", [])
    for is_kept, lines in ((True, 0), (False, 1), (False, 1)):
        monkeypatch.setattr(kernel_cache, "is_kept", lambda _, answer=is_kept: answer)
        with caplog.at_level("INFO", logger="engine"):
            kernel_cache.log_compilation(len, "reads assets")
        assert sum("compiling" in record.message for record in caplog.records) == lines
