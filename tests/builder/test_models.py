"""Every real mesh becomes an asset that keeps all laws, or is refused in one line."""

import os
from pathlib import Path

import pytest

from engine.asset import open_asset
from engine.builder import build
from engine.builder.meshfile import SUFFIXES
from engine.settings import BuildSettings
from engine.verify import verify_asset

ROOT = Path(__file__).resolve().parents[2]
MESHES = Path(os.environ.get("MICROLITH_MESHES") or ROOT.parent / "shared" / "meshes")
MODELS = sorted(
    path
    for folder in ("scans", "scenes", "awkward")
    for path in (MESHES / folder).rglob("*")
    if path.suffix.lower() in SUFFIXES
)
MAY_BE_REFUSED = {"cray_right_fltmax.obj"}  # coordinates of 3.4e38
WATERTIGHT = {
    "armadillo_86k.obj",
    "bunny_144k.glb",
    "cave_595k.glb",
    "lucy_100k.ply",
    "nefertiti_100k.obj",
    "skull_100k.obj",
    "turbineblade_199k.ply",
}
LONG_TO_VERIFY = {"cave_595k.glb", "happy_fused_1m.ply", "terrain_andes_720k.ply"}


@pytest.mark.slow
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_model(path, tmp_path):
    try:
        report = build([path], tmp_path / "model.mlith")
    except ValueError as error:
        assert path.name in MAY_BE_REFUSED, str(error)
        assert path.name in str(error) and "\n" not in str(error)
        assert not list(tmp_path.iterdir())
        return
    asset = open_asset(tmp_path / "model.mlith")
    assert asset.source_triangles == report["source_triangles"] > 0
    if path.name in WATERTIGHT:
        assert report["root_clusters"] == 1
    if path.name not in LONG_TO_VERIFY:
        assert verify_asset(asset) == []


@pytest.mark.slow
def test_groups_that_small_pages_split_name_all_pages_of_their_products(tmp_path):
    build([MESHES / "awkward" / "beetle_alt_open.obj"], tmp_path / "model.mlith", BuildSettings(page_bytes=16384))
    assert verify_asset(open_asset(tmp_path / "model.mlith")) == []
