"""How large the image is while the camera moves: as large as the adapter keeps up with; at rest, as the window."""

from dataclasses import dataclass, field

SCALES = (1.0, 0.75, 0.5, 0.375, 0.25)  # few, because the buffers of a view are made anew for each
REST_SECONDS = 0.2  # without movement before the image sharpens
FIXED_SHARE = 0.25  # of a full-size frame's time that does not depend on its pixels
RISE_SHARE = 0.75  # of the target that a larger image may be expected to take
RETRY_FRAMES = 100  # before a size that was too slow is tried again


@dataclass
class DynamicResolution:
    """Chooses image size over window size from the times of the frames before.

    Attributes: target_ms, what a frame may take while the camera moves; is_enabled; scale, the choice for movement.
    """

    target_ms: float = 50.0
    is_enabled: bool = True
    scale: float = 1.0
    _last_moved: float = field(default=-1e9, repr=False)
    _ignored: bool = field(default=True, repr=False)
    _frames: int = field(default=0, repr=False)
    _too_slow: dict[float, int] = field(default_factory=dict, repr=False)  # scale -> frame that was

    def choose(self, is_moving: bool, now_seconds: float) -> float:
        """Return the scale for the next image; `now_seconds` from any clock that does not go back."""
        if is_moving:
            self._last_moved = now_seconds
        is_resting = now_seconds - self._last_moved >= REST_SECONDS
        return 1.0 if is_resting or not self.is_enabled else self.scale

    def is_settling(self, now_seconds: float) -> bool:
        """Return whether the image has yet to sharpen after a movement."""
        return now_seconds - self._last_moved < REST_SECONDS

    def note(self, frame_ms: float, scale: float) -> None:
        """Take account of a frame that was drawn at `scale` and took `frame_ms` from its submit to its statistics.

        The first frame of a new size is left out: its buffers were made for it.
        """
        if scale != self.scale or self._ignored:
            self._ignored = scale != self.scale
            return
        self._frames += 1
        if frame_ms > self.target_ms:
            self._too_slow[scale] = self._frames
        full_ms = frame_ms / self._share(scale)
        chosen = next((s for s in SCALES if self._is_fitting(s, full_ms)), SCALES[-1])
        if chosen != self.scale:
            self.scale, self._ignored = chosen, True

    def _is_fitting(self, scale: float, full_ms: float) -> bool:
        if scale <= self.scale:
            return full_ms * self._share(scale) <= self.target_ms
        is_untried = self._frames - self._too_slow.get(scale, -RETRY_FRAMES) >= RETRY_FRAMES
        return is_untried and full_ms * self._share(scale) <= self.target_ms * RISE_SHARE

    @staticmethod
    def _share(scale: float) -> float:
        """Return the time of a frame at `scale` over that of one at full size."""
        return FIXED_SHARE + (1.0 - FIXED_SHARE) * scale * scale


def image_size(window_size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return width and height in pixels, at least 1, of an image at `scale` for a window."""
    width, height = window_size
    return max(round(width * scale), 1), max(round(height * scale), 1)
