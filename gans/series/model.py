"""The averaged generator of a run, ready to be drawn from."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from gans.series.config import SeriesGANConfig
from gans.series.network import Generator
from gans.series.noise import noise
from gans.series.sets import Scale, SeriesSet
from lab import rng
from lab.config.loading import load_run_config
from lab.errors import CheckpointError, UserError
from lab.run import checkpoint as checkpoints
from lab.train.device import Device

_BATCH = 256
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Kept:
    """What a run keeps of its data, so that drawing needs no file: scale, names of the classes, their shares."""

    scale: Scale
    classes: tuple[str, ...]
    shares: np.ndarray  # float64 [classes]

    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scale.state_dict(), "classes": list(self.classes), "shares": self.shares}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        return cls(Scale.of(state["scale"]), tuple(state["classes"]), np.asarray(state["shares"]))

    @classmethod
    def from_set(cls, data: SeriesSet) -> Self:
        counts = np.zeros(0) if data.labels is None else np.bincount(data.labels.cpu(), minlength=len(data.classes))
        return cls(data.scale, data.classes, counts / max(counts.sum(), 1))


@dataclass(frozen=True, eq=False)
class Sampler:
    """A generator in evaluation mode, the series it had been shown by then, and the fingerprint of its data."""

    generator: Generator
    config: SeriesGANConfig
    kept: Kept
    series_shown: int
    fingerprint: str
    device: Device

    @property
    def channels(self) -> int:
        return len(self.kept.scale.columns)

    def labels(self, indices: Sequence[int], seed: int, label: int | None = None) -> Tensor | None:
        """int64 [N]: the one asked for, or drawn by (seed, i) with the shares of the data; None without classes."""
        if not self.kept.classes:
            return None
        which = torch.tensor(list(indices), dtype=torch.int64, device=self.device.device)
        if label is not None:
            return torch.full_like(which, label)
        edges = torch.from_numpy(self.kept.shares).cumsum(0).to(torch.float32).to(which.device)[:-1]
        return torch.bucketize(rng.uniform(seed, int(rng.Stream.LABEL), which), edges)

    def sample(self, indices: Sequence[int], seed: int, label: int | None = None) -> Tensor:
        """Series number `indices` of a seed, standardised: float32 [N, T, C] on the CPU."""
        return torch.cat(list(self.batches(indices, seed, label)))

    @torch.no_grad()
    def batches(self, indices: Sequence[int], seed: int, label: int | None = None) -> Iterator[Tensor]:
        """`sample` in batches; series i is a function of (seed, i), whatever else is drawn."""
        for start in range(0, len(indices), _BATCH):
            part = list(indices[start : start + _BATCH])
            # Always a whole batch, the last series repeated: how a sum is rounded may depend on the number of rows.
            which = torch.tensor(part + part[-1:] * (_BATCH - len(part)), device=self.device.device)
            drawn = noise(self.config.network, self.config.data.length, which, seed, int(rng.Stream.SAMPLE))
            labels = self.labels(which.tolist(), seed, label)
            yield self.generator(*drawn, labels)[: len(part)].cpu()


def load_sampler(run: Path, device: Device, checkpoint: str = "latest") -> Sampler:
    """The generator of a run's checkpoint: "latest", "best" or an iteration. Raises UserError."""
    config = load_run_config(run / "config.yaml")
    if not isinstance(config, SeriesGANConfig):
        raise UserError(f"run {run.name!r} is of kind {config.kind!r}, not series_gan")
    path = checkpoints.choose(run, checkpoint, _log.warning)
    state = checkpoints.load(path)[0]
    try:
        kept = Kept.of(state["experiment"]["kept"])
        generator = Generator(config.network, len(kept.scale.columns), len(kept.classes))
        generator.load_state_dict(state["experiment"]["trainer"]["average"]["module"])
        shown, fingerprint = int(state["experiment"]["trainer"]["shown"]), str(state["experiment"]["data"])
    except (KeyError, TypeError, RuntimeError):
        raise CheckpointError(f"{path}: its generator is not that of the run's config.yaml") from None
    generator = generator.to(device.device).eval().requires_grad_(False)
    return Sampler(generator, config, kept, shown, fingerprint, device)
