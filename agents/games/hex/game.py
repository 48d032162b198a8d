"""Hex as batched tensors: numbers of chains on the cells, joined with every stone."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.games.board import Board
from agents.games.diagrams import diagram, is_diagram, read_diagram
from agents.games.game import ActionLayout, Game, Record, Symmetries
from agents.games.hex.text import SWAP, action_names, board_of, seen_by_first
from agents.games.sgf_record import read_sgf_record
from lab.errors import UserError

SMALLEST, LARGEST = 2, 19  # cells on a side
FIRST_EDGE, LAST_EDGE = 1, 2
_FIRST_CHAIN = 3
# Neighbours in the order of the circle around a cell: each of them is a neighbour of the next.
AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 0), (1, -1), (0, -1))


class HexState(NamedTuple):
    """B boards of P cells, as the mover sees them (see `Hex`).

    chains: int8 or int16 [B, P], 0 for an empty cell, positive for the mover's stones, negative for the opponent's.
    Stones of one chain have the same number: FIRST_EDGE where it touches the player's first edge (the top one for the
    mover), LAST_EDGE where it touches the other one, else, or if it connects both, a number of its own.
    plies: int64 [B]. won: bool [B], the last stone has connected the edges. last: int16 [B], the last action, as its
    player saw it, -1 before the first.
    hashes: int64 [B, 2], sum of numbers of the stones, as the mover and as the opponent sees them.
    """

    chains: Tensor
    plies: Tensor
    won: Tensor
    last: Tensor
    hashes: Tensor


class _Tables(NamedTuple):
    around: Tensor  # int64 [P, 6]: the neighbours; beyond the edge any cell
    edges: Tensor  # of the type of chains, [P, 6]: the mover's edge that lies there, else 0
    outside: Tensor  # bool [P, 6]: beyond the board
    hashes: Tensor  # int64 [P, 2]: of a new stone as the opponent, who moves next, and as the mover sees it
    swap: Tensor  # int64 []: hash of positions in which the mover may swap
    symmetries: Symmetries


class Hex(Game):
    """Two players place stones on a rhombus of hexagons; who connects the two opposite edges of his colour wins.

    Player 0 connects the top with the bottom, player 1 the left edge with the right one. There are no draws. With
    `swap` the second player may, instead of a stone, take over the first one: it becomes his own, mirrored at the long
    diagonal, so that it lies for him as it lay for the opponent ("swap pieces").

    Both players see the board as the one who connects top and bottom: player 1 sees it mirrored at the long diagonal.
    Actions are cells in row-major order of the mover's view, then the swap; their names are those of player 0's view,
    see `move_name`. So one network need not learn both directions.
    """

    has_final_board = True

    def __init__(self, size: int = 11, swap: bool = True) -> None:
        """size: cells on a side. swap: whether the second player may swap."""
        if not SMALLEST <= size <= LARGEST:
            raise UserError(f"hex: size must be from {SMALLEST} to {LARGEST}, not {size}")
        self.name = "hex"
        self.options: Mapping[str, Any] = {"size": size, "swap": swap}
        self.size, self.cells, self.swap = size, size * size, swap
        self.num_actions = self.num_slots = self.cells + swap
        self.observation_shape = (6 + swap, size, size)
        self.action_layout = ActionLayout(planes=1, others=int(swap))
        self.max_plies = self.cells + swap
        self.action_names: Sequence[str] = action_names(size, swap=swap)

    def initial(self, batch: int, device: torch.device) -> HexState:
        dtype = self._tables(device).edges.dtype
        return HexState(
            torch.zeros((batch, self.cells), dtype=dtype, device=device),
            torch.zeros(batch, dtype=torch.int64, device=device),
            torch.zeros(batch, dtype=torch.bool, device=device),
            torch.full((batch,), -1, dtype=torch.int16, device=device),
            torch.zeros((batch, 2), dtype=torch.int64, device=device),
        )

    def read_record(self, text: str, device: torch.device) -> Record | None:
        """The position of a diagram, or the main line of a game in SGF."""
        if (record := read_sgf_record(self, text, device)) is not None:
            return record
        return Record(self.from_diagram(text, device), (), ()) if is_diagram(text) else None

    def from_diagram(self, text: str, device: torch.device) -> HexState:
        """The position of a diagram (see `diagrams`) that comes about without a swap, B = 1.

        Raises UserError that names the mistake.
        """
        return self.from_owners(*read_diagram(self.name, text, self.size), device)

    def from_owners(self, owners: Sequence[int], player: int, device: torch.device) -> HexState:
        """The position of cells in row-major order of player 0's view, that comes about without a swap; B = 1.

        owners: +1 for player 0's stones, -1 for the opponent's, 0 for empty cells. player: to move, 0 or 1. Raises
        UserError for numbers of stones of which another player is to move, and for a game that is over.
        """
        first, second = list(owners).count(1), list(owners).count(-1)
        if first - second != player:
            raise UserError(
                f"hex: {'XO'[player]} is to move with {first} X and {second} O; before X moves they are as many, and "
                "before O moves there is one X more"
            )
        tables = self._tables(device)
        state = self.initial(1, device)
        own, hashes = [], torch.zeros_like(state.hashes)
        for side, sign in enumerate((1, -1)):
            chains = state.chains
            for number in (number for number, owner in enumerate(owners) if owner == sign):
                cell = torch.tensor([seen_by_first(self, number, side)], device=device)
                chains, won = self._joined(chains, cell)
                if bool(won):
                    raise UserError(f"hex: the game is over, {'XO'[side]} has connected the edges")
                placed = tables.hashes.index_select(0, cell)
                hashes += placed.flip(1) if side == player else placed
            own.append(chains)
        return state._replace(
            chains=own[player] - self._mirrored(own[1 - player]), plies=state.plies + first + second, hashes=hashes
        )

    def diagram(self, state: HexState, index: int = 0) -> str:
        """The position of one board in one line (see `diagrams`), as player 0 sees it."""
        return diagram(self.owners(state, index), self.size, int(state.plies[index]) % 2)

    def legal(self, state: HexState) -> Tensor:
        free = (state.chains == 0) & ~state.won[:, None]
        return torch.cat([free, self._may_swap(state)[:, None]], 1) if self.swap else free

    def step(self, state: HexState, action: Tensor) -> HexState:
        tables = self._tables(action.device)
        running = ~state.won
        stone = running & (action < self.cells)
        cell = action.clamp(max=self.cells - 1)
        chains, won = self._joined(state.chains, cell)
        # The other player sees the board mirrored. So he does after a swap, and then the stone is not his any more:
        # both together leave the board as it is.
        seen = -self._mirrored(chains)
        hashes = state.hashes.flip(1) + tables.hashes.index_select(0, cell)
        return HexState(
            torch.where(stone[:, None], seen, state.chains),
            state.plies + running,
            state.won | (stone & won),
            torch.where(running, action, state.last).to(torch.int16),
            torch.where(stone[:, None], hashes, state.hashes),
        )

    def _joined(self, chains: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """The chains after a stone of the mover at `cell` int64 [B], and whether it connects the edges, bool [B]."""
        tables = self._tables(cell.device)
        near = chains.gather(1, tables.around.index_select(0, cell))
        near = torch.where(tables.outside.index_select(0, cell), tables.edges.index_select(0, cell), near).clamp_(min=0)
        # Neighbouring stones next to each other on the circle belong to one chain, so that at most three chains meet
        # here: the first stones of each, and of two cells side by side at most one is such a stone.
        firsts = torch.where(near.roll(1, 1) == 0, near, 0)
        joining = firsts.unflatten(1, (3, 2)).amax(2)
        largest = near.amax(1)
        alone = (cell + _FIRST_CHAIN).to(chains.dtype)
        number = torch.where(largest == 0, alone, largest)
        goal = torch.where(joining == 0, number[:, None], joining).amin(1, keepdim=True)
        placed = chains.scatter(1, cell[:, None], number[:, None])
        one, two, three = torch.where(joining == 0, goal, joining).split(1, 1)
        won = (near == FIRST_EDGE).any(1) & (near == LAST_EDGE).any(1)
        goal = torch.where(won[:, None], alone[:, None], goal)
        return torch.where((placed == one) | (placed == two) | (placed == three), goal, placed), won

    def _mirrored(self, cells: Tensor) -> Tensor:
        """[B, P] as the other player sees it."""
        return cells.unflatten(1, (self.size, self.size)).transpose(1, 2).flatten(1)

    def _may_swap(self, state: HexState) -> Tensor:
        return state.plies == 1

    def player(self, state: HexState) -> Tensor:
        return state.plies % 2

    def plies(self, state: HexState) -> Tensor:
        return state.plies

    def done(self, state: HexState) -> Tensor:
        return state.won

    def reward(self, state: HexState) -> Tensor:
        # The loser is to move: with an even number of plies played, that is player 0.
        first = (state.plies % 2 * 2 - 1) * state.won
        return torch.stack([first, -first], 1).to(torch.float32)

    def observe(self, state: HexState, player: Tensor | None = None) -> Tensor:
        """The player's stones, those connected to the top, those connected to the bottom; the opponent's stones, those
        connected to the left, those connected to the right; the planes of connections of a player who has won are
        empty. With `swap` then 1 everywhere where the mover may swap.
        """
        chains = state.chains
        if player is not None:
            chains = torch.where((player == self.player(state))[:, None], chains, -self._mirrored(chains))
        own, other = chains > 0, chains < 0
        planes = [own, chains == FIRST_EDGE, chains == LAST_EDGE, other, chains == -FIRST_EDGE, chains == -LAST_EDGE]
        if self.swap:
            planes.append(self._may_swap(state)[:, None].expand_as(own))
        return torch.stack(planes, 1).to(torch.float32).unflatten(2, (self.size, self.size))

    def final_board(self, state: HexState, player: Tensor) -> Tensor:
        return self.observe(state, player)[:, [0, 3]] > 0

    def key(self, state: HexState) -> Tensor:
        own = state.hashes[:, 0]
        return own + self._may_swap(state) * self._tables(own.device).swap if self.swap else own

    def symmetries(self, device: torch.device) -> Symmetries:
        return self._tables(device).symmetries

    def board(self, state: HexState, index: int = 0, previous: HexState | None = None) -> Board:
        return board_of(self, state, index)

    def why_illegal(self, state: HexState, text: str, *, index: int = 0) -> str | None:
        word = text.strip().lower()
        if word not in self.action_names:
            return None
        return "only the second player's first move can be a swap" if word == SWAP else "the cell is taken"

    def owners(self, state: HexState, index: int = 0) -> list[int]:
        """One board in row-major order of player 0's view: +1 for his stones, -1 for the opponent's, 0 empty."""
        cells = state.chains[index : index + 1].sign()
        if int(state.plies[index]) % 2:
            cells = -self._mirrored(cells)
        owners: list[int] = cells[0].tolist()
        return owners

    def move_name(self, state: HexState, action: int, *, index: int = 0) -> str:
        """The cell as player 0 sees it, such as a1, or swap."""
        return self.action_names[seen_by_first(self, action, int(state.plies[index]))]

    def find_move(self, state: HexState, text: str, *, index: int = 0) -> int | None:
        """A legal cell such as a1, in either case, or swap."""
        word = text.strip().lower()
        if word not in self.action_names:
            return None
        plies = int(state.plies[index])
        action = seen_by_first(self, self.action_names.index(word), plies)
        legal = plies == 1 if action == self.cells else int(state.chains[index, action]) == 0
        return action if legal and not bool(state.won[index]) else None

    def _tables(self, device: torch.device) -> _Tables:
        return _tables(self.size, self.swap, device)


@cache
def _tables(size: int, swap: bool, device: torch.device) -> _Tables:
    count = size * size
    rows, columns = np.divmod(np.arange(count), size)
    down, right = np.array(AROUND).T
    rows_around, columns_around = rows[:, None] + down, columns[:, None] + right
    edges = np.where(rows_around < 0, FIRST_EDGE, np.where(rows_around >= size, LAST_EDGE, 0))
    outside = (edges != 0) | (columns_around < 0) | (columns_around >= size)
    around = np.where(outside, 0, rows_around * size + columns_around)
    # Numbers of chains fit into one byte on all but the larger boards.
    small = count + _FIRST_CHAIN <= 127
    hashes = np.random.default_rng(0x5EED).integers(-(2**63), 2**63 - 1, 2 * count + 1, dtype=np.int64)
    own, theirs = hashes[:-1].reshape(2, count)
    mirrored = np.arange(count).reshape(size, size).T.ravel()
    # Half a turn is the only symmetry; it exchanges the two edges of each player.
    half_turn = np.arange(count)[::-1]
    order = np.array([0, 2, 1, 3, 5, 4, 6])[: 6 + swap]
    planes = np.stack([np.arange(len(order) * count), (order[:, None] * count + half_turn).ravel()])
    actions = np.arange(count + swap)
    actions = np.stack([actions, np.append(half_turn, actions[count:])])
    return _Tables(
        torch.from_numpy(around).to(device),
        torch.from_numpy(edges.astype(np.int8 if small else np.int16)).to(device),
        torch.from_numpy(outside).to(device),
        torch.from_numpy(np.stack([theirs[mirrored], own], 1)).to(device),
        torch.from_numpy(hashes[-1:]).to(device)[0],
        Symmetries(torch.from_numpy(planes).to(device), torch.from_numpy(actions).to(device)),
    )
