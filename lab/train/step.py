"""The gradient step of every kind: micro-batches, all-reduce, clipping, one step of the optimizer."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lab.errors import CheckpointError
from lab.train.collectives import gradients, ranks
from lab.train.config import OptimizerConfig
from lab.train.device import Device, autocast
from lab.train.optimizers import load_optimizer, make_optimizer, set_learning_rate
from lab.train.sync_batch_norm import convert_batch_norms


class LossSum(NamedTuple):
    """Losses added up over a part of a batch, 0-d, and the weight of the part: items, tokens or class weights.

    The loss of the global batch is the sum of all totals over the sum of all weights, which need not be known before.
    """

    total: Tensor
    weight: Tensor | float


class LossShare(NamedTuple):
    """A part's share of the loss of the global batch, 0-d: its mean times its share of the rows.

    The loss of the global batch is the sum of all shares. So are its statistics, shares of 0-d means likewise.
    """

    loss: Tensor
    statistics: Mapping[str, Tensor]


class StepResult(NamedTuple):
    """Of one step, over the global batch: 0-d tensors on the device, equal on all ranks.

    gradient_norm: before clipping. statistics: means of what the losses gave.
    """

    loss: Tensor
    gradient_norm: Tensor
    statistics: dict[str, Tensor]


class GradientStep:
    """One network, its optimizer, and the step that both take on a global batch.

    Among ranks each one computes its rows of the batch, BatchNorm takes the statistics of the whole, gradients are
    all-reduced, and all ranks take the same step. Parameters that are frozen at construction are not trained.
    """

    def __init__(
        self, network: nn.Module, config: OptimizerConfig, device: Device, *, heads: Collection[nn.Module] = ()
    ) -> None:
        """heads: modules that end in an output layer; see `make_optimizer`."""
        self.network = network
        self._config, self._device, self._ranks = config, device, ranks()
        if self._ranks.size > 1:
            convert_batch_norms(network)
        self._optimizer = make_optimizer(network, config, heads=heads)

    def reset(self) -> None:
        """Forget the optimizer's moments; the same parameters are trained, also where they are frozen just now."""
        self._optimizer.state.clear()

    def __call__(
        self,
        losses: Callable[[slice], LossSum | LossShare],
        *,
        rows: int,
        learning_rate: float,
        micro_batch: int | None = None,
        mixed_precision: bool = True,
    ) -> StepResult:
        """One step of the optimizer.

        losses: called for each micro-batch, a slice of this rank's `rows` numbered from 0. micro_batch: most rows of a
        slice, all by default. mixed_precision: `losses` runs under autocast as a whole; with False it enters
        `lab.train.device.autocast` itself where only a part of it may.
        """
        set_learning_rate(self._optimizer, learning_rate)
        self._optimizer.zero_grad(set_to_none=True)
        parts: list[LossSum | LossShare] = []
        for part in _micro_batches(rows, micro_batch):
            with autocast(self._device) if mixed_precision else nullcontext():
                found = losses(part)
            if isinstance(found, LossSum) and self._ranks.size == 1 and part == slice(0, rows):
                found = LossShare(found.total / found.weight, {})  # the mean at once saves a pass over the gradients
            found[0].backward()
            parts.append(_detached(found))
        slopes = gradients(self.network)
        loss, statistics = self._all_reduce_(slopes, parts)
        norm = torch.stack(torch._foreach_norm(slopes)).norm()
        if self._config.gradient_clip is not None:
            torch._foreach_mul_(slopes, (self._config.gradient_clip / (norm + 1e-6)).clamp(max=1.0))
        self._optimizer.step()
        return StepResult(loss, norm, statistics)

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state. Whoever uses the network saves it."""
        return self._optimizer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError where the state belongs to other parameters or another optimizer."""
        try:
            load_optimizer(self._optimizer, state)
        except (KeyError, TypeError, ValueError):
            raise CheckpointError("its optimizer is not the one of this run's config.yaml") from None

    def _all_reduce_(
        self, slopes: list[Tensor], parts: Sequence[LossSum | LossShare]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Turn gradients into those of the global batch; return its loss and statistics."""
        shares = [part for part in parts if isinstance(part, LossShare)]
        if shares:
            loss = _added([share.loss for share in shares])
            names = shares[0].statistics
            statistics = {name: _added([share.statistics[name] for share in shares]) for name in names}
            self._ranks.all_reduce_([*slopes, loss, *statistics.values()])
            return loss, statistics
        sums = [part for part in parts if isinstance(part, LossSum)]
        loss, weight = _added([part.total for part in sums]), torch.zeros_like(sums[0].total)
        for part in sums:
            weight += part.weight
        self._ranks.all_reduce_([*slopes, loss, weight])
        torch._foreach_mul_(slopes, 1.0 / weight)
        return loss / weight, {}


def _detached(part: LossSum | LossShare) -> LossSum | LossShare:
    if isinstance(part, LossSum):
        return LossSum(part.total.detach(), part.weight)
    return LossShare(part.loss.detach(), {name: value.detach() for name, value in part.statistics.items()})


def _added(values: Sequence[Tensor]) -> Tensor:
    """A new tensor, which may be changed in place."""
    return torch.stack(list(values)).sum()


def _micro_batches(rows: int, size: int | None) -> Iterator[slice]:
    for start in range(0, rows, size or rows):
        yield slice(start, min(start + (size or rows), rows))
