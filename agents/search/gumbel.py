"""Gumbel AlphaZero: planning by sampling actions without replacement (Danihelka et al., ICLR 2022)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agents.search.completed_q import completed_q, improved_policy, transform
from agents.search.result import SearchResult
from agents.search.sequential_halving import schedule_table
from agents.search.tree import ILLEGAL, Dynamics, NodeStats, grow
from lab import rng


@dataclass(frozen=True)
class GumbelSearch:
    """Sequential halving over the root's Gumbel-sampled actions; below the root, visits follow the improved policy.

    gumbel_scale multiplies the root's noise: 1 samples from the policy, 0 plays its best. `temperature` arguments of
    the call scale it further, ply by ply.
    """

    simulations: int
    considered: int = 16
    value_scale: float = 0.1
    visit_offset: float = 50.0
    gumbel_scale: float = 1.0
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
        root_gumbel: Tensor | None = None,
    ) -> SearchResult:
        """Searches B roots.

        legal: bool [B, A]; logits: float32 [B, A]; value: float32 [B]; game_ids and plies: int64 [B], which with `seed`
        determine the noise; temperature: float or [B]; root_gumbel: float32 [B, A] replaces the noise (tests).
        """
        if root_gumbel is None:
            actions = torch.arange(logits.shape[1], device=logits.device)
            root_gumbel = rng.gumbel(seed, int(rng.Stream.ROOT_GUMBEL), game_ids[:, None], plies[:, None], actions)
            scale = temperature[:, None] if isinstance(temperature, Tensor) else temperature
            root_gumbel = root_gumbel * (self.gumbel_scale * scale)
        logits = torch.where(legal, logits - logits.amax(-1, keepdim=True), ILLEGAL)
        most = min(self.considered, logits.shape[1])
        table = schedule_table(most, self.simulations, logits.device)
        schedule = table.index_select(0, legal.sum(-1).clamp(max=most))

        def root_choice(stats: NodeStats, simulation: int) -> Tensor:
            return self._best_considered(stats, schedule[:, simulation], root_gumbel, legal)

        tree = grow(
            states,
            logits,
            value,
            dynamics,
            root_choice,
            self._interior_choice,
            self.simulations,
            self.static,
            self.max_depth,
        )
        stats = tree.root_stats()
        action = self._best_considered(stats, stats.visits.amax(-1), root_gumbel, legal)
        q = completed_q(stats)
        policy = improved_policy(stats, self._sigma(q, stats), self._most_sigma)
        return SearchResult(action, policy, (policy * q).sum(-1), stats.visits, q)

    @property
    def _most_sigma(self) -> float:
        return (self.visit_offset + self.simulations) * self.value_scale

    def _sigma(self, q: Tensor, stats: NodeStats) -> Tensor:
        return transform(q, stats.visits, self.value_scale, self.visit_offset)

    def _interior_choice(self, stats: NodeStats) -> Tensor:
        """The action whose share of visits lags most behind the improved policy (section 5)."""
        improved = improved_policy(stats, self._sigma(completed_q(stats), stats), self._most_sigma)
        return (improved - stats.visits / (1.0 + stats.visits.sum(-1, keepdim=True))).argmax(-1)

    def _best_considered(self, stats: NodeStats, visits: Tensor, gumbel: Tensor, legal: Tensor) -> Tensor:
        """Among legal actions with `visits` [B] visits, the best by Gumbel, prior and transformed Q."""
        score = gumbel + stats.logits + self._sigma(completed_q(stats), stats)
        # The floor keeps a legal action with a vanishing prior above those that are ruled out.
        allowed = legal & (stats.visits == visits[:, None])
        return torch.where(allowed, score.clamp_min(-1e9), -torch.inf).argmax(-1)
