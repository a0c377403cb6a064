"""Print the statistics of a frame, as `microlith render --statistics` writes them, as an aligned table."""

import argparse
import json
from pathlib import Path
from typing import Any


def rows(values: dict[str, Any], depth: int = 0) -> list[tuple[str, str]]:
    """Return (indented name, shown value) of each entry of a nested dictionary."""
    result = []
    for name, value in values.items():
        label = "  " * depth + name.replace("_", " ")
        if isinstance(value, dict):
            result += [(label, ""), *rows(value, depth + 1)]
        else:
            result.append((label, _shown(value)))
    return result


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def main() -> None:
    """Read the file named on the command line and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="JSON file of `microlith render --statistics`")
    table = rows(json.loads(parser.parse_args().file.read_text(encoding="utf-8")))
    width = max(len(label) for label, _ in table)
    for label, value in table:
        print(f"{label:<{width}}  {value:>16}".rstrip())


if __name__ == "__main__":
    main()
