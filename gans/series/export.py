"""Export of the generator: noise to series in the units of the data."""

from pathlib import Path

import torch
from torch import Tensor, nn

from gans.series.noise import noise
from gans.series.sampler import Sampler
from lab import rng
from lab.nets import export as exporting


class _Rescaled(nn.Module):
    """The generator in the units of the data.

    Noise [N, T, latent], series noise [N, series_latent], labels int64 [N] if conditional -> float64 [N, T, C].
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, sampler: Sampler) -> None:
        super().__init__()
        self.generator = sampler.generator
        scale = sampler.summary.scale
        self.register_buffer("mean", torch.from_numpy(scale.mean))
        self.register_buffer("deviation", torch.from_numpy(scale.deviation))

    def forward(self, noise: Tensor, series_noise: Tensor, labels: Tensor | None = None) -> Tensor:
        # float64: of 1,700,000,000 + x float32 keeps steps of 128.
        return self.generator(noise, series_noise, labels).double() * self.deviation + self.mean


def export(sampler: Sampler, path: Path) -> float:
    """Write .onnx or .pt2 for any number of series, see `lab.nets.export`; returns the largest difference."""
    network, length, summary = sampler.config.network, sampler.config.data.length, sampler.summary
    normal = "drawn from a standard normal distribution"
    inputs = {
        "noise": f"float32 [batch, {length}, {network.latent}], {normal}",
        "series_noise": f"float32 [batch, {network.series_latent}], {normal}",
    }
    if summary.classes:
        inputs["labels"] = "int64 [batch], numbers of `classes` from 0"
    return exporting.export(
        _Rescaled(sampler).eval(),
        _inputs(sampler, range(2)),
        _inputs(sampler, range(2, 7)),
        path,
        outputs=("series",),
        metadata={
            "kind": sampler.config.kind,
            "series_shown": sampler.series_shown,
            "inputs": inputs,
            "outputs": {"series": f"float64 [batch, {length}, {sampler.channels}] in the units of the data"},
            "columns": list(summary.scale.columns),
            **({"classes": list(summary.classes.names)} if summary.classes else {}),
        },
    )


def _inputs(sampler: Sampler, indices: range) -> dict[str, Tensor]:
    config, which = sampler.config, torch.tensor(indices)
    steps, series = noise(config.network, config.data.length, which, 0, int(rng.Stream.SAMPLE))
    inputs = {"noise": steps, "series_noise": series}
    if sampler.summary.classes:
        inputs["labels"] = which % len(sampler.summary.classes)
    return inputs
