"""Errors of the acoustic model on held-out sentences: with the durations of the recordings, and speaking by itself."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lab.audio.distortion import mel_cepstral_distortion
from lab.audio.mel import MelConfig
from lab.nets.rnn import length_mask
from lab.speech.dataset import SpeechBatch, SpeechSet, collate
from lab.speech.features import Features
from lab.speech.network import AcousticModel, durations_of

_BATCH = 16
_DECIBELS = 20.0 / math.log(10.0)


class Measured(NamedTuple):
    """Metrics named eval/*, and for the first `sentences` recordings the spoken and the true log-mel [F, bands]."""

    metrics: dict[str, float]
    spoken: list[Tensor]
    true: list[Tensor]


@torch.no_grad()
def evaluate(model: AcousticModel, data: SpeechSet, mel: MelConfig, sentences: int, device: torch.device) -> Measured:
    """Of a model in evaluation mode."""
    errors = _given_durations(model, data, mel, device)
    chosen = data.held_out[:sentences]
    spoken = speak_all(model, chosen, device)
    true = [item.mel * data.scale.mel_deviation + data.scale.mel_mean for item in chosen]
    distortions = [mel_cepstral_distortion(one.T, other.T) for one, other in zip(spoken, true, strict=True)]
    return Measured(errors | {"eval/mel_cepstral_distortion": sum(distortions) / len(distortions)}, spoken, true)


@torch.no_grad()
def speak_all(model: AcousticModel, items: Sequence[Features], device: torch.device) -> list[Tensor]:
    """Log-mel [F, bands] of the phones of each recording, on the CPU, with predicted durations and pitch."""
    found: list[Tensor] = []
    for start in range(0, len(items), _BATCH):
        batch = collate(items[start : start + _BATCH])
        mel, frames = model.speak(batch.phones.to(device))
        found += [row[:count].cpu() for row, count in zip(mel, frames.tolist(), strict=True)]
    return found


def _given_durations(model: AcousticModel, data: SpeechSet, mel: MelConfig, device: torch.device) -> dict[str, float]:
    sums = torch.zeros(3, dtype=torch.float64)
    counts = torch.zeros(3, dtype=torch.float64)
    for start in range(0, len(data.held_out), _BATCH):
        batch: SpeechBatch = collate(data.held_out[start : start + _BATCH]).to(device)
        found = model(batch.phones, batch.durations, batch.pitch, batch.energy)
        frames = length_mask(batch.frames, batch.mel.shape[1])
        phones, voiced = batch.phones > 0, batch.pitch != 0.0
        error = ((found.mel - batch.mel).abs() * model.mel_deviation).mean(2)[frames]
        duration = (durations_of(found.log_durations, batch.phones) - batch.durations).abs()[phones].float()
        pitch = (found.pitch - batch.pitch).abs()[voiced]
        for index, values in enumerate((error, duration, pitch)):
            sums[index] += values.double().sum().cpu()
            counts[index] += values.numel()
    mel_error, duration_error, pitch_error = (sums / counts.clamp_min(1.0)).tolist()
    return {
        "eval/mel_error_db": mel_error * _DECIBELS,
        "eval/duration_error_ms": duration_error / mel.frames_per_s * 1000.0,
        "eval/pitch_error": pitch_error * data.scale.pitch[1] * 12.0 / math.log(2.0),
    }
