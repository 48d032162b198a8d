"""Letter-to-sound rules learned from a lexicon, for words that no lexicon has.

Every letter stands for 0, 1 or 2 phones; which, is found by expectation maximisation over the words (Black, Lenzo and
Pagel 1998, section 2). The phones of a letter are then looked up by the letter and as many neighbours as were seen in
training, the most telling neighbours first: the decision tree of Daelemans and van den Bosch (1996, IGTree), pruned.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lab.errors import UserError
from lab.speech.phones import numbers_of

Phones = tuple[str, ...]
_OFFSETS = (0, 1, -1, 2, -2, 3, -3)  # of the letters that are looked at, in this order
_EDGE = "_"
_ROUNDS = 3
_MOST = 2  # phones of a letter
_UNSEEN = 1e-4


class LetterRules(NamedTuple):
    """Contexts and their phones; a context is a letter followed by its neighbours in the order of `_OFFSETS`."""

    phones: Mapping[str, Phones]

    def pronounce(self, word: str) -> Phones:
        """Phones of a word; other characters than the letters a to z and ' are passed over."""
        letters = "".join(letter for letter in word.lower() if letter in "abcdefghijklmnopqrstuvwxyz'")
        found: list[str] = []
        for place in range(len(letters)):
            found += _deepest(self.phones, _context(letters, place))
        return tuple(found)

    def text(self) -> str:
        """One rule on each line, context|phones."""
        return "".join(f"{context}|{' '.join(phones)}\n" for context, phones in sorted(self.phones.items()))


def parse_rules(text: str) -> LetterRules:
    """The inverse of `LetterRules.text`. Raises UserError."""
    found: dict[str, Phones] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        context, separator, phones = line.partition("|")
        if not separator or not 1 <= len(context) <= len(_OFFSETS):
            raise UserError(f"letter-to-sound rules, line {number}: give context|phones")
        found[context] = tuple(phones.split())
        numbers_of(found[context], f"letter-to-sound rules, line {number}")
    return LetterRules(found)


def learn(lexicon: Mapping[str, Sequence[str]]) -> LetterRules:
    """Rules of a lexicon; words that cannot be aligned, such as abbreviations, are passed over."""
    words = [(word, tuple(phones)) for word, phones in sorted(lexicon.items()) if _can_align(word, phones)]
    scores = _first_scores(words)
    parts: list[list[Phones]] = []
    for _ in range(_ROUNDS):
        parts = [_align(word, phones, scores) for word, phones in words]
        scores = _scores_of([(word, part) for (word, _), part in zip(words, parts, strict=True)])
    counts: list[defaultdict[str, Counter[Phones]]] = [defaultdict(Counter) for _ in _OFFSETS]
    for (word, _), part in zip(words, parts, strict=True):
        for place, phones in enumerate(part):
            context = _context(word, place)
            for depth, table in enumerate(counts, start=1):
                table[context[:depth]][phones] += 1
    rules: dict[str, Phones] = {}
    for table in counts:  # from the letter alone to all its neighbours
        for context, counter in table.items():
            best = min(counter, key=lambda phones: (-counter[phones], phones))
            if len(context) == 1 or best != _deepest(rules, context):
                rules[context] = best
    return LetterRules(rules)


def _can_align(word: str, phones: Sequence[str]) -> bool:
    return word.isascii() and word.replace("'", "").isalpha() and 0 < len(phones) <= _MOST * len(word)


def _context(letters: str, place: int) -> str:
    return "".join(letters[place + offset] if 0 <= place + offset < len(letters) else _EDGE for offset in _OFFSETS)


def _deepest(rules: Mapping[str, Phones], context: str) -> Phones:
    for depth in range(len(context), 0, -1):
        found = rules.get(context[:depth])
        if found is not None:
            return found
    return ()


_Scores = dict[tuple[str, Phones], float]


def _first_scores(words: Sequence[tuple[str, Phones]]) -> _Scores:
    """Letters and phones that occur at similar places in words belong together."""
    pairs: list[tuple[str, list[Phones]]] = []
    for word, phones in words:
        part: list[Phones] = []
        for place in range(len(word)):
            near = place * len(phones) // len(word)
            part.append((phones[near],))
        pairs.append((word, part))
    return _scores_of(pairs)


def _scores_of(aligned: Sequence[tuple[str, Sequence[Phones]]]) -> _Scores:
    """Log-probability of phones given a letter."""
    counts: Counter[tuple[str, Phones]] = Counter()
    letters: Counter[str] = Counter()
    for word, part in aligned:
        letters.update(word)
        counts.update(zip(word, part, strict=True))
    return {pair: math.log(count / letters[pair[0]]) for pair, count in counts.items()}


def _align(word: str, phones: Phones, scores: _Scores) -> list[Phones]:
    """The phones of each letter on the most probable path."""
    unseen = math.log(_UNSEEN)
    size = len(phones)
    best = [0.0] + [-math.inf] * size
    back: list[list[int]] = []
    for letter in word:
        following, taken = [-math.inf] * (size + 1), [0] * (size + 1)
        for end in range(size + 1):
            for count in range(min(_MOST, end) + 1):
                before = best[end - count]
                if before == -math.inf:
                    continue
                # An unseen pair of phones is rarer than an unseen phone, and so is a silent letter.
                score = before + scores.get((letter, phones[end - count : end]), unseen * (1.0 if count == 1 else 1.2))
                if score > following[end]:
                    following[end], taken[end] = score, count
        best = following
        back.append(taken)
    parts: list[Phones] = []
    end = size
    for taken in reversed(back):
        parts.append(phones[end - taken[end] : end])
        end -= taken[end]
    return parts[::-1]
