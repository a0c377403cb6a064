"""Microlith: a virtual-geometry engine on wgpu.

Meshes of any size become an asset (`build`); a `Renderer` draws scenes of assets and says what it
culled and why. Importing this package is cheap: each name below loads its module when first used.
"""

from importlib import import_module

TYPE_CHECKING = False  # as in typing, whose import costs a third of the whole
if TYPE_CHECKING:
    from engine.asset import Asset, open_asset
    from engine.builder import build
    from engine.camera import Camera
    from engine.gpu.device import open_device
    from engine.renderer import Renderer
    from engine.scene import Scene, load_scene
    from engine.scene_join import join_scenes
    from engine.settings import BuildSettings, FrameSettings
    from engine.viewer.notebook import show

__version__ = "0.1.0"

_HOMES = {
    "Asset": "engine.asset",
    "open_asset": "engine.asset",
    "build": "engine.builder",
    "Camera": "engine.camera",
    "open_device": "engine.gpu.device",
    "Renderer": "engine.renderer",
    "Scene": "engine.scene",
    "load_scene": "engine.scene",
    "join_scenes": "engine.scene_join",
    "BuildSettings": "engine.settings",
    "FrameSettings": "engine.settings",
    "show": "engine.viewer.notebook",
}

__all__ = [
    "Asset",
    "BuildSettings",
    "Camera",
    "FrameSettings",
    "Renderer",
    "Scene",
    "__version__",
    "build",
    "join_scenes",
    "load_scene",
    "open_asset",
    "open_device",
    "show",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
