"""`microlith build`: mesh files to one asset."""

import argparse
import dataclasses
import logging

from engine.commands import interruption
from engine.commands.frames import check_output, write_json
from engine.commands.logs import JsonProgress, Progress
from engine.settings import BuildSettings, load_settings

log = logging.getLogger("engine")


def run(options: argparse.Namespace) -> int:
    """Build and, if asked, write the report."""
    if options.end_with_input:
        interruption.end_with_input()
    output = check_output(options.output)
    if output.suffix != ".mlith":
        raise ValueError(f"{output}: the name of an asset must end in .mlith")
    if options.report:
        check_output(options.report)
    settings = load_settings(BuildSettings, options.settings) if options.settings else BuildSettings()
    given = {name: getattr(options, name) for name in ("up", "scale") if getattr(options, name) is not None}
    settings = dataclasses.replace(settings, **given)
    from engine.builder import build

    with JsonProgress() if options.progress_json else Progress(options.verbosity) as progress:
        report = build(options.inputs, output, settings, threads=options.threads, progress=progress)
    if options.report:
        write_json(options.report, report)
    seconds = sum(report["seconds"].values())
    text = f"{report['source_triangles']:,} triangles, {report['clusters']:,} clusters, {report['file_bytes']:,} bytes"
    log.info("%s: %s, %.1f s", output, text, seconds)
    return 0
