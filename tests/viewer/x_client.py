"""What a file manager and a window manager do to a window: drop files on it, and ask it to close.

Dropping is the source's side of XDND (https://www.freedesktop.org/wiki/Specifications/XDND, version 5).
"""

import sys
import time
from pathlib import Path

from Xlib import X, display
from Xlib.protocol import event
from Xlib.xobject.drawable import Window

VERSION = 5
TIMEOUT_SECONDS = 10.0
STILL_SECONDS = 0.5  # that a person holds the files over the window, which then has nothing more to draw


class Client:
    """Talks to one window of a display."""

    def __init__(self, display_name: str, target: int):
        self._display = display.Display(display_name)
        root = self._display.screen().root
        self._window: Window = root.create_window(0, 0, 1, 1, 0, X.CopyFromParent)
        self._target: Window = self._display.create_resource_object("window", target)
        self._uris = self._atom("text/uri-list")

    def drop(self, paths: list[Path], x: int, y: int) -> None:
        """Drop `paths` at a place of the screen; raise TimeoutError where the window does not take them."""
        self._window.set_selection_owner(self._atom("XdndSelection"), X.CurrentTime)
        self._send("XdndEnter", [self._window.id, VERSION << 24, self._uris, 0, 0])
        self._send("XdndPosition", [self._window.id, 0, x << 16 | y, X.CurrentTime, self._atom("XdndActionCopy")])
        status = self._wait("XdndStatus", paths)
        if not status[1] & 1:
            raise TimeoutError("the window does not want the files")
        time.sleep(STILL_SECONDS)
        self._send("XdndDrop", [self._window.id, 0, X.CurrentTime, 0, 0])
        self._wait("XdndFinished", paths)

    def close(self) -> None:
        """Ask the window to close, as the button of its frame does."""
        self._send("WM_PROTOCOLS", [self._atom("WM_DELETE_WINDOW"), X.CurrentTime, 0, 0, 0])
        self._display.sync()  # a server may forget what a client asked that is gone

    def _atom(self, name: str) -> int:
        return self._display.intern_atom(name)

    def _send(self, kind: str, data: list[int]) -> None:
        message = event.ClientMessage(window=self._target, client_type=self._atom(kind), data=(32, data))
        self._target.send_event(message, event_mask=0)
        self._display.flush()

    def _wait(self, kind: str, paths: list[Path]) -> list[int]:
        """Return the data of the next message of this kind; meanwhile hand over the files when they are asked for."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < end:
            if not self._display.pending_events():
                time.sleep(0.01)
                continue
            happened = self._display.next_event()
            if happened.type == X.SelectionRequest:
                self._answer(happened, paths)
            elif happened.type == X.ClientMessage and happened.client_type == self._atom(kind):
                return list(happened.data[1])
        raise TimeoutError(f"no {kind} in {TIMEOUT_SECONDS:.0f} s")

    def _answer(self, request: event.SelectionRequest, paths: list[Path]) -> None:
        text = "".join(f"{path.resolve().as_uri()}\r\n" for path in paths).encode()
        request.requestor.change_property(request.property, request.target, 8, text)
        answer = event.SelectionNotify(
            time=request.time,
            requestor=request.requestor,
            selection=request.selection,
            target=request.target,
            property=request.property,
        )
        request.requestor.send_event(answer)
        self._display.flush()


if __name__ == "__main__":  # display, window; x, y, files to drop, or nothing: close it
    name, window, *place = sys.argv[1:]
    client = Client(name, int(window))
    if place:
        client.drop([Path(file) for file in place[2:]], int(place[0]), int(place[1]))
    else:
        client.close()
