"""The panels on the window: imgui's context, its events and its drawing."""

import math
from collections.abc import Callable
from typing import Any

import wgpu
from imgui_bundle import imgui, implot
from wgpu.utils.imgui import ImguiRenderer, ImguiWgpuBackend

from engine.gpu.device import Device
from engine.viewer.panels import style, widgets
from engine.viewer.panels.messages import Rectangle

_FALLBACK = "Debug##Default"  # of imgui, for what is drawn outside of any window
# Of windows that let the pointer through: the one that panels are docked to, and toasts.
_PASSIVE = int(imgui.WindowFlags_.no_mouse_inputs) | int(imgui.WindowFlags_.no_background)


class _PanelRenderer(ImguiRenderer):
    """Says by itself which events of the pointer are meant for the panels.

    imgui answers that with its next frame only, and a slow adapter draws few of them: a press right after a move would
    be taken for one at the place where the pointer was.
    """

    def __init__(self, device: wgpu.GPUDevice, canvas: Any, panels: Callable[[], Rectangle]):
        super().__init__(device, canvas)
        self.set_gui(self._draw_panels)
        self._panels = panels
        self._free: Rectangle = (0.0, 0.0, math.inf, math.inf)  # what docked panels leave
        self._floating: list[Rectangle] = []  # windows over that
        self._is_popup_open = False
        self._owners: dict[int, bool] = {}  # of the buttons held: whether they were pressed on a panel

    def is_panel_at(self, x: float, y: float) -> bool:
        """Return whether there is a panel at a place of the window (logical pixels)."""
        return not _holds(self._free, x, y) or any(_holds(rectangle, x, y) for rectangle in self._floating)

    def _draw_panels(self) -> None:
        with widgets.balanced():
            self._free = self._panels()
        windows = imgui.get_current_context().windows
        self._floating = [
            (one.pos.x, one.pos.y, one.size.x, one.size.y)
            for one in windows
            if one.active and not one.hidden and one.name != _FALLBACK and not one.flags & _PASSIVE
        ]
        self._is_popup_open = imgui.is_popup_open("", imgui.PopupFlags_.any_popup)

    def _on_mouse(self, event: dict[str, Any]) -> None:
        super()._on_mouse(event)
        is_panel = self._is_popup_open or self.is_panel_at(event["x"], event["y"])
        if event["event_type"] == "pointer_down":
            self._owners[event["button"]] = is_panel
        else:
            is_panel = self._owners.pop(event["button"], is_panel)
        event["stop_propagation"] = is_panel

    def _on_mouse_move(self, event: dict[str, Any]) -> None:
        super()._on_mouse_move(event)
        held = list(self._owners.values())
        event["stop_propagation"] = all(held) if held else self.is_panel_at(event["x"], event["y"])

    def _on_wheel(self, event: dict[str, Any]) -> None:
        super()._on_wheel(event)
        event["stop_propagation"] = self.is_panel_at(event["x"], event["y"])


def _holds(rectangle: Rectangle, x: float, y: float) -> bool:
    left, top, width, height = rectangle
    return left <= x < left + width and top <= y < top + height


class Gui:
    """Draws `panels()` over what a canvas shows, and takes the canvas's events that are meant for them.

    The canvas must be configured for `device`. `panels` returns the rectangle that stays free.
    """

    def __init__(self, canvas: Any, device: Device, panels: Callable[[], Rectangle]):
        self._canvas, self._device = canvas, device
        self._renderer = _PanelRenderer(device.wgpu_device, canvas, panels)
        style.set_up()

    def is_panel_at(self, x: float, y: float) -> bool:
        """Return whether there is a panel at a place of the window (logical pixels)."""
        return self._renderer.is_panel_at(x, y)

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
        for texture in imgui.get_platform_io().textures:
            is_wanted = texture.status != imgui.ImTextureStatus.want_destroy
            texture.set_tex_id(0)
            texture.set_status(imgui.ImTextureStatus.want_create if is_wanted else imgui.ImTextureStatus.destroyed)
            # The backend uploads this part of it, which is what changed last, and may be empty.
            rectangle = texture.update_rect
            rectangle.x, rectangle.y, rectangle.w, rectangle.h = 0, 0, texture.width, texture.height

    def _canvas_format(self) -> str:
        return self._canvas.get_wgpu_context().get_configuration()["format"]

    def close(self) -> None:
        """Forget all panels; another Gui may then be made."""
        if implot.get_current_context() is not None:
            implot.destroy_context()
        imgui.destroy_context(self._renderer.imgui_context)
