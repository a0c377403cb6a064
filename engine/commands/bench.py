"""`microlith bench`: an experiment, or frames of one scene, as JSON lines, CSV and a table of medians."""

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from engine.commands.frames import check_output, given_settings
from engine.commands.logs import Progress
from engine.experiments import report
from engine.experiments.experiment import Experiment, is_experiment, quick, read_experiment
from engine.experiments.image_error import MEASURES, ImageErrors, available
from engine.experiments.runner import run_experiment

_COUNTS = ("frames", "warm_up", "repeats", "check_every", "size")
_ONE_CAMERA = ("camera", "eye", "target", "up", "fov")


def run(options: argparse.Namespace) -> int:
    """Measure what is missing, print what was seen; 1 where a run was refused or --verify found a difference."""
    _check_outputs(options)
    experiment = experiment_of(options)
    if options.verify and not experiment.check_every:
        raise ValueError("--verify compares every check_every-th frame, and check_every is 0")

    from engine.gpu.device import open_device

    device = open_device(options.adapter, indirect_validation=options.indirect_validation)
    with tempfile.TemporaryDirectory(prefix="microlith-") as folder, Progress(options.verbosity) as progress:
        path = options.json or Path(folder) / "results.jsonl"
        resumes = is_experiment(options.scene)
        results = run_experiment(device, experiment, path, progress, options.verify, resumes, options.verbosity)
    if not results.frames and len(results.runs) == 1:
        raise ValueError(results.refused[0]["reason"])
    if options.csv:
        report.write_csv(options.csv, results)
    print(report.table(results))
    lines, differing = report.verification_lines(results) if options.verify else ([], 0)
    print("".join(f"{line}\n" for line in lines), end="")
    return 1 if differing or results.refused else 0


def _check_outputs(options: argparse.Namespace) -> None:
    """Raise ValueError where results cannot be written, or would replace what they are made of."""
    given = {"--json": options.json, "--csv": options.csv}
    places = {Path(options.scene).resolve(): "the scene"}
    for name, text in given.items():
        if not text:
            continue
        path = check_output(text)
        if text == "-" or (path.exists() and not path.is_file()):
            raise ValueError(f"{name} {text}: name a file")
        if other := places.get(path.resolve()):
            raise ValueError(f"{name} {text}: is {other} as well; name another file")
        places[path.resolve()] = f"what {name} names"


def experiment_of(options: argparse.Namespace) -> Experiment:
    """Return the experiment of a command line: its options before the file before the defaults."""
    if is_experiment(options.scene):
        experiment = read_experiment(options.scene)
    else:
        experiment = Experiment(Path(options.scene).stem, scene=options.scene)
    given: dict[str, Any] = {name: getattr(options, name) for name in _COUNTS if getattr(options, name) is not None}
    settings = given_settings(options, experiment.settings)
    varied = {name for variant in experiment.variants for name in variant}
    if twice := sorted(varied & {*given, *settings}):
        raise ValueError(f"{options.scene}: varies {twice[0]}, so that --{twice[0].replace('_', '-')} means nothing")
    given["settings"] = experiment.settings | settings
    if options.image_error:
        measures = experiment.image_error.measures if experiment.image_error else MEASURES
        given["image_error"] = available(ImageErrors(options.image_error, measures))
    camera = {name: getattr(options, name) for name in _ONE_CAMERA if getattr(options, name) is not None}
    if options.path or camera:
        kind = options.path or ("" if experiment.way.keyframes else experiment.way.kind)
        given["way"] = dataclasses.replace(experiment.way, kind=kind, keyframes=None, units="metres", options=camera)
    experiment = dataclasses.replace(experiment, **given)
    return quick(experiment) if options.quick else experiment
