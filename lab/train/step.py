"""The training step of every supervised experiment; what it does at a counter depends on nothing else."""

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lab.errors import CheckpointError
from lab.train.collectives import gradients, ranks
from lab.train.config import FitConfig
from lab.train.device import Device, autocast
from lab.train.optimizer_state import load_optimizer
from lab.train.sync_batch_norm import with_global_norms

_log = logging.getLogger(__name__)
_START_OF_CYCLE = 1.0 / 25.0  # of the peak; Smith and Topin 2018 start between a third and a twentieth of it


class LossSum(NamedTuple):
    """Losses added up over some items, 0-d, and what to divide the sum by: items, tokens or class weights.

    Sums rather than means: parts of a batch, in turn or on other ranks, then make the mean of the whole.
    """

    total: Tensor
    weight: Tensor | float


class Step(NamedTuple):
    """The mean loss of the global batch and the norm of its gradient before clipping, 0-d on the device."""

    loss: Tensor
    gradient_norm: Tensor


class Fit:
    """A network and its optimizer.

    The learning rate is a function of a counter that reaches the end of its schedule at `period`. Among ranks each
    computes its share of every batch, BatchNorm has the statistics of the whole, and all take the same steps.
    Parameters that are frozen when this is made stay so.
    """

    def __init__(self, network: nn.Module, config: FitConfig, device: Device, period: int) -> None:
        self.network, self.config = network, config
        self._device, self._period, self._ranks = device, period, ranks()
        if self._ranks.size > 1:
            with_global_norms(network)
        self._optimizer = make_optimizer(network, config)

    @property
    def rows(self) -> slice:
        """This rank's share of the items of a batch, neighbours; all of them where there is one rank."""
        return self._ranks.rows(self.config.batch_size)

    def step(self, counter: int, losses: Callable[[slice], LossSum], rate: float | None = None) -> Step:
        """One step of the optimizer. `losses` is called under autocast for each micro batch, a slice of this rank's
        items numbered from 0 (the first is item `rows.start` of the global batch). `rate` replaces the schedule's."""
        rate = learning_rate(self.config, counter / self._period) if rate is None else rate
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        parts = self._micro_batches()
        whole = len(parts) == 1 and self._ranks.size == 1
        sums: list[LossSum] = []
        for rows in parts:
            with autocast(self._device):
                total, weight = losses(rows)
            loss = total / weight if whole else total  # the mean at once saves a pass over the gradients
            loss.backward()
            sums.append(LossSum(loss.detach(), weight))
        slopes = gradients(self.network)
        mean = sums[0].total if whole else self._mean_(slopes, sums)
        norm = torch.stack(torch._foreach_norm(slopes)).norm()
        if self.config.gradient_clip is not None:
            torch._foreach_mul_(slopes, (self.config.gradient_clip / (norm + 1e-6)).clamp(max=1.0))
        self._optimizer.step()
        return Step(mean, norm)

    def state_dict(self) -> dict[str, Any]:
        """All but the network, which is saved by whoever uses it."""
        return {"optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError where the state is of other parameters."""
        try:
            load_optimizer(self._optimizer, state["optimizer"])
        except (KeyError, TypeError, ValueError):
            raise CheckpointError("its optimizer is not the one of this run's config.yaml") from None

    def _mean_(self, slopes: list[Tensor], sums: list[LossSum]) -> Tensor:
        """Divide gradients, and the loss, which is returned, by the weight of all parts on all ranks."""
        total = torch.stack([part.total for part in sums]).sum()
        weight = torch.zeros_like(total)
        for part in sums:
            weight += part.weight
        self._ranks.all_reduce_([*slopes, total, weight])
        torch._foreach_mul_(slopes, 1.0 / weight)
        return total / weight

    def _micro_batches(self) -> list[slice]:
        rows = self.rows
        count = rows.stop - rows.start
        size = self.config.micro_batch or count
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def learning_rate(config: FitConfig, share: float) -> float:
    """At a share of the schedule, 0 to 1 (beyond: as at 1).

    "cosine" falls to 0 along half a cosine, "linear" in a straight line; both rise linearly first over `warmup`, from
    0. "one-cycle" (Smith and Topin 2018) rises over `warmup` from a twenty-fifth and falls to 0, in straight lines.
    """
    share, peak = min(share, 1.0), config.learning_rate
    if share < config.warmup:
        start = _START_OF_CYCLE if config.schedule == "one-cycle" else 0.0
        return peak * (start + (1.0 - start) * share / config.warmup)
    if config.schedule == "constant":
        return peak
    left = (1.0 - share) / (1.0 - config.warmup)
    return peak * (0.5 * (1.0 - math.cos(math.pi * left)) if config.schedule == "cosine" else left)


def warn_of_idle_end(config: FitConfig, budget: int, period: int, unit: str) -> None:
    """Say so where the learning rate is 0 before the budget is reached, as when a run got more of it later."""
    if budget > period and config.schedule != "constant" and ranks().is_rank_zero:
        _log.warning(
            f"the learning rate reaches 0 after {period:,} {unit} (training.decay_{unit}), before the budget of "
            f"{budget:,}: the rest teaches nothing; a new run with that budget would learn from it"
        )


def make_optimizer(network: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov momentum, over what is not frozen; biases and norms do not decay."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if p.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in learning if p.dim() <= 1], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        nesterov = config.momentum > 0
        return torch.optim.SGD(groups, config.learning_rate, config.momentum, nesterov=nesterov, fused=True)
    return torch.optim.AdamW(groups, config.learning_rate, betas=(config.momentum, 0.999), fused=True)
