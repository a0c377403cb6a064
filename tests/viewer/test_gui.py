"""Panels on a canvas whose device is lost."""

import numpy as np
from imgui_bundle import imgui
from rendercanvas.offscreen import RenderCanvas

from engine.gpu.device import open_device
from engine.viewer.gui import Gui

SIZE = (160, 90)


def configured(canvas, device):
    context = canvas.get_wgpu_context()
    if context.get_configuration() is not None:
        context.unconfigure()
    context.configure(device=device.wgpu_device, format="rgba8unorm")
    return device


def test_panels_look_the_same_on_another_device(device):
    def panels():
        imgui.set_next_window_pos((0, 0))
        imgui.set_next_window_size(SIZE)
        imgui.begin("window")
        imgui.text_unformatted("some text 0123")
        imgui.end()
        return 0.0, 0.0, 0.0, 0.0

    canvas = RenderCanvas(size=SIZE, update_mode="manual")
    gui = Gui(canvas, configured(canvas, device), panels)
    try:
        canvas.request_draw(gui.draw)
        for _ in range(3):
            before = np.array(canvas.draw())
        assert before[..., :3].any()
        for _ in range(2):
            gui.use_device(configured(canvas, open_device()))
            for _ in range(3):
                after = np.array(canvas.draw())
            np.testing.assert_array_equal(after, before)
    finally:
        gui.close()
