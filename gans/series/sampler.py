"""The averaged generator of a trained run, ready for sampling."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from gans.classes import Classes
from gans.series.config import SeriesGANConfig
from gans.series.dataset import Scale, SeriesSet
from gans.series.network import Generator
from gans.series.noise import noise
from lab import rng
from lab.run.load import load_run
from lab.train.device import Device

_BATCH = 256


@dataclass(frozen=True, eq=False)
class DataSummary:
    """Scale of the data and its classes, stored so that sampling needs no data file."""

    scale: Scale
    classes: Classes

    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scale.state_dict(), **self.classes.state_dict()}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        return cls(Scale.of(state["scale"]), Classes.of(state))

    @classmethod
    def from_set(cls, data: SeriesSet) -> Self:
        labels = data.labels
        return cls(data.scale, Classes() if labels is None else Classes.of_labels(data.classes, labels.cpu()))


@dataclass(frozen=True, eq=False)
class Sampler:
    """A generator in evaluation mode, the real series shown during its training, and the fingerprint of its data."""

    generator: Generator
    config: SeriesGANConfig
    summary: DataSummary
    series_shown: int
    fingerprint: str
    device: Device

    @property
    def channels(self) -> int:
        return len(self.summary.scale.columns)

    @property
    def classes(self) -> Classes:
        return self.summary.classes

    def class_number(self, name: str | None, option: str) -> int | None:
        """The number of a class, None for None. Raises UserError, which begins with `option`, for an unknown class."""
        return None if name is None else self.classes.number(name, option, "train one with data.label set")

    def labels(self, indices: Sequence[int], seed: int, label: int | None = None) -> Tensor | None:
        """int64 [N]: `label`, or classes drawn by (seed, i) with the shares of the data; None without classes."""
        if not self.classes:
            return None
        which = torch.tensor(list(indices), dtype=torch.int64, device=self.device.device)
        return self.classes.draw(which, seed) if label is None else torch.full_like(which, label)

    def sample(self, indices: Sequence[int], seed: int, labels: Tensor | None = None) -> Tensor:
        """Series number `indices` of a seed, standardised: float32 [N, T, C] on the CPU.

        labels: int64 [N] of a conditional generator, by default those of the method `labels`.
        """
        return torch.cat(list(self.batches(indices, seed, labels)))

    @torch.no_grad()
    def batches(self, indices: Sequence[int], seed: int, labels: Tensor | None = None) -> Iterator[Tensor]:
        """`sample` in batches; series i is a function of (seed, i) and its label alone."""
        labels = self.labels(indices, seed) if labels is None else labels.to(self.device.device)
        for start in range(0, len(indices), _BATCH):
            part = list(indices[start : start + _BATCH])
            # Full batches, the last series repeated: the number of rows may change how sums are rounded.
            rows = torch.arange(_BATCH).clamp_max(len(part) - 1)
            which = torch.tensor(part)[rows].to(self.device.device)
            inputs = noise(self.config.network, self.config.data.length, which, seed, int(rng.Stream.SAMPLE))
            of_rows = None if labels is None else labels[start + rows.to(labels.device)]
            yield self.generator(*inputs, of_rows)[: len(part)].cpu()


def load_sampler(run: Path, device: Device, checkpoint: str = "latest") -> Sampler:
    """The generator of a run's checkpoint: "latest", "best" or an iteration. Raises UserError."""
    trained = load_run(run, SeriesGANConfig, checkpoint)
    with trained.restoring("generator") as state:
        summary = DataSummary.of(state["data_summary"])
        generator = Generator(trained.config.network, len(summary.scale.columns), len(summary.classes))
        generator.load_state_dict(state["trainer"]["average"]["module"])
        shown, fingerprint = int(state["trainer"]["shown"]), str(state["data"])
    generator = generator.to(device.device).eval().requires_grad_(False)
    return Sampler(generator, trained.config, summary, shown, fingerprint, device)
