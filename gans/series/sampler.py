"""The averaged generator of a trained run, ready for sampling."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from gans.series.config import SeriesGANConfig
from gans.series.dataset import Scale, SeriesSet
from gans.series.network import Generator
from gans.series.noise import noise
from lab import rng
from lab.config.suggestions import did_you_mean
from lab.errors import UserError
from lab.run.load import load_run
from lab.train.device import Device

_BATCH = 256


@dataclass(frozen=True, eq=False)
class DataSummary:
    """Scale, class names and class frequencies of the data, stored so that sampling needs no data file."""

    scale: Scale
    classes: tuple[str, ...]
    frequencies: np.ndarray  # float64 [classes]

    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scale.state_dict(), "classes": list(self.classes), "frequencies": self.frequencies}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        return cls(Scale.of(state["scale"]), tuple(state["classes"]), np.asarray(state["frequencies"]))

    @classmethod
    def from_set(cls, data: SeriesSet) -> Self:
        counts = np.zeros(0) if data.labels is None else np.bincount(data.labels.cpu(), minlength=len(data.classes))
        return cls(data.scale, data.classes, counts / max(counts.sum(), 1))


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

    def class_number(self, name: str | None, option: str) -> int | None:
        """The number of a class, None for None. Raises UserError, which begins with `option`, for an unknown class."""
        classes = self.summary.classes
        if name is None:
            return None
        if not classes:
            raise UserError(f"{option}: this run is unconditional; train one with data.label set")
        if name not in classes:
            raise UserError(f"{option} {name}: this run has no such class; {did_you_mean(name, classes)}")
        return classes.index(name)

    def labels(self, indices: Sequence[int], seed: int, label: int | None = None) -> Tensor | None:
        """int64 [N]: `label`, or classes drawn by (seed, i) with the frequencies of the data; None without classes."""
        if not self.summary.classes:
            return None
        which = torch.tensor(list(indices), dtype=torch.int64, device=self.device.device)
        if label is not None:
            return torch.full_like(which, label)
        edges = torch.from_numpy(self.summary.frequencies).cumsum(0).to(torch.float32).to(which.device)[:-1]
        return torch.bucketize(rng.uniform(seed, int(rng.Stream.LABEL), which), edges)

    def sample(self, indices: Sequence[int], seed: int, label: int | None = None) -> Tensor:
        """Series number `indices` of a seed, standardised: float32 [N, T, C] on the CPU."""
        return torch.cat(list(self.batches(indices, seed, label)))

    @torch.no_grad()
    def batches(self, indices: Sequence[int], seed: int, label: int | None = None) -> Iterator[Tensor]:
        """`sample` in batches; series i is a function of (seed, i) alone."""
        for start in range(0, len(indices), _BATCH):
            part = list(indices[start : start + _BATCH])
            # Full batches, the last series repeated: the number of rows may change how sums are rounded.
            which = torch.tensor(part + part[-1:] * (_BATCH - len(part)), device=self.device.device)
            inputs = noise(self.config.network, self.config.data.length, which, seed, int(rng.Stream.SAMPLE))
            labels = self.labels(which.tolist(), seed, label)
            yield self.generator(*inputs, labels)[: len(part)].cpu()


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
