"""Words as ids: those of the training essays, and one id for all other words of the same ending."""

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lab.grading.text import is_word

PAD = 0
CASES = 3
"""Ways of writing a word: small, Capital, CAPITALS. A token is id * CASES + case."""
_ENDING = 3  # letters
_LEAST = 3  # uses in the training essays that an embedding of its own can be learned from


@dataclass(frozen=True)
class Vocabulary:
    """Ids of words: 0 is padding, then `endings` ids that unknown words share by a hash of their last three letters,
    then `words`, in small letters."""

    words: tuple[str, ...]
    endings: int
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first = 1 + self.endings
        object.__setattr__(self, "_ids", {word: first + index for index, word in enumerate(self.words)})

    def __len__(self) -> int:
        return 1 + self.endings + len(self.words)

    def tokens(self, tokens: Sequence[str]) -> np.ndarray:
        """int32 [T] tokens for words and punctuation marks."""
        return np.array([self._id(token.lower()) * CASES + _case(token) for token in tokens], np.int32)

    def ending_of(self) -> np.ndarray:
        """int64 [V]: for each id that of unknown words of the same ending; their own for these and padding."""
        own = np.arange(1 + self.endings)
        return np.concatenate([own, np.array([self._ending(word) for word in self.words], np.int64)])

    def _id(self, word: str) -> int:
        found = self._ids.get(word)
        return self._ending(word) if found is None else found

    def _ending(self, word: str) -> int:
        return 1 + zlib.crc32(word[-_ENDING:].encode()) % self.endings


def vocabulary_of(essays: Iterable[Sequence[str]], most: int, endings: int) -> Vocabulary:
    """The `most` frequent tokens of the training essays that occur at least three times."""
    counts = Counter(token.lower() for tokens in essays for token in tokens)
    kept = sorted((word for word, count in counts.items() if count >= _LEAST), key=lambda word: (-counts[word], word))
    return Vocabulary(tuple(kept[:most]), endings)


def _case(token: str) -> int:
    if not is_word(token) or not token[0].isupper():
        return 0
    return 2 if len(token) > 1 and token.isupper() else 1
