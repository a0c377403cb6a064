"""Ctrl-C and SIGTERM: tidy up and leave without a stack trace, also while a library or a kernel holds the interpreter.

While a command runs, the first signal raises KeyboardInterrupt, so that temporary files are removed. A callback from C
or a finaliser can swallow that: long work calls `check` before its next step. Compiled code delays it: a thread that
hears of the signal through a pipe then ends the process.
"""

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_SECONDS = 2.0
_heard = threading.Event()  # by the thread
_raised = threading.Event()  # in the main thread
_raising = False
_code = 128 + signal.SIGINT  # how the process ends


def install() -> None:
    """Take over SIGNALS for the rest of the process: one ends the process at once, or inside `raising` tidily."""
    hear, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    threading.Thread(target=_leave_late, args=(hear,), name="interruption", daemon=True).start()
    default_hook = sys.unraisablehook

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if not happened():
            default_hook(unraisable)

    sys.unraisablehook = hook
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    atexit.register(_ignore)


def _ignore() -> None:
    """Ignore SIGNALS: all is done, and while the interpreter shuts down a signal would end it as failed."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def raising() -> Generator[None]:
    """Let the first of SIGNALS in this block raise KeyboardInterrupt, where `install` was called."""
    global _raising
    _raising = True
    try:
        yield
    finally:
        _raising = False


def end_with_input() -> None:
    """Take the end of standard input for a SIGTERM: whoever started this process, and held its input, is gone."""
    threading.Thread(target=_follow_input, name="standard input", daemon=True).start()


def _follow_input() -> None:
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


def happened() -> bool:
    """Return whether the user asked to stop."""
    return _heard.is_set() or _raised.is_set()


def check() -> None:
    """Raise KeyboardInterrupt again where `raising` did and somebody swallowed it."""
    if _raised.is_set():
        raise KeyboardInterrupt


def leave() -> NoReturn:
    """End the process at once: no exit handlers, no waiting for threads."""
    _remove_partial_files()
    with suppress(OSError):
        sys.stdout.flush()
        os.write(2, b"\nmicrolith: interrupted\n")
    os._exit(_code)


def _remove_partial_files() -> None:
    """Remove the unfinished files that this process still has open (where /proc tells which)."""
    numbers = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    for number in numbers:
        with suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{number}")
            if target.endswith(".partial"):
                os.unlink(target)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    global _code
    _code = 128 + number
    if _raised.is_set() or not _raising:
        leave()
    _raised.set()
    raise KeyboardInterrupt


def _leave_late(hear: int) -> None:
    global _code
    while (number := os.read(hear, 1)[0]) not in SIGNALS:
        pass
    _code = 128 + number
    _heard.set()
    time.sleep(GRACE_SECONDS)
    leave()
