"""The AlphaZero learner: gradient steps on replayed positions, and the EMA of the weights that plays."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.alphazero.auxiliary import AuxiliaryLosses
from agents.alphazero.config import LearnerConfig
from agents.alphazero.network import DRAW, LOSS, WIN, PolicyValueNet
from agents.alphazero.records import Samples, dense_policy, unpack_observation
from agents.games.game import Game
from lab import rng
from lab.errors import CheckpointError
from lab.train.collectives import ranks
from lab.train.device import Device, autocast
from lab.train.ema import EMA, decay_of
from lab.train.learning_rate import learning_rate_at
from lab.train.schedules import steps_warmup, value_at
from lab.train.step import GradientStep, LossTerm

Batch = tuple[Tensor, ...]


class Learner:
    """Network, optimizer, EMA of the weights and the number of steps taken.

    With several ranks each computes its rows of every batch, and all take the same steps.
    """

    def __init__(self, net: PolicyValueNet, game: Game, config: LearnerConfig, device: Device, seed: int) -> None:
        self.config, self.game, self.device, self.seed = config, game, device, seed
        self.net = net.to(device.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = EMA(self.net)
        self.steps = 0
        self._ranks = ranks()
        self._gradient_step = GradientStep(self.net, config, device, heads=net.output_layers)
        self._symmetries = game.symmetries(device.device)
        self._auxiliary = AuxiliaryLosses(game, config.auxiliary, self._symmetries)
        self._shape = game.observation_shape

    def step(self, positions: Samples, received: int) -> dict[str, Tensor]:
        """One gradient step on N positions; returns losses and statistics as 0-d tensors on the device.

        received: positions received from self-play so far, the counter of schedules. With several ranks the
        positions are those of rank 0; the other ranks pass N positions with any values.
        """
        config = self.config
        rows = self._ranks.rows(len(positions))
        batch = self._batch(self._of_rank_zero(positions), rows)
        self.net.train()
        result = self._gradient_step(
            partial(self._losses, batch, len(positions), received),
            rows=rows.stop - rows.start,
            learning_rate=learning_rate(config, received) * steps_warmup(self.steps, config.warmup_steps),
            micro_batch=config.micro_batch,
            mixed_precision=False,
        )
        self.steps += 1
        self.average.update(self.net, ema_decay(config, received))
        return {"loss/total": result.loss, **result.statistics, "train/gradient_norm": result.gradient_norm}

    def state_dict(self) -> dict[str, Any]:
        return {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._gradient_step.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self._gradient_step.load_state_dict(state["optimizer"])
        self.steps = state["steps"]

    def _losses(self, batch: Batch, count: int, received: int, part: slice) -> LossTerm:
        """Losses of a part of this rank's batch; count: positions in the global batch."""
        observation, policy, outcome, search_value, *auxiliary = (field[part] for field in batch)
        with autocast(self.device):
            logits, outcome_logits, others = self.net.training_outputs(observation)
        search_fraction = value_at(self.config.search_value_fraction, received)
        target = value_target(outcome, search_value, outcome_logits.detach().float(), search_fraction)
        losses = alphazero_losses(logits.float(), outcome_logits.float(), policy, target)
        losses = {name: mean * (len(policy) / count) for name, mean in losses.items()}
        loss = losses["loss/policy"] + value_at(self.config.value_weight, received) * losses["loss/value"]
        if others:
            means = self._auxiliary.losses(others, policy, auxiliary)
            means = {name: mean * (len(policy) / count) for name, mean in means.items()}
            loss = loss + self._auxiliary.total(means)
            losses |= {f"loss/{name}": mean for name, mean in means.items()}
        return LossTerm(loss, losses)

    def _of_rank_zero(self, positions: Samples) -> Samples:
        """The positions of rank 0, on the device."""
        fields = [field.to(self.device.device, non_blocking=True) for field in positions]
        self._ranks.broadcast_([field for field in fields if field.numel()])
        return Samples(*fields)

    def _batch(self, positions: Samples, rows: slice = slice(None)) -> Batch:
        """Observations [N, C, H, W], policies [N, A], outcomes and search values [N], each under a random symmetry.

        Policies of cheap searches are zeros. Then the auxiliary targets, if any.

        Only the positions in `rows`; the symmetry of a position does not depend on `rows`.
        """
        numbers = torch.arange(len(positions), device=self.device.device)[rows]
        positions = Samples(*(field[rows] for field in positions))
        planes = unpack_observation(self.game, positions)
        policy = dense_policy(positions, self.game.num_actions)
        # A target of zeros has no loss and no gradient.
        if positions.cheap.shape[1]:
            policy = policy * (positions.cheap == 0)
        count, which = len(self._symmetries.actions), None
        if self.config.symmetries and count > 1:
            which = rng.integers(count, self.seed, int(rng.Stream.SYMMETRY), self.steps, numbers)
            planes = planes.gather(1, self._symmetries.planes.index_select(0, which))
            policy = policy.gather(1, self._symmetries.actions.index_select(0, which))
        observation = planes.view(-1, *self._shape).contiguous(memory_format=torch.channels_last)
        values = positions.outcome.to(torch.int64), positions.search_value.to(torch.float32)
        return observation, policy, *values, *self._auxiliary.targets(positions, which)


