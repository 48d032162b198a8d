"""Ctrl-C and SIGTERM as a wish to stop: the run loop looks at it between steps, so that it can save first."""

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupt:
    """While entered, the first SIGINT or SIGTERM is only noted; a SIGINT after it raises KeyboardInterrupt.

    Outside the main thread, where Python allows no handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What a shell reports for a process ended by that signal: 130 or 143; 0 without one."""
        return 0 if self.signal is None else 128 + self.signal

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = signal.Signals(number)
            # Not print: the handler may have interrupted one, and a buffered stream is not reentrant.
            _tell(f"\n{self.signal.name}: stopping after this iteration; Ctrl-C again stops at once\n")
        elif number == signal.SIGINT:
            self.signal = signal.SIGINT
            raise KeyboardInterrupt
        # Another SIGTERM changes nothing: job managers repeat it.


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal is gone; stopping matters more than saying so
        os.write(2, text.encode())
