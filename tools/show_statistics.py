"""Print the statistics of a frame, as `microlith render --statistics` writes them, as aligned tables."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def report(statistics: dict[str, Any]) -> str:
    """Return the tables of funnels, rasters, queues, memory and milliseconds; docs/statistics.md explains them."""
    width, height = statistics["size"]
    lines = [
        f"{width}x{height} on {statistics['adapter']}, traversal {statistics['traversal']}, "
        f"error {statistics['error_pixels']:g} pixels, {statistics['pages_resident']:,} pages resident",
        *(f"note: {note}" for note in statistics["notes"]),
    ]
    if not statistics["is_complete"]:
        lines.append("NOT COMPLETE" + (": the traversal stood still" if statistics["is_aborted"] else ""))
    for title, rows in _tables(statistics):
        lines += ["", *aligned([title, *rows])]
    return "\n".join(lines)


def _tables(statistics: dict[str, Any]) -> list[tuple[list[str], list[list[Any]]]]:
    """Return (titles, rows) of each table."""
    passes, queues = statistics["passes"], statistics["queues"]
    funnels = [(name, kind, funnel) for name, kinds in passes.items() for kind, funnel in kinds.items()]
    reasons = list(funnels[0][2]["culled"])
    rasters = list(statistics["clusters"])
    drawn = [(name, kind, funnel["rasters"]) for name, kind, funnel in funnels if funnel["rasters"]]
    drawn += [("all", kind, statistics[kind]) for kind in ("clusters", "triangles")]
    result = [
        (
            ["pass", "kind", "tested", "kept", *(f"culled: {reason}" for reason in reasons)],
            [[name, kind, one["tested"], one["kept"], *one["culled"].values()] for name, kind, one in funnels],
        ),
        (["pass", "drawn", *rasters], [[name, kind, *counts.values()] for name, kind, counts in drawn]),
        (["queue", "requested", "stored", "capacity"], [[name, *queue.values()] for name, queue in queues.items()]),
        (["memory", "bytes"], [[name, size] for name, size in statistics["memory_bytes"].items()]),
    ]
    if statistics["passes_ms"]:
        result.append((["pass", "milliseconds"], [[name, ms] for name, ms in statistics["passes_ms"].items()]))
    return result


def aligned(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return lines with columns of equal width, words to the left, numbers and their titles to the right."""
    texts = [[_shown(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    is_number = [isinstance(value, (int, float)) for value in rows[-1]]
    return [
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in texts
    ]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"


def main() -> None:
    """Read the file named on the command line and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="JSON file of `microlith render --statistics`")
    print(report(json.loads(parser.parse_args().file.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
