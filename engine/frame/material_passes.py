"""From the visibility buffer to the lit image.

    emit_depth_targets -> bin_pixels -> base_pass (one dispatch for each material function) -> lighting

With one material function in the scene, base_pass writes the depth targets itself. It then visits all pixels, or, on an
adapter that is a CPU and pays for a masked-out lane as for any other, the list of those that something covers.
"""

import numpy as np

from engine.frame.base_pass import BasePass
from engine.frame.bin_pixels import BinPixels
from engine.frame.context import Context
from engine.frame.emit_depth_targets import EmitDepthTargets
from engine.frame.lighting import Lighting, background_word
from engine.materials import material_file
from engine.settings import FrameSettings


class MaterialPasses:
    """The passes that shade an image, made once for a scene, an image size and a folder of material functions."""

    def __init__(self, context: Context):
        scene = context.scene_buffers.scene
        used = np.unique(scene.materials["shader"]).tolist()
        if context.material_folder and not context.material_folder.is_dir():
            raise ValueError(f"the folder of material functions {context.material_folder} is not there")
        folders = [folder for folder in (context.material_folder, scene.material_folder) if folder]
        files = {number: material_file(scene.material_shaders[number], folders) for number in used}
        is_single = len(files) == 1
        if is_single:
            files = {0: next(iter(files.values()))}
        self._emit = None if is_single else EmitDepthTargets(context)
        by_list = context.device.is_software if context.list_pixels is None else context.list_pixels
        self._bins = BinPixels(context, by_coverage=is_single) if by_list or not is_single else None
        self._base_pass = BasePass(context, files, self._bins, writes_targets=is_single)
        self._lighting = Lighting(context, self._bins)
        self.memory_bytes = self._bins.memory_bytes if self._bins else 0

    def encode(self, context: Context, settings: FrameSettings) -> None:
        """Record the passes."""
        if self._emit:
            self._emit.encode(context)
        if self._bins:
            self._bins.encode(context, background_word(settings))
        self._base_pass.encode(context)
        self._lighting.encode(context, settings)
