"""Work between frames that keeps the clocks of a GPU up.

A frame of half a millisecond, sent by a host that needs longer than that, leaves a GPU idle most of the time; then its
driver lowers the clocks, now for this run and now for that, and times jump by a factor of two.
"""

import time

from engine.frame.context import set_immediates
from engine.gpu.buffers import create_buffer, read_buffer
from engine.gpu.device import Device
from engine.gpu.shader import Kernel

NAME = "filler"
WORKGROUPS = 2112  # enough for every multiprocessor of a large GPU
_FIRST_TURNS = 4096
_ROUNDS = 4  # of calibration
WAKING_SECONDS = 1.0  # that clocks which have fallen need to rise, with some to spare
SLOWER = 1.05  # than at best, and the clocks are not up


class Filler:
    """Sends arithmetic that takes about `milliseconds`; its length is measured once, here."""

    def __init__(self, device: Device, milliseconds: float):
        self._device = device
        self._kernel = Kernel(device, NAME, runtime_checks=False)
        self._results = create_buffer(device, NAME, 16)
        self._group = self._kernel.bind(0, {"results": self._results})
        self._turns = _FIRST_TURNS
        self._best_seconds = 0.0  # unknown: the clocks may be down
        self._calibrate(milliseconds)
        self.wake()
        self._calibrate(milliseconds)
        self._best_seconds = min(self._seconds() for _ in range(_ROUNDS))

    def wake(self) -> None:
        """Work until the clocks are up: while a scene was loaded, or nothing drawn, they may have fallen."""
        end = time.perf_counter() + WAKING_SECONDS
        while time.perf_counter() < end:
            seconds = self._seconds()
            if seconds <= SLOWER * self._best_seconds:
                self._best_seconds = min(self._best_seconds, seconds)
                return

    def submit(self) -> None:
        """Send the work; whatever is sent later waits for it, as its timestamps do."""
        gpu = self._device.wgpu_device
        encoder = gpu.create_command_encoder(label=NAME)
        compute = encoder.begin_compute_pass(label=NAME)
        compute.set_pipeline(self._kernel.pipeline)
        compute.set_bind_group(0, self._group)
        set_immediates(compute, self._turns)
        compute.dispatch_workgroups(WORKGROUPS)
        compute.end()
        gpu.queue.submit([encoder.finish()])

    def _calibrate(self, milliseconds: float) -> None:
        for _ in range(_ROUNDS):
            self._turns = max(round(self._turns * min(milliseconds / (1e3 * self._seconds()), 64.0)), 1)

    def _seconds(self) -> float:
        """Return how long one `submit` keeps the GPU; several are timed, so that the host's share is small."""
        read_buffer(self._device, self._results, "f4", 1)
        begun = time.perf_counter()
        for _ in range(4):
            self.submit()
        read_buffer(self._device, self._results, "f4", 1)
        return (time.perf_counter() - begun) / 4
