"""The glossary has every word of the house language, and every entry is where it says."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.docs.pages import DOCS, ROOT, commands_by_words, keys_by_kind, metrics

TERMS = """
MCTS, simulation, visit count, prior, root noise, replay buffer, self-play, actor, learner, policy lag, EMA,
discriminator, critic, FID, KID, precision and recall, gradient accumulation, gradient clipping, learning-rate
schedule, warm-up, mixed precision, data parallel, DDP, all-reduce, rank, checkpoint, early stopping,
hyperparameter, vocabulary, token, perplexity, teacher forcing, beam search, transfer learning, fine-tuning,
data augmentation, population based training, hyperparameter search
"""


class Row(NamedTuple):
    term: str
    meaning: str
    places: list[str]


def glossary() -> Iterator[Row]:
    for line in (DOCS / "glossary.md").read_text(encoding="utf-8").split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 3 and cells[0] not in ("term", "---"):
            yield Row(cells[0], cells[1], re.findall(r"`([^`]+)`", cells[2]))


ROWS = list(glossary())


def plain(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text).lower()


def exists(place: str, term: str) -> bool:
    """Whether a file holds the term, or a key, metric, command or option exists."""
    if place.endswith(".py"):
        return (ROOT / place).is_file() and plain(term) in plain((ROOT / place).read_text(encoding="utf-8"))
    if place.startswith("lab "):
        words = place.split()[1:]
        path, options = tuple(w for w in words if not w.startswith("-")), [w for w in words if w.startswith("-")]
        found = commands_by_words().get(path, [])
        known = {name for command in found for parameter in command.parameters for name in parameter.names}
        return bool(found) and set(options) <= known
    if "/" in place:
        return place in metrics()
    return any(place in keys for keys in keys_by_kind().values())


def test_every_term_is_explained_once() -> None:
    terms = {term.strip() for term in TERMS.replace("\n", " ").split(",")}
    assert terms <= {row.term for row in ROWS}
    assert len(ROWS) == len({row.term for row in ROWS})


@pytest.mark.parametrize("row", ROWS, ids=[row.term for row in ROWS])
def test_an_entry_has_a_meaning_and_is_where_it_says(row: Row) -> None:
    assert row.meaning.endswith(".")
    assert row.places
    assert [place for place in row.places if not exists(place, row.term)] == []
