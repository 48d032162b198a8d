"""Hashed n-grams of an essay: of its words, of its characters and of the skeletons of its sentences.

A skeleton keeps function words and punctuation; of any other word it keeps the last three letters, whether it is
capitalised, and whether few other essays use it. Its n-grams tell constructions apart without a tagger. Bins are chosen
by a hash (Weinberger et al. 2009, "Feature hashing for large scale multitask learning"); each family has its own.
"""

import zlib
from collections.abc import Iterable, Sequence

import numpy as np

from lab.grading.known_words import KnownWords
from lab.grading.text import Sentence, is_word

FAMILIES = ("words", "characters", "skeletons")
_ORDERS = {"words": (1, 2, 3), "characters": (2, 3, 4, 5), "skeletons": (1, 2, 3)}
_FEW = 2  # other essays: a word of these is marked as rare
_SHORT = 4  # letters
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


def ngram_bins(
    text: str, sentences: Sequence[Sentence], known: KnownWords, bits: int, *, own: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Bins int64 [K], increasing, and how often each occurs, float64 [K].

    A family has 2**bits bins, after those of the families before it in `FAMILIES`.
    """
    codes = {
        "words": _hashes(token.lower() for sentence in sentences for token in sentence.tokens),
        "characters": np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64),
        "skeletons": _hashes(_skeleton(sentences, known, own=own)),
    }
    found = [
        _hashed(codes[family], order, bits) + (number << bits)
        for number, family in enumerate(FAMILIES)
        for order in _ORDERS[family]
    ]
    bins, counts = np.unique(np.concatenate(found), return_counts=True)
    return bins, counts.astype(np.float64)


def _skeleton(sentences: Sequence[Sentence], known: KnownWords, *, own: bool) -> Iterable[str]:
    for sentence in sentences:
        if sentence.new_paragraph:
            yield "¶"
        for token in sentence.tokens:
            word = token.lower()
            if word in known.function or not is_word(token):
                yield token if word == "i" else word
                continue
            rare = "?" if known.others(word, own=own) <= _FEW else ""
            ending = word[-3:] if len(word) > _SHORT else "short"
            yield f"{'A' if token[0].isupper() else 'a'}{rare}-{ending}"


def _hashes(tokens: Iterable[str]) -> np.ndarray:
    return np.fromiter((zlib.crc32(token.encode("utf-8", "surrogatepass")) for token in tokens), np.uint64)


def _hashed(codes: np.ndarray, order: int, bits: int) -> np.ndarray:
    """The bin int64 of each n-gram of codes uint64 [T]."""
    count = len(codes) - order + 1
    if count <= 0:
        return np.zeros(0, np.int64)
    value = np.full(count, order, np.uint64)
    for at in range(order):
        value = (value ^ codes[at : at + count]) * _FACTOR  # wraps
        value ^= value >> np.uint64(29)
    value *= _MIX
    return (value >> np.uint64(64 - bits)).astype(np.int64)
