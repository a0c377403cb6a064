"""What is drawn according to engine.reference without a hierarchy: what judges the walk through it."""

import numpy as np

from engine import layout, reference
from engine.reference import Counts, Tables, VisibleSet
from engine.screen_boxes import screen_boxes


def brute_force_visible_set(data: Tables, view: np.ndarray) -> VisibleSet:
    """Return what is drawn, by testing every cluster of every instance: for small scenes."""
    counts = Counts()
    found = [np.zeros((0, 2), np.int64)]
    live = np.flatnonzero(data.instances["mesh"] != layout.NONE)
    for slot in live.tolist():
        clusters = np.flatnonzero(data.cluster_mesh == data.instances["mesh"][slot])
        slots = np.full(len(clusters), slot)
        box, records = reference.cluster_boxes(data, clusters), data.instances[slots]
        reasons = {
            "detail": reference.cluster_detail(data, slots, clusters, view),
            "frustum": ~reference.in_frustum(*box, records, view),
            "size": screen_boxes(*box, records, view).cover_no_pixel(view["size"]),
        }
        kept = counts.add("clusters", reasons)
        found.append(np.stack([slots[kept], clusters[kept]], axis=1))
    counts.instances_tested = counts.instances_kept = len(live)
    return VisibleSet(np.concatenate(found), counts)
