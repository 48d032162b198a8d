"""Sentences and words of an essay, with their places in the text."""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

MOST_WORDS = 60
"""Tokens of a sentence; a longer one, as in a text without full stops, is read in parts."""

_TOKEN = re.compile(r"[^\W\d_]+(?:['’`´][^\W\d_]+)*|\d+|[^\w\s]|_")
_END = re.compile(r"[.!?…。！？]+[\"'”’)\]]*(?=\s)|\n+")
_APOSTROPHES = str.maketrans("’`´", "'''")


class Sentence(NamedTuple):
    """A part text[start:end] of an essay. tokens: its words and punctuation marks; new_paragraph: it begins one."""

    start: int
    end: int
    tokens: tuple[str, ...]
    new_paragraph: bool


def cleaned(text: str) -> str:
    """The text in the form in which it is counted: composed letters, line breaks of one kind, nothing around it.

    An essay is then graded alike whether it comes from a table, a file or a program.
    """
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def sentences_of(text: str) -> list[Sentence]:
    """The sentences of a text in order; parts without a token are left out."""
    found: list[Sentence] = []
    start, opens = 0, True
    for end, breaks in _ends(text):
        tokens = [(match.start() + start, match.group()) for match in _TOKEN.finditer(text[start:end])]
        for first in range(0, len(tokens), MOST_WORDS):
            part = tokens[first : first + MOST_WORDS]
            stop = tokens[first + MOST_WORDS][0] if first + MOST_WORDS < len(tokens) else end
            words = tuple(token.translate(_APOSTROPHES) for _, token in part)
            found.append(Sentence(part[0][0], stop, words, opens))
            opens = False
        opens = opens or breaks
        start = end
    return found


def is_word(token: str) -> bool:
    return token[0].isalpha()


def words_of(sentences: Sequence[Sentence]) -> list[str]:
    """The words of an essay as they are written."""
    return [token for sentence in sentences for token in sentence.tokens if is_word(token)]


def script_of(words: Sequence[str]) -> str:
    """The script of most letters, such as LATIN or CYRILLIC; "" without letters."""
    counts: dict[str, int] = {}
    for letter in "".join(words):
        name = unicodedata.name(letter, "").split(" ")[0].split("-")[0]
        counts[name] = counts.get(name, 0) + 1
    return max(counts, key=lambda name: (counts[name], name)) if counts else ""


def _ends(text: str) -> list[tuple[int, bool]]:
    """The end of each sentence, and whether a new line follows."""
    ends = [(match.end(), match.group().startswith("\n")) for match in _END.finditer(text)]
    return ends if ends and ends[-1][0] == len(text) else [*ends, (len(text), False)]
