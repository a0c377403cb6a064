"""Renderer: a scene and a camera in, an image, AOVs and statistics out."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import wgpu

from engine import layout
from engine.camera import Camera, view_record
from engine.frame import inspection
from engine.frame.adaptation import adapted
from engine.frame.aov import Aov, check_aov
from engine.frame.cascades import cascade_count, cascade_views
from engine.frame.context import Context
from engine.frame.cull_rasterize import CullRasterize
from engine.frame.frame import FramePasses
from engine.frame.present import Present
from engine.frame.queues import PHASES, Capacities, Queues
from engine.frame.scene_buffers import Progress, SceneBuffers
from engine.frame.shadow_maps import ShadowMaps
from engine.frame.statistics import FrameStatistics, Pending, counted
from engine.frame.view import ViewResources
from engine.gpu.device import Device
from engine.gpu.readback import ReadbackRing
from engine.gpu.shader import forget_linked
from engine.gpu.timing import PassTimer
from engine.scene import Scene
from engine.settings import FrameSettings
from engine.thresholds import NO_HARDWARE_PIXELS, hardware_pixels, is_persistent, thresholds_of

log = logging.getLogger("engine")

MAX_ATTEMPTS = 24  # a frame is drawn again while its queues grow, its traversal changes or tau is raised


class UnfinishedFrameError(RuntimeError):
    """The adapter cannot finish a frame as it was asked for; others may still be drawn."""


@dataclass
class Frame:
    """A finished frame. `image` (height, width, 4) uint8 sRGB, row 0 on top; AOVs as the pass `aov` describes."""

    image: np.ndarray
    aovs: dict[str, np.ndarray]
    statistics: FrameStatistics


class Renderer:
    """Draws scenes on one device and keeps what it made for the last scene, size and settings.

    `render` waits for a complete image. `submit` and `collect` are for loops that must not wait.
    """

    def __init__(self, device: Device, cull_rasterize: Callable[[Context], CullRasterize] = CullRasterize):
        """`cull_rasterize` makes what fills the visibility buffer: the engine or one of engine.frame.baselines."""
        self.device = device
        self._cull_rasterize = cull_rasterize
        self._timer = PassTimer(device)
        self._readback = ReadbackRing(device)
        self._scene_buffers: SceneBuffers | None = None
        self._capacities: Capacities | None = None
        self._shadow_capacities: Capacities | None = None
        self._shadow_maps: ShadowMaps | None = None
        self._context: Context | None = None
        self._passes: FramePasses | None = None
        self._aov: Aov | None = None
        self._presents: dict[str, Present] = {}  # by the format of their target
        self._queues: Queues | None = None
        self._asked: Capacities | None = None
        self._key: tuple = ()
        self._last_settings: FrameSettings | None = None
        self._set_owner: tuple[Scene, Queues] | None = None  # whose visible set the queues hold, if it can be kept
        self._submitted = 0
        self._broken_until = 0  # frames up to this number met a queue that an aborted frame had left in disorder
        self._stood_still = False

    def load(self, scene: Scene, progress: Progress | None = None, scene_buffers: SceneBuffers | None = None) -> None:
        """Upload a scene; `render` does it when the scene is new. Raises CapacityError where it does not fit.

        `scene_buffers` of this scene and device, made elsewhere (in another thread), are taken as they are.
        """
        if scene_buffers or self._scene_buffers is None or self._scene_buffers.scene is not scene:
            self._scene_buffers = scene_buffers or SceneBuffers(self.device, scene, progress)
            assert self._scene_buffers.scene is scene
            self._key = ()

    def loaded(self, scene: Scene) -> SceneBuffers | None:
        """Return what was uploaded of `scene`, for another renderer's `load`; None where it is not the last scene."""
        buffers = self._scene_buffers
        return buffers if buffers and buffers.scene is scene else None

    def render(
        self,
        scene: Scene,
        camera: Camera,
        settings: FrameSettings | None = None,
        size: tuple[int, int] = (1280, 720),
        aovs: Sequence[str] = (),
    ) -> Frame:
        """Draw one complete frame, with larger queues or the other traversal where the first attempt needs them.

        Statistics of frames that were submitted and not collected are lost.
        Raises ValueError for bad arguments, UnfinishedFrameError where the adapter cannot finish the frame.
        """
        settings = settings or FrameSettings()
        for name in aovs:
            check_aov(name, settings.view)
        notes: list[str] = []
        self.collect(wait=True)  # of frames submitted before, only whether they left the queue in order is of interest
        for _ in range(MAX_ATTEMPTS):
            self.submit(scene, camera, settings, size)
            [(_, statistics)] = self.collect(wait=True)
            if statistics.is_complete:
                break
            settings, changes = self.adapt(settings, statistics)
            notes += changes
        else:
            raise UnfinishedFrameError(
                f"the frame is still incomplete after {MAX_ATTEMPTS} attempts: {'; '.join(notes)}"
            )
        statistics.notes = notes + statistics.notes
        image = self.read_image()
        return Frame(image, {name: self.read_aov(name) for name in aovs}, statistics)

    def submit(
        self,
        scene: Scene,
        camera: Camera,
        settings: FrameSettings,
        size: tuple[int, int],
        tag: object = None,
        keeps_set: bool = False,
    ) -> None:
        """Send one frame to the GPU without waiting; its statistics come from `collect` with `tag`.

        With `keeps_set` nothing is culled: the clusters that the last frame drew are drawn again, seen from `camera`,
        in any size. Both frames must have `raster` software: clusters of the hardware raster cannot be clipped.
        Raises ValueError where there is no set to keep.
        """
        self.load(scene)
        self._prepare(settings, size, keeps_set)
        self._last_settings = settings
        context, passes = self._context, self._passes
        assert context is not None
        assert passes is not None
        assert self._capacities is not None
        self._check_set(scene, settings, keeps_set)
        shadow_maps = context.shadow_maps
        bounds = scene.bounds() if camera.orthographic_height or shadow_maps else None
        view = view_record(camera, size, settings, bounds=bounds)
        shadow_views = cascade_views(camera, size, settings, bounds) if bounds else np.zeros(0, layout.VIEW)
        view["hardware_pixels"] = hardware_pixels(self.device, settings)
        gpu = self.device.wgpu_device
        context.encoder = gpu.create_command_encoder(label="frame")
        self._timer.begin(context.encoder, settings.pass_times)
        passes.encode(context, view, shadow_views, settings, camera.distance, keeps_set)
        self._timer.resolve(context.encoder)
        sources = [(context.queues.resources["states"], len(PHASES) * layout.PASS_STATE.itemsize)]
        if shadow_maps:
            sources.append((shadow_maps.queues.resources["states"], layout.PASS_STATE.itemsize))
        if self._timer.size_bytes:
            sources.append((self._timer.buffer, self._timer.size_bytes))
        traversal = passes.cull_rasterize.traversal
        self._submitted += 1
        labels = list(self._timer.labels)
        shadow_capacities = shadow_maps.queues.capacities if shadow_maps else None
        pending = Pending(self._capacities, shadow_capacities, labels, settings, size, traversal, self._submitted, tag)
        self._readback.copy(context.encoder, sources, pending)
        gpu.queue.submit([context.encoder.finish()])
        context.encoder = None
        self._readback.sent()

    def collect(self, wait: bool = False) -> list[tuple[object, FrameStatistics]]:
        """Return (tag, statistics) of the frames that finished since the last call, oldest first; `wait` for all."""
        return [(pending.tag, self._statistics(pending, parts)) for pending, parts in self._readback.collect(wait)]

    @property
    def is_full(self) -> bool:
        """Whether as many frames are in flight as the read-back ring holds; collect before the next `submit`."""
        return self._readback.is_full

    def present(self, target: wgpu.GPUTexture) -> None:
        """Draw the image of the last frame over all of `target`, a colour attachment of any format and size."""
        if target.format not in self._presents:
            self._presents[target.format] = Present(self.device, target.format)
        gpu = self.device.wgpu_device
        encoder = gpu.create_command_encoder(label="present")
        self._presents[target.format].encode(self._drawn(), encoder, target)
        gpu.queue.submit([encoder.finish()])

    def reload_shaders(self) -> None:
        """Compile anew what the shader files hold now; the next frame is drawn with it.

        Raises ShaderError, which names file and line, and then goes on with what there was; RuntimeError where the
        structures that host and GPU share have changed.
        """
        if layout.read_layout() != (layout.FILE_TEXT, layout.FRAME_TEXT):
            raise RuntimeError(f"{' or '.join(layout.FILES)} has changed: host and GPU share it, so start again")
        forget_linked()
        if self._context is None or self._last_settings is None:
            return
        if self._scene_buffers:
            self._scene_buffers.forget_bind_groups()
        key, self._key = self._key, ()
        try:
            presents = {target_format: Present(self.device, target_format) for target_format in self._presents}
            self._prepare(self._last_settings, self._context.view.size)
        except BaseException:
            self._key = key
            raise
        self._presents = presents

    def read_image(self) -> np.ndarray:
        """Return the image of the frame drawn last, (height, width, 4) uint8 sRGB; waits for the GPU."""
        return inspection.read_image(self._drawn())

    def read_aov(self, name: str) -> np.ndarray:
        """Return an AOV of the frame drawn last."""
        context = self._drawn()
        if self._aov is None:
            self._aov = Aov(context)
        return self._aov.read(context, name)

    def read_visibility(self) -> np.ndarray:
        """Return the visibility buffer of the frame drawn last, (height, width) uint64: depth bits above identity."""
        return inspection.read_visibility(self._drawn())

    def read_depth_pyramid(self) -> list[np.ndarray]:
        """Return the depth pyramid (float32 levels, from level 1 on) that the frame drawn last left for the next one.

        Raises ValueError if that frame was drawn without occlusion.
        """
        return inspection.read_depth_pyramid(self._drawn())

    def read_shadow_maps(self) -> np.ndarray:
        """Return the shadow maps of the frame drawn last, (cascades, size, size) float32 reverse-Z depth, 0: nothing.

        Row 0 is the top of a map. Raises ValueError if that frame was drawn without shadows.
        """
        return inspection.read_shadow_maps(self._drawn())

    def read_visible_clusters(self) -> np.ndarray:
        """Return what the frame drawn last drew, sorted: (n, 2) uint32 of instance slot and scene-wide cluster."""
        return inspection.read_visible_clusters(self._drawn())

    def read_sample(self, x: int, y: int) -> inspection.Sample | None:
        """Return what a pixel of the frame drawn last shows, None where that is nothing; ValueError outside of it."""
        return inspection.read_sample(self._drawn(), x, y)

    def drawn_view(self) -> np.ndarray:
        """Return the layout.VIEW record that the frame drawn last was drawn with."""
        return inspection.drawn_view(self._drawn())

    def visibility_buffer(self) -> wgpu.GPUBuffer:
        """Return the visibility buffer of the frame drawn last, as it is on the GPU."""
        return self._drawn().view.samples

    def instance_tree(self) -> inspection.InstanceTree:
        """Return the instance tree of the frame drawn last, and where its traversal began."""
        return inspection.instance_tree(self._drawn())

    def holds_set(self, scene: Scene) -> bool:
        """Return whether `submit` of `scene` could keep the visible set of the last frame."""
        is_kept = self._queues is not None and self._queues.capacities == self._capacities
        return is_kept and self._set_owner == (scene, self._queues)

    def _check_set(self, scene: Scene, settings: FrameSettings, keeps_set: bool) -> None:
        """Raise ValueError where `keeps_set` asks for a set that is not there; note whose set there will be."""
        assert self._queues
        is_software = settings.raster == "software"
        if keeps_set and not (is_software and self.holds_set(scene)):
            raise ValueError("there is no visible set to keep: draw a frame of this scene with raster 'software' first")
        self._set_owner = (scene, self._queues) if is_software else None

    def _drawn(self) -> Context:
        """Return what the frame drawn last was drawn with."""
        assert self._context, "render a frame first"
        return self._context

    def _prepare(self, settings: FrameSettings, size: tuple[int, int], keeps_set: bool = False) -> None:
        """Make anew what a change of scene, size, queues or a pipeline constant concerns.

        With `keeps_set` the queues stay as large as they are, for a visible set lies in them.
        """
        assert self._scene_buffers
        asked = Capacities.of(settings)
        if self._capacities is None or (asked != self._asked and not keeps_set):
            self._capacities = self._asked = asked
            self._shadow_capacities = Capacities.of_shadows(settings)
        persistent = is_persistent(self.device, settings, self._stood_still)
        workgroups = settings.persistent_workgroups or thresholds_of(self.device).persistent_workgroups
        show = layout.CONSTANTS[f"SHOW_{settings.view.upper()}"]
        overdraw = settings.view == "overdraw"
        uses_hardware = hardware_pixels(self.device, settings) < NO_HARDWARE_PIXELS
        key = (
            self._capacities,
            size,
            persistent,
            settings.occlusion,
            overdraw,
            uses_hardware,
            settings.runtime_checks,
            settings.materials,
            cascade_count(settings) and (cascade_count(settings), settings.shadow_size, self._shadow_capacities),
        )
        if key == self._key:
            assert self._context
            assert self._passes
            self._context.persistent_workgroups = workgroups  # the size of a dispatch: no pipeline depends on it
            if self._context.show != show:
                context = replace(self._context, show=show)
                self._passes.show(context)
                self._context = context
            return
        if self._queues is None or self._queues.capacities != self._capacities:
            self._queues = Queues(self.device, self._capacities)
        context = Context(
            device=self.device,
            scene_buffers=self._scene_buffers,
            queues=self._queues,
            view=ViewResources(self.device, size, overdraw, settings.occlusion),
            timer=self._timer,
            use_persistent=persistent,
            use_occlusion=settings.occlusion,
            persistent_workgroups=workgroups,
            runtime_checks=settings.runtime_checks,
            uses_hardware=uses_hardware,
            show=show,
            material_folder=Path(settings.materials) if settings.materials else None,
            shadow_maps=self._prepared_shadow_maps(settings),
        )
        passes = FramePasses(context, self._cull_rasterize)  # an error in a shader leaves what there was
        self._context, self._passes, self._aov, self._key = context, passes, None, key

    def _prepared_shadow_maps(self, settings: FrameSettings) -> ShadowMaps | None:
        """Return the shadow maps that the settings ask for: those of the last frame if they fit."""
        assert self._shadow_capacities
        count, size, maps = cascade_count(settings), settings.shadow_size, self._shadow_maps
        is_fit = maps and (maps.cascades, maps.map_size, maps.queues.capacities) == (
            count,
            size,
            self._shadow_capacities,
        )
        if not is_fit:
            self._shadow_maps = ShadowMaps(self.device, size, count, self._shadow_capacities) if count else None
        return self._shadow_maps

    def adapt(self, settings: FrameSettings, statistics: FrameStatistics) -> tuple[FrameSettings, list[str]]:
        """Return settings for another attempt at an incomplete frame, and notes; grow what was too small.

        `render` does it by itself; a loop of `submit` and `collect` asks for it when a frame comes back incomplete.
        """
        assert self._capacities
        limits = self.device.limits
        binding_bytes = min(limits["max-storage-buffer-binding-size"], limits["max-buffer-size"])
        result = adapted(settings, statistics, self._capacities, self._shadow_capacities, binding_bytes)
        self._capacities, self._shadow_capacities = result.capacities, result.shadow_capacities
        if result.settings != settings:
            log.warning(result.notes[-1])
        return result.settings, list(result.notes)

    def _recover(self) -> None:
        """After an aborted frame: what it left in the queue would mislead the next ones, those in flight included."""
        assert self._queues
        self._queues.empty_nodes()
        if self._shadow_maps:
            self._shadow_maps.queues.empty_nodes()
        self._broken_until, self._stood_still = self._submitted, True

    def _statistics(self, pending: Pending, parts: list[bytes]) -> FrameStatistics:
        assert self._context
        assert self._scene_buffers
        counts = counted(parts, pending.capacities, pending.shadow_capacities)
        if counts["is_aborted"]:
            self._recover()
        is_sound = pending.number > self._broken_until
        return FrameStatistics(
            size=pending.size,
            adapter=self.device.adapter_name,
            traversal=pending.traversal,
            error_pixels=pending.settings.error_pixels,
            **counts,
            memory_bytes={
                **self._scene_buffers.memory_bytes,
                "queues": self._context.queues.memory_bytes,
                "view": self._context.view.memory_bytes,
                "bins": self._passes.bin_memory_bytes if self._passes else 0,
                "baseline": self._passes.cull_rasterize.memory_bytes if self._passes else 0,
                "shadow_maps": self._shadow_maps.memory_bytes if self._shadow_maps else 0,
            },
            pages_resident=len(self._scene_buffers.scene.pages),
            is_complete=is_sound and all(queue.requested == queue.stored for queue in counts["queues"].values()),
            notes=[] if is_sound or counts["is_aborted"] else ["drawn after a frame whose traversal stood still"],
            passes_ms=self._timer.milliseconds(parts[-1] if pending.labels else b"", pending.labels),
        )
