"""The rules of a game as the dynamics of a search, with leaves evaluated by a network in batches."""

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from agents.games.game import Game, select
from agents.search.cache import EvaluationCache, Evaluate
from agents.search.tree import Leaf


@dataclass
class LeafCounts:
    """What became of the leaves asked for. Their sum is the number of simulations plus root evaluations.

    evaluated: rows through the network. ended: the game was over, or an ended leaf was visited again. repeated: found
    in the table of evaluations, or asked for by another row of the same batch. batches: network calls.
    """

    evaluated: int = 0
    ended: int = 0
    repeated: int = 0
    batches: int = 0

    def __sub__(self, other: "LeafCounts") -> "LeafCounts":
        return LeafCounts(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))


class GameDynamics:
    """Steps a game and evaluates the positions reached.

    With a cache (CPU) only rows that need the network go through it. Without one every batch goes through whole, with
    static shapes and nothing read back from the device; then `counts` has rows of batches only.
    """

    def __init__(self, game: Game, evaluate: Evaluate, cache: EvaluationCache | None = None) -> None:
        self.game = game
        self.evaluate = evaluate
        self.cache = cache
        self.counts = LeafCounts()

    def __call__(self, state: Any, action: Tensor, wanted: Tensor) -> Leaf:
        """Successors and evaluations of B edges; wanted: bool [B] (see `agents.search.tree.Dynamics`)."""
        game = self.game
        mover = game.player(state)
        successor = game.step(state, action)
        ended = game.done(successor)
        reward = game.reward(successor).gather(1, mover[:, None])[:, 0]
        discount = torch.where(game.player(successor) == mover, 1.0, -1.0) * ~ended
        logits, value = self.evaluate_states(successor, wanted & ~ended)
        return Leaf(successor, reward, discount, ended, logits, value)

    def evaluate_states(self, states: Any, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Legal-masked logits [B, A] and values [B] of states; rows not wanted hold anything finite."""
        logits, value = self._evaluate(states, wanted)
        return torch.where(self.game.legal(states), logits, torch.finfo(torch.float32).min), value

    def _evaluate(self, states: Any, wanted: Tensor) -> tuple[Tensor, Tensor]:
        if self.cache is None:
            self.counts.evaluated += len(wanted)
            self.counts.batches += 1
            return self.evaluate(self.game.observe(states))
        keys = self.game.key(states)
        logits, value, missing, twins, twin_of = self.cache.lookup(keys, wanted)
        if len(missing):
            new_logits, new_value = self.evaluate(self.game.observe(select(states, missing)))
            self.cache.store(keys.index_select(0, missing), new_logits, new_value)
            logits[missing] = new_logits
            value[missing] = new_value
            logits[twins] = logits[twin_of]
            value[twins] = value[twin_of]
        asked = int(wanted.sum())
        self.counts.evaluated += len(missing)
        self.counts.repeated += asked - len(missing)
        self.counts.ended += len(wanted) - asked
        self.counts.batches += int(len(missing) > 0)
        return logits, value
