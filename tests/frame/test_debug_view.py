"""Debug views in place of the material passes."""

from typing import get_args

import numpy as np
import pytest

from engine.settings import FrameSettings, ViewMode
from tests.frame.test_base_pass import WIDE, user_scene  # noqa: F401

SIZE = (128, 64)


@pytest.mark.parametrize("view", get_args(ViewMode))
def test_a_view_runs_either_the_material_passes_or_its_own(renderer, user_scene, view):  # noqa: F811
    frame = renderer.render(user_scene, WIDE, FrameSettings(view=view), SIZE)
    labels = set(frame.statistics.passes_ms)
    material_passes = {"emit_depth_targets", "bin_pixels", "base_pass", "lighting"}
    if "frame" in labels:  # the adapter has timestamps
        assert labels & {*material_passes, "debug_view"} == (material_passes if view == "shaded" else {"debug_view"})
    left, right = frame.image[8:-8, 8:56, :3], frame.image[8:-8, 72:-8, :3]
    if view in ("materials", "material_bins", "instances"):
        assert (left == left[0, 0]).all() and (right == right[0, 0]).all()
        assert np.abs(left[0, 0].astype(int) - right[0, 0]).max() > 20
    if view in ("normals", "depth", "overdraw", "raster"):
        assert np.abs(left.astype(int) - left[0, 0]).max() <= 1
        np.testing.assert_array_equal(left[0, 0], right[0, 0])


def test_materials_of_one_function_are_in_one_bin(renderer, user_scene):  # noqa: F811
    user_scene.set_shader(0, "*", "stripes")
    for view, is_same in (("material_bins", True), ("materials", False)):
        image = renderer.render(user_scene, WIDE, FrameSettings(view=view), SIZE).image
        assert (image[32, 16] == image[32, 112]).all() == is_same


def test_aovs_of_the_gbuffer_need_a_shaded_frame(renderer, user_scene):  # noqa: F811
    with pytest.raises(ValueError, match="AOV 'albedo' is part of a shaded frame; the view is 'normals'"):
        renderer.render(user_scene, WIDE, FrameSettings(view="normals"), SIZE, aovs=("albedo",))
    renderer.render(user_scene, WIDE, FrameSettings(view="normals"), SIZE)
    with pytest.raises(ValueError, match="AOV 'velocity' is part of a shaded frame"):
        renderer.read_aov("velocity")
