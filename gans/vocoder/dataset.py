"""Recordings of a vocoder: in memory at one rate, whole ones held out, windows drawn by their number."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gans.vocoder import synthetic
from gans.vocoder.config import DataConfig, VocoderConfig
from lab import rng
from lab.audio.remarks import grouped
from lab.audio.sources import open_recordings
from lab.audio.wav import SILENCE
from lab.errors import UserError
from lab.speech.corpus import METADATA, WAVS, is_held_out, read_lines

_log = logging.getLogger(__name__)
GLIDES = "glides"


@dataclass(frozen=True, eq=False)
class Speech:
    """Training recordings end to end, float32 [T], and held-out ones, each float32 [t], on the CPU.

    offsets: int64 [R], the first sample of each training recording; positions: int64 [R], in how many places a window
    of `window` samples may begin in it. remarks: what a person should know of the files, one line each.
    """

    source: str
    window: int
    samples: Tensor
    offsets: Tensor
    positions: Tensor
    held_out: tuple[Tensor, ...]
    remarks: tuple[str, ...] = ()

    def windows(self, numbers: Tensor, seed: int) -> Tensor:
        """Windows float32 [B, window] number `numbers`, int64 [B]; every place in the recordings is equally likely."""
        ends = self.positions.cumsum(0)
        place = rng.integers(int(ends[-1]), seed, int(rng.Stream.WINDOW), numbers)
        which = torch.searchsorted(ends, place, right=True)
        start = self.offsets[which] + place - (ends - self.positions)[which]
        return self.samples[start[:, None] + torch.arange(self.window)]

    def fingerprint(self) -> str:
        """Hash of all samples, held-out ones included."""
        digest = hashlib.sha256(repr((self.window, self.offsets.tolist())).encode())
        for samples in (self.samples, *self.held_out):
            digest.update(np.ascontiguousarray(samples.numpy()).data)
        return digest.hexdigest()


def is_file(config: DataConfig) -> bool:
    """Whether recordings are read from files rather than synthetic."""
    return config.source != GLIDES


def open_speech(config: VocoderConfig) -> Speech:
    """The configured recordings. Raises UserError where they cannot be read or are too few."""
    data, rate = config.data, config.mel.rate
    remarks: list[str] = []
    held: set[int] = set()
    if is_file(data):
        waves, held, remarks = _from_files(data, rate)
    else:
        made = data.synthetic
        waves = [torch.from_numpy(wave) for wave in synthetic.glides(made.recordings, made.seconds, rate, config.seed)]
    if len(waves) < 2:
        raise UserError(f"{data.source} has {len(waves)} usable recording: training needs one and evaluation another")
    if not 0 < len(held) < len(waves):
        order = np.random.default_rng(config.seed).permutation(len(waves))
        held = set(order[: max(1, round(data.held_out * len(waves)))].tolist())
    window = data.frames * config.mel.hop
    training = [_at_least(wave, window) for index, wave in enumerate(waves) if index not in held]
    lengths = torch.tensor([len(wave) for wave in training])
    return Speech(
        data.source,
        window,
        torch.cat(training),
        lengths.cumsum(0) - lengths,
        lengths - window + 1,
        tuple(wave for index, wave in enumerate(waves) if index in held),
        tuple(remarks),
    )


def check_same(config: DataConfig, fingerprint: str, trained_on: str, otherwise: str) -> None:
    """Raise UserError for files that differ from those a run was trained on; `otherwise` ends the message.

    Synthetic recordings follow from the configuration and may be rounded differently on another machine.
    """
    if is_file(config) and fingerprint != trained_on:
        raise UserError(f"{config.source} is not the data this run was trained on: {otherwise}")


def _from_files(config: DataConfig, rate: int) -> tuple[list[Tensor], set[int], list[str]]:
    """Waves at `rate`, the numbers of those that a voice holds out, remarks; silent recordings are left out."""
    source = Path(config.source).expanduser()
    recordings = open_recordings(source)
    of_a_voice, reason = _held_out_by_a_voice(source, config.held_out)
    waves: list[Tensor] = []
    held: set[int] = set()
    remarks: dict[str, list[str]] = {}
    for name in recordings.names:
        found = recordings.read(name)
        remarks[name] = list(found.remarks)
        if found.rate < rate:
            remarks[name].append(f"its {found.rate} Hz are fewer than mel.rate {rate}")
        if SILENCE not in found.remarks:
            if name in of_a_voice:
                held.add(len(waves))
            waves.append(found.at(rate))
    if not waves:
        raise UserError(f"{config.source}: every recording is silent")
    lines = [f"{config.source}: {line}" for line in grouped(remarks)]
    if reason and not 0 < len(held) < len(waves):
        lines.append(f"{reason}; recordings are held out at random, not as by a voice")
    return waves, held, lines


def _held_out_by_a_voice(source: Path, fraction: float) -> tuple[set[str], str]:
    """Names of recordings that a voice of this folder would hold out, and the reason if these cannot be used."""
    if not (source / METADATA).is_file():
        return set(), ""
    try:
        lines = read_lines(source, warn=False)
    except UserError as error:
        return set(), str(error)
    held = {f"{WAVS}/{line.id}.wav" for line in lines if is_held_out(line.words, fraction)}
    return held, f"{source / METADATA} has too few lines for the recordings in {WAVS}"


def warn(remarks: Sequence[str]) -> None:
    """Log each remark as a warning."""
    for remark in remarks:
        _log.warning(remark)


def _at_least(wave: Tensor, samples: int) -> Tensor:
    return torch.nn.functional.pad(wave, (0, max(0, samples - len(wave))))
