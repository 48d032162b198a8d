"""PUCT with Dirichlet noise at the root, the search of AlphaZero (Silver et al. 2018, Methods)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.search.root import Root, SearchResult, gumbel_noise, per_row
from agents.search.tree import ILLEGAL, Descend, Dynamics, NodeStats, descend_to_leaves, grow
from lab import rng


@dataclass(frozen=True, kw_only=True)
class PuctSearch:
    """Visits maximise Q + c(N) P sqrt(N) / (1 + n); moves are sampled from the visit counts at a temperature.

    c_init, c_base: c(N) = c_init + log((1 + N + c_base) / c_base).
    dirichlet_alpha, dirichlet_fraction: concentration of the root noise and its weight in the root's prior.
    fpu_reduction: an unvisited action's Q is this much below its parent's value (first play urgency).
    descend: `descend_to_leaves` for a CPU, `descend_fixed_length` for a GPU (`agents.search.tree`).
    """

    simulations: int
    c_init: float = 1.25
    c_base: float = 19652.0
    dirichlet_alpha: float = 1.0
    dirichlet_fraction: float = 0.25
    fpu_reduction: float = 0.0
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
        logits = torch.where(root.legal, root.logits, ILLEGAL)
        if self.dirichlet_fraction > 0:
            logits = self._with_noise(root, logits, seed, root_noise)
        tree = grow(
            root._replace(logits=logits),
            dynamics=dynamics,
            root_choice=self.choice,
            interior_choice=self.choice,
            simulations=self.simulations,
            descend=self.descend,
        )
        stats = tree.root_stats()
        total = stats.visits.sum(-1)
        root_value = (root.value + stats.value_sum.sum(-1)) / (1.0 + total)
        q = torch.where(stats.visits > 0, stats.value_sum / stats.visits.clamp_min(1.0), root_value[:, None])
        policy = stats.visits / total.clamp_min(1.0)[:, None]
        action = self._sample_action(root, stats.visits, seed, temperature)
        return SearchResult(action, policy, root_value, stats.visits, q, root.slot_actions())

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
        """The choice of all nodes, the root included."""
        return PuctChoice(self.c_init, self.c_base, self.fpu_reduction)

    def _sample_action(self, root: Root, visits: Tensor, seed: int, temperature: Tensor | float) -> Tensor:
        """int64 `[B]`: sampled in proportion to visits ** (1 / temperature), by the Gumbel-max trick."""
        noise = gumbel_noise(root, seed, rng.Stream.MOVE_SAMPLING)
        log_visits = torch.where(visits > 0, torch.log(visits.clamp_min(1.0)), -math.inf)
        score = torch.where(visits > 0, log_visits + per_row(temperature) * noise, -math.inf)
        # Without simulations no action has visits; the first legal action is played.
        return root.action_of(torch.where(root.legal, score.clamp_min(-1e9), -math.inf).argmax(-1))


@dataclass(frozen=True)
class PuctChoice:
    """The slot with the largest upper confidence bound."""

    c_init: float
    c_base: float
    fpu_reduction: float

    def __call__(self, stats: NodeStats, simulation: int = 0) -> Tensor:
        """int64 `[R]`."""
        total = stats.visits.sum(-1, keepdim=True)
        visited = stats.visits > 0
        mean = (stats.value[:, None] + stats.value_sum.sum(-1, keepdim=True)) / (1.0 + total)
        q = torch.where(visited, stats.value_sum / stats.visits.clamp_min(1.0), mean - self.fpu_reduction)
        # At a node without visits sqrt(0) would remove the prior; with 1 the prior decides.
        exploration = self.exploration(total) * stats.prior * torch.sqrt(total.clamp_min(1.0)) / (1.0 + stats.visits)
        return torch.where(stats.logits > ILLEGAL, q + exploration, -torch.inf).argmax(-1)

    def exploration(self, total: Tensor) -> Tensor:
        """c(N) for visits N."""
        return self.c_init + torch.log((1.0 + total + self.c_base) / self.c_base)
