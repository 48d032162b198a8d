"""Recordings and voices small enough to train in a blink; no synthesizer is needed."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.audio.wav import write_wav
from lab.config.loading import dump
from lab.config.presets import merge
from lab.speech import corpus
from lab.speech.config import SpeechConfig
from lab.speech.phones import PAUSE, PHONES, VOWELS
from lab.speech.teacher import TimedPhone

RATE = 8000
LEXICON: dict[str, tuple[str, ...]] = {
    "the": ("dh", "ax"),
    "a": ("ax",),
    "cat": ("k", "ae", "t"),
    "sat": ("s", "ae", "t"),
    "mat": ("m", "ae", "t"),
    "on": ("aa", "n"),
    "two": ("t", "uw"),
    "ten": ("t", "eh", "n"),
    "men": ("m", "eh", "n"),
    "met": ("m", "eh", "t"),
    "us": ("ah", "s"),
}
TEXTS = (
    "the cat sat on a mat.",
    "ten men met us.",
    "the men sat, the cat sat.",
    "two men met the cat.",
    "a cat met ten men.",
    "us two sat on ten.",
    "a mat, a cat.",
    "the cat met us on a mat.",
    "ten sat on two.",
    "men met men, us two sat.",
    "two cat, ten mat.",
    "the ten met a cat.",
)


def sound(phone: str, seconds: float, start: float = 0.0) -> Tensor:
    """Samples [T]: silence, harmonics of 120 Hz under a formant of the phone's own, or noise-like high tones."""
    time = start + torch.arange(round(seconds * RATE)) / RATE
    if phone == PAUSE:
        return torch.zeros(len(time))
    number = PHONES.index(phone)
    if phone not in VOWELS:
        return 0.1 * torch.sin(2 * math.pi * (900 + 137.3 * number) * time)
    formant = 250 + 90 * number
    harmonics = [
        math.exp(-(((120 * k - formant) / 200) ** 2)) * torch.sin(2 * math.pi * 120 * k * time) for k in range(1, 20)
    ]
    return 0.2 * (torch.stack(harmonics).sum(0) + 0.3 * torch.sin(2 * math.pi * 120 * time))


def spoken(words: list[str]) -> tuple[Tensor, tuple[TimedPhone, ...]]:
    """Samples and phones with their ends; words in `LEXICON`, with a pause after a comma."""
    phones = [PAUSE]
    for word in words:
        phones += LEXICON[word.strip(".,")]
        if word.endswith(","):
            phones.append(PAUSE)
    parts, timed, end = [], [], 0.0
    for place, phone in enumerate([*phones, PAUSE]):
        seconds = 0.06 + 0.01 * ((place * 7 + PHONES.index(phone)) % 5)
        parts.append(sound(phone, seconds, end))
        end += len(parts[-1]) / RATE
        timed.append(TimedPhone(phone, end))
    return torch.cat(parts), tuple(timed)


def recordings(folder: Path, *, with_phones: bool = True) -> Path:
    """A folder of `TEXTS` in the layout of LJSpeech."""
    lines, phones = [], []
    for number, text in enumerate(TEXTS):
        wave, timed = spoken(text.split())
        write_wav(folder / corpus.WAVS / f"r{number}.wav", wave, RATE)
        lines.append(f"r{number}|{text.capitalize()}|{text}")
        phones.append(corpus.phones_line(f"r{number}", timed))
    corpus.write_text(folder / corpus.METADATA, lines)
    corpus.write_text(folder / corpus.LEXICON, corpus.lexicon_text(LEXICON).splitlines())
    if with_phones:
        corpus.write_text(folder / corpus.PHONES, phones)
    return folder


def config(source: Path, **changes: Any) -> SpeechConfig:
    """8 features for 4 iterations of 8 sentences; checkpoints every 2."""
    settings: dict[str, Any] = {
        "kind": "speech",
        "budget": 32,
        "threads": 1,
        "data": {"source": str(source), "held_out": 0.25},
        "mel": {"rate": RATE, "fft": 256, "hop": 80, "bands": 12, "high": 4000.0},
        "network": {"width": 8, "hidden": 6, "layers": 1, "predictor_width": 4, "encoder_convolutions": 1},
        "training": {"batch_size": 4, "examples_per_iteration": 8},
        "checkpoint": {"every": 2, "keep": 3},
        "evaluate": {"every": 0, "sentences": 2, "iterations": 4},
        "tracking": {"wandb": "off"},
    }
    return SpeechConfig.model_validate(merge(settings, changes))


def preset(folder: Path, source: Path, **changes: Any) -> Path:
    """`config` as a preset file."""
    path = folder / "speech.yaml"
    path.write_text(dump(config(source, **changes)))
    return path
