"""Environments of PettingZoo by the name of their module, as a configuration gives it.

A configuration must not run any code that happens to be installed: it names a module of one of the known packages, or
an entry point, with which another package says that its environments are meant to be used here.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from agents.environments.faults import described
from agents.environments.quiet import quiet
from lab.config.suggestions import did_you_mean
from lab.errors import UserError

_EXTRAS = {"mpe2": "'rivals-lab[mpe2]'", "pygame": "'rivals-lab[window]'", "gobblet_rl": "gobblet-rl"}
"""What pip installs for a package, by the name under which it is imported."""


@dataclass(frozen=True)
class Source:
    """Where environments of one kind are found.

    kind: "parallel" or "turn-based", for messages. attribute: the function of a module that makes the environment.
    packages: whose modules may be named. group: of entry points, for other packages. example: a name of a module.
    prefix: begins names in messages. lacks: why a module may have no such function.
    """

    kind: str
    attribute: str
    packages: tuple[str, ...]
    group: str
    example: str
    prefix: str
    lacks: str


def find(name: str, source: Source) -> Callable[..., Any]:
    """The function that makes an environment, of a module or of an entry point. Raises UserError: cause and fix."""
    if "." not in name:
        return _of_entry_point(name, source)
    if name.partition(".")[0] not in source.packages:
        raise UserError(
            f"{source.prefix}{name} is not a module of {_either(source.packages)}; other packages register their "
            f"environments through entry points of the group {source.group}"
        )
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it would be printed on standard output
    try:
        with quiet():
            module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(_missing(name, source, error)) from None
    except Exception as error:
        raise UserError(f"{name} cannot be imported: {described(error)}") from error
    if not callable(getattr(module, source.attribute, None)):
        raise UserError(f"{name} has no {source.attribute}: {source.lacks}")
    made: Callable[..., Any] = getattr(module, source.attribute)
    return made


def _of_entry_point(name: str, source: Source) -> Callable[..., Any]:
    installed = metadata.entry_points(group=source.group)
    found = next(iter(installed.select(name=name)), None)
    if found is None:
        known = sorted({point.name for point in installed})
        raise UserError(
            f"unknown {source.kind} environment {name!r}: name a module such as {source.prefix}{source.example}"
            + (f", or one of {', '.join(known)}" if known else "")
        )
    try:
        made: Callable[..., Any] = found.load()
    except Exception as error:  # whatever the other package raises on import
        raise UserError(f"{found.value!r} cannot be imported: {described(error)}") from error
    return made


def _missing(name: str, source: Source, error: ModuleNotFoundError) -> str:
    missing, (package, *_) = error.name or "", name.split(".")
    if missing == package:
        return f"{package} is not installed: pip install {_EXTRAS.get(package, package)}"
    parent = name.rpartition(".")[0]
    if not missing.startswith(parent):
        return f"{name} needs {missing}: pip install {_EXTRAS.get(missing, missing)}" + (
            "" if missing in _EXTRAS else ", or the extra of pettingzoo that it names"
        )
    try:
        known = [part.name for part in pkgutil.iter_modules(importlib.import_module(parent).__path__)]
    except (ImportError, AttributeError):
        known = []
    known = [f"{source.prefix}{parent}.{part}" for part in known if part.rpartition("_v")[2].isdigit()]
    if not known:
        return f"there is no module {name}"
    return f"unknown environment {source.prefix}{name}; {did_you_mean(source.prefix + name, known)}"


def _either(names: tuple[str, ...]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
