"""Positions of UCI: chess, and Breakthrough under the name that Fairy-Stockfish gives the variant.

A client may play on where a run's rules end the game: after a repetition that nobody claimed, or beyond the run's limit
of plies. Chess then goes on from the pieces on the board, without what happened before.
"""

import re
from typing import Any, Protocol

import torch

from agents.games.breakthrough import Breakthrough, BreakthroughState
from agents.games.chess import Chess
from agents.games.chess.actions import mask
from agents.games.chess.fen import INITIAL
from agents.games.chess.geometry import tables
from agents.games.chess.legal_moves import legal_moves
from agents.games.chess.state import RUNNING, ChessState
from agents.games.game import Game
from lab.config.suggestions import shortened
from lab.errors import UserError


class UciGame(Protocol):
    """What UCI needs of a game. States have B = 1.

    variants: values of the option UCI_Variant, the default first; none for a game that needs no such option.
    """

    variants: tuple[str, ...]

    def start(self, fen: str | None) -> Any:
        """The state of a FEN, or of the usual first position. Raises UserError that names the mistake of a FEN."""
        ...

    def find(self, state: Any, name: str) -> int | None:
        """The legal action of that name, also on a board that is over where the client may play on."""
        ...

    def step(self, state: Any, action: int) -> Any:
        """The state after an action that `find` gave."""
        ...

    def name(self, state: Any, action: int) -> str:
        """The name of a legal action."""
        ...

    def playable(self, state: Any) -> Any:
        """The state to search: `state`, or one without history where the run's rules have ended the game."""
        ...

    def any_move(self, state: Any) -> str | None:
        """A legal move of a position that cannot be searched; None where there is none."""
        ...


class UciChess:
    """Chess as UCI has it."""

    variants: tuple[str, ...] = ()

    def __init__(self, game: Chess, device: torch.device) -> None:
        self._game, self._device = game, device

    def start(self, fen: str | None) -> ChessState:
        return self._game.from_fen([INITIAL if fen is None else fen], self._device)

    def find(self, state: ChessState, name: str) -> int | None:
        return self._game.find_move(self._open(state), name)

    def step(self, state: ChessState, action: int) -> ChessState:
        return self._game.step(self._open(state), torch.tensor([action], device=self._device))

    def name(self, state: ChessState, action: int) -> str:
        return self._game.move_name(state, action)

    def playable(self, state: ChessState) -> ChessState:
        if not bool(self._game.done(state)[0]):
            return state
        pieces, side, castling, passing, *_ = self._game.fen(state).split()
        return self._game.from_fen([f"{pieces} {side} {castling} {passing} 0 1"], self._device)

    def any_move(self, state: ChessState) -> str | None:
        opened = self._open(state)
        actions = mask(opened.moves, tables(self._device))[0].nonzero()[:, 0].tolist()
        return self.name(opened, actions[0]) if actions else None

    def _open(self, state: ChessState) -> ChessState:
        """The same position with its legal moves, which a state that is over does not have."""
        if not bool(self._game.done(state)[0]):
            return state
        moves = legal_moves(state.position, tables(self._device)).words
        return state._replace(moves=moves, outcome=torch.full_like(state.outcome, RUNNING))


class UciBreakthrough:
    """Breakthrough: moves without the sign of a capture, and a FEN of pawns; White, in capitals, begins below."""

    variants: tuple[str, ...] = ("breakthrough",)

    def __init__(self, game: Breakthrough, device: torch.device) -> None:
        self._game, self._device = game, device

    def start(self, fen: str | None) -> BreakthroughState:
        state = self._game.initial(1, self._device)
        return state if fen is None else self._read(state, fen)

    def find(self, state: BreakthroughState, name: str) -> int | None:
        return self._game.find_move(state, name)

    def step(self, state: BreakthroughState, action: int) -> BreakthroughState:
        return self._game.step(state, torch.tensor([action], device=self._device))

    def name(self, state: BreakthroughState, action: int) -> str:
        return self._game.move_name(state, action).replace("x", "")

    def playable(self, state: BreakthroughState) -> BreakthroughState:
        return state

    def any_move(self, state: BreakthroughState) -> str | None:
        return None

    def _read(self, state: BreakthroughState, fen: str) -> BreakthroughState:
        """The position of a FEN such as pppp/4/4/PPPP w. Raises UserError."""
        rows, columns = self._game.rows, self._game.columns
        words = fen.split()
        grid = [_row(fen, row) for row in words[0].split("/")] if words else []
        if len(grid) != rows or any(len(row) != columns for row in grid):
            raise _wrong(fen, f"it has not {rows} rows of {columns} columns")
        if words[1:2] not in (["w"], ["b"]):
            raise _wrong(fen, "the side to move is missing; write w or b")
        pawns = {pawn for row in grid for pawn in row}
        if not {1, -1} <= pawns or 1 in grid[0] or -1 in grid[-1]:
            raise _wrong(fen, "the game is over")
        black = words[1] == "b"
        if black:
            grid = [[-pawn for pawn in row] for row in reversed(grid)]
        cells = torch.tensor(grid, dtype=torch.int8, device=self._device).view(1, -1)
        return state._replace(cells=cells, plies=state.plies + black)


def _row(fen: str, text: str) -> list[int]:
    row: list[int] = []
    for part in re.findall(r"[0-9]+|.", text):
        if part.isdigit() and len(part) < 3:
            row += [0] * int(part)
        elif part in ("P", "p"):
            row.append(1 if part == "P" else -1)
        else:
            raise _wrong(fen, f"{part!r} is no pawn; write P, p and numbers")
    return row


def _wrong(fen: str, why: str) -> UserError:
    return UserError(f"FEN {shortened(fen, 120)}: {why}")


def uci_game(game: Game, device: torch.device) -> UciGame | None:
    """The game for UCI; None for a game that has no UCI."""
    if isinstance(game, Chess):
        return UciChess(game, device)
    return UciBreakthrough(game, device) if isinstance(game, Breakthrough) else None
