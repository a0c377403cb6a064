"""What a run failed of, as the reason why there are no results of it, while other runs go on."""

from typing import TYPE_CHECKING

from engine.commands import interruption
from engine.commands.logs import one_line

if TYPE_CHECKING:
    from engine.gpu.device import Device


def refusal_of(error: Exception, device: "Device | None" = None) -> str:
    """Return the reason in one line. What concerns all runs is raised: an interruption, the loss of the device."""
    if interruption.happened():  # a library turned it into an error of its own
        raise error
    if device is not None:
        from engine.gpu.device import check_alive

        check_alive(device)
    return one_line(error)
