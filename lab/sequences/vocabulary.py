"""From text to the numbers that networks read, and back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lab.errors import UserError

PAD, END = 0, 1
"""Tokens that are no symbols: padding, which a decoder also reads before it has written anything, and the end."""
_SPECIAL = 2


@dataclass(frozen=True)
class Symbols:
    """The symbols of a text, numbered from 2 in their order; `words` are separated by spaces, characters by nothing."""

    names: tuple[str, ...]
    words: bool = False

    def __len__(self) -> int:
        """How many tokens there are, padding and end included."""
        return _SPECIAL + len(self.names)

    @classmethod
    def of(cls, texts: Iterable[str], words: bool = False) -> "Symbols":
        """Those that occur, sorted."""
        return cls(tuple(sorted({symbol for text in texts for symbol in divide(text, words)})), words)

    def encode(self, text: str, what: str = "the input") -> list[int]:
        """Tokens of a text; `what` names it in a UserError for a symbol that is not among these."""
        try:
            return [self._tokens[symbol] for symbol in divide(text, self.words)]
        except KeyError as error:
            unit = "word" if self.words else "character"
            raise UserError(f"{what}: the {unit} {error.args[0]!r} is unknown; known are {self._shown()}") from None

    def normal(self, text: str) -> str:
        """A text as it is seen: equal where the symbols are, however many spaces there are between words."""
        return self._space.join(divide(text, self.words))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text up to the first end; padding is nothing."""
        kept = tokens[: tokens.index(END)] if END in tokens else tokens
        return self._space.join(self.names[token - _SPECIAL] for token in kept if token >= _SPECIAL)

    @property
    def _space(self) -> str:
        return " " if self.words else ""

    @cached_property
    def _tokens(self) -> dict[str, int]:
        return {name: token for token, name in enumerate(self.names, start=_SPECIAL)}

    def _shown(self) -> str:
        most = 8 if self.words else 100
        shown = ", ".join(self.names[:most]) if self.words else repr("".join(self.names[:most]))
        return shown + (", ..." if len(self.names) > most else "")


def divide(text: str, words: bool) -> Sequence[str]:
    """The symbols of a text: its words or its characters."""
    return text.split() if words else text


def padded(rows: Sequence[Sequence[int]], width: int | None = None) -> Tensor:
    """Rows of tokens as int64 [N, width], the longest row unless given, with `PAD` behind."""
    table = torch.full((len(rows), width or max((len(row) for row in rows), default=0)), PAD)
    for number, row in enumerate(rows):
        table[number, : len(row)] = torch.tensor(row, dtype=torch.int64)
    return table
