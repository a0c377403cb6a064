"""`microlith view`: a window, where this version has one."""

import argparse
from importlib.util import find_spec


def run(options: argparse.Namespace) -> int:
    """Open the viewer; raise RuntimeError where there is none."""
    if find_spec("engine.viewer") is None or find_spec("engine.viewer.app") is None:
        raise RuntimeError("the viewer is not part of this version; `microlith render` draws to a file")
    from importlib import import_module

    return import_module("engine.viewer.app").run(options)
