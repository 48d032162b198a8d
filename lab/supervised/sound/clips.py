"""Clips of one length from recordings or made voices, as a labelled set."""

import hashlib
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lab.audio.sources import open_recordings
from lab.audio.wav import SILENT
from lab.errors import UserError
from lab.supervised.labelled_set import LabelledSet
from lab.supervised.sound.voices import voices

MADE = "voices"
_SCALE = 32768.0
_CLIPS, _SEED = 600, 0x70CE


def open_clips(source: str, *, rate: int, seconds: float) -> LabelledSet:
    """Clips int16 [N, T] of `seconds` at `rate` Hz: the made voices, or a WAV file, folder or zip of WAV files.

    Recordings are cut into clips; the rest at the end of each is filled with zeros if it is half a clip or more, or its
    only one. Silent clips are left out. Raises UserError.
    """
    length = round(seconds * rate)
    if source == MADE:
        return _labelled(source, voices(_CLIPS, length, rate, _SEED), rate)
    recordings = open_recordings(Path(source).expanduser())
    clips: list[Tensor] = []
    for name in recordings.names:
        samples = recordings.read(name).at(rate)
        count = max(1, math.floor(len(samples) / length + 0.5))
        padded = torch.zeros(count * length)
        padded[: len(samples)] = samples[: count * length]
        clips += [clip for clip in padded.view(count, length) if float(clip.abs().max()) >= SILENT]
    if not clips:
        raise UserError(f"{source} holds no sound: all of its recordings are silent")
    return _labelled(source, torch.stack(clips), rate)


def _labelled(source: str, clips: Tensor, rate: int) -> LabelledSet:
    samples = clips.mul(_SCALE).round().clamp(-_SCALE, _SCALE - 1.0).to(torch.int16).numpy()
    digest = hashlib.sha256(repr((samples.shape, rate)).encode() + samples.tobytes()).hexdigest()
    targets = np.zeros(len(samples), np.int64)  # of no use: a clip is its own target
    return LabelledSet(source, samples, targets, (), (), digest, f"{rate} Hz")
