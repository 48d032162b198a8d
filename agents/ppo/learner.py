"""The PPO update: epochs of minibatches over a rollout (Schulman et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.ppo.config import LearnerConfig
from agents.ppo.distributions import ActionDistribution
from agents.ppo.losses import Coefficients, Losses, Targets, losses, losses_and_gradients
from agents.ppo.network import ActorCritic
from agents.ppo.plain import PlainNetwork
from agents.ppo.records import Rollout
from lab import rng
from lab.files.plain import is_count
from lab.train.collectives import ranks
from lab.train.device import Device
from lab.train.learning_rate import learning_rate_at
from lab.train.schedules import value_at
from lab.train.step import GradientStep, LossTerm, StepResult

_STOP_AT = 1.5
"""An update ends after the optimizer step whose KL divergence exceeds 1.5 times the target.

Stable-Baselines3 has the same factor and leaves that step out: here an update ends one step later.
"""
_STATISTICS = (
    *("loss/total", "loss/policy", "loss/value", "train/entropy", "train/kl", "train/clip_fraction"),
    "train/gradient_norm",
)
"""Names of `Losses` in its order, and of what the gradient step adds."""
_KL = Losses._fields.index("kl")


class Batch(NamedTuple):
    """Steps [B, ...] of a rollout, or for a recurrent network sequences [B, T, ...] of steps.

    returns: targets of the value. valid: bool; without a recurrent network all are. starts, states: see `Rollout`.
    """

    observations: dict[str, Tensor]
    mask: Tensor
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    valid: Tensor
    starts: Tensor
    states: Tensor

    def rows(self, index: Tensor | slice) -> Batch:
        """The rows of an index or a slice."""
        observations = {name: values[index] for name, values in self.observations.items()}
        return Batch._make((observations, *(field[index] for field in self[1:])))

    def split(self, count: int) -> list[Batch]:
        """Consecutive parts whose numbers of rows differ by at most one, as views."""
        observations = {name: values.tensor_split(count) for name, values in self.observations.items()}
        parts = zip(*(field.tensor_split(count) for field in self[1:]), strict=True)
        return [
            Batch._make(({name: values[number] for name, values in observations.items()}, *fields))
            for number, fields in enumerate(parts)
        ]


class Learner:
    """Network, optimizer and the number of updates. With several ranks each computes its rows of every minibatch."""

    def __init__(
        self, network: ActorCritic, distribution: ActionDistribution, config: LearnerConfig, device: Device, seed: int
    ) -> None:
        self.network, self.distribution, self.config = network.to(device.device), distribution, config
        self.updates = self.steps = 0
        self._device, self._seed, self._ranks = device, seed, ranks()
        self._gradient_step = GradientStep(
            network, config, device, heads=[network.policy, network.value], flat_gradients=True
        )
        self._plain = PlainNetwork.of(network)

    def update(self, rollout: Rollout, taken: int) -> dict[str, float]:
        """Train on a rollout and return metrics; taken: environment steps so far, the counter of schedules.

        Without a valid step nothing is trained and there are no metrics.

        Raises FloatingPointError if a loss or a gradient is NaN or infinite.
        """
        batch = as_batch(rollout, self.config.sequence_length if self.network.recurrent else None, self._recurrent)
        if not bool(batch.valid.any()):  # one step of environments that all began an episode in it
            return {}
        rate = learning_rate_at(self.config, taken, self.config.period)
        coefficients = self._coefficients(taken)
        sums = torch.zeros(len(_STATISTICS), device=batch.returns.device)
        steps, target, of_an_epoch = 0, self.config.target_kl, self._minibatch_count(batch)
        for minibatch in self._minibatches(batch, of_an_epoch):
            result = self._step(minibatch, coefficients, rate)
            statistics = result.statistics["losses"]
            sums[:-1] += statistics
            sums[-1] += result.gradient_norm
            steps += 1
            if target is not None and float(statistics[_KL]) > _STOP_AT * target:
                break
        self.updates += 1
        self.steps += steps
        means = (sums / steps).tolist()
        if not all(math.isfinite(value) for value in means):
            raise FloatingPointError("a loss or a gradient of PPO is NaN or infinite")
        return dict(zip(_STATISTICS, means, strict=True)) | {
            "train/learning_rate": rate,
            "train/steps": float(self.steps),
            "train/epochs": steps / of_an_epoch,
            "train/explained_variance": explained_variance(batch),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self._gradient_step.state_dict(),
            "updates": self.updates,
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self._gradient_step.load_state_dict(state["optimizer"])
        if not is_count(state["updates"]) or not is_count(state["steps"]):
            raise ValueError("the number of updates or steps is damaged")
        self.updates, self.steps = state["updates"], state["steps"]

    @property
    def _recurrent(self) -> bool:
        return self.network.recurrent

    def _coefficients(self, taken: int) -> Coefficients:
        config = self.config
        return Coefficients(
            clip_ratio=value_at(config.clip_ratio, taken),
            clip_value=config.clip_value,
            value_weight=value_at(config.value_weight, taken),
            entropy_weight=value_at(config.entropy_weight, taken),
        )

    def _orders(self, count: int) -> Tensor:
        """A random order [epochs, N] of N rows for each epoch, a function of seed and update."""
        epochs, numbers = torch.arange(self.config.epochs)[:, None], torch.arange(count)
        keys = rng.random_bits(self._seed, int(rng.Stream.MINIBATCH), self.updates, epochs, numbers)
        return keys.argsort(-1).to(self._device.device)

    def _minibatches(self, batch: Batch, of_an_epoch: int) -> Iterator[Batch]:
        """The minibatches of all epochs, each epoch in an order of its own, of nearly equal size."""
        for order in self._orders(len(batch.actions)):
            yield from batch.rows(order).split(of_an_epoch)

    def _minibatch_count(self, batch: Batch) -> int:
        """Minibatches of an epoch."""
        size = self.config.minibatch
        if self._recurrent:
            size = max(1, size // batch.actions.shape[1])
        return minibatch_count(len(batch.actions), size)

    def _step(self, minibatch: Batch, coefficients: Coefficients, rate: float) -> StepResult:
        """One step of the optimizer; `statistics["losses"]` are those of `Losses`, in its order."""
        config, count = self.config, len(minibatch.actions)
        if self._recurrent:
            weight = minibatch.valid.to(torch.float32)
            weight /= weight.sum().clamp_min(1.0)
        else:
            weight = minibatch.advantages.new_full((count,), 1.0 / count)
        if config.normalize_advantages and minibatch.advantages.numel() > 1:
            minibatch = minibatch._replace(advantages=_normalized(minibatch.advantages, weight))
        rows = self._ranks.rows(count)
        if self._ranks.size > 1:
            if rows.start == rows.stop:  # fewer rows than ranks: this one takes part with gradients of 0
                rows, weight = slice(0, 1), torch.zeros_like(weight)
            minibatch, weight = minibatch.rows(rows), weight[rows]
        return self._gradient_step(
            partial(self._losses, minibatch, weight, coefficients),
            rows=rows.stop - rows.start,
            learning_rate=rate,
            micro_batch=config.micro_batch,
            mixed_precision=False,
        )

    def _losses(self, minibatch: Batch, weight: Tensor, coefficients: Coefficients, part: slice) -> LossTerm:
        """The loss of rows of a minibatch; weight [B] or [B, T] adds up to 1 over the whole minibatch."""
        if part != slice(0, len(minibatch.actions)):
            minibatch, weight = minibatch.rows(part), weight[part]
        mask = minibatch.mask if minibatch.mask.shape[-1] else None
        targets = Targets(mask, *minibatch[2:7], weight)
        if self._plain is not None:
            passed = self._plain.forward(minibatch.observations)
            found, *gradients = losses_and_gradients(
                self.distribution, passed.outputs, passed.values, targets, coefficients
            )
            self._plain.add_gradients(passed, *gradients)
            return LossTerm(found.total, {"losses": torch.stack(found)}, has_gradients=True)
        if self._recurrent:
            outputs, values = self.network.sequences(minibatch.observations, minibatch.starts, minibatch.states)
        else:
            outputs, values = self.network(minibatch.observations)
        found = losses(self.distribution, outputs, values, targets, coefficients)
        return LossTerm(found.total, {"losses": torch.stack(found).detach()})


def minibatch_count(rows: int, size: int) -> int:
    """Minibatches of an epoch over this many rows, of about `size` rows each."""
    return max(1, round(rows / size))


def as_batch(rollout: Rollout, length: int | None, recurrent: bool) -> Batch:
    """The valid steps of a rollout; with a recurrent network its sequences of `length` steps (None: all)."""
    returns = rollout.advantages + rollout.values
    fields = (*rollout[1:6], returns, rollout.valid, rollout.starts)
    if not recurrent:
        valid = rollout.valid.flatten()
        index = slice(None) if bool(valid.all()) else valid.nonzero()[:, 0]
        observations = {name: values.flatten(0, 1)[index] for name, values in rollout.observations.items()}
        flat = [field.flatten(0, 1)[index] for field in fields]
        return Batch._make((observations, *flat, flat[0].new_zeros(len(flat[0]), 0)))
    steps, count = rollout.valid.shape
    length = length or steps

    def cut(field: Tensor) -> Tensor:
        """[T, N, ...] -> [C * N, length, ...], the C sequences of each environment."""
        parts = field.view(steps // length, length, count, *field.shape[2:])
        return parts.transpose(1, 2).flatten(0, 1).contiguous()

    observations = {name: cut(values) for name, values in rollout.observations.items()}
    return Batch._make((observations, *(cut(field) for field in fields), rollout.states.flatten(0, 1)))


def explained_variance(batch: Batch) -> float:
    """1 - Var(returns - values) / Var(returns) over the steps of a rollout; NaN if the returns are constant."""
    returns, values = batch.returns[batch.valid].double(), batch.values[batch.valid].double()
    variance = float(returns.var(correction=0)) if len(returns) else 0.0
    return 1.0 - float((returns - values).var(correction=0)) / variance if variance else math.nan


def _normalized(advantages: Tensor, weight: Tensor) -> Tensor:
    """Advantages with mean 0 and standard deviation 1 under weights that add up to 1."""
    advantages_, weight_ = advantages.flatten(), weight.flatten()
    centred = advantages_ - torch.dot(advantages_, weight_)
    std = torch.dot(centred.square(), weight_).sqrt_()
    return centred.div_(std.add_(1e-8)).view_as(advantages)
