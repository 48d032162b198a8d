"""Positions as text: moves from the initial position ("443" is columns 4, 4 and 3) or a notation of the game."""

from collections.abc import Sequence
from typing import Any

import torch

from agents.games.game import Game, Record
from lab.config.suggestions import did_you_mean, shortened
from lab.errors import UserError

Moves = str | Sequence[str | int]
"""Names of actions, as `lab play` takes them: "443", "4 4 3", ["4", "4", "3"] or [4, 4, 3].

A text may also be a record of the game in a notation that it reads, such as FEN and PGN of chess.
"""

CPU = torch.device("cpu")
_SHOWN = 40  # legal moves that an error lists


def parse_moves(game: Game, moves: Moves) -> list[int]:
    """Actions of `moves` from the initial position. Raises UserError when one of them is unknown or illegal."""
    return play_moves(game, moves, CPU)[1]


def state_after(game: Game, moves: Moves, device: torch.device) -> Any:
    """The state after `moves`, B = 1. Raises UserError when one of them is unknown or illegal."""
    return play_moves(game, moves, device)[0]


def play_moves(game: Game, moves: Moves, device: torch.device) -> tuple[Any, list[int]]:
    """The state after `moves`, B = 1, and their actions. Raises UserError when one of them is unknown or illegal."""
    record = game.read_record(moves, device) if isinstance(moves, str) else None
    if record is None:
        words = _words(game.action_names, moves)
        record = Record(game.initial(1, device), words, list(map(str, range(1, len(words) + 1))))
    state, actions = record.start, list[int]()
    for word, place in zip(record.moves, record.places, strict=True):
        action = game.find_move(state, word)
        if action is None:
            raise UserError(_why_not(game, state, word, place))
        state = game.step(state, torch.tensor([action], device=device))
        actions.append(action)
    return state, actions


def move_names(game: Game, actions: Sequence[int]) -> list[str]:
    """The names of actions played from the initial position."""
    state, names = game.initial(1, CPU), []
    for action in actions:
        names.append(game.move_name(state, action))
        state = game.step(state, torch.tensor([action]))
    return names


def legal_names(game: Game, state: Any, *, index: int = 0) -> list[str]:
    """Names of the legal moves of one board."""
    legal = game.legal(state)[index].nonzero()[:, 0].tolist()
    return [game.move_name(state, action, index=index) for action in legal]


def _why_not(game: Game, state: Any, word: str, place: str) -> str:
    legal, names = legal_names(game, state), list(game.action_names)
    free = ", ".join(legal[:_SHOWN]) + (f" and {len(legal) - _SHOWN} more" if len(legal) > _SHOWN else "")
    reason = f"legal moves are {free}" if free else "the game is over"
    why = game.why_illegal(state, word) if free else None
    if why is not None:
        return f"move {place}, {word}, is illegal in {game.name}: {why}"
    if word in names or not free:
        return f"move {place}, {word}, is illegal in {game.name}: {reason}"
    hint = did_you_mean(word, legal or names)
    return f"move {place} is {shortened(word, 60)}, which is no move of {game.name} here; {hint}"


def _words(names: Sequence[str], moves: Moves) -> list[str]:
    if not isinstance(moves, str):
        if not isinstance(moves, Sequence):
            raise UserError(f'moves are a text such as "443" or a list of names, not {type(moves).__name__}')
        return [str(move) for move in moves]
    words = moves.replace(",", " ").split()
    # Without separators each character is a move, where all names have one character.
    one_character = all(len(name) == 1 for name in names)
    return list("".join(words)) if one_character else words
