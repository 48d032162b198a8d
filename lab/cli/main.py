"""The `lab` command. Only the module of the verb in use is imported, so help and completion stay quick."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from lab import __version__
from lab.config.registry import VERBS, Verb, find_kind, kind_names, load
from lab.errors import UserError

_STORAGE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
_HELP = {"help_option_names": ["-h", "--help"]}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 1 a check failed, 2 the user can correct it."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return run_app(lambda: _app(arguments), arguments)


def run_app(make: Callable[[], typer.Typer], arguments: Sequence[str]) -> int:
    """Run a Typer application and return its exit code. A user error is one line on standard error and exit code 2."""
    try:
        code = _exit_code(make(), arguments)
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader has left (`lab list | head -1`); the interpreter must not flush into the pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in _STORAGE_ERRORS:
            raise
        where = f" {error.filename!r}" if error.filename else ""
        print(f"lab: cannot use the file or disk{where}: {error.strerror}", file=sys.stderr)
        return 2


def _app(arguments: Sequence[str]) -> typer.Typer:
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings=_HELP,
    )
    app.callback()(_global_options)
    _add(app, VERBS, arguments)
    return app


def _exit_code(app: typer.Typer, arguments: Sequence[str]) -> int:
    try:
        app(args=list(arguments), prog_name="lab")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lab {__version__}")
        raise typer.Exit()


def _global_options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """A lab for networks that learn from a rival."""


def _add(app: typer.Typer, verbs: Mapping[str, Verb], arguments: Sequence[str]) -> None:
    """Add every verb to the help, but load only the one that the arguments name."""
    position = next((i for i, argument in enumerate(arguments) if not argument.startswith("-")), len(arguments))
    chosen, rest = arguments[position : position + 1], arguments[position + 1 :]
    for name, verb in verbs.items():
        if verb.verbs:
            group = typer.Typer(help=verb.help, no_args_is_help=True, context_settings=_HELP)
            _add(group, verb.verbs, rest if [name] == list(chosen) else ())
            app.add_typer(group, name=name)
        elif [name] != list(chosen):
            app.command(name, help=verb.help)(_not_loaded)
        elif verb.target:
            app.command(name)(load(verb.target))
        else:
            kind = _kind_for(name, rest)
            note = f"The options depend on the kind of the run; these are for {kind}."
            app.command(name, epilog=note)(load(find_kind(kind).verbs[name]))


def _not_loaded() -> None:
    raise AssertionError("only the verb in use is loaded")


def _kind_for(verb: str, arguments: Sequence[str]) -> str:
    """The kind of the run among a verb's arguments; without one (help), the first kind that has the verb."""
    from lab.run.lookup import find_run, locate_run, stored_kind

    runs_dir = _runs_dir(arguments)
    # Which word is the run is not known before the options are; an option's value is hardly a run's name.
    words = [argument for argument in arguments if not argument.startswith("-")]
    run = next((path for word in words if (path := locate_run(word, runs_dir)) is not None), None)
    if run is None:
        if len(words) == 1 and not set(arguments) & {*_HELP["help_option_names"]}:
            find_run(words[0], runs_dir)  # raises, naming the nearest
        return next(kind for kind in kind_names() if verb in find_kind(kind).verbs)
    kind = stored_kind(run)
    if verb not in find_kind(kind).verbs:
        raise UserError(f"run {run.name!r} is of kind {kind!r}, which has no `lab {verb}`")
    return kind


def _runs_dir(arguments: Sequence[str]) -> Path:
    """What `lab.cli.arguments.RunsDir` will be once the options are parsed."""
    from lab.run.lookup import RUNS_DIR, RUNS_DIR_VARIABLE

    for option, value in zip(arguments, [*arguments, ""][1:], strict=True):
        if option == "--runs-dir":
            return Path(value)
        if option.startswith("--runs-dir="):
            return Path(option.partition("=")[2])
    return Path(os.environ.get(RUNS_DIR_VARIABLE) or RUNS_DIR)
