"""The standard streams: lines for people, on streams that may be closed, vanish or not be UTF-8."""

import codecs
import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast

from lab.terminal.text import one_line, printable, substitute

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ITEM = "\n  "
_ERRORS = "lab.substitute"  # of the codec: what cannot be encoded is substituted


def say(text: str = "", end: str = "\n") -> None:
    """Print `text` on standard output as it is: without wrapping or markup, control characters as escapes."""
    sys.stdout.write(printable(text) + end)
    sys.stdout.flush()


def say_next(commands: Iterable[str]) -> None:
    """Print commands that may follow, one a line: side by side they would read as a pipe of the shell."""
    say(_ITEM.join(("next:", *commands)))


def warn(text: str) -> None:
    """Print one line on standard error. Never raises: where standard error is gone, so is its reader.

    A list of problems (`_ITEM` between them) has a line for each.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(_ITEM.join(one_line(part) for part in text.split(_ITEM)) + "\n")
        sys.stderr.flush()


def prepare() -> None:
    """Make the standard streams of this process usable; call it before anything is opened or printed.

    A closed stream (`>&-`) becomes the null device: otherwise the next file that is opened, a checkpoint, would get its
    descriptor and all that is printed. Characters that an output stream cannot encode are substituted.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            os.set_inheritable(descriptor, True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  until the process ends
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


@contextlib.contextmanager
def guarded(*, outlive: bool) -> Iterator[None]:
    """Standard output and error of this block, for streams whose reader or terminal may vanish.

    outlive: what is printed after that is dropped, and `lost` says why (training goes on). Otherwise the first write
    after it raises BrokenPipeError, whatever the cause, and the command ends.
    """
    before = sys.stdout, sys.stderr
    guards = _Guard(sys.stdout, outlive), _Guard(sys.stderr, outlive)
    sys.stdout, sys.stderr = cast(tuple[TextIO, TextIO], guards)
    try:
        yield
    finally:
        # Something else may have replaced them meanwhile: a live display, a test.
        if cast(Any, sys.stdout) is guards[0]:
            sys.stdout = before[0]
        if cast(Any, sys.stderr) is guards[1]:
            sys.stderr = before[1]


def lost() -> str:
    """Why standard output is gone within `guarded(outlive=True)`, else an empty text."""
    return str(getattr(sys.stdout, "lost", ""))


class _Guard:
    """A text stream that takes the loss of what is behind it; everything else is the stream's own."""

    def __init__(self, stream: TextIO, outlive: bool) -> None:
        self._stream, self._outlive = stream, outlive
        self.lost = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if self.lost:
            return len(text)
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self.lost:
            return
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if not self._outlive and error.errno in _NO_SPACE:
            raise error
        self.lost = error.strerror or str(error)
        # What the stream still holds must not fail again when the interpreter flushes it at exit.
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
        if not self._outlive:
            raise BrokenPipeError(errno.EPIPE, self.lost) from error


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(substitute, error.object[error.start : error.end])), error.end


codecs.register_error(_ERRORS, _substitute)
