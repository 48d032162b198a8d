"""Positions as text: moves from the initial position ("443" is columns 4, 4 and 3) or a notation of the game."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from agents.games.game import Game, Record
from lab.config.suggestions import nearest, shortened
from lab.errors import UserError

Moves = str | Sequence[str | int]
"""Names of actions, as `lab play` takes them: "443", "4 4 3", ["4", "4", "3"] or [4, 4, 3].

A text may also be a record of the game in a notation that it reads, such as FEN and PGN of chess.
"""

CPU = torch.device("cpu")
_SHOWN = 16  # legal moves that a message lists


def parse_moves(game: Game, moves: Moves) -> list[int]:
    """Actions of `moves` from the initial position. Raises UserError when one of them is unknown or illegal."""
    return play_moves(game, moves, CPU)[1]


def state_after(game: Game, moves: Moves, device: torch.device) -> Any:
    """The state after `moves`, B = 1. Raises UserError when one of them is unknown or illegal."""
    return play_moves(game, moves, device)[0]


class ReadMoves(NamedTuple):
    """start, state: before and after the moves, B = 1. left_out: number of moves after the end of the game."""

    start: Any
    actions: list[int]
    state: Any
    left_out: int


def play_moves(game: Game, moves: Moves, device: torch.device) -> tuple[Any, list[int]]:
    """The state after `moves`, B = 1, and their actions. Raises UserError when one of them is unknown or illegal."""
    read = read_moves(game, moves, device)
    return read.state, read.actions


def read_moves(game: Game, moves: Moves, device: torch.device, *, beyond_end: bool = False) -> ReadMoves:
    """Plays `moves`. beyond_end: leave out moves after the end of the game instead of refusing them.

    Raises UserError when one of them is unknown or illegal.
    """
    record = game.read_record(moves, device) if isinstance(moves, str) else None
    if record is None:
        words = _words(game.action_names, moves)
        record = Record(game.initial(1, device), words, list(map(str, range(1, len(words) + 1))))
    state, actions = record.start, list[int]()
    for word, place in zip(record.moves, record.places, strict=True):
        if beyond_end and bool(game.done(state)[0]):
            break
        action = game.find_move(state, word)
        if action is None:
            raise UserError(refusal(game, state, word, place))
        state = game.step(state, torch.tensor([action], device=device))
        actions.append(action)
    return ReadMoves(record.start, actions, state, len(record.moves) - len(actions))


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


def refusal(game: Game, state: Any, text: str, place: str | None = None) -> str:
    """One line on why `text` is no legal move of the one board of a state. place: its number in a list of moves."""
    legal = legal_names(game, state)
    free = "legal moves are " + ", ".join(legal[:_SHOWN]) + (f" and {len(legal) - _SHOWN} more" * (len(legal) > _SHOWN))
    why = game.why_illegal(state, text) if legal else "the game is over"
    if why is not None:
        subject = shortened(text, 60)[1:-1] if place is None else f"move {place}, {shortened(text, 60)[1:-1]},"
        return f"{subject} is illegal in {game.name}: {why}" + (f"; {free}" if legal else "")
    subject = shortened(text, 60) + (" is" if place is None else ", which is")
    close = nearest(text, legal)
    hint = free if close is None else f"did you mean {close!r}?"
    return ("" if place is None else f"move {place} is ") + f"{subject} no move of {game.name} here; {hint}"


def _words(names: Sequence[str], moves: Moves) -> list[str]:
    if not isinstance(moves, str):
        if not isinstance(moves, Sequence):
            raise UserError(f'moves are a text such as "443" or a list of names, not {type(moves).__name__}')
        return [str(move) for move in moves]
    words = moves.replace(",", " ").split()
    # Without separators each character is a move, where all names have one character.
    one_character = all(len(name) == 1 for name in names)
    return list("".join(words)) if one_character else words
