"""The recordings of a voice as tensors, some of them held out, and batches of similar length."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lab.audio.mel import MelConfig
from lab.audio.wav import SILENT, Recording, read_wav
from lab.data.order import indices
from lab.errors import UserError
from lab.speech import corpus
from lab.speech.config import DataConfig
from lab.speech.corpus import Line, is_held_out
from lab.speech.features import Features, features
from lab.speech.letters import learn

_log = logging.getLogger(__name__)
_BUCKET = 8  # batches whose recordings are sorted by length together
_LEAST = 4  # recordings to train on
_LONGEST_S = 60.0


class SpeechBatch(NamedTuple):
    """Padded with 0: phones and durations int64 [B, P], pitch and energy float32 [B, P], mel float32 [B, F, bands]."""

    phones: Tensor
    durations: Tensor
    pitch: Tensor
    energy: Tensor
    mel: Tensor

    @property
    def lengths(self) -> Tensor:
        """Phones of each row, int64 [B]."""
        return (self.phones > 0).sum(1)

    @property
    def frames(self) -> Tensor:
        """Frames of each row, int64 [B]."""
        return self.durations.sum(1)

    def part(self, rows: slice) -> "SpeechBatch":
        """Some rows, without padding that all of them share."""
        kept = [tensor[rows] for tensor in self]
        phones, frames = int((kept[0] > 0).sum(1).max()), int(kept[1].sum(1).max())
        ends = [phones] * 4 + [frames]
        return SpeechBatch(*(tensor[:, :end] for tensor, end in zip(kept, ends, strict=True)))

    def to(self, device: torch.device) -> "SpeechBatch":
        return SpeechBatch(*(tensor.to(device) for tensor in self))


@dataclass(frozen=True, eq=False)
class Scale:
    """Means and standard deviations: of each mel band [bands], of the pitch in log Hz and of the energy."""

    mel_mean: Tensor
    mel_deviation: Tensor
    pitch: tuple[float, float]
    energy: tuple[float, float]


@dataclass(frozen=True, eq=False)
class SpeechSet:
    """Standardised features of the training recordings and of those held out.

    lexicon: as in lexicon.csv. rules: for letters, learned from it. fingerprint: of the samples, phones and lexicon.
    seconds: of the training recordings.
    """

    training: Sequence[Features]
    held_out: Sequence[Features]
    held_out_lines: Sequence[Line]
    scale: Scale
    lexicon: str
    rules: str
    fingerprint: str
    seconds: float

    def batch(self, start: int, count: int, seed: int) -> SpeechBatch:
        """Training batch of recordings number `start` to `start + count` of endless shuffled epochs.

        Recordings of similar length are together: those of `_BUCKET` batches are sorted, and the batches shuffled.
        """
        number = start // count
        bucket, place = divmod(number, _BUCKET)
        rows = indices(len(self.training), seed, bucket * _BUCKET * count, _BUCKET * count)
        frames = np.array([len(self.training[row].mel) for row in rows])
        rows = rows[np.argsort(frames, kind="stable")].reshape(_BUCKET, count)
        order = np.random.Generator(np.random.Philox(key=np.array([seed, bucket], dtype=np.uint64)))
        return collate([self.training[row] for row in rows[order.permutation(_BUCKET)[place]]])


def collate(items: Sequence[Features]) -> SpeechBatch:
    """Features of recordings as a batch."""
    return SpeechBatch(*(pad_sequence(list(column), batch_first=True) for column in zip(*items, strict=True)))


def open_speech(config: DataConfig, mel: MelConfig) -> SpeechSet:
    """Read the recordings of `config.source`. Raises UserError for an unusable folder or recording."""
    folder = Path(config.source).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"data.source {config.source} is not a folder of recordings; "
            f"`lab data speak 1300 {config.source}` makes one"
        )
    lines = corpus.read_lines(folder)
    timed = corpus.read_phones(folder)
    words = corpus.read_lexicon(folder / corpus.LEXICON)
    lexicon = corpus.lexicon_text(words)
    digest = hashlib.sha256(repr((mel.model_dump(), lexicon)).encode())
    sides: tuple[list[Features], list[Features]] = ([], [])
    held_out_lines: list[Line] = []
    remarks: list[str] = []
    seconds = 0.0
    for line in lines:
        path = folder / corpus.WAVS / f"{line.id}.wav"
        if line.id not in timed:
            raise UserError(f"{folder / corpus.PHONES} lacks {line.id}; `lab data align {folder}` finds its phones")
        recording = usable(read_wav(path), path)
        remarks += [f"{path}: {', '.join(recording.remarks)}"] if recording.remarks else []
        wave = recording.at(mel.rate)
        digest.update(wave.numpy().tobytes() + repr((line.words, timed[line.id])).encode())
        apart = is_held_out(line.words, config.held_out)
        sides[apart].append(features(wave, timed[line.id], mel, str(path)))
        if apart:
            held_out_lines.append(line)
        else:
            seconds += len(wave) / mel.rate
    if remarks:
        _log.warning(remarks[0] + (f" (and {len(remarks) - 1} more recordings)" if len(remarks) > 1 else ""))
    training, held_out = sides
    if len(training) < _LEAST or not held_out:
        raise UserError(
            f"{folder}: {len(training)} recordings to train on and {len(held_out)} held out are too few; "
            f"record more, or set data.held_out higher"
        )
    scale = _scale(training)
    standard = [[_standardised(item, scale) for item in side] for side in (training, held_out)]
    return SpeechSet(
        standard[0], standard[1], held_out_lines, scale, lexicon, learn(words).text(), digest.hexdigest(), seconds
    )


def read_held_out(config: DataConfig, lines: Sequence[Line], rate: int) -> list[Tensor]:
    """The recordings of some lines, samples [T] at a rate in Hz. Raises UserError."""
    folder = Path(config.source).expanduser() / corpus.WAVS
    return [read_wav(folder / f"{line.id}.wav").at(rate) for line in lines]


def usable(recording: Recording, path: Path) -> Recording:
    """A recording that can be learned from. Raises UserError for a silent or an overlong one."""
    if float(recording.samples.abs().max()) < SILENT:
        raise UserError(f"{path}: it is silent; record it again, or remove its line from {corpus.METADATA}")
    if recording.seconds > _LONGEST_S:
        raise UserError(
            f"{path}: {recording.seconds:.0f} s are too long; cut it into sentences, {_LONGEST_S:g} s at most"
        )
    return recording


def _scale(items: Sequence[Features]) -> Scale:
    mel = torch.cat([item.mel for item in items]).double()
    pitch = torch.cat([item.pitch for item in items])
    voiced, energy = pitch[~pitch.isnan()].double(), torch.cat([item.energy for item in items]).double()
    if len(voiced) < 2:
        raise UserError("no voice was found in the recordings; are they speech?")
    return Scale(
        mel.mean(0).float(),
        mel.std(0).clamp_min(1e-3).float(),
        (float(voiced.mean()), max(float(voiced.std()), 1e-3)),
        (float(energy.mean()), max(float(energy.std()), 1e-3)),
    )


def _standardised(item: Features, scale: Scale) -> Features:
    """Unvoiced phones have the mean pitch, 0, as in FastPitch (Lancucki 2021, section 2.1)."""
    return item._replace(
        pitch=((item.pitch - scale.pitch[0]) / scale.pitch[1]).nan_to_num(0.0),
        energy=(item.energy - scale.energy[0]) / scale.energy[1],
        mel=(item.mel - scale.mel_mean) / scale.mel_deviation,
    )
