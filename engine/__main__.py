"""The command line: `microlith build | info | render | view | bench | device`.

Standard output carries data, standard error progress and logs. Exit codes: 0 done, 1 failed with one
clear line, 2 wrong usage, 130 interrupted.
"""

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

INTERRUPTED = 130


def main() -> None:
    """Run the command of `sys.argv` and leave the process."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))  # until there is something to clean up
    from engine.commands import interruption

    interruption.install()
    if sys.platform == "linux":  # the Vulkan loader writes an error line per adapter where it is not set
        os.environ.setdefault("XDG_RUNTIME_DIR", "/tmp")
    code = run(sys.argv[1:])
    if interruption.happened():
        interruption.leave()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; usage errors raise SystemExit(2)."""
    from engine.commands.interruption import raising
    from engine.commands.logs import start_logging
    from engine.commands.parser import parse

    options = parse(arguments)
    start_logging(options.verbosity)
    try:
        with raising():
            code = import_module(f"engine.commands.{options.command}").run(options)
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _fail(error, options.verbosity)


def _fail(error: Exception, verbosity: int) -> int:
    """Say in one line on standard error what went wrong; return 1."""
    from engine.commands import interruption
    from engine.commands.logs import one_line

    if interruption.happened():  # a library turned the interruption into an error of its own
        return INTERRUPTED
    if verbosity >= 2:
        import traceback

        traceback.print_exception(error)
    sys.stderr.write(f"microlith: {one_line(error)}\n")
    return 1


if __name__ == "__main__":
    main()
