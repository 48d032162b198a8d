"""EMA: an exponential moving average of a network's weights, which is used to play and to generate."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from lab.files.plain import is_count
from lab.train import foreach

M = TypeVar("M", bound=nn.Module)


class EMA(Generic[M]):
    """Exponential moving average of a module's parameters and buffers; `module` is the averaged network.

    After updates with x_1 ... x_n and a constant decay d the average is sum_i d^(n-i) x_i divided by the sum of the
    factors: the initial bias is corrected as in Adam (Kingma and Ba 2015, section 3), and the untrained weights do not
    count. With `bias_correction=False` the weights at construction count as x_0, as in the progressive GAN.
    Floating-point buffers (BatchNorm's running statistics) are averaged too, others are copied. An update is a few
    fused operations without a host sync.
    """

    def __init__(self, source: M, decay: float = 0.999, *, bias_correction: bool = True) -> None:
        self.module: M = copy.deepcopy(source).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0
        self.mass = 0.0 if bias_correction else 1.0
        self._changed: tuple[nn.Module, frozenset[str], list[Tensor], list[Tensor]] | None = None

    @torch.no_grad()
    def update(self, source: nn.Module, decay: float | None = None, *, changed: Collection[str] | None = None) -> None:
        """Add `source` to the average. `decay`: for this update, from a schedule or `decay_of`; else the default.

        changed: names of the parameters that may differ from their averages, all by default. The others stay the same
        under any update, and on networks that grow they can be most of the memory that an update reads. With it both
        networks must keep the tensors of their weights between updates.
        """
        decay = self.decay if decay is None else decay
        self.mass = decay * self.mass + (1.0 - decay)
        step = (1.0 - decay) / self.mass if self.mass > 0.0 else 0.0
        averages, sources = self._pairs(source, changed)
        floating = [i for i, tensor in enumerate(averages) if tensor.is_floating_point()]
        others = [i for i, tensor in enumerate(averages) if not tensor.is_floating_point()]
        if floating:
            foreach.lerp_([averages[i] for i in floating], [sources[i] for i in floating], step)
        if others:
            foreach.copy_([averages[i] for i in others], [sources[i] for i in others])
        self.updates += 1

    def _pairs(self, source: nn.Module, changed: Collection[str] | None) -> tuple[list[Tensor], list[Tensor]]:
        """Tensors of both networks in one order; with `changed` the lists of the last update while it is equal."""
        if changed is None:
            return _paired(self.module, source, None)
        last = self._changed
        if last is None or last[0] is not source or last[1] != changed:
            last = self._changed = (source, frozenset(changed), *_paired(self.module, source, changed))
        return last[2], last[3]

    def state_dict(self) -> dict[str, Any]:
        return {"module": self.module.state_dict(), "updates": self.updates, "mass": self.mass}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ValueError, KeyError or RuntimeError for the state of another module and for a damaged one."""
        updates, mass = state["updates"], state["mass"]
        if not is_count(updates) or type(mass) not in (int, float) or not 0.0 <= mass <= 1.0 + 1e-6:
            raise ValueError("EMA: the number of updates or their weight is damaged")
        self.module.load_state_dict(state["module"])
        self.updates, self.mass = updates, mass


def decay_of(half_life: float, batch_size: int) -> float:
    """The decay per update of `batch_size` samples that halves the weight of old values after `half_life` samples."""
    return 0.5 ** (batch_size / half_life)


def _paired(
    average: nn.Module, source: nn.Module, changed: Collection[str] | None
) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters and buffers of both in one order. Raises ValueError if their names differ."""
    ours, theirs = _tensors(average), _tensors(source)
    if ours.keys() != theirs.keys():
        raise ValueError(f"EMA: the networks differ in {sorted(ours.keys() ^ theirs.keys())}")
    fixed = {name for name, _ in source.named_parameters() if name not in changed} if changed is not None else set()
    return [tensor for name, tensor in ours.items() if name not in fixed], [
        tensor for name, tensor in theirs.items() if name not in fixed
    ]


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_parameters()) | dict(module.named_buffers())
