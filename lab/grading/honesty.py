"""Tests of what a grader relies on: pairs of essays of equal length, and sentences in random order."""

from collections.abc import Sequence

import numpy as np

from lab.grading.encoding import random_order
from lab.grading.text import sentences_of

_NEAR = 1.05  # largest ratio of the lengths of a pair
_NEIGHBOURS = np.arange(-8, 8)  # by length, among which an essay's partner is looked for


def length_matched(words: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Pairs int64 [P, 2] of essays whose numbers of words differ by at most 5%, the second with the higher score.

    Each essay is in one pair at most. Pairs are of the lower and the upper half by score, the nearest lengths first:
    the longer ones are then the better ones about as often as not.
    """
    middle = np.median(truth)
    lower, upper = (np.flatnonzero(half) for half in (truth < middle, truth > middle))
    if min(len(lower), len(upper)) == 0 or len(lower) + len(upper) < len(truth) / 2:  # most have the middle score
        lower, upper = np.flatnonzero(truth <= middle), np.flatnonzero(truth > middle)
    lower = lower[np.argsort(words[lower], kind="stable")]
    if not len(lower):
        return np.zeros((0, 2), np.int64)
    places = np.searchsorted(words[lower], words[upper])[:, None] + _NEIGHBOURS
    low, high = lower[np.clip(places, 0, len(lower) - 1)].ravel(), upper.repeat(len(_NEIGHBOURS))
    near = np.maximum(words[low], words[high]) <= _NEAR * np.minimum(words[low], words[high])
    distances = np.where(near, np.abs(words[low] - words[high]), np.iinfo(np.int64).max)
    pairs: list[tuple[int, int]] = []
    used: set[int] = set()
    for at in np.argsort(distances, kind="stable")[: int(near.sum())]:
        if low[at] not in used and high[at] not in used:
            pairs.append((low[at], high[at]))
            used |= {low[at], high[at]}
    return np.array(pairs, np.int64).reshape(-1, 2)


def pairs_in_order(pairs: np.ndarray, predictions: np.ndarray) -> float | None:
    """Fraction of pairs whose second essay has the higher prediction; ties count one half, 0.5 is chance. None without
    pairs."""
    if not len(pairs):
        return None
    differences = predictions[pairs[:, 1]] - predictions[pairs[:, 0]]
    return float((differences > 0.0).mean() + 0.5 * (differences == 0.0).mean())


def in_random_order(text: str, seed: int, number: int) -> str:
    """The text with its sentences in random order; paragraphs begin where they did. number: of the essay."""
    sentences = sentences_of(text)
    parts = [text[one.start : one.end].strip() for one in sentences]
    order = random_order(len(parts), seed, number)
    found = ""
    for sentence, index in zip(sentences, order, strict=True):
        found += ("" if not found else "\n\n" if sentence.new_paragraph else " ") + parts[index]
    return found


def words_in(texts: Sequence[str]) -> np.ndarray:
    """Numbers of words int64 [N]."""
    return np.array([sum(token[0].isalpha() for s in sentences_of(text) for token in s.tokens) for text in texts])
