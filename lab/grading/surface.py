"""Surface features of an essay: counts that need no understanding, such as its length and its unknown words."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lab.grading.known_words import KnownWords
from lab.grading.text import Sentence, words_of

NAMES = (
    "log of the words",
    "log of the different words",
    "different words per root of the words",
    "log of the sentences",
    "words of a sentence, mean",
    "words of a sentence, deviation",
    "log of the longest sentence",
    "letters of a word, mean",
    "letters of a word, deviation",
    "words of 7 letters and more",
    "words of 9 letters and more",
    "commas",
    "full stops",
    "semicolons and colons",
    "apostrophes",
    "quotation marks",
    "question marks",
    "i in small letters",
    "sentences that begin small",
    "marks without a space after them",
    "spaces before a mark",
    "contractions without an apostrophe",
    "log of the paragraphs",
    "words of no other essay",
    "words of two other essays at most",
    "uncommon words",
    "uncommon words among the different ones",
    "function words",
    "repeated words",
    "words used once",
    "different words of 50",
    "and, but, so, because",
    "other connectives",
    "capitals",
    "the most frequent content word",
)
"""The features; those without another unit are per word."""

_SIMPLE = frozenset(("because", "so", "and", "but"))
_CONNECTIVES = frozenset(
    ("however", "therefore", "although", "moreover", "furthermore", "which", "while", "whereas", "since", "despite")
)
_CONTRACTION = re.compile(r"\b(dont|cant|wont|didnt|doesnt|im|ive|thats|isnt|wasnt|youre)\b", re.IGNORECASE)
_UNCOMMON = range(3, 30)  # other essays
_WINDOW, _STRIDE = 50, 10


def surface_features(text: str, sentences: Sequence[Sentence], known: KnownWords, *, own: bool) -> np.ndarray:
    """float64 [len(NAMES)]. own: the essay is one of those that `known` was made from."""
    written = words_of(sentences)
    words = [word.lower() for word in written]
    count = max(1, len(words))
    frequency = Counter(words)
    different = max(1, len(frequency))
    lengths = np.array([sum(token[0].isalpha() for token in s.tokens) for s in sentences] or [0])
    letters = np.array([len(word) for word in words] or [0])
    others = {word: known.others(word, own=own) for word in frequency}
    content = [n for word, n in frequency.items() if word not in known.function and len(word) > 3]
    windows = range(0, max(1, len(words) - _WINDOW + 1), _STRIDE)
    return np.array(
        [
            np.log(count),
            np.log(different + 1),
            different / np.sqrt(count),
            np.log(len(sentences) + 1),
            lengths.mean(),
            lengths.std(),
            np.log1p(lengths.max()),
            letters.mean(),
            letters.std(),
            (letters >= 7).mean(),
            (letters >= 9).mean(),
            text.count(",") / count,
            text.count(".") / count,
            (text.count(";") + text.count(":")) / count,
            (text.count("'") + text.count("’")) / count,
            (text.count('"') + text.count("“")) / count,
            text.count("?") / count,
            written.count("i") / count,
            np.mean([s.tokens[0].islower() for s in sentences] or [False]),
            len(re.findall(r"[,.][^\W\d_]", text)) / count,
            len(re.findall(r"\s[,.]", text)) / count,
            len(_CONTRACTION.findall(text)) / count,
            np.log1p(sum(s.new_paragraph for s in sentences)),
            sum(others[word] == 0 for word in words) / count,
            sum(others[word] <= 2 for word in words) / count,
            sum(others[word] in _UNCOMMON for word in words) / count,
            sum(others[word] in _UNCOMMON for word in frequency) / different,
            sum(word in known.function for word in words) / count,
            sum(one == two for one, two in pairwise(words)) / count,
            sum(n == 1 for n in frequency.values()) / different,
            np.mean([len(set(words[at : at + _WINDOW])) for at in windows]),
            sum(frequency[word] for word in _SIMPLE) / count,
            sum(frequency[word] for word in _CONNECTIVES) / count,
            sum(word[0].isupper() for word in written) / count,
            max(content, default=0) / count,
        ]
    )
