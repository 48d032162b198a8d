"""Text for a language model: windows of a file or of generated sentences."""

import hashlib
import math
from pathlib import Path

import torch

from lab import rng
from lab.errors import UserError
from lab.sequences.batch import SequenceBatch
from lab.sequences.config import DataConfig
from lab.sequences.files import read_text
from lab.sequences.number_scale import UNSCALED
from lab.sequences.number_words import number_words
from lab.sequences.vocabulary import Vocabulary

SENTENCES = 6000
_HIGHEST = 12  # largest summand
_STREAMS = 32  # parts of the test text that are read in parallel
_TESTED = 200_000  # largest number of characters of a test text


class TextData:
    """Windows of a text at random positions; targets are the next characters. The end of the text is the test set."""

    scale = UNSCALED  # no numbers

    def __init__(self, config: DataConfig, seed: int, device: torch.device) -> None:
        self._seed, self._window = seed, config.window
        name = config.source or "the generated text"
        whole = sums_text(SENTENCES, 0) if config.source is None else read_text(Path(config.source))
        if config.test_source is not None:
            train, test, test_name = whole, read_text(Path(config.test_source)), config.test_source
        else:
            cut = int(len(whole) * (1.0 - config.held_out))
            train, test, test_name = whole[:cut], whole[cut:], f"the end of {name}, held out for the test,"
        if not whole.strip():
            raise UserError(f"{name} holds no text")
        if len(train) <= config.window:
            raise UserError(
                f"{name} has {len(train)} characters to train on, too few for windows of {config.window}; "
                "give more text, or lower data.window"
            )
        if len(test) < 2:
            raise UserError(f"{test_name} has {len(test)} characters, too few for a test; give more text")
        self.inputs = self.targets = Vocabulary.from_texts([whole])  # the test part included
        self._tokens = torch.tensor(self.inputs.encode(train), device=device)
        self.test = _streams(torch.tensor(_encoded(test, self.inputs, test_name)))
        self.longest = (config.window, config.window)
        digest = hashlib.sha256(f"{train}\0{test}".encode()).hexdigest()
        self.fingerprint = f"{len(train)} and {len(test)} characters, {digest[:16]}"

    def at(self, start: int, count: int) -> SequenceBatch:
        numbers = torch.arange(start, start + count, device=self._tokens.device)
        places = rng.integers(len(self._tokens) - self._window, self._seed, int(rng.Stream.WINDOW), numbers)
        columns = torch.arange(self._window + 1, device=self._tokens.device)
        tokens = self._tokens[places[:, None] + columns]
        return SequenceBatch(tokens[:, :-1], torch.full_like(numbers, self._window), tokens[:, 1:])


def sums_text(sentences: int, seed: int) -> str:
    """Sentences such as "seven and five make twelve." about uniform pairs of numbers, one per line."""
    numbers = torch.arange(sentences)
    ones, others = (
        rng.integers(_HIGHEST + 1, seed, int(rng.Stream.EXAMPLE), numbers, which).tolist() for which in (0, 1)
    )
    return "".join(f"{sentence(one, other)}\n" for one, other in zip(ones, others, strict=True))


def sentence(one: int, other: int) -> str:
    """The sentence about a pair."""
    return f"{number_words(one)} and {number_words(other)} make {number_words(one + other)}."


def sums_entropy() -> float:
    """Entropy of `sums_text` in nats per character, the lower bound of a model's loss."""
    count = _HIGHEST + 1
    lengths = [len(sentence(one, other)) + 1 for one in range(count) for other in range(count)]
    return 2.0 * math.log(count) / (sum(lengths) / len(lengths))


def _encoded(text: str, vocabulary: Vocabulary, name: str) -> list[int]:
    """Ids of a text. Raises UserError with the line of the first unknown character."""
    places = [text.index(character) for character in set(text).difference(vocabulary.tokens)]
    if places:
        vocabulary.encode(text[min(places)], f"{name}, line {text.count(chr(10), 0, min(places)) + 1}")
    return vocabulary.encode(text)


def _streams(tokens: torch.Tensor) -> SequenceBatch:
    """A text as up to `_STREAMS` long rows, so that few tokens are predicted without context."""
    tokens = tokens[: _TESTED + 1]
    count = max(1, min(_STREAMS, (len(tokens) - 1) // 100))
    length = (len(tokens) - 1) // count
    rows = torch.arange(count)[:, None] * length + torch.arange(length + 1)
    streams = tokens[rows]
    return SequenceBatch(streams[:, :-1], torch.full((count,), length), streams[:, 1:])
