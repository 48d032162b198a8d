"""Words that the training essays use, and in how many of them: what no other writer uses is often misspelt."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FUNCTION_WORDS = 150
"""The most frequent words of the training essays stand for themselves in the skeleton of a sentence."""


@dataclass(frozen=True)
class KnownWords:
    """uses: training essays with a word, at least 2, by the word in small letters. function: the most frequent."""

    uses: Mapping[str, int]
    function: frozenset[str]

    def others(self, word: str, *, own: bool) -> int:
        """Training essays with a word; own: without the essay that is looked at, which is one of them."""
        return max(self.uses.get(word, 1 if own else 0) - own, 0)


def known_words_of(essays: Sequence[Sequence[str]]) -> KnownWords:
    """From the words of each training essay, in small letters."""
    uses: Counter[str] = Counter()
    frequency: Counter[str] = Counter()
    for words in essays:
        uses.update(set(words))
        frequency.update(words)
    most = sorted(frequency, key=lambda word: (-frequency[word], word))[:FUNCTION_WORDS]
    return KnownWords({word: count for word, count in sorted(uses.items()) if count >= 2}, frozenset(most))
