"""A small game of movement with all that large games need: slots, a history, planes of numbers, options of any type."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.games.game import ActionLayout, Game, Symmetries
from lab.errors import UserError

STEPS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
RUNNING, FIRST_WON, SECOND_WON, DRAWN = 0, 1, 2, 3


class PatrolState(NamedTuple):
    """cells: int8 [B, rows * columns], +1 for pieces of player 0, -1 for those of player 1, 0 for empty cells.

    plies: int64 [B]. outcome, repeated: int8 [B]. seen: int64 [B, memory + 1], hashes of the last positions.
    """

    cells: Tensor
    plies: Tensor
    outcome: Tensor
    repeated: Tensor
    seen: Tensor


class Patrol(Game):
    """A piece steps to one of the eight cells around it, also onto a piece of the other side, which is removed.

    Who reaches the far row or removes all pieces wins. The second time that a position occurs within `memory` plies it
    is marked, the third time the game is drawn. After `max_plies` the side with more pieces wins; `bonus` counts for
    player 1. slots: False gives each action its own slot. remembers: False keeps the history in every node of a tree.
    """

    name = "patrol"
    number_planes = 2

    def __init__(
        self,
        rows: int = 4,
        columns: int = 3,
        bonus: float = 0.5,
        memory: int = 6,
        max_plies: int = 40,
        slots: bool = True,
        remembers: bool = True,
    ) -> None:
        if rows < 3 or columns < 1:
            raise UserError(f"{self.name}: at least 3 rows and 1 column")
        self.options: Mapping[str, Any] = {"rows": rows, "columns": columns, "bonus": bonus}
        self.rows, self.columns, self.bonus, self.memory, self.max_plies = rows, columns, bonus, memory, max_plies
        self.action_layout = ActionLayout(planes=8)
        self.num_actions = self.action_layout.num_actions(rows, columns)
        self.num_slots = 8 * columns if slots else self.num_actions
        self.history = ("seen",) if remembers else ()
        self.observation_shape = (6, rows, columns)
        cells = [f"{'abcdefgh'[c]}{rows - r}" for r in range(rows) for c in range(columns)]
        self.action_names: Sequence[str] = [f"{cell}{key}" for key in "78946123" for cell in cells]

    def initial(self, batch: int, device: torch.device) -> PatrolState:
        cells = torch.zeros(batch, self.rows, self.columns, dtype=torch.int8, device=device)
        cells[:, -1], cells[:, 0] = 1, -1
        zeros = torch.zeros(batch, dtype=torch.int64, device=device)
        seen = torch.zeros(batch, self.memory + 1, dtype=torch.int64, device=device)
        seen[:, 0] = self._hash(cells.flatten(1), zeros)
        return PatrolState(cells.flatten(1), zeros, zeros.to(torch.int8), zeros.to(torch.int8), seen)

    def legal(self, state: PatrolState) -> Tensor:
        own = self._own(state)
        # Steps off the board lead to one more cell, which counts as the mover's.
        blocked = torch.nn.functional.pad(own, (0, 1), value=True)[:, self._targets(own.device)]
        return (own[:, None] & ~blocked & (state.outcome == RUNNING)[:, None, None]).flatten(1)

    def step(self, state: PatrolState, action: Tensor) -> PatrolState:
        cells, plies, outcome, repeated, seen = state
        running, mover = outcome == RUNNING, state.plies % 2
        sign = 1 - 2 * mover
        size = self.rows * self.columns
        origin = (action % size)[:, None]
        target = self._targets(cells.device).flatten()[action].clamp(max=size - 1)[:, None]
        moved = cells.scatter(1, origin, 0).scatter(1, target, sign.to(torch.int8)[:, None])
        after = plies + 1
        key = self._hash(moved, after % 2)
        place = after[:, None] % seen.shape[1] == torch.arange(seen.shape[1], device=cells.device)
        times = ((seen == key[:, None]) & ~place).sum(1)
        board = moved.view(-1, self.rows, self.columns) * sign[:, None, None]
        far = torch.where(mover == 0, (board[:, 0] > 0).any(1), (board[:, -1] > 0).any(1))
        won = far | ~(board < 0).flatten(1).any(1)
        lead = moved.sum(1) - self.bonus
        counted = torch.where(lead > 0, FIRST_WON, torch.where(lead < 0, SECOND_WON, DRAWN))
        now = torch.where(after >= self.max_plies, counted, RUNNING)
        now = torch.where(times >= 2, DRAWN, now)
        now = torch.where(won, torch.where(mover == 0, FIRST_WON, SECOND_WON), now)
        return PatrolState(
            torch.where(running[:, None], moved, cells),
            plies + running,
            torch.where(running, now.to(torch.int8), outcome),
            torch.where(running, times.clamp(max=1).to(torch.int8), repeated),
            torch.where(running[:, None] & place, key[:, None], seen),
        )

    def player(self, state: PatrolState) -> Tensor:
        return state.plies % 2

    def plies(self, state: PatrolState) -> Tensor:
        return state.plies

    def done(self, state: PatrolState) -> Tensor:
        return state.outcome != RUNNING

    def reward(self, state: PatrolState) -> Tensor:
        first = (state.outcome == FIRST_WON).float() - (state.outcome == SECOND_WON).float()
        return torch.stack([first, -first], 1)

    def observe(self, state: PatrolState, player: Tensor | None = None) -> Tensor:
        side = self.player(state) if player is None else player
        own = state.cells * (1 - 2 * side)[:, None]
        ones = torch.ones_like(own, dtype=torch.float32)
        bonus = self.bonus * (2 * side - 1)
        planes = [own > 0, own < 0, ones * side[:, None], ones * state.repeated[:, None]]
        numbers = [ones * (state.plies[:, None] / self.max_plies), ones * bonus[:, None]]
        return torch.stack([plane.float() for plane in planes + numbers], 1).view(-1, *self.observation_shape)

    def key(self, state: PatrolState) -> Tensor:
        return self._hash(state.cells, 2 * state.plies + state.repeated)

    def symmetries(self, device: torch.device) -> Symmetries:
        cells = torch.arange(self.rows * self.columns, device=device).view(self.rows, self.columns)
        mirrored = cells.flip(1).flatten()
        # A plane of steps becomes that of the mirrored steps.
        steps = [STEPS.index((down, -right)) for down, right in STEPS]
        planes = torch.cat([mirrored + plane * mirrored.numel() for plane in range(6)])
        actions = torch.cat([mirrored + step * mirrored.numel() for step in steps])
        tables = ([torch.arange(len(table), device=device), table] for table in (planes, actions))
        return Symmetries(*(torch.stack(rows) for rows in tables))

    def render(self, state: PatrolState, index: int = 0, previous: PatrolState | None = None) -> str:
        signs = [".XO"[value] for value in state.cells[index].tolist()]  # -1 is the last
        return "\n".join(" ".join(signs[r * self.columns : (r + 1) * self.columns]) for r in range(self.rows))

    def move_name(self, state: PatrolState, action: int, *, index: int = 0) -> str:
        size = self.rows * self.columns
        down, right = STEPS[action // size]
        row, column = divmod(action % size, self.columns)
        cells = ((row, column), (row + down, column + right))
        return "".join(f"{'abcdefgh'[c]}{self.rows - r}" for r, c in cells)

    def _own(self, state: PatrolState) -> Tensor:
        return state.cells * (1 - 2 * (state.plies % 2))[:, None] > 0

    def _targets(self, device: torch.device) -> Tensor:
        """int64 [8, cells]: the cell that each step leads to, the number of cells where it leaves the board."""
        row = torch.arange(self.rows, device=device)[:, None].expand(self.rows, self.columns)
        column = torch.arange(self.columns, device=device).expand(self.rows, self.columns)
        tables = []
        for down, right in STEPS:
            inside = (
                (row + down >= 0) & (row + down < self.rows) & (column + right >= 0) & (column + right < self.columns)
            )
            to = (row + down) * self.columns + column + right
            tables.append(torch.where(inside, to, self.rows * self.columns).flatten())
        return torch.stack(tables)

    def _hash(self, cells: Tensor, number: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(5)
        weights = torch.randint(-(2**62), 2**62, (cells.shape[1] + 1,), generator=generator).to(cells.device)
        return (cells * weights[:-1]).sum(1) + number * weights[-1]
