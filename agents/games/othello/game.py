"""Othello as batched tensors, a word of 64 bits for the discs of each player."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.games.board import Board
from agents.games.diagrams import diagram, is_diagram, read_diagram
from agents.games.game import ActionLayout, Game, Record, Symmetries
from agents.games.othello import text
from agents.games.othello.bitboard import bitboard
from agents.games.sgf_record import read_sgf_record
from agents.games.words import hashed
from lab.errors import UserError

SIZES = (4, 6, 8)


class OthelloState(NamedTuple):
    """B boards; words as in `bitboard`.

    discs: int64 [B, 2], the mover's and the opponent's. moves: int64 [B, 2], cells where each could place a disc.
    plies: int64 [B]. last: int8 [B], the last action, -1 before the first.
    """

    discs: Tensor
    moves: Tensor
    plies: Tensor
    last: Tensor


class Othello(Game):
    """Black and white place discs; who has more discs at the end wins.

    A disc must capture: opposing discs in unbroken lines between it and another disc of the mover change their colour.
    Who cannot place a disc must pass, and may not pass otherwise. The game ends when neither player can place a disc.

    Actions are cells in row-major order from the top left, then the pass. Player 0 is black. Two passes never follow
    each other, so that `max_plies` is twice the number of cells that are empty at the start.
    """

    player_names = text.PLAYERS
    has_final_board = True

    def __init__(self, size: int = 8) -> None:
        """size: cells on a side."""
        if size not in SIZES:
            raise UserError(f"othello: size must be 4, 6 or 8, not {size}")
        self.name = "othello"
        self.options: Mapping[str, Any] = {"size": size}
        self.size, self.cells = size, size * size
        self.num_actions = self.num_slots = self.cells + 1
        self.observation_shape = (4, size, size)
        self.action_layout = ActionLayout(planes=1, others=1)
        self.max_plies = 2 * (self.cells - 4)
        self.action_names: Sequence[str] = text.action_names(size)

    def initial(self, batch: int, device: torch.device) -> OthelloState:
        low, high = self.size // 2 - 1, self.size // 2
        black, white = ((low, high), (high, low)), ((low, low), (high, high))
        words = [sum(1 << (row * self.size + column) for row, column in discs) for discs in (black, white)]
        discs = torch.tensor(words, device=device).repeat(batch, 1)
        return OthelloState(
            discs,
            bitboard(self.size, device).moves(discs),
            torch.zeros(batch, dtype=torch.int64, device=device),
            torch.full((batch,), -1, dtype=torch.int8, device=device),
        )

    def read_record(self, text: str, device: torch.device) -> Record | None:
        """The position of a diagram, or the main line of a game in SGF."""
        if (record := read_sgf_record(self, text, device)) is not None:
            return record
        return Record(self.from_diagram(text, device), (), ()) if is_diagram(text) else None

    def from_diagram(self, text: str, device: torch.device) -> OthelloState:
        """The position of a diagram (see `diagrams`), B = 1. Raises UserError that names the mistake."""
        return self.from_owners(*read_diagram(self.name, text, self.size), device)

    def from_owners(self, owners: Sequence[int], player: int, device: torch.device) -> OthelloState:
        """The position of cells in row-major order, +1 black, -1 white, 0 empty, with `player` (0 or 1) to move; B = 1.

        Its plies are the discs that were placed, and a pass if the other player would be to move then. Raises UserError
        for fewer than 4 discs.
        """
        first = torch.tensor(owners, device=device) * (1 - 2 * player)
        board = bitboard(self.size, device)
        discs = torch.stack([board.bits[:-1][first == side].sum() for side in (1, -1)])[None]
        placed = sum(owner != 0 for owner in owners) - 4
        if placed < 0:
            raise UserError(f"othello: a position has at least 4 discs, not {placed + 4}")
        return self.initial(1, device)._replace(
            discs=discs,
            moves=board.moves(discs),
            plies=torch.full((1,), placed + (placed + player) % 2, device=device),
        )

    def diagram(self, state: OthelloState, index: int = 0) -> str:
        """The position of one board in one line (see `diagrams`)."""
        return diagram(self.colours(state, index), self.size, int(state.plies[index]) % 2)

    def legal(self, state: OthelloState) -> Tensor:
        own, other = state.moves[:, :1], state.moves[:, 1:]
        must_pass = (own == 0) & (other != 0)
        return torch.cat([bitboard(self.size, own.device).cells(own)[:, 0].bool(), must_pass], 1)

    def step(self, state: OthelloState, action: Tensor) -> OthelloState:
        board = bitboard(self.size, action.device)
        own, other = state.discs.unbind(1)
        placed = board.bits.index_select(0, action)
        captured = board.captured(placed, own, other)
        running = ~self.done(state)
        discs = torch.stack([other ^ captured, own | placed | captured], 1)
        discs = torch.where(running[:, None], discs, state.discs)
        return OthelloState(
            discs,
            board.moves(discs),
            state.plies + running,
            torch.where(running, action, state.last).to(torch.int8),
        )

    def player(self, state: OthelloState) -> Tensor:
        return state.plies % 2

    def plies(self, state: OthelloState) -> Tensor:
        return state.plies

    def done(self, state: OthelloState) -> Tensor:
        return (state.moves == 0).all(1)

    def reward(self, state: OthelloState) -> Tensor:
        black = torch.sign(self.margin(state)) * self.done(state)
        return torch.stack([black, -black], 1).to(torch.float32)

    def margin(self, state: OthelloState) -> Tensor:
        """int64 [B]: black discs minus white ones."""
        own, other = bitboard(self.size, state.plies.device).counts(state.discs).unbind(1)
        return (own - other) * (1 - state.plies % 2 * 2)

    def observe(self, state: OthelloState, player: Tensor | None = None) -> Tensor:
        """The player's discs, the opponent's, and the cells where the player and the opponent could place a disc."""
        words = torch.cat([state.discs, state.moves], 1)
        if player is not None:
            swapped = torch.cat([state.discs.flip(1), state.moves.flip(1)], 1)
            words = torch.where((player == self.player(state))[:, None], words, swapped)
        planes = bitboard(self.size, words.device).cells(words).to(torch.float32)
        return planes.unflatten(2, (self.size, self.size))

    def key(self, state: OthelloState) -> Tensor:
        return hashed(state.discs)

    def symmetries(self, device: torch.device) -> Symmetries:
        return _symmetries(self.size, device)

    def board(self, state: OthelloState, index: int = 0, previous: OthelloState | None = None) -> Board:
        return text.board_of(self, state, index)

    def why_illegal(self, state: OthelloState, text: str, *, index: int = 0) -> str | None:
        word = text.strip().lower()
        if word not in self.action_names:
            return None
        action = self.action_names.index(word)
        if action == self.cells:
            return "a player passes only without another move"
        return "the cell is taken" if self.colours(state, index)[action] else "it turns no disc"

    def colours(self, state: OthelloState, index: int = 0) -> list[int]:
        """One board in row-major order: +1 black, -1 white, 0 empty."""
        own, other = bitboard(self.size, state.plies.device).cells(state.discs[index]).to(torch.int8)
        black: list[int] = ((own - other) * (1 - 2 * (state.plies[index] % 2))).tolist()
        return black

    def find_move(self, state: OthelloState, text: str, *, index: int = 0) -> int | None:
        """A legal cell such as d3, in either case, or pass."""
        word = text.strip().lower()
        if word not in self.action_names:
            return None
        action = self.action_names.index(word)
        own, other = state.moves[index].tolist()
        legal = own == 0 and other != 0 if action == self.cells else own >> action & 1
        return action if legal else None


@cache
def _symmetries(size: int, device: torch.device) -> Symmetries:
    """Those four of the 8 symmetries of the square after which the first discs are the same: half a turn, and the
    mirror images at both diagonals. After the other four each first disc has the other colour."""
    cells = size * size
    grid = np.arange(cells).reshape(size, size)
    maps = np.stack([m.ravel() for m in (grid, np.rot90(grid, 2), grid.T, np.rot90(grid, 2).T)])
    planes = (maps[:, None] + np.arange(4)[None, :, None] * cells).reshape(4, -1)
    actions = np.concatenate([maps, np.full((4, 1), cells)], 1)
    return Symmetries(torch.from_numpy(planes).to(device), torch.from_numpy(actions).to(device))
