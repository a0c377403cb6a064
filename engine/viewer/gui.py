"""The panels on the window: imgui's context, its events and its drawing."""

from collections.abc import Callable
from typing import Any

import wgpu
from imgui_bundle import imgui, implot
from wgpu.utils.imgui import ImguiRenderer, ImguiWgpuBackend

from engine.gpu.device import Device
from engine.viewer.panels import style


class Gui:
    """Draws `panels()` over what a canvas shows, and takes the canvas's events that are meant for them.

    The canvas must be configured for `device`.
    """

    def __init__(self, canvas: Any, device: Device, panels: Callable[[], None]):
        self._canvas, self._device = canvas, device
        self._renderer = ImguiRenderer(device.wgpu_device, canvas)
        self._renderer.set_gui(panels)
        style.set_up()

    @property
    def takes_pointer(self) -> bool:
        """Whether the pointer is over a panel, or dragged from one."""
        return imgui.get_io().want_capture_mouse

    @property
    def takes_keys(self) -> bool:
        """Whether a panel is being typed in."""
        return imgui.get_io().want_text_input

    def draw(self) -> None:
        """Make the panels anew and draw them over the canvas's texture."""
        self._renderer.render()

    def draw_again(self, target: wgpu.GPUTexture) -> None:
        """Draw the panels as they were made last over `target`, which has the format and size of the canvas's."""
        gpu = self._device.wgpu_device
        encoder = gpu.create_command_encoder(label="panels")
        attachment = {"view": target.create_view(), "load_op": "load", "store_op": "store"}
        draw = encoder.begin_render_pass(label="panels", color_attachments=[attachment])
        self._renderer.backend.render(imgui.get_draw_data(), draw)
        draw.end()
        gpu.queue.submit([encoder.finish()])

    def use_device(self, device: Device) -> None:
        """Draw on another device from now on, for which the canvas is configured; panels stay as they are."""
        self._device = device
        self._renderer._backend = ImguiWgpuBackend(device.wgpu_device, self._canvas_format())
        for texture in imgui.get_platform_io().textures:  # imgui asks for those anew that it still needs
            texture.set_tex_id(0)
            texture.set_status(imgui.ImTextureStatus.destroyed)

    def _canvas_format(self) -> str:
        return self._canvas.get_wgpu_context().get_configuration()["format"]

    def close(self) -> None:
        """Forget all panels; another Gui may then be made."""
        if implot.get_current_context() is not None:
            implot.destroy_context()
        imgui.destroy_context(self._renderer.imgui_context)
