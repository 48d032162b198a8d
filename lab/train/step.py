"""The gradient step of every kind: micro-batches, all-reduce, clipping, one step of the optimizer."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lab.errors import CheckpointError
from lab.train import foreach
from lab.train.collectives import ranks
from lab.train.config import OptimizerConfig
from lab.train.device import Device, autocast
from lab.train.flat_gradients import FlatGradients
from lab.train.fused_adam import FusedAdam
from lab.train.optimizers import load_optimizer, make_optimizer, set_learning_rate
from lab.train.sync_batch_norm import convert_batch_norms


class LossSum(NamedTuple):
    """Sum of the losses of a micro-batch, 0-d, and its weight: number of samples or tokens, or sum of class weights.

    The loss of the global batch is the sum of all totals divided by the sum of all weights.
    """

    total: Tensor
    weight: Tensor | float


class LossTerm(NamedTuple):
    """The term of a micro-batch in the loss of the global batch, 0-d: its mean times its fraction of the rows.

    The loss of the global batch is the sum of all terms; the same holds for each of the statistics, of any shape.
    has_gradients: the gradients of the term have been added to those of the parameters, which a `GradientStep` with
    `flat_gradients` allows; without, they are computed from the loss.
    """

    loss: Tensor
    statistics: Mapping[str, Tensor]
    has_gradients: bool = False


class StepResult(NamedTuple):
    """Result of one step over the global batch: tensors on the device, equal on all ranks, 0-d but the statistics.

    gradient_norm: before clipping. statistics: those of `LossTerm`, added up.
    """

    loss: Tensor
    gradient_norm: Tensor
    statistics: dict[str, Tensor]


def mean_of(steps: Sequence[StepResult]) -> StepResult:
    """The means of all values over steps with the same 0-d statistics, on the CPU, by one transfer from the device."""
    names = list(steps[0].statistics)
    rows = [torch.stack([*step[:2], *(step.statistics[name] for name in names)]) for step in steps]
    loss, norm, *rest = torch.stack(rows).mean(0).cpu()
    return StepResult(loss, norm, dict(zip(names, rest, strict=True)))


class GradientStep:
    """One network, its optimizer, and their step on a global batch.

    Each rank computes its rows of the batch, BatchNorm uses the statistics of the whole batch, gradients are
    all-reduced, and all ranks take the same step. Parameters that are frozen at construction are not trained.
    """

    def __init__(
        self,
        network: nn.Module,
        config: OptimizerConfig,
        device: Device,
        *,
        heads: Collection[nn.Module] = (),
        flat_gradients: bool = False,
    ) -> None:
        """heads: modules that end in an output layer; see `make_optimizer`.

        flat_gradients: gradients are views of one vector (`lab.train.flat_gradients`), which saves torch's bookkeeping
        for every tensor. All parameters must have gradients in every step.
        """
        self.network = network
        self._config, self._device, self._ranks = config, device, ranks()
        if self._ranks.size > 1:
            convert_batch_norms(network)
        self._optimizer = make_optimizer(network, config, heads=heads)
        self._parameters = list(network.parameters())
        self._flat = FlatGradients(self._optimizer) if flat_gradients else None
        self._adam = FusedAdam(self._optimizer) if flat_gradients or device.device.type == "cpu" else None

    def reset(self) -> None:
        """Clear the optimizer's moments; its parameters stay, also those that are frozen at present."""
        self._optimizer.state.clear()
        self._forget()

    def __call__(
        self,
        losses: Callable[[slice], LossSum | LossTerm],
        *,
        rows: int,
        learning_rate: float,
        micro_batch: int | None = None,
        mixed_precision: bool = True,
    ) -> StepResult:
        """One step of the optimizer.

        losses: called for each micro-batch, a slice of this rank's `rows` numbered from 0. micro_batch: most rows of a
        slice, all by default. mixed_precision: run `losses` under autocast; with False it enters
        `lab.train.device.autocast` itself for the parts that allow it.
        """
        set_learning_rate(self._optimizer, learning_rate)
        if self._flat is None:
            for parameter in self._parameters:  # without the bookkeeping of torch's zero_grad
                parameter.grad = None
        else:
            self._flat.clear()
        parts: list[LossSum | LossTerm] = []
        for part in _micro_batches(rows, micro_batch):
            with autocast(self._device) if mixed_precision else nullcontext():
                found = losses(part)
            if isinstance(found, LossSum) and self._ranks.size == 1 and part == slice(0, rows):
                found = LossTerm(found.total / found.weight, {})  # dividing the loss saves a pass over the gradients
            if not (isinstance(found, LossTerm) and found.has_gradients):
                found[0].backward()
            parts.append(_detached(found))
        own = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        grads = own if self._flat is None else [self._flat.vector]
        loss, statistics = self._all_reduce_(grads, parts)
        norm = torch.stack(foreach.norms(grads)).norm()
        if self._config.gradient_clip is not None:
            foreach.multiply_(grads, (self._config.gradient_clip / (norm + 1e-6)).clamp(max=1.0))
        (self._optimizer if self._adam is None else self._adam).step()
        return StepResult(loss, norm, statistics)

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state, without the network."""
        return self._optimizer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load an optimizer state. Raises CheckpointError if it belongs to other parameters or another optimizer."""
        self._forget()
        try:
            load_optimizer(self._optimizer, state)
        except (KeyError, TypeError, ValueError):
            raise CheckpointError("its optimizer is not the one of this run's config.yaml") from None

    def _forget(self) -> None:
        if self._adam is not None:
            self._adam.forget()

    def _all_reduce_(
        self, grads: list[Tensor], parts: Sequence[LossSum | LossTerm]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Turn gradients into those of the global batch; return its loss and statistics."""
        terms = [part for part in parts if isinstance(part, LossTerm)]
        if len(terms) == self._ranks.size == 1:
            return terms[0].loss, dict(terms[0].statistics)
        if terms:
            loss = _sum([term.loss for term in terms])
            names = terms[0].statistics
            statistics = {name: _sum([term.statistics[name] for term in terms]) for name in names}
            self._ranks.all_reduce_([*grads, loss, *statistics.values()])
            return loss, statistics
        sums = [part for part in parts if isinstance(part, LossSum)]
        loss, weight = _sum([part.total for part in sums]), torch.zeros_like(sums[0].total)
        for part in sums:
            weight += part.weight
        self._ranks.all_reduce_([*grads, loss, weight])
        foreach.multiply_(grads, 1.0 / weight)
        return loss / weight, {}


def _detached(part: LossSum | LossTerm) -> LossSum | LossTerm:
    if isinstance(part, LossSum):
        return LossSum(part.total.detach(), part.weight)
    return LossTerm(part.loss.detach(), {name: value.detach() for name, value in part.statistics.items()})


def _sum(values: Sequence[Tensor]) -> Tensor:
    """Their sum as a new tensor, which may be changed in place."""
    return values[0].clone() if len(values) == 1 else torch.stack(list(values)).sum(0)


def _micro_batches(rows: int, size: int | None) -> Iterator[slice]:
    for start in range(0, rows, size or rows):
        yield slice(start, min(start + (size or rows), rows))
