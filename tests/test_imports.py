"""Who may import whom, and what importing the package costs."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parent.parent / "engine"

# A family is a module or folder of engine with the modules that it was split into.
FAMILIES = {
    "bvh": ("bvh", "bvh_kernel"),
    "scene": ("scene", "scene_file", "scene_join", "scene_triangles", "instances", "instance_tree"),
    "asset": (
        "asset",
        "asset_file",
        "asset_page_checks",
        "asset_pages",
        "asset_storage",
        "asset_tables",
        "page_check_kernel",
        "page_codec",
        "page_decoder",
        "page_triangles",
        "page_words",
    ),
    "materials": ("materials", "textures"),
    "reference": ("reference", "reference_trace", "screen_boxes", "ties"),
    "verify": ("verify", "verify_surface"),
    "calibrate": ("calibrate", "calibrate_raster", "calibration_grid", "calibration_scene"),
}
FAMILY_OF = {module: family for family, modules in FAMILIES.items() for module in modules}
BASE = {"layout", "settings", "user_cache"}
TABLES = BASE | {"camera", "bvh", "asset", "page_loading", "materials", "reference"}
FRAME = BASE | {"camera", "scene", "materials", "gpu", "page_loading"}
RENDERER = FRAME | {"frame", "thresholds"}
ALL = TABLES | RENDERER | {"builder", "renderer", "calibrate", "viewer", "commands", "experiments", "verify"}
ALL |= {"still_frame", "__init__", "__main__"}
MAY_IMPORT = {
    "__init__": ALL,
    "__main__": ALL,
    "commands": ALL,
    "layout": set(),
    "settings": set(),
    "user_cache": set(),
    "camera": BASE,
    "kernel_cache": BASE,
    "bvh": BASE | {"kernel_cache"},
    "page_loading": set(),
    "asset": BASE | {"kernel_cache", "page_loading"},
    "materials": BASE,
    "reference": BASE,
    "verify": TABLES,
    "scene": TABLES,
    "builder": BASE | {"kernel_cache", "bvh", "asset", "materials"},
    "gpu": {"layout"},
    "frame": FRAME,
    "thresholds": BASE | {"gpu"},
    "renderer": RENDERER,
    "calibrate": RENDERER | {"renderer"},
    "still_frame": RENDERER | {"renderer", "reference"},
    "viewer": ALL - {"builder"},
    "experiments": ALL - {"viewer"},
}
# Packages that only some families may import; those that none may import have no entry of their own.
ONLY_IN = {
    "wgpu": {"gpu", "frame", "renderer", "viewer"},
    "rendercanvas": {"viewer"},
    "imgui_bundle": {"viewer"},
    "glfw": {"viewer"},
    "numba": {"builder", "bvh", "asset", "kernel_cache"},
    "tqdm": {"commands"},
    "scipy": set(),
    "matplotlib": set(),
}


def family_of(path: Path) -> str:
    part = path.relative_to(ENGINE).parts[0].removesuffix(".py")
    return FAMILY_OF.get(part, part)


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted names that a module imports anywhere, except for type checking only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imported(node)


def violations(path: Path) -> list[str]:
    family, found = family_of(path), set()
    submodules = {other.stem for other in ENGINE.iterdir() if other.suffix == ".py" or other.is_dir()}
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        package, _, rest = name.partition(".")
        if package == "engine":
            part = rest.partition(".")[0]
            if part not in submodules:  # `from engine import __version__`
                continue
            target = FAMILY_OF.get(part, part)
            if target != family and target not in MAY_IMPORT.get(family, set()):
                found.add(f"{target} (engine.{rest})")
        elif package in ONLY_IN and family not in ONLY_IN[package]:
            found.add(package)
    return sorted(found)


MODULES = sorted(ENGINE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_module_imports_only_what_its_family_may(path):
    assert family_of(path) in MAY_IMPORT, "a new module needs a line in MAY_IMPORT or a family"
    assert violations(path) == []


def test_the_check_sees_a_violation(monkeypatch, tmp_path):
    (tmp_path / "gpu").mkdir()
    (tmp_path / "scene.py").touch()
    bad = tmp_path / "gpu" / "bad.py"
    bad.write_text("def f():\n    from engine.scene import Scene\n    import scipy.spatial\n")
    monkeypatch.setattr(sys.modules[__name__], "ENGINE", tmp_path)
    assert violations(bad) == ["scene (engine.scene)", "scene (engine.scene.Scene)", "scipy"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_modules_stay_short(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 400


HEAVY = ("wgpu", "numba", "imgui_bundle", "glfw", "rendercanvas", "PIL")


def modules_after(code: str) -> tuple[list[str], float]:
    """Return (heavy packages loaded, seconds) of running `code` in a fresh interpreter."""
    program = (
        f"import time, sys; begin = time.perf_counter()\n{code}\nseconds = time.perf_counter() - begin\n"
        f"import json; print(json.dumps([[m for m in {HEAVY!r} if m in sys.modules], seconds]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ENGINE.parent
    )
    loaded, seconds = json.loads(done.stdout)
    return loaded, seconds


def test_importing_the_package_is_cheap():
    runs = [modules_after("import engine") for _ in range(3)]
    assert runs[0][0] == []
    assert min(seconds for _, seconds in runs) < 0.2


def test_light_names_stay_light():
    names = "Camera, BuildSettings, FrameSettings, open_asset, load_scene"
    assert modules_after(f"from engine import {names}")[0] == []


def test_every_public_name_resolves():
    import engine

    for name in engine.__all__:
        assert getattr(engine, name) is not None
    assert set(engine.__all__) <= set(dir(engine))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        engine.nothing  # noqa: B018
