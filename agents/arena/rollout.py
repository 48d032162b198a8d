"""Plain Monte Carlo tree search: UCT with random games at the leaves (Kocsis and Szepesvari, ECML 2006).

The tree is the one of the network searches; the choice of actions and the values of leaves differ.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agents.arena.players import random_moves
from agents.games.game import Game, select
from agents.search.dynamics import advance, history_of, legal_slots, slot_actions
from agents.search.memory import tree_bytes
from agents.search.root import Root
from agents.search.simulation import descend_to_leaves, grow
from agents.search.tree import ILLEGAL, Leaf, NodeStats, Tree
from lab import rng

_BYTES = 2**29  # of the trees that are searched together

# Half the constant of UCB1 for rewards in [-1, 1] (Auer et al. 2002), which is a little stronger in Connect Four.
EXPLORATION = math.sqrt(2.0)


@dataclass(frozen=True)
class RolloutPlayer:
    """UCT with `simulations` leaves per move, each evaluated by a random game; plays the most visited action."""

    game: Game
    simulations: int
    seed: int = 0

    @property
    def name(self) -> str:
        return f"rollout:{self.simulations}"

    def choose(self, state: Any, game_ids: Tensor, plies: Tensor) -> Tensor:
        rows = torch.arange(len(game_ids), device=game_ids.device)
        boards = max(1, _BYTES // tree_bytes(self.game, 1, self.simulations))
        parts = [self._most_visited(select(state, part), game_ids[part], plies[part]) for part in rows.split(boards)]
        return torch.cat(parts)

    def _most_visited(self, state: Any, game_ids: Tensor, plies: Tensor) -> Tensor:
        tree = self.search(state, game_ids, plies)
        stats = tree.root_stats()
        mean = stats.value_sum / stats.visits.clamp_min(1.0)
        # Means are in [-1, 1], so they only break ties of visit counts.
        score = torch.where(stats.logits > ILLEGAL, stats.visits + mean / 4, -math.inf)
        slot, roots = score.argmax(1), torch.arange(tree.batch, device=score.device)
        return tree.action_of(roots * tree.slots + slot, roots)

    @torch.inference_mode()
    def search(self, state: Any, game_ids: Tensor, plies: Tensor) -> Tree:
        """The trees of B roots; game_ids and plies: int64 [B], with the seed they determine the random numbers."""
        leaves = _RolloutLeaves(self, game_ids, plies)
        logits, actions = leaves.order(state)
        value = torch.zeros(len(game_ids), device=game_ids.device)
        history = history_of(self.game, state)
        return grow(
            Root(state, logits > ILLEGAL, logits, value, game_ids, plies, actions, history),
            dynamics=leaves,
            root_choice=self._root_choice,
            interior_choice=self._choice,
            simulations=self.simulations,
            descend=descend_to_leaves,
        )

    def _root_choice(self, stats: NodeStats, simulation: int) -> Tensor:
        return self._choice(stats)

    def _choice(self, stats: NodeStats) -> Tensor:
        """UCB1; unvisited actions come first, in the random order of the logits."""
        total = stats.visits.sum(1, keepdim=True).clamp_min(1.0)
        visits = stats.visits.clamp_min(1.0)
        bound = stats.value_sum / visits + EXPLORATION * torch.sqrt(torch.log(total) / visits)
        unvisited = 100.0 + stats.logits  # above every bound
        score = torch.where(stats.visits > 0, bound, unvisited)
        return torch.where(stats.logits > ILLEGAL, score, -math.inf).argmax(1)


class _RolloutLeaves:
    """Dynamics of one search: steps the game and evaluates leaves by random games."""

    def __init__(self, player: RolloutPlayer, game_ids: Tensor, plies: Tensor) -> None:
        self.player, self.game = player, player.game
        self.game_ids, self.plies = game_ids, plies
        self.leaf = 0

    def __call__(self, state: Any, action: Tensor, wanted: Tensor) -> Leaf:
        after = advance(self.game, state, action)
        self.leaf += 1
        value = self.values(after.states, wanted & ~after.ended)
        logits, actions = self.order(after.states)
        return Leaf(*after, logits, value, actions)

    def order(self, state: Any) -> tuple[Tensor, Tensor | None]:
        """Random numbers in (0, 1) as logits [B, K]: the order in which a node's actions are first tried.

        Also the action of each slot (see `slot_actions`).
        """
        actions = slot_actions(self.game, state)
        legal = legal_slots(self.game, state, actions)
        bits = self._bits(self.game_ids, self.plies, self.leaf, -1)
        numbers = torch.arange(legal.shape[1], device=legal.device) if actions is None else actions
        return torch.where(legal, rng.uniform(self.player.seed, bits[:, None], numbers), ILLEGAL), actions

    def values(self, state: Any, wanted: Tensor) -> Tensor:
        """Results [B] for the mover of a random game from each board in `wanted` bool [B]; zero elsewhere."""
        value = torch.zeros(len(wanted), device=wanted.device)
        row = wanted.nonzero()[:, 0]
        mover = self.game.player(state)
        # Hashed once for all plies of a random game.
        bits = self._bits(self.game_ids[row], self.plies[row], self.leaf, 0)
        state, step = select(state, row), 0
        # Only running games are stepped: half the work, at the cost of a host sync per ply.
        while len(row):
            action = random_moves(self.game, state, self.player.seed, bits, step)
            state = self.game.step(state, action)
            value[row] = self.game.reward(state).gather(1, mover[row][:, None])[:, 0]
            running = (~self.game.done(state)).nonzero()[:, 0]
            state, row, bits = select(state, running), row[running], bits[running]
            step += 1
        return value

    def _bits(self, *counters: Tensor | int) -> Tensor:
        return rng.random_bits(self.player.seed, int(rng.Stream.ROLLOUT), *counters)
