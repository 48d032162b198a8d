"""A set of spectrogram images of recordings, with one scale."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lab.audio.mel import log_mel
from lab.audio.pictures import PictureConfig, fitted, normalised, scaled_to, square_mel, to_pixels
from lab.audio.sources import Recordings
from lab.audio.wav import SILENCE
from lab.errors import UserError


class PictureSet(NamedTuple):
    """images: uint8 [1, bands, frames] by the name of the recording. silent: how many recordings were left out.

    remarks: what a person should know of each recording, by name.
    """

    images: dict[str, Tensor]
    config: PictureConfig
    silent: int
    remarks: dict[str, list[str]]


def draw_set(
    recordings: Recordings,
    *,
    size: int,
    seconds: float,
    rate: int | None = None,
    like: PictureConfig | None = None,
    progress: Callable[[], None] = lambda: None,
) -> PictureSet:
    """Images of all recordings, each scaled to the peak 1: `size` bands and frames of `seconds`, or a given scale.

    rate: in Hz, by default the lowest of the recordings. progress: called after each recording that was read. Raises
    UserError where one cannot be read or all are silent.
    """
    found = {}
    for name in recordings.names:
        found[name] = recordings.read(name)
        progress()
    heard = [name for name, one in found.items() if SILENCE not in one.remarks]
    if not heard:
        raise UserError(f"{recordings.source}: every recording is silent")
    mel = square_mel(rate or min(one.rate for one in found.values()), size, seconds) if like is None else like.mel
    frames = size if like is None else like.frames
    length, remarks = frames * mel.hop, {name: list(one.remarks) for name, one in found.items()}
    spectrograms = []
    for name in heard:
        one = found[name]
        if one.rate < mel.rate:
            remarks[name].append(f"its {one.rate} Hz leave the image empty above {one.rate // 2} Hz")
        wave = one.at(mel.rate)
        if len(wave) > length:
            remarks[name].append(f"it is longer than {length / mel.rate:.3g} s; its loudest stretch was taken")
        spectrograms.append(log_mel(normalised(fitted(wave, length))[None], mel)[0])
    stacked = torch.stack(spectrograms)
    config = scaled_to(stacked, mel) if like is None else like
    images = dict(zip(heard, to_pixels(stacked, config), strict=True))
    return PictureSet(images, config, len(found) - len(heard), remarks)
