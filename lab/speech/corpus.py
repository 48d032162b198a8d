"""A folder of recordings with transcripts in the layout of LJSpeech, and the phones of each with their times.

metadata.csv    ID|transcript|transcript in words (the third column may be missing)
wavs/ID.wav
phones.csv      ID|phone:end phone:end ...   ends in seconds; written by the teacher or by an alignment
lexicon.csv     word|phone phone ...         pronunciations
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lab.errors import UserError
from lab.files.durable import replacing
from lab.files.plain import read_regular
from lab.speech.normalise import normalise, spoken
from lab.speech.phones import PAUSE, numbers_of
from lab.speech.teacher import TimedPhone

METADATA, PHONES, LEXICON, WAVS = "metadata.csv", "phones.csv", "lexicon.csv", "wavs"
_LARGEST = 2**28  # bytes of a text file
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True)
class Line:
    """A recording's id, its transcript and the transcript in words."""

    id: str
    text: str
    words: str


def read_lines(folder: Path, *, warn: bool = True) -> list[Line]:
    """metadata.csv, in its order. warn: of what cannot be read out. Raises UserError naming the line."""
    path, found = folder / METADATA, {}
    for number, row in enumerate(_rows(path), start=1):
        where = f"{path}, line {number}"
        if len(row) not in (2, 3):
            raise UserError(f"{where}: it has {len(row)} columns between |, not ID|transcript or ID|transcript|words")
        name, text = row[0].strip().removesuffix(".wav"), row[1].strip()
        if not _ID.fullmatch(name):
            raise UserError(f"{where}: {name!r:.60} names no file; use letters, digits, _ . and -")
        if name in found:
            raise UserError(f"{where}: the id {name} stands twice")
        words = spoken(row[-1], where) if warn else normalise(row[-1]).text
        if not words:
            raise UserError(f"{where}: the transcript has nothing that can be spoken")
        found[name] = Line(name, text, words)
    if not found:
        raise UserError(f"{path} is empty: give ID|transcript on each line")
    return list(found.values())


def is_held_out(words: str, fraction: float) -> bool:
    """Whether a sentence is held out for evaluation, by a hash of its words: one of two, three ... is.

    A voice and a vocoder with the same fraction hold out the same sentences, also of a set that has grown.
    """
    number = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big")
    return number % max(2, round(1.0 / fraction)) == 0


def read_phones(folder: Path) -> dict[str, tuple[TimedPhone, ...]]:
    """phones.csv. Raises UserError naming the line."""
    path = folder / PHONES
    if not path.exists():
        raise UserError(f"{path} is missing, the times of phones; `lab data align {folder}` finds them")
    found: dict[str, tuple[TimedPhone, ...]] = {}
    for number, row in enumerate(_rows(path), start=1):
        where = f"{path}, line {number}"
        try:
            name, timed = row
            pairs = [part.rsplit(":", 1) for part in timed.split()]
            phones = tuple(TimedPhone(phone, float(end)) for phone, end in pairs)
        except ValueError:
            raise UserError(f"{where}: give ID|phone:end phone:end ..., ends in seconds") from None
        numbers_of((phone.phone for phone in phones), where)
        ends = [0.0, *(phone.end_s for phone in phones)]
        if not phones or not all(before < after < 1e6 for before, after in pairwise(ends)):
            raise UserError(f"{where}: the ends of phones must rise")
        found[name] = phones
    return found


def read_lexicon(path: Path) -> dict[str, tuple[str, ...]]:
    """A file of word|phones; without the file no words. Raises UserError naming the line."""
    if not path.exists():
        return {}
    return parse_lexicon(_text(path), str(path))


def parse_lexicon(text: str, name: str) -> dict[str, tuple[str, ...]]:
    """Lines of word|phones. Raises UserError naming the line."""
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{name}, line {number}"
        word, separator, phones = line.partition("|")
        spoken_as = tuple(phones.split())
        if not separator or not word or not spoken_as or PAUSE in spoken_as:
            raise UserError(f"{where}: give word|phone phone ...")
        numbers_of(spoken_as, where)
        found[word.strip().lower()] = spoken_as
    return found


def lexicon_text(lexicon: Mapping[str, Sequence[str]]) -> str:
    """The inverse of `parse_lexicon`, sorted by word."""
    return "".join(f"{word}|{' '.join(phones)}\n" for word, phones in sorted(lexicon.items()))


def write_text(path: Path, lines: Iterable[str]) -> None:
    """Write lines, atomically. Raises UserError."""
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def phones_line(name: str, phones: Sequence[TimedPhone]) -> str:
    """A line of phones.csv."""
    return f"{name}|" + " ".join(f"{phone.phone}:{phone.end_s:.4f}" for phone in phones)


def _rows(path: Path) -> list[list[str]]:
    return [line.split("|") for line in _text(path).splitlines() if line.strip()]


def _text(path: Path) -> str:
    try:
        return read_regular(path, _LARGEST).decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: a folder of recordings has {METADATA} and {WAVS}/ID.wav") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
