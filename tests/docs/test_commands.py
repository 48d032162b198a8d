"""Every command line in the pages names verbs, options, presets and keys that exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.config import presets
from lab.config.registry import kind_names
from tests.docs.pages import ROOT, blocks, commands_by_words, keys_by_kind, metrics, pages

GROUPS = "loss|train|eval|rollout|selfplay|replay|stage|cluster|time|system"
NEW_METRICS = {"train/weight_norm"}  # that a page adds
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
# Lines that show a mistake, or a verb that the page adds.
INTENDED = {"lab weigh", "lab train alphazero/connect_four search.simulatons=64"}
_INLINE = re.compile(r"`(lab [^`]+)`")
_OVERRIDE = re.compile(r"[a-z_]+(\.[a-z_0-9]+)*=.*")


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
    path = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in commands_by_words()), None)
    if path is None:
        groups = {words_[0] for words_ in commands_by_words() if len(words_) > 1}
        if words[0] not in groups or len(words) > 1:
            yield f"no verb {words[0]!r}"
        return
    known = {
        name for command in commands_by_words()[path] for parameter in command.parameters for name in parameter.names
    }
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
        known_key = key.startswith("game.options.") or any(key in keys_by_kind()[kind] for kind in kinds)
        if _OVERRIDE.fullmatch(word) and not known_key:
            yield f"no key {key!r}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.name))
def test_command_lines_are_valid(page: Path) -> None:
    lines = [line.strip() for line in command_lines(page) if line.strip() not in INTENDED]
    found = [f"{line}: {problem}" for line in lines for problem in problems(line)]
    assert not found, "\n".join(found)


def is_missing(code: str) -> bool:
    """Whether inline code names a key, metric, file or preset that does not exist."""
    name = code.partition("=")[0]
    keys: set[str] = set().union(*keys_by_kind().values())
    sections = {key.partition(".")[0] for key in keys if "." in key}
    if re.fullmatch(r"[a-z_]+(\.[a-z_0-9]+)+", name) and name.partition(".")[0] in sections:
        is_file = name.endswith((".py", ".yaml", ".json", ".png"))
        return not (is_file or name.startswith("game.options") or any(key.startswith(name) for key in keys))
    if re.fullmatch(rf"({GROUPS})/[a-z_0-9]+", code):
        return code not in metrics() | NEW_METRICS and not (ROOT / code).exists()
    if re.fullmatch(r"(alphazero|ppo|progressive_gan|series_gan|sequences|supervised|vocoder)/\w+", code):
        return code not in presets.preset_names()
    is_path = re.fullmatch(r"(lab|agents|gans|cluster|examples|tests)/[\w/.-]+", code)
    return bool(is_path) and "NAME" not in code and not (ROOT / code).exists()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.name))
def test_keys_metrics_and_files_exist(page: Path) -> None:
    assert [code for code in _CODE.findall(page.read_text(encoding="utf-8")) if is_missing(code)] == []
