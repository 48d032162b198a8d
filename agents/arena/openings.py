"""Openings of matches: different positions after a few random moves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.arena.players import random_moves
from agents.arena.positions import CPU
from agents.games.game import Game, concatenate, select, where
from lab import rng
from lab.errors import UserError

_FIRST_SAMPLES = 1024  # openings sampled in the first round; each later round doubles the number of samples
_ENOUGH_SAMPLES = 16  # samples per different opening after which a round without a new one ends the sampling
_MOST_SAMPLES = 64  # for each opening that is wanted
_LONGEST = 10  # plies; the limit of a long game says nothing about its opening

Accept = Callable[[Any], Tensor]
"""Which of B running boards make an opening, bool [B]."""


class Openings(NamedTuple):
    """N running boards; the first `distinct` are different, later ones repeat them in order.

    states: the boards. starts: the N first positions. actions: int64 [N, L], the moves from there; then -1.
    """

    distinct: int
    states: Any
    starts: Any
    actions: Tensor

    def moves(self, number: int) -> list[int]:
        """The moves of one opening."""
        return [action for action in self.actions[number].tolist() if action >= 0]


class _Sampled(NamedTuple):
    states: Any
    starts: Any
    actions: Tensor

    def rows(self, index: Tensor) -> "_Sampled":
        return _Sampled(select(self.states, index), select(self.starts, index), self.actions[index])

    def joined(self, other: "_Sampled") -> "_Sampled":
        return _Sampled(
            concatenate([self.states, other.states]),
            concatenate([self.starts, other.starts]),
            torch.cat([self.actions, other.actions]),
        )


def openings(game: Game, count: int, seed: int, device: torch.device = CPU, accept: Accept | None = None) -> Openings:
    """`count` different running boards after a few random moves; they repeat if the game has fewer.

    The number of moves is a ninth of the longest game, from 2 to 10 (4 in Connect Four). Opening k depends only on the
    seed and `accept`, not on `count`: openings are sampled with replacement, and each new one that is accepted gets the
    next number. Raises UserError if none is.
    """
    found = _sampled(game, torch.arange(0, device=device), seed)
    accepted = torch.zeros(0, dtype=torch.bool, device=device)
    sampled = 0
    while int(accepted.sum()) < count and sampled < _MOST_SAMPLES * count + _FIRST_SAMPLES:
        end = max(2 * sampled, _FIRST_SAMPLES)
        together = found.joined(_sampled(game, torch.arange(sampled, end, device=device), seed))
        sampled, before = end, len(found.actions)
        found = together.rows(_first_of_each(game.key(together.states)))
        new = found.rows(torch.arange(before, len(found.actions), device=device))
        every = torch.ones(len(new.actions), dtype=torch.bool, device=device)
        accepted = torch.cat([accepted, every if accept is None else accept(new.states).to(device)])
        if not len(new.actions) and sampled >= _ENOUGH_SAMPLES * before:
            break
    numbers = accepted.nonzero()[:, 0]
    different = len(numbers)
    if not different:
        raise UserError(f"none of {len(accepted):,} openings of {game.name} is balanced; allow more with --balance")
    return Openings(min(different, count), *found.rows(numbers[torch.arange(count, device=device) % different]))


def _sampled(game: Game, number: Tensor, seed: int) -> _Sampled:
    """A running board for each number int64 `[B]`, after random legal moves."""
    start = state = game.sample_initial(seed, number)
    actions = []
    for ply in range(min(max(2, game.max_plies // 9), _LONGEST)):
        action = random_moves(game, state, seed, int(rng.Stream.RANDOM_OPENING), number, ply)
        after = game.step(state, action)
        over = game.done(after)
        state = where(over, state, after)
        actions.append(torch.where(over, -1, action))
    return _Sampled(state, start, torch.stack(actions, 1))


def _first_of_each(keys: Tensor) -> Tensor:
    """Indices of the first occurrence of each key int64 `[N]`, in order."""
    known, group = torch.unique(keys, return_inverse=True)
    rows = torch.arange(len(keys), device=keys.device)
    return torch.full_like(known, len(keys)).scatter_reduce_(0, group, rows, "amin").sort().values
