"""Renderer: a scene and a camera in, an image, AOVs and statistics out."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from engine import layout
from engine.camera import Camera, view_record
from engine.frame import inspection
from engine.frame.aov import Aov, check_aov
from engine.frame.context import Context
from engine.frame.frame import FramePasses
from engine.frame.queues import PHASES, Capacities, Queues
from engine.frame.scene_buffers import Progress, SceneBuffers
from engine.frame.statistics import FrameStatistics, by_bin, funnels, queue_fill
from engine.frame.view import ViewResources
from engine.gpu.device import Device
from engine.gpu.readback import ReadbackRing
from engine.gpu.timing import PassTimer
from engine.scene import Scene
from engine.settings import FrameSettings
from engine.thresholds import NO_HARDWARE_PIXELS, thresholds_of

log = logging.getLogger("engine")

MAX_ATTEMPTS = 24  # a frame is drawn again while its queues grow, its traversal changes or tau is raised


@dataclass
class Frame:
    """A finished frame. `image` (height, width, 4) uint8 sRGB, row 0 on top; AOVs as the pass `aov` describes."""

    image: np.ndarray
    aovs: dict[str, np.ndarray]
    statistics: FrameStatistics


@dataclass
class Pending:
    """A frame that the GPU still works on."""

    capacities: Capacities
    labels: list[str]
    settings: FrameSettings
    size: tuple[int, int]
    traversal: str
    number: int
    tag: object


class Renderer:
    """Draws scenes on one device and keeps what it made for the last scene, size and settings.

    `render` waits for a complete image. `submit` and `collect` are for loops that must not wait.
    """

    def __init__(self, device: Device):
        self.device = device
        self._timer = PassTimer(device)
        self._readback = ReadbackRing(device)
        self._scene_buffers: SceneBuffers | None = None
        self._capacities: Capacities | None = None
        self._context: Context | None = None
        self._passes: FramePasses | None = None
        self._aov: Aov | None = None
        self._queues: Queues | None = None
        self._asked: Capacities | None = None
        self._key: tuple = ()
        self._submitted = 0
        self._broken_until = 0  # frames up to this number met a queue that an aborted frame had left in disorder
        self._stood_still = False

    def load(self, scene: Scene, progress: Progress | None = None) -> None:
        """Upload a scene; `render` does it when the scene is new. Raises CapacityError where it does not fit."""
        if self._scene_buffers is None or self._scene_buffers.scene is not scene:
            self._scene_buffers = SceneBuffers(self.device, scene, progress)
            self._key = ()

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
        Raises ValueError for bad arguments, RuntimeError where the adapter cannot finish the frame.
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
            settings = self._adapt(settings, statistics, notes)
        else:
            raise RuntimeError(f"the frame is still incomplete after {MAX_ATTEMPTS} attempts: {'; '.join(notes)}")
        statistics.notes = notes + statistics.notes
        image = self.read_image()
        return Frame(image, {name: self.read_aov(name) for name in aovs}, statistics)

    def submit(
        self, scene: Scene, camera: Camera, settings: FrameSettings, size: tuple[int, int], tag: object = None
    ) -> None:
        """Send one frame to the GPU without waiting; its statistics come from `collect` with `tag`."""
        self.load(scene)
        self._prepare(settings, size)
        context, passes = self._context, self._passes
        assert context is not None
        assert passes is not None
        assert self._capacities is not None
        view = view_record(camera, size, settings, bounds=scene.bounds() if camera.orthographic_height else None)
        view["hardware_pixels"] = self._hardware_pixels(settings)
        gpu = self.device.wgpu_device
        context.encoder = gpu.create_command_encoder(label="frame")
        self._timer.begin(context.encoder, settings.pass_times)
        passes.encode(context, view, settings, depth_scale=camera.distance)
        self._timer.resolve(context.encoder)
        sources = [(context.queues.resources["states"], len(PHASES) * layout.PASS_STATE.itemsize)]
        if self._timer.size_bytes:
            sources.append((self._timer.buffer, self._timer.size_bytes))
        traversal = "persistent" if context.use_persistent else "levels"
        self._submitted += 1
        labels = list(self._timer.labels)
        pending = Pending(self._capacities, labels, settings, size, traversal, self._submitted, tag)
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

    def read_visible_clusters(self) -> np.ndarray:
        """Return what the frame drawn last drew, sorted: (n, 2) uint32 of instance slot and scene-wide cluster."""
        return inspection.read_visible_clusters(self._drawn())

    def _drawn(self) -> Context:
        """Return what the frame drawn last was drawn with."""
        assert self._context, "render a frame first"
        return self._context

    def _prepare(self, settings: FrameSettings, size: tuple[int, int]) -> None:
        """Make anew what a change of scene, size, queues or a pipeline constant concerns."""
        assert self._scene_buffers
        asked = Capacities.of(settings)
        if self._capacities is None or asked != self._asked:
            self._capacities = self._asked = asked
        persistent = self._use_persistent(settings)
        workgroups = settings.persistent_workgroups or thresholds_of(self.device).persistent_workgroups
        show = layout.CONSTANTS[f"SHOW_{settings.view.upper()}"]
        overdraw = settings.view == "overdraw"
        uses_hardware = self._hardware_pixels(settings) < NO_HARDWARE_PIXELS
        key = (
            self._capacities,
            size,
            persistent,
            settings.occlusion,
            overdraw,
            uses_hardware,
            settings.runtime_checks,
            settings.materials,
        )
        if key == self._key:
            assert self._context
            assert self._passes
            self._context.persistent_workgroups = workgroups  # the size of a dispatch: no pipeline depends on it
            if self._context.show != show:
                self._context.show = show
                self._passes.show(self._context)
            return
        if self._queues is None or self._queues.capacities != self._capacities:
            self._queues = Queues(self.device, self._capacities)
        self._context = Context(
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
        )
        self._passes, self._aov, self._key = FramePasses(self._context), None, key

    def _hardware_pixels(self, settings: FrameSettings) -> float:
        """Return the size on the screen from which clusters go to the hardware raster."""
        if settings.raster != "auto":
            return 0.0 if settings.raster == "hardware" else NO_HARDWARE_PIXELS
        return settings.hardware_pixels or thresholds_of(self.device).hardware_pixels

    def _use_persistent(self, settings: FrameSettings) -> bool:
        """Return whether the persistent traversal is asked for, or is `auto` here and never stood still."""
        if settings.traversal == "auto":
            return thresholds_of(self.device).traversal == "persistent" and not self._stood_still
        if settings.traversal == "persistent" and "shader-int64-atomic-all-ops" not in self.device.features:
            raise RuntimeError(
                f"{self.device.adapter_name} lacks shader-int64-atomic-all-ops, which the persistent traversal needs;"
                " use --traversal levels"
            )
        return settings.traversal == "persistent"

    def _adapt(self, settings: FrameSettings, statistics: FrameStatistics, notes: list[str]) -> FrameSettings:
        """Return settings for another attempt at an incomplete frame; grow what was too small and note it."""
        assert self._capacities
        if statistics.is_aborted:
            notes.append("the persistent traversal stood still; drawn with levels")
            log.warning(notes[-1])
            return replace(settings, traversal="levels")
        limits = self.device.limits
        requested = {name: queue.requested for name, queue in statistics.queues.items()}
        binding = min(limits["max-storage-buffer-binding-size"], limits["max-buffer-size"])
        grown = self._capacities.grown_for(requested, binding)
        if grown != self._capacities:
            notes.append("queues grown: " + ", ".join(f"{count} {name}" for name, count in asdict(grown).items()))
            self._capacities = grown
            return settings
        raised = max(1.25 * settings.error_pixels, 0.25)
        notes.append(
            f"error raised from {settings.error_pixels:g} to {raised:g} pixels: the queues cannot grow further"
        )
        log.warning(notes[-1])
        return replace(settings, error_pixels=raised)

    def _recover(self) -> None:
        """After an aborted frame: what it left in the queue would mislead the next ones, those in flight included."""
        assert self._queues
        self._queues.empty_nodes()
        self._broken_until, self._stood_still = self._submitted, True

    def _statistics(self, pending: Pending, parts: list[bytes]) -> FrameStatistics:
        assert self._context
        assert self._scene_buffers
        states = np.frombuffer(parts[0], layout.PASS_STATE, len(PHASES))
        queues = queue_fill(states, pending.capacities)
        aborted = bool(states["aborted"].any())
        if aborted:
            self._recover()
        is_sound = pending.number > self._broken_until
        complete = is_sound and all(queue.requested == queue.stored for queue in queues.values())
        return FrameStatistics(
            size=pending.size,
            adapter=self.device.adapter_name,
            traversal=pending.traversal,
            error_pixels=pending.settings.error_pixels,
            passes={name: funnels(state) for name, state in zip(PHASES, states, strict=True)},
            clusters=by_bin(states["bin_clusters"]),
            triangles=by_bin(states["bin_triangles"]),
            queues=queues,
            memory_bytes={
                **self._scene_buffers.memory_bytes,
                "queues": self._context.queues.memory_bytes,
                "view": self._context.view.memory_bytes,
                "bins": self._passes.bin_memory_bytes if self._passes else 0,
            },
            pages_resident=len(self._scene_buffers.scene.pages),
            is_complete=complete,
            is_aborted=aborted,
            notes=[] if is_sound or aborted else ["drawn after a frame whose traversal stood still"],
            passes_ms=self._timer.milliseconds(parts[1] if len(parts) > 1 else b"", pending.labels),
        )
