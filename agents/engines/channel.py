"""Lines of a protocol on standard input and output.

Standard output carries the protocol and nothing else: its file descriptor is taken away from everything that prints,
C libraries included, and what they print goes to standard error.
"""

import os
import queue
import select
import sys
import threading

STDIN, STDOUT, STDERR = 0, 1, 2
_CHUNK = 65_536
_LONGEST = 2**20  # characters of a line; `position startpos moves` of 10,000 moves has 60,000
_WAITING = 10_000  # lines that wait to be read, before the client has to wait
_WAKE_S = 1.0


class Lines:
    """Lines of a file descriptor, read by a thread so that a search can look for them without waiting."""

    def __init__(self, descriptor: int) -> None:
        self._queue: queue.Queue[str | None] = queue.Queue(_WAITING)
        self._put_back: list[str] = []
        self._ended = False
        # `os.read` instead of `sys.stdin`: the interpreter cannot end while a thread holds the stream's lock.
        threading.Thread(target=self._read, args=(descriptor,), daemon=True).start()

    def next(self) -> str | None:
        """The next line; None at the end of the input."""
        while True:
            # A wait without a limit cannot be interrupted by a signal on Windows.
            line = self._take(_WAKE_S)
            if line is not None or self._ended:
                return line

    def poll(self) -> str | None:
        """The next line if there is one, without waiting; None also at the end of the input (see `ended`)."""
        return self._take(0.0)

    def wait(self, seconds: float) -> bool:
        """Wait until there is a line or the input has ended, at most so long; whether there is."""
        line = self._take(seconds)
        if line is not None:
            self.put_back([line])
        return line is not None or self._ended

    def put_back(self, lines: list[str]) -> None:
        """Make `lines` the next ones, in this order."""
        self._put_back[:0] = lines

    @property
    def ended(self) -> bool:
        """Whether the client has closed the input and all its lines were taken."""
        return self._ended

    def _take(self, seconds: float) -> str | None:
        if self._put_back:
            return self._put_back.pop(0)
        if self._ended:
            return None
        try:
            line = self._queue.get(timeout=seconds) if seconds else self._queue.get_nowait()
        except queue.Empty:
            return None
        self._ended = line is None
        return line

    def _read(self, descriptor: int) -> None:
        rest = b""
        while chunk := _some_bytes(descriptor):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._queue.put(_text(line))
            rest = rest[:_LONGEST]
        if rest:
            self._queue.put(_text(rest))
        self._queue.put(None)


class Channel:
    """A client: the lines that it sends, and the text that is sent to it.

    reading, writing: file descriptors.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self.lines = Lines(reading)
        self._writing = writing

    @classmethod
    def standard(cls) -> "Channel":
        """Standard input and output of this process, where nothing else is printed from now on."""
        sys.stdout.flush()
        writing = os.dup(STDOUT)
        os.dup2(STDERR, STDOUT)
        return cls(STDIN, writing)

    def send(self, text: str) -> None:
        """Send lines, complete with their line ends. Raises BrokenPipeError where the client is gone."""
        data = text.encode("utf-8", "replace")
        while data:
            data = data[os.write(self._writing, data) :]

    @property
    def deserted(self) -> bool:
        """Whether the reader of what is sent is gone, as where a client was killed. Never known on Windows."""
        if not hasattr(select, "poll"):
            return False
        poll = select.poll()
        poll.register(self._writing, 0)  # errors alone, which are always reported
        return bool(poll.poll(0))


def _some_bytes(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except OSError:  # a terminal that is gone
        return b""


def _text(line: bytes) -> str:
    return line[:_LONGEST].decode("utf-8", "replace").rstrip("\r")
