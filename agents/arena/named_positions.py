"""Solved positions of any game, as text: the position, and scores of its moves by name.

A position is what `lab predict` takes: moves from the initial position, or a notation of the game such as FEN. Scores
are `move=score`, separated by spaces; `*=score` is for all other legal moves.
"""

import re
from typing import Any

import torch
from torch import Tensor

from agents.games.game import Game
from agents.games.moves import CPU, state_after
from lab.config.suggestions import shortened
from lab.errors import UserError

_SCORE = re.compile(r"-?\d{1,4}", re.ASCII)
_OTHERS = "*"


def read_row(game: Game, position: str, scores: str, illegal: int) -> tuple[Any, Tensor] | str:
    """The state, B = 1, and its scores int64 [A], `illegal` where a move is; or what is wrong with the row."""
    try:
        state = state_after(game, position, CPU)
    except UserError as error:
        return str(error)
    if bool(game.done(state)[0]):
        return "the game is over in this position"
    legal = game.legal(state)[0]
    found = torch.full((game.num_actions,), illegal, dtype=torch.int64)
    others = None
    for word in scores.split():
        name, _, number = word.rpartition("=")  # a name may have the sign as well, such as e8=Q
        if not name or not _SCORE.fullmatch(number):
            return f"{shortened(word, 40)} is not move=score with a whole number"
        if name == _OTHERS:
            others = int(number)
            continue
        action = game.find_move(state, name)
        if action is None:
            return f"{shortened(name, 40)} has a score and is no legal move"
        found[action] = int(number)
    missing = legal & (found == illegal)
    if missing.any():
        if others is None:
            name = game.move_name(state, int(missing.nonzero()[0, 0]))
            return f"the legal move {name} has no score; add it, or {_OTHERS}=0 for all others"
        found[missing] = others
    return state, found
