"""Exact scores of late positions: everything that can follow is enumerated ply by ply and scored backwards."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.arena.minimax import successors
from agents.arena.positions import Positions
from agents.games.game import Game

_LOWEST = Positions.ILLEGAL  # below every score


class _Level(NamedTuple):
    score: Tensor  # int64 [N], of the positions that are over
    over: Tensor  # bool [N]
    parent: Tensor  # int64 [E], position of each move
    action: Tensor  # int64 [E]
    child: Tensor  # int64 [E], number of the position after it, on the next level


def move_scores(game: Game, states: Any, final_score: Callable[[Any], Tensor]) -> Tensor:
    """int64 [N, A]: exact score of every legal move of N running positions, else `Positions.ILLEGAL`.

    final_score: score int64 [N] of boards that are over, for the player to move. Positions that are reached in several
    ways are scored once; all that follow within one ply are held in memory at once.
    """
    levels: list[_Level] = []
    level = states
    while level is not None:
        reached, parent, action, child = successors(game, level, game.legal(level))
        levels.append(_Level(final_score(level), game.done(level), parent, action, child))
        level = reached
    best = levels[-1].score
    for one in reversed(levels[1:-1]):
        after = torch.full_like(one.score, _LOWEST).scatter_reduce_(0, one.parent, -best[one.child], "amax")
        best = torch.where(one.over, one.score, after)
    roots = levels[0]
    scores = torch.full((len(roots.score), game.num_actions), _LOWEST, device=best.device)
    scores[roots.parent, roots.action] = -best[roots.child]
    return scores
