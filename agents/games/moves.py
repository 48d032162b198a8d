"""Positions written as moves from the initial position: "443" is columns 4, 4 and 3."""

from collections.abc import Sequence
from typing import Any

import torch

from agents.games.game import Game
from lab.config.suggestions import did_you_mean, shortened
from lab.errors import UserError

Moves = str | Sequence[str | int]
"""Names of actions, as `lab play` takes them: "443", "4 4 3", ["4", "4", "3"] or [4, 4, 3]."""


def parse_moves(game: Game, moves: Moves) -> list[int]:
    """Actions of `moves`. Raises UserError for a name that the game does not have."""
    names = list(game.action_names)
    actions = []
    for place, word in enumerate(_words(names, moves), start=1):
        if word not in names:
            raise UserError(
                f"move {place} is {shortened(word, 60)}, which is no move of {game.name}; {did_you_mean(word, names)}"
            )
        actions.append(names.index(word))
    return actions


def state_after(game: Game, moves: Moves, device: torch.device) -> Any:
    """The state after `moves`, B = 1. Raises UserError when one of them is unknown or illegal."""
    state = game.initial(1, device)
    for place, action in enumerate(parse_moves(game, moves), start=1):
        legal = game.legal(state)[0]
        if not legal[action]:
            free = ", ".join(game.action_names[a] for a in legal.nonzero()[:, 0].tolist())
            reason = f"legal moves are {free}" if free else "the game is over"
            raise UserError(f"move {place}, {game.action_names[action]}, is illegal in {game.name}: {reason}")
        state = game.step(state, torch.tensor([action], device=device))
    return state


def _words(names: Sequence[str], moves: Moves) -> list[str]:
    if not isinstance(moves, str):
        if not isinstance(moves, Sequence):
            raise UserError(f'moves are a text such as "443" or a list of names, not {type(moves).__name__}')
        return [str(move) for move in moves]
    words = moves.replace(",", " ").split()
    # Without separators each character is a move, where all names have one character.
    one_character = all(len(name) == 1 for name in names)
    return list("".join(words)) if one_character else words
