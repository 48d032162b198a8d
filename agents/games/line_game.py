"""Games of stones in a row on a grid: tic-tac-toe, Connect Four, Gomoku and variants."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.games.board import EMPTY, STONES, Board, Cell, changed_cells
from agents.games.game import ActionLayout, Game, Record, Symmetries
from agents.games.sgf_record import read_sgf_record
from lab import jit
from lab.errors import UserError

_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
RUNNING, LAST_MOVER_WON, DRAWN = 0, 1, 2
_LARGEST = 64  # rows and columns


class LineState(NamedTuple):
    """B boards.

    cells: int8 [B, rows * columns], row 0 on top: +1 the mover's stone, -1 the opponent's, 0 empty.
    plies: int64 [B], moves played. outcome: int8 [B], RUNNING, LAST_MOVER_WON or DRAWN.
    """

    cells: Tensor
    plies: Tensor
    outcome: Tensor


class _Tables(NamedTuple):
    rays: Tensor  # int64 [cells, 8 * reach]: the next cells in each direction; beyond the edge, the cell itself
    on_board: Tensor  # bool [cells, 8 * reach]: whether a cell of a ray is on the board
    columns: Tensor  # int64 [columns, rows]: the cells of each column from below
    sides: Tensor  # int8 [1, 2, 1]: the signs of the stones in the two observation planes
    hashes: Tensor  # int64 [cells]
    symmetries: Symmetries


class LineGame(Game):
    """Two players place stones in turn; `length` in a row, column or diagonal wins; a full board is a draw.

    With `gravity` an action is a column and the stone falls (Connect Four), else an action is a cell (tic-tac-toe).
    With `exact` a line that is part of a longer one does not win.
    """

    has_final_board = True

    def __init__(self, name: str, rows: int, columns: int, length: int, gravity: bool, exact: bool = False) -> None:
        if min(rows, columns) < 1 or length < 2:
            raise UserError(f"{name}: rows and columns must be at least 1 and length at least 2")
        if max(rows, columns) > _LARGEST:
            raise UserError(f"{name}: rows and columns must be at most {_LARGEST}")
        if length > max(rows, columns):
            raise UserError(f"{name}: length {length} fits neither {rows} rows nor {columns} columns")
        self.name = name
        self.options: Mapping[str, Any] = {"rows": rows, "columns": columns, "length": length}
        self.rows, self.columns, self.length, self.gravity, self.exact = rows, columns, length, gravity, exact
        self.num_actions = self.num_slots = columns if gravity else rows * columns
        self.action_layout = ActionLayout(planes=1, columns=gravity)
        self.observation_shape = (2, rows, columns)
        self.max_plies = rows * columns
        self.action_names: Sequence[str] = [str(a + 1) for a in range(self.num_actions)]

    def initial(self, batch: int, device: torch.device) -> LineState:
        return LineState(
            torch.zeros(batch, self.rows * self.columns, dtype=torch.int8, device=device),
            torch.zeros(batch, dtype=torch.int64, device=device),
            torch.zeros(batch, dtype=torch.int8, device=device),
        )

    def legal(self, state: LineState) -> Tensor:
        # The first `columns` cells are the top row: with gravity a column is open while its top cell is empty.
        if (kernels := _kernels(state)) is not None:
            found = torch.empty(len(state.cells), self.num_actions, dtype=torch.bool)
            kernels.legal(*_arrays(state.cells, state.outcome, found))
            return found
        entry = state.cells[:, : self.num_actions]
        return (entry == 0) & (state.outcome == RUNNING)[:, None]

    def step(self, state: LineState, action: Tensor) -> LineState:
        cells, plies, outcome = state
        tables = self._tables(cells.device)
        if (kernels := _kernels(state)) is not None:
            after = LineState(*(torch.empty_like(field, memory_format=torch.contiguous_format) for field in state))
            arrays = _arrays(*state, action, tables.columns, tables.rays)
            kernels.step(*arrays, self.length, self.gravity, self.exact, *_arrays(*after))
            return after
        running = outcome == RUNNING
        target = action[:, None]
        if self.gravity:
            column = tables.columns.index_select(0, action)
            height = cells.gather(1, column).abs_().sum(1, keepdim=True)
            target = column.gather(1, height.clamp_(max=self.rows - 1))
        # The cell is empty, so that a ray that leaves the board meets no stone in its place.
        own = cells.gather(1, tables.rays.index_select(0, target[:, 0])) == 1
        won = self._in_line(own) & running
        # Arithmetic on one byte per board: on small boards a step costs what its number of operations costs.
        moved = running.to(torch.int8)
        plies = plies + moved
        ended = outcome + won.to(torch.int8)
        full = (plies == self.max_plies).to(torch.int8)
        placed = cells.scatter(1, target, cells.gather(1, target) | moved[:, None])
        return LineState(placed * (1 - 2 * moved)[:, None], plies, torch.where(ended == RUNNING, DRAWN * full, ended))

    def successors(
        self, state: LineState, action: Tensor, discount: float
    ) -> tuple[LineState, Tensor, Tensor, Tensor] | None:
        """The fields of `agents.search.dynamics.Successors`, compiled; None where kernels do not run."""
        if (kernels := _kernels(state)) is None:
            return None
        after, batch = self.step(state, action), len(action)
        reward, factor, ended = torch.empty(batch), torch.empty(batch), torch.empty(batch, dtype=torch.bool)
        arrays = _arrays(state.plies, after.plies, after.outcome)
        kernels.successors(*arrays, float(discount), *_arrays(reward, factor, ended))
        return after, reward, factor, ended

    def player(self, state: LineState) -> Tensor:
        return state.plies % 2

    def plies(self, state: LineState) -> Tensor:
        return state.plies

    def done(self, state: LineState) -> Tensor:
        return state.outcome != RUNNING

    def reward(self, state: LineState) -> Tensor:
        if (kernels := _kernels(state)) is not None:
            found = torch.empty(len(state.plies), 2)
            kernels.reward(*_arrays(state.plies, state.outcome, found))
            return found
        # The loser is to move: with an even number of plies played, that is player 0.
        first = (state.plies % 2 * 2 - 1) * (state.outcome == LAST_MOVER_WON)
        return torch.stack([first, -first], 1).to(torch.float32)

    def observe(self, state: LineState, player: Tensor | None = None) -> Tensor:
        if player is None and (kernels := _kernels(state)) is not None:
            planes = torch.empty(len(state.cells), 2, self.rows, self.columns)
            kernels.observe(*_arrays(state.cells, planes.view(-1, 2, self.max_plies)))
            return planes
        cells = state.cells[:, None]
        if player is not None:
            cells = torch.where((player == self.player(state))[:, None, None], cells, -cells)
        planes = (cells == self._tables(cells.device).sides).to(torch.float32)
        return planes.view(-1, 2, self.rows, self.columns)

    def from_observation(self, planes: Tensor) -> LineState:
        """The state of an observation float32 [B, C, H, W] (see `ObservableGame`)."""
        stones = planes.flatten(2).to(torch.int8)
        cells = stones[:, 0] - stones[:, 1]
        plies = stones.sum((1, 2))
        theirs = cells == -1  # only the opponent, who moved last, can have a line
        rays, on_board = self._tables(cells.device)[:2]
        near = theirs.index_select(1, rays.flatten()).view(-1, *rays.shape)
        won = (self._in_line(near & on_board) & theirs).any(-1)
        outcome = torch.where(won, LAST_MOVER_WON, torch.where(plies >= self.max_plies, DRAWN, RUNNING))
        return LineState(cells, plies, outcome.to(torch.int8))

    def from_owners(self, owners: Sequence[int], player: int, device: torch.device) -> LineState:
        """The position of cells in row-major order, +1 for stones of player 0, -1 for player 1, 0 empty; B = 1.

        Raises UserError unless `player` is to move with these numbers of stones, and for discs that would fall.
        """
        stones = torch.tensor(owners, dtype=torch.int8, device=device)
        first, second = int((stones > 0).sum()), int((stones < 0).sum())
        if first - second != player:
            raise UserError(
                f"{self.name}: {STONES[player]} is to move with {first} {STONES[0]} and {second} {STONES[1]}; before X "
                "moves they are as many, and before O moves there is one X more"
            )
        grid = stones.view(self.rows, self.columns) != 0
        if self.gravity and bool((grid[:-1] & ~grid[1:]).any()):
            raise UserError(f"{self.name}: a disc has an empty cell below it")
        mine = stones * (1 - 2 * player)
        planes = torch.stack([mine > 0, mine < 0]).view(1, 2, self.rows, self.columns).to(torch.float32)
        return self.from_observation(planes)

    def colours(self, state: LineState, index: int = 0) -> list[int]:
        """One board in row-major order: +1 for stones of player 0, -1 for player 1, 0 empty."""
        owners: list[int] = (state.cells[index] * (1 - 2 * (state.plies[index] % 2))).tolist()
        return owners

    def read_record(self, text: str, device: torch.device) -> Record | None:
        """The main line of a game in SGF, of games that have one."""
        return read_sgf_record(self, text, device)

    def key(self, state: LineState) -> Tensor:
        # A random linear form modulo 2**64: two different boards collide with probability 2**-63.
        if (kernels := _kernels(state)) is not None:
            keys = torch.empty(len(state.cells), dtype=torch.int64)
            kernels.key(*_arrays(state.cells, self._tables(state.cells.device).hashes, keys))
            return keys
        return (state.cells * self._tables(state.cells.device).hashes).sum(1)

    def symmetries(self, device: torch.device) -> Symmetries:
        return self._tables(device).symmetries

    def board(self, state: LineState, index: int = 0, previous: LineState | None = None) -> Board:
        owners = self._owners(state, index)
        before = None if previous is None else self._owners(previous, index)
        grid = [self.action_names[row * self.columns : (row + 1) * self.columns] for row in range(self.rows)]
        return Board(
            owners=owners,
            surface="frame" if self.gravity else "paper",
            column_names=[name[-1] for name in self.action_names] if self.gravity else (),
            cell_names=() if self.gravity else grid,
            last=changed_cells(owners, before),
            winning=winning_cells(owners, self.length, exact=self.exact),
        )

    def why_illegal(self, state: LineState, text: str, *, index: int = 0) -> str | None:
        kind, why = ("column", "full") if self.gravity else ("cell", "taken")
        return f"the {kind} is {why}" if text in self.action_names else None

    def _owners(self, state: LineState, index: int) -> list[list[int]]:
        """[rows, columns]: the player whose stone lies there, or EMPTY."""
        cells, mover = state.cells[index].view(self.rows, self.columns), int(state.plies[index]) % 2
        owners: list[list[int]] = torch.where(cells == 0, EMPTY, torch.where(cells > 0, mover, 1 - mover)).tolist()
        return owners

    def _in_line(self, stones: Tensor) -> Tensor:
        """bool [...]: whether a stone completes a line, from the stones on its rays bool [..., 8 * reach]."""
        # On each ray the stones up to the first gap, then both rays of a line together.
        adjacent = stones.unflatten(-1, (4, 2, -1)).cumprod(-1, dtype=torch.int8).sum((-2, -1), dtype=torch.int8)
        complete = adjacent == self.length - 1 if self.exact else adjacent >= self.length - 1
        return complete.any(-1)

    def _tables(self, device: torch.device) -> _Tables:
        # An exact line ends where the next cell in its direction is not a stone of it.
        return _tables(self.rows, self.columns, self.length - (not self.exact), self.gravity, device)


def winning_cells(owners: Sequence[Sequence[int]], length: int, *, exact: bool = False) -> frozenset[Cell]:
    """The cells of every complete line of `length` stones; exact: without those that are part of a longer one."""
    rows, columns = len(owners), len(owners[0])
    found: set[Cell] = set()
    for row, column, (down, right) in product(range(rows), range(columns), _DIRECTIONS):
        line = [(row + k * down, column + k * right) for k in range(length)]
        end_row, end_column = line[-1]
        if end_row < rows and 0 <= end_column < columns:
            stones = {owners[r][c] for r, c in line}
            if len(stones) != 1 or EMPTY in stones:
                continue
            ends = ((row - down, column - right), (end_row + down, end_column + right))
            if not exact or not any(owners[r][c] in stones for r, c in ends if 0 <= r < rows and 0 <= c < columns):
                found.update(line)
    return frozenset(found)


def _kernels(state: LineState) -> ModuleType | None:
    """`agents.games.line_kernels` where it runs: the same rules, compiled."""
    if state.cells.device.type != "cpu" or not jit.available(len(state.cells)):
        return None
    from agents.games import line_kernels

    return line_kernels


def _arrays(*tensors: Tensor) -> Iterator[Any]:
    return (tensor.contiguous().numpy() for tensor in tensors)


@cache
def _tables(rows: int, columns: int, reach: int, gravity: bool, device: torch.device) -> _Tables:
    cells = rows * columns
    grid = np.arange(cells).reshape(rows, columns)
    directions = np.array([(sign * down, sign * right) for down, right in _DIRECTIONS for sign in (1, -1)])
    steps = directions[:, None] * np.arange(1, reach + 1)[:, None]  # [8, reach, 2]
    places = np.stack(np.divmod(grid.ravel(), columns), 1)[:, None, None] + steps  # [cells, 8, reach, 2]
    on_board = ((places >= 0) & (places < (rows, columns))).all(-1)
    rays = np.where(on_board, places @ (columns, 1), grid.reshape(-1, 1, 1))
    rng = np.random.default_rng(0x5EED)
    hashes = rng.integers(-(2**63), 2**63 - 1, size=cells, dtype=np.int64)
    # The same maps for cells, planes and actions; with gravity only the mirror image follows the rules.
    if gravity:
        maps = [grid, grid[:, ::-1]]
    elif rows == columns:
        maps = [np.rot90(g, k) for g in (grid, grid[:, ::-1]) for k in range(4)]
    else:
        maps = [grid, grid[:, ::-1], grid[::-1], grid[::-1, ::-1]]
    planes = np.stack([np.concatenate([m.ravel(), m.ravel() + cells]) for m in maps])
    actions = np.stack([m[0] if gravity else m.ravel() for m in maps])
    symmetries = Symmetries(torch.from_numpy(planes.copy()).to(device), torch.from_numpy(actions.copy()).to(device))
    sides = torch.tensor([1, -1], dtype=torch.int8, device=device).view(1, 2, 1)
    return _Tables(
        torch.from_numpy(rays).flatten(1).to(device),
        torch.from_numpy(on_board).flatten(1).to(device),
        torch.from_numpy(grid[::-1].T.copy()).to(device),
        sides,
        torch.from_numpy(hashes).to(device),
        symmetries,
    )
