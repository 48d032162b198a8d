"""Arguments and options of the verbs, read from their Typer commands: for completion and the command reference."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from lab.config.registry import VERBS, Verb, find_kind, kind_names, load


@dataclass(frozen=True)
class Parameter:
    """An argument or an option of a verb.

    names: its option strings, none for an argument. value: placeholder of the value, such as "PATH", or "" for a
    flag. default: as text, "" where there is none. choices: the values, where they are fixed.
    """

    names: tuple[str, ...]
    value: str
    default: str
    required: bool
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Command:
    """A command: `words` after `lab`, its kind ("" for every kind), help, usage and parameters."""

    words: tuple[str, ...]
    kind: str
    help: str
    usage: str
    parameters: tuple[Parameter, ...]


def commands(verbs: Mapping[str, Verb] = VERBS, before: tuple[str, ...] = ()) -> Iterator[Command]:
    """Every command in the order of the registry; a verb that depends on the kind gives one command per kind."""
    for name, verb in verbs.items():
        words = (*before, name)
        if verb.verbs:
            yield from commands(verb.verbs, words)
        elif verb.target:
            yield describe(words, "", load(verb.target))
        else:
            for kind in kind_names():
                if name in find_kind(kind).verbs:
                    yield describe(words, kind, load(find_kind(kind).verbs[name]))


def describe(words: tuple[str, ...], kind: str, function: Callable[..., None]) -> Command:
    """A Typer command function as a `Command`."""
    app = typer.Typer(add_completion=False)
    app.command()(function)
    built: Any = typer.main.get_command(app)
    context = built.make_context(" ".join(words), [], resilient_parsing=True)
    shown = [parameter for parameter in built.params if not getattr(parameter, "hidden", False)]
    pieces = [_plain(piece) for piece in built.collect_usage_pieces(context)]
    usage = " ".join(["lab", *words, *pieces])
    parameters = tuple(_parameter(parameter, context) for parameter in shown)
    return Command(words, kind, inspect.cleandoc(built.help or ""), usage, parameters)


def _parameter(parameter: Any, context: Any) -> Parameter:
    is_argument = parameter.param_type_name == "argument"
    annotation = parameter.type_descriptor.annotation
    choices: tuple[str, ...] = ()
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        choices = tuple(str(member.value) for member in annotation)
    if is_argument:
        value = " ".join(_plain(piece) for piece in parameter.get_usage_pieces(context))
    elif parameter.is_flag:
        value = ""
    else:
        words = {int: "INTEGER", float: "NUMBER", Path: "PATH"}
        value = parameter.metavar or " | ".join(choices) or words.get(annotation, "TEXT")
    names = () if is_argument else (*parameter.opts, *parameter.secondary_opts)
    return Parameter(names, value, _default(parameter), parameter.required, parameter.help or "", choices)


def _plain(piece: str) -> str:
    """A piece of the usage line without the braces of required arguments; names without a metavar in capitals."""
    piece = piece.replace("{", "").replace("}", "").replace("......", "...")
    return piece.upper() if piece.islower() else piece


def _default(parameter: Any) -> str:
    default, shown = parameter.default, getattr(parameter, "show_default", None)
    if isinstance(shown, str):
        return shown
    if parameter.required or callable(default) or default in (None, "", False, (), []):
        return ""
    return str(getattr(default, "value", default))
