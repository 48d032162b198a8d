"""The command line of `lab`: its verbs, exit codes and one-line errors."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lab import __version__
from lab.cli.lazy import HELP_OPTIONS, commands
from lab.config.registry import VERBS, installed_verbs
from lab.config.suggestions import shortened
from lab.errors import UserError
from lab.terminal import streams
from lab.terminal.streams import say, warn

_STORAGE_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.ESTALE),
)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code. Raises KeyboardInterrupt when a signal ends the command."""
    return run_command(_root(), arguments)


def run_command(command: Callable[..., object], arguments: Sequence[str]) -> int:
    """Run a Typer command and return its exit code. A user error is one line on standard error and exit code 2.

    Raises KeyboardInterrupt when a signal ends the command.
    """
    streams.prepare()
    with streams.guarded(outlive=False):
        return _guarded(command, arguments)


def _guarded(command: Callable[..., object], arguments: Sequence[str]) -> int:
    try:
        code = _exit_code(command, arguments)
        sys.stdout.flush()
        return code
    except UserError as error:
        warn(f"lab: {error}")
        return 2
    except BrokenPipeError:
        return 1  # the reader has closed the pipe (`lab list | head -1`), or the terminal is gone
    except OSError as error:
        if error.errno not in _STORAGE_ERRORS:
            raise
        where = f" {shortened(error.filename)}" if error.filename else ""
        warn(f"lab: cannot use the file or disk{where}: {error.strerror}")
        return 2


class _Root(TyperGroup):
    """Searches verbs of other distributions only if the lab's own verbs do not match: the search takes 10 ms."""

    def list_commands(self, ctx: Any) -> list[str]:
        self.commands.update(commands(installed_verbs()))
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands:
            self.commands.update(commands(installed_verbs()))
        return super().get_command(ctx, cmd_name)


def _root() -> TyperGroup:
    app = typer.Typer(
        cls=_Root,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings=HELP_OPTIONS,
    )
    app.callback()(_global_options)
    root = typer.main.get_group(app)
    root.commands.update(commands(VERBS))
    return root


def _exit_code(command: Callable[..., object], arguments: Sequence[str]) -> int:
    try:
        command(args=list(arguments), prog_name="lab")
    except SystemExit as stop:
        if isinstance(getattr(stop.__context__, "__cause__", None), KeyboardInterrupt):
            raise KeyboardInterrupt from None  # Typer makes exit code 130 of it, without a word
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"lab {__version__}")
        raise typer.Exit()


def _global_options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """A lab for networks that learn from a rival."""
