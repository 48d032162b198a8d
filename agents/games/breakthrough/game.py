"""Breakthrough as batched tensors."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.games import coordinates
from agents.games.board import Board
from agents.games.breakthrough import text as names
from agents.games.game import ActionLayout, Game, Symmetries
from lab.errors import UserError

SMALLEST = 4
_TWO_ROWS = 6  # rows of a board from which on each player has two rows of pawns, as in OpenSpiel
DIRECTIONS = (-1, 0, 1)
"""Columns to the right by which the planes of actions step: forward to the left, straight, forward to the right."""


class BreakthroughState(NamedTuple):
    """B boards as the player to move sees them, whose pawns move up to row 0. The board is turned upside down, not
    around: columns are the same for both players.

    cells: int8 [B, rows * columns], +1 the mover's pawn, -1 the opponent's, 0 empty.
    plies: int64 [B]. over: bool [B], whether the opponent, who moved last, has won.
    last: int16 [B], the last action, as its player saw it; -1 before the first.
    """

    cells: Tensor
    plies: Tensor
    over: Tensor
    last: Tensor


class Breakthrough(Game):
    """Pawns of both players fill two rows each, one row on boards of four or five rows. A pawn steps to the next row:
    straight or diagonally to an empty cell, diagonally also onto a pawn of the opponent, which is captured. Who reaches
    the far row or captures the last pawn wins (Dan Troyka, 2000).

    The foremost pawn can always step diagonally, so that there are no draws and no passes, and every ply takes a pawn
    one row further, so that no game is longer than `max_plies`.

    Actions are planes of `DIRECTIONS` of the cell that the pawn leaves, as the mover sees the board.
    """

    has_final_board = True

    def __init__(self, rows: int = 8, columns: int = 8) -> None:
        largest = coordinates.LARGEST
        if not (SMALLEST <= rows <= largest and SMALLEST <= columns <= largest):
            raise UserError(
                f"breakthrough: rows and columns must be from {SMALLEST} to {largest}, not {rows}x{columns}"
            )
        self.name = "breakthrough"
        self.options: Mapping[str, Any] = {"rows": rows, "columns": columns}
        self.rows, self.columns = rows, columns
        self.observation_shape = (2, rows, columns)
        self.action_layout = ActionLayout(planes=len(DIRECTIONS))
        self.num_actions = self.action_layout.num_actions(rows, columns)
        self.home_rows = 2 if rows >= _TWO_ROWS else 1
        self.num_slots = len(DIRECTIONS) * self.home_rows * columns
        # All pawns of both sides go to the row before the last, and one of them a step further.
        self.max_plies = 2 * columns * sum(rows - 2 - row for row in range(self.home_rows)) + 1
        self.action_names: Sequence[str] = names.action_names(rows, columns)

    def initial(self, batch: int, device: torch.device) -> BreakthroughState:
        cells = torch.zeros(batch, self.rows, self.columns, dtype=torch.int8, device=device)
        cells[:, -self.home_rows :], cells[:, : self.home_rows] = 1, -1
        zeros = torch.zeros(batch, dtype=torch.int64, device=device)
        return BreakthroughState(cells.flatten(1), zeros, zeros.to(torch.bool), zeros.to(torch.int16) - 1)

    def legal(self, state: BreakthroughState) -> Tensor:
        grid = state.cells.view(-1, self.rows, self.columns)
        pawns = (grid[:, 1:] == 1) & ~state.over[:, None, None]
        ahead = grid[:, :-1]
        enterable = ahead != 1
        legal = torch.zeros(len(grid), 3, self.rows, self.columns, dtype=torch.bool, device=grid.device)
        legal[:, 0, 1:, 1:] = pawns[:, :, 1:] & enterable[:, :, :-1]
        legal[:, 1, 1:] = pawns & (ahead == 0)
        legal[:, 2, 1:, :-1] = pawns[:, :, :-1] & enterable[:, :, 1:]
        return legal.flatten(1)

    def step(self, state: BreakthroughState, action: Tensor) -> BreakthroughState:
        size = self.rows * self.columns
        origin = action % size
        target = (origin - self.columns + action // size - 1).clamp(min=0)
        moved = state.cells.scatter(1, origin[:, None], 0).scatter(1, target[:, None], 1)
        won = (target < self.columns) | ~(moved == -1).any(1)
        turned = -moved.view(-1, self.rows, self.columns).flip(1).flatten(1)
        running = ~state.over
        return BreakthroughState(
            torch.where(running[:, None], turned, state.cells),
            state.plies + running,
            state.over | won,
            torch.where(running, action.to(torch.int16), state.last),
        )

    def player(self, state: BreakthroughState) -> Tensor:
        return state.plies % 2

    def plies(self, state: BreakthroughState) -> Tensor:
        return state.plies

    def done(self, state: BreakthroughState) -> Tensor:
        return state.over

    def reward(self, state: BreakthroughState) -> Tensor:
        # The loser is to move: with an even number of plies played, that is player 0.
        first = (state.plies % 2 * 2 - 1) * state.over
        return torch.stack([first, -first], 1).to(torch.float32)

    def observe(self, state: BreakthroughState, player: Tensor | None = None) -> Tensor:
        cells = state.cells.view(-1, self.rows, self.columns)
        if player is not None:
            cells = torch.where((player == self.player(state))[:, None, None], cells, -cells.flip(1))
        return torch.stack([cells == 1, cells == -1], 1).to(torch.float32)

    def key(self, state: BreakthroughState) -> Tensor:
        # A random linear form modulo 2**64: two different boards collide with probability 2**-63.
        return (state.cells * _hashes(self.rows * self.columns, state.cells.device)).sum(1)

    def symmetries(self, device: torch.device) -> Symmetries:
        return _symmetries(self.rows, self.columns, device)

    def owners(self, state: BreakthroughState, index: int = 0) -> list[list[int]]:
        """[rows][columns] of one board as player 0 sees it: 0 or 1 for the player whose pawn stands there, else -1."""
        mover = int(state.plies[index]) % 2
        grid = state.cells[index].view(self.rows, self.columns)
        owners: list[list[int]] = torch.where(grid == 0, -1, torch.where(grid == 1, mover, 1 - mover)).tolist()
        return owners[::-1] if mover else owners

    def board(self, state: BreakthroughState, index: int = 0, previous: BreakthroughState | None = None) -> Board:
        return names.board_of(self, state, index)

    def move_name(self, state: BreakthroughState, action: int, *, index: int = 0) -> str:
        """Such as a2a3, and a2xb3 for a capture."""
        return names.move_name(self, state, action, index)

    def find_move(self, state: BreakthroughState, text: str, *, index: int = 0) -> int | None:
        return names.found_move(self, state, text, index)

    def why_illegal(self, state: BreakthroughState, text: str, *, index: int = 0) -> str | None:
        return names.why_illegal(self, state, text, index)


@cache
def _hashes(cells: int, device: torch.device) -> Tensor:
    """int64 [cells], random."""
    numbers = np.random.default_rng(0xB4EA).integers(-(2**63), 2**63 - 1, cells, dtype=np.int64)
    return torch.from_numpy(numbers).to(device)


@cache
def _symmetries(rows: int, columns: int, device: torch.device) -> Symmetries:
    """The identity and the mirror image, in which left and right steps change places."""
    grid = np.arange(rows * columns).reshape(rows, columns)
    size = grid.size
    mirrored = grid[:, ::-1].ravel()
    planes = np.concatenate([mirrored, mirrored + size])
    actions = np.concatenate([mirrored + plane * size for plane in (2, 1, 0)])
    tables = (np.stack([np.arange(len(table)), table]) for table in (planes, actions))
    return Symmetries(*(torch.from_numpy(table).to(device) for table in tables))
