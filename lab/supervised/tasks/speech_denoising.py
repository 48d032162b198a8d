"""Denoising of speech: a network filters the spectrum of recordings to which noise was added at a known ratio."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from lab import rng
from lab.audio.stft import stft
from lab.nets.init import HE
from lab.nets.layers import Linear
from lab.plots.images import grid
from lab.plots.media import Image
from lab.run.experiment import Evaluation
from lab.run.metrics import Metric
from lab.supervised.baselines import speech
from lab.supervised.inference import BATCH, as_inputs
from lab.supervised.labelled_set import LabelledSet
from lab.supervised.network import Backbone, Network
from lab.supervised.sound.masking import Masking, Spectrum
from lab.supervised.sound.noise import add_noise, coloured_noise, si_sdr
from lab.supervised.tasks.task import Batch, Loss, Task
from lab.train.device import Device
from lab.train.step import LossSum

_FIRST_TEST_CLIP = 10**12  # number of test clip 0 in the draws of noise
_SHOWN, _RANGE_DB = 3, 60.0


class SpeechDenoising(Task):
    """Remove noise from recordings of one speaker at a time; trained on the signal-to-distortion ratio."""

    metrics = (
        Metric("loss/speech_denoising", "dB", "negative SI-SDR of the denoised training clips", "loss", False),
        Metric("eval/si_sdr_gain_db", "dB", "SI-SDR of the denoised test clips over that of the noisy", "eval", True),
        Metric("eval/si_sdr_db", "dB", "scale-invariant signal-to-distortion ratio, denoised test clips", "eval", True),
        Metric("eval/si_sdr_noisy_db", "dB", "SI-SDR of the noisy test clips", "eval"),
        Metric("eval/loss", "", "the task's loss on the test set", "eval", False),
    )
    needs_sound: ClassVar[bool] = True
    output_name: ClassVar[str] = "output"
    networks: ClassVar[tuple[str, ...]] = ("spectrum",)

    name: Literal["speech_denoising"] = Field(default="speech_denoising", description="Type of task.")
    rate: int = Field(default=8_000, ge=4_000, le=48_000, description="Sampling rate in Hz.")
    seconds: float = Field(default=1.0, ge=0.25, le=30.0, description="Length of a training clip.")
    snr_low_db: float = Field(default=-5.0, ge=-40.0, le=60.0, description="Lowest signal-to-noise ratio in dB.")
    snr_high_db: float = Field(default=10.0, ge=-40.0, le=60.0, description="Highest signal-to-noise ratio in dB.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.snr_low_db > self.snr_high_db:
            raise ValueError(f"snr_low_db {self.snr_low_db:g} is above snr_high_db {self.snr_high_db:g}")
        return self

    def build(self, backbone: Backbone, shape: tuple[int, ...], classes: int) -> Network:
        assert isinstance(backbone.stem, Spectrum)
        out = Linear(backbone.features, backbone.stem.fft // 2 + 1, init=HE.with_gain(1.0))
        return Masking(backbone.stem, backbone.trunk, backbone.pool, backbone.hidden, out)

    def loss(self, train: LabelledSet, device: Device, seed: int) -> Loss:
        def negative_ratio(network: Network, batch: Batch) -> LossSum:
            found = network(self.noisy(batch.inputs, batch.numbers, seed)).float()
            return LossSum(-si_sdr(found, batch.inputs).sum(), len(found))

        return negative_ratio

    def noisy(self, clips: Tensor, numbers: Tensor, seed: int) -> Tensor:
        """Clips [B, T] with noise that depends only on the seed and the clip's number; ratios are uniform in dB."""
        noise = coloured_noise(seed, numbers, clips.shape[1])
        return add_noise(clips, noise, self._ratios(numbers, seed))

    def evaluate(self, network: Network, test: LabelledSet, device: Device, seed: int) -> Evaluation:
        before: list[Tensor] = []
        after: list[Tensor] = []
        shown: list[Tensor] = []
        for clean, noisy in self._test_clips(test, seed):
            with torch.no_grad():
                found = network(noisy.to(device.device)).float().cpu()
            before.append(si_sdr(noisy, clean))
            after.append(si_sdr(found, clean))
            if not shown:
                shown = [torch.stack([clean[i], noisy[i], found[i]]) for i in range(min(_SHOWN, len(clean)))]
        own, noisy_ratio = (float(torch.cat(part).mean()) for part in (after, before))
        metrics = {
            "eval/si_sdr_gain_db": own - noisy_ratio,
            "eval/si_sdr_db": own,
            "eval/si_sdr_noisy_db": noisy_ratio,
            "eval/loss": -own,
        }
        return Evaluation(metrics, [_spectrograms(torch.cat(shown))])

    def baselines(self, train: LabelledSet, test: LabelledSet, seed: int) -> dict[str, Mapping[str, float]]:
        found: dict[str, list[Tensor]] = {}
        before: list[Tensor] = []
        for clean, noisy in self._test_clips(test, seed):
            before.append(si_sdr(noisy, clean))
            methods = {**speech.filtered(noisy), "best mask (needs the clean speech)": speech.ideal(noisy, clean)}
            for name, waves in methods.items():
                found.setdefault(name, []).append(si_sdr(waves, clean))
        start = float(torch.cat(before).mean())
        means = {name: float(torch.cat(parts).mean()) for name, parts in found.items()}
        return {
            name: {"eval/si_sdr_gain_db": mean - start, "eval/si_sdr_db": mean, "eval/si_sdr_noisy_db": start}
            for name, mean in means.items()
        }

    def predictions(self, inputs: Tensor, outputs: Tensor, classes: Sequence[str]) -> list[dict[str, Any]]:
        return [{"removed_db": removed} for removed in removed_db(inputs, outputs).tolist()]

    def _ratios(self, numbers: Tensor, seed: int) -> Tensor:
        """Signal-to-noise ratios [B] in dB."""
        drawn = rng.uniform(seed, int(rng.Stream.AUGMENT), numbers, 72)
        return self.snr_low_db + drawn * (self.snr_high_db - self.snr_low_db)

    def _test_clips(self, test: LabelledSet, seed: int) -> list[tuple[Tensor, Tensor]]:
        """Clean and noisy clips [B, T] on the CPU; the noise of a test clip is always the same."""
        batches = []
        for start in range(0, len(test), BATCH):
            clean = as_inputs(torch.from_numpy(np.array(test.inputs[start : start + BATCH])))
            numbers = torch.arange(len(clean)) + (_FIRST_TEST_CLIP + start)
            batches.append((clean, self.noisy(clean, numbers, seed)))
        return batches


def removed_db(inputs: Tensor, outputs: Tensor) -> Tensor:
    """The power of what was removed from waves [B, T], in dB relative to the power of the waves."""
    power = (inputs - outputs).square().mean(1) / inputs.square().mean(1).clamp_min(1e-12)
    return 10.0 * torch.log10(power.clamp_min(1e-12))


def _spectrograms(waves: Tensor) -> Image:
    """Spectrograms of clips [3 * N, T]: clean, noisy, denoised in each row, over a range of 60 dB."""
    power = stft(waves, 256, 64).abs().square()
    levels = 10.0 * torch.log10(power.clamp_min(1e-12))
    levels = levels - levels.amax((1, 2), keepdim=True)
    shades = ((levels + _RANGE_DB) / _RANGE_DB).clamp(0.0, 1.0).flip(1)
    return Image("denoised", grid(shades.mul(255.0).to(torch.uint8)[:, None], columns=3), "clean, noisy, denoised")
