"""The entry point of the `lab` command: its signals are handled before anything else is imported."""

from __future__ import annotations

import sys

from lab.cli.signals import INTERRUPT, Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 1 for a failed check, 2 for a user error, 128 + N for signal N.

    argv: arguments; without them those of this process, which is then expected to end with the exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    with Signals(until_exit=argv is None) as caught:
        try:
            from lab.cli.root import run

            caught.code = run(arguments)
        except (Exception, KeyboardInterrupt):
            # Not KeyboardInterrupt alone: an extension that is interrupted while it is imported makes an error of it.
            if caught.received is None:
                raise
            caught.print_line()
            caught.code = caught.exit_code
        else:
            # An error that was printed comes from the interruption.
            if caught.received is not None and (caught.code in (1, 2) or caught.received != INTERRUPT):
                caught.code = caught.exit_code
    return caught.code
