"""PUCT with Dirichlet noise at the root, the search of AlphaZero (Silver et al. 2018, Methods)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.search.forced_playouts import is_forced, pruned_visits
from agents.search.lcb import lcb_choice
from agents.search.root import Root, SearchResult, gumbel_noise, per_row
from agents.search.simulation import Decision, Descend, Dynamics, descend_to_leaves, grow
from agents.search.solver import inferior, within_bounds, without_inferior
from agents.search.tree import ILLEGAL, NodeStats, Tree
from lab import rng

_FORCED = 1e6  # above every upper confidence bound


@dataclass(frozen=True, kw_only=True)
class PuctSearch:
    """Visits maximise Q + c(N) P sqrt(N) / (1 + n); moves are sampled from the visit counts at a temperature.

    c_init, c_base: c(N) = c_init + log((1 + N + c_base) / c_base).
    dirichlet_alpha, dirichlet_fraction: concentration of the root noise and its weight in the root's prior.
    fpu_reduction: an unvisited action's Q is this much below its parent's value (first play urgency).
    forced_playouts: k of `agents.search.forced_playouts`, 0 for none. Policy and move are then those of the pruned
    visits.
    solver: prove wins, losses and draws (`agents.search.solver`).
    lcb_stdevs: standard deviations of `agents.search.lcb`, which then chooses the move; 0 for the usual choice.
    descend: `descend_to_leaves` for a CPU, `descend_fixed_length` for a GPU (`agents.search.simulation`).
    """

    simulations: int
    c_init: float = 1.25
    c_base: float = 19652.0
    dirichlet_alpha: float = 1.0
    dirichlet_fraction: float = 0.25
    fpu_reduction: float = 0.0
    forced_playouts: float = 0.0
    solver: bool = False
    lcb_stdevs: float = 0.0
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

        temperature: a number or float32 `[B]`; 0 plays the most visited action.
        root_noise: float32 `[B, K]`, replaces the Dirichlet sample in tests.
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
        logits = torch.where(root.legal, root.logits, ILLEGAL)
        if self.dirichlet_fraction > 0:
            logits = self._with_noise(root, logits, seed, root_noise)
        tree = grow(
            root._replace(logits=logits),
            dynamics=dynamics,
            root_choice=self.choice if not self.forced_playouts else ForcedChoice(self.choice, self.forced_playouts),
            interior_choice=self.choice,
            simulations=self.simulations,
            descend=self.descend,
            solver=self.solver,
            squares=self.lcb_stdevs > 0,
            inherited=inherited,
        )
        stats = tree.root_stats()
        total = stats.visits.sum(-1)
        root_value = (root.value + stats.value_sum.sum(-1)) / (1.0 + total)
        if stats.bounds is not None:
            root_value = within_bounds(root_value, stats)
        q = torch.where(stats.visits > 0, stats.value_sum / stats.visits.clamp_min(1.0), root_value[:, None])
        weights = self._weights(stats)
        policy = weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        slot = self._sample(root, weights, seed, temperature)
        if tree.root_squares is not None:
            slot = lcb_choice(stats, tree.root_squares.view_as(stats.visits), self.lcb_stdevs, slot)
        result = SearchResult(root.action_of(slot), policy, root_value, stats.visits, q, root.slot_actions())
        return Decision(result, tree, slot)

    def _with_noise(self, root: Root, logits: Tensor, seed: int, noise: Tensor | None) -> Tensor:
        """float32 `[B, K]`: logits of the prior mixed with Dirichlet noise."""
        if noise is None:
            stream = int(rng.Stream.ROOT_DIRICHLET)
            keys = (root.game_id[:, None], root.ply[:, None])
            noise = rng.dirichlet(self.dirichlet_alpha, root.legal, seed, stream, *keys, actions=root.action_numbers())
        prior = torch.softmax(logits, -1)
        mixed = (1 - self.dirichlet_fraction) * prior + self.dirichlet_fraction * noise
        return torch.where(root.legal, torch.log(mixed.clamp_min(1e-30)), ILLEGAL)

    @property
    def choice(self) -> "PuctChoice":
        """The choice of all nodes, the root included where no playouts are forced."""
        return PuctChoice(self.c_init, self.c_base, self.fpu_reduction)

    def _weights(self, stats: NodeStats) -> Tensor:
        """float32 `[B, K]`: the visit counts that count for policy and move."""
        weights = stats.visits if stats.bounds is None else without_inferior(stats.visits, stats)
        if self.forced_playouts:
            q, exploration = self.choice.terms(stats)
            stats = stats._replace(visits=weights)
            weights = pruned_visits(stats, self.forced_playouts, q=q, exploration=exploration)
        return weights

    def _sample(self, root: Root, weights: Tensor, seed: int, temperature: Tensor | float) -> Tensor:
        """int64 `[B]`: sampled in proportion to weights ** (1 / temperature), by the Gumbel-max trick."""
        noise = gumbel_noise(root, seed, rng.Stream.MOVE_SAMPLING)
        score = torch.where(weights > 0, torch.log(weights) + per_row(temperature) * noise, -math.inf)
        # Without simulations no action has visits; the first legal action is played.
        return torch.where(root.legal, score.clamp_min(-1e9), -math.inf).argmax(-1)


@dataclass(frozen=True)
class PuctChoice:
    """The slot with the largest upper confidence bound."""

    c_init: float
    c_base: float
    fpu_reduction: float

    def __call__(self, stats: NodeStats, simulation: int = 0) -> Tensor:
        """int64 `[R]`."""
        return self.bounds(stats).argmax(-1)

    def bounds(self, stats: NodeStats) -> Tensor:
        """float32 `[R, K]`: upper confidence bounds; -inf at illegal actions and empty slots."""
        q, exploration = self.terms(stats)
        playable = stats.legal if stats.bounds is None else stats.legal & ~inferior(stats)
        return torch.where(playable, q + exploration / (1.0 + stats.visits), -torch.inf)

    def terms(self, stats: NodeStats) -> tuple[Tensor, Tensor]:
        """float32 `[R, K]` each: Q, and c(N) P sqrt(N)."""
        total = stats.visits.sum(-1, keepdim=True)
        visited = stats.visits > 0
        mean = (stats.value[:, None] + stats.value_sum.sum(-1, keepdim=True)) / (1.0 + total)
        q = torch.where(visited, stats.value_sum / stats.visits.clamp_min(1.0), mean - self.fpu_reduction)
        # At a node without visits sqrt(0) would remove the prior; with 1 the prior decides.
        return q, self.exploration(total) * stats.prior * torch.sqrt(total.clamp_min(1.0))

    def exploration(self, total: Tensor) -> Tensor:
        """c(N) for visits N."""
        return self.c_init + torch.log((1.0 + total + self.c_base) / self.c_base)


@dataclass(frozen=True)
class ForcedChoice:
    """At the root: as `PuctChoice`, but slots with fewer visits than they are forced to have come before others."""

    choice: PuctChoice
    forced_playouts: float

    def __call__(self, stats: NodeStats, simulation: int = 0) -> Tensor:
        """int64 `[B]`."""
        forced = torch.where(is_forced(stats, self.forced_playouts), _FORCED, 0.0)
        return (self.choice.bounds(stats) + forced).argmax(-1)
