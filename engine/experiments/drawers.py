"""Who draws the runs of an experiment: one drawer for each baseline, which share what is uploaded of a scene."""

from typing import TYPE_CHECKING

from engine.experiments.baseline import BASELINES, Drawer

if TYPE_CHECKING:
    from engine.gpu.device import Device
    from engine.renderer import Renderer
    from engine.scene import Scene


class Drawers:
    """Makes a drawer when it is first asked for and keeps it: its queues have grown, its pipelines are compiled."""

    def __init__(self, device: "Device"):
        self._device = device
        self._drawers: dict[str, Drawer] = {}
        self._reference: Renderer | None = None

    def of(self, name: str, scene: "Scene") -> Drawer:
        """Return the drawer of a baseline, with `scene` loaded. Raises CapacityError where that does not fit."""
        drawer = self._drawers.get(name) or BASELINES[name](self._device)
        self._load(drawer, scene)
        self._drawers[name] = drawer
        return drawer

    def reference(self, scene: "Scene") -> "Renderer":
        """Return the engine that images are compared with, likewise."""
        from engine.renderer import Renderer

        reference = self._reference or Renderer(self._device)
        self._load(reference, scene)
        self._reference = reference
        return reference

    def forget(self, name: str) -> None:
        """Make others next time: after an error nobody knows what state the drawer and the reference are in."""
        self._drawers.pop(name, None)
        self._reference = None

    def _load(self, drawer: Drawer, scene: "Scene") -> None:
        if drawer.loaded(scene) is None:
            shared = (other.loaded(scene) for other in self._drawers.values())
            drawer.load(scene, scene_buffers=next(filter(None, shared), None))
