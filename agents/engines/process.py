"""The process of an external engine: lines in and out, each wait with a deadline, and no process left behind."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO

from lab.child_processes import die_with_parent
from lab.config.suggestions import shortened
from lab.errors import UserError

_LONGEST_LINE = 16 * 1024  # bytes; the rest of a longer line counts as further lines
_WAITING_LINES = 1024  # read ahead; a program that writes more waits until they are taken
_LAST_WORDS = 3  # lines of its standard error; the last one often just says where help is
_LEAVE_S = 1.0  # given to a program to end by itself after `quit`


class EngineFailure(Exception):
    """The engine broke down, did not answer in time or broke its protocol; the message says which, for people."""


class EngineProcess:
    """A running program, started without a shell in a process group of its own, so that Ctrl-C does not reach it.

    Its standard error is read and forgotten but for the last lines. On Linux it ends with this process, however that
    ends; create it in the main thread, for the kernel looks at the thread.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Raises UserError where the program cannot be started."""
        posix = hasattr(os, "killpg")
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=posix,
                creationflags=0 if posix else getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                preexec_fn=die_with_parent if posix else None,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(
                f"the engine {shortened(command[0])} cannot be started: {reason}; "
                "install it, or give the path of its program"
            ) from None
        self._lines: queue.Queue[str | None] = queue.Queue(_WAITING_LINES)
        self._input: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._closed = self._ended = False
        self._complaints: deque[str] = deque(maxlen=_LAST_WORDS)
        for work in (self._read_output, self._read_errors, self._write_input):
            threading.Thread(target=work, daemon=True).start()

    def send(self, line: str) -> None:
        """Write one line. It never waits: a program that does not read is found out when it does not answer."""
        self._input.put(line.encode() + b"\n")

    def read_line(self, deadline: float, waiting_for: str) -> str:
        """The next line, without white space at its end; deadline: of `time.monotonic`.

        Raises EngineFailure at the deadline and where the output has ended; waiting_for: as in "an answer to name".
        """
        remaining = deadline - time.monotonic()
        try:
            # The deadline holds for a program that never stops to write as well.
            if remaining <= 0:
                raise queue.Empty
            line = None if self._ended else self._lines.get(timeout=remaining)
        except queue.Empty:
            raise EngineFailure(f"no {waiting_for} in time") from None
        if line is None:
            self._ended = True
            raise EngineFailure(self._how_it_ended(waiting_for))
        return line.rstrip()

    def close(self, farewell: str = "quit") -> None:
        """End the process and what it has started: at first it is asked to, a second later it is killed."""
        if self._closed:
            return
        try:
            self.send(farewell)
            self._input.put(None)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LEAVE_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process and what it has started at once."""
        self._closed = True
        self._input.put(None)
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def _how_it_ended(self, waiting_for: str) -> str:
        try:
            code = self._process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            return f"it closed its output before {waiting_for}"
        try:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        except ValueError:
            how = f"was ended by signal {-code}"
        last = f", its last words: {shortened(' / '.join(self._complaints), 200)}" if self._complaints else ""
        return f"it {how} before {waiting_for}{last}"

    def _read_output(self) -> None:
        for line in _lines(self._process.stdout):
            while not self._closed:
                try:
                    self._lines.put(line, timeout=0.5)
                    break
                except queue.Full:
                    continue
        # After the last line; `close` does not read, so that the queue may be full.
        while not self._closed:
            with contextlib.suppress(queue.Full):
                self._lines.put(None, timeout=0.5)
                return

    def _read_errors(self) -> None:
        for line in _lines(self._process.stderr):
            if line.strip():
                self._complaints.append(line.strip())

    def _write_input(self) -> None:
        stream = self._process.stdin
        assert stream is not None
        with contextlib.suppress(OSError, ValueError):
            while (text := self._input.get()) is not None:
                stream.write(text)
                stream.flush()
        with contextlib.suppress(OSError, ValueError):
            stream.close()


def _lines(stream: IO[bytes] | None) -> Iterator[str]:
    """The lines of a stream, to its end; bytes that are not UTF-8 are replaced."""
    assert stream is not None
    with contextlib.suppress(OSError, ValueError):  # closed
        while line := stream.readline(_LONGEST_LINE):
            yield line.decode(errors="replace")
