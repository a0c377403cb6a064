#!/usr/bin/env python3
"""Draw the results of `microlith bench --json` as PNG and SVG figures, and write them up as results.md.

    python tools/plot_results.py tau.jsonl instances.jsonl -o figures

Which figures there are depends on what was varied and measured; a line says which were left out, and why. Needs
matplotlib: pip install "microlith[experiments]".
"""

import argparse
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.commands.logs import one_line
from engine.experiments.report import error_names, error_values, range_text, refusal_lines, verification_lines
from engine.experiments.results import Results, read_results
from engine.experiments.summary import frame_ms, has_gpu_times, ratio, spread
from engine.settings import BuildSettings, FrameSettings

try:
    import matplotlib
except ImportError:
    sys.exit('plot_results: needs matplotlib; pip install "microlith[experiments]"')

from matplotlib.figure import Figure

from tools import result_series as series
from tools.result_figures import FIGURES, STYLE

_NEEDED = {  # what the figures and tables read, by the kind of a line, and of the statistics of a frame
    "manifest": {"assets", "commit", "device", "experiment", "machine", "time", "versions"},
    "run": {"build", "label", "scene", "settings", "size", "variant"},
    "frame": {"statistics", "wall_ms"},
    "statistics": {"clusters", "is_complete", "passes", "passes_ms", "triangles"},
}
_DEFAULTS = {"settings": FrameSettings(), "build": BuildSettings()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw all figures of the files named on the command line; 1 and one line where that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS.jsonl", help="what bench --json wrote")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER", help="where the figures go")
    options = parser.parse_args(arguments)
    try:
        read = [drawable(path) for path in options.results]  # all of them, before anything is drawn
        options.output.mkdir(parents=True, exist_ok=True)
        sections = []
        for results, path, name in zip(read, options.results, unique_names(options.results)):
            drawn, left_out = draw(results, options.output, name)
            sections.append(section(results, path.name, drawn, left_out))
            print("".join(f"{name}: no figure {line}\n" for line in left_out), end="")
        text = "# Results\n\n" + "\n".join(sections)
        (options.output / "results.md").write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"plot_results: {one_line(error)}", file=sys.stderr)
        return 1
    return 0


def drawable(path: Path) -> Results:
    """Read a result file. Raises ValueError where it holds nothing to draw, or lacks what bench writes now."""
    results = read_results(path)
    if not results.frames:
        without = ", but statistics without the samples of single frames" if results.summaries else ""
        raise ValueError(f"{path}: holds no finished run{without}; figures and tables are made of samples")
    lines = [results.manifest, *results.runs, *results.frames]
    tables = [(line["kind"], line) for line in lines]
    tables += [("statistics", frame.get("statistics", {})) for frame in results.frames]
    for kind, table in tables:
        if missing := sorted(_NEEDED[kind] - set(table)):
            raise ValueError(f"{path}: {kind} lacks {missing[0]!r}: another version of bench wrote it; measure again")
    if unknown := {frame["run"] for frame in results.frames} - {run["run"] for run in results.runs}:
        raise ValueError(f"{path}: holds frames of run {min(unknown)!r}, which it does not describe")
    return results


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Return the stem of each path, with a number behind where another one has it, too."""
    names: list[str] = []
    stems = [path.stem for path in paths]
    for stem in stems:
        numbered = (f"{stem}_{number}" for number in range(1, len(stems) + 1))
        free = (name for name in numbered if name not in (*stems, *names))
        names.append(stem if stems.count(stem) == 1 else next(free))
    return names


def draw(results: Results, folder: Path, name: str) -> tuple[dict[str, str], list[str]]:
    """Write every figure that the results support as NAME_FIGURE.png and .svg.

    Returns the file stem of each by its title, and a line for each figure that was left out.
    """
    drawn, left_out = {}, []
    with matplotlib.rc_context(STYLE):
        for kind, make in FIGURES.items():
            figure = make(results)
            if isinstance(figure, str):
                left_out.append(f"{kind}: {figure}")
                continue
            stem = f"{name}_{kind}"
            figure.savefig(folder / f"{stem}.png")
            write_svg(figure, folder / f"{stem}.svg")
            drawn[(make.__doc__ or kind).strip()] = stem
    return drawn, left_out


def write_svg(figure: Figure, path: Path) -> None:
    """Write a figure as SVG with coordinates of a hundredth of a point: what is finer cannot be seen."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    path.write_text(re.sub(r"(\d\.\d\d)\d+", r"\1", text.getvalue()), encoding="utf-8")


def section(results: Results, file: str, drawn: dict[str, str], left_out: list[str]) -> str:
    """Return the Markdown of one result file: manifest, a row for each run, figures, and what was left out."""
    name = results.manifest["experiment"]["name"]
    lines = [f"## {name}", "", *_table(["", ""], manifest_rows(results, file)), ""]
    lines += [*_table(*run_table(results)), ""]
    lines += ["Medians over all frames and repeats, in brackets 5 to 95 %.", ""]
    incomplete = sum(not frame["statistics"]["is_complete"] for frame in results.frames)
    notes = [f"{incomplete} frames are incomplete: the queues could not grow further"] if incomplete else []
    notes += refusal_lines(results)
    lines += [*(f"- {note}" for note in notes), *([""] if notes else [])]
    checks = verification_lines(results)[0]
    lines += ["What `--verify` compared:", "", *(f"- {line}" for line in checks), ""] if checks else []
    for title, stem in drawn.items():
        lines += [f"![{title}]({stem}.png)", "", f"{title} ([SVG]({stem}.svg))", ""]
    return "\n".join([*lines, *(f"- no figure {line}" for line in left_out)]) + "\n"