def load_weights(net: nn.Module, state: Mapping[str, Any], *path: str) -> None:
    """Load the weights at `path` of nested state. Raises CheckpointError if missing or of another network."""
    weights: Any = state
    try:
        for key in path:
            weights = weights[key]
        net.load_state_dict(weights)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError):  # torch has one line per tensor
        raise CheckpointError("its network is not the one of this run's config.yaml") from None


def alphazero_losses(logits: Tensor, outcome_logits: Tensor, policy: Tensor, outcome: Tensor) -> dict[str, Tensor]:
    """Mean losses over N positions, 0-d each, differentiable.

    logits and policy: [N, A]; outcome_logits and outcome: [N, 3], targets as probabilities.
    Both are KL divergences, cross-entropy minus the target's entropy; 0 is perfect.
    """
    policy_entropy, outcome_entropy = entropy(policy), entropy(outcome)
    return {
        "loss/policy": F.cross_entropy(logits, policy) - policy_entropy,
        "loss/value": F.cross_entropy(outcome_logits, outcome) - outcome_entropy,
        "train/target_entropy": policy_entropy,
    }


def entropy(probabilities: Tensor) -> Tensor:
    """Mean entropy in nats of distributions [N, K], 0-d."""
    return -torch.special.xlogy(probabilities, probabilities).sum(-1).mean()


def value_target(outcome: Tensor, search_value: Tensor, outcome_logits: Tensor, fraction: float) -> Tensor:
    """Win/draw/loss targets [N, 3]: the game's outcome mixed with the search's value of the position.

    The outcome is unbiased but noisy, since both sides explore after the position; the search value is biased but less
    noisy, and their mean learns faster than either (Prasad 2018, "Lessons from AlphaZero: Connect Four"). A scalar
    value has no probability of a draw; that of the network is used, limited to 1 - |search value|.
    outcome: int64 [N] of +1, 0, -1; search_value: [N]; outcome_logits: [N, 3]; fraction: weight of the
    search value, in [0, 1].
    """
    played = F.one_hot(torch.where(outcome > 0, WIN, torch.where(outcome < 0, LOSS, DRAW)), 3)
    draw = torch.minimum(outcome_logits.softmax(-1)[:, DRAW], 1.0 - search_value.abs()).clamp_min(0.0)
    win, loss = (1.0 - draw + search_value) / 2.0, (1.0 - draw - search_value) / 2.0
    searched = torch.stack([win, draw, loss], -1)
    return (1.0 - fraction) * played + fraction * searched


def learning_rate(config: LearnerConfig, received: int) -> float:
    """Learning rate after `received` positions of self-play, before the warm-up factor; see `LearnerConfig`."""
    return learning_rate_at(config, received, config.decay_positions)


def ema_decay(config: LearnerConfig, received: int) -> float:
    """EMA decay per step after `received` positions of self-play."""
    if config.ema_half_life is not None:
        return decay_of(config.ema_half_life, config.batch_size)
    return value_at(config.ema_decay, received)


def steps_allowed(config: LearnerConfig, received: int, trained: int, minimum: int) -> int:
    """Gradient steps until `replay_ratio` times the received positions are trained on; 0 below `minimum` positions."""
    if received < minimum:
        return 0
    return max(0, int((config.replay_ratio * received - trained) // config.batch_size))
