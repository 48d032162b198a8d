"""Classes of a conditional GAN: their names, and how often each occurs in the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from lab import rng
from lab.config.suggestions import did_you_mean
from lab.data.labels import find_class
from lab.errors import UserError

_SHOWN = 12  # classes in a line of text


@dataclass(frozen=True, eq=False)
class Classes:
    """Names in the order of the labels, and the share of each in the data, float64 [classes]; empty if unconditional.

    A class without examples has a share of 0: it keeps its number, its embedding is untrained and it is never drawn.
    """

    names: tuple[str, ...] = ()
    shares: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        """Raises ValueError for shares that are not those of these names."""
        if self.shares.shape != (len(self.names),) or not (np.isfinite(self.shares) & (self.shares >= 0.0)).all():
            raise ValueError(f"shares of {len(self.names)} classes are not {self.shares}")
        if self.names and not 0.999 < self.shares.sum() < 1.001:
            raise ValueError(f"the shares of all classes add up to {self.shares.sum()}")

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of_labels(cls, names: Sequence[str], labels: np.ndarray | Tensor) -> Self:
        """Shares among labels, int64 [N] into `names`, at least one."""
        counts = np.bincount(np.asarray(labels), minlength=len(names))
        return cls(tuple(names), counts / counts.sum())

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """What `state_dict` returned. Raises ValueError, KeyError or TypeError for anything else."""
        return cls(tuple(map(str, state["names"])), np.asarray(state["shares"], np.float64))

    def state_dict(self) -> dict[str, Any]:
        return {"names": list(self.names), "shares": self.shares}

    def number(self, name: str, option: str, remedy: str) -> int:
        """The label of a class. Raises UserError, which begins with `option`, for a class that cannot be drawn.

        remedy: how to train a conditional run.
        """
        if not self.names:
            raise UserError(f"{option}: this run is unconditional; {remedy}")
        label = find_class(name, self.names)
        if label is None:
            known = f" (classes: {', '.join(self.names)})" if len(self.names) <= _SHOWN else ""
            raise UserError(f"{option} {name}: this run has no such class; {did_you_mean(name, self.names)}{known}")
        if self.shares[label] == 0.0:
            raise UserError(f"{option} {name}: the data of this run has no example of this class")
        return label

    def draw(self, which: Tensor, seed: int) -> Tensor:
        """Labels int64 [N] with the shares of the data; each is a function of (seed, its number in `which`) alone."""
        present = torch.from_numpy(np.flatnonzero(self.shares)).to(which.device)
        edges = torch.from_numpy(np.cumsum(self.shares[self.shares > 0.0])[:-1]).to(torch.float32).to(which.device)
        return present[torch.bucketize(rng.uniform(seed, int(rng.Stream.LABEL), which), edges)]

    def counts(self, labels: Tensor) -> str:
        """Names of the labels int64 [N] and how often each occurs, the most frequent first."""
        found = torch.bincount(labels.cpu(), minlength=len(self.names)).tolist()
        order = sorted((label for label, count in enumerate(found) if count), key=lambda label: -found[label])
        listed = [f"{self.names[label]} {found[label]:,}" for label in order[:_SHOWN]]
        return ", ".join([*listed, *([f"and {len(order) - _SHOWN} more"] if len(order) > _SHOWN else [])])


def rows_of_class(labels: Tensor, wanted: Tensor, generator: np.random.Generator) -> Tensor:
    """Rows int64 [N] of `labels` [M], whose labels are `wanted` [N] one by one; repeated only where too few.

    Every class of `wanted` must occur in `labels`.
    """
    rows = torch.empty_like(wanted)
    for label in wanted.unique().tolist():
        places, of_class = (wanted == label).nonzero()[:, 0], (labels == label).nonzero()[:, 0]
        order = torch.from_numpy(generator.permutation(len(of_class)))
        rows[places] = of_class[order[torch.arange(len(places)) % len(order)]]
    return rows
