"""`lab completion`: shell scripts that complete verbs, options, presets, runs, keys and values.

The scripts call `lab completion SHELL --line TEXT`. Options and keys, which need slow imports, are kept in a cache file
that is rebuilt when the code changes; a completion then takes about a quarter of a second.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from lab import __version__
from lab.config.registry import (
    ENTRY_POINTS,
    VERB_ENTRY_POINTS,
    VERBS,
    Verb,
    find_kind,
    installed_verbs,
    kind_names,
    load,
)
from lab.errors import UserError
from lab.files.plain import parse_json, read_regular
from lab.run import lookup
from lab.terminal.streams import say

_LARGEST_CACHE = 10_000_000  # bytes; the lab's own commands take 100,000
PACKAGES = ("lab", "agents", "gans", "cluster")
_BASH = """\
_lab() {
  local IFS=$'\\n'
  COMPREPLY=($(lab completion bash --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _lab lab
"""
_ZSH = """\
#compdef lab
_lab() {
  local -a found open closed
  found=("${(@f)$(lab completion zsh --line "$LBUFFER" 2>/dev/null)}")
  open=("${(@M)found:#*=}")
  closed=("${(@)found:#*=}")
  [[ -n $open[1] ]] && compadd -S '' -- $open
  [[ -n $closed[1] ]] && compadd -- $closed
  [[ -z $found[1] ]] && _files
}
compdef _lab lab
"""
_FISH = """\
complete -c lab -a '(lab completion fish --line (commandline -cp) 2>/dev/null)'
"""


class Shell(StrEnum):
    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
    line: Annotated[
        str | None, typer.Option("--line", help="Print the completions of this command line, one per line.")
    ] = None,
) -> None:
    """Print the script that completes `lab` in a shell.

    bash: `eval "$(lab completion bash)"` in ~/.bashrc; zsh: the same with zsh in ~/.zshrc, after compinit; fish:
    `lab completion fish > ~/.config/fish/completions/lab.fish`.
    """
    if line is None:
        say({Shell.bash: _BASH, Shell.zsh: _ZSH, Shell.fish: _FISH}[shell], end="")
        return
    for candidate in candidates(line, split_at_equals=shell is Shell.bash):
        say(candidate)


def candidates(line: str, *, split_at_equals: bool = False) -> list[str]:
    """Completions of the last word of a command line, in the order of declaration; empty for file names.

    split_at_equals: return values without their key: bash replaces only the text after the last "=".
    """
    words = _split(line)[1:]
    if not words:
        return []
    *before, current = words
    found = [word for word in _completions(before, current) if word.startswith(current)]
    if split_at_equals and "=" in current:
        found = [word.partition("=")[2] for word in found]
    return found


def _completions(before: list[str], current: str) -> Iterator[str]:
    verbs: Mapping[str, Verb] = _verbs()
    path: list[str] = []
    rest = list(before)
    while rest and rest[0] in verbs:
        name = rest.pop(0)
        path.append(name)
        verb = verbs[name]
        if not verb.verbs:
            break
        verbs = verb.verbs
    else:
        if not rest:
            yield from verbs
        return
    known = _known()
    command = _command(path, rest, known)
    if command is None:
        return
    takes_value = {name: option for option in command["options"] for name in option["names"] if option["value"]}
    if rest and rest[-1] in takes_value:
        yield from takes_value[rest[-1]]["choices"]
    elif current.startswith("-"):
        yield from (name for option in command["options"] for name in option["names"])
        yield "--help"
    else:
        given = [word for number, word in enumerate(rest) if not _is_option(rest, number, takes_value)]
        yield from _argument(command["arguments"], given, current, known)


def _is_option(rest: list[str], number: int, takes_value: Mapping[str, Any]) -> bool:
    return rest[number].startswith("-") or (number > 0 and rest[number - 1] in takes_value)


def _argument(arguments: list[Any], given: list[str], current: str, known: Mapping[str, Any]) -> Iterator[str]:
    if not arguments:
        return
    argument = arguments[min(len(given), len(arguments) - 1)]
    value = argument["value"]
    if argument["choices"]:
        yield from argument["choices"]
    elif "KEY" in value:
        yield from _keys(given[0] if given else "", current, known)
    if "PRESET" in value:
        from lab.config import presets

        yield from presets.preset_names()
    if "RUN" in value:
        yield from lookup.run_names(lookup.default_runs_dir())


def _keys(subject: str, current: str, known: Mapping[str, Any]) -> Iterator[str]:
    """Keys of the kind of a preset or run, each with "="; after a "=" the values, if they are fixed."""
    kind = _kind_of(subject)
    keys: Mapping[str, list[str]] = known["keys"].get(kind, {})
    key, equals, _ = current.partition("=")
    if equals:
        yield from (f"{key}={value}" for value in keys.get(key, []))
    else:
        yield from (f"{name}=" for name in keys)


def _kind_of(subject: str) -> str:
    from lab.config import presets

    with suppress(UserError, OSError):
        run = lookup.locate_run(subject, lookup.default_runs_dir())
        settings = presets.resolve(subject) if run is None else {"kind": lookup.stored_kind(run)}
        return str(settings.get("kind", ""))
    return ""


def _command(path: list[str], rest: list[str], known: Mapping[str, Any]) -> Any:
    """The command of a verb. If it depends on the kind: that of the given run, else the first."""
    name = " ".join(path)
    kinds = [kind for word in rest if not word.startswith("-") and (kind := _kind_of(word))]
    for kind in [*kinds, "", *kind_names()]:
        if f"{name}:{kind}" in known["commands"]:
            return known["commands"][f"{name}:{kind}"]
    return None


def _known() -> Mapping[str, Any]:
    """Options of all commands and keys of all kinds, from the cache file if it matches the code."""
    fingerprint = _fingerprint()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "rivals-lab" / "completion.json"
    if (stored := _stored(cache, fingerprint)) is not None:
        return stored
    fresh = {"fingerprint": fingerprint, "commands": dict(_all_commands()), "keys": dict(_all_keys())}
    with suppress(OSError):
        if not cache.is_absolute():  # without a home directory
            return fresh
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary = cache.with_name(f"{cache.name}.{os.getpid()}")
        temporary.write_text(json.dumps(fresh), encoding="utf-8")
        temporary.replace(cache)
    return fresh


def _stored(cache: Path, fingerprint: str) -> Mapping[str, Any] | None:
    """The content of the cache file if it is of this code and whole."""
    with suppress(OSError, ValueError, AttributeError, KeyError, TypeError):
        stored = parse_json(read_regular(cache, _LARGEST_CACHE))
        if stored["fingerprint"] != fingerprint:
            return None
        for command in stored["commands"].values():
            for parameter in (*command["options"], *command["arguments"]):
                _check_texts([parameter["value"], *parameter["names"], *parameter["choices"]])
        for keys in stored["keys"].values():
            for values in keys.values():
                _check_texts(values)
        return dict(stored)
    return None


def _check_texts(values: list[Any]) -> None:
    if not all(isinstance(value, str) for value in values):
        raise ValueError("a name is no text")


def _all_commands() -> Iterator[tuple[str, Any]]:
    from lab.cli.parameters import commands

    for command in commands(_verbs()):
        parts: dict[str, list[Any]] = {"options": [], "arguments": []}
        for parameter in command.parameters:
            record = {"names": parameter.names, "value": parameter.value, "choices": parameter.choices}
            parts["options" if parameter.names else "arguments"].append(record)
        yield f"{' '.join(command.words)}:{command.kind}", parts


def _all_keys() -> Iterator[tuple[str, dict[str, list[str]]]]:
    from lab.config.keys import keys_of

    for kind in kind_names():
        with suppress(UserError, ImportError):
            keys = [key for key in keys_of(load(find_kind(kind).config)) if not key.section]
            yield kind, {key.key: _values(key.type) for key in keys}


def _values(type_text: str) -> list[str]:
    """The values of an enumerated type: "a | b", "bool"."""
    if type_text.startswith("bool"):
        return ["true", "false"]
    return [part.strip() for part in type_text.split("|")] if "|" in type_text and "of" not in type_text else []


def _verbs() -> dict[str, Verb]:
    with suppress(Exception):  # a broken package of somebody else must not end completion
        return {**VERBS, **installed_verbs()}
    return dict(VERBS)


def _fingerprint() -> str:
    """A text that changes with the version, location and files of the code, and with what other packages add."""
    groups = (ENTRY_POINTS, VERB_ENTRY_POINTS)
    others = sorted(point.value for group in groups for point in metadata.entry_points(group=group))
    root = Path(__file__).resolve().parents[2]
    times = [
        entry.stat().st_mtime_ns for package in PACKAGES for entry in (root / package).rglob("*.py") if entry.is_file()
    ]
    return " ".join([__version__, str(root), str(len(times)), str(max(times, default=0)), *others])


def _split(line: str) -> list[str]:
    """Words of a command line. The last is incomplete: "" after a space."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="")
    lexer.whitespace_split, lexer.commenters = True, ""
    words = []
    with suppress(ValueError):  # an open quote: its word is left out
        words = list(lexer)
    return [*words, ""] if not line or line[-1].isspace() else words
