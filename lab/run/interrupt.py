"""SIGINT, SIGTERM and SIGHUP as a flag that the run loop reads between steps, so that it can save first."""

import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Any, Self

_NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupt:
    """While entered, the first SIGINT, SIGTERM or SIGHUP only sets `signal`; then a SIGINT raises KeyboardInterrupt.

    SIGHUP, which the end of a terminal sends, stays ignored if it is (`nohup`).
    Outside the main thread it does nothing: Python has no signal handlers there.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """The exit code of a process ended by that signal: 130, 143 or 129; 0 without a signal."""
        return 0 if self.signal is None else 128 + self.signal

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _NUMBERS:
                if number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) == signal.SIG_IGN:
                    continue
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
        # Another SIGTERM or SIGHUP is ignored: job managers repeat it.


def _write(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal is closed; stopping matters more than the message
        os.write(2, text.encode())
