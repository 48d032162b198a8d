"""The documentation's pages, their code blocks, and small budgets for running them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab.cli.parameters import Command, commands
from lab.config.keys import keys_of
from lab.config.registry import find_kind, kind_names, load
from lab.run.metrics import LOOP_METRICS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"(<!-- run -->\s*\n)?^( *)```(\w+)[^\n]*\n(.*?)^\2```", re.MULTILINE | re.DOTALL)

SMALL = {
    "alphazero": [
        *(
            "budget=400",
            "selfplay.boards=32",
            "selfplay.moves_per_iteration=8",
            "search.simulations=8",
            "selfplay.cheap_simulations=2",
        ),
        *("replay.min_positions=64", "learner.batch_size=32", "evaluate.simulations=4"),
    ],
    "grading": ["budget=200", "data.size=60", "network.ngram_bits=8"],
    "ppo": ["budget=2000", "evaluate.episodes=2"],
    "progressive_gan": [
        *("budget=512", "growth.fade_images=64", "growth.stable_images=64", "network.fmap_max=8"),
        "training.images_per_iteration=256",
    ],
    "series_gan": ["budget=512"],
    "sequences": ["budget=2000"],
    "speech": ["budget=64"],
    "supervised": ["budget=1000"],
    "vocoder": ["budget=16", "training.windows_per_iteration=16"],
}
"""Overrides by kind under which a block of a tutorial takes seconds."""


@dataclass(frozen=True)
class Block:
    """A fenced code block; `run` marks those that the tests run."""

    language: str
    text: str
    run: bool


def pages() -> list[Path]:
    """All Markdown pages with text written by hand, the README included."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "cluster" / "GUIDE.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page in order."""
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        indent = len(match[2])
        text = "\n".join(line[indent:] for line in match[4].split("\n"))
        yield Block(match[3], text, match[1] is not None)


def shrink(arguments: Sequence[str]) -> list[str]:
    """A command line of `lab` with a small budget, where the command trains or plays many games."""
    from lab.cli.completion import _kind_of
    from lab.config import presets

    words = list(arguments)
    if words[:1] == ["train"]:
        return [*words, *SMALL.get(str(presets.resolve(words[1]).get("kind")), ())]
    if words[:1] == ["arena"]:
        return [*words, "--games", "4", "--simulations", "2"]
    if words[:1] == ["eval"] and _kind_of(words[1]) == "alphazero":
        return [*words, "--simulations", "2"]
    return words


@cache
def commands_by_words() -> dict[tuple[str, ...], list[Command]]:
    """Every command of `lab` by its words; those that depend on the kind have several entries."""
    found: dict[tuple[str, ...], list[Command]] = {}
    for command in commands():
        found.setdefault(command.words, []).append(command)
    return found


@cache
def keys_by_kind() -> dict[str, set[str]]:
    """Configuration keys of every kind."""
    return {kind: {key.key for key in keys_of(load(find_kind(kind).config))} for kind in kind_names()}


@cache
def metrics() -> set[str]:
    """Names of all metrics."""
    return set(LOOP_METRICS).union(*(load(find_kind(kind).catalogue) for kind in kind_names()))
