"""`microlith view`: a window on scenes."""

import argparse


def run(options: argparse.Namespace) -> int:
    """Open the viewer and return when it is closed."""
    from engine.viewer.app import run as run_window

    return run_window(options)