def manifest_rows(results: Results, file: str) -> list[list[str]]:
    """Return what the numbers depend on, in pairs of name and value."""
    manifest, experiment = results.manifest, results.manifest["experiment"]
    device, machine, way = manifest["device"], manifest["machine"], experiment["way"]
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items() if version)
    memory = machine["memory_bytes"]
    processor = f"{machine['processor']}, {machine['cores']} cores" + (f", {memory / 2**30:.0f} GiB" if memory else "")
    assets = [f"{one['name']} ({one['bytes']:,} bytes, {key[:12]})" for key, one in manifest["assets"].items()]
    path = way["kind"] or "still where the scene has a camera, else orbit"
    repeats = f"{experiment['frames']} frames after {experiment['warm_up']}, {experiment['repeats']} times"
    done = len(series.measured_runs(results))
    source = f" (source {manifest['source'][:12]})" if "source" in manifest else ""
    return [
        ["results", f"{file}, {done} of {len(results.runs)} runs"],
        ["commit", f"{manifest['commit'] or 'of version ' + manifest['microlith']}{source}, {manifest['time']}"],
        ["adapter", f"{device['adapter']}, {device['driver']}, {device['backend']}"],
        ["machine", f"{processor}, {machine['system']}, Python {machine['python']}"],
        ["packages", versions],
        ["path", f"{path}, {repeats}"],
        *([name, value] for name, value in shared(results)[0].items() if value),
        ["settings", _changed(results, "settings")],
        ["build", _changed(results, "build")],
        ["assets", "; ".join(assets)],
    ]


def _changed(results: Results, kind: str) -> str:
    """Return the settings that differ from the defaults, of those that all runs share."""
    default, varied = _DEFAULTS[kind], series.varied_fields(results)
    found = []
    for name, value in results.runs[0][kind].items():
        usual = getattr(default, name, None)
        usual = list(usual) if isinstance(usual, tuple) else usual
        if name not in varied and value != usual:
            found.append(f"{name} = {series.shown(value)}")
    return ", ".join(found) or "the defaults"


def run_table(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return titles and a row for each run, in their order; one that was refused has no numbers.

    What all runs share stands above the table, not in it.
    """
    places = _places(results)
    errors = [name for name in error_names(results) if name in series.TABLE_ERRORS]
    varied, refused = shared(results)[1], {one["run"] for one in results.refused}
    is_timed, is_repeated = has_gpu_times(results), len({frame["repeat"] for frame in results.frames}) > 1
    titles = ["run", *varied, "drawn", series.time_title(results), "ratio to the first run"]
    titles += ["ratio of each repeat"] if is_repeated else []
    titles += ["wall (ms)"] if is_timed else []
    titles += [series.TABLE_ERRORS[name] for name in errors]
    rows: list[list[str]] = []
    first: list[dict[str, Any]] = []
    for run in results.runs:
        number = run["run"]
        row, frames = [run["label"], *(places[number][name] for name in varied)], series.frames_of(results, number)
        first = first or frames
        if not frames:
            row += ["refused" if number in refused else "not yet"]
            rows.append(row + [""] * (len(titles) - len(row)))
            continue
        row += [f"{spread(series.samples(results, number, 'triangles'))[0]:,.0f}"]
        ratios = ratio(frames, first, frame_ms(results))
        row += [_spread(series.samples(results, number, "ms"))]
        row += [_range(ratios["median"], ratios["p05"], ratios["p95"])]
        row += [range_text(ratios["repeats"])] if is_repeated else []
        row += [_spread([frame["wall_ms"] for frame in frames])] if is_timed else []
        row += [_middle(error_values(results, number, name)) for name in errors]
        rows.append(row)
    return titles, rows


def shared(results: Results) -> tuple[dict[str, str], list[str]]:
    """Return what is drawn, by name, as far as all measured runs agree, and the names on which they do not."""
    places = _places(results)
    measured = [places[run["run"]] for run in series.measured_runs(results)]
    values = {name: {place[name] for place in measured} for name in measured[0]}
    same = {name: min(found) for name, found in values.items() if len(found) == 1}
    return same, [name for name in values if name not in same]


def _places(results: Results) -> dict[int, dict[str, str]]:
    """Return what each run draws, by its number: by the name of the scene's file, where no other one has it."""
    scenes = {one["run"]: one for one in results.scenes}
    names = [Path(scene).name for scene in {run["scene"] for run in results.runs}]
    places = {}
    for run in results.runs:
        name, scene = Path(run["scene"]).name, scenes.get(run["run"], {})
        counts = {f"{kind} in it": f"{scene[kind]:,}" if kind in scene else "" for kind in ("instances", "triangles")}
        image = "x".join(map(str, run["size"]))
        places[run["run"]] = {"scene": name if names.count(name) == 1 else run["scene"], "image": image, **counts}
    return places


def _spread(values: list[float]) -> str:
    return _range(*spread(values))


def _range(middle: float, low: float, high: float) -> str:
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def _middle(values: list[float]) -> str:
    return f"{spread(values)[0]:.4g}" if values else ""


def _table(titles: list[str], rows: list[list[str]]) -> list[str]:
    lines: list[list[Any]] = [titles, ["---"] * len(titles), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]


if __name__ == "__main__":
    sys.exit(main())
