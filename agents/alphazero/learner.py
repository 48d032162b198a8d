"""The learner: gradient steps on replayed positions, and the averaged weights that play."""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.alphazero.config import LearnerConfig
from agents.alphazero.network import DRAW, LOSS, WIN, PolicyValueNet
from agents.alphazero.records import Samples, unpack_bits
from agents.games.game import Game
from lab import rng
from lab.errors import CheckpointError
from lab.train.collectives import gradients, ranks
from lab.train.device import Device, autocast
from lab.train.ema import EMA
from lab.train.optimizer_state import load_optimizer
from lab.train.sync_batch_norm import with_global_norms


class Learner:
    """Network, optimizer, averaged weights and the number of steps taken.

    Among ranks each computes its share of every batch, and all take the same steps.
    """

    def __init__(self, net: PolicyValueNet, game: Game, config: LearnerConfig, device: Device, seed: int) -> None:
        self.config, self.game, self.device, self.seed = config, game, device, seed
        self.net = net.to(device.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = EMA(self.net, config.ema_decay)
        self.steps = 0
        self._ranks = ranks()
        if self._ranks.size > 1:
            with_global_norms(self.net)
        self._optimizer = make_optimizer(self.net, config)
        self._symmetries = game.symmetries(device.device)
        self._shape = game.observation_shape

    def step(self, positions: Samples, learning_rate: float) -> dict[str, Tensor]:
        """One gradient step on N positions; returns losses and statistics as 0-d tensors on the device.

        Among ranks they are the leading one's: the others give N positions of any content.
        """
        rows = self._ranks.rows(len(positions))
        observation, policy, outcome, search_value = self._batch(self._leading_ones(positions), rows)
        self.net.train()
        with autocast(self.device):
            logits, outcome_logits = self.net(observation)
        target = value_target(outcome, search_value, outcome_logits.detach().float(), self.config.search_value_share)
        losses = alphazero_losses(logits.float(), outcome_logits.float(), policy, target)
        losses = {name: mean * (len(policy) / len(positions)) for name, mean in losses.items()}
        loss = losses["loss/policy"] + self.config.value_weight * losses["loss/value"]
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate * warmup(self.steps, self.config.warmup_steps)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        statistics = {name: value.detach() for name, value in {"loss/total": loss, **losses}.items()}
        self._ranks.all_reduce_([*gradients(self.net), *statistics.values()])
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.config.gradient_clip)
        self._optimizer.step()
        self.steps += 1
        self.average.update(self.net)
        return statistics | {"learner/gradient_norm": norm}

    def state_dict(self) -> dict[str, Any]:
        return {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        load_optimizer(self._optimizer, state["optimizer"])
        self.steps = state["steps"]

    def _leading_ones(self, positions: Samples) -> Samples:
        """The leading rank's positions, on the device."""
        fields = [field.to(self.device.device, non_blocking=True) for field in positions]
        self._ranks.broadcast_(fields)
        return Samples(*fields)

    def _batch(self, positions: Samples, share: slice = slice(None)) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Observations [N, C, H, W], policies [N, A], outcomes and search values [N], each board randomly turned.

        Of the positions in `share` alone; how a position is turned does not depend on it.
        """
        numbers = torch.arange(len(positions), device=self.device.device)[share]
        positions = Samples(*(field[share] for field in positions))
        planes = unpack_bits(positions.planes, math.prod(self._shape))
        policy = positions.policy.to(torch.float32)
        if self.config.symmetries:
            count = len(self._symmetries.actions)
            which = rng.integers(count, self.seed, int(rng.Stream.SYMMETRY), self.steps, numbers)
            planes = planes.gather(1, self._symmetries.planes.index_select(0, which))
            policy = policy.gather(1, self._symmetries.actions.index_select(0, which))
        observation = planes.view(-1, *self._shape).contiguous(memory_format=torch.channels_last)
        return observation, policy, positions.outcome.to(torch.int64), positions.search_value.to(torch.float32)


def load_weights(net: nn.Module, state: Mapping[str, Any], *place: str) -> None:
    """Weights from nested state. Raises CheckpointError when it has none at this place, or those of another network."""
    weights: Any = state
    try:
        for key in place:
            weights = weights[key]
        net.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError):  # torch's own message takes a line for each tensor
        raise CheckpointError("its network is not the one of this run's config.yaml") from None


def alphazero_losses(logits: Tensor, outcome_logits: Tensor, policy: Tensor, outcome: Tensor) -> dict[str, Tensor]:
    """Mean losses over N positions, 0-d each, differentiable.

    logits and policy: [N, A]; outcome_logits and outcome: [N, 3], targets as probabilities.
    Both are divergences, cross-entropy less the target's own entropy, so that 0 is perfect.
    """
    policy_entropy, outcome_entropy = entropy(policy), entropy(outcome)
    return {
        "loss/policy": F.cross_entropy(logits, policy) - policy_entropy,
        "loss/value": F.cross_entropy(outcome_logits, outcome) - outcome_entropy,
        "learner/target_entropy": policy_entropy,
    }


def entropy(probabilities: Tensor) -> Tensor:
    """Mean entropy in nats of distributions [N, K], 0-d."""
    return -torch.special.xlogy(probabilities, probabilities).sum(-1).mean()


def value_target(outcome: Tensor, search_value: Tensor, outcome_logits: Tensor, share: float) -> Tensor:
    """Win/draw/loss targets [N, 3]: the game's outcome, mixed with what the search thought of the position.

    The outcome is unbiased but noisy, since both sides explore after the position; the search value is the reverse, and
    their mean learns faster than either (Prasad 2018, "Lessons from AlphaZero: Connect Four"). A scalar value does not
    say how likely a draw is: the network's own belief stands in, as far as the value leaves room for it.
    outcome: int64 [N] of +1, 0, -1; search_value: [N]; outcome_logits: [N, 3]; share: of the search value, in [0, 1].
    """
    played = F.one_hot(torch.where(outcome > 0, WIN, torch.where(outcome < 0, LOSS, DRAW)), 3)
    draw = torch.minimum(outcome_logits.softmax(-1)[:, DRAW], 1.0 - search_value.abs()).clamp_min(0.0)
    win, loss = (1.0 - draw + search_value) / 2.0, (1.0 - draw - search_value) / 2.0
    searched = torch.stack([win, draw, loss], -1)
    return (1.0 - share) * played + share * searched


def make_optimizer(net: nn.Module, config: LearnerConfig) -> torch.optim.Optimizer:
    """AdamW or SGD with Nesterov momentum; weight decay spares biases and normalisation parameters."""
    decayed = [p for p in net.parameters() if p.dim() > 1]
    spared = [p for p in net.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    if config.optimizer == "sgd":
        nesterov = config.momentum > 0
        return torch.optim.SGD(groups, config.learning_rate, config.momentum, nesterov=nesterov, fused=True)
    return torch.optim.AdamW(groups, config.learning_rate, betas=(config.momentum, 0.99), fused=True)


def warmup(step: int, steps: int) -> float:
    """Factor of the learning rate at a step: linear from 1 / steps to 1."""
    return min(1.0, (step + 1) / max(steps, 1))


def learning_rate(config: LearnerConfig, positions: int) -> float:
    """Half a cosine from `learning_rate` to its `final_fraction` over `decay_positions`; constant without them."""
    share = min(positions / config.decay_positions, 1.0) if config.decay_positions else 0.0
    cosine = 0.5 * (1.0 + math.cos(math.pi * share))
    return config.learning_rate * (config.final_fraction + (1.0 - config.final_fraction) * cosine)


def steps_allowed(config: LearnerConfig, received: int, trained: int, minimum: int) -> int:
    """Gradient steps that keep positions trained at most `reuse` times the positions received; 0 below `minimum`."""
    if received < minimum:
        return 0
    return max(0, int((config.reuse * received - trained) // config.batch_size))
