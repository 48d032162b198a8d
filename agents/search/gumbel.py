"""Gumbel AlphaZero: planning by sampling actions without replacement (Danihelka et al., ICLR 2022)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.search.completed_q import completed_q, improved_policy, transform
from agents.search.root import Root, SearchResult, gumbel_noise, per_row
from agents.search.sequential_halving import schedule_table
from agents.search.tree import ILLEGAL, Descend, Dynamics, NodeStats, descend_to_leaves, grow
from lab import rng


@dataclass(frozen=True, kw_only=True)
class GumbelSearch:
    """Sequential halving over the root's Gumbel-sampled actions; below the root, visits follow the improved policy.

    max_considered_actions: how many actions the root samples without replacement.
    value_scale, visit_offset: c_scale and c_visit of the Q transform (section 4).
    gumbel_scale: factor of the root's noise; 1 samples from the policy, 0 plays its best action.
    descend: `descend_to_leaves` for a CPU, `descend_fixed_length` for a GPU (`agents.search.tree`).
    """

    simulations: int
    max_considered_actions: int = 16
    value_scale: float = 0.1
    visit_offset: float = 50.0
    gumbel_scale: float = 1.0
    descend: Descend = descend_to_leaves

    def __call__(
        self,
        root: Root,
        *,
        dynamics: Dynamics,
        seed: int,
        temperature: Tensor | float = 1.0,
        root_noise: Tensor | None = None,
    ) -> SearchResult:
        """Search B roots.

        temperature: a number or float32 `[B]`, a second factor of the noise, which may depend on the ply.
        root_noise: float32 `[B, K]`, replaces the noise in tests.
        """
        legal = root.legal
        if root_noise is None:
            gumbel = gumbel_noise(root, seed, rng.Stream.ROOT_GUMBEL)
            root_noise = gumbel * (self.gumbel_scale * per_row(temperature))
        logits = torch.where(legal, root.logits - root.logits.amax(-1, keepdim=True), ILLEGAL)
        most = min(self.max_considered_actions, logits.shape[1])
        table = schedule_table(most, self.simulations, logits.device)
        schedule = table.index_select(0, legal.sum(-1).clamp(max=most))

        choice = RootChoice(schedule, root_noise, legal, self.value_scale, self.visit_offset)
        max_sigma = (self.visit_offset + self.simulations) * self.value_scale
        tree = grow(
            root._replace(logits=logits),
            dynamics=dynamics,
            root_choice=choice,
            interior_choice=InteriorChoice(self.value_scale, self.visit_offset, max_sigma),
            simulations=self.simulations,
            descend=self.descend,
        )
        stats = tree.root_stats()
        slot = choice.best(stats, stats.visits.amax(-1))
        q = completed_q(stats)
        sigma = transform(q, stats.visits, value_scale=self.value_scale, visit_offset=self.visit_offset)
        policy = improved_policy(stats, sigma, max_sigma)
        return SearchResult(root.action_of(slot), policy, (policy * q).sum(-1), stats.visits, q, root.slot_actions())


@dataclass(frozen=True, eq=False)
class RootChoice:
    """The considered slots in turn, as sequential halving plans (section 3.1).

    schedule: float32 `[B, simulations]`, the visits that the slot of each simulation must have. noise: float32
    `[B, K]`. legal: bool `[B, K]`.
    """

    schedule: Tensor
    noise: Tensor
    legal: Tensor
    value_scale: float
    visit_offset: float

    def __call__(self, stats: NodeStats, simulation: int) -> Tensor:
        """int64 `[B]`."""
        return self.best(stats, self.schedule[:, simulation])

    def best(self, stats: NodeStats, visits: Tensor) -> Tensor:
        """int64 `[B]`: among legal slots with `visits` `[B]` visits, the best by noise, prior and transformed Q."""
        sigma = transform(
            completed_q(stats), stats.visits, value_scale=self.value_scale, visit_offset=self.visit_offset
        )
        score = self.noise + stats.logits + sigma
        # The clamp keeps legal actions with a tiny prior above excluded actions.
        allowed = self.legal & (stats.visits == visits[:, None])
        return torch.where(allowed, score.clamp_min(-1e9), -torch.inf).argmax(-1)


@dataclass(frozen=True)
class InteriorChoice:
    """The slot whose fraction of visits is furthest below the improved policy (section 5)."""

    value_scale: float
    visit_offset: float
    max_sigma: float
    """The largest sigma of a search; see `agents.search.completed_q.improved_policy`."""

    def __call__(self, stats: NodeStats) -> Tensor:
        """int64 `[R]`."""
        sigma = transform(
            completed_q(stats), stats.visits, value_scale=self.value_scale, visit_offset=self.visit_offset
        )
        improved = improved_policy(stats, sigma, self.max_sigma)
        return (improved - stats.visits / (1.0 + stats.visits.sum(-1, keepdim=True))).argmax(-1)
