"""SIGINT, SIGTERM and SIGHUP in the `lab` command: one line, the exit code of shells, and nothing half-written.

The handlers stand before anything else is imported, so this module imports little and nothing slow. The run loop
replaces them while it trains (`lab.run.interrupt`).
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

INTERRUPT = signal.SIGINT
_AGAIN_S = 0.02
_NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Signals:
    """While entered, the first signal raises KeyboardInterrupt, so that open files are removed and processes ended.

    A second SIGINT ends the process at once. Other signals that follow are ignored: job managers repeat them. A signal
    that is ignored, or that a program above handles, stays so. Outside the main thread nothing is handled: Python has
    no signal handlers there.

    until_exit: the process ends after the block, with `code`; from its end on, a signal ends the process at once.
    """

    def __init__(self, *, until_exit: bool) -> None:
        self.received: signal.Signals | None = None
        self.code = 0
        self._until_exit = until_exit
        self._raise = self._leaving = False
        self._before: dict[int, Any] = {}
        self._hook = sys.unraisablehook

    @property
    def exit_code(self) -> int:
        """130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP, 0 without a signal."""
        return 0 if self.received is None else 128 + self.received

    def print_line(self) -> None:
        """Print which signal ended the command."""
        if self.received is not None:
            try:
                # Not print: the signal may have interrupted one, and a buffered stream is not reentrant.
                os.write(2, f"\nlab: stopped by {self.received.name}\n".encode())
            except OSError:
                return

    def __enter__(self) -> Signals:
        self._hook = sys.unraisablehook
        if self._until_exit:
            atexit.register(self._exit)  # called last, as it is registered first
        for number in _NUMBERS:
            if signal.getsignal(number) not in (signal.SIG_DFL, signal.default_int_handler):
                continue
            try:
                self._before[number] = signal.signal(number, self._handle)
            except ValueError:
                return self  # not in the main thread
        sys.unraisablehook = self._raise_again
        return self

    def __exit__(self, *error: object) -> None:
        if self._until_exit:
            _flush()  # a signal from here on ends the process without the buffers of its streams
        self._leaving = True
        if not self._until_exit:
            for number, handler in self._before.items():
                signal.signal(number, handler)
        if sys.unraisablehook == self._raise_again:
            sys.unraisablehook = self._hook

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, again = self.received is None, self._raise
        self._raise = False
        if self._leaving or (number == INTERRUPT and not first and not again):
            self.received = signal.Signals(number)
            self.print_line()
            os._exit(self.exit_code)
        if first or again:
            self.received = self.received or signal.Signals(number)
            raise KeyboardInterrupt

    def _exit(self) -> None:
        # An interruption that C code once met makes Python end itself by SIGINT, whatever the signal and the code.
        if self.received is not None:
            _flush()
            os._exit(self.code)

    def _raise_again(self, unraisable: Any) -> None:
        """The hook for exceptions that end in a destructor or a callback of C: raise KeyboardInterrupt once more."""
        if self.received is not None and issubclass(unraisable.exc_type, KeyboardInterrupt):
            _thread.start_new_thread(self._send_again, ())  # here it would end in this hook
        else:
            self._hook(unraisable)

    def _send_again(self) -> None:
        time.sleep(_AGAIN_S)
        self._raise = True
        if self.received is not None:
            os.kill(os.getpid(), self.received)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
