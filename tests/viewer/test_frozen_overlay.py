"""The overlay of a frozen frame over a real picture."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import wgpu

from engine.camera import frame_bounds
from engine.scene import load_scene
from engine.settings import FrameSettings
from engine.viewer import frozen_overlay
from engine.viewer.freezing import freeze
from engine.viewer.frozen_overlay import FrozenOverlay
from engine.viewer.state import OverlayOptions, ViewerState

SIZE = (160, 96)


@pytest.fixture(scope="module")
def frozen(renderer, sample_asset):
    scene = load_scene(sample_asset("sphere", 5000))
    made = freeze(renderer, scene, frame_bounds(*scene.bounds()), FrameSettings(error_pixels=0.1), SIZE)
    assert made.poll(wait=True)
    return made


def picture(renderer, frozen, overlay: FrozenOverlay, state: ViewerState, is_moving: bool = False) -> np.ndarray:
    """Return the window's pixels, (height, width, 4) int, with the overlay of `state`, seen from the side."""
    camera = frame_bounds(*frozen.scene.bounds(), direction=(1.0, 0.4, -0.3))
    renderer.render(frozen.scene, camera, frozen.settings, SIZE)
    gpu = renderer.device.wgpu_device
    usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
    target = gpu.create_texture(size=(*SIZE, 1), format="rgba8unorm", usage=usage)
    renderer.present(target)
    if state.frozen is not None:
        live: Any = SimpleNamespace(device=renderer.device, renderer=renderer, drawn_size=SIZE)
        overlay.draw(target, live, state, 1.0, is_moving)
    place = {"bytes_per_row": 768, "rows_per_image": SIZE[1]}
    data = np.frombuffer(gpu.queue.read_texture({"texture": target}, place, (*SIZE, 1)), np.uint8)
    return data.reshape(SIZE[1], -1, 4)[:, : SIZE[0]].astype(int)


def test_boxes_in_the_open_are_strong_and_those_in_the_sphere_faint(renderer, frozen):
    overlay = FrozenOverlay(renderer.device, "rgba8unorm")
    bare = picture(renderer, frozen, overlay, ViewerState())
    options = OverlayOptions(shows_frustum=False, kinds={"instances", "nodes"}, colors_by="kind")
    found = picture(renderer, frozen, overlay, ViewerState(frozen=frozen, overlay=options))
    change = np.abs(found - bare).max(axis=-1)
    covered = (renderer.read_visibility() >> np.uint64(32)) > 0
    assert (change[~covered] > 100).sum() > 100
    faint = (change > 5) & (change < 60)
    assert (faint & covered).sum() > 100, "the back of the boxes is seen through the surface"


@pytest.mark.parametrize("is_software", [True, False])
def test_a_software_adapter_draws_only_the_largest_while_the_camera_moves(renderer, frozen, monkeypatch, is_software):
    monkeypatch.setattr(type(renderer.device), "is_software", property(lambda _: is_software))
    monkeypatch.setattr(frozen_overlay, "SOFTWARE_MOVING_BOXES", 6 + 2)
    overlay = FrozenOverlay(renderer.device, "rgba8unorm")
    state = ViewerState(frozen=frozen, overlay=OverlayOptions(kinds={"clusters"}))
    resting = picture(renderer, frozen, overlay, state)
    count = state.boxes_shown
    assert count == state.boxes_matching > 10
    moving = picture(renderer, frozen, overlay, state, is_moving=True)
    assert state.boxes_shown == (2 if is_software else count)
    assert (resting != moving).any() == is_software
    state.overlay.kinds = set()
    frustum = picture(renderer, frozen, overlay, state, is_moving=True)
    assert (state.boxes_shown, state.boxes_matching) == (0, 0)
    state.overlay.shows_frustum = False
    bare = picture(renderer, frozen, overlay, state)
    assert (frustum != bare).any()
    assert state.boxes_shown == 0
