"""SIGINT and SIGTERM as a flag that the run loop reads between steps, so that it can save first."""

import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Any, Self


class Interrupt:
    """While entered, the first SIGINT or SIGTERM only sets `signal`; a SIGINT after it raises KeyboardInterrupt.

    Outside the main thread it does nothing: Python has no signal handlers there.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """The exit code of a process ended by that signal: 130 or 143; 0 without a signal."""
        return 0 if self.signal is None else 128 + self.signal

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = signal.Signals(number)
            # Not print: the handler may have interrupted one, and a buffered stream is not reentrant.
            _write(f"\n{self.signal.name}: stopping after this iteration; Ctrl-C again stops at once\n")
        elif number == signal.SIGINT:
            self.signal = signal.SIGINT
            raise KeyboardInterrupt
        # Another SIGTERM is ignored: job managers repeat it.


def _write(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal is closed; stopping matters more than the message
        os.write(2, text.encode())
