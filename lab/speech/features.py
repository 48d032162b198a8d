"""What a network learns of one recording: its phones, their durations, pitch and energy, and the log-mel frames."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lab.audio.mel import MelConfig, log_mel
from lab.errors import UserError
from lab.speech.phones import PAUSE, numbers_of
from lab.speech.pitch import pitch
from lab.speech.teacher import TimedPhone

_SLACK_S = 0.25  # the last phone may end this much after the recording


class Features(NamedTuple):
    """phones int64 [P], durations int64 [P] in frames with the sum F, pitch and energy float32 [P], mel [F, bands].

    pitch: mean log Hz of the phone's voiced frames, NaN without any. energy: mean of its log-mel magnitudes.
    """

    phones: Tensor
    durations: Tensor
    pitch: Tensor
    energy: Tensor
    mel: Tensor


def features(wave: Tensor, timed: Sequence[TimedPhone], config: MelConfig, where: str) -> Features:
    """Of a recording, samples [T] at the rate of the configuration. Raises UserError if the phones do not fit."""
    mel = log_mel(wave[None], config)[0].T.contiguous()
    frames, seconds = len(mel), len(wave) / config.rate
    if timed[-1].end_s > seconds + _SLACK_S:
        raise UserError(
            f"{where}: its phones end after {timed[-1].end_s:.2f} s and the recording after {seconds:.2f} s"
        )
    if len(timed) > frames:
        raise UserError(f"{where}: {len(timed)} phones do not fit into {frames} frames; leave the recording out")
    durations = _frames_of(timed, frames, config)
    phone_of_frame = torch.repeat_interleave(torch.arange(len(timed)), durations)
    hertz = pitch(wave, rate=config.rate, hop=config.hop)[:frames]
    is_pause = torch.tensor([phone.phone == PAUSE for phone in timed])
    voiced = (hertz > 0.0) & ~is_pause[phone_of_frame]
    log_hertz = torch.where(voiced, hertz.clamp_min(1.0).log(), 0.0)
    voices = torch.zeros(len(timed)).index_add_(0, phone_of_frame, voiced.float())
    sums = torch.zeros(len(timed)).index_add_(0, phone_of_frame, log_hertz)
    loud = torch.zeros(len(timed)).index_add_(0, phone_of_frame, mel.mean(1))
    return Features(
        torch.tensor(numbers_of((phone.phone for phone in timed), where)),
        durations,
        torch.where(voices > 0, sums / voices.clamp_min(1.0), torch.nan),
        loud / durations,
        mel,
    )


def _frames_of(timed: Sequence[TimedPhone], frames: int, config: MelConfig) -> Tensor:
    """int64 [P], each at least 1, with the sum `frames`: ends rounded to frames, and moved where phones are shorter."""
    ends = [round(phone.end_s * config.frames_per_s) for phone in timed]
    ends[-1] = frames
    for index in range(len(ends)):
        ends[index] = max(ends[index], ends[index - 1] + 1 if index else 1)
    for index in reversed(range(len(ends))):
        ends[index] = min(ends[index], frames if index == len(ends) - 1 else ends[index + 1] - 1)
    return torch.tensor(ends).diff(prepend=torch.zeros(1, dtype=torch.int64))
