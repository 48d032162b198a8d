"""Vocabularies: from text to token ids and back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lab.errors import UserError

PAD, END = 0, 1
"""Ids of the special tokens: padding, which is also the start token of decoders, and the end of a sequence."""
FIRST = 2
"""Id of the first token of a vocabulary."""
UNKNOWN = "<unknown>"
"""The token of all words that an open vocabulary does not have; its first."""
_MARKS = '.,;:!?"()[]{}'


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their ids, which start at `FIRST`: words separated by spaces, or characters.

    is_open: words are in lower case without the punctuation around them, and others than `tokens` are `UNKNOWN`.
    """

    tokens: tuple[str, ...]
    words: bool = False
    is_open: bool = False

    def __len__(self) -> int:
        """Number of ids, padding and end included."""
        return FIRST + len(self.tokens)

    @classmethod
    def from_texts(cls, texts: Iterable[str], words: bool = False, is_open: bool = False) -> "Vocabulary":
        """All tokens that occur, sorted."""
        found = sorted({token for text in texts for token in split_tokens(text, words, is_open)})
        return cls((UNKNOWN, *found) if is_open else tuple(found), words, is_open)

    def encode(self, text: str, what: str = "the input") -> list[int]:
        """Ids of a text's tokens. Raises UserError for an unknown token; `what` names the text in it."""
        tokens = split_tokens(text, self.words, self.is_open)
        if self.is_open:
            return [self._ids.get(token, FIRST) for token in tokens]
        try:
            return [self._ids[token] for token in tokens]
        except KeyError as error:
            unit = "word" if self.words else "character"
            raise UserError(f"{what}: the {unit} {error.args[0]!r} is unknown; known are {self._listing()}") from None

    def normalize(self, text: str) -> str:
        """The text with one space between words: equal for all texts with the same tokens."""
        return self._space.join(split_tokens(text, self.words, self.is_open))

    def decode(self, ids: Sequence[int]) -> str:
        """The text up to the first end, without padding."""
        kept = ids[: ids.index(END)] if END in ids else ids
        return self._space.join(self.tokens[index - FIRST] for index in kept if index >= FIRST)

    @property
    def _space(self) -> str:
        return " " if self.words else ""

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens, start=FIRST)}

    def _listing(self) -> str:
        most = 8 if self.words else 100
        shown = ", ".join(self.tokens[:most]) if self.words else repr("".join(self.tokens[:most]))
        return shown + (", ..." if len(self.tokens) > most else "")


def split_tokens(text: str, words: bool, is_open: bool = False) -> Sequence[str]:
    """Words or characters of a text.

    is_open: words in lower case without the punctuation around them; one that is all punctuation is kept.
    """
    if not words:
        return text
    found = text.split()
    return [word.strip(_MARKS) or word for word in map(str.lower, found)] if is_open else found


def pad_rows(rows: Sequence[Sequence[int]], width: int | None = None) -> Tensor:
    """Rows of ids as int64 [N, width], padded at the end; width: by default the length of the longest row."""
    table = torch.full((len(rows), width or max((len(row) for row in rows), default=0)), PAD)
    for number, row in enumerate(rows):
        table[number, : len(row)] = torch.tensor(row, dtype=torch.int64)
    return table
