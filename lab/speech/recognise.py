"""The word error rate of recordings by an independent recogniser: CMU pocketsphinx, offline."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lab.errors import UserError
from lab.speech.lexicon import words_in
from lab.speech.normalise import normalise

RATE = 16_000
"""Samples in a second that the recogniser takes."""


class Recogniser:
    """pocketsphinx with the acoustic model, language model and dictionary of its package. Raises UserError."""

    def __init__(self) -> None:
        try:
            from pocketsphinx import Decoder
        except ImportError:
            raise UserError("--recognise needs pocketsphinx: pip install 'rivals-lab[speech]'") from None
        self._decoder = Decoder(loglevel="FATAL", samprate=RATE)

    def words(self, wave: Tensor) -> list[str]:
        """Samples [T] at `RATE` -> the words that were heard."""
        scaled = (wave.clamp(-1.0, 1.0) * 32767.0).round().to(torch.int16)
        self._decoder.start_utt()
        self._decoder.process_raw(scaled.numpy().tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return [] if found is None else words_in(normalise(found.hypstr).text)  # it writes mr and mrs


def word_errors(heard: Sequence[str], said: Sequence[str]) -> int:
    """Substitutions, deletions and insertions that turn one into the other (Levenshtein 1966)."""
    row = list(range(len(said) + 1))
    for place, word in enumerate(heard, start=1):
        before, row[0] = row[0], place
        for column, other in enumerate(said, start=1):
            before, row[column] = row[column], min(before + (word != other), row[column] + 1, row[column - 1] + 1)
    return row[-1]


def word_error_rate(recogniser: Recogniser, waves: Sequence[Tensor], texts: Sequence[str]) -> float:
    """Word errors per word of texts in words; waves at `RATE`. Above 1 where much is heard that was not said."""
    errors = words = 0
    for wave, text in zip(waves, texts, strict=True):
        said = words_in(text)
        errors += word_errors(recogniser.words(wave), said)
        words += len(said)
    return errors / max(words, 1)
