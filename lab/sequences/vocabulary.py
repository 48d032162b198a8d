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


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their ids, which start at `FIRST`: words separated by spaces, or characters."""

    tokens: tuple[str, ...]
    words: bool = False

    def __len__(self) -> int:
        """Number of ids, padding and end included."""
        return FIRST + len(self.tokens)

    @classmethod
    def from_texts(cls, texts: Iterable[str], words: bool = False) -> "Vocabulary":
        """All tokens that occur, sorted."""
        return cls(tuple(sorted({token for text in texts for token in split_tokens(text, words)})), words)

    def encode(self, text: str, what: str = "the input") -> list[int]:
        """Ids of a text's tokens. Raises UserError for an unknown token; `what` names the text in it."""
        try:
            return [self._ids[token] for token in split_tokens(text, self.words)]
        except KeyError as error:
            unit = "word" if self.words else "character"
            raise UserError(f"{what}: the {unit} {error.args[0]!r} is unknown; known are {self._listing()}") from None

    def normalize(self, text: str) -> str:
        """The text with one space between words: equal for all texts with the same tokens."""
        return self._space.join(split_tokens(text, self.words))

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


def split_tokens(text: str, words: bool) -> Sequence[str]:
    """Words or characters of a text."""
    return text.split() if words else text


def pad_rows(rows: Sequence[Sequence[int]], width: int | None = None) -> Tensor:
    """Rows of ids as int64 [N, width], padded at the end; width: by default the length of the longest row."""
    table = torch.full((len(rows), width or max((len(row) for row in rows), default=0)), PAD)
    for number, row in enumerate(rows):
        table[number, : len(row)] = torch.tensor(row, dtype=torch.int64)
    return table
