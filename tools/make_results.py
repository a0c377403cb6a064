#!/usr/bin/env python3
"""Run experiments into a folder and draw their figures: what docs/results.md is made from.

    MICROLITH_MESHES=... python tools/make_results.py out/results
    MICROLITH_MESHES=... python tools/make_results.py out/results tau occlusion -- --frames 20 --size 640x360

Meshes and assets that are not there are made first. Each experiment, a name in tools/experiments or a file, is a
process of its own; what it prints is in NAME.txt, its samples are in NAME.jsonl. Interrupted, it goes on where it
stopped. Options behind -- are those of `microlith bench`. Figures need matplotlib:
pip install "microlith[experiments]".
"""

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.commands.logs import one_line
from engine.experiments.experiment import Experiment, read_experiment
from engine.experiments.results import Results, read_results
from engine.scene_file import read_scene_file

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENTS = ROOT / "tools" / "experiments"
STOPPING_SECONDS = 10.0  # that a program may take to tidy up
_MAKE, _BUILD = ["tools/make_mesh.py"], ["-m", "engine", "build"]
_TERRAINS = (10_000, 100_000, 1_000_000, 5_000_000, 20_000_000)

# How the files are made that no repository holds: arguments of python. Names are relative to the root.
RECIPES: dict[str, list[str]] = {
    "out/bunny_5k.ply": [*_MAKE, "decimate", "$MICROLITH_MESHES/scans/bun_zipper_69k.ply", "--triangles", "5000"],
    "assets/scenes/bunny_5k.mlith": [*_BUILD, "out/bunny_5k.ply"],
    "assets/scenes/happy_fused_1m.mlith": [*_BUILD, "$MICROLITH_MESHES/scans/happy_fused_1m.ply"],
    "assets/scenes/lucy_100k.mlith": [
        *_BUILD, "$MICROLITH_MESHES/scans/lucy_100k.ply", "--up", "z", "--scale", "0.001",
    ],
    **{f"out/terrain_{count}.ply": [*_MAKE, "terrain", "--triangles", str(count)] for count in _TERRAINS},
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the experiments named on the command line; 1 where one of them failed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    own, bench = (given[: given.index("--")], given[given.index("--") + 1 :]) if "--" in given else (given, [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, metavar="FOLDER", help="where samples, tables and figures go")
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="default: all of tools/experiments")
    parser.add_argument("--no-figures", action="store_true", help="measure only; tools/plot_results.py draws them")
    options = parser.parse_intermixed_args(own)
    try:
        files = experiment_files(options.experiments)
        experiments = [read_experiment(file) for file in files]
        options.output.mkdir(parents=True, exist_ok=True)
        needed = dict.fromkeys(name for one in experiments for name in missing(one))
        failed = [name for name in needed if not succeeds(make, name)]  # the runs that need it are refused then
        failed += [file.stem for file in files if not measure(file, options.output, bench)]
        if not options.no_figures and not succeeds(draw, options.output, files):
            failed.append("the figures")
    except (OSError, ValueError) as error:
        print(f"make_results: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make_results: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    if failed:
        print(f"make_results: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def experiment_files(names: Sequence[str]) -> list[Path]:
    """Return the files of experiments by name or path; all of tools/experiments where none is named."""
    if not names:
        return sorted(EXPERIMENTS.glob("*.toml"))
    files = [Path(name) if name.endswith(".toml") else EXPERIMENTS / f"{name}.toml" for name in names]
    for file in files:
        if not file.is_file():
            known = ", ".join(path.stem for path in sorted(EXPERIMENTS.glob("*.toml")))
            raise ValueError(f"{file}: no such file; an experiment is a .toml file or one of: {known}")
    return files


def missing(experiment: Experiment) -> list[str]:
    """Return which files of RECIPES an experiment needs and lacks, in the order in which they are to be made."""
    needed = set()
    for run in experiment.runs():
        is_scene = run.file.suffix == ".toml"
        needed |= {file.resolve() for file in (read_scene_file(run.file).asset_paths if is_scene else [run.file])}
    found: list[str] = []
    for name, command in RECIPES.items():
        if (ROOT / name).resolve() in needed and not (ROOT / name).exists():
            found += [part for part in command if part in RECIPES and not (ROOT / part).exists()]
            found.append(name)
    return list(dict.fromkeys(found))


def succeeds(step: Callable[..., None], *arguments: Any) -> bool:
    """Return whether a step raises nothing; else say what, in one line."""
    try:
        step(*arguments)
    except (OSError, ValueError) as error:
        print(f"make_results: {one_line(error)}", file=sys.stderr)
        return False
    return True


def make(name: str) -> None:
    """Make one file of RECIPES, whole or not at all. Raises ValueError where that fails, with what was printed."""
    print(f"making {name}", flush=True)
    path = ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")  # the suffix says what is written
    try:
        code, said = run([*map(os.path.expandvars, RECIPES[name]), "-o", str(partial)], stderr=subprocess.PIPE)
        if code:
            raise ValueError(f"{name} cannot be made: {said.strip() or code}")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def run(arguments: Sequence[str], **pipes: Any) -> tuple[int, str]:
    """Run python with arguments; return its exit code, and what it wrote to a pipe as standard error.

    Where this process is interrupted the other one is asked to stop, and tidies up, before KeyboardInterrupt goes on.
    """
    pipes = {"stdout": subprocess.DEVNULL} | pipes
    with subprocess.Popen([sys.executable, *arguments], cwd=ROOT, text=True, **pipes) as process:
        try:
            _, said = process.communicate()
        except KeyboardInterrupt:
            process.terminate()  # Ctrl-C has reached it, too, but a signal to this process alone has not
            try:
                process.wait(STOPPING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return process.returncode, said or ""


def measure(file: Path, output: Path, options: Sequence[str]) -> bool:
    """Run one experiment; print how long it took, and return whether it ended well."""
    begin = time.monotonic()
    samples, text = (output / f"{file.stem}{suffix}" for suffix in (".jsonl", ".txt"))
    command = ["-m", "engine", "bench", str(file.resolve()), "--json", str(samples.resolve())]
    with text.open("w", encoding="utf-8") as out:
        code, _ = run([*command, *options], stdout=out, stderr=subprocess.STDOUT)
    outcome = f"{what_failed(samples)}, {text} says why" if code else "done"
    print(f"{file.stem}: {outcome}, {time.monotonic() - begin:.0f} s", flush=True)
    return code == 0


def what_failed(samples: Path) -> str:
    """Return how much of an experiment failed, by its result file."""
    results = read_results(samples) if samples.is_file() else Results()
    refused = {one["run"] for one in results.refused}
    return f"{len(refused)} of {len(results.runs)} runs refused" if refused and results.frames else "failed"


def draw(output: Path, files: Sequence[Path]) -> None:
    """Draw the figures of what was measured. Raises ValueError where that fails."""
    paths = [output / f"{file.stem}.jsonl" for file in files]
    samples = [path for path in paths if path.is_file() and read_results(path).frames]
    if importlib.util.find_spec("matplotlib") is None:
        print("no figures: matplotlib is not installed; draw them with tools/plot_results.py")
        return
    from tools import plot_results

    if samples and plot_results.main([*map(str, samples), "-o", str(output)]):
        raise ValueError(f"the figures of {output} are not complete")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())
