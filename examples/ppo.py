"""PPO in one file: step environments, estimate advantages, optimise, log.

The environments, the network, the distribution and the advantages are parts of the lab; the training is all here. It
balances CartPole's pole:

    python examples/ppo.py
"""

import argparse
import time
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from agents.environments.environments import Rows
from agents.environments.observations import VECTOR
from agents.environments.vector import VectorEnvironments
from agents.ppo.advantages import generalized_advantages
from agents.ppo.config import NetworkConfig
from agents.ppo.distributions import make_distribution
from agents.ppo.network import ActorCritic

STEPS, EPOCHS, MINIBATCH = 32, 20, 256
DISCOUNT, LAMBDA, CLIP = 0.98, 0.8, 0.2


class Rollout(NamedTuple):
    """Steps of N environments, [T * N, ...], without those in which an environment was only reset."""

    observations: Tensor
    actions: Tensor
    log_probs: Tensor
    advantages: Tensor
    returns: Tensor


class PPO:
    """Environments, network, optimizer, and the episodes that have ended."""

    def __init__(self, environment: str, count: int, learning_rate: float, seed: int) -> None:
        mode = gym.VectorizeMode.VECTOR_ENTRY_POINT
        self.environments = VectorEnvironments(gym.make_vec(environment, count, vectorization_mode=mode))
        if self.environments.mode != AutoresetMode.NEXT_STEP:  # `collect` finds final observations in the next rows
            raise SystemExit(f"{environment} does not reset in the step after the end of an episode")
        spaces = self.environments.spaces
        self.distribution = make_distribution(spaces.actions, squash=False)
        self.network = ActorCritic(spaces.codec, self.distribution, NetworkConfig())
        self.optimizer = torch.optim.Adam(self.network.parameters(), learning_rate, eps=1e-5)
        self.rows = Rows(spaces.codec.empty(count), np.ones((count, 0), np.bool_))
        self.environments.reset(seed, self.rows)
        self.steps, self.running, self.returns = 0, np.zeros(count), list[float]()

    @torch.no_grad()
    def collect(self) -> Rollout:
        """STEPS steps of every environment. The step after the end of an episode is its reset, and not valid."""
        rows: list[list[Tensor]] = []
        for _ in range(STEPS):
            observation = torch.from_numpy(self.rows.observations[VECTOR].copy())
            outputs, values = self.network({VECTOR: observation})
            uniform = torch.rand(len(values), self.distribution.noise).clamp(1e-7, 1 - 1e-7)
            actions = self.distribution.sample(outputs, self.distribution.random(uniform))
            log_probs, _ = self.distribution.log_prob_entropy(outputs, actions)
            self.environments.send(0, actions.numpy())
            step = self.environments.receive(0, self.rows)
            next_values = self.network.values({VECTOR: torch.from_numpy(self.rows.observations[VECTOR])})
            ended = step.terminated | step.truncated
            self._count(step.reward, ended)
            flags = (torch.from_numpy(flag) for flag in (step.terminated, ended, step.valid))
            reward = torch.from_numpy(step.reward).float()
            rows.append([observation, actions, log_probs, values, next_values, reward, *flags])
        columns = [torch.stack(column) for column in zip(*rows, strict=True)]
        observations, actions, log_probs, values, next_values, rewards, terminated, over, valid = columns
        advantages = generalized_advantages(
            rewards=rewards,
            values=values,
            next_values=next_values,
            terminated=terminated,
            ended=over,
            valid=valid,
            discount=DISCOUNT,
            gae_lambda=LAMBDA,
        )
        self.steps += int(valid.sum())
        fields = (observations, actions, log_probs, advantages, advantages + values)
        return Rollout(*(field[valid] for field in fields))

    def update(self, rollout: Rollout) -> dict[str, float]:
        """EPOCHS passes over a rollout in minibatches."""
        for _ in range(EPOCHS):
            for index in torch.randperm(len(rollout.actions)).split(MINIBATCH):
                part = Rollout(*(field[index] for field in rollout))
                outputs, values = self.network({VECTOR: part.observations})
                log_probs, entropies = self.distribution.log_prob_entropy(outputs, part.actions)
                ratio = (log_probs - part.log_probs).exp()
                advantages = (part.advantages - part.advantages.mean()) / (part.advantages.std() + 1e-8)
                gain = torch.minimum(ratio * advantages, ratio.clamp(1 - CLIP, 1 + CLIP) * advantages)
                loss = -gain.mean() + 0.5 * (values - part.returns).square().mean()
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), 0.5)
                self.optimizer.step()
        return {"loss": loss.item(), "entropy": entropies.mean().item()}

    def _count(self, reward: np.ndarray, ended: np.ndarray) -> None:
        self.running += reward
        self.returns += self.running[ended].tolist()
        self.running[ended] = 0.0


def train(*, environment: str, steps: int, count: int, learning_rate: float, seed: int) -> float:
    """The loop: collect, update, log. Returns the mean return of the last 20 episodes."""
    torch.manual_seed(seed)
    ppo = PPO(environment, count, learning_rate, seed)
    start, shown = time.monotonic(), 0
    while ppo.steps < steps:
        for group in ppo.optimizer.param_groups:
            group["lr"] = learning_rate * (1 - ppo.steps / steps)
        values = ppo.update(ppo.collect())
        recent = float(np.mean(ppo.returns[-20:])) if ppo.returns else 0.0
        if ppo.steps >= shown:
            shown += steps // 10
            print(
                f"{ppo.steps:7,} steps  {time.monotonic() - start:5.1f} s  return {recent:6.1f}  "
                f"loss {values['loss']:7.3f}  entropy {values['entropy']:.3f}",
                flush=True,
            )
    print(f"mean return of the last 20 episodes: {recent:.1f}")
    return recent


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--environment", default="CartPole-v1", help="an id with Gymnasium's vectorised one")
    parser.add_argument("--steps", type=int, default=100_000, help="steps of all environments together")
    parser.add_argument("--count", type=int, default=8, help="environments")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    train(**vars(parser.parse_args()))
