"""Gumbel AlphaZero: planning by sampling actions without replacement (Danihelka et al., ICLR 2022)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.search.completed_q import completed_q, improved_policy, transform
from agents.search.lcb import lcb_choice
from agents.search.root import Root, SearchResult, gumbel_noise, per_row
from agents.search.sequential_halving import schedule_table
from agents.search.simulation import Decision, Descend, Dynamics, descend_to_leaves, grow
from agents.search.solver import inferior, within_bounds
from agents.search.tree import ILLEGAL, NodeStats, Tree
from lab import rng

_MANY = 1e6  # more visits than a slot has


@dataclass(frozen=True, kw_only=True)
class GumbelSearch:
    """Sequential halving over the root's Gumbel-sampled actions; below the root, visits follow the improved policy.

    max_considered_actions: how many actions the root samples without replacement.
    value_scale, visit_offset: c_scale and c_visit of the Q transform (section 4).
    gumbel_scale: factor of the root's noise; 1 samples from the policy, 0 plays its best action.
    solver: prove wins, losses and draws (`agents.search.solver`).
    lcb_stdevs: standard deviations of `agents.search.lcb`, which then chooses the move; 0 for the usual choice.
    continued: trees may be inherited from the move before, and have more visits than there are simulations.
    descend: `descend_to_leaves` for a CPU, `descend_fixed_length` for a GPU (`agents.search.simulation`).
    """

    simulations: int
    max_considered_actions: int = 16
    value_scale: float = 0.1
    visit_offset: float = 50.0
    gumbel_scale: float = 1.0
    solver: bool = False
    lcb_stdevs: float = 0.0
    continued: bool = False
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
        return self.decide(root, dynamics=dynamics, seed=seed, temperature=temperature, root_noise=root_noise).result

    def decide(
        self,
        root: Root,
        *,
        dynamics: Dynamics,
        seed: int,
        temperature: Tensor | float = 1.0,
        root_noise: Tensor | None = None,
        inherited: Tree | None = None,
    ) -> Decision:
        """Search B roots as `__call__` does; inherited: trees that are continued (`agents.search.reuse`)."""
        legal = root.legal
        if root_noise is None:
            gumbel = gumbel_noise(root, seed, rng.Stream.ROOT_GUMBEL)
            root_noise = gumbel * (self.gumbel_scale * per_row(temperature))
        logits = torch.where(legal, root.logits - root.logits.amax(-1, keepdim=True), ILLEGAL)
        most = min(self.max_considered_actions, logits.shape[1])
        table = schedule_table(most, self.simulations, logits.device)
        schedule = table.index_select(0, legal.sum(-1).clamp(max=most))

        before = None if inherited is None else inherited.root_stats().visits.clone()
        choice = RootChoice(schedule, root_noise, legal, self.value_scale, self.visit_offset, before)
        interior = InteriorChoice(self.value_scale, self.visit_offset, self._max_sigma)
        tree = grow(
            root._replace(logits=logits),
            dynamics=dynamics,
            root_choice=choice,
            interior_choice=interior,
            simulations=self.simulations,
            descend=self.descend,
            solver=self.solver,
            squares=self.lcb_stdevs > 0,
            inherited=inherited,
        )
        stats = tree.root_stats()
        slot = choice.best(stats, torch.where(choice.playable(stats), choice.counted(stats), 0.0).amax(-1))
        if tree.root_squares is not None:
            slot = lcb_choice(stats, tree.root_squares.view_as(stats.visits), self.lcb_stdevs, slot)
        q = completed_q(stats)
        if stats.bounds is None:
            policy = improved_policy(stats, interior.sigma(stats), self._max_sigma)
            value = (policy * q).sum(-1)
        else:
            policy = torch.softmax(torch.where(inferior(stats), ILLEGAL, stats.logits) + interior.sigma(stats), -1)
            value = within_bounds((policy * q).sum(-1), stats)
        result = SearchResult(root.action_of(slot), policy, value, stats.visits, q, root.slot_actions())
        return Decision(result, tree, slot)

    @property
    def _max_sigma(self) -> float:
        return math.inf if self.continued else (self.visit_offset + self.simulations) * self.value_scale


@dataclass(frozen=True, eq=False)
class RootChoice:
    """The considered slots in turn, as sequential halving plans (section 3.1).

    schedule: float32 `[B, simulations]`, the visits that the slot of each simulation must have. noise: float32
    `[B, K]`. legal: bool `[B, K]`. before: float32 `[B, K]`, inherited visits, which are not counted; None for none.
    """

    schedule: Tensor
    noise: Tensor
    legal: Tensor
    value_scale: float
    visit_offset: float
    before: Tensor | None = None

    def __call__(self, stats: NodeStats, simulation: int) -> Tensor:
        """int64 `[B]`."""
        return self.best(stats, self.schedule[:, simulation])

    def counted(self, stats: NodeStats) -> Tensor:
        """float32 `[B, K]`: the visits of this search."""
        return stats.visits if self.before is None else stats.visits - self.before

    def playable(self, stats: NodeStats) -> Tensor:
        """bool `[B, K]`: legal slots, where there are proofs without inferior ones."""
        return self.legal if stats.bounds is None else self.legal & ~inferior(stats)

    def best(self, stats: NodeStats, wanted: Tensor) -> Tensor:
        """int64 `[B]`: among legal slots with `wanted` `[B]` visits, the best by noise, prior and transformed Q.

        Where proofs leave none of them, among those with the next fewer visits, else with the next more.
        """
        visits = self.counted(stats)
        score = self.noise + stats.logits + _sigma(stats, self.value_scale, self.visit_offset)
        allowed = self.legal & (visits == wanted[:, None])
        if stats.bounds is not None:
            good = self.playable(stats)
            more = visits - wanted[:, None]
            distance = torch.where(good, torch.where(more > 0, _MANY + more, -more), torch.inf)
            allowed = good & (distance == distance.amin(-1, keepdim=True))
        # The clamp keeps legal actions with a tiny prior above excluded actions.
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
        improved = improved_policy(stats, self.sigma(stats), self.max_sigma)
        missing = improved - stats.visits / (1.0 + stats.visits.sum(-1, keepdim=True))
        if stats.bounds is not None:
            missing = torch.where(inferior(stats), -torch.inf, missing)
        return missing.argmax(-1)

    def sigma(self, stats: NodeStats) -> Tensor:
        """float32 `[R, K]`: the transformed Q values."""
        return _sigma(stats, self.value_scale, self.visit_offset)


def _sigma(stats: NodeStats, value_scale: float, visit_offset: float) -> Tensor:
    """float32 `[R, K]`: the transform of the completed Q values."""
    q = completed_q(stats)
    if stats.bounds is not None:
        # What is not played must not widen the range to which Q values are scaled.
        bad = inferior(stats)
        lowest = torch.where(stats.legal & ~bad, q, torch.inf).amin(-1, keepdim=True)
        q = torch.where(bad, lowest, q)
    return transform(q, stats.visits, value_scale=value_scale, visit_offset=visit_offset)
