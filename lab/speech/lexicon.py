"""Pronunciations as the teacher speaks them within sentences, and made-up words that show its letter-to-sound rules."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from lab.speech.phones import PAUSE

Phones = tuple[str, ...]
_REMEMBERED = (1, 2, 3)  # letters
_LONGEST = 16


def words_in(text: str) -> list[str]:
    """The words of a normalised text, without punctuation."""
    return [word for part in text.split() if (word := part.strip(".,;:!?"))]


def split_by_word(spoken: Sequence[str], words: Sequence[Phones]) -> list[Phones]:
    """Phones of a sentence, without pauses -> those of each word, whose isolated pronunciations are `words`.

    The alignment with the fewest insertions, deletions and substitutions (Levenshtein 1966); an inserted phone belongs
    to the word before it.
    """
    expected = [(index, phone) for index, phones in enumerate(words) for phone in phones]
    rows, columns = len(expected), len(spoken)
    cost = [[max(i, j) if not i or not j else 0 for j in range(columns + 1)] for i in range(rows + 1)]
    for i in range(1, rows + 1):
        row, above, phone = cost[i], cost[i - 1], expected[i - 1][1]
        for j in range(1, columns + 1):
            row[j] = min(above[j - 1] + (phone != spoken[j - 1]), above[j] + 1, row[j - 1] + 1)
    parts: list[list[str]] = [[] for _ in words]
    i, j = rows, columns
    while j:
        if i and cost[i][j] == cost[i - 1][j - 1] + (expected[i - 1][1] != spoken[j - 1]):
            i, j = i - 1, j - 1
            parts[expected[i][0]].append(spoken[j])
        elif i and cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
            parts[expected[max(i - 1, 0)][0]].append(spoken[j])
    return [tuple(reversed(part)) for part in parts]


def in_sentences(sentences: Iterable[tuple[str, Sequence[str]]], isolated: Mapping[str, Phones]) -> dict[str, Phones]:
    """The most frequent pronunciation of each word within sentences, pairs of a text in words and its phones.

    A sentence with a word that `isolated` lacks is passed over.
    """
    counts: dict[str, Counter[Phones]] = {}
    for text, phones in sentences:
        words = words_in(text)
        if not all(word in isolated for word in words):
            continue
        spoken = [phone for phone in phones if phone != PAUSE]
        parts = split_by_word(spoken, [isolated[word] for word in words])
        for word, part in zip(words, parts, strict=True):
            if part:
                counts.setdefault(word, Counter())[part] += 1
    return {word: counter.most_common(1)[0][0] for word, counter in counts.items()}


def made_up_words(words: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """Words that look like `words`: each letter drawn by the one, two or three before it. At most `count`, different.

    The less is remembered, the more pairs of letters come up that `words` lack.
    """
    follow: dict[str, list[str]] = {}
    for word in sorted(set(words)):
        padded = f"^^^{word}$"
        for place in range(3, len(padded)):
            for length in _REMEMBERED:
                follow.setdefault(padded[place - length : place], []).append(padded[place])
    draw, found = random.Random(seed), dict.fromkeys(words)
    known = len(found)
    for _ in range(20 * count):
        length, letters = draw.choice(_REMEMBERED), "^^^"
        while len(letters) < _LONGEST and (letter := draw.choice(follow[letters[-length:]])) != "$":
            letters += letter
        if 3 <= len(letters) - 3 < _LONGEST - 3 and "'" not in letters:
            found[letters[3:]] = None
        if len(found) - known >= count:
            break
    return list(found)[known:]
