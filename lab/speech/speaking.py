"""A set of recordings spoken by the teacher: waves, transcripts, phones with their times, a lexicon."""

import random
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from lab.audio.wav import write_wav
from lab.errors import UserError
from lab.files.durable import remove
from lab.files.plain import read_regular
from lab.speech import corpus, teacher
from lab.speech.corpus import Line
from lab.speech.lexicon import in_sentences, made_up_words, words_in
from lab.speech.normalise import normalise, spoken
from lab.speech.pronounce import dictionary
from lab.speech.sentences import sentences
from lab.speech.teacher import TimedPhone

_LARGEST = 2**28
_MOST = 100_000  # sentences
_FROM_DICTIONARY = 20_000  # words for the letter-to-sound rules
_MADE_UP = 12_000  # in place of a dictionary
_WORD = re.compile(r"(?<![\w.'`])[a-z]{3,14}(?![\w(_.'`=])")  # neither a name of Python nor part of one
_NAME = "voice-{:05d}"


def texts_of(source: str, seed: int = 0) -> list[str]:
    """A number -> that many sentences of the grammar; a file -> its lines that are not blank. Raises UserError."""
    if source.isascii() and source.isdigit():
        count = int(source)
        if not 1 <= count <= _MOST:
            raise UserError(f"{source} sentences are out of range: 1 to {_MOST:,}")
        return sentences(count, seed)
    try:
        lines = read_regular(Path(source), _LARGEST).decode("utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(f"{source} is neither a number of sentences nor a file of texts, one a line") from None
    except UnicodeDecodeError:
        raise UserError(f"{source} is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{source} cannot be read: {error.strerror or error}") from None
    found = [line.strip().replace("|", " ") for line in lines if line.strip()]
    if not found:
        raise UserError(f"{source} is empty: give a text on each line")
    return found


def make_set(
    texts: Sequence[str],
    out: Path,
    *,
    voice: str = "slt",
    workers: int = 2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Line]:
    """Speak texts into a folder that is empty or absent; see `lab.speech.corpus` for its files.

    After an error or an interruption nothing is left in the way of the next try. A text without anything that can be
    spoken is an error, since it would be a hole in the numbering. Raises UserError.
    """
    teacher.check_voice(voice)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not an empty folder; give another name, or remove it")
    lines = [Line(_NAME.format(i), text, spoken(text, f"text {i}")) for i, text in enumerate(texts, start=1)]
    for number, line in enumerate(lines, start=1):
        if not words_in(line.words):
            raise UserError(f"text {number} has nothing that can be spoken: {line.text!r:.60}; remove it")

    def speak(line: Line) -> tuple[TimedPhone, ...]:
        said = teacher.speak(line.words, voice)
        write_wav(out / corpus.WAVS / f"{line.id}.wav", said.recording.samples, said.recording.rate)
        return said.phones

    phones: dict[str, tuple[TimedPhone, ...]] = {}
    pool, is_new = ThreadPoolExecutor(workers), not out.exists()
    try:
        for line, found in zip(lines, pool.map(speak, lines), strict=True):
            phones[line.id] = found
            progress(len(phones), len(lines))
        corpus.write_text(out / corpus.LEXICON, corpus.lexicon_text(_lexicon(lines, phones)).splitlines())
        corpus.write_text(out / corpus.PHONES, [corpus.phones_line(name, timed) for name, timed in phones.items()])
        corpus.write_text(out / corpus.METADATA, [f"{line.id}|{line.text}|{line.words}" for line in lines])
    except BaseException:
        pool.shutdown(cancel_futures=True)  # waits for those at work: they would write after the removal
        for name in (corpus.WAVS, corpus.LEXICON, corpus.PHONES, corpus.METADATA):
            remove(out / name)
        if is_new:
            with suppress(OSError):
                out.rmdir()
        raise
    pool.shutdown()
    return lines


def _lexicon(lines: Sequence[Line], phones: dict[str, tuple[TimedPhone, ...]]) -> dict[str, tuple[str, ...]]:
    """Words as spoken in the sentences, numbers and letters, and others for the letter-to-sound rules."""
    words = sorted({word for line in lines for word in words_in(line.words)})
    isolated = teacher.pronounce(words)
    pairs = [(line.words, [phone.phone for phone in phones[line.id]]) for line in lines]
    counting = teacher.pronounce([*"bcdefghjklmnopqrstuvwxyz", *words_in(normalise(_COUNTING).text)])
    return words_for_rules(words) | counting | isolated | in_sentences(pairs, isolated)


def words_for_rules(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Words that show how letters sound: of the CMU dictionary where it is installed, else as the teacher says them.

    Those are the words of Python's own manual, and made-up ones that look like them and like `words`.
    """
    known = {word: phones for word, phones in dictionary().items() if word.isalpha() and len(word) > 2}
    if known:
        chosen = random.Random(0).sample(sorted(known), min(_FROM_DICTIONARY, len(known)))
        return {word: known[word] for word in chosen}
    from pydoc_data.topics import topics

    manual = set(_WORD.findall(" ".join(topics.values())))
    real = sorted(manual | {word for word in words if word.isalpha()})
    return teacher.pronounce([*real, *made_up_words(real, _MADE_UP)])


_COUNTING = " ".join(map(str, [*range(21), *range(30, 100, 10), 10**2, 10**3, 10**6, 10**9, 10**12])) + (
    " dollars cents euros pounds percent point minus first second third fifth eighth ninth twelfth oh o'clock"
)
