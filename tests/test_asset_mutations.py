"""Damaged and hostile assets: one clear line, or a picture that nothing but content could have changed."""

import signal
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine import layout, reference, verify
from engine.__main__ import run
from engine.asset import open_asset
from engine.builder import build
from engine.camera import frame_bounds, view_record
from engine.commands.info import as_text, describe
from engine.scene import scene_from_assets
from engine.settings import BuildSettings, FrameSettings
from tests.asset_mutations import Parts, put_together, raw_mutation, structured_mutation, take_apart
from tests.builder.sample_hierarchy import sphere

LONGEST_SECONDS = 10.0
SIZE = (64, 36)
# What a file may say one way or another. Whatever else is changed must be refused, be found by --verify, or change no
# picture.
DERIVED = {"clusters.extent", "clusters.index", "clusters.data"}  # not stored: a change is lost
CONTENT = {
    *(f"materials.{name}" for name in ("base_color", "emissive", "metallic", "roughness", "normal_scale", "flags")),
    *(f"materials.{name}" for name in ("occlusion_strength", "alpha_cutoff", "sampler")),
    *(f"materials.{name}" for name in layout.MATERIAL.names if name.endswith("_texture")),  # another one, or none
    *(f"meshes.{name}" for name in ("origin_high", "origin_low", "uv_step")),
    *(f"instances {name}" for name in ("exchange", "lose", "double")),
    "instances.mesh",
    "instances.transform",
    "materials exchange",
    "clusters.origin",  # a source cluster elsewhere is another mesh
    "clusters.counts",  # flags
    "clusters.bits",  # widths of UVs
    "page.streams",
    "page.content",  # flags, too
    "zstd noise within",  # of streams
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small asset with all that a file can hold: two meshes, materials, a texture, UVs, colours, many pages."""
    folder = tmp_path_factory.mktemp("base")
    points, faces = sphere(5)
    Image.new("RGB", (4, 4), (200, 90, 10)).save(folder / "red.png")
    (folder / "a.mtl").write_text("newmtl red\nmap_Kd red.png\nnewmtl blue\nKd 0.1 0.2 0.9\n")
    lines = ["mtllib a.mtl", *(f"v {x} {y} {z}" for x, y, z in points * (1.0 + 0.2 * np.sin(5 * points[:, :1])))]
    lines += [f"vt {u} {v}" for u, v in 0.5 + 0.5 * points[:, :2]]
    for name, part in (("red", faces[: len(faces) // 2]), ("blue", faces[len(faces) // 2 :])):
        lines += [f"usemtl {name}", *("f " + " ".join(f"{i}/{i}" for i in face) for face in part + 1)]
    (folder / "a.obj").write_text("\n".join(lines))
    points, faces = sphere(3)
    colors = np.clip(255 * np.abs(points), 0, 255).astype(int)
    header = f"ply\nformat ascii 1.0\nelement vertex {len(points)}\n" + "".join(
        f"property {kind} {name}\n"
        for kind, names in (("float", "x y z"), ("uchar", "red green blue"))
        for name in names.split()
    )
    header += f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    rows = [f"{x + 2.5} {y} {z} {r} {g} {b}" for (x, y, z), (r, g, b) in zip(points, colors)]
    (folder / "b.ply").write_text(header + "\n".join([*rows, *(f"3 {a} {b} {c}" for a, b, c in faces)]) + "\n")
    build([folder / "a.obj", folder / "b.ply"], folder / "base.mlith", BuildSettings(page_bytes=16384))
    return folder / "base.mlith"


@pytest.fixture(scope="module")
def parts(base: Path) -> Parts:
    return take_apart(base)


@contextmanager
def time_limit(seconds: float) -> Generator[None]:
    """Raise TimeoutError in a block that takes longer."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def use(path: Path) -> list[str]:
    """Do with an asset what info, --verify, picking and traversal do; return the problems that --verify finds."""
    asset = open_asset(path)
    assert "\x1b" not in as_text(describe(asset))
    for cluster in range(0, len(asset.clusters()), 5):
        geometry = asset.cluster_geometry(cluster)
        assert np.isfinite(geometry.positions).all()
        assert geometry.triangles.max() < len(geometry.positions)
    scene = scene_from_assets([asset])
    camera = frame_bounds(*scene.bounds(), aspect=SIZE[0] / SIZE[1])
    for tau in (0.0, 1.0):
        reference.visible_set(reference.tables_of(scene), view_record(camera, SIZE, FrameSettings(error_pixels=tau)))
    return verify.verify_asset(asset, cuts=1)


def outcome(path: Path, data: bytes) -> str:
    """Return "refused", "verify" (it finds a problem) or "taken" of one mutated file; anything else is a failure."""
    path.write_bytes(data)
    with time_limit(LONGEST_SECONDS):
        try:
            problems = use(path)
        except ValueError as error:
            assert type(error) is ValueError, repr(error)
            text = str(error)
            assert "\n" not in text
            assert text.isprintable()
            assert len(text) < 400
            return "refused"
    assert all("\n" not in problem for problem in problems)
    return "verify" if problems else "taken"


@pytest.fixture(scope="module")
def picture(renderer) -> Callable[[Path], np.ndarray | str]:
    """Return a function that draws an asset as the base is seen, and returns the image or the line of the failure."""

    def draw(path: Path) -> np.ndarray | str:
        try:
            scene = scene_from_assets([open_asset(path)])
            camera = frame_bounds(np.array([-1.2, -1.2, -1.2]), np.array([3.5, 1.2, 1.2]), aspect=SIZE[0] / SIZE[1])
            frame = renderer.render(scene, camera, FrameSettings(error_pixels=2.0), SIZE)
        except (ValueError, RuntimeError) as error:
            assert "\n" not in str(error)
            return str(error)
        return frame.image

    return draw


def mutate(base: Path, parts: Parts, seed: int) -> tuple[str, bytes]:
    random = np.random.default_rng(seed)
    if seed % 2:
        return structured_mutation(parts, random)
    kind, data = raw_mutation(base.read_bytes(), random)
    return f"raw {kind}", data


def check(base: Path, parts: Parts, seeds: range, picture: Callable, pictures: int) -> Counter:
    """Use a mutated file for each seed; return how often each (kind of mutation, outcome) occurred.

    At most `pictures` files that were taken are drawn, those first that may not look different.
    """
    counts, taken, path = Counter(), [], base.with_name("mutated.mlith")
    for seed in seeds:
        name, data = mutate(base, parts, seed)
        try:
            result = outcome(path, data)
        except BaseException as error:
            error.add_note(f"seed {seed}: {name}")
            raise
        counts[name, result] += 1
        if result != "refused":
            taken.append((name in CONTENT or result == "verify", seed, name, data))
    whole = picture(base)
    for may_differ, seed, name, data in sorted(taken)[:pictures]:
        path.write_bytes(data)
        with time_limit(6 * LONGEST_SECONDS):
            image = picture(path)
        if not may_differ:
            assert np.array_equal(image, whole), f"seed {seed}: {name} changes the picture: {image}"
    return counts


def test_the_base_is_taken_and_seen(base, parts, picture):
    assert use(base) == []
    assert put_together(parts) != b""
    whole = picture(base)
    assert len(np.unique(whole.reshape(-1, 4), axis=0)) > 100
    asset = open_asset(base)
    assert asset.page_count > 5
    assert len(asset.textures) == 1


def test_mutations(base, parts, picture):
    counts = check(base, parts, range(160), picture, 6)
    by_outcome = Counter(result for (_, result), count in counts.items() for _ in range(count))
    assert by_outcome["refused"] > 100
    assert by_outcome["taken"] > 5


@pytest.mark.slow
def test_ten_thousand_mutations(base, parts, picture):
    counts = check(base, parts, range(1000, 11000), picture, 500)  # 347 of them may not look different
    assert sum(counts.values()) == 10000
    fields = {name for name, _ in counts}
    for table, dtype in (("nodes", layout.NODE), ("groups", layout.GROUP), ("clusters", layout.CLUSTER)):
        assert {f"{table}.{name}" for name in dtype.names} - DERIVED <= fields


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29])
def test_the_command_line_says_one_line(base, parts, seed, tmp_path, capsys):
    path = tmp_path / "mutated.mlith"
    path.write_bytes(mutate(base, parts, seed)[1])
    code = run(["info", str(path)])
    captured = capsys.readouterr()
    assert code in (0, 1)
    if code == 0:
        return
    assert captured.out == ""
    for command in (None, ["render", str(path), "-o", str(tmp_path / "image.png"), "--size", "64x36"]):
        if command is not None:
            assert run(command) == 1
            captured = capsys.readouterr()
        assert captured.err.startswith(f"microlith: {path}: ")
        assert captured.err.count("\n") == 1
        assert "internal error" not in captured.err
    assert not (tmp_path / "image.png").exists()
