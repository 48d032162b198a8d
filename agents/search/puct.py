"""PUCT with Dirichlet noise at the root, as AlphaZero searches (Silver et al. 2018, Methods)."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agents.search.result import SearchResult
from agents.search.tree import ILLEGAL, Dynamics, NodeStats, grow
from lab import rng


@dataclass(frozen=True)
class PuctSearch:
    """Visits maximise Q + c(N) P sqrt(N) / (1 + n); moves are drawn from the visits at a temperature.

    fpu_reduction: how far below its parent's value an unvisited action is judged (first play urgency).
    """

    simulations: int
    c_init: float = 1.25
    c_base: float = 19652.0
    dirichlet_alpha: float = 1.0
    dirichlet_fraction: float = 0.25
    fpu_reduction: float = 0.0
    static: bool = False
    max_depth: int | None = None

    def __call__(
        self,
        states: Any,
        legal: Tensor,
        logits: Tensor,
        value: Tensor,
        dynamics: Dynamics,
        seed: int,
        game_ids: Tensor,
        plies: Tensor,
        temperature: Tensor | float = 1.0,
        root_noise: Tensor | None = None,
    ) -> SearchResult:
        """Searches B roots.

        legal: bool [B, A]; logits: float32 [B, A]; value: float32 [B]; game_ids and plies: int64 [B], which with `seed`
        determine the noise and the move; temperature: float or [B], 0 plays the most visited action; root_noise:
        float32 [B, A] replaces the Dirichlet draw (tests).
        """
        logits = torch.where(legal, logits, ILLEGAL)
        if self.dirichlet_fraction > 0:
            if root_noise is None:
                root_noise = rng.dirichlet(
                    self.dirichlet_alpha,
                    legal,
                    seed,
                    int(rng.Stream.ROOT_DIRICHLET),
                    game_ids[:, None],
                    plies[:, None],
                )
            prior = torch.softmax(logits, -1)
            mixed = (1 - self.dirichlet_fraction) * prior + self.dirichlet_fraction * root_noise
            logits = torch.where(legal, torch.log(mixed.clamp_min(1e-30)), ILLEGAL)

        def root_choice(stats: NodeStats, simulation: int) -> Tensor:
            return self._choice(stats)

        tree = grow(
            states, logits, value, dynamics, root_choice, self._choice, self.simulations, self.static, self.max_depth
        )
        stats = tree.root_stats()
        total = stats.visits.sum(-1)
        root_value = (value + stats.value_sum.sum(-1)) / (1.0 + total)
        q = torch.where(stats.visits > 0, stats.value_sum / stats.visits.clamp_min(1.0), root_value[:, None])
        policy = stats.visits / total.clamp_min(1.0)[:, None]
        action = self._move(stats.visits, legal, seed, game_ids, plies, temperature)
        return SearchResult(action, policy, root_value, stats.visits, q)

    def _choice(self, stats: NodeStats) -> Tensor:
        total = stats.visits.sum(-1, keepdim=True)
        visited = stats.visits > 0
        mean = (stats.value[:, None] + stats.value_sum.sum(-1, keepdim=True)) / (1.0 + total)
        q = torch.where(visited, stats.value_sum / stats.visits.clamp_min(1.0), mean - self.fpu_reduction)
        c = self.c_init + torch.log((1.0 + total + self.c_base) / self.c_base)
        # At a node without visits the root of 0 would leave the prior out; 1 makes it decide.
        urgency = c * stats.prior * torch.sqrt(total.clamp_min(1.0)) / (1.0 + stats.visits)
        return torch.where(stats.logits > ILLEGAL, q + urgency, -torch.inf).argmax(-1)

    def _move(
        self,
        visits: Tensor,
        legal: Tensor,
        seed: int,
        game_ids: Tensor,
        plies: Tensor,
        temperature: Tensor | float,
    ) -> Tensor:
        """Samples in proportion to visits ** (1 / temperature), by the Gumbel-max trick."""
        actions = torch.arange(visits.shape[1], device=visits.device)
        noise = rng.gumbel(seed, int(rng.Stream.MOVE_SAMPLING), game_ids[:, None], plies[:, None], actions)
        scale = temperature[:, None] if isinstance(temperature, Tensor) else temperature
        log_visits = torch.where(visits > 0, torch.log(visits.clamp_min(1.0)), -math.inf)
        score = torch.where(visits > 0, log_visits + scale * noise, -math.inf)
        # Without simulations nothing has visits; any legal action is then as good as another.
        return torch.where(legal, score.clamp_min(-1e9), -math.inf).argmax(-1)
