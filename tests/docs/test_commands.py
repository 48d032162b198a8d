"""Every command line in the pages names verbs, options, presets and keys that exist."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from lab.cli.parameters import Command, commands
from lab.config import presets
from lab.config.keys import keys_of
from lab.config.registry import find_kind, kind_names, load
from tests.docs.pages import blocks, pages

_INLINE = re.compile(r"`(lab [^`]+)`")
_OVERRIDE = re.compile(r"[a-z_]+(\.[a-z_0-9]+)*=.*")


@cache
def by_words() -> dict[tuple[str, ...], list[Command]]:
    found: dict[tuple[str, ...], list[Command]] = {}
    for command in commands():
        found.setdefault(command.words, []).append(command)
    return found


@cache
def keys_by_kind() -> dict[str, set[str]]:
    return {kind: {key.key for key in keys_of(load(find_kind(kind).config))} for kind in kind_names()}


def command_lines(page: Path) -> Iterator[str]:
    """Command lines of `lab` in the blocks of shells and in running text."""
    for block in blocks(page):
        if block.language in ("bash", "sh", "console", "text"):
            for line in block.text.replace("\\\n", " ").split("\n"):
                yield from re.findall(r"(?:^|[;&|(] *|\$ |bin/)(lab [^|;&)#]*)", line.split("  #")[0])
    yield from _INLINE.findall(page.read_text(encoding="utf-8"))


def problems(line: str) -> Iterator[str]:
    try:
        words = shlex.split(line.replace("...", ""))[1:]
    except ValueError:
        return
    if not words or not re.fullmatch(r"[a-z-]+", words[0]) or words[0].startswith("-"):
        return
    path = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in by_words()), None)
    if path is None:
        groups = {words_[0] for words_ in by_words() if len(words_) > 1}
        if words[0] not in groups or len(words) > 1:
            yield f"no verb {words[0]!r}"
        return
    known = {name for command in by_words()[path] for parameter in command.parameters for name in parameter.names}
    for word in words[len(path) :]:
        if word.startswith("--") and word.partition("=")[0] not in known | {"--help"}:
            yield f"{' '.join(path)} has no option {word}"
    rest = [word for word in words[len(path) :] if not word.startswith("-")]
    if path[0] not in ("train", "config", "submit", "sweep", "find-lr", "resume"):
        return
    preset = rest[0] if rest else ""
    kinds = kind_names()
    if "/" in preset and not preset.endswith((".yaml", "/")) and path[0] != "resume":
        if preset not in presets.preset_names():
            yield f"no preset {preset!r}"
            return
        kinds = [str(presets.resolve(preset)["kind"])]
    for word in rest[1:]:
        key = word.partition("=")[0]
        if _OVERRIDE.fullmatch(word) and not any(key in keys_by_kind()[kind] for kind in kinds):
            if not any(key.startswith(prefix) for prefix in ("game.options.", "training.batch_sizes.")):
                yield f"no key {key!r}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.name))
def test_command_lines_are_valid(page: Path) -> None:
    found = [f"{line}: {problem}" for line in command_lines(page) for problem in problems(line)]
    assert not found, "\n".join(found)
