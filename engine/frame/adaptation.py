"""What to change after a frame that is not complete: the traversal, the queues or, last, the accepted error."""

from dataclasses import asdict, dataclass, replace

from engine.frame.queues import Capacities
from engine.frame.statistics import SHADOW_PREFIX, FrameStatistics
from engine.settings import FrameSettings


@dataclass(frozen=True)
class Adaptation:
    """Settings and capacities for the next attempt, and a line about what is new."""

    settings: FrameSettings
    capacities: Capacities
    shadow_capacities: Capacities | None
    notes: tuple[str, ...]


def adapted(
    settings: FrameSettings,
    statistics: FrameStatistics,
    capacities: Capacities,
    shadow_capacities: Capacities | None,
    binding_bytes: int,
) -> Adaptation:
    """Return what another attempt at the incomplete frame of `statistics` needs.

    A traversal that stood still is replaced by `levels`; queues that were too small grow, within `binding_bytes`; where
    none can grow any further, the accepted error is raised. A frame that was sent before the last change asks for none.
    """
    if statistics.is_aborted:
        note = "the persistent traversal stood still; drawn with levels"
        return Adaptation(replace(settings, traversal="levels"), capacities, shadow_capacities, (note,))
    if _is_outdated(statistics, capacities, shadow_capacities):
        return Adaptation(settings, capacities, shadow_capacities, ())
    requested = {name: queue.requested for name, queue in statistics.queues.items()}
    grown, notes = _grown(capacities, requested, "", binding_bytes)
    grown_shadow = shadow_capacities
    if shadow_capacities and SHADOW_PREFIX + "nodes" in requested:
        grown_shadow, shadow_notes = _grown(shadow_capacities, requested, SHADOW_PREFIX, binding_bytes)
        notes += shadow_notes
    if notes:
        return Adaptation(settings, grown, grown_shadow, notes)
    is_full = {name: queue.requested > queue.capacity for name, queue in statistics.queues.items()}
    if not any(is_full.values()):  # drawn after a frame whose traversal stood still: the next one is sound
        return Adaptation(settings, capacities, shadow_capacities, ())
    is_shadow = not any(full for name, full in is_full.items() if not name.startswith(SHADOW_PREFIX))
    name = "shadow_error_pixels" if is_shadow else "error_pixels"
    raised = max(1.25 * getattr(settings, name), 0.25)
    note = f"{name} raised from {getattr(settings, name):g} to {raised:g}: the queues cannot grow further"
    return Adaptation(replace(settings, **{name: raised}), capacities, shadow_capacities, (note,))


def _is_outdated(statistics: FrameStatistics, capacities: Capacities, shadow_capacities: Capacities | None) -> bool:
    now = asdict(capacities)
    if shadow_capacities:
        now |= {SHADOW_PREFIX + name: count for name, count in asdict(shadow_capacities).items()}
    return any(queue.capacity != now[name] for name, queue in statistics.queues.items() if name in now)


def _grown(
    capacities: Capacities, requested: dict[str, int], prefix: str, binding_bytes: int
) -> tuple[Capacities, tuple[str, ...]]:
    """Return capacities for what was requested of the queues with `prefix` in their names, and a note of a change."""
    grown = capacities.grown_for({name: requested[prefix + name] for name in asdict(capacities)}, binding_bytes)
    if grown == capacities:
        return capacities, ()
    counts = ", ".join(f"{count} {prefix}{name}" for name, count in asdict(grown).items())
    return grown, (f"queues grown: {counts}",)
