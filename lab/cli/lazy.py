"""Commands whose module is imported on use, so that `lab --help` and completion are fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from lab.config.registry import Verb, find_kind, kind_names, load
from lab.errors import UserError

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


class LazyCommand(TyperCommand):
    """A verb that knows only its name and help; the command that `resolve` returns parses the arguments."""

    def __init__(self, name: str, help: str, resolve: Callable[[Sequence[str]], Any]) -> None:
        super().__init__(name, help=help)
        self._resolve = resolve

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        # Typer invokes the command of the context that is returned.
        return self._resolve(args).make_context(info_name, args, parent, **extra)


def commands(verbs: Mapping[str, Verb]) -> dict[str, Any]:
    """A command for each verb, in order; verbs with sub-verbs become groups."""
    return {name: _group(name, verb) if verb.verbs else _lazy(name, verb) for name, verb in verbs.items()}


def _group(name: str, verb: Verb) -> TyperGroup:
    return TyperGroup(
        name=name,
        help=verb.help,
        commands=commands(verb.verbs),
        no_args_is_help=True,
        context_settings=HELP_OPTIONS,
    )


def _lazy(name: str, verb: Verb) -> LazyCommand:
    if verb.target:
        return LazyCommand(name, verb.help, lambda arguments: _command(name, load(verb.target)))

    def resolve(arguments: Sequence[str]) -> Any:
        kind = _kind_of_run(name, arguments)
        note = f"The options depend on the kind of the run; these are for {kind}."
        return _command(name, load(find_kind(kind).verbs[name]), epilog=note)

    return LazyCommand(name, verb.help, resolve)


def _command(name: str, function: Callable[..., Any], **settings: Any) -> Any:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
    settings.setdefault("context_settings", HELP_OPTIONS)
    app.command(name, **settings)(function)
    return typer.main.get_command(app)


def _kind_of_run(verb: str, arguments: Sequence[str]) -> str:
    """The kind of the run among a verb's arguments; without a run (help), the first kind that has the verb."""
    from lab.run.lookup import find_run, locate_run, stored_kind

    words, runs_dir = _words(arguments)
    # A word may also be the value of an option, which depends on the kind: the run is the first that exists.
    run = next((path for word in words if (path := locate_run(word, runs_dir)) is not None), None)
    if run is None:
        if len(words) == 1 and not set(arguments) & set(HELP_OPTIONS["help_option_names"]):
            find_run(words[0], runs_dir)  # raises, naming the nearest
        return next(kind for kind in kind_names() if verb in find_kind(kind).verbs)
    kind = stored_kind(run)
    if verb not in find_kind(kind).verbs:
        raise UserError(f"run {run.name!r} is of kind {kind!r}, which has no `lab {verb}`")
    return kind


def _words(arguments: Sequence[str]) -> tuple[list[str], Path]:
    """Positional words and the runs directory of a command whose other options are unknown."""
    from lab.run.lookup import RUNS_DIR, RUNS_DIR_VARIABLE

    def verb(
        words: list[str] = typer.Argument(default=[]),
        runs_dir: Path = typer.Option(RUNS_DIR, "--runs-dir", envvar=RUNS_DIR_VARIABLE),
    ) -> None:
        pass

    settings = {"ignore_unknown_options": True, "help_option_names": []}
    context = _command("verb", verb, context_settings=settings).make_context(
        "verb", list(arguments), resilient_parsing=True
    )
    words = [word for word in context.params["words"] or () if not word.startswith("-")]
    return words, context.params["runs_dir"] or RUNS_DIR
