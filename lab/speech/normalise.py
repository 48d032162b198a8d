"""Text normalisation: numbers, money, dates, times, abbreviations and symbols as words that can be spoken.

What neither the rules nor the table of symbols know is left out and named.
"""

import logging
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lab.speech.numbers_in_words import cardinal, digits
from lab.speech.reading_rules import RULES

_log = logging.getLogger(__name__)
_SYMBOLS = {
    **{"&": "and", "%": "percent", "@": "at", "+": "plus", "=": "equals", "<": "less than", ">": "greater than"},
    **{"#": "number", "°": "degrees", "×": "times", "÷": "divided by", "±": "plus or minus", "©": "copyright"},
    **{"™": "trademark", "®": "registered", "§": "section", "½": "one half", "¼": "one quarter", "~": "about"},
    **{"¾": "three quarters", "µ": "micro", "π": "pi", "≈": "about", "²": "squared", "³": "cubed", "*": "times"},
    **{"≤": "at most", "≥": "at least", "√": "square root of", "∞": "infinity", "→": "to", "^": "to the power"},
}
_QUIET = set("'\"`()[]{}|\\/_-‐‑‒–—―…„“”‘’«»‹›·•¿¡")  # punctuation that is not read out
_SPOKEN_PUNCTUATION = ".,;:!?"
_ROMAN = re.compile(
    r"\b(?<=[a-z] )(?:X{1,2}(?:IX|IV|V?I{0,3})|IX|IV|VI{0,3}|I{1,3})\b(?<![a-z] [IVX])"  # one letter is a letter,
    r"|(?i:(?<=\bwar )|(?<=\bpart )|(?<=\bact )|(?<=\bchapter )|(?<=\bvolume ))[IVX]\b"  # but after these
)


@dataclass(frozen=True)
class Normalised:
    """Words with the punctuation . , ; : ! ? between them, lower case; unread: characters that were left out."""

    text: str
    unread: tuple[str, ...]


def normalise(text: str) -> Normalised:
    """A text as it is spoken: "Dr. Lee paid $5." -> "doctor lee paid five dollars."; nothing is logged."""
    text = " ".join(unicodedata.normalize("NFC", text).replace("’", "'").replace("‘", "'").split())
    text = _ROMAN.sub(lambda found: cardinal(_roman(found[0])), text)
    text = _acronyms(text)
    text = re.sub(r"\s*(?:--+|[–—―]|\s-\s|\.{3,}|…)\s*", ", ", text)
    for pattern, words in RULES:
        text = pattern.sub(partial(_spaced, words), text)
    return _readable(text.lower())


def spoken(text: str, what: str = "the text") -> str:
    """`normalise`, with one warning that names what was left out."""
    found = normalise(text)
    if found.unread:
        shown = " ".join(_named(character) for character in found.unread[:8])
        more = f" and {len(found.unread) - 8} more" if len(found.unread) > 8 else ""
        _log.warning(f"{what}: cannot be read out and is left out: {shown}{more}")
    return found.text


def _named(character: str) -> str:
    return f"{character} ({unicodedata.name(character, f'U+{ord(character):04X}').lower()})"


def _readable(text: str) -> Normalised:
    """Letters, apostrophes and punctuation alone; letters with accents lose them, the rest is named."""
    unread: dict[str, None] = {}
    kept: list[str] = []
    for character in text:
        if character in _SYMBOLS:
            kept.append(f" {_SYMBOLS[character]} ")
        elif character in "abcdefghijklmnopqrstuvwxyz' " + _SPOKEN_PUNCTUATION:
            kept.append(character)
        elif character in "0123456789":
            kept.append(f" {digits(character)} ")
        elif character in _QUIET or character.isspace():
            kept.append(" ")
        else:
            plain = _without_accents(character)
            kept.append(plain or " ")
            if not plain:
                unread[character] = None
    joined = re.sub(r"(?<![a-z])'+|'+(?![a-z])", " ", "".join(kept))
    joined = re.sub(r"\s*[.,;:!?][\s.,;:!?]*", _one_mark, " ".join(joined.split()))
    joined = re.sub(r"^[\s.,;:!?]+", "", joined)
    return Normalised(" ".join(joined.split()), tuple(unread))


def _one_mark(found: re.Match[str]) -> str:
    """Of several marks the first that ends a sentence, else the first."""
    marks = found[0].replace(" ", "")
    return next((mark for mark in marks if mark in ".!?"), marks[0]) + " "


_LIGATURES = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "þ": "th", "ð": "d", "ı": "i"}


def _without_accents(character: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c)).lower()
    plain = "".join(_LIGATURES.get(c, c) for c in plain)
    return plain if plain.isascii() and plain.isalpha() else ""


def _acronyms(text: str) -> str:
    """Capitals that are spelled out: "U.S." and, without a vowel or of at most three letters, "NBA", "BBC"."""
    text = re.sub(r"\b(?:[A-Z]\.){2,}", lambda found: _spelled(found[0].replace(".", "")), text)
    if text.isupper():
        return text  # a text in capitals is shouted, not spelled

    def spelled(found: re.Match[str]) -> str:
        word = found[1]
        is_word = len(word) > 3 and re.search("[AEIOUY]", word) and not re.search("[BCDFGHJKLMNPQRSTVWXZ]{4}", word)
        plural = "'s" if found[2] else ""
        return found[0] if is_word else _spelled(word) + plural

    return re.sub(r"\b(?!(?:AM|PM|AD|BC)\b)([A-Z]{2,6})(s?)\b(?!')", spelled, re.sub(r"\b(AM|PM|AD|BC)\b", _pair, text))


def _pair(found: re.Match[str]) -> str:
    return _spelled(found[0])


def _spelled(letters: str) -> str:
    """Letters one by one; A as the word "ay", since "a" is an article."""
    return " ".join("ay" if letter in "aA" else letter for letter in letters)


def _spaced(words: Callable[[re.Match[str]], str], found: re.Match[str]) -> str:
    return f" {words(found)} "


def _roman(text: str) -> int:
    values = [{"I": 1, "V": 5, "X": 10}[letter] for letter in text]
    after = [*values[1:], 0]
    return sum(-value if value < following else value for value, following in zip(values, after, strict=True))
