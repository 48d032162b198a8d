"""A trained voice that speaks any text, piece by piece."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from lab.audio.griffin_lim import mel_to_wave
from lab.audio.mel import MelConfig
from lab.errors import UserError
from lab.nets.rnn import set_padding_masked
from lab.run.checkpoint import BEST
from lab.run.load import load_run
from lab.speech.config import SpeechConfig
from lab.speech.corpus import parse_lexicon
from lab.speech.letters import parse_rules
from lab.speech.network import AcousticModel
from lab.speech.normalise import normalise, spoken
from lab.speech.phones import numbers_of
from lab.speech.pronounce import Pronouncer, pieces
from lab.train.device import Device

_log = logging.getLogger(__name__)
_LONGEST = 2_000_000  # characters of a text
_PEAK = 0.99


class Vocoder(Protocol):
    """Makes waves of spectrograms."""

    @property
    def mel(self) -> MelConfig:
        """The spectrogram that it expects."""
        ...

    def __call__(self, spectrogram: Tensor, /) -> Tensor:
        """Log-mel [N, bands, F] -> waves [N, F * hop]."""
        ...


@dataclass(frozen=True)
class GriffinLim:
    """The vocoder that needs no training; see `lab.audio.griffin_lim`."""

    mel: MelConfig
    iterations: int

    def __call__(self, spectrogram: Tensor, /) -> Tensor:
        return mel_to_wave(spectrogram, self.mel, iterations=self.iterations)


class Said(NamedTuple):
    """A spoken piece of a text: its words, phones, log-mel [F, bands] and samples [T]."""

    words: str
    phones: tuple[str, ...]
    mel: Tensor
    wave: Tensor


@dataclass(frozen=True, eq=False)
class Voice:
    """An acoustic model in evaluation mode, its pronunciations and a vocoder.

    examples: training sentences. fingerprint: of the data.
    """

    config: SpeechConfig
    model: AcousticModel
    pronouncer: Pronouncer
    vocoder: Vocoder
    examples: int
    fingerprint: str
    device: torch.device

    @property
    def rate(self) -> int:
        """Samples in a second."""
        return self.config.mel.rate

    def say(self, text: str, *, pace: float = 1.0) -> Iterator[Said]:
        """Speak a text, a piece (a sentence or less) at a time; what cannot be read out is named in one warning.

        pace: 2 speaks twice as fast. Raises UserError before anything is spoken if the text has nothing to speak.
        """
        words = readable(text)
        if not any(self.pronouncer.phones(piece) for piece in pieces(words)):
            raise UserError(f"no word of {text.strip()!r:.60} can be pronounced by the lexicon and rules of this voice")

        def speak() -> Iterator[Said]:
            for piece in pieces(words):
                phones = self.pronouncer.phones(piece)
                if phones:
                    mel = self.spectrogram(phones, pace=pace)
                    yield Said(piece, tuple(phones), mel, self.sound(mel))

        return speak()

    def spectrogram(self, phones: list[str], *, pace: float = 1.0) -> Tensor:
        """Phones -> log-mel [F, bands] on the CPU."""
        numbers = torch.tensor(numbers_of(phones), device=self.device)
        return self.model.speak(numbers[None], pace=pace)[0][0].cpu()

    @torch.no_grad()
    def sound(self, mel: Tensor) -> Tensor:
        """Log-mel [F, bands] -> samples [T] on the CPU, quieter where they would clip."""
        wave = self.vocoder(mel.T[None].to(self.device))[0].cpu()
        return wave * (_PEAK / wave.abs().max().clamp_min(_PEAK))


def readable(text: str) -> str:
    """A text in words. Raises UserError for an overlong text and for one without anything that can be spoken."""
    if not text.strip():
        raise UserError("the text is empty: give words to speak")
    if len(text) > _LONGEST:
        raise UserError(f"the text has {len(text):,} characters; give at most {_LONGEST:,} at once")
    if not any(letter.isalpha() for letter in normalise(text).text):
        raise UserError(f"nothing in {text.strip()!r:.60} can be read out: give English words or numbers")
    return spoken(text)


def load_voice(run: Path, device: Device, checkpoint: str = BEST, vocoder: Vocoder | None = None) -> Voice:
    """The voice of a run's checkpoint: "best", "latest" or an iteration; by default Griffin-Lim makes its waves.

    Raises UserError.
    """
    found = load_run(run, SpeechConfig, checkpoint)
    config = found.config
    with found.restoring() as state:
        model = AcousticModel(config.network, config.mel.bands)
        model.load_state_dict(state["network"])
        pronouncer = Pronouncer(
            parse_lexicon(str(state["lexicon"]), f"{run.name}: its lexicon"), parse_rules(str(state["rules"]))
        )
        examples, fingerprint = int(state["examples"]), str(state["data"])
    set_padding_masked(model, device.device.type != "cpu")
    model.to(device.device).eval().requires_grad_(False)
    vocoder = vocoder or GriffinLim(config.mel, config.evaluate.iterations)
    if vocoder.mel != config.mel:
        raise UserError(
            f"the vocoder expects other spectrograms ({_shown(vocoder.mel)}) than {run.name} makes "
            f"({_shown(config.mel)}); train one with the same section mel"
        )
    return Voice(config, model, pronouncer, vocoder, examples, fingerprint, device.device)


def _shown(mel: MelConfig) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in mel.model_dump().items())
