"""What follows from an incomplete frame."""

from dataclasses import asdict, replace

import pytest

from engine import layout
from engine.frame.adaptation import adapted
from engine.frame.queues import Capacities
from engine.frame.statistics import SHADOW_PREFIX, FrameStatistics, Queue
from engine.settings import FrameSettings

BINDING_BYTES = 1 << 27
SETTINGS = FrameSettings(visible_clusters=1024)
CAPACITIES, SHADOW_CAPACITIES = Capacities.of(SETTINGS), Capacities.of_shadows(SETTINGS)


def statistics(requested: dict[str, int], is_aborted: bool = False) -> FrameStatistics:
    """Return an incomplete frame, drawn with the capacities above, whose queues were asked for `requested`."""
    capacities = asdict(CAPACITIES) | {SHADOW_PREFIX + name: n for name, n in asdict(SHADOW_CAPACITIES).items()}
    queues = {name: Queue(requested.get(name, 1), 1, capacity) for name, capacity in capacities.items()}
    return FrameStatistics((8, 8), "", "levels", 1.0, {}, {}, {}, queues, {}, 0, False, is_aborted)


def test_only_the_queue_that_overflowed_grows():
    result = adapted(SETTINGS, statistics({"clusters": 5000}), CAPACITIES, SHADOW_CAPACITIES, BINDING_BYTES)
    assert result.capacities == replace(CAPACITIES, clusters=8192)
    assert result.shadow_capacities == SHADOW_CAPACITIES
    assert result.settings == SETTINGS
    assert "8192 clusters" in result.notes[0]


def test_shadow_queues_grow_by_themselves():
    asked = statistics({"shadow_clusters": 5000})
    result = adapted(SETTINGS, asked, CAPACITIES, SHADOW_CAPACITIES, BINDING_BYTES)
    assert result.capacities == CAPACITIES
    assert result.shadow_capacities == replace(SHADOW_CAPACITIES, clusters=8192)


def test_a_frame_sent_before_the_queues_grew_asks_for_nothing():
    asked = statistics({"clusters": 5000})
    grown = adapted(SETTINGS, asked, CAPACITIES, SHADOW_CAPACITIES, BINDING_BYTES)
    again = adapted(SETTINGS, asked, grown.capacities, SHADOW_CAPACITIES, BINDING_BYTES)
    assert again == replace(grown, notes=())


@pytest.mark.parametrize(("queue", "setting"), [("nodes", "error_pixels"), ("shadow_nodes", "shadow_error_pixels")])
def test_where_nothing_can_grow_the_error_is_raised(queue, setting):
    asked = statistics({queue: 1 << 40})
    bytes_of_a_node = 2 * layout.WORK_ITEM.itemsize  # of both halves of the queue
    limit = asked.queues[queue].capacity * bytes_of_a_node
    result = adapted(SETTINGS, asked, CAPACITIES, SHADOW_CAPACITIES, limit)
    assert getattr(result.settings, setting) == 1.25
    assert setting in result.notes[0]


def test_a_traversal_that_stood_still_is_replaced():
    result = adapted(SETTINGS, statistics({}, is_aborted=True), CAPACITIES, None, BINDING_BYTES)
    assert result.settings.traversal == "levels"


def test_a_frame_after_one_that_stood_still_changes_nothing():
    result = adapted(SETTINGS, statistics({}), CAPACITIES, SHADOW_CAPACITIES, BINDING_BYTES)
    assert (result.settings, result.capacities, result.notes) == (SETTINGS, CAPACITIES, ())
